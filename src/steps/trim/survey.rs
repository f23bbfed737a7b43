//! Surveys the dependencies and names in the files of each origin.

use std::collections::{BTreeMap, BTreeSet};

use super::Base;
use crate::model::facts::{Linkage, TreeFacts};
use crate::model::image_path::ImagePath;
use crate::model::tree::{Origin, Tree};

/// The requirements of the files of one origin.
#[derive(Debug, Default)]
pub(super) struct Survey<'a> {
    /// Its ELF files.
    pub(super) elf: BTreeMap<ImagePath, &'a Linkage>,
    /// Libraries that its files name. Empty for a package of the base.
    pub(super) named_libraries: BTreeSet<&'a str>,
    /// Words of [`crate::model::vocabulary`] that occur in its files. Empty for a package of the base.
    pub(super) mentions: BTreeSet<&'a str>,
}

/// Returns whether one of `words` occurs in a file of a wheel, of the user, or of a package outside the base.
pub(super) fn is_mentioned(surveys: &BTreeMap<Origin, Survey<'_>>, words: &[&str]) -> bool {
    surveys.values().any(|survey| words.iter().any(|word| survey.mentions.contains(word)))
}

/// Surveys every package, every distribution and the user's files in `tree`. Files that lath wrote are left out because
/// they name everything in the image but need none of it.
pub(super) fn surveys<'a>(tree: &Tree, base: &Base, facts: &'a TreeFacts) -> BTreeMap<Origin, Survey<'a>> {
    let mut surveys: BTreeMap<Origin, Survey<'a>> = BTreeMap::new();
    for (path, node) in &tree.nodes {
        let Some(facts) = facts.of(node).filter(|_| node.origin != Origin::Lath) else { continue };
        let is_of_base = base.has(&node.origin);
        let survey = surveys.entry(node.origin.clone()).or_default();
        if let Some(linkage) = facts.linkage().filter(|_| !is_of_base || is_loaded(path)) {
            survey.elf.insert(path.clone(), linkage);
        }
        if !is_of_base {
            survey.named_libraries.extend(facts.libraries.iter().map(String::as_str));
            survey.mentions.extend(facts.mentions.iter().map(String::as_str));
        }
    }
    surveys
}

/// Returns whether a file of the base can be a library or a program. Its other ELF files are data.
fn is_loaded(path: &ImagePath) -> bool {
    path.file_name().contains(".so") || path.is_within("/usr/bin") || path.is_within("/usr/sbin")
}
