//! Finds the files that Python loads when a program starts. The search follows the imports that run at start-up. The
//! result depends only on the files, because no program of the image is run.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::model::image_path::ImagePath;
use crate::model::modules::{ModuleFile, Modules, parent};
use crate::model::python_file::PythonFile;

/// Modules that the interpreter imports before every program, without the modules that are a part of the interpreter.
const FIRST: [&str; 4] = ["encodings.utf_8", "encodings.aliases", "encodings.utf_8_sig", "sitecustomize"];

/// Modules that are always loaded together with another module, although no statement at the top level of a Python file
/// imports them. These modules are imported by a call, by a computed name, by an extension module, or by a function
/// that runs during the import.
const WITH: [(&str, &[&str]); 9] = [
    ("concurrent.futures", &["concurrent.futures.thread"]),
    ("importlib.metadata", &["importlib.metadata._adapters", "importlib.metadata._text", "email.parser"]),
    ("importlib.resources", &["importlib.readers"]),
    ("numpy", &["numpy._core._exceptions", "numpy.core._exceptions", "numpy.dtypes"]),
    ("numpy.random", &["numpy.random._pickle", "secrets"]),
    (
        "pandas",
        &[
            "_strptime",
            "dateutil.easter",
            "dateutil.parser",
            "dateutil.relativedelta",
            "dateutil.tz",
            "dateutil.zoneinfo",
        ],
    ),
    ("pandas._libs", &["numpy.random"]),
    ("requests.packages", &["idna", "chardet"]),
    ("sysconfig", &["_sysconfigdata__x86_64-linux-gnu", "_sysconfigdata__aarch64-linux-gnu"]),
];

/// Reads the facts about Python files.
pub(crate) trait PythonSource {
    type Error;

    /// Returns the facts about each file. The facts are `None` if Python could not compile the file.
    fn read(&mut self, paths: &[&ImagePath]) -> Result<Vec<Option<PythonFile>>, Self::Error>;
}

/// The starting point of a program, which is `module` or `module:function`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct EntryPoint {
    pub(crate) module: String,
    pub(crate) function: Option<String>,
}

/// Returns the files that a program loads when it starts. `imported` are the modules that are imported at every start.
///
/// An import statement of a file counts if it runs while the file is imported. An import statement of a function counts
/// if the function is called at start-up. Two kinds of functions are called at start-up: the function of an entry
/// point, and functions that a file calls while it is imported. If such a function contains the name of another
/// function of the same package, that other function counts as called, too.
pub(crate) fn start_up_files<S: PythonSource>(
    modules: &Modules<'_>,
    entry_points: &[EntryPoint],
    imported: BTreeSet<String>,
    source: &mut S,
) -> Result<BTreeSet<ImagePath>, S::Error> {
    let mut walk = Walk { modules, files: BTreeMap::new(), seen: BTreeSet::new(), next: Vec::new() };
    let mut loaded = BTreeSet::new();
    walk.import(FIRST.map(str::to_owned));
    walk.import(imported);
    for entry in entry_points {
        walk.import([entry.module.clone()]);
        if let Some(function) = &entry.function {
            walk.go(Visit::Function { module: entry.module.clone(), function: function.clone() });
        }
    }
    while !walk.next.is_empty() {
        let visits = walk.read_next(source)?;
        for (visit, found) in visits {
            match (&visit, found) {
                (Visit::Module(name), found) => loaded.extend(walk.load(name, found)),
                (Visit::Function { module, function }, Some(found)) => walk.run(module, function, &found),
                (Visit::Function { .. }, None) => {}
            }
        }
    }
    Ok(loaded)
}

/// A step of the search.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Visit {
    /// A module is imported.
    Module(String),
    /// A function of a module is called.
    Function { module: String, function: String },
}

struct Walk<'a> {
    modules: &'a Modules<'a>,
    /// The facts about the files that were read. The facts are `None` if Python could not compile the file.
    files: BTreeMap<ImagePath, Option<PythonFile>>,
    seen: BTreeSet<Visit>,
    /// The next visits. Their files are read together, so that all cores are used for parsing.
    next: Vec<Visit>,
}

