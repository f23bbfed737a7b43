//! Removes modules that no program of the image can import.
//!
//! [`crate::model::reach`] follows the imports of the programs of the image. The modules that it finds stay. If a
//! program runs code of its users, all modules stay, because lath does not know the imports of this code.

use std::collections::{BTreeMap, BTreeSet};

use super::{Proposal, Scene};
use crate::catalog::reach as names;
use crate::formats::python_imports;
use crate::formats::wheel::entry_point_groups;
use crate::model::assembly::{Assembly, InstalledScript};
use crate::model::distribution_name::normalised;
use crate::model::image_path::ImagePath;
use crate::model::launch::{Exposed, Started};
use crate::model::modules::Modules;
use crate::model::reach::{Conditional, ModuleMap, ModulePath, Reached, Start, is_importable, is_program, reached};
use crate::model::reason::Removed;
use crate::model::request::SlimRequest;
use crate::model::trace::Trace;
use crate::model::tree::{Kind, Node, Origin, Tree};
use crate::outside::python_files::PythonFiles;
use crate::outside::store::StoreError;

/// Proposes to remove the modules that are not reached. If all modules stay, proposes a note with the reason instead.
pub(super) fn modules(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    let (whole, request) = (scene.whole(), scene.request());
    Reach { scene, whole, request, stdlib: request.python.stdlib() }.modules()
}

/// The folders and archives that `.pth` files add to the search path. All modules in them stay.
#[derive(Debug, Default)]
struct Added {
    folders: Vec<ImagePath>,
    archives: Vec<ImagePath>,
}

/// The modules that an image needs according to a trace.
pub(super) enum Needed {
    /// All modules, because a program runs code of its users.
    All { reason: String },
    /// All modules except those in `removed`.
    Only { removed: BTreeSet<ImagePath> },
}

/// Returns the modules that are needed: the modules in `trace`, and all modules that these import by statements,
/// directly or through others. If a program computes the name of a module, the module is needed only if it is in
/// `trace`.
pub(super) fn needed(scene: &Scene<'_>, trace: &Trace) -> Result<Needed, StoreError> {
    let (whole, request) = (scene.whole(), scene.request());
    Reach { scene, whole, request, stdlib: request.python.stdlib() }.needed(trace)
}

/// Whether a file belongs to the standard library.
fn is_stdlib(origin: &Origin) -> bool {
    matches!(origin, Origin::Deb { .. } | Origin::Base)
}

/// Returns a function that decides whether a Python file is data of a distribution that the image uses.
fn is_data(map: &ModuleMap<'_>, found: &Reached) -> impl Fn(&str, &ModulePath<'_>) -> bool {
    let files = found.modules.keys().filter_map(|name| map.modules.get(name)).flatten();
    let used: BTreeSet<&Origin> = files.map(|file| file.origin).collect();
    move |name, file| {
        let is_of_used = matches!(file.origin, Origin::Wheel { .. }) && used.contains(file.origin);
        is_of_used && file.path.as_str().ends_with(".py") && map.is_data(name)
    }
}

fn conditional(one: &names::Conditional) -> Conditional {
    Conditional {
        module: one.module.clone(),
        import: one.import.clone(),
        names: one.names.iter().cloned().collect(),
        with: one.with.iter().cloned().collect(),
    }
}

/// The maximum size of a file whose first line is read.
const MAX_PROGRAM_BYTES: u64 = 1 << 20;

struct Reach<'a, 'b> {
    scene: &'b Scene<'a>,
    whole: &'a Assembly,
    request: &'a SlimRequest<'a>,
    /// The folder of the standard library.
    stdlib: String,
}

