//! Finds the modules that a program may import at any time. The search follows all imports of all reached files, and
//! also the names of modules in texts and in extension modules. If it is unclear whether a module is needed, the result
//! contains it.

mod conditional;
mod data;
mod map;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

pub(crate) use self::conditional::Conditional;
use self::conditional::Conditions;
use self::map::up;
pub(crate) use self::map::{ModuleMap, ModulePath, is_importable, is_program, module_of};
use crate::model::binary_texts::{BinaryTexts, NameSearch};
use crate::model::image_path::ImagePath;
use crate::model::modules::parent;
use crate::model::python_file::{Computed, PythonFile};
use crate::model::start_up::PythonSource;
use crate::model::tree::Origin;

/// Reads the files of modules.
pub(crate) trait ModuleSource: PythonSource {
    /// Returns the texts that may be names of modules, for each of these extension modules.
    fn texts_in(&mut self, paths: &[&ImagePath]) -> Result<Vec<BinaryTexts>, Self::Error>;
}

/// The reason why a module is reached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Cause {
    /// It is a starting point of the search: a program starts with it, or the user keeps it.
    Root,
    /// It is the package that contains `module`.
    PackageOf {
        module: String,
    },
    ImportedBy {
        module: String,
    },
    /// `module` computes the names of modules that it imports, so all modules of a package are kept.
    ComputedBy {
        module: String,
    },
    /// A text in the file of `module` contains its name.
    NamedBy {
        module: String,
    },
    /// The file of `module` cannot be read, so all modules of its distribution are kept.
    Unread {
        module: String,
    },
}

impl Cause {
    /// Whether this cause leads to all modules of a package or of a distribution. The number of such causes is limited,
    /// because there can be one for each pair of these modules.
    fn is_of_all(&self) -> bool {
        matches!(self, Self::ComputedBy { .. } | Self::Unread { .. })
    }

    /// The module that is the cause.
    pub(crate) fn module(&self) -> Option<&str> {
        match self {
            Self::Root => None,
            Self::PackageOf { module }
            | Self::ImportedBy { module }
            | Self::ComputedBy { module }
            | Self::NamedBy { module }
            | Self::Unread { module } => Some(module),
        }
    }
}

/// The maximum number of further causes of a module that lead to all modules of a package or of a distribution.
const MAX_OF_ALL: usize = 3;

/// The modules that are reached, each with the first cause that was found.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reached {
    pub(crate) modules: BTreeMap<String, Cause>,
    /// For each module, its causes except the first one. If a package is reached because of several modules in it, only
    /// the first of these modules is a cause.
    pub(crate) more: BTreeMap<String, BTreeSet<Cause>>,
    /// The modules that have more causes than `modules` and `more` contain.
    pub(crate) cut: BTreeSet<String>,
    /// The data files that are named by texts in reached modules, each with these modules.
    pub(crate) data: BTreeMap<ImagePath, BTreeSet<String>>,
    /// Distributions with modules that run Python code from elsewhere. The value is a reached module of the
    /// distribution that runs such code.
    pub(crate) runs_code: BTreeMap<Origin, String>,
}

/// The starting points from which modules are reached.
#[derive(Debug, Default)]
pub(crate) struct Start {
    pub(crate) roots: BTreeSet<String>,
    /// The modules in each group of entry points. They are reached if a file contains the name of the group.
    pub(crate) groups: BTreeMap<String, BTreeSet<String>>,
    /// The names of console scripts, which are in `groups`, too.
    pub(crate) scripts: BTreeSet<String>,
    /// Modules that are started as programs.
    pub(crate) programs: BTreeSet<String>,
    /// Packages that are needed as a whole: if one of their modules is reached, all their modules are reached.
    pub(crate) whole: BTreeSet<String>,
    /// For some modules of the standard library, the modules whose names occur in them, but that they do not need. `*`
    /// means that all texts of this module are ignored.
    pub(crate) cuts: BTreeMap<String, BTreeSet<String>>,
    /// Imports that the standard library makes, but that most programs do not need.
    pub(crate) conditional: Vec<Conditional>,
    /// The folder of the standard library.
    pub(crate) stdlib: String,
    /// Modules that are replaced when a program imports them, each with the modules that the program gets instead. For
    /// example, a program that imports `distutils` gets modules of `setuptools`.
    pub(crate) in_place_of: BTreeMap<String, BTreeSet<String>>,
    /// Whether only import statements and extension modules are followed. If so, texts and computed names are ignored.
    pub(crate) only_statements: bool,
}