impl Walk<'_> {
    fn go(&mut self, visit: Visit) {
        if visit != Visit::Module(String::new()) && self.seen.insert(visit.clone()) {
            self.next.push(visit);
        }
    }

    fn import(&mut self, names: impl IntoIterator<Item = String>) {
        names.into_iter().for_each(|name| self.go(Visit::Module(name)));
    }

    /// Takes all next visits, and reads their files.
    fn read_next<S: PythonSource>(&mut self, source: &mut S) -> Result<Vec<(Visit, Option<ModuleFile>)>, S::Error> {
        let find = |visit: Visit| {
            let found = match &visit {
                Visit::Module(name) => self.modules.find(name),
                Visit::Function { module, .. } => self.modules.find(module),
            };
            (visit, found)
        };
        let visits: Vec<_> = std::mem::take(&mut self.next).into_iter().map(find).collect();
        let paths: BTreeSet<&ImagePath> = visits.iter().filter_map(|(_, found)| Some(&found.as_ref()?.path)).collect();
        let paths: Vec<&ImagePath> = paths.into_iter().filter(|path| !self.files.contains_key(*path)).collect();
        let files = source.read(&paths)?;
        self.files.extend(paths.into_iter().cloned().zip(files));
        Ok(visits)
    }

    /// Imports a module. Returns the module's file. Returns `None` if there is no file that Python loads for this
    /// module.
    fn load(&mut self, name: &str, found: Option<ModuleFile>) -> Option<ImagePath> {
        self.import([parent(name).to_owned()]);
        let others = WITH.iter().filter(|(module, _)| *module == name).flat_map(|(_, names)| *names);
        self.import(others.map(|name| (*name).to_owned()));
        let found = found?;
        let file = self.files.get(&found.path)?.as_ref()?;
        let package = found.package(name);
        let names: Vec<String> = file.at_import().flat_map(|import| import.candidates(package)).collect();
        let place = Place { module: name, package, file };
        let calls: Vec<Visit> = file.calls.iter().flat_map(|name| place.functions(name)).collect();
        self.import(names);
        calls.into_iter().for_each(|visit| self.go(visit));
        // A frozen module is a part of the interpreter, so no file is loaded for it. The modules that it imports still
        // count.
        (!self.modules.is_frozen(name)).then_some(found.path)
    }

    /// Handles a call of a function: visits the modules that the function imports, and the functions that it uses.
    fn run(&mut self, module: &str, function: &str, found: &ModuleFile) {
        let Some(Some(file)) = self.files.get(&found.path) else { return };
        let place = Place { module, package: found.package(module), file };
        let imports = file.in_function(function).flat_map(|import| import.candidates(place.package));
        let mut visits: Vec<Visit> = imports.map(Visit::Module).collect();
        match file.functions.get(function) {
            Some(names) => names.iter().for_each(|name| visits.extend(place.functions(name))),
            // The file does not define this function, but it may import the function from another file.
            None => visits.extend(place.functions(function)),
        }
        visits.into_iter().for_each(|visit| self.go(visit));
    }
}

/// A file, and the name by which it is imported.
struct Place<'a> {
    module: &'a str,
    /// The package for relative imports in the file.
    package: &'a str,
    file: &'a PythonFile,
}

