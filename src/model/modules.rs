//! The modules of a tree, and the file that Python loads for the name of a module.

use std::collections::BTreeSet;

use crate::model::application::AppRequest;
use crate::model::image_path::ImagePath;
use crate::model::platform::PythonVersion;
use crate::model::python_home::Python;
use crate::model::tree::{Kind, Tree};

/// Modules that are a part of the interpreter since Python 3.11. Python never searches for their files.
const FROZEN: [&str; 16] = [
    "_collections_abc",
    "_frozen_importlib",
    "_frozen_importlib_external",
    "_sitebuiltins",
    "abc",
    "codecs",
    "genericpath",
    "importlib.machinery",
    "importlib.util",
    "io",
    "ntpath",
    "os",
    "posixpath",
    "runpy",
    "site",
    "stat",
];

/// The folders in which Python searches for modules, in order.
#[derive(Debug)]
pub(crate) struct Modules<'a> {
    tree: &'a Tree,
    roots: Vec<String>,
    /// The folders whose `.pth` files are read by `site`.
    sites: Vec<String>,
    version: PythonVersion,
}

/// The file of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ModuleFile {
    pub(crate) path: ImagePath,
    /// Whether it is the `__init__.py` of a package.
    pub(crate) is_package: bool,
}

impl ModuleFile {
    /// Returns the package for relative imports in this file. `name` is the name of its module. If the module is a
    /// package, the result is the module itself. Otherwise the result is the package that contains the module.
    pub(crate) fn package<'a>(&self, name: &'a str) -> &'a str {
        if self.is_package { name } else { parent(name) }
    }
}

/// Returns the package that contains a module. Returns an empty text at the top level.
pub(crate) fn parent(module: &str) -> &str {
    module.rsplit_once('.').map_or("", |(parent, _)| parent)
}

impl<'a> Modules<'a> {
    /// `site` is the folder that contains the distributions.
    pub(crate) fn new(tree: &'a Tree, python: Python<'_>, site: String) -> Self {
        let sites = [vec![site], python.sites()].concat();
        let roots = std::iter::once(python.stdlib()).chain(sites.clone()).collect();
        Self { tree, roots, sites, version: python.version }
    }

    /// Adds the folder of the application before all other folders, because `PYTHONPATH` contains it.
    pub(crate) fn with_application(mut self, app: Option<&AppRequest>) -> Self {
        self.roots.splice(0..0, app.map(|app| app.target.to_string()));
        self
    }

    /// Returns the names of all top-level modules and packages.
    pub(crate) fn top_level(&self) -> BTreeSet<String> {
        let name = |path: &ImagePath| {
            let inside = self.roots.iter().find_map(|root| path.as_str().strip_prefix(root)?.strip_prefix('/'))?;
            let module = inside.strip_suffix("/__init__.py").or_else(|| inside.strip_suffix(".py"))?;
            (!module.contains('/')).then(|| module.to_owned())
        };
        self.tree.nodes.keys().filter_map(name).collect()
    }

    /// Returns the Python file of a module. Returns `None` if it has none, for example because the module is an
    /// extension module.
    pub(crate) fn find(&self, name: &str) -> Option<ModuleFile> {
        if name.split('.').any(|part| part.is_empty() || part.contains('/')) {
            return None;
        }
        let tail = name.replace('.', "/");
        self.roots.iter().find_map(|root| {
            let file = |end: &str, is_package| {
                let path = ImagePath::parse(&format!("{root}/{tail}{end}")).ok()?;
                self.is_file(root, &path).then_some(ModuleFile { path, is_package })
            };
            file("/__init__.py", true).or_else(|| file(".py", false))
        })
    }

    fn is_file(&self, root: &str, path: &ImagePath) -> bool {
        match self.tree.nodes.get(path).map(|node| &node.kind) {
            Some(Kind::File { .. }) => true,
            Some(Kind::Directory) => false,
            Some(Kind::Link { .. }) => self.is_linked_file(path),
            // `path` is not in the tree, but one of its folders may be a link. Only the first folder below `root` is
            // checked. In practice, no other folder is a link, and checking all folders would be slow.
            None => {
                let first = path.as_str()[root.len()..].trim_start_matches('/').split('/').next().unwrap_or_default();
                let folder = ImagePath::parse(&format!("{root}/{first}")).ok();
                let node = folder.and_then(|folder| self.tree.nodes.get(&folder));
                node.is_some_and(|node| matches!(node.kind, Kind::Link { .. })) && self.is_linked_file(path)
            }
        }
    }

    fn is_linked_file(&self, path: &ImagePath) -> bool {
        self.tree.find(path.as_str()).is_some_and(|(_, node)| matches!(node.kind, Kind::File { .. }))
    }