/// The hook of setuptools. It counts as a module of the standard library, so that `cuts` apply to it.
const HOOK: &str = "_distutils_hack";

impl Reached {
    /// Adds a further cause of a module that is already reached.
    fn add_cause(&mut self, name: &str, cause: &Cause) {
        let is_known = self.modules.get(name) == Some(cause);
        if is_known || cause.module() == Some(name) || matches!(cause, Cause::PackageOf { .. }) {
            return;
        }
        if !self.more.contains_key(name) {
            self.more.insert(name.to_owned(), BTreeSet::new());
        }
        let Some(more) = self.more.get_mut(name).filter(|more| !more.contains(cause)) else { return };
        if cause.is_of_all() && more.iter().filter(|cause| cause.is_of_all()).count() >= MAX_OF_ALL {
            self.cut.insert(name.to_owned());
        } else {
            more.insert(cause.clone());
        }
    }
}

/// Endings of file names that are not used as names of modules or objects. Other endings, such as `json` in
/// `data.json`, may also be names of modules.
const FILES: [&str; 17] = [
    "bat", "cfg", "csh", "csv", "exe", "fish", "ini", "md", "pem", "ps1", "pth", "rst", "sh", "toml", "txt", "yaml",
    "yml",
];

/// Returns the modules that are reached. `is_stdlib` decides whether an origin is the standard library. The standard
/// library computes names only from values of its callers, so its computed names are ignored.
pub(crate) fn reached<S: ModuleSource>(
    map: &ModuleMap<'_>,
    start: &Start,
    is_stdlib: impl Fn(&Origin) -> bool,
    source: &mut S,
) -> Result<Reached, S::Error> {
    let mut walk = Walk {
        map,
        start,
        reached: Reached::default(),
        next: Vec::new(),
        exports: BTreeMap::new(),
        starred: BTreeSet::new(),
        programs: BTreeSet::new(),
        guarded: BTreeSet::new(),
        conditions: Conditions::new(&start.conditional),
    };
    for root in &start.roots {
        walk.go(root, &Cause::Root);
    }
    let search = NameSearch::new(map.modules.keys().map(String::as_str));
    while !walk.next.is_empty() {
        let names = std::mem::take(&mut walk.next);
        let of_module = |name: &String| map.modules[name].iter().map(|file| (name.clone(), *file)).collect::<Vec<_>>();
        let files: Vec<(String, ModulePath<'_>)> = names.iter().flat_map(of_module).collect();
        let is_python = |name: &str, file: &ModulePath<'_>| file.path.as_str().ends_with(".py") || is_program(name);
        let (python, binary): (Vec<_>, Vec<_>) = files.into_iter().partition(|(name, file)| is_python(name, file));
        let paths: Vec<&ImagePath> = python.iter().map(|(_, file)| file.path).collect();
        for ((name, file), facts) in python.iter().zip(source.read(&paths)?) {
            match &facts {
                Some(facts) => walk.visit(name, file, facts, is_stdlib(file.origin) || name == HOOK),
                None => walk.keep_distribution(name, file),
            }
            if !walk.is_in_stdlib(file) {
                walk.conditions.add_uses(facts.as_ref().map(|facts| &facts.uses));
            }
        }
        let paths: Vec<&ImagePath> = binary.iter().map(|(_, file)| file.path).collect();
        for ((name, file), texts) in binary.iter().zip(source.texts_in(&paths)?) {
            walk.visit_binary(name, &search.names_in(&texts), is_stdlib(file.origin));
            // Bytecode and files of Cython may also contain relative names.
            if file.path.as_str().ends_with(".pyc") || texts.is_of_cython() {
                walk.keep_distribution(name, file);
            }
            if !walk.is_in_stdlib(file) {
                walk.conditions.add_texts(&texts);
            }
        }
        for held_back in walk.conditions.due(|module| walk.reached.modules.contains_key(module)) {
            walk.go(&held_back.name, &Cause::ImportedBy { module: held_back.module });
        }
    }
    Ok(walk.reached)
}

struct Walk<'a> {
    map: &'a ModuleMap<'a>,
    start: &'a Start,
    reached: Reached,
    next: Vec<String>,
    /// The names in `__all__` of the packages that were visited until now.
    exports: BTreeMap<String, BTreeSet<String>>,
    /// The packages from which `*` was imported.
    starred: BTreeSet<String>,
    /// The modules whose names occur in a text. A program may start them: `[sys.executable, "-m", "tool"]`.
    programs: BTreeSet<String>,
    /// The visited modules that import more modules if they are started as programs, but that are not known to be
    /// programs until now.
    guarded: BTreeSet<String>,
    conditions: Conditions<'a>,
}

