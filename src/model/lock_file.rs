//! The contents of a lock file that lath wrote, and how a build uses it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::model::digest::Digest;
use crate::model::indexes::IndexStrategy;
use crate::model::lock::PlatformLock;
use crate::model::options::{Prereleases, TrimLevel};
use crate::model::platform::{Platform, PythonVersion};
use crate::model::secret_text::SecretText;

/// The name of a lock in the current folder, if the user names none.
pub(crate) const DEFAULT_LOCK: &str = "pylock.toml";

/// A lock file that lath wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LockFile {
    /// As the user typed it.
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

/// The parts of a request that decide the contents of a lock. No URL in it has credentials.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct LockedRequest {
    /// The requirements of the command line and of all files, sorted, each in PEP 508's form with its hashes.
    pub(crate) requirements: Vec<String>,
    #[serde(default)]
    pub(crate) constraints: Vec<String>,
    pub(crate) python: PythonVersion,
    /// `debian:trixie`. It does not count if there is a base image of another distribution.
    pub(crate) base: String,
    /// The place of the base image, as in `--base`.
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
    /// Replaces PyPI.
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
}

fn is_false(value: &bool) -> bool {
    !value
}

/// The lock that an image is built from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LockRequest {
    pub(crate) file: LockFile,
    /// Whether the user's inputs must be those of the lock. If not, the inputs of the lock are used.
    pub(crate) compares_inputs: bool,
    /// The archive of packages that left the mirror. `None` means the distribution's own.
    pub(crate) snapshot: Option<SecretText>,
}
