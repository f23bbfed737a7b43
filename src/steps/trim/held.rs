//! The paths that must stay: those that match the user's `--keep` patterns, and the files of the application and of the
//! base image.

use std::collections::BTreeSet;

use crate::model::glob;
use crate::model::image_path::ImagePath;
use crate::model::reason::Kept;
use crate::model::tree::{Node, Origin, Tree};

/// The paths that must stay. No rule can remove or change them.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The paths that match a pattern. If such a path is a symbolic link, the target of the link must stay, too.
    paths: BTreeSet<ImagePath>,
    /// The paths that a check needs. If one is a link, its target must stay, too.
    put_back: BTreeSet<ImagePath>,
    /// The files of the application and of the base image.
    others: BTreeSet<ImagePath>,
    /// The parent directories of all these paths.
    parents: BTreeSet<ImagePath>,
}

impl Held {
    pub(super) fn of(tree: &Tree, patterns: &[String], put_back: &BTreeSet<ImagePath>) -> Self {
        let mut held = Self::default();
        let is_match = |path: &ImagePath| patterns.iter().any(|pattern| glob::matches(pattern, path.as_str()));
        for path in tree.nodes.keys().filter(|path| is_match(path)) {
            held.paths.insert(path.clone());
            held.paths.extend(tree.canonical(path));
        }
        held.put_back =
            put_back.iter().cloned().chain(put_back.iter().filter_map(|path| tree.canonical(path))).collect();
        let is_of_others = |node: &&(&ImagePath, &Node)| matches!(node.1.origin, Origin::Application | Origin::Base);
        held.others.extend(tree.nodes.iter().filter(|node| is_of_others(&node)).map(|(path, _)| path.clone()));
        for path in held.paths.iter().chain(&held.put_back).chain(&held.others) {
            let mut above = path.parent();
            while let Some(parent) = above {
                above = parent.parent();
                held.parents.insert(parent);
            }
        }
        held
    }

    /// Returns whether the path must stay.
    pub(super) fn has(&self, path: &ImagePath) -> bool {
        self.paths.contains(path)
            || self.put_back.contains(path)
            || self.others.contains(path)
            || self.parents.contains(path)
    }

    /// Returns the reason why the path itself must stay. `None` if only a path below it must stay.
    pub(super) fn reason(&self, path: &ImagePath) -> Option<Kept> {
        let of_user = self.paths.contains(path).then_some(Kept::Pattern);
        of_user.or_else(|| self.put_back.contains(path).then_some(Kept::PutBack))
    }
}