impl Walk<'_> {
    /// Adds a module, and the packages that contain it, to the reached modules. If there is no such module, the name
    /// may be an object in a module.
    fn go(&mut self, name: &str, cause: &Cause) {
        let start = self.start;
        if let Some(others) = start.in_place_of.get(name.split('.').next().unwrap_or_default()) {
            others.iter().for_each(|other| self.go(other, cause));
        }
        let Some(name) = self.map.longest(name) else { return };
        if !self.add(name, cause) {
            return;
        }
        let mut below = name;
        let mut above = parent(name);
        while !above.is_empty() {
            self.add(above, &Cause::PackageOf { module: below.to_owned() });
            // A folder without `__init__` has no file, so it is skipped in the causes.
            below = if self.map.modules.contains_key(above) { above } else { below };
            above = parent(above);
        }
    }

    /// Adds a module to the reached modules. Returns whether it was not reached before.
    fn add(&mut self, name: &str, cause: &Cause) -> bool {
        if !self.map.modules.contains_key(name) {
            return false;
        }
        if self.reached.modules.contains_key(name) {
            self.reached.add_cause(name, cause);
            return false;
        }
        self.reached.modules.insert(name.to_owned(), cause.clone());
        self.next.push(name.to_owned());
        if self.start.whole.contains(name) {
            let below: Vec<String> = self.map.below(name).cloned().collect();
            below.iter().for_each(|module| {
                self.go(module, &Cause::ComputedBy { module: name.to_owned() });
            });
        }
        true
    }

    fn visit(&mut self, name: &str, file: &ModulePath<'_>, facts: &PythonFile, is_stdlib: bool) {
        let package = if file.is_package { name } else { parent(name) };
        let by = || name.to_owned();
        let runs_as_program = self.runs_as_program(name, file);
        for import in facts.imports.iter().filter(|import| !import.is_skipped) {
            if import.as_program && !runs_as_program {
                if !is_stdlib {
                    self.guarded.insert(name.to_owned());
                }
                continue;
            }
            for candidate in import.candidates(package) {
                if !is_stdlib || !self.is_cut(name, &candidate) && !self.conditions.holds_back(name, &candidate) {
                    self.go(&candidate, &Cause::ImportedBy { module: by() });
                }
            }
            if import.names.iter().any(|one| one.name == "*") {
                let module = import.module(package).unwrap_or_default();
                self.starred.insert(module.clone());
                self.export(&module);
            }
        }
        if file.is_package && (facts.computes_exports || !facts.exports.is_empty()) {
            self.exports.insert(name.to_owned(), self.exported(name, facts));
            self.export(name);
        }
        if self.start.only_statements || is_stdlib && self.is_cut(name, "*") {
            return;
        }
        for program in &facts.programs {
            self.program(program, &Cause::NamedBy { module: by() });
        }
        for module in facts.texts.iter().flat_map(|text| self.named(text, name, package)).collect::<Vec<_>>() {
            self.go(&module, &Cause::NamedBy { module: by() });
            if !is_stdlib {
                self.start_as_program(&module);
            }
        }
        if is_stdlib {
            return;
        }
        for data in facts.texts.iter().chain(&facts.files).filter_map(|text| self.map.data.named(text, file.path)) {
            self.reached.data.entry(data.clone()).or_default().insert(by());
        }
        if facts.runs_code {
            self.reached.runs_code.entry(file.origin.clone()).or_insert_with(|| name.to_owned());
        }
        let computed = facts.computed.iter().flat_map(|computed| self.computed(computed, package, file));
        let plugins = facts.groups.iter().flat_map(|begin| self.plugins(begin, file));
        for module in computed.chain(plugins).collect::<Vec<_>>() {
            self.go(&module, &Cause::ComputedBy { module: by() });
        }
    }

    /// Whether Python starts the file as a program, as far as this is known until now. If so, the imports in `if
    /// __name__ == "__main__":` run.
    fn runs_as_program(&self, name: &str, file: &ModulePath<'_>) -> bool {
        let is_own = matches!(file.origin, Origin::Application | Origin::User);
        let is_main = name.rsplit('.').next() == Some("__main__");
        is_program(name) || is_own || is_main || self.start.programs.contains(name) || self.programs.contains(name)
    }

    /// Treats a module as a program. If it was visited before, and if it imports more modules as a program, it is
    /// visited again.
    fn start_as_program(&mut self, name: &str) {
        let Some(name) = self.map.longest(name).filter(|name| !self.programs.contains(*name)) else { return };
        self.programs.insert(name.to_owned());
        if self.guarded.remove(name) {
            self.next.push(name.to_owned());
        }
    }

    fn visit_binary(&mut self, name: &str, named: &BTreeSet<&str>, is_stdlib: bool) {
        for named in named {
            if !is_stdlib || !self.is_cut(name, named) {
                self.go(named, &Cause::NamedBy { module: name.to_owned() });
            }
        }
    }

    fn keep_distribution(&mut self, name: &str, file: &ModulePath<'_>) {
        let all = self.map.by_origin.get(file.origin).cloned().unwrap_or_default();
        all.iter().for_each(|module| self.go(module, &Cause::Unread { module: name.to_owned() }));
    }

    fn is_in_stdlib(&self, file: &ModulePath<'_>) -> bool {
        file.path.is_within(&self.start.stdlib)
    }

    fn is_cut(&self, module: &str, named: &str) -> bool {
        let cuts = self.start.cuts.get(module);
        cuts.is_some_and(|cuts| std::iter::successors(Some(named), |name| up(name)).any(|name| cuts.contains(name)))
    }

    /// Returns the names in `__all__` of a package. If the package computes these names, each of its modules may be
    /// among them.
    fn exported(&self, package: &str, facts: &PythonFile) -> BTreeSet<String> {
        let begin = format!("{package}.");
        let inner =
            self.map.below(package).filter_map(|name| name.strip_prefix(&begin)).filter(|name| !name.contains('.'));
        let computed = inner.filter(|_| facts.computes_exports).map(str::to_owned);
        facts.exports.iter().cloned().chain(computed).collect()
    }

    /// Handles `from package import *`, which imports the modules in `__all__` of the package.
    fn export(&mut self, package: &str) {
        if !self.starred.contains(package) {
            return;
        }
        let exports = self.exports.get(package).into_iter().flatten();
        let modules: Vec<String> = exports.map(|name| format!("{package}.{name}")).collect();
        for module in modules.iter().filter(|module| self.map.modules.contains_key(*module)) {
            self.go(module, &Cause::NamedBy { module: package.to_owned() });
        }
    }

    /// Adds the modules of a group of entry points, or of a console script, to the reached modules.
    fn program(&mut self, name: &str, by: &Cause) {
        let targets = self.start.groups.get(name).into_iter().flatten();
        targets.for_each(|target| self.go(target, by));
    }

    /// Returns the names of all modules and objects that a text may mean. The text is in the file of the module `name`.
    fn named(&self, text: &str, name: &str, package: &str) -> Vec<String> {
        let mut all: Vec<String> = self.start.groups.get(text).into_iter().flatten().cloned().collect();
        let is_module = |name: &String| self.map.modules.contains_key(name);
        if text.ends_with(".py") {
            let named = self.map.by_file_name.get(text).into_iter().flatten();
            let top = name.split('.').next().unwrap_or_default();
            all.extend(named.filter(|module| module.split('.').next() == Some(top)).cloned());
        } else if let Some(relative) = text.strip_prefix('.') {
            // The name may be relative to one of the packages that contain the file. If no such module exists, the text
            // is something else, such as `.txt`, the ending of file names.
            let packages = std::iter::successors(Some(package), |package| up(package)).filter(|name| !name.is_empty());
            let names = packages.map(|package| format!("{package}.{}", relative.trim_start_matches('.')));
            all.extend(names.filter(is_module));
        } else {
            let is_file = text.rsplit('.').next().is_some_and(|end| FILES.contains(&end));
            all.extend(Some(text.to_owned()).filter(|text| !is_file || is_module(text)));
            all.extend(Some(format!("{package}.{text}")).filter(|own| !package.is_empty() && is_module(own)));
        }
        all
    }

    /// Returns the modules in groups of entry points whose names begin with `begin`. If `begin` is empty, returns the
    /// modules in those groups to which the distribution of `file` adds modules itself.
    fn plugins(&self, begin: &str, file: &ModulePath<'_>) -> Vec<String> {
        let is_own = |target: &String| {
            let files = self.map.longest(target).and_then(|name| self.map.modules.get(name));
            files.is_some_and(|files| files.iter().any(|other| other.origin == file.origin))
        };
        let groups = self.start.groups.iter().filter(|(group, targets)| match begin {
            "" => !self.start.scripts.contains(*group) && targets.iter().any(is_own),
            begin => group.starts_with(begin),
        });
        groups.flat_map(|(_, targets)| targets).cloned().collect()
    }

    /// Returns the modules that an import with a computed name may import.
    fn computed(&self, computed: &Computed, package: &str, file: &ModulePath<'_>) -> Vec<String> {
        match computed {
            Computed::Own if !package.is_empty() => self.map.below(package).cloned().collect(),
            Computed::Below(begin) => {
                self.map.from(begin).take_while(|name| name.starts_with(begin.as_str())).cloned().collect()
            }
            Computed::Own | Computed::Any => self.map.by_origin.get(file.origin).cloned().unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;
    use crate::model::digest::Digest;
    use crate::model::python_file::{Import, ImportedName, When};
    use crate::model::tree::{Node, Tree};

    const SITE: &str = "/site";

    /// A tree in memory, with the facts about its Python files and the names in its extension modules.
    #[derive(Default)]
    struct Given {
        tree: Tree,
        python: BTreeMap<ImagePath, PythonFile>,
        binary: BTreeMap<ImagePath, BTreeSet<String>>,
        start: Start,
    }

    impl PythonSource for &Given {
        type Error = Infallible;

        fn read(&mut self, paths: &[&ImagePath]) -> Result<Vec<Option<PythonFile>>, Infallible> {
            Ok(paths.iter().map(|path| self.python.get(*path).cloned()).collect())
        }
    }

    impl ModuleSource for &Given {
        fn texts_in(&mut self, paths: &[&ImagePath]) -> Result<Vec<BinaryTexts>, Infallible> {
            let words = |path: &&ImagePath| self.binary.get(*path).cloned().unwrap_or_default();
            Ok(paths.iter().map(|path| BinaryTexts { words: words(path), ..BinaryTexts::default() }).collect())
        }
    }

    fn set(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn import(module: &str, names: &[&str]) -> Import {
        let names = names.iter().map(|name| ImportedName { name: (*name).to_owned(), alias: None }).collect();
        Import { module: module.to_owned(), names, ..Import::default() }
    }

    fn importing(imports: Vec<Import>) -> PythonFile {
        PythonFile { imports, ..PythonFile::default() }
    }

    impl Given {
        fn file(mut self, path: &str, facts: PythonFile) -> Self {
            let distribution = path.split(['/', '.']).next().unwrap().to_owned();
            let origin = Origin::Wheel { name: distribution, version: "1".to_owned() };
            let path = ImagePath::parse(&format!("{SITE}/{path}")).unwrap();
            self.tree.insert(path.clone(), Node::file(Digest::of(b""), 0, 0o644, origin));
            self.python.insert(path, facts);
            self
        }

        fn files(self, paths: &[&str]) -> Self {
            paths.iter().fold(self, |given, path| given.file(path, PythonFile::default()))
        }

        fn extension(mut self, path: &str, names: &[&str]) -> Self {
            let path = ImagePath::parse(&format!("{SITE}/{path}")).unwrap();
            self.tree.insert(path.clone(), Node::file(Digest::of(b""), 0, 0o644, Origin::Lath));
            self.binary.insert(path, set(names));
            self
        }

        fn reached(mut self, root: &str) -> Reached {
            self.start.roots.insert(root.to_owned());
            let map = ModuleMap::new(&self.tree, &[SITE.to_owned()]);
            let Ok(reached) = reached(&map, &self.start, |origin| matches!(origin, Origin::Deb { .. }), &mut &self);
            reached
        }

        fn names(self, root: &str) -> Vec<String> {
            self.reached(root).modules.into_keys().collect()
        }
    }

    #[test]
    fn the_imports_of_a_program_are_reached_only_if_something_starts_it() {
        let given = || {
            let guarded = Import { as_program: true, ..import("b", &[]) };
            let named = PythonFile { texts: set(&["a.tool"]), ..importing(vec![import("a.tool", &[])]) };
            let of_main = importing(vec![guarded.clone()]);
            Given::default()
                .file("a/tool.py", importing(vec![guarded]))
                .file("c/__main__.py", of_main)
                .file("d.py", importing(vec![import("a.tool", &[])]))
                .file("e.py", named)
                .files(&["b.py"])
        };
        assert_eq!(given().names("d"), ["a.tool", "d"]);
        assert_eq!(given().names("e"), ["a.tool", "b", "e"]);
        assert_eq!(given().names("c.__main__"), ["b", "c.__main__"]);
        let mut started = given();
        started.start.programs = set(&["a.tool"]);
        assert_eq!(started.names("d"), ["a.tool", "b", "d"]);
    }

    #[test]
    fn all_modules_of_a_package_are_reached_if_it_computes_what_a_star_imports() {
        let given = |names: &[&str]| {
            let computing = PythonFile { computes_exports: true, ..PythonFile::default() };
            Given::default()
                .file("a/__init__.py", computing)
                .file("main.py", importing(vec![import("a", names)]))
                .files(&["a/b.py", "a/c/__init__.py", "a/c/d.py"])
        };
        assert_eq!(given(&["*"]).names("main"), ["a", "a.b", "a.c", "main"]);
        assert_eq!(given(&["x"]).names("main"), ["a", "main"]);
    }

    #[test]
    fn plugins_of_groups_with_a_computed_name_are_reached() {
        let given = |begin: &str| {
            let finding = PythonFile { groups: set(&[begin]), ..PythonFile::default() };
            let mut given = Given::default().file("a.py", finding).files(&["a/own.py", "b.py", "c.py"]);
            let groups = [("tool_b", "b.X"), ("other", "a.own.X"), ("more", "c")];
            given.start.groups = groups.map(|(group, target)| (group.to_owned(), set(&[target]))).into();
            given.start.groups.insert("a".to_owned(), set(&["a", "c"]));
            given.start.scripts = set(&["a"]);
            given.names("a")
        };
        assert_eq!(given("tool_"), ["a", "b"]);
        assert_eq!(given(""), ["a", "a.own"]);
    }

    #[test]
    fn imports_at_any_time_are_reached_with_the_packages_that_contain_them() {
        let later = Import { when: When::Later, ..import("b.c", &["d", "Class"]) };
        let never = Import { is_skipped: true, ..import("e", &[]) };
        let given = Given::default().file("a.py", importing(vec![later, never])).files(&[
            "b/__init__.py",
            "b/c/__init__.py",
            "b/c/d.py",
            "b/other.py",
            "e.py",
        ]);
        let reached = given.reached("a");
        assert_eq!(reached.modules.keys().collect::<Vec<_>>(), ["a", "b", "b.c", "b.c.d"]);
        assert_eq!(reached.modules["b.c.d"], Cause::ImportedBy { module: "a".to_owned() });
        assert_eq!(reached.modules["b"], Cause::PackageOf { module: "b.c".to_owned() });
    }

    #[test]
    fn modules_named_in_texts_and_in_extension_modules_are_reached() {
        let texts = set(&["b.Class", "tool.py", "my.group", "own"]);
        let mut given = Given::default()
            .file("a/__init__.py", PythonFile { texts, ..PythonFile::default() })
            .files(&["a/tool.py", "a/own.py", "a/other.py", "b.py", "plugin.py", "z/tool.py"])
            .extension("c.abi3.so", &["d"])
            .files(&["d.py"]);
        given.start.groups.insert("my.group".to_owned(), set(&["plugin"]));
        given.start.groups.insert("other.group".to_owned(), set(&["z.tool"]));
        given.start.roots.insert("c".to_owned());
        assert_eq!(given.names("a"), ["a", "a.own", "a.tool", "b", "c", "d", "plugin"]);
    }

    #[test]
    fn data_is_reached_if_a_reached_module_names_it() {
        let naming = |texts: &[&str], files: &[&str]| PythonFile {
            texts: set(texts),
            files: set(files),
            ..PythonFile::default()
        };
        let given = Given::default()
            .file("a/__init__.py", naming(&["one.txt"], &["data/two.txt"]))
            .file("a/other.py", naming(&["three.txt"], &[]))
            .files(&["a/one.txt", "a/two.txt", "a/three.txt", "a/data/two.txt"]);
        let data = given.reached("a").data;
        let data: Vec<String> = data.iter().map(|(path, by)| format!("{path} {by:?}")).collect();
        assert_eq!(data, ["/site/a/data/two.txt {\"a\"}", "/site/a/one.txt {\"a\"}"]);
    }

    #[test]
    fn a_computed_name_keeps_its_package() {
        let computing = |computed| PythonFile { computed: [computed].into(), ..PythonFile::default() };
        let names = |computed| {
            Given::default()
                .file("a/x/__init__.py", computing(computed))
                .files(&["a/__init__.py", "a/x/y.py", "a/z.py", "b/one.py", "b/two.py"])
                .names("a.x")
        };
        assert_eq!(names(Computed::Own), ["a", "a.x", "a.x.y"]);
        assert_eq!(names(Computed::Any), ["a", "a.x", "a.x.y", "a.z"]);
        assert_eq!(names(Computed::Below("b.t".to_owned())), ["a", "a.x", "b.two"]);
    }

    #[test]
    fn all_modules_of_a_whole_package_are_reached_and_cuts_are_not() {
        let mut given = Given::default().file("a.py", importing(vec![import("b", &[])])).files(&[
            "b/__init__.py",
            "b/c.py",
            "d.py",
        ]);
        given.start.whole = set(&["b"]);
        assert_eq!(given.names("a"), ["a", "b", "b.c"]);
    }

    #[test]
    fn everything_that_a_star_imports_is_reached() {
        let exports = PythonFile { exports: set(&["c", "function"]), ..PythonFile::default() };
        let given = |name: &str| {
            Given::default()
                .file("a.py", importing(vec![import("b", &[name])]))
                .file("b/__init__.py", exports.clone())
                .files(&["b/c.py"])
        };
        assert_eq!(given("*").names("a"), ["a", "b", "b.c"]);
        assert_eq!(given("function").names("a"), ["a", "b"]);
    }

    #[test]
    fn a_text_with_a_dot_before_it_is_relative() {
        let texts = set(&[".json", ".x", "..y"]);
        let given = Given::default().file("a/b/__init__.py", PythonFile { texts, ..PythonFile::default() }).files(&[
            "json.py",
            "a/__init__.py",
            "a/b/x.py",
            "a/y.py",
            "x.py",
            "a/z.py",
        ]);
        assert_eq!(given.names("a.b"), ["a", "a.b", "a.b.x", "a.y"]);
    }

    #[test]
    fn the_name_of_a_file_is_no_object_of_a_module() {
        let texts = set(&["b.bat", "c.d.txt", "e.Class"]);
        let given = Given::default().file("a.py", PythonFile { texts, ..PythonFile::default() }).files(&[
            "b.py",
            "c/__init__.py",
            "c/d/txt.py",
            "e.py",
        ]);
        assert_eq!(given.names("a"), ["a", "c", "c.d.txt", "e"]);
    }

    #[test]
    fn a_module_is_reached_with_those_that_take_its_place() {
        let mut given = Given::default().file("a.py", importing(vec![import("old.x", &["y"])])).files(&["new/x.py"]);
        given.start.in_place_of.insert("old".to_owned(), set(&["new.x"]));
        assert_eq!(given.names("a"), ["a", "new.x"]);
    }

    #[test]
    fn a_cut_applies_to_the_names_in_a_module_too() {
        let mut given = Given::default().file("a.py", importing(vec![import("b", &["*"]), import("bc", &[])]));
        given = given.files(&["b.py", "bc.py"]);
        given.start.cuts.insert("a".to_owned(), set(&["b"]));
        let start = Start { roots: set(&["a"]), cuts: given.start.cuts.clone(), ..Start::default() };
        let map = ModuleMap::new(&given.tree, &[SITE.to_owned()]);
        let found = |is_stdlib: bool| reached(&map, &start, |_| is_stdlib, &mut &given).unwrap().modules;
        assert_eq!(found(true).into_keys().collect::<Vec<_>>(), ["a", "bc"]);
        assert_eq!(found(false).into_keys().collect::<Vec<_>>(), ["a", "b", "bc"]);
    }

    #[test]
    fn modules_that_import_each_other_are_reached_once() {
        let cyclic = Given::default()
            .file("a.py", importing(vec![import("b", &[])]))
            .file("b.py", importing(vec![import("a", &[]), import("b", &[])]));
        assert_eq!(cyclic.names("a"), ["a", "b"]);
    }

    #[test]
    fn a_file_that_cannot_be_read_keeps_its_distribution() {
        let given = || Given::default().files(&["a/__init__.py", "a/other.py", "a/x.py", "b.py"]);
        let unread = || {
            let mut given = given();
            given.python.remove(&ImagePath::parse(&format!("{SITE}/a/x.py")).unwrap());
            given
        };
        assert_eq!(given().names("a.x"), ["a", "a.x"]);
        assert_eq!(unread().names("a.x"), ["a", "a.other", "a.x"]);
        assert_eq!(unread().names("a.other"), ["a", "a.other"], "nothing imports the file");
        assert_eq!(unread().reached("a.x").modules["a.other"], Cause::Unread { module: "a.x".to_owned() });
    }

    #[test]
    fn bytecode_without_its_file_keeps_its_distribution() {
        let mut given = Given::default().files(&["a/__init__.py", "a/other.py", "b.py", "c.py"]);
        let path = ImagePath::parse(&format!("{SITE}/a/x.pyc")).unwrap();
        let origin = Origin::Wheel { name: "a".to_owned(), version: "1".to_owned() };
        given.tree.insert(path.clone(), Node::file(Digest::of(b""), 0, 0o644, origin));
        given.binary.insert(path, set(&["b"]));
        assert_eq!(given.names("a.x"), ["a", "a.other", "a.x", "b"]);
    }

    #[test]
    fn a_file_of_cython_keeps_its_distribution_because_its_names_are_relative() {
        let given = |words: &[&str]| {
            let mut given = Given::default().files(&["a/__init__.py", "a/other.py", "b.py"]).extension("a/x.so", words);
            let origin = Origin::Wheel { name: "a".to_owned(), version: "1".to_owned() };
            let path = ImagePath::parse(&format!("{SITE}/a/x.so")).unwrap();
            given.tree.insert(path, Node::file(Digest::of(b""), 0, 0o644, origin));
            given.names("a.x")
        };
        assert_eq!(given(&["other"]), ["a", "a.x"]);
        assert_eq!(given(&["other", "cython_runtime"]), ["a", "a.other", "a.x"]);
    }

    #[test]
    fn a_word_in_a_file_that_runs_programs_is_a_program_and_no_module() {
        let programs = set(&["b", "c"]);
        let mut given = Given::default().file("a.py", PythonFile { programs, ..PythonFile::default() });
        given = given.files(&["b.py", "tool.py"]);
        given.start.groups.insert("c".to_owned(), set(&["tool"]));
        assert_eq!(given.names("a"), ["a", "tool"]);
    }

    #[test]
    fn a_distribution_that_runs_code_is_reported() {
        let given = Given::default().file("a.py", PythonFile { runs_code: true, ..PythonFile::default() });
        assert_eq!(given.reached("a").runs_code.into_values().collect::<Vec<_>>(), ["a"]);
    }
}
