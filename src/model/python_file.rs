//! The facts about one Python file: its imports, and the names that its functions use.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The facts about one Python file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct PythonFile {
    /// In the order of the text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) imports: Vec<Import>,
    /// The functions at the top level of the file. Each has the names that it uses, if they are names of such functions
    /// or of objects that the file imports by `from`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) functions: BTreeMap<String, BTreeSet<String>>,
    /// The functions that run when the file is imported itself, because it calls them or uses them as decorators. They are
    /// names as in `functions`.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) calls: BTreeSet<String>,
    /// The names in `__all__`. If the file is a package, `from package import *` imports the modules among them.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) exports: BTreeSet<String>,
    /// The imports whose names the file computes.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) computed: BTreeSet<Computed>,
    /// Texts in the file that may be names of modules, of groups of entry points, or of Python files. Texts without a dot
    /// are only here if the file finds modules by name.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) texts: BTreeSet<String>,
    /// Texts without a dot in a file that runs programs, if it does not find modules by name. They may be names of
    /// programs.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) programs: BTreeSet<String>,
    /// The names of [`USES`] that it uses.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) uses: BTreeSet<String>,
    /// Whether it runs Python code that it gets from elsewhere: files, or the input of a user.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) runs_code: bool,
}

/// Names on which conditional imports of the standard library depend, as in `catalog/reach.toml`. A file uses such a name
/// if it is a variable, an attribute, an argument, a text or an imported name in the file. With a dot before its last
/// part, it counts only if the file also has the module before this dot.
///
/// If a name is added, the facts about Python files in the cache need a new version.
pub(crate) const USES: [&str; 23] = [
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
];

/// An import whose name is not a literal.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Computed {
    /// Of a module in the package that contains the file.
    Own,
    /// Of a module whose name begins with these characters.
    Below(String),
    /// Of any module.
    Any,
}

/// An import statement, or a call that imports a module by its literal name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Import {
    /// The number of dots before the name. With 0, the name is absolute.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) level: u32,
    /// The name of the module, without these dots. Empty for `from . import name`.
    pub(crate) module: String,
    /// The names after `from module import`, which may be modules too. Empty for `import module`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) names: Vec<ImportedName>,
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) when: When,
    /// Whether it is in a block that never runs in an image, such as `if TYPE_CHECKING:`.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) is_skipped: bool,
    /// Whether the file handles the error if there is no such module.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) is_optional: bool,
    /// Whether it is a call of `__import__` or `import_module`.
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) is_call: bool,
}

/// A name that a file imports, and its name in the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ImportedName {
    pub(crate) name: String,
    /// The name after `as`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) alias: Option<String>,
}

/// The time of an import.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum When {
    /// When the file is imported itself. The bodies of classes run then, too.
    #[default]
    Imported,
    /// When this function runs, which is at the top level of the file.
    Called(String),
    /// When any other function runs, such as a method.
    Later,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl PythonFile {
    /// Returns the imports that run when the file is imported itself.
    pub(crate) fn at_import(&self) -> impl Iterator<Item = &Import> {
        self.imports.iter().filter(|import| import.when == When::Imported && !import.is_skipped && !import.is_call)
    }

    /// Returns the import statements in a function at the top level of the file.
    pub(crate) fn in_function<'a>(&'a self, function: &'a str) -> impl Iterator<Item = &'a Import> {
        let is_in = move |import: &&Import| matches!(&import.when, When::Called(name) if name == function);
        self.imports.iter().filter(is_in).filter(|import| !import.is_call)
    }

    /// Returns the origin of an object that the file imports by `from`: the import, and the object's name in the module.
    /// If there are several, the last one counts.
    pub(crate) fn origin_of(&self, name: &str) -> Option<(&Import, &str)> {
        self.imports.iter().rev().find_map(|import| {
            let found = import.names.iter().rfind(|one| one.here() == name)?;
            Some((import, found.name.as_str()))
        })
    }
}

impl Import {
    /// Returns the absolute name of the module. `package` is the package that contains the file. `None` if the import
    /// leads out of the package, which is an error in Python.
    pub(crate) fn module(&self, package: &str) -> Option<String> {
        let Some(above) = self.level.checked_sub(1) else { return Some(self.module.clone()) };
        let mut base = Some(package).filter(|package| !package.is_empty())?;
        for _ in 0..above {
            base = base.rsplit_once('.')?.0;
        }
        Some(if self.module.is_empty() { base.to_owned() } else { format!("{base}.{}", self.module) })
    }

    /// Returns the names of all modules that the import may load: the module, and the names imported from it.
    pub(crate) fn candidates(&self, package: &str) -> Vec<String> {
        let Some(module) = self.module(package) else { return Vec::new() };
        let mut names: Vec<String> = self.names.iter().map(|one| format!("{module}.{}", one.name)).collect();
        names.push(module);
        names
    }
}

impl ImportedName {
    /// Returns the name in the file.
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
