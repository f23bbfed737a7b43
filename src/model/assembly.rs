//! What assemble hands on: the whole tree, and the programs in it.

use serde::{Deserialize, Serialize};

use crate::model::tree::Tree;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Assembly {
    pub(crate) tree: Tree,
    /// By name.
    pub(crate) scripts: Vec<InstalledScript>,
    /// What the user asked for by name, by name.
    pub(crate) programs: Vec<Program>,
    /// What the user should know: a maintainer script that lath does not know.
    pub(crate) notes: Vec<String>,
}

/// A requested distribution, and what it says of itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Program {
    /// Normalised.
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) summary: Option<String>,
    /// An SPDX expression.
    pub(crate) licenses: Option<String>,
    pub(crate) homepage: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) documentation: Option<String>,
}

/// An executable of the user base.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct InstalledScript {
    pub(crate) name: String,
    /// The normalised name of its distribution.
    pub(crate) distribution: String,
    /// The entry point's module; `None` for a script that came as a file.
    pub(crate) module: Option<String>,
    pub(crate) attribute: Option<String>,
    /// Whether the user asked for it: [`crate::model::lock::PlatformLock::requests_script`].
    pub(crate) is_requested: bool,
}
