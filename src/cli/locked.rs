//! Turns settings that name a lock into a request. The lock contains the options of the request for which it was made.
//! These options are a layer of settings.

use std::path::{Path, PathBuf};

use crate::cli::environment::Environment;
use crate::cli::failure::Failure;
use crate::cli::layers::Settings;
use crate::cli::projects;
use crate::cli::settings::{self, usage};
use crate::cli::values::all;
use crate::model::image_name::is_image_name;
use crate::model::lock_file::{DEFAULT_LOCK, ForeignLock, LockFile, LockRequest, LockedRequest};
use crate::model::request::Request;
use crate::pipeline;

/// Returns the request that the settings describe. If the settings name a lock that lath wrote, the image is built from
/// this lock.
pub(super) fn request(settings: &Settings, environment: &Environment) -> Result<Request, Failure> {
    let input = input_lock(settings)?;
    let is_named = settings.is_locked();
    match input {
        Some(path) if !is_named => match read(&path)? {
            Some(file) => for_image(file, &without_inputs(settings), environment),
            None => foreign(&path, settings, environment),
        },
        None if !is_named => settings::request(settings, environment),
        input => {
            let path = settings.lock.clone().or(input.clone()).unwrap_or_else(|| Path::new(DEFAULT_LOCK).to_owned());
            let file = read(&path)?.ok_or_else(|| Failure::of_build(&pipeline::foreign_lock(&path)))?;
            // If the input is the lock file itself, this input is ignored, because the lock contains the real inputs of
            // the build.
            let is_own_input = input.is_some_and(|input| input == path);
            let settings = if is_own_input { &without_inputs(settings) } else { settings };
            for_image(file, settings, environment)
        }
    }
}

/// Works like [`from`], but refuses a lock without the files that the image needs.
fn for_image(file: LockFile, settings: &Settings, environment: &Environment) -> Result<Request, Failure> {
    if file.request.has_application && !has_inputs(settings) {
        return Err(usage(format!(
            "the lock `{}` does not contain the files of its application: name the folder or the script, such as \
             `lath build . --locked`",
            file.path.display()
        )));
    }
    from(file, settings, environment)
}

fn has_inputs(settings: &Settings) -> bool {
    settings.requirement.is_some() || settings.requirements.is_some()
}

fn read(path: &Path) -> Result<Option<LockFile>, Failure> {
    pipeline::read_lock(path).map_err(|error| Failure::of_build(&error))
}

/// Returns the request for an image that is built from the lock `file`.
pub(super) fn from(file: LockFile, settings: &Settings, environment: &Environment) -> Result<Request, Failure> {
    let compares_inputs = has_inputs(settings) && settings.frozen != Some(true);
    let mut request = if compares_inputs {
        settings::request(settings, environment)?
    } else {
        settings::request(&settings.clone().over(layer(&file.request)), environment)?
    };
    let is_frozen = settings.frozen == Some(true);
    request.lock = Some(LockRequest { file, compares_inputs, is_frozen, snapshot: settings.snapshot.clone() });
    Ok(request)
}

/// Returns the request for an image whose wheels come from a lock of another tool.
pub(super) fn foreign(path: &Path, settings: &Settings, environment: &Environment) -> Result<Request, Failure> {
    let tag = settings.tag.clone().or_else(|| Some(vec![folder_name(path)?]));
    let tag = tag.ok_or_else(|| usage("cannot derive the name of the image from the lock: set it with `-t NAME`"))?;
    // These options select parts of the lock, so they must not reach the request, in which they would select parts of a
    // project.
    let (extra, group, all_extras) = (None, None, None);
    let options = Settings { tag: Some(tag), extra, group, all_extras, ..settings.clone() };
    let mut request = settings::request(&options, environment)?;
    request.python.requirements.clear();
    request.python.requirement_files.clear();
    let (extras, groups) = (projects::extras(settings), all(&settings.group));
    request.python.lock = Some(ForeignLock { path: path.to_owned(), extras, groups });
    Ok(request)
}

/// Returns the name of the folder that contains `path`. `None` if this name is not valid for an image.
fn folder_name(path: &Path) -> Option<String> {
    let path = std::path::absolute(path).ok()?;
    let name = path.parent()?.file_name()?.to_str()?.to_lowercase();
    Some(name).filter(|name| is_image_name(name))
}

/// Returns the lock if an input is a lock. Refuses other inputs beside it, because a lock contains all packages.
pub(super) fn input_lock(settings: &Settings) -> Result<Option<PathBuf>, Failure> {
    let words = settings.requirement.iter().flatten().map(|word| PathBuf::from(word.exposed()));
    let inputs: Vec<PathBuf> = words.chain(settings.requirements.iter().flatten().cloned()).collect();
    match inputs.iter().find(|input| is_lock_name(input)) {
        Some(lock) if inputs.len() > 1 => Err(usage(format!(
            "cannot add other inputs to the lock `{}`: it contains all packages of its request",
            lock.display()
        ))),
        found => Ok(found.cloned()),
    }
}

/// Returns whether a file with this name is a lock (PEP 751, "File Name").
fn is_lock_name(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let middle = name.strip_prefix("pylock.").and_then(|rest| rest.strip_suffix(".toml"));
    name == DEFAULT_LOCK || middle.is_some_and(|middle| !middle.is_empty() && !middle.contains('.'))
}

fn without_inputs(settings: &Settings) -> Settings {
    Settings { requirement: None, requirements: None, ..settings.clone() }
}

/// Returns the options of the request for which a lock was made.
fn layer(request: &LockedRequest) -> Settings {
    Settings {
        requirement: Some(request.requirements.iter().map(|one| plain(one).into()).collect()),
        python: Some(request.python.to_string()),
        // If there is a base image, it determines the release.
        release: request.base_image.is_none().then(|| request.base.clone()),
        base: request.base_image.clone(),
        no_base_packages: Some(request.no_base_packages),
        with: Some(request.with.clone()),
        recommends: Some(request.recommends),
        shell: Some(request.shell),
        trim: Some(request.trim),
        prerelease: Some(request.prerelease),
        exclude_newer: request.exclude_newer.clone(),
        default_index: request.default_index.as_deref().map(Into::into),
        index_strategy: Some(request.index_strategy),
        torch_backend: request.torch_backend.clone(),
        find_links: Some(request.find_links.iter().map(|links| links.as_str().into()).collect()),
        no_index: Some(request.no_index),
        index: Some(request.indexes.iter().map(|index| index.as_str().into()).collect()),
        build_with: Some(request.builds.with.clone()),
        no_build: Some(request.builds.no_build),
        no_build_package: Some(request.builds.no_build_package.clone()),
        no_binary_package: Some(request.builds.no_binary_package.clone()),
        config_setting: Some(request.builds.config_setting.clone()),
        ..Settings::default()
    }
}

/// Returns a requirement of a lock without its hashes, as a user would type it.
fn plain(requirement: &str) -> &str {
    requirement.split_once(" --hash=").map_or(requirement, |(plain, _)| plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_known_by_its_name() {
        for name in ["pylock.toml", "a/pylock.toml", "pylock.dev.toml"] {
            assert!(is_lock_name(Path::new(name)), "{name}");
        }
        for name in ["uv.lock", "pylock..toml", "pylock.a.b.toml", "my-pylock.toml", "pylock.txt"] {
            assert!(!is_lock_name(Path::new(name)), "{name}");
        }
    }
}
