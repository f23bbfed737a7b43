//! The modules of a tree, by name.

use std::collections::BTreeMap;

use super::conditional::is_within;
use super::data::DataFiles;
use crate::model::facts::is_extension_module;
use crate::model::image_path::ImagePath;
use crate::model::modules::parent;
use crate::model::tree::{Kind, Origin, Tree};

/// A file of a module.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ModulePath<'a> {
    pub(crate) path: &'a ImagePath,
    pub(crate) origin: &'a Origin,
    pub(super) is_package: bool,
}

/// All modules of a tree, by name.
#[derive(Debug, Default)]
pub(crate) struct ModuleMap<'a> {
    /// The files of each module. There are several files if several folders of the search path contain the module.
    pub(crate) modules: BTreeMap<String, Vec<ModulePath<'a>>>,
    /// The modules of each distribution.
    pub(super) by_origin: BTreeMap<&'a Origin, Vec<String>>,
    /// The modules by the name of their file, such as `tool.py`.
    pub(super) by_file_name: BTreeMap<&'a str, Vec<String>>,
    pub(super) data: DataFiles<'a>,
}

impl<'a> ModuleMap<'a> {
    /// `roots` are the folders of the search path. If a folder contains another one, the inner folder must come first.
    pub(crate) fn new(tree: &'a Tree, roots: &[String]) -> Self {
        let mut map = Self::default();
        for (path, node) in tree.nodes.iter().filter(|(_, node)| node.kind != Kind::Directory) {
            map.data.add(path, node);
            let Some((name, is_package)) = inside(path, roots).and_then(module_name) else { continue };
            map.add(name, ModulePath { path, origin: &node.origin, is_package });
        }
        map
    }

    /// Adds a program, which is a Python file outside of the search path. Its name in the map is its path.
    pub(crate) fn add_program(&mut self, path: &'a ImagePath, origin: &'a Origin) {
        self.add(path.to_string(), ModulePath { path, origin, is_package: false });
    }

    fn add(&mut self, name: String, file: ModulePath<'a>) {
        self.by_origin.entry(file.origin).or_default().push(name.clone());
        self.by_file_name.entry(file.path.file_name()).or_default().push(name.clone());
        self.modules.entry(name).or_default().push(file);
    }

    /// Returns the module with this name. If the name is the name of an object, returns the module that contains the
    /// object.
    pub(super) fn longest<'b>(&self, name: &'b str) -> Option<&'b str> {
        let mut name = name;
        while !self.modules.contains_key(name) {
            name = name.rsplit_once('.')?.0;
        }
        Some(name)
    }

    /// Whether a Python file is probably data, such as a template or a list. This is so if no import statement can name
    /// it, or if its folder is in a package but has no `__init__`.
    pub(crate) fn is_data(&self, name: &str) -> bool {
        let is_package = |name: &str| {
            let files = self.modules.get(name);
            files.is_some_and(|files| files.iter().any(|file| file.is_package))
        };
        let folder = if is_package(name) { Some(name) } else { up(name) };
        let is_without_init = folder.is_some_and(|folder| !is_package(folder));
        let is_in_package = || std::iter::successors(up(name), |name| up(name)).any(is_package);
        !is_program(name) && (!is_importable(name) || is_without_init && is_in_package())
    }

    /// Returns a package and all modules in it.
    pub(crate) fn below<'b>(&'b self, package: &'b str) -> impl Iterator<Item = &'b String> {
        // A dot sorts before all characters of a name, so the modules of a package come directly after it.
        self.from(package).take_while(move |name| is_within(name, package))
    }

    /// Returns all names from `begin` onwards, in sorted order.
    pub(super) fn from(&self, begin: &str) -> impl Iterator<Item = &String> {
        self.modules.range(begin.to_owned()..).map(|(name, _)| name)
    }
}

/// Returns the name of the module to which a file belongs. `roots` are the folders of the search path.
pub(crate) fn module_of(path: &ImagePath, roots: &[String]) -> Option<String> {
    inside(path, roots).and_then(module_name).map(|(name, _)| name)
}

fn inside<'a>(path: &'a ImagePath, roots: &[String]) -> Option<&'a str> {
    roots.iter().find_map(|root| path.as_str().strip_prefix(root)?.strip_prefix('/'))
}

/// Returns whether the file may be an extension module whose name has no tag. A name that begins with `lib` is that of a
/// shared library, such as a plugin of Qt. No import names it, so it would count as a module that is not reached.
fn is_plain_module(file: &str) -> bool {
    file.ends_with(".so") && !file.starts_with("lib")
}

/// Returns the name of the module to which a file belongs, and whether the file is the `__init__` of a package.
fn module_name(path: &str) -> Option<(String, bool)> {
    let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
    let name = match file.strip_suffix(".py").or_else(|| file.strip_suffix(".pyc")) {
        Some(_) if folder.ends_with("__pycache__") => return None,
        Some(name) => name,
        None if is_extension_module(file) || is_plain_module(file) => file.split('.').next()?,
        None => return None,
    };
    let parts = folder.split('/').filter(|part| !part.is_empty());
    match name {
        "__init__" if folder.is_empty() => None,
        "__init__" => Some((parts.collect::<Vec<_>>().join("."), true)),
        name => Some((parts.chain([name]).collect::<Vec<_>>().join("."), false)),
    }
}

/// Whether an import statement can have this name.
pub(crate) fn is_importable(name: &str) -> bool {
    let is_letter = |c: char| c.is_alphanumeric() || c == '_';
    name.split('.').all(|part| part.chars().all(is_letter) && !part.starts_with(|c: char| c.is_ascii_digit()))
}

/// Whether the name is the path of a program outside of the search path.
pub(crate) fn is_program(name: &str) -> bool {
    name.starts_with('/')
}

/// Returns the name without its last part. Returns `None` at the top level.
pub(super) fn up(name: &str) -> Option<&str> {
    Some(parent(name)).filter(|parent| !parent.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::tree::Node;

    #[test]
    fn files_without_a_name_for_imports_and_files_in_folders_without_an_init_are_data() {
        let mut tree = Tree::default();
        let files = [
            "a/__init__.py",
            "a/lists/words.py",
            "a/lists/inner/__init__.py",
            "a/lists/inner/more.py",
            "a/b/__init__.py",
            "a/b/c.py",
            "a/0-template/app.py",
            "a/x-y.py",
            "a/plugins/libplugin.so",
            "space/part/__init__.py",
            "space/part/d.py",
        ];
        for file in files {
            let node = Node::file(Digest::of(b""), 0, 0o644, Origin::User);
            tree.insert(ImagePath::parse(&format!("/site/{file}")).unwrap(), node);
        }
        let map = ModuleMap::new(&tree, &["/site".to_owned()]);
        let data: Vec<&str> = map.modules.keys().map(String::as_str).filter(|name| map.is_data(name)).collect();
        assert_eq!(data, ["a.0-template.app", "a.lists.words", "a.x-y"]);
        assert!(!map.modules.contains_key("a.plugins.libplugin"));
    }
}
