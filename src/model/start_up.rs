//! The files that Python loads when a program starts: the closure over the imports that run at start-up. The result
//! depends on the files alone, because nothing of the image is run.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::image_path::ImagePath;
use crate::model::modules::{ModuleFile, Modules, parent};
use crate::model::python_file::PythonFile;

/// The modules that the interpreter imports before any program, if it does not contain them.
const FIRST: [&str; 4] = ["encodings.utf_8", "encodings.aliases", "encodings.utf_8_sig", "sitecustomize"];

/// Modules that other modules import by a call or by a computed name while most programs that have them start.
const BY_CALL: [(&str, &[&str]); 2] = [
    ("importlib.metadata", &["importlib.metadata._adapters", "importlib.metadata._text", "email.parser"]),
    ("requests.packages", &["idna", "chardet"]),
];

/// Reads the facts about Python files.
pub(crate) trait PythonSource {
    type Error;

    /// Returns the facts about each file. `None` if Python could not compile it.
    fn read(&mut self, paths: &[&ImagePath]) -> Result<Vec<Option<PythonFile>>, Self::Error>;
}

/// The place from which a program starts: `module`, or `module:function`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EntryPoint {
    pub(crate) module: String,
    pub(crate) function: Option<String>,
}

/// Returns the files that a start loads. `imported` are modules that are imported at every start.
///
/// A file's imports count if they run when it is imported itself. A function's imports count if a start runs through it:
/// the function of an entry point, and the functions of its own package whose names it uses.
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

/// A part of a start.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Visit {
    /// A module is imported.
    Module(String),
    /// A function of a module runs.
    Function { module: String, function: String },
}

struct Walk<'a> {
    modules: &'a Modules<'a>,
    /// The files that were read. `None` if Python could not compile one.
    files: BTreeMap<ImagePath, Option<PythonFile>>,
    seen: BTreeSet<Visit>,
    /// The visits that come next. Their files are read together, because parsing uses all cores then.
    next: Vec<Visit>,
}

impl Walk<'_> {
    fn go(&mut self, visit: Visit) {
        if self.seen.insert(visit.clone()) {
            self.next.push(visit);
        }
    }

    fn import(&mut self, names: impl IntoIterator<Item = String>) {
        names.into_iter().filter(|name| !name.is_empty()).for_each(|name| self.go(Visit::Module(name)));
    }

    /// Takes all visits that come next, and reads their files.
    fn read_next<S: PythonSource>(&mut self, source: &mut S) -> Result<Vec<(Visit, Option<ModuleFile>)>, S::Error> {
        let find = |visit: Visit| {
            let found = match &visit {
                Visit::Module(name) if self.modules.is_frozen(name) => None,
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

    /// Imports a module. Returns its file, if Python can load it.
    fn load(&mut self, name: &str, found: Option<ModuleFile>) -> Option<ImagePath> {
        self.import([parent(name).to_owned()]);
        let by_call = BY_CALL.iter().filter(|(module, _)| *module == name).flat_map(|(_, names)| *names);
        self.import(by_call.map(|name| (*name).to_owned()));
        let found = found?;
        let file = self.files.get(&found.path)?.as_ref()?;
        let package = found.package(name);
        let names: Vec<String> = file.at_import().flat_map(|import| import.candidates(package)).collect();
        self.import(names);
        Some(found.path)
    }

    /// Runs a function: it imports modules, and uses other functions.
    fn run(&mut self, module: &str, function: &str, found: &ModuleFile) {
        let Some(Some(file)) = self.files.get(&found.path) else { return };
        let package = found.package(module);
        let mut visits = Vec::new();
        let own = |module: &str| module.split('.').next().unwrap_or_default().to_owned();
        let imports = file.in_function(function).flat_map(|import| import.candidates(package));
        visits.extend(imports.filter(|name| !name.is_empty()).map(Visit::Module));
        // A name that is no function of this file may be imported from another one.
        let itself = BTreeSet::from([function.to_owned()]);
        for name in file.functions.get(function).unwrap_or(&itself) {
            if file.functions.contains_key(name) {
                visits.push(Visit::Function { module: module.to_owned(), function: name.clone() });
            }
            let Some((import, name)) = file.origin_of(name) else { continue };
            let Some(origin) = import.module(package).filter(|origin| own(origin) == own(module)) else { continue };
            visits.push(Visit::Function { module: origin, function: name.to_owned() });
        }
        visits.into_iter().for_each(|visit| self.go(visit));
    }
}
