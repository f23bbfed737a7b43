//! `pylock.toml`: a lock of Python packages (PEP 751; packaging.python.org, "pylock.toml Specification"). `lath_table`
//! is the part that only lath uses. `write` creates the text.
//!
//! Unknown keys are allowed, because later minor versions of the format may add keys.

pub(crate) mod lath_table;
mod write;

use std::collections::BTreeMap;

use serde::Deserialize;
use thiserror::Error;

use self::lath_table::{LathTable, LockedPlatform, TABLE_VERSION};
pub(crate) use self::write::text;

/// The version of the format that lath writes.
pub(crate) const LOCK_VERSION: &str = "1.0";
/// The maximum size of a lock. The size is limited, because the lock is held in memory.
pub(crate) const MAX_LOCK_BYTES: u64 = 32 << 20;

#[derive(Debug, Error)]
pub(crate) enum PylockError {
    #[error("it is not TOML")]
    Toml(#[source] Box<toml::de::Error>),
    #[error("it has no `lock-version`, so it is not a lock as in PEP 751")]
    NoVersion,
    #[error("its `lock-version` is `{found}`, and this lath reads version 1")]
    Version { found: String },
    #[error("its `[tool.lath]` table has version {found}, and this lath reads version {TABLE_VERSION}")]
    TableVersion { found: u32 },
    #[error("it does not have the form of a lock as in PEP 751")]
    Form(#[source] Box<toml::de::Error>),
    #[error("it has more than {max_bytes} bytes")]
    TooLarge { max_bytes: u64 },
}

/// A lock.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Pylock {
    pub(crate) lock_version: String,
    /// Markers (PEP 508). If there are any, the lock is valid only for environments that satisfy one of them.
    pub(crate) environments: Vec<String>,
    pub(crate) requires_python: Option<String>,
    pub(crate) extras: Vec<String>,
    pub(crate) dependency_groups: Vec<String>,
    pub(crate) default_groups: Vec<String>,
    pub(crate) created_by: String,
    pub(crate) packages: Vec<Package>,
    pub(crate) tool: Tool,
}

/// The tables of other tools and of lath. Only lath's table is read.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(crate) struct Tool {
    pub(crate) lath: Option<LathTable>,
}

/// A package. Either one of the fields `vcs`, `directory` and `archive` is set, or `sdist` or `wheels`.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: Option<String>,
    pub(crate) marker: Option<String>,
    pub(crate) requires_python: Option<String>,
    pub(crate) vcs: Option<Vcs>,
    pub(crate) directory: Option<Directory>,
    pub(crate) archive: Option<Archive>,
    pub(crate) sdist: Option<File>,
    pub(crate) wheels: Vec<File>,
}

/// A source tree in a repository.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Vcs {
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) url: Option<String>,
    pub(crate) path: Option<String>,
    pub(crate) requested_revision: Option<String>,
    pub(crate) commit_id: String,
    pub(crate) subdirectory: Option<String>,
}

/// A source tree on this machine.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Directory {
    /// The path, relative to the lock.
    pub(crate) path: String,
    pub(crate) editable: bool,
    pub(crate) subdirectory: Option<String>,
}

/// A wheel or a source distribution that a requirement names by URL or path.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct Archive {
    #[serde(flatten)]
    pub(crate) file: File,
    pub(crate) subdirectory: Option<String>,
}

/// A wheel or a source distribution.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct File {
    /// The file name. If it is missing, the last part of the URL or path is used.
    pub(crate) name: Option<String>,
    pub(crate) url: Option<String>,
    /// The path, relative to the lock.
    pub(crate) path: Option<String>,
    pub(crate) size: Option<u64>,
    /// The hashes in lower-case hexadecimal digits, by algorithm.
    pub(crate) hashes: BTreeMap<String, String>,
}

impl File {
    /// Returns the file name.
    pub(crate) fn file_name(&self) -> Option<String> {
        let place =
            || self.url.as_deref().map(|url| url.split(['#', '?']).next().unwrap_or(url)).or(self.path.as_deref());
        let last = || place().and_then(|place| place.rsplit('/').next()).map(decoded);
        self.name.clone().or_else(last).filter(|name| !name.is_empty() && !name.contains('/'))
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The result of reading a lock.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Read {
    pub(crate) lock: Pylock,
    /// Whether the minor version of the lock's format is later than the version that lath supports.
    pub(crate) is_newer: bool,
}

/// Reads a lock.
pub(crate) fn parse(text: &str) -> Result<Read, PylockError> {
    let table: toml::Table = toml::from_str(text).map_err(|error| PylockError::Toml(Box::new(error)))?;
    let version = table.get("lock-version").and_then(toml::Value::as_str).ok_or(PylockError::NoVersion)?;
    let refuse = || PylockError::Version { found: version.to_owned() };
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    if major != "1" {
        return Err(refuse());
    }
    let minor: u32 = minor.parse().map_err(|_| refuse())?;
    let own = |name: &str| table.get("tool")?.get("lath")?.get(name)?.as_integer();
    if let Some(found) = own("version").and_then(|found| u32::try_from(found).ok()).filter(|it| *it != TABLE_VERSION) {
        return Err(PylockError::TableVersion { found });
    }
    // Here, the text is parsed a second time. `table` could be converted instead, but the errors of such a conversion
    // contain no line numbers.
    let lock = toml::from_str(text).map_err(|error| PylockError::Form(Box::new(error)))?;
    Ok(Read { lock, is_newer: minor > 0 })
}

#[cfg(test)]
mod tests;
