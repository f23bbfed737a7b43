//! The facts about one Python file: its imports, and the names that its functions use.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The facts about one Python file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PythonFile {
    /// The imports, in the order of the text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) imports: Vec<Import>,
    /// For each top-level function of the file, the names that occur in the function. Only the names of top-level
    /// functions of the file, and of objects that the file imports by `from`, are included.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) functions: BTreeMap<String, BTreeSet<String>>,
    /// The functions that run when the file is imported, because the file calls them or uses them as decorators. These
    /// are only names of top-level functions of the file, and of objects that the file imports by `from`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) calls: BTreeSet<String>,
    /// The names in `__all__`. If the file is a package, `from package import *` imports the modules in this list.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) exports: BTreeSet<String>,
    /// Whether the file computes a part of `__all__`.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) computes_exports: bool,
    /// The imports whose names the file computes.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) computed: BTreeSet<Computed>,
    /// If the file computes the name of a group of entry points, the literal beginning of this name.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) groups: BTreeSet<String>,
    /// Texts in the file that may be names of modules, of groups of entry points or of Python files. Texts without a
    /// dot are included only if the file finds modules by name.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) texts: BTreeSet<String>,
    /// Texts that may be the paths of data files, such as `data/words.txt`. A text that may also be the name of a
    /// module, such as `words.txt`, is only in `texts`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) files: BTreeSet<String>,
    /// Texts without a dot that may be names of programs. The set is empty if the file runs no programs, or if the file
    /// finds modules by name.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) programs: BTreeSet<String>,
    /// The names of [`USES`] that the file uses.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) uses: BTreeSet<String>,
    /// Whether the file runs Python code that comes from elsewhere, such as from other files or from a user.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) runs_code: bool,
}

/// Names on which conditional imports of the standard library depend, as in `catalog/reach.toml`. A file uses such a
/// name if the name is a variable, an attribute, an argument, a text or an imported name in the file. If a name
/// contains a dot, it counts only if the file also imports the module before the last dot.
///
/// If you add a name, increase the version of the cached facts about Python files.
pub(crate) const USES: [&str; 24] = [
    "BrokenProcessPool",
    "HTTPHandler",
    "InterpreterPoolExecutor",
    "ProcessPoolExecutor",
    "SMTPHandler",
    "XmlClient",
    "XmlListener",
    "_hashlib",
    "algorithms_available",
    "concurrent.futures.*",
    "dictConfig",
    "fileConfig",
    "file_digest",
    "hashlib.new",
    "hmac.HMAC",
    "hmac.digest",
    "hmac.new",
    "pbkdf2_hmac",
    "pydoc.browse",
    "pydoc.cli",
    "scrypt",
    "ssl",
    "start_tls",
    "xmlrpclib",
];

/// An import whose name is not a literal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Computed {
    /// The import of a module in the package that contains the file.
    Own,
    /// The import of a module. Its name begins with these characters.
    Below(String),
    /// The import of any module.
    Any,
}

/// An import statement, or a call that imports a module by its literal name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Import {
    /// The number of dots before the name. 0 means that the name is absolute.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) level: u32,
    /// The name of the module, without the dots. It is empty for `from . import name`.
    pub(crate) module: String,
    /// The names after `from module import`. They may be names of modules. The list is empty for `import module`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) names: Vec<ImportedName>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) when: When,
    /// Whether the import is in a block that never runs in an image, such as `if TYPE_CHECKING:`.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) is_skipped: bool,
    /// Whether the import runs only if Python starts the file as a program: `if __name__ == "__main__":`.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) as_program: bool,
    /// Whether the file handles the error if the module does not exist.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) is_optional: bool,
    /// Whether the import is a call of `__import__` or `import_module`.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) is_call: bool,
}

/// A name that is imported by a file. With `import name as alias`, the file uses another name for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImportedName {
    pub(crate) name: String,
    /// The name after `as`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) alias: Option<String>,
}

