//! The table `[tool.lath]` of a lock. It contains the Debian half, and the request for which the lock was written.

use serde::{Deserialize, Serialize};

use crate::model::digest::Digest;
use crate::model::lock::{LockedBase, LockedDeb, LockedRelease, WheelSource};
use crate::model::lock_file::LockedRequest;
use crate::model::reason::Why;

/// The version of the table. It must be increased if an older lath would misunderstand a newer table.
pub(crate) const TABLE_VERSION: u32 = 1;

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct LathTable {
    pub(crate) version: u32,
    /// The version of lath that wrote the lock.
    pub(crate) lath: String,
    pub(crate) request: LockedRequest,
    pub(crate) platforms: Vec<LockedPlatform>,
    #[serde(default)]
    pub(crate) builders: Vec<Builder>,
    #[serde(default)]
    pub(crate) builds: Vec<Build>,
}

/// Both halves of one platform.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct LockedPlatform {
    /// Such as `linux/amd64`.
    pub(crate) platform: String,
    #[serde(default)]
    pub(crate) releases: Vec<LockedRelease>,
    /// The base image.
    #[serde(default)]
    pub(crate) base: Option<LockedBase>,
    #[serde(default)]
    pub(crate) wheels: Vec<PlatformWheel>,
    #[serde(default)]
    pub(crate) debs: Vec<PlatformDeb>,
    /// Libraries for which no package was found.
    #[serde(default)]
    pub(crate) missing: Vec<MissingLibraries>,
}

/// Libraries that a wheel needs but that are in no known package.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct MissingLibraries {
    pub(crate) wheel: String,
    pub(crate) sonames: Vec<String>,
}

/// A wheel of a platform. Its URL, size and hashes are in `[[packages]]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct PlatformWheel {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The name of the wheel's file.
    pub(crate) file: String,
    #[serde(default, skip_serializing_if = "is_of_index")]
    pub(crate) source: WheelSource,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) requested: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) required_by: Vec<String>,
    /// Set if the wheel is built from source. This is the sha256 that the wheel had when the lock was written. The
    /// wheel's entry in `builds` contains the same sha256.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) built: Option<Digest>,
}

/// The Debian half of the tree in which sources are built. Several builds may use the same tree.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Builder {
    /// The platform on which the builds run, such as `linux/amd64`.
    pub(crate) platform: String,
    #[serde(default)]
    pub(crate) releases: Vec<LockedRelease>,
    #[serde(default)]
    pub(crate) debs: Vec<PlatformDeb>,
}

/// The build of a wheel. Its source is in `[[packages]]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct Build {
    pub(crate) name: String,
    /// The file name of the wheel.
    pub(crate) file: String,
    /// The size and the sha256 of the wheel.
    pub(crate) size: u64,
    pub(crate) wheel: Digest,
    /// The sha256 of the archive with the source. If the source is a folder or a commit, lath creates this archive.
    pub(crate) source: Digest,
    /// Whether the archive with the source contains the history of a repository.
    #[serde(default)]
    pub(crate) history: bool,
    /// The position of the builder in `builders`. The first builder has the position 0.
    pub(crate) builder: usize,
    /// All requirements of the build.
    #[serde(default)]
    pub(crate) requires: Vec<String>,
    /// The Debian packages that the build needs. The builder contains them and their dependencies.
    #[serde(default)]
    pub(crate) packages: Vec<String>,
    /// The requirements of the wheel.
    #[serde(default)]
    pub(crate) dependencies: Vec<String>,
    /// The wheels in the tree for the build. They are not in `[[packages]]`, because the image does not contain them.
    #[serde(default)]
    pub(crate) wheels: Vec<BuildWheel>,
}

/// A wheel that is needed for a build.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct BuildWheel {
    pub(crate) name: String,
    pub(crate) version: String,
    /// The name of the wheel's file.
    pub(crate) file: String,
    /// The URL without credentials. If the wheel is built from source, this is the URL of the source.
    pub(crate) url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) size: Option<u64>,
    pub(crate) sha256: Digest,
    #[serde(default, skip_serializing_if = "is_of_index")]
    pub(crate) source: WheelSource,
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) requested: bool,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) required_by: Vec<String>,
    /// Whether the wheel is built from source. If so, one of the builds contains its sha256.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) built: bool,
    /// The commit, if the source is a repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) commit: Option<String>,
    /// The folder of the project inside the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) subdirectory: Option<String>,
}

/// A Debian package of a platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct PlatformDeb {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) architecture: String,
    /// The URL without credentials.
    pub(crate) url: String,
    pub(crate) size: u64,
    pub(crate) sha256: Digest,
    pub(crate) why: Why,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) required_by: Vec<String>,
    /// Whether every image with this Python contains this package.
    #[serde(default, skip_serializing_if = "is_false")]
    pub(crate) base: bool,
}

impl From<&LockedDeb> for PlatformDeb {
    fn from(deb: &LockedDeb) -> Self {
        Self {
            name: deb.name.clone(),
            version: deb.version.clone(),
            architecture: deb.architecture.clone(),
            url: deb.url.clone(),
            size: deb.size_bytes,
            sha256: deb.digest,
            why: deb.why.clone(),
            required_by: deb.required_by.clone(),
            base: deb.is_base,
        }
    }
}

impl From<&PlatformDeb> for LockedDeb {
    fn from(deb: &PlatformDeb) -> Self {
        Self {
            name: deb.name.clone(),
            version: deb.version.clone(),
            architecture: deb.architecture.clone(),
            url: deb.url.clone(),
            other_urls: Vec::new(),
            digest: deb.sha256,
            size_bytes: deb.size,
            why: deb.why.clone(),
            required_by: deb.required_by.clone(),
            is_base: deb.base,
        }
    }
}

fn is_false(value: &bool) -> bool {
    !value
}

fn is_of_index(source: &WheelSource) -> bool {
    *source == WheelSource::Index
}