impl Place<'_> {
    /// Returns the functions that a name in the file may mean. These functions are in this file, or in other files of
    /// the same package.
    fn functions(&self, name: &str) -> impl Iterator<Item = Visit> {
        let own = |module: &str| module.split('.').next().unwrap_or_default().to_owned();
        let here = self.file.functions.contains_key(name).then(|| (self.module.to_owned(), name.to_owned()));
        let there = self.file.origin_of(name).and_then(|(import, name)| {
            let module = import.module(self.package).filter(|module| own(module) == own(self.module))?;
            Some((module, name.to_owned()))
        });
        here.into_iter().chain(there).map(|(module, function)| Visit::Function { module, function })
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::model::digest::Digest;
    use crate::model::python_file::{Import, ImportedName, When};
    use crate::model::python_home::Python;
    use crate::model::tree::{Node, Origin, Tree};

    const SITE: &str = "/opt/app/lib/python3.13/site-packages";

    /// The Python files of a tree in memory. Their paths are below `SITE`.
    #[derive(Default)]
    struct Files(BTreeMap<ImagePath, Option<PythonFile>>);

    impl Files {
        fn file(mut self, path: &str, file: Option<PythonFile>) -> Self {
            self.0.insert(ImagePath::parse(&format!("{SITE}/{path}")).unwrap(), file);
            self
        }

        /// Adds a file that imports modules when it is imported.
        fn importing(self, path: &str, modules: &[&str]) -> Self {
            let imports = modules.iter().map(|module| import(module, &[])).collect();
            self.file(path, Some(PythonFile { imports, ..PythonFile::default() }))
        }

        /// Returns the files that are loaded if a program starts at `entry`. The paths are relative to `SITE`.
        fn loaded(mut self, entry: &str) -> Vec<String> {
            let mut tree = Tree::default();
            for path in self.0.keys() {
                tree.insert(path.clone(), Node::file(Digest::of(b""), 0, 0o644, Origin::Lath));
            }
            let modules = Modules::new(&tree, Python::of_release("3.13"), SITE.to_owned());
            let (module, function) = entry.split_once(':').unwrap_or((entry, ""));
            let function = Some(function.to_owned()).filter(|function| !function.is_empty());
            let entry = EntryPoint { module: module.to_owned(), function };
            let Ok(paths) = start_up_files(&modules, &[entry], BTreeSet::from(["hook".to_owned()]), &mut self);
            paths.iter().map(|path| path.as_str()[SITE.len() + 1..].to_owned()).collect()
        }
    }

    impl PythonSource for Files {
        type Error = Infallible;

        fn read(&mut self, paths: &[&ImagePath]) -> Result<Vec<Option<PythonFile>>, Infallible> {
            Ok(paths.iter().map(|path| self.0.remove(*path).expect("each file is read once")).collect())
        }
    }

    /// `import module`, or `from module import names`. The name of the module may begin with dots.
    fn import(module: &str, names: &[&str]) -> Import {
        let bare = module.trim_start_matches('.');
        let level = (module.len() - bare.len()) as u32;
        let names = names.iter().map(|name| ImportedName { name: (*name).to_owned(), alias: None }).collect();
        Import { level, module: bare.to_owned(), names, ..Import::default() }
    }

    #[test]
    fn a_start_loads_what_the_files_import_with_all_packages_above() {
        let files = Files::default()
            .importing("a/__init__.py", &[])
            .importing("a/b/__init__.py", &["..c", ".sibling", "os", "native"])
            .importing("a/b/sibling.py", &["a"])
            .importing("a/c.py", &["broken"])
            .file("broken.py", None)
            .importing("os.py", &["inner"])
            .importing("inner.py", &[])
            .importing("hook.py", &[])
            .importing("other.py", &[]);
        let expected = ["a/__init__.py", "a/b/__init__.py", "a/b/sibling.py", "a/c.py", "hook.py", "inner.py"];
        assert_eq!(files.loaded("a.b"), expected);
    }

    #[test]
    fn imports_that_do_not_run_at_start_up_are_not_followed() {
        let imports = vec![
            Import { is_skipped: true, ..import("skipped", &[]) },
            Import { is_call: true, ..import("call", &[]) },
            Import { when: When::Later, ..import("later", &[]) },
            Import { when: When::Called("main".to_owned()), ..import("called", &[]) },
            Import { is_optional: true, ..import("optional", &[]) },
        ];
        let mut files = Files::default().file("a.py", Some(PythonFile { imports, ..PythonFile::default() }));
        for name in ["skipped", "call", "later", "called", "optional"] {
            files = files.importing(&format!("{name}.py"), &[]);
        }
        assert_eq!(files.loaded("a"), ["a.py", "optional.py"]);
    }

    #[test]
    fn functions_run_if_a_file_calls_them_while_it_is_imported() {
        let go = Import { when: When::Called("go".to_owned()), ..import(".lazy", &[]) };
        let called = |imports, calls: &[&str]| {
            let calls: BTreeSet<String> = calls.iter().map(|name| (*name).to_owned()).collect();
            let functions = BTreeMap::from([("go".to_owned(), BTreeSet::new())]);
            Some(PythonFile { imports, functions, calls, ..PythonFile::default() })
        };
        let files = |calls: &[&str]| {
            Files::default()
                .file("a/__init__.py", called(vec![import(".tools", &["go"])], calls))
                .file("a/tools.py", called(vec![go.clone()], &[]))
                .importing("a/lazy.py", &[])
        };
        assert_eq!(files(&["go"]).loaded("a"), ["a/__init__.py", "a/lazy.py", "a/tools.py"]);
        assert_eq!(files(&[]).loaded("a"), ["a/__init__.py", "a/tools.py"]);
    }

    #[test]
    fn a_start_runs_through_the_functions_of_its_own_package() {
        let uses = |functions: &[(&str, &[&str])], imports: Vec<Import>| {
            let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            let functions = functions.iter().map(|(name, used)| ((*name).to_owned(), names(used))).collect();
            Some(PythonFile { imports, functions, ..PythonFile::default() })
        };
        let called =
            |function: &str, module: &str| Import { when: When::Called(function.to_owned()), ..import(module, &[]) };
        let files = Files::default()
            .file("a/__init__.py", uses(&[], vec![import(".core", &["main"])]))
            .file(
                "a/core.py",
                uses(
                    &[("main", &["helper", "run", "foreign"]), ("helper", &[]), ("unused", &[])],
                    vec![
                        import(".deep", &["run"]),
                        import("other", &["foreign"]),
                        called("helper", ".lazy"),
                        called("unused", ".never"),
                    ],
                ),
            )
            .file("a/deep.py", uses(&[("run", &["run"])], vec![called("run", "deepest")]))
            .file("other.py", uses(&[("foreign", &[])], vec![called("foreign", "far")]));
        let files = ["a/lazy.py", "a/never.py", "deepest.py", "far.py"]
            .into_iter()
            .fold(files, |files, path| files.importing(path, &[]));
        // The entry point `a:main` is a function that `a` imports from `a.core`.
        let expected = ["a/__init__.py", "a/core.py", "a/deep.py", "a/lazy.py", "deepest.py", "other.py"];
        assert_eq!(files.loaded("a:main"), expected);
    }
}
