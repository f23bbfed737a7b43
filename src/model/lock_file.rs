//! The contents of a lock file that lath wrote, and how builds use it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::digest::Digest;
use crate::model::indexes::IndexStrategy;
use crate::model::lock::PlatformLock;
use crate::model::options::{Prereleases, TrimLevel};
use crate::model::path_key;
use crate::model::platform::{Platform, PythonVersion};
use crate::model::project::Extras;
use crate::model::secret_text::SecretText;

/// The file name of a lock in the current folder. This file is used if the user names no lock.
pub(crate) const DEFAULT_LOCK: &str = "pylock.toml";

/// A lock file that lath wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LockFile {
    /// The path as the user typed it.
    pub(crate) path: PathBuf,
    /// The digest of its bytes.
    pub(crate) digest: Digest,
    pub(crate) request: LockedRequest,
    pub(crate) platforms: Vec<PlatformLock>,
}

impl LockFile {
    pub(crate) fn of_platform(&self, platform: Platform) -> Option<&PlatformLock> {
        self.platforms.iter().find(|lock| lock.platform == platform)
    }
}

/// The parts of a request on which the contents of a lock depend. The URLs in this value contain no credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct LockedRequest {
    /// The requirements of the command line and of all files, sorted. Each has the form of PEP 508, with its hashes.
    pub(crate) requirements: Vec<String>,
    #[serde(default)]
    pub(crate) constraints: Vec<String>,
    /// Whether the image also contains files of an application or a script. The lock does not contain these files.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) has_application: bool,
    pub(crate) python: PythonVersion,
    /// The release, such as `debian:trixie`. The release is ignored if there is a base image that is not Debian or
    /// Ubuntu.
    pub(crate) base: String,
    /// The base image, as in `--base`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) base_image: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) no_base_packages: bool,
    #[serde(default)]
    pub(crate) with: Vec<String>,
    #[serde(default)]
    pub(crate) recommends: bool,
    #[serde(default)]
    pub(crate) shell: bool,
    pub(crate) trim: TrimLevel,
    pub(crate) prerelease: Prereleases,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) exclude_newer: Option<String>,
    /// The index that replaces PyPI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) default_index: Option<String>,
    #[serde(default)]
    pub(crate) indexes: Vec<String>,
    #[serde(default)]
    pub(crate) find_links: Vec<String>,
    #[serde(default)]
    pub(crate) no_index: bool,
    #[serde(default)]
    pub(crate) index_strategy: IndexStrategy,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) torch_backend: Option<String>,
    /// How distributions are built from source.
    #[serde(default, skip_serializing_if = "LockedBuilds::is_default")]
    pub(crate) builds: LockedBuilds,
}

/// A `pylock.toml` of another tool, and those of its optional parts that are installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct ForeignLock {
    /// The path as the user typed it.
    #[serde(serialize_with = "path_key::one")]
    pub(crate) path: PathBuf,
    pub(crate) extras: Extras,
    /// The groups that are installed in addition to the default groups.
    pub(crate) groups: Vec<String>,
}

/// The options with which a lock was written and that apply to builds from source.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub(crate) struct LockedBuilds {
    /// Debian packages that builds need.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) with: Vec<String>,
    #[serde(skip_serializing_if = "is_false")]
    pub(crate) no_build: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) no_build_package: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) no_binary_package: Vec<String>,
    /// Settings in the form `KEY=VALUE`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) config_setting: Vec<String>,
}

impl LockedBuilds {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

/// The lock from which an image is built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LockRequest {
    pub(crate) file: LockFile,
    /// Whether the user's inputs must be the same as the inputs in the lock. If this is false, the inputs in the lock
    /// are used.
    pub(crate) compares_inputs: bool,
    /// Whether the lock is used as it is, even if the project has changed.
    pub(crate) is_frozen: bool,
    /// The archive of snapshots, which still has the packages that the mirror no longer has. `None` means the archive
    /// of Debian or Ubuntu itself.
    pub(crate) snapshot: Option<SecretText>,
}
