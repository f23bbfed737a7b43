//! Whiteouts: empty files that remove paths of lower layers (OCI image specification, "Image Layer Filesystem
//! Changeset", section "Whiteouts"). Only an image on a base image has them.

use std::collections::BTreeMap;

use crate::model::digest::Digest;
use crate::model::image_path::ImagePath;
use crate::model::tree::{Kind, Node, Origin, Tree};

/// Returns one whiteout for each path of `base` that `tree` lacks. A folder is removed with everything below it, so the
/// paths in a removed folder need no whiteouts.
pub(super) fn whiteouts(base: &Tree, tree: &Tree) -> BTreeMap<ImagePath, Node> {
    let is_folder = |path: &ImagePath| tree.nodes.get(path).is_some_and(|node| node.kind == Kind::Directory);
    let missing = base.nodes.keys().filter(|path| !tree.nodes.contains_key(*path));
    let removed = missing.filter(|path| path.parent().is_some_and(|folder| is_folder(&folder)));
    removed.map(|path| (path.whiteout(), Node::file(Digest::of(b""), 0, 0o644, Origin::Lath))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_removed_path_has_a_whiteout_and_a_removed_folder_has_only_one() {
        let tree = |paths: &[&str]| {
            let mut tree = Tree::default();
            for path in paths {
                tree.insert(ImagePath::parse(path).unwrap(), Node::file(Digest::of(b"x"), 1, 0o644, Origin::Base));
            }
            tree
        };
        let base = tree(&["/opt/kept/a", "/opt/kept/b", "/opt/gone/a", "/opt/gone/deep/b"]);
        let whiteouts = whiteouts(&base, &tree(&["/opt/kept/a", "/opt/new"]));
        let paths: Vec<&str> = whiteouts.keys().map(ImagePath::as_str).collect();
        assert_eq!(paths, ["/opt/.wh.gone", "/opt/kept/.wh.b"]);
    }
}
