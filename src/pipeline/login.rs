//! Saves and removes the credentials for registries of images.

use std::path::PathBuf;

use thiserror::Error;

use crate::model::hint::Hints;
use crate::model::secret::Secret;
use crate::outside::credentials::Login;
use crate::outside::credentials::registries::{StoreLoginError, Stored};
use crate::outside::registry::{LoginCheck, RegistryError};
use crate::outside::world::World;

pub(crate) struct LoginRequest {
    pub(crate) registry: String,
    pub(crate) user: String,
    pub(crate) password: Secret,
}

/// The place where the credentials are now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// The registry needs no credentials, so they were not saved.
    Nowhere,
    /// In this file, without encryption.
    File(PathBuf),
    /// In the storage of this helper program.
    Helper(String),
}

#[derive(Debug, Error)]
pub(crate) enum LoginError {
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error(transparent)]
    Store(#[from] StoreLoginError),
}

impl Hints for LoginError {
    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Registry(error) => Some(error),
            Self::Store(error) => Some(error),
        }
    }
}

/// Checks the credentials at the registry. Saves them only if the registry accepts them.
pub(crate) fn log_in(request: &LoginRequest, world: &World) -> Result<Place, LoginError> {
    let login = Login { user: request.user.clone(), password: request.password.exposed().to_owned() };
    match world.registry.check_login(&request.registry, &login)? {
        LoginCheck::NotNeeded => Ok(Place::Nowhere),
        LoginCheck::Accepted => Ok(match world.registry.credentials().store(&request.registry, &login)? {
            Stored::File(path) => Place::File(path),
            Stored::Helper(program) => Place::Helper(program),
        }),
    }
}

/// Removes the saved credentials. Returns whether credentials had been saved.
pub(crate) fn log_out(registry: &str, world: &World) -> Result<bool, LoginError> {
    Ok(world.registry.credentials().remove(registry)?)
}
