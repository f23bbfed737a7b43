//! Those options of a request that are also written into a lock.

use serde::{Deserialize, Serialize};

/// Which pre-release versions the resolver may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Prereleases {
    Disallow,
    Allow,
    /// Allows pre-releases of a distribution if no other version fits, or if a requirement names a pre-release version
    /// of it.
    IfNecessary,
    /// Allows pre-releases of a distribution only if a requirement names a pre-release version of it.
    Explicit,
}

/// How much trim removes. Each level also removes everything that lower levels remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TrimLevel {
    None,
    Standard,
    /// Also removes modules that no program of the image can import.
    Reach,
    /// Also removes modules and data that no check and no record has used. A module that an import statement of a kept
    /// module imports is kept, too.
    Trace,
}

impl TrimLevel {
    /// Returns the word for `--trim`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Standard => "standard",
            Self::Reach => "reach",
            Self::Trace => "trace",
        }
    }
}
