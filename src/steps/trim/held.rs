//! The paths that must stay: those that match the user's `--keep` patterns, and the files of the application and of the
//! base image.

use std::collections::BTreeSet;

use crate::model::assembly::Assembly;
use crate::model::glob;
use crate::model::image_path::ImagePath;
use crate::model::reason::Kept;
use crate::model::tree::{Node, Origin};

/// The paths that must stay. No rule can remove or change them.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// The paths that match a pattern. If such a path is a symbolic link, the target of the link must stay, too.
    paths: BTreeSet<ImagePath>,
    /// The paths that a check needs. If such a path is a symbolic link, the target of the link must stay, too.
    put_back: BTreeSet<ImagePath>,
    /// The files of the application and of the base image, also if a package has replaced them.
    others: BTreeSet<ImagePath>,
    /// The parent directories of all paths above.
    parents: BTreeSet<ImagePath>,
}

impl Held {
    pub(super) fn of(whole: &Assembly, patterns: &[String], put_back: &BTreeSet<ImagePath>) -> Self {
        let tree = &whole.tree;
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
        held.others.extend(whole.replaced.iter().filter(|path| tree.nodes.contains_key(*path)).cloned());
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;

    #[test]
    fn a_file_of_the_base_image_stays_even_if_a_package_replaced_it() {
        let path = |text: &str| ImagePath::parse(text).unwrap();
        let mut whole = Assembly::default();
        let origin = Origin::Deb { name: "x".to_owned(), version: "2".to_owned() };
        for text in ["/usr/share/man/old", "/usr/share/man/new"] {
            whole.tree.insert(path(text), Node::file(Digest::of(b"x"), 1, 0o644, origin.clone()));
        }
        whole.replaced = [path("/usr/share/man/old"), path("/gone")].into();
        let held = Held::of(&whole, &[], &BTreeSet::new());
        assert!(held.has(&path("/usr/share/man/old")) && held.has(&path("/usr/share/man")));
        assert!(!held.has(&path("/usr/share/man/new")) && !held.has(&path("/gone")));
    }
}