    /// Returns whether the module is a part of the interpreter.
    pub(crate) fn is_frozen(&self, name: &str) -> bool {
        name == "zipimport" || ((self.version.major, self.version.minor) >= (3, 11) && FROZEN.contains(&name))
    }

    /// Returns all Python files in the folders.
    pub(crate) fn all_files(&self) -> impl Iterator<Item = &'a ImagePath> {
        let is_module =
            |path: &ImagePath| path.as_str().ends_with(".py") && self.roots.iter().any(|root| path.is_within(root));
        let files = self.tree.nodes.iter().filter(|(_, node)| node.kind != Kind::Directory);
        files.map(|(path, _)| path).filter(move |path| is_module(path))
    }

    /// Returns the `.pth` files that `site` reads when Python starts.
    pub(crate) fn pth_files(&self) -> impl Iterator<Item = &'a ImagePath> {
        let is_in_root = |path: &ImagePath| {
            path.parent().is_some_and(|folder| self.sites.iter().any(|site| folder.as_str() == site))
        };
        self.tree.nodes.keys().filter(move |path| path.as_str().ends_with(".pth") && is_in_root(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::tree::{Node, Origin};

    const SITE: &str = "/opt/app/lib/python3.13/site-packages";

    fn tree() -> Tree {
        let mut tree = Tree::default();
        let mut insert = |path: &str, node| tree.insert(ImagePath::parse(path).unwrap(), node);
        let file = || Node::file(Digest::of(b""), 0, 0o644, Origin::Lath);
        for path in ["/usr/lib/python3.13/os.py", "/usr/lib/python3.13/json/__init__.py", "/usr/share/linked/inner.py"]
        {
            insert(path, file());
        }
        for name in ["json.py", "a/__init__.py", "a.py", "a/b.py", "x.pth", "a/y.pth", "native.so"] {
            insert(&format!("{SITE}/{name}"), file());
        }
        insert(&format!("{SITE}/link.py"), Node::link("a/b.py", Origin::Lath));
        insert(&format!("{SITE}/broken.py"), Node::link("nothing", Origin::Lath));
        insert(&format!("{SITE}/linked"), Node::link("/usr/share/linked", Origin::Lath));
        insert(&format!("{SITE}/folder.py"), Node::directory(Origin::Lath));
        tree
    }

    #[test]
    fn the_first_folder_counts_and_a_package_comes_before_a_file() {
        let tree = tree();
        let modules = Modules::new(&tree, Python::of_release("3.13"), SITE.to_owned());
        for (name, expected) in [
            ("json", Some("/usr/lib/python3.13/json/__init__.py")),
            ("a", Some("/opt/app/lib/python3.13/site-packages/a/__init__.py")),
            ("a.b", Some("/opt/app/lib/python3.13/site-packages/a/b.py")),
            ("link", Some("/opt/app/lib/python3.13/site-packages/link.py")),
            ("linked.inner", Some("/opt/app/lib/python3.13/site-packages/linked/inner.py")),
            ("broken", None),
            ("folder", None),
            ("native", None),
            ("a.c", None),
            ("", None),
            ("a..b", None),
            (".a", None),
            ("../a", None),
        ] {
            let found = modules.find(name);
            assert_eq!(found.as_ref().map(|found| found.path.as_str()), expected, "{name}");
        }
        assert_eq!(modules.find("a").unwrap().package("a"), "a");
        assert_eq!(modules.find("a.b").unwrap().package("a.b"), "a");
        assert_eq!(modules.find("link").unwrap().package("link"), "");
    }

    #[test]
    fn modules_are_frozen_since_3_11() {
        let tree = tree();
        let is_frozen =
            |python: &str, name: &str| Modules::new(&tree, Python::of_release(python), SITE.to_owned()).is_frozen(name);
        assert!(is_frozen("3.10", "zipimport") && is_frozen("3.11", "os") && is_frozen("3.14", "importlib.util"));
        assert!(!is_frozen("3.10", "os") && !is_frozen("3.13", "importlib"));
    }

    #[test]
    fn all_files_and_pth_files_are_listed() {
        let tree = tree();
        let modules = Modules::new(&tree, Python::of_release("3.13"), SITE.to_owned());
        let names = |paths: Vec<&ImagePath>| paths.iter().map(|path| path.file_name()).collect::<Vec<_>>().join(" ");
        assert_eq!(
            names(modules.all_files().collect()),
            "a.py __init__.py b.py broken.py json.py link.py __init__.py os.py"
        );
        assert_eq!(names(modules.pth_files().collect()), "x.pth");
    }
}
