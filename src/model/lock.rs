//! The lock: every wheel and .deb that a request comes to, with URL and sha256, for every platform.

use serde::{Deserialize, Serialize};

use crate::model::digest::Digest;
use crate::model::platform::{Platform, PythonVersion};
use crate::model::request::BaseRequest;
use crate::model::tree::Origin;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lock {
    pub(crate) python: PythonVersion,
    pub(crate) base: BaseRequest,
    /// One for each platform asked for, in that order.
    pub(crate) platforms: Vec<PlatformLock>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PlatformLock {
    pub(crate) platform: Platform,
    /// By normalised name.
    pub(crate) wheels: Vec<LockedWheel>,
    /// By package name.
    pub(crate) debs: Vec<LockedDeb>,
    /// Programs that a package is known to call and that nothing brings: pointed out, not added.
    pub(crate) hints: Vec<String>,
}

impl PlatformLock {
    /// Whether the user asked for the distribution by name.
    pub(crate) fn requests(&self, distribution: &str) -> bool {
        self.wheels.iter().any(|wheel| wheel.is_requested && wheel.name == distribution)
    }

    /// Whether the user asked for a script: by its distribution, or by one of the script's own name that brings along
    /// what carries it, as `gitlint` does `gitlint-core`.
    pub(crate) fn requests_script(&self, distribution: &str, script: &str) -> bool {
        self.requests(distribution) || self.requests(&namesake(script))
    }
}

/// The normalised name of the distribution that bears a script's.
pub(crate) fn namesake(script: &str) -> String {
    script.replace(['_', '.'], "-")
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LockedWheel {
    /// The normalised name (PEP 503): `pre-commit`.
    pub(crate) name: String,
    pub(crate) version: String,
    /// The wheel's file name.
    pub(crate) file_name: String,
    /// Without credentials and fragment.
    pub(crate) url: String,
    pub(crate) digest: Digest,
    /// Where the index tells it.
    pub(crate) size_bytes: Option<u64>,
    /// Whether the user asked for it by name, and not another distribution.
    pub(crate) is_requested: bool,
    pub(crate) source: WheelSource,
}

/// Who named a wheel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum WheelSource {
    /// An index lists it.
    #[default]
    Index,
    /// A requirement has its URL (PEP 508, "Direct references").
    Url,
    /// A requirement has its path on this machine; its `url` begins with `file:` then.
    Path,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LockedDeb {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) architecture: String,
    pub(crate) url: String,
    pub(crate) digest: Digest,
    pub(crate) size_bytes: u64,
    /// What asked for it: ``the interpreter``, `` `--with git` ``, `` `libfoo.so.1`, which wheel bar needs ``, ``needed by python3.13``.
    pub(crate) reason: String,
    /// Whether every image of this Python has it, and the user did not name it.
    pub(crate) is_base: bool,
}

impl LockedWheel {
    pub(crate) fn origin(&self) -> Origin {
        Origin::Wheel { name: self.name.clone(), version: self.version.clone() }
    }
}

impl LockedDeb {
    /// How [`LockedDeb::reason`] begins for an essential package that another one's scripts run.
    pub(crate) const RUN_BY: &str = "run by scripts of ";

    pub(crate) fn origin(&self) -> Origin {
        Origin::Deb { name: self.name.clone(), version: self.version.clone() }
    }

    /// Whether only another Debian package asked for it.
    pub(crate) fn is_dependency(&self) -> bool {
        self.reason.starts_with("needed by ")
    }

    /// Whether a library of a wheel links against one of its own.
    pub(crate) fn is_needed_by_wheel(&self) -> bool {
        self.reason.contains(", which wheel ")
    }
}

/// One archive of a lock.
#[derive(Debug, Clone)]
pub(crate) enum Parcel {
    Deb(LockedDeb),
    Wheel(LockedWheel),
}
