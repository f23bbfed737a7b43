//! Options of a request that a lock contains too.

use serde::{Deserialize, Serialize};

/// Which pre-release versions the resolver may choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Prereleases {
    Disallow,
    Allow,
    /// For a package that has no other fitting version, or whose requirement names a pre-release version.
    IfNecessary,
    /// For a package whose requirement names a pre-release version.
    Explicit,
}

/// How much trim removes. Each level removes everything that the levels before it remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum TrimLevel {
    None,
    Standard,
    /// Also modules that no program of the image can import.
    Reach,
    /// Also modules and data that no check and no record has used, and to which no import statement leads.
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
