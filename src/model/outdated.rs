//! The differences between a lock and the current state of its indexes and archives.

use std::fmt;

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Outdated {
    pub(crate) newer: Vec<Newer>,
    pub(crate) dead: Vec<Dead>,
}

/// A version in the lock that would not be chosen today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Newer {
    pub(crate) kind: ParcelKind,
    pub(crate) name: String,
    pub(crate) locked: String,
    /// The version that would be chosen today. `None` if the request no longer needs the distribution.
    pub(crate) newest: Option<String>,
    /// The platforms to which the difference applies.
    pub(crate) platforms: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ParcelKind {
    Wheel,
    Deb,
}

impl fmt::Display for ParcelKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wheel => "wheel",
            Self::Deb => "deb",
        })
    }
}

/// A URL that no longer works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dead {
    pub(crate) url: String,
    pub(crate) problem: String,
}
