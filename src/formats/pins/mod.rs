//! The locks of Poetry, PDM and Pipenv as pins: distributions with exact versions and the digests of their files.

mod pdm;
mod pipenv;
mod poetry;

use std::collections::BTreeSet;

use thiserror::Error;

use crate::model::distribution_name::normalised;
use crate::model::indexes::IndexEntry;

/// A lock of another tool.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Pins {
    pub(crate) pins: Vec<Pin>,
    /// The indexes in the lock, except PyPI.
    pub(crate) indexes: Vec<IndexEntry>,
    /// The names of the groups in the lock. Only the locks of Pipenv have them.
    pub(crate) groups: Vec<String>,
}

/// A distribution of a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pin {
    /// The normalised name.
    pub(crate) name: String,
    /// The version. It is empty if the lock contains none, which may happen for a URL or a path.
    pub(crate) version: String,
    /// Hashes in the form `sha256:...`, for all files of the version.
    pub(crate) hashes: Vec<String>,
    /// The extras of this distribution that the project or other distributions require, if the lock contains them.
    pub(crate) extras: Vec<String>,
    /// The groups of the project to which this distribution belongs. The list is empty if the lock does not contain the
    /// groups.
    pub(crate) groups: Vec<String>,
    /// A marker as in PEP 508.
    pub(crate) marker: Option<String>,
    pub(crate) source: PinSource,
}

/// The source of a distribution in a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PinSource {
    /// The URL of the index is in [`Pins::indexes`]. It is `None` if the lock names no index or PyPI.
    Index(Option<String>),
    /// A URL in the form that PEP 508 has after the `@`, such as `git+https://host/repository@revision`.
    Url(String),
    /// A path, relative to the folder of the lock.
    Path(String),
}

/// The reason why a lock cannot be read.
#[derive(Debug, Error)]
pub(crate) enum PinsError {
    #[error("it is not valid TOML")]
    Toml(#[from] toml::de::Error),
    #[error("it is not valid JSON")]
    Json(#[from] serde_json::Error),
    #[error("its format has the version {found}, and lath reads {known}: write it again with a newer {tool}")]
    Version { tool: &'static str, found: String, known: &'static str },
}

impl Pins {
    /// Reads a `poetry.lock`.
    pub(crate) fn of_poetry(text: &str) -> Result<Self, PinsError> {
        poetry::read(text)
    }

    /// Reads a `pdm.lock`.
    pub(crate) fn of_pdm(text: &str) -> Result<Self, PinsError> {
        pdm::read(text)
    }

    /// Reads the default group of a `Pipfile.lock`, and the groups in `groups`.
    pub(crate) fn of_pipenv(text: &str, groups: &[String]) -> Result<Self, PinsError> {
        pipenv::read(text, groups)
    }

    /// Returns the name that a group has in `Pipfile.lock`. `name` may be that of its table in the `Pipfile`.
    pub(crate) fn pipenv_group(name: &str) -> String {
        pipenv::group(name)
    }

    /// Returns the names of the distributions that a `Pipfile` requires: its packages, and those of `groups`.
    pub(crate) fn names_of_pipfile(text: &str, groups: &[String]) -> Result<Vec<String>, PinsError> {
        let document: toml::Table = toml::from_str(text)?;
        let is_wanted = |name: &str| name == "packages" || groups.contains(&Self::pipenv_group(name));
        let tables = document.iter().filter(|(name, _)| is_wanted(name));
        let names = tables.filter_map(|(_, table)| table.as_table()).flat_map(|table| table.keys());
        Ok(names.map(|name| normalised(name)).collect())
    }

    /// Returns whether the lock contains this version of a distribution. A pin without a version allows every version.
    pub(crate) fn contains(&self, name: &str, version: &str) -> bool {
        self.pins.iter().any(|pin| pin.name == name && (pin.version.is_empty() || pin.version == version))
    }

    /// Returns the versions of a distribution in the lock. There may be several entries, because PDM lists a
    /// distribution once for each set of extras.
    pub(crate) fn versions(&self, name: &str) -> BTreeSet<&str> {
        self.pins.iter().filter(|pin| pin.name == name).map(|pin| pin.version.as_str()).collect()
    }
}

impl Pin {
    fn new(name: &str, version: &str) -> Self {
        Self {
            name: normalised(name),
            version: version.to_owned(),
            hashes: Vec::new(),
            extras: Vec::new(),
            groups: Vec::new(),
            marker: None,
            source: PinSource::Index(None),
        }
    }
}

/// Returns whether a URL is that of PyPI's index.
fn is_pypi(url: &str) -> bool {
    matches!(url.trim_end_matches('/'), "https://pypi.org/simple" | "https://pypi.python.org/simple")
}
