//! The request of settings that name a lock. The request that the lock was made for is a layer of settings.

use std::path::{Path, PathBuf};

use crate::cli::environment::Environment;
use crate::cli::failure::Failure;
use crate::cli::layers::Settings;
use crate::cli::settings;
use crate::model::lock_file::{DEFAULT_LOCK, LockFile, LockRequest, LockedRequest};
use crate::model::request::Request;
use crate::pipeline;

/// Returns the request of these settings. If they name a lock that lath wrote, the request is built from it.
pub(super) fn request(settings: &Settings, environment: &Environment) -> Result<Request, Failure> {
    let Some(path) = named(settings) else { return settings::request(settings, environment) };
    let file = pipeline::read_lock(&path).map_err(|error| Failure::of_build(&error))?;
    let Some(file) = file else { return Err(Failure::of_build(&pipeline::foreign_lock(&path))) };
    from(file, settings, environment)
}

/// Returns the request that is built from `file`.
fn from(file: LockFile, settings: &Settings, environment: &Environment) -> Result<Request, Failure> {
    let has_inputs = settings.requirement.is_some() || settings.requirements.is_some();
    let compares_inputs = has_inputs && settings.frozen != Some(true);
    let mut request = if compares_inputs {
        settings::request(settings, environment)?
    } else {
        settings::request(&settings.clone().over(layer(&file.request)), environment)?
    };
    request.lock = Some(LockRequest { file, compares_inputs, snapshot: settings.snapshot.clone() });
    Ok(request)
}

/// Returns the lock that the options name.
fn named(settings: &Settings) -> Option<PathBuf> {
    let is_wanted = settings.locked == Some(true) || settings.frozen == Some(true);
    settings.lock.clone().or_else(|| is_wanted.then(|| Path::new(DEFAULT_LOCK).to_owned()))
}

/// Returns the options of the request that a lock was made for.
fn layer(request: &LockedRequest) -> Settings {
    Settings {
        requirement: Some(request.requirements.iter().map(|one| one.as_str().into()).collect()),
        python: Some(request.python.to_string()),
        base: Some(request.base.clone()),
        with: Some(request.with.clone()),
        recommends: Some(request.recommends),
        shell: Some(request.shell),
        trim: Some(request.trim),
        prerelease: Some(request.prerelease),
        exclude_newer: request.exclude_newer.clone(),
        ..Settings::default()
    }
}
