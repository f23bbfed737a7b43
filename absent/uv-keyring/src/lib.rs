//! Replaces the crate of uv with the same name, which stores passwords in the keyring of the desktop. lath gets
//! passwords from the program `keyring`, from files and from variables, and never from this keyring
//! (docs/decisions/0190-crates-that-never-run-are-replaced.md).
//!
//! These are the parts that uv-auth uses. A call of one of them fails, because there is no keyring.

use thiserror::Error;

#[derive(Debug, Error)]
pub enum Error {
    #[error("no password is stored")]
    NoEntry,
    #[error("this program does not use the keyring of the desktop")]
    Absent,
}

/// A password in the keyring. No value of this type can exist.
#[derive(Debug)]
pub enum Entry {}

impl Entry {
    /// Fails.
    ///
    /// # Errors
    ///
    /// Always [`Error::Absent`].
    pub fn new(_service: &str, _user: &str) -> Result<Self, Error> {
        Err(Error::Absent)
    }

    /// Cannot be called.
    ///
    /// # Errors
    ///
    /// None.
    pub async fn set_password(&self, _password: &str) -> Result<(), Error> {
        match *self {}
    }

    /// Cannot be called.
    ///
    /// # Errors
    ///
    /// None.
    pub async fn get_password(&self) -> Result<String, Error> {
        match *self {}
    }

    /// Cannot be called.
    ///
    /// # Errors
    ///
    /// None.
    pub async fn delete_credential(&self) -> Result<(), Error> {
        match *self {}
    }
}
