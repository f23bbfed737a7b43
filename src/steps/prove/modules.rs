//! The modules that the requested distributions promise: every top-level package, module and extension module.

use std::collections::BTreeSet;

use crate::model::facts::is_extension_module;
use crate::model::image_path::ImagePath;
use crate::model::tree::{Kind, Origin, Tree};

/// Names of folders and files that a wheel often contains by mistake. Nobody imports them.
const NO_PROMISE: [&str; 16] = [
    "benchmark",
    "benchmarks",
    "build",
    "conftest",
    "doc",
    "docs",
    "example",
    "examples",
    "sample",
    "samples",
    "script",
    "scripts",
    "setup",
    "test",
    "tests",
    "tools",
];

/// A namespace package (PEP 420) has at most this many levels: `google.cloud.storage`.
const LEVELS: usize = 3;

/// Returns the names of the modules in `site` that belong to the distributions for which `is_requested` is true. A
/// namespace package promises nothing itself, so the packages in it are returned.
pub(super) fn promised(tree: &Tree, site: &str, is_requested: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let files = tree.nodes.iter().filter(|(_, node)| matches!(node.kind, Kind::File { .. }));
    let own = files.filter(|(_, node)| matches!(&node.origin, Origin::Wheel { name, .. } if is_requested(name)));
    let within = own.filter_map(|(path, _)| path.as_str().strip_prefix(site)?.strip_prefix('/'));
    let modules = within.filter_map(module).filter(|module| !is_of_package(module, tree, site));
    modules.filter(|module| module.iter().all(|name| is_promise(name))).map(|module| module.join(".")).collect()
}

/// Returns the name of the module or package in a file, split at its dots.
fn module(path: &str) -> Option<Vec<&str>> {
    let mut names: Vec<&str> = path.split('/').collect();
    let file = names.pop()?;
    let name = match file.strip_suffix(".py") {
        Some(name) => name,
        None => file.split('.').next().filter(|_| is_extension_module(file))?,
    };
    match name {
        "__init__" => (1..=LEVELS).contains(&names.len()).then_some(names),
        name => names.is_empty().then(|| vec![name]),
    }
}

/// Whether a package contains `module`, so that it is not at the top level.
fn is_of_package(module: &[&str], tree: &Tree, site: &str) -> bool {
    (1..module.len()).any(|length| {
        let init = ImagePath::parse(&format!("{site}/{}/__init__.py", module[..length].join("/")));
        init.is_ok_and(|init| tree.nodes.contains_key(&init))
    })
}

fn is_promise(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(char::is_alphabetic)
        && letters.all(|letter| letter.is_alphanumeric() || letter == '_')
        && !NO_PROMISE.contains(&name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::tree::Node;

    #[test]
    fn packages_modules_and_extension_modules_are_promised_and_nothing_private_or_accidental() {
        let site = "/opt/app/lib/python3.13/site-packages";
        let mut tree = Tree::default();
        let mut put = |path: &str, name: &str| {
            let origin = Origin::Wheel { name: name.to_owned(), version: "1".to_owned() };
            let path = ImagePath::parse(path).unwrap();
            tree.insert(path, Node::file(Digest::of(b"x"), 1, 0o644, origin));
        };
        for path in [
            "six.py",
            "pack/__init__.py",
            "pack/inner/__init__.py",
            "pack/part.py",
            "fast.cpython-313-x86_64-linux-gnu.so",
            "stable/__init__.abi3.so",
            "google/cloud/storage/__init__.py",
            "google/cloud/storage/v2/__init__.py",
            "_private/__init__.py",
            "google/_upb/__init__.py",
            "tests/__init__.py",
            "setup.py",
            "six-stubs/__init__.pyi",
            "two words/__init__.py",
            "2to3/__init__.py",
            "space/lone.py",
            "a/b/c/d/__init__.py",
            "pack-1.0.dist-info/METADATA",
            "pack.libs/libx.so",
        ] {
            put(&format!("{site}/{path}"), "pack");
        }
        put(&format!("{site}/other/__init__.py"), "other");
        put("/opt/app/share/pack/data.py", "pack");
        let found = promised(&tree, site, |name| name == "pack");
        assert_eq!(Vec::from_iter(found), ["fast", "google.cloud.storage", "pack", "six", "stable"]);
    }
}
