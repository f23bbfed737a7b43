//! The lock of a platform: every wheel and .deb of a resolved request, with URL and sha256.

use serde::{Deserialize, Serialize};

use crate::model::digest::Digest;
use crate::model::hint::Hint;
use crate::model::platform::Platform;
use crate::model::reason::Why;
use crate::model::source::{BuiltFrom, BuiltPlace};
use crate::model::tree::Origin;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct PlatformLock {
    pub(crate) platform: Platform,
    /// The wheels, sorted by normalised name.
    pub(crate) wheels: Vec<LockedWheel>,
    /// The Debian packages, sorted by name.
    pub(crate) debs: Vec<LockedDeb>,
    /// Hints about programs and libraries that may be missing. Distributions of the lock are known to use them, but no
    /// package of the lock contains them. lath reports them and does not add them.
    pub(crate) hints: Vec<Hint>,
    /// The Release files of the archive from which the packages were chosen.
    pub(crate) releases: Vec<LockedRelease>,
    /// The base image to which the packages are added.
    pub(crate) base: Option<LockedBase>,
}

impl PlatformLock {
    /// A lock for tests.
    #[cfg(test)]
    pub(crate) fn example(wheels: Vec<LockedWheel>) -> Self {
        let platform = Platform { architecture: crate::model::platform::Architecture::Amd64 };
        Self { platform, wheels, debs: Vec::new(), hints: Vec::new(), releases: Vec::new(), base: None }
    }

    /// Returns the wheels that are built from source, with their builds.
    pub(crate) fn builds(&self) -> impl Iterator<Item = (&LockedWheel, &LockedBuild)> {
        self.wheels.iter().filter_map(|wheel| Some((wheel, wheel.built.as_deref()?)))
    }

    /// Returns whether the user requested the distribution by name.
    pub(crate) fn requests(&self, distribution: &str) -> bool {
        self.wheels.iter().any(|wheel| wheel.is_requested && wheel.name == distribution)
    }

    /// Returns the distributions that the user requested by name, sorted by name.
    pub(crate) fn requested(&self) -> Vec<&str> {
        self.wheels.iter().filter(|wheel| wheel.is_requested).map(|wheel| wheel.name.as_str()).collect()
    }

    /// Returns whether the user requested a script. This is so if the user requested the script's distribution, or a
    /// distribution with the same name as the script. The second rule is needed because, for example, the script
    /// `gitlint` is in `gitlint-core`, on which `gitlint` depends.
    pub(crate) fn requests_script(&self, distribution: &str, script: &str) -> bool {
        self.requests(distribution) || self.requests(&namesake(script))
    }
}

/// Returns the normalised name of the distribution that has the same name as the script.
pub(crate) fn namesake(script: &str) -> String {
    script.replace(['_', '.'], "-")
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LockedWheel {
    /// The normalised name (PEP 503), such as `pre-commit`.
    pub(crate) name: String,
    pub(crate) version: String,
    /// The wheel's file name.
    pub(crate) file_name: String,
    /// The URL, without credentials and without a fragment.
    pub(crate) url: String,
    pub(crate) digest: Digest,
    /// The size, if the index contains it.
    pub(crate) size_bytes: Option<u64>,
    /// Whether the user requested the distribution by name. If not, another distribution of the lock depends on it.
    pub(crate) is_requested: bool,
    /// The distributions of the lock that depend on it, sorted by name.
    pub(crate) required_by: Vec<String>,
    pub(crate) source: WheelSource,
    /// The source from which lath built the wheel. `None` if the wheel was downloaded.
    pub(crate) built: Option<Box<LockedBuild>>,
}

/// Everything that is needed to build a wheel again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct LockedBuild {
    pub(crate) from: BuiltFrom,
    /// All requirements of the build, including those that only the backend could name.
    pub(crate) requires: Vec<String>,
    /// The Debian packages that the build needs, sorted. The lock contains them and their dependencies.
    pub(crate) packages: Vec<String>,
    /// The lock of the tree in which the build runs. It contains the platform of that tree.
    pub(crate) tree: PlatformLock,
    /// The requirements of the wheel (`Requires-Dist`, `Requires-Python`), sorted.
    pub(crate) dependencies: Vec<String>,
}