impl<'a> Reach<'a, '_> {
    fn tree(&self) -> &'a Tree {
        self.scene.tree
    }

    fn is_requested(&self, distribution: &str) -> bool {
        self.whole.programs.iter().any(|program| program.name == distribution)
    }

    /// Returns the reason why all modules stay, if a program of the image runs code of its users. There are three
    /// possible reasons:
    ///
    /// - The image starts Python itself, because no requested distribution has a program and the user named no command.
    /// - A reached module belongs to a distribution that is known to run code of its users.
    /// - The code of a requested distribution or of the user calls a function that runs code.
    fn host(&self, map: &ModuleMap<'_>, found: &Reached) -> Option<String> {
        let has_program = self.whole.scripts.iter().any(|script| script.is_requested);
        if !has_program && *self.request.started == Started::default() {
            return Some("Python runs code of its users".to_owned());
        }
        let files = found.modules.keys().filter_map(|name| map.modules.get(name)).flatten();
        let mut distributions = files.filter_map(|file| match file.origin {
            Origin::Wheel { name, .. } => Some(name),
            _ => None,
        });
        if let Some(name) = distributions.find(|name| names::is_host(name, self.is_requested(name))) {
            return Some(format!("`{name}` runs code of its users"));
        }
        let is_own = |origin: &Origin| match origin {
            Origin::Wheel { name, .. } => self.is_requested(name),
            Origin::Deb { .. } | Origin::Base | Origin::Lath => false,
            Origin::User | Origin::Application => true,
        };
        let (_, module) = found.runs_code.iter().find(|(origin, _)| is_own(origin))?;
        Some(format!("the module `{module}` runs code that it is given"))
    }

    /// Returns the reason why all modules stay, if `.pth` files add an archive. lath cannot read the imports of modules
    /// in an archive.
    fn archive(added: &Added) -> Option<String> {
        added.archives.first().map(|archive| format!("`{archive}` is an archive with modules"))
    }

    fn map(&self, added: &Added, files: &PythonFiles<'_>) -> Result<ModuleMap<'a>, StoreError> {
        let roots = [added.folders.iter().map(ToString::to_string).collect(), self.search_path()].concat();
        let mut map = ModuleMap::new(self.tree(), &roots);
        let written: BTreeSet<String> = self.scripts_of(|script| script.module.is_some()).collect();
        for (path, node) in &self.tree().nodes {
            let is_module = roots.iter().any(|root| path.is_within(root));
            if !is_module && !written.contains(path.as_str()) && self.is_python(path, node, files)? {
                map.add_program(path, &node.origin);
            }
        }
        Ok(map)
    }

    /// Returns the paths of the console scripts for which `is_meant` is true.
    fn scripts_of(&self, is_meant: impl Fn(&InstalledScript) -> bool) -> impl Iterator<Item = String> {
        let meant = self.whole.scripts.iter().filter(move |script| is_meant(script));
        meant.map(|script| self.request.user_base.program(&script.name))
    }

    /// Returns the object that a script imports, with its module. If the script is not generated but a file of its
    /// distribution, returns the path of the file.
    fn module_of(&self, script: &InstalledScript) -> String {
        let object = script.attribute.as_deref().and_then(|attribute| attribute.split('.').next());
        match (&script.module, object) {
            (Some(module), Some(object)) => format!("{module}.{object}"),
            (Some(module), None) => module.clone(),
            (None, _) => self.request.user_base.program(&script.name),
        }
    }

    /// Whether a file counts as Python code. This depends on its name, or on its first line if it is a program.
    fn is_python(&self, path: &ImagePath, node: &Node, files: &PythonFiles<'_>) -> Result<bool, StoreError> {
        let Kind::File { size_bytes, .. } = node.kind else { return Ok(false) };
        let is_elf = || self.whole.facts.of(node).is_some_and(|facts| facts.elf.is_some());
        if path.as_str().ends_with(".py") {
            return Ok(true);
        }
        if !node.is_executable() || size_bytes > MAX_PROGRAM_BYTES || is_elf() {
            return Ok(false);
        }
        let contents = files.contents(path)?;
        let first = contents.split(|byte| *byte == b'\n').next().unwrap_or_default();
        // A script in another language may run any module of its distribution. So it counts as a Python file that
        // cannot be read.
        let is_meant = matches!(node.origin, Origin::Wheel { .. }) || first.windows(6).any(|word| word == b"python");
        Ok(first.starts_with(b"#!") && is_meant)
    }

    fn start(&self, map: &ModuleMap<'_>, added: &Added, files: &PythonFiles<'_>) -> Result<Start, StoreError> {
        let names_of = |names: &mut dyn Iterator<Item = &'static str>| names.map(str::to_owned).collect();
        Ok(Start {
            roots: self.roots(map, added, files)?,
            groups: self.groups(files)?,
            scripts: self.whole.scripts.iter().map(|script| script.name.clone()).collect(),
            programs: self.request.started.modules.iter().map(|entry| entry.module.clone()).collect(),
            whole: names::whole().map(str::to_owned).collect(),
            cuts: names::cuts().map(|(module, mut cuts)| (module.to_owned(), names_of(&mut cuts))).collect(),
            in_place_of: names::in_place_of()
                .map(|(module, mut others)| (module.to_owned(), names_of(&mut others)))
                .collect(),
            conditional: names::conditional().iter().map(conditional).collect(),
            stdlib: self.stdlib.clone(),
            only_statements: false,
        })
    }

    fn needed(&self, trace: &Trace) -> Result<Needed, StoreError> {
        let mut files = PythonFiles::new(self.tree(), &self.whole.facts, self.scene.store());
        let added = self.added(&files)?;
        if let Some(reason) = Self::archive(&added) {
            return Ok(Needed::All { reason });
        }
        let map = self.map(&added, &files)?;
        let mut start = self.start(&map, &added, &files)?;
        let found = reached(&map, &start, is_stdlib, &mut files)?;
        if let Some(reason) = self.host(&map, &found) {
            return Ok(Needed::All { reason });
        }
        start.only_statements = true;
        let is_used = |files: &[ModulePath<'_>]| files.iter().any(|file| trace.has(file.path));
        let used = map.modules.iter().filter(|(_, files)| is_used(files)).map(|(name, _)| name.clone());
        start.roots.extend(used);
        let found = reached(&map, &start, is_stdlib, &mut files)?;
        // No Python file stays as data here, because the runs show which data is used, even if the data is in Python
        // files.
        let proposals = self.removals(&map, &found, |_, _| false).into_iter();
        let removed = proposals.filter_map(|proposal| match proposal {
            Proposal::Remove { path, .. } => Some(path),
            _ => None,
        });
        Ok(Needed::Only { removed: removed.collect() })
    }

    fn modules(&self) -> Result<Vec<Proposal>, StoreError> {
        let mut files = PythonFiles::new(self.tree(), &self.whole.facts, self.scene.store());
        let added = self.added(&files)?;
        if let Some(reason) = Self::archive(&added) {
            return Ok(vec![Proposal::Note(format!("`--trim reach` keeps all modules: {reason}"))]);
        }
        let map = self.map(&added, &files)?;
        let start = self.start(&map, &added, &files)?;
        let found = reached(&map, &start, is_stdlib, &mut files)?;
        files.keep()?;
        let mut plan = match self.host(&map, &found) {
            Some(reason) => vec![Proposal::Note(format!("`--trim reach` keeps all modules: {reason}"))],
            None => self.removals(&map, &found, is_data(&map, &found)),
        };
        plan.extend(self.useless_names(&map));
        plan.push(Proposal::Reached(found));
        Ok(plan)
    }

    fn search_path(&self) -> Vec<String> {
        self.request.user_base.search_path(self.request.python)
    }

    fn pth_files(&self) -> Vec<&'a ImagePath> {
        let site = self.request.user_base.site(self.request.python.version);
        Modules::new(self.tree(), self.request.python, site).pth_files().collect()
    }

    /// Returns the folders and archives that `.pth` files add to the search path.
    fn added(&self, files: &PythonFiles<'_>) -> Result<Added, StoreError> {
        let mut added = Added::default();
        let usual = self.search_path();
        for file in self.pth_files() {
            let folder = file.parent().map(|folder| folder.to_string()).unwrap_or_default();
            for line in python_imports::paths_of_pth(&files.contents(file)?) {
                let line = line.trim_start_matches("./");
                let path = if line.starts_with('/') { line.to_owned() } else { format!("{folder}/{line}") };
                let Some((path, node)) = self.tree().find(&path) else { continue };
                match node.kind {
                    Kind::Directory if !usual.iter().any(|usual| usual == path.as_str()) => added.folders.push(path),
                    Kind::File { .. } => added.archives.push(path),
                    Kind::Directory | Kind::Link { .. } => {}
                }
            }
        }
        // If one of these folders contains another, the inner folder comes first.
        added.folders.sort_by_key(|folder| std::cmp::Reverse(folder.as_str().len()));
        Ok(added)
    }

    /// Returns a warning for each `--keep-module` that names no module.
    fn useless_names(&self, map: &ModuleMap<'_>) -> Vec<Proposal> {
        let names = self.request.options.keep_modules.iter().filter(|name| map.below(name).next().is_none());
        names.map(|name| Proposal::Warning(format!("`--keep-module {name}` is not a module of the image"))).collect()
    }

    /// Proposes to remove the modules that are not reached, except those for which `stays` is true.
    fn removals(
        &self,
        map: &ModuleMap<'_>,
        found: &Reached,
        stays: impl Fn(&str, &ModulePath<'_>) -> bool,
    ) -> Vec<Proposal> {
        let unreached = map.modules.iter().filter(|(name, _)| !found.modules.contains_key(*name));
        let files = unreached.flat_map(|(name, files)| files.iter().filter(|file| !stays(name, file)));
        let files = files.filter(|file| self.may_go(file));
        let mut plan: Vec<Proposal> =
            files.map(|file| Proposal::Remove { path: file.path.clone(), reason: Removed::UnreachedModules }).collect();
        plan.extend(self.test_suites(map, found));
        plan.extend(self.scripts(found));
        plan
    }

    /// Proposes to remove the console scripts whose modules are not reached.
    fn scripts(&self, found: &Reached) -> Vec<Proposal> {
        // An entry point may name the file of a package: `tool.__init__:main`.
        let is_unreached = |module: &str| !found.modules.contains_key(module.trim_end_matches(".__init__"));
        let scripts = self.whole.scripts.iter().filter(|script| script.module.as_deref().is_some_and(is_unreached));
        let paths = scripts.filter_map(|script| ImagePath::parse(&self.request.user_base.program(&script.name)).ok());
        paths.map(|path| Proposal::Remove { path, reason: Removed::UnreachedModules }).collect()
    }

    /// Whether trim may remove the file of a module: only if the file is part of a distribution or of the standard
    /// library.
    fn may_go(&self, file: &ModulePath<'_>) -> bool {
        match file.origin {
            Origin::Wheel { .. } => true,
            Origin::Deb { .. } => file.path.is_within(&self.stdlib),
            Origin::Base | Origin::Lath | Origin::User | Origin::Application => false,
        }
    }

    /// Returns the roots: the modules and files at which lath begins to follow imports.
    fn roots(
        &self,
        map: &ModuleMap<'_>,
        added: &Added,
        files: &PythonFiles<'_>,
    ) -> Result<BTreeSet<String>, StoreError> {
        let mut roots: BTreeSet<String> = names::core().map(str::to_owned).collect();
        let scripts = self.whole.scripts.iter().filter(|script| script.is_requested && self.is_exposed(script));
        roots.extend(scripts.map(|script| self.module_of(script)));
        let others =
            self.scripts_of(|script| script.module.is_none() && !(script.is_requested && self.is_exposed(script)));
        let others: BTreeSet<String> = others.collect();
        roots.extend(map.modules.keys().filter(|name| is_program(name) && !others.contains(*name)).cloned());
        roots.extend(self.request.started.modules.iter().map(|entry| entry.module.clone()));
        for module in &self.request.options.keep_modules {
            roots.extend(map.below(module).cloned());
        }
        let put_back = &self.request.options.put_back;
        let is_put_back = |files: &Vec<ModulePath<'_>>| files.iter().any(|file| put_back.contains(file.path));
        roots.extend(map.modules.iter().filter(|(_, files)| is_put_back(files)).map(|(name, _)| name.clone()));
        for path in self.pth_files() {
            roots.extend(python_imports::of_pth(&files.contents(path)?));
        }
        // `sysconfig` computes the name of this module, which depends on the platform.
        roots.extend(map.modules.keys().filter(|name| name.starts_with("_sysconfigdata_")).cloned());
        let is_added = |file: &ModulePath<'_>| added.folders.iter().any(|folder| file.path.is_within(folder.as_str()));
        let of_extras = self.of_extras(files)?;
        let is_of_extra =
            |file: &ModulePath<'_>| matches!(file.origin, Origin::Wheel { name, .. } if of_extras.contains(name));
        let own = map.modules.iter().filter(|(name, files)| {
            let is_own = |file: &ModulePath<'_>| self.is_root(name, file) || is_added(file) || is_of_extra(file);
            !is_program(name) && files.iter().any(is_own)
        });
        roots.extend(own.map(|(name, _)| name.clone()));
        Ok(roots)
    }

    /// Returns the distributions that extras of requested libraries require. Their modules are roots, because users
    /// import them, too.
    fn of_extras(&self, files: &PythonFiles<'_>) -> Result<BTreeSet<String>, StoreError> {
        let has_script = |name: &str| self.whole.scripts.iter().any(|script| script.distribution == name);
        let is_library = |origin: &Origin| matches!(origin, Origin::Wheel { name, .. } if self.is_requested(name) && !has_script(name));
        let mut names = BTreeSet::new();
        for (path, node) in &self.tree().nodes {
            if path.as_str().ends_with(".dist-info/METADATA") && is_library(&node.origin) {
                let text = String::from_utf8_lossy(&files.contents(path)?).into_owned();
                names.extend(text.lines().take_while(|line| !line.is_empty()).filter_map(required_by_extra));
            }
        }
        Ok(names)
    }

    /// Whether users start the console script.
    fn is_exposed(&self, script: &InstalledScript) -> bool {
        let SlimRequest { scripts: named, options, started, .. } = *self.request;
        let exposed = Exposed { only_scripts: options.only_scripts, named, started: started.script.as_deref() };
        exposed.contains(&script.name)
    }

    /// Whether the users of the image can start or import the module themselves. This is so for the modules of a
    /// requested library, and for the top-level modules and the `__main__` of a requested program. It is also so for
    /// all modules outside of distributions, except those of Debian's standard library.
    fn is_root(&self, name: &str, file: &ModulePath<'_>) -> bool {
        match file.origin {
            Origin::Wheel { name: distribution, .. } => {
                let has_program = self.whole.scripts.iter().any(|script| script.distribution == *distribution);
                let is_main = name.ends_with(".__main__") && !self.request.options.only_scripts;
                self.is_requested(distribution) && (!has_program || !name.contains('.') || is_main)
            }
            Origin::Deb { .. } => !file.path.is_within(&self.stdlib),
            Origin::Base | Origin::Lath | Origin::User | Origin::Application => true,
        }
    }

    /// Returns the modules of each group of entry points, and of each console script.
    fn groups(&self, files: &PythonFiles<'_>) -> Result<BTreeMap<String, BTreeSet<String>>, StoreError> {
        let mut groups: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let metadata = self.tree().nodes.keys().filter(|path| path.as_str().ends_with(".dist-info/entry_points.txt"));
        for path in metadata {
            let text = String::from_utf8_lossy(&files.contents(path)?).into_owned();
            for (group, target) in entry_point_groups(&text) {
                groups.entry(group).or_default().insert(target);
            }
        }
        groups.retain(|group, _| group != "console_scripts" && group != "gui_scripts");
        // Each script is a group, too, because a program that runs the script contains the name of the script.
        for script in &self.whole.scripts {
            groups.entry(script.name.clone()).or_default().insert(self.module_of(script));
        }
        Ok(groups)
    }

    /// Finds the folders `test` and `tests` of distributions that contain files for a test runner. If no module in such
    /// a folder is reached, proposes to remove all files in the folder.
    fn test_suites(&self, map: &ModuleMap<'_>, found: &Reached) -> Vec<Proposal> {
        let mut suites: BTreeSet<ImagePath> = BTreeSet::new();
        let mut used: BTreeSet<ImagePath> = BTreeSet::new();
        for (name, files) in &map.modules {
            for file in files.iter().filter(|file| matches!(file.origin, Origin::Wheel { .. })) {
                let folders = std::iter::successors(file.path.parent(), ImagePath::parent);
                let tests = folders.filter(|folder| matches!(folder.file_name(), "tests" | "test"));
                if found.modules.contains_key(name) {
                    used.extend(tests);
                } else if is_test(file.path.file_name()) && is_importable(name) {
                    suites.extend(tests);
                }
            }
        }
        let suites: Vec<&ImagePath> = suites.difference(&used).collect();
        let in_suite =
            self.scene.distribution_files().filter(|path| suites.iter().any(|suite| path.is_within(suite.as_str())));
        in_suite.map(|path| Proposal::Remove { path: path.clone(), reason: Removed::TestSuites }).collect()
    }
}

/// Returns the normalised name in a line of a `METADATA` file such as `Requires-Dist: psycopg-pool; extra == "pool"`.
/// `None` if the line does not require a distribution, or requires it without an extra.
fn required_by_extra(line: &str) -> Option<String> {
    let (requirement, marker) = line.strip_prefix("Requires-Dist:")?.split_once(';')?;
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let name = requirement.trim().split(|c| !is_of_name(c)).next().filter(|name| !name.is_empty())?;
    marker.contains("extra").then(|| normalised(name))
}

/// Whether a test runner would find tests in a file with this name.
fn is_test(name: &str) -> bool {
    name.ends_with(".py") && (name.starts_with("test_") || name.ends_with("_test.py") || name == "conftest.py")
}
