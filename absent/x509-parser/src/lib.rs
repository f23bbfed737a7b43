//! Replaces the library x509-parser. With this library, uv-client describes certificates that cannot be used, in
//! warnings that lath does not print. Only rustls checks certificates, and never this crate
//! (docs/decisions/0190-crates-that-never-run-are-replaced.md).
//!
//! These are the parts that uv-client uses. No certificate is ever read.

/// The names that uv-client imports.
pub mod prelude {
    use std::convert::Infallible;
    use std::fmt;
    use std::marker::PhantomData;

    use thiserror::Error;

    #[derive(Debug, Error)]
    #[error("this program does not describe certificates")]
    pub struct Absent;

    /// Types that are read from bytes in the encoding DER.
    pub trait FromDer<'a>: Sized {
        /// Fails.
        ///
        /// # Errors
        ///
        /// Always [`Absent`].
        fn from_der(_bytes: &'a [u8]) -> Result<(&'a [u8], Self), Absent> {
            Err(Absent)
        }
    }

    /// No value of this type can exist.
    #[derive(Debug)]
    pub struct X509Certificate<'a> {
        never: Infallible,
        bytes: PhantomData<&'a [u8]>,
    }

    impl<'a> FromDer<'a> for X509Certificate<'a> {}

    impl X509Certificate<'_> {
        /// Cannot be called.
        pub fn version(&self) -> Never {
            match self.never {}
        }

        /// Cannot be called.
        pub fn subject(&self) -> &Never {
            match self.never {}
        }

        /// Cannot be called.
        pub fn iter_extensions(&self) -> std::slice::Iter<'_, Extension> {
            match self.never {}
        }
    }

    /// No value of this type can exist.
    #[derive(Debug)]
    pub enum Never {}

    impl Never {
        /// Cannot be called.
        pub fn iter_attributes(&self) -> std::slice::Iter<'_, Self> {
            match *self {}
        }
    }

    impl fmt::Display for Never {
        fn fmt(&self, _formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            match *self {}
        }
    }

    #[derive(Debug)]
    pub struct Extension {
        pub critical: bool,
        pub oid: String,
    }
}
