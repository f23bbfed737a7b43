//! The result of the step assemble: the untrimmed tree, and the programs in it.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::model::facts::TreeFacts;
use crate::model::image_path::ImagePath;
use crate::model::tree::Tree;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Assembly {
    pub(crate) tree: Tree,
    /// The facts about the files of the tree.
    #[serde(skip)]
    pub(crate) facts: TreeFacts,
    /// The files of the base image that packages replaced by others. No rule removes them, because other programs of the
    /// base image may need them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) replaced: BTreeSet<ImagePath>,
    /// The scripts, sorted by name.
    pub(crate) scripts: Vec<InstalledScript>,
    /// The distributions that the user named, sorted by name.
    pub(crate) programs: Vec<Program>,
    /// Messages for the user, such as a maintainer script that lath does not support.
    pub(crate) notes: Vec<String>,
}

/// A requested distribution and its metadata.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Program {
    /// The normalised name.
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) summary: Option<String>,
    /// The licenses as an SPDX expression.
    pub(crate) licenses: Option<String>,
    pub(crate) homepage: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) documentation: Option<String>,
}

/// An executable file in the user base.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct InstalledScript {
    pub(crate) name: String,
    /// The normalised name of its distribution.
    pub(crate) distribution: String,
    /// The module of the entry point. `None` if the wheel contains the script as a file.
    pub(crate) module: Option<String>,
    pub(crate) attribute: Option<String>,
    /// Whether the user requested this script, see [`crate::model::lock::PlatformLock::requests_script`].
    pub(crate) is_requested: bool,
}
