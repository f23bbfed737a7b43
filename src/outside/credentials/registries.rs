//! Credentials for registries of images. These sources are searched in this order: the variables `LATH_REGISTRY_USER`
//! and `LATH_REGISTRY_PASSWORD`, then the files of Docker and Podman, with the helper programs that are named in these
//! files, and then the variable `GITHUB_TOKEN`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use thiserror::Error;

use crate::catalog::registries;
use crate::model::hint::{Hint, Hints, RegistryHint};
use crate::model::world_settings::RegistryLogins;
use crate::outside::credentials::auth_file::{AuthFile, AuthFileError, EditedFile};
use crate::outside::credentials::helper::{Helper, HelperError};
use crate::outside::credentials::{Login, LoginSource, RegistryLogin, Tried};
use crate::outside::staging::StagingFile;

/// The result of a search for credentials.
#[derive(Clone, Default)]
pub(crate) struct Found {
    pub(crate) login: Option<RegistryLogin>,
    pub(crate) source: Option<LoginSource>,
    /// The reason why one of the sources could not be read.
    pub(crate) problem: Option<String>,
    /// Whether there are credentials in variables that are not used, because only the file of a project names the
    /// registry.
    is_withheld: bool,
}

impl Found {
    pub(crate) fn of(login: RegistryLogin, source: LoginSource) -> Self {
        Self { login: Some(login), source: Some(source), ..Self::default() }
    }

    /// Returns which credentials lath sends with a request to `host`. Errors show the result.
    pub(crate) fn tried(&self, host: &str) -> Tried {
        let host = host.to_owned();
        match (&self.source, &self.problem) {
            (Some(source), _) => Tried::Some { host, source: source.clone() },
            (None, _) if self.is_withheld => Tried::Withheld { host },
            (None, Some(problem)) => Tried::Unreadable { host, problem: problem.clone() },
            (None, None) => Tried::None { host },
        }
    }
}

/// The answer of a helper program, or the reason why there is no answer.
type Answer = Result<Option<RegistryLogin>, String>;

/// The credentials for registries, in memory only.
pub(crate) struct RegistryCredentials {
    places: RegistryLogins,
    /// The results, by registry and repository.
    known: Mutex<BTreeMap<(String, String), Found>>,
    /// The answers of programs, by registry.
    answers: Mutex<BTreeMap<(String, Helper), Answer>>,
}

/// Where `lath login` has saved the credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stored {
    /// In this file, unencrypted.
    File(PathBuf),
    Helper(String),
}

#[derive(Debug, Error)]
pub(crate) enum StoreLoginError {
    #[error("cannot find the folder of Docker's configuration: neither `DOCKER_CONFIG` nor `HOME` is set")]
    NoPlace,
    #[error(transparent)]
    File(#[from] AuthFileError),
    #[error(
        "cannot save the credentials for `{registry}`: they are not written to `{path}`, because it names a program for them"
    )]
    Helper { registry: String, path: PathBuf, source: HelperError },
    #[error("cannot remove the credentials for `{registry}`")]
    Erase { registry: String, source: HelperError },
    #[error("cannot write `{path}`")]
    Write { path: PathBuf, source: std::io::Error },
}

impl Hints for StoreLoginError {
    fn own_hints(&self) -> Vec<Hint> {
        match self {
            Self::Helper { path, .. } => {
                vec![Hint::Registry(RegistryHint::Helper { path: path.display().to_string() })]
            }
            _ => Vec::new(),
        }
    }

    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::File(error) => Some(error),
            Self::Helper { source, .. } => Some(source),
            Self::Erase { source, .. } => Some(source),
            Self::NoPlace | Self::Write { .. } => None,
        }
    }
}

impl RegistryCredentials {
    pub(crate) fn new(places: RegistryLogins) -> Self {
        Self { places, known: Mutex::default(), answers: Mutex::default() }
    }

    /// Returns the credentials for a repository of a registry. May run a program, so it may block.
    pub(crate) fn of(&self, registry: &str, repository: &str) -> Found {
        let key = (registry.to_owned(), repository.to_owned());
        // The lock is held while a program runs, so that no other thread starts the same program.
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.entry(key).or_insert_with(|| self.find(registry, repository)).clone()
    }