/// The time at which an import runs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum When {
    /// When the file is imported. The bodies of classes also run at that time.
    #[default]
    Imported,
    /// When this top-level function of the file runs.
    Called(String),
    /// When any other function runs, such as a method.
    Later,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl PythonFile {
    /// Returns the imports that run when the file is imported.
    pub(crate) fn at_import(&self) -> impl Iterator<Item = &Import> {
        let runs = |import: &&Import| import.when == When::Imported && !import.is_skipped && !import.as_program;
        self.imports.iter().filter(runs).filter(|import| !import.is_call)
    }

    /// Returns the import statements in a top-level function of the file.
    pub(crate) fn in_function<'a>(&'a self, function: &'a str) -> impl Iterator<Item = &'a Import> {
        let is_in = move |import: &&Import| matches!(&import.when, When::Called(name) if name == function);
        self.imports.iter().filter(is_in).filter(|import| !import.is_call)
    }

    /// Finds the import by `from` that makes an object available in the file under this name. Returns the import, and
    /// the object's name in the imported module. If several imports contain the object, the last one is used.
    pub(crate) fn origin_of(&self, name: &str) -> Option<(&Import, &str)> {
        self.imports.iter().rev().find_map(|import| {
            let found = import.names.iter().rfind(|one| one.here() == name)?;
            Some((import, found.name.as_str()))
        })
    }
}

impl Import {
    /// Returns the absolute name of the module. `package` is the package for relative imports in the file. Returns
    /// `None` if a relative import leads out of all packages, which is an error in Python.
    pub(crate) fn module(&self, package: &str) -> Option<String> {
        let Some(above) = self.level.checked_sub(1) else { return Some(self.module.clone()) };
        let mut base = Some(package).filter(|package| !package.is_empty())?;
        for _ in 0..above {
            base = base.rsplit_once('.')?.0;
        }
        Some(if self.module.is_empty() { base.to_owned() } else { format!("{base}.{}", self.module) })
    }

    /// Returns the names of all modules that the import may load: the module itself, and the names that are imported
    /// from it, because these may also be modules.
    pub(crate) fn candidates(&self, package: &str) -> Vec<String> {
        let Some(module) = self.module(package) else { return Vec::new() };
        let mut names: Vec<String> = self.names.iter().map(|one| format!("{module}.{}", one.name)).collect();
        names.push(module);
        names
    }
}

impl ImportedName {
    /// Returns the name by which the file uses the object.
    pub(crate) fn here(&self) -> &str {
        self.alias.as_deref().unwrap_or(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn relative(level: u32, module: &str) -> Import {
        let names = vec![ImportedName { name: "x".to_owned(), alias: Some("y".to_owned()) }];
        Import { level, module: module.to_owned(), names, ..Import::default() }
    }

    #[test]
    fn a_relative_import_starts_at_the_package_and_never_leads_out_of_it() {
        for (level, module, package, expected) in [
            (0, "a.b", "p.q", Some("a.b")),
            (1, "", "p.q", Some("p.q")),
            (1, "a", "p.q", Some("p.q.a")),
            (2, "a", "p.q", Some("p.a")),
            (3, "a", "p.q", None),
            (u32::MAX, "a", "p.q", None),
            (1, "a", "", None),
        ] {
            assert_eq!(relative(level, module).module(package).as_deref(), expected, "{level} {module} {package}");
        }
        assert_eq!(relative(2, "a").candidates("p.q"), ["p.a.x", "p.a"]);
        assert_eq!(relative(3, "a").candidates("p.q"), [""; 0]);
    }

    #[test]
    fn the_last_import_of_a_name_counts() {
        let file = PythonFile { imports: vec![relative(0, "first"), relative(0, "second")], ..PythonFile::default() };
        let (import, name) = file.origin_of("y").unwrap();
        assert_eq!((import.module.as_str(), name), ("second", "x"));
        assert!(file.origin_of("x").is_none());
    }

    #[test]
    fn facts_survive_the_cache() {
        let mut file = PythonFile { imports: vec![relative(1, "a"), Import::default()], ..PythonFile::default() };
        file.imports[1].when = When::Called("main".to_owned());
        file.imports[1].is_optional = true;
        file.functions.insert("main".to_owned(), BTreeSet::from(["y".to_owned()]));
        let text = serde_json::to_string(&file).unwrap();
        assert_eq!(serde_json::from_str::<PythonFile>(&text).unwrap(), file, "{text}");
        assert_eq!(serde_json::to_string(&PythonFile::default()).unwrap(), "{}");
    }
}
