//! The files in which Docker (`config.json`) and Podman (`auth.json`, containers-auth.json(5)) keep credentials for
//! registries. Both have the same format.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fs_err as fs;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::catalog::registries;
use crate::model::hint::Hints;
use crate::model::secret::Secret;
use crate::outside::credentials::helper::Helper;
use crate::outside::credentials::{Login, RegistryLogin};

/// A larger file is not a configuration.
const MAX_BYTES: u64 = 16 << 20;

/// The contents of a file with credentials.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct AuthFile {
    auths: Option<BTreeMap<String, Option<Auth>>>,
    cred_helpers: Option<BTreeMap<String, String>>,
    creds_store: Option<String>,
}

/// The entry of a registry or of a repository. If a helper program stores the credentials, the entry is empty.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Auth {
    /// `NAME:PASSWORD` in base64.
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    /// A token that the token server exchanges for other tokens.
    identitytoken: Option<String>,
    /// A token for the registry itself.
    registrytoken: Option<String>,
}

#[derive(Debug, Error)]
pub(crate) enum AuthFileError {
    #[error("cannot read `{path}`")]
    Read { path: PathBuf, source: io::Error },
    /// The cause is left out, because it may quote the contents of the file.
    #[error("cannot read `{path}`: line {line}, column {column} is not JSON of the form that Docker and Podman write")]
    Form { path: PathBuf, line: usize, column: usize },
    #[error("cannot read the entry `{key}` of `{path}`: `auth` must be the base64 of `NAME:PASSWORD`")]
    Entry { path: PathBuf, key: String },
}

impl Hints for AuthFileError {}

impl AuthFile {
    /// Reads the file. Returns `None` if it does not exist.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, AuthFileError> {
        let Some(text) = text_of(path)? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|error| form(path, &error))
    }

    /// Returns the program that keeps the credentials of a registry.
    pub(super) fn helper(&self, registry: &str) -> Option<Helper> {
        let of_registry = self.cred_helpers.iter().flatten().find(|(key, _)| registries::of_key(key) == registry);
        let name = of_registry.map(|(_, name)| name).or(self.creds_store.as_ref());
        name.filter(|name| !name.is_empty()).map(|name| Helper::new(name))
    }

    /// Returns the credentials in the file itself, for a repository of a registry. An entry for the repository or for a
    /// namespace is preferred to an entry for the registry (containers-auth.json(5)).
    pub(super) fn login(
        &self,
        path: &Path,
        registry: &str,
        repository: &str,
    ) -> Result<Option<RegistryLogin>, AuthFileError> {
        let whole = format!("{registry}/{repository}");
        let mut place = whole.trim_end_matches('/');
        loop {
            let entries = self.auths.iter().flatten().filter(|(key, _)| registries::of_key(key) == place);
            for (key, auth) in entries {
                let Some(auth) = auth else { continue };
                let unreadable = || AuthFileError::Entry { path: path.to_owned(), key: key.clone() };
                if let Some(login) = auth.login().ok_or_else(unreadable)? {
                    return Ok(Some(login));
                }
            }
            if place == registry {
                return Ok(None);
            }
            place = place.rsplit_once('/').map_or(registry, |(parent, _)| parent);
        }
    }
}

impl Auth {
    /// Returns the credentials of an entry, or `Some(None)` if the entry has none. Returns `None` if the credentials
    /// cannot be read.
    fn login(&self) -> Option<Option<RegistryLogin>> {
        let filled = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        if let Some(token) = filled(&self.registrytoken) {
            return Some(Some(RegistryLogin::Bearer(token.into())));
        }
        let pair = match filled(&self.auth) {
            Some(auth) => {
                let bytes = STANDARD.decode(auth.trim()).ok()?;
                let text = String::from_utf8(bytes).ok()?;
                let (user, password) = text.split_once(':')?;
                // Docker for Windows wrote zero bytes at the end.
                Some((user.to_owned(), password.trim_end_matches('\0').to_owned()))
            }
            None => filled(&self.username).zip(filled(&self.password)),
        };
        if let Some(token) = filled(&self.identitytoken) {
            return Some(Some(RegistryLogin::Identity(token.into())));
        }
        Some(pair.map(|(user, password)| RegistryLogin::Password(Login { user, password })))
    }
}

/// A file in which lath changes the credentials. Other settings in the file are preserved.
pub(super) struct EditedFile {
    path: PathBuf,
    /// The contents before the change.
    read: AuthFile,
    whole: Map<String, Value>,
}

impl EditedFile {
    /// Reads the file. If it does not exist, the contents are empty.
    pub(super) fn open(path: &Path) -> Result<Self, AuthFileError> {
        let path = path.to_owned();
        let Some(text) = text_of(&path)? else {
            return Ok(Self { path, read: AuthFile::default(), whole: Map::new() });
        };
        // If lath cannot read the file, lath must not change it either.
        let read = serde_json::from_str(&text).map_err(|error| form(&path, &error))?;
        let whole = serde_json::from_str(&text).map_err(|error| form(&path, &error))?;
        Ok(Self { path, read, whole })
    }

    /// Returns the program that keeps the credentials of a registry.
    pub(super) fn helper(&self, registry: &str) -> Option<Helper> {
        self.read.helper(registry)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Sets the entry of a registry. Without a login, the entry is empty, because a program keeps the credentials.
    pub(super) fn set(&mut self, registry: &str, login: Option<&Login>) {
        self.remove(registry);
        let entry = match login {
            Some(login) => json!({ "auth": STANDARD.encode(format!("{}:{}", login.user, login.password)) }),
            None => json!({}),
        };
        let auths = self.whole.entry("auths").or_insert_with(|| json!({}));
        if auths.is_null() {
            *auths = json!({});
        }
        if let Value::Object(auths) = auths {
            auths.insert(registries::docker_key(registry).to_owned(), entry);
        }
    }

    /// Removes all entries of a registry. Returns whether there was one.
    pub(super) fn remove(&mut self, registry: &str) -> bool {
        let Some(Value::Object(auths)) = self.whole.get_mut("auths") else { return false };
        let before = auths.len();
        auths.retain(|key, _| registries::of_key(key) != registry);
        auths.len() < before
    }

    /// Returns the new text.
    pub(super) fn text(&self) -> Secret {
        let text = serde_json::to_string_pretty(&self.whole);
        // Writing a JSON value as text does not fail.
        Secret::from(text.unwrap_or_default() + "\n")
    }
}

fn text_of(path: &Path) -> Result<Option<String>, AuthFileError> {
    let fail = |source| AuthFileError::Read { path: path.to_owned(), source };
    match fs::metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(fail(error)),
        Ok(file) if !file.is_file() || file.len() > MAX_BYTES => {
            return Err(fail(io::Error::new(io::ErrorKind::InvalidData, "this is not a file of a configuration")));
        }
        Ok(_) => {}
    }
    let text = fs::read_to_string(path).map_err(fail)?;
    // `docker logout` and Podman may leave an empty file.
    Ok((!text.trim().is_empty()).then_some(text))
}

fn form(path: &Path, error: &serde_json::Error) -> AuthFileError {
    AuthFileError::Form { path: path.to_owned(), line: error.line(), column: error.column() }
}