    fn find(&self, registry: &str, repository: &str) -> Found {
        let of_destination = self.places.given.as_ref().filter(|_| self.places.destinations == [registry]);
        let is_withheld = of_destination.is_some() && self.places.of_project.iter().any(|other| other == registry);
        if let Some((user, password)) = of_destination.filter(|_| !is_withheld) {
            let login = Login { user: user.clone(), password: password.exposed().to_owned() };
            let names = ["LATH_REGISTRY_USER", "LATH_REGISTRY_PASSWORD"].map(str::to_owned).to_vec();
            return Found::of(RegistryLogin::Password(login), LoginSource::Variables(names));
        }
        let mut problem = None;
        for path in &self.places.files {
            match self.in_file(path, registry, repository) {
                Ok(Some(found)) => return found,
                Ok(None) => {}
                Err(text) => problem = problem.or(Some(text)),
            }
        }
        if let Some(token) = self.places.github_token.as_ref().filter(|_| registry == registries::GITHUB) {
            // GitHub accepts any user name with a token.
            let login = Login { user: "lath".to_owned(), password: token.exposed().to_owned() };
            let source = LoginSource::Variables(vec!["GITHUB_TOKEN".to_owned()]);
            return Found::of(RegistryLogin::Password(login), source);
        }
        Found { problem, is_withheld, ..Found::default() }
    }

    /// Returns the credentials from the helper program that is named in the file, or else the credentials in the file.
    fn in_file(&self, path: &Path, registry: &str, repository: &str) -> Result<Option<Found>, String> {
        let Some(file) = AuthFile::read(path).map_err(|error| in_words(&error))? else { return Ok(None) };
        let helped = file.helper(registry).map(|helper| (self.answer(&helper, registry), helper));
        if let Some((Ok(Some(login)), helper)) = &helped {
            let (program, file) = (helper.program().to_owned(), path.to_owned());
            return Ok(Some(Found::of(login.clone(), LoginSource::Helper { program, file })));
        }
        match file.login(path, registry, repository).map_err(|error| in_words(&error))? {
            Some(login) => Ok(Some(Found::of(login, LoginSource::File(path.to_owned())))),
            None => helped.map_or(Ok(None), |(answer, _)| answer.map(|_| None)),
        }
    }

    fn answer(&self, helper: &Helper, registry: &str) -> Result<Option<RegistryLogin>, String> {
        let key = (registry.to_owned(), helper.clone());
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let run = || helper.get(&self.places.search_path, registry).map_err(|error| in_words(&error));
        answers.entry(key).or_insert_with(run).clone()
    }

    /// Saves credentials like `docker login`. If a helper program is named in Docker's file, this program saves them.
    /// Otherwise the credentials are written to the file.
    pub(crate) fn store(&self, registry: &str, login: &Login) -> Result<Stored, StoreLoginError> {
        let path = self.docker_file()?;
        let mut edited = EditedFile::open(&path)?;
        let helper = edited.helper(registry);
        let Some(helper) = helper else {
            edited.set(registry, Some(login));
            write(&edited)?;
            return Ok(Stored::File(path));
        };
        helper.store(&self.places.search_path, registry, login).map_err(|source| StoreLoginError::Helper {
            registry: registry.to_owned(),
            path: path.clone(),
            source,
        })?;
        edited.set(registry, None);
        write(&edited)?;
        Ok(Stored::Helper(helper.program().to_owned()))
    }

    /// Removes the credentials of a registry, as `docker logout` does. Returns whether there were any.
    pub(crate) fn remove(&self, registry: &str) -> Result<bool, StoreLoginError> {
        let path = self.docker_file()?;
        let mut edited = EditedFile::open(&path)?;
        let helper = edited.helper(registry);
        let mut was_there = false;
        if let Some(helper) = helper {
            let fail = |source| StoreLoginError::Erase { registry: registry.to_owned(), source };
            was_there = helper.get(&self.places.search_path, registry).map_err(fail)?.is_some();
            helper.erase(&self.places.search_path, registry).map_err(fail)?;
        }
        if edited.remove(registry) {
            was_there = true;
            write(&edited)?;
        }
        Ok(was_there)
    }

    fn docker_file(&self) -> Result<PathBuf, StoreLoginError> {
        self.places.docker_file.clone().ok_or(StoreLoginError::NoPlace)
    }
}

/// Writes a changed file. Only the user can read the file. If the path is a link, the target of the link is written.
fn write(edited: &EditedFile) -> Result<(), StoreLoginError> {
    use std::io::Write as _;
    use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};

    let path = edited.path();
    let fail = |source| StoreLoginError::Write { path: path.to_owned(), source };
    let target = fs_err::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(fail)?;
    let mut staging = StagingFile::new_in(folder).map_err(fail)?;
    let file = staging.writer();
    file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(fail)?;
    file.write_all(edited.text().exposed().as_bytes()).and_then(|()| file.sync_all()).map_err(fail)?;
    staging.publish(&target).map_err(fail)
}

/// Returns an error with its cause, as one sentence.
fn in_words(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(cause) => format!("{error}: {cause}"),
        None => error.to_string(),
    }
}