/// The place that contains the URL or the path of a wheel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WheelSource {
    /// An index contains it.
    #[default]
    Index,
    /// A requirement contains its URL (PEP 508, "Direct references").
    Url,
    /// A requirement contains the wheel's path on this machine. In this case, `url` begins with `file:`.
    Path,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LockedDeb {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) architecture: String,
    pub(crate) url: String,
    /// Other URLs of the same file. These URLs are used if the server no longer has the file at `url`.
    #[serde(default)]
    pub(crate) other_urls: Vec<String>,
    pub(crate) digest: Digest,
    pub(crate) size_bytes: u64,
    pub(crate) why: Why,
    /// The packages of the lock that depend on it, sorted by name.
    pub(crate) required_by: Vec<String>,
    /// Whether every image with this Python contains the package. The value is false if the user named the package.
    pub(crate) is_base: bool,
}

/// A signed Release file that was used for a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct LockedRelease {
    /// For example `trixie-security`.
    pub(crate) suite: String,
    /// The URL of the archive, without credentials.
    pub(crate) mirror: String,
    /// The `Date` of the file, as in RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) date: Option<String>,
    /// The fingerprints of the keys that signed it, in lower-case hexadecimal digits.
    pub(crate) keys: Vec<String>,
}

/// The base image of a platform.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) struct LockedBase {
    /// The base image, as in `--base`.
    pub(crate) source: String,
    /// The digest of its manifest for this platform.
    pub(crate) digest: Digest,
    /// The digest of the index with all platforms, if the image's name refers to an index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) index: Option<Digest>,
}

/// A parcel of a lock.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Parcel<'a> {
    Deb(&'a LockedDeb),
    Wheel(&'a LockedWheel),
}

impl Parcel<'_> {
    /// Returns the name of its file.
    pub(crate) fn file_name(&self) -> String {
        match self {
            Self::Deb(deb) => deb.file_name(),
            Self::Wheel(wheel) => wheel.file_name.clone(),
        }
    }

    pub(crate) fn digest(&self) -> Digest {
        match self {
            Self::Deb(deb) => deb.digest,
            Self::Wheel(wheel) => wheel.digest,
        }
    }
}

impl LockedWheel {
    /// Returns the place of the source. Returns `None` if the wheel is not built from source.
    pub(crate) fn built_place(&self) -> Option<&BuiltPlace> {
        self.built.as_deref().map(|build| &build.from.place)
    }

    /// Returns whether the wheel is built from a folder on this machine. Files in that folder may change.
    pub(crate) fn is_of_folder(&self) -> bool {
        matches!(self.built_place(), Some(BuiltPlace::Folder(_)))
    }

    pub(crate) fn origin(&self) -> Origin {
        Origin::Wheel { name: self.name.clone(), version: self.version.clone() }
    }
}

impl LockedDeb {
    /// Returns whether the user named this package. `packages` are the packages of the request.
    pub(crate) fn is_named(&self, packages: &[String]) -> bool {
        matches!(self.why, Why::Named { .. }) || packages.contains(&self.name)
    }

    /// Returns the name of its file, such as `libc6_2.41-12_amd64.deb`.
    pub(crate) fn file_name(&self) -> String {
        format!("{}_{}_{}.deb", self.name, self.version, self.architecture)
    }

    pub(crate) fn origin(&self) -> Origin {
        Origin::Deb { name: self.name.clone(), version: self.version.clone() }
    }
}

#[cfg(test)]
impl LockedDeb {
    /// Returns a package without contents, which tests can change.
    pub(crate) fn example(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: "1".to_owned(),
            architecture: "amd64".to_owned(),
            url: String::new(),
            other_urls: Vec::new(),
            digest: Digest::of(b""),
            size_bytes: 0,
            why: Why::Interpreter,
            required_by: Vec::new(),
            is_base: false,
        }
    }
}
