//! Data files that modules of the image name, and the metadata that `importlib.metadata` reads. The proof reads them.
//!
//! A file that trim removed is in the list, too, if a module that stays names it. If a program computes the name of a
//! file, the file is not in the list.

use std::collections::BTreeSet;

use super::imports::removed;
use crate::model::image_path::ImagePath;
use crate::model::made::Made;
use crate::model::reach::Reached;
use crate::model::reason::Removed;
use crate::model::request::ProveRequest;
use crate::model::tree::{Node, Origin, Tree};

/// The module that reads metadata.
const READER: &str = "importlib.metadata";

/// Returns the data files of the untrimmed tree that modules of the trimmed tree name or read. Only `reach` and the
/// levels above it follow the texts in modules. Modules in tests of distributions do not count, because no program runs
/// them. If trim removed wheels in virtualenv, these wheels are left out. A module of virtualenv names them, but trim
/// has checked that virtualenv does not need them for this Python.
pub(super) fn named(made: &Made, request: &ProveRequest<'_>) -> BTreeSet<ImagePath> {
    let removed = removed(made, request);
    let is_removed_program =
        |module: &str| ImagePath::parse(module).is_ok_and(|path| made.tree.removed.contains_key(&path));
    let stays = |module: &str| !removed.contains(module) && !is_removed_program(module) && !is_of_tests(module);
    let mut files = made.reached.as_ref().map(|reached| files(reached, &made.assembly.tree, stays)).unwrap_or_default();
    files.retain(|path| made.tree.removed.get(path).is_none_or(|removal| removal.reason != Removed::ForeignSeeds));
    files
}

/// Whether a module is in the tests of a distribution.
fn is_of_tests(module: &str) -> bool {
    let parts = || module.split('.');
    parts().any(|part| matches!(part, "test" | "tests"))
        || parts().next_back().is_some_and(|name| name.starts_with("test_"))
}

/// `stays` decides whether a reached module is in the trimmed tree.
fn files(reached: &Reached, whole: &Tree, stays: impl Fn(&str) -> bool) -> BTreeSet<ImagePath> {
    let named = reached.data.iter().filter(|(_, modules)| modules.iter().any(|module| stays(module)));
    let mut files: BTreeSet<ImagePath> = named.map(|(path, _)| path.clone()).collect();
    if reached.modules.contains_key(READER) && stays(READER) {
        let metadata = whole.nodes.iter().filter(|(path, node)| is_metadata(path, node));
        files.extend(metadata.map(|(path, _)| path.clone()));
    }
    files
}

/// Whether `importlib.metadata` reads the file when a program requests a version or entry points.
fn is_metadata(path: &ImagePath, node: &Node) -> bool {
    let folder = path.parent();
    matches!(node.origin, Origin::Wheel { .. })
        && matches!(path.file_name(), "METADATA" | "entry_points.txt")
        && folder.is_some_and(|folder| folder.file_name().ends_with(".dist-info"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::reach::Cause;

    #[test]
    fn modules_in_tests_are_known_by_their_names() {
        for (module, expected) in [
            ("a.tests.one", true),
            ("a.test", true),
            ("a.b.test_one", true),
            ("a.testing", false),
            ("a.test_data.b", false),
            ("/opt/app/bin/test", false),
        ] {
            assert_eq!(is_of_tests(module), expected, "{module}");
        }
    }

    #[test]
    fn data_is_read_if_a_module_of_the_image_names_it_and_metadata_if_something_can_read_it() {
        let path = |path: &str| ImagePath::parse(path).unwrap();
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let (one, two) = (path("/site/a/one.txt"), path("/site/a/two.txt"));
        let data = [(one, names(&["a", "a.gone"])), (two, names(&["a.gone"]))].into();
        let mut reached = Reached { data, ..Reached::default() };
        let mut whole = Tree::default();
        let wheel = Origin::Wheel { name: "a".to_owned(), version: "1".to_owned() };
        for file in ["METADATA", "entry_points.txt", "RECORD", "licenses/METADATA"] {
            let node = Node::file(Digest::of(b""), 0, 0o644, wheel.clone());
            whole.insert(path(&format!("/site/a-1.dist-info/{file}")), node);
        }
        let found = |reached: &Reached| {
            let files = files(reached, &whole, |module| module != "a.gone");
            files.iter().map(ImagePath::to_string).collect::<Vec<_>>()
        };
        assert_eq!(found(&reached), ["/site/a/one.txt"]);
        reached.modules.insert(READER.to_owned(), Cause::Root);
        let metadata = ["/site/a-1.dist-info/METADATA", "/site/a-1.dist-info/entry_points.txt"];
        assert_eq!(found(&reached), [&metadata[..], &["/site/a/one.txt"]].concat());
    }
}
