//! The source of a path of a tree, such as a parcel or the user.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The source of a path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "kind")]
pub(crate) enum Origin {
    /// A Debian package.
    Deb { name: String, version: String },
    /// A Python distribution.
    Wheel { name: String, version: String },
    /// A layer of the base image.
    Base,
    /// lath itself. It writes files that a maintainer script or an installer would have written.
    Lath,
    /// A file of the user (`--copy`).
    User,
    /// A file of the user's application.
    Application,
}

impl Origin {
    /// Returns the name of the Debian package.
    pub(crate) fn package(&self) -> Option<&str> {
        match self {
            Self::Deb { name, .. } => Some(name),
            Self::Wheel { .. } | Self::Base | Self::Lath | Self::User | Self::Application => None,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Deb { name, .. } => write!(f, "deb {name}"),
            Self::Wheel { name, .. } => write!(f, "wheel {name}"),
            Self::Base => f.write_str("base image"),
            Self::Lath => f.write_str("lath"),
            Self::User => f.write_str("user"),
            Self::Application => f.write_str("application"),
        }
    }
}
