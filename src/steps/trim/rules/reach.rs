//! Removes modules that no program of the image can import, and files that only developers of distributions need.
//!
//! The modules that stay are those that [`crate::model::reach`] finds from the programs of the image. A program that runs
//! code of its users keeps all modules, because nobody knows the imports of this code.

use std::collections::{BTreeMap, BTreeSet};

use super::plan::Proposal;
use super::scene::Scene;
use crate::catalog::reach as names;
use crate::formats::python_imports;
use crate::formats::wheel::entry_point_groups;
use crate::model::assembly::Assembly;
use crate::model::image_path::ImagePath;
use crate::model::modules::Modules;
use crate::model::reach::{ModuleMap, ModulePath, Reached, Start, reached};
use crate::model::reason::Removed;
use crate::model::request::SlimRequest;
use crate::model::tree::{Kind, Origin, Tree};
use crate::outside::python_files::PythonFiles;
use crate::outside::store::StoreError;

/// The endings of files from which extension modules are made.
const SOURCES: [&str; 9] = [".c", ".cc", ".cpp", ".f", ".f90", ".h", ".hpp", ".pxd", ".pyx"];

/// Proposes to remove everything that is not reached.
pub(super) fn unreached(
    scene: &Scene<'_>,
    whole: &Assembly,
    request: &SlimRequest<'_>,
) -> Result<Unreached, StoreError> {
    let reach = Reach { scene, whole, request, site: request.user_base.site(request.python.version) };
    let mut unreached = reach.modules()?;
    unreached.plan.extend(reach.developers_files());
    Ok(unreached)
}

/// The changes that the level `reach` proposes.
pub(super) struct Unreached {
    pub(super) plan: Vec<Proposal>,
    /// The reason if all modules stay.
    pub(super) host: Option<String>,
}

struct Reach<'a, 'b> {
    scene: &'b Scene<'a>,
    whole: &'b Assembly,
    request: &'b SlimRequest<'b>,
    /// The folder of the distributions.
    site: String,
}

impl<'a> Reach<'a, '_> {
    fn tree(&self) -> &'a Tree {
        self.scene.tree
    }

    fn is_requested(&self, distribution: &str) -> bool {
        self.whole.programs.iter().any(|program| program.name == distribution)
    }

    /// Returns the reason if a program of the image runs code of its users: it is known to do that, or a requested
    /// distribution contains calls that do it, or the image has nothing but Python.
    fn host(&self, map: &ModuleMap<'_>, found: &Reached) -> Option<String> {
        if self.whole.programs.is_empty() && self.request.started.files.is_empty() {
            return Some("Python runs code of its users".to_owned());
        }
        let files = found.modules.keys().filter_map(|name| map.modules.get(name)).flat_map(|module| &module.files);
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

    /// Proposes to remove the modules that are not reached.
    fn modules(&self) -> Result<Unreached, StoreError> {
        let stdlib = self.request.python.stdlib();
        let mut roots = vec![format!("{stdlib}/lib-dynload"), stdlib, self.site.clone()];
        roots.extend(self.request.python.sites());
        let map = ModuleMap::new(self.tree(), &roots);
        let mut files = PythonFiles::new(self.tree(), &self.whole.facts, self.scene.store());
        let start = Start {
            roots: self.roots(&map, &files)?,
            groups: self.groups(&files)?,
            whole: names::whole().map(str::to_owned).collect(),
            cuts: names::cuts().map(|(module, cuts)| (module.to_owned(), cuts.map(str::to_owned).collect())).collect(),
        };
        let is_stdlib = |origin: &Origin| matches!(origin, Origin::Deb { .. } | Origin::Base);
        let found = reached(&map, &start, is_stdlib, &mut files)?;
        files.keep()?;
        let host = self.host(&map, &found);
        let plan = if host.is_none() { self.removals(&map, &found) } else { Vec::new() };
        Ok(Unreached { plan, host })
    }

    fn removals(&self, map: &ModuleMap<'_>, found: &Reached) -> Vec<Proposal> {
        let unreached = map.modules.iter().filter(|(name, _)| !found.modules.contains_key(*name));
        let files = unreached.flat_map(|(_, module)| &module.files).filter(|file| self.may_go(file));
        let mut plan: Vec<Proposal> =
            files.map(|file| Proposal::Remove { path: file.path.clone(), reason: Removed::UnreachedModules }).collect();
        plan.extend(self.test_suites(map, found));
        plan.extend(self.scripts(found));
        plan
    }

    /// Proposes to remove the console scripts whose modules are not reached.
    fn scripts(&self, found: &Reached) -> Vec<Proposal> {
        let is_unreached = |module: &str| !found.modules.contains_key(module);
        let scripts = self.whole.scripts.iter().filter(|script| script.module.as_deref().is_some_and(is_unreached));
        let paths = scripts.filter_map(|script| ImagePath::parse(&self.request.user_base.program(&script.name)).ok());
        paths.map(|path| Proposal::Remove { path, reason: Removed::UnreachedModules }).collect()
    }

    /// Whether trim may remove the file of a module: one of a distribution, or of the standard library.
    fn may_go(&self, file: &ModulePath<'_>) -> bool {
        match file.origin {
            Origin::Wheel { .. } => true,
            Origin::Deb { .. } => file.path.is_within(&self.request.python.stdlib()),
            Origin::Base | Origin::Lath | Origin::User | Origin::Application => false,
        }
    }

    /// Returns the modules from which the programs of the image start.
    fn roots(&self, map: &ModuleMap<'_>, files: &PythonFiles<'_>) -> Result<BTreeSet<String>, StoreError> {
        let mut roots: BTreeSet<String> = names::core().map(str::to_owned).collect();
        let scripts = self.whole.scripts.iter().filter(|script| script.is_requested);
        roots.extend(scripts.filter_map(|script| script.module.clone()));
        roots.extend(self.request.started.modules.iter().map(|entry| entry.module.clone()));
        for module in &self.request.options.keep_modules {
            roots.extend(map.below(module).cloned());
        }
        let modules = Modules::new(self.tree(), self.request.python, self.site.clone());
        for path in modules.pth_files() {
            roots.extend(python_imports::of_pth(&files.contents(path)?));
        }
        // The module with this name depends on the platform, and `sysconfig` computes it.
        roots.extend(map.names.iter().filter(|name| name.starts_with("_sysconfigdata_")).cloned());
        for (name, module) in &map.modules {
            if module.files.iter().any(|file| self.is_root(name, file)) {
                roots.insert(name.clone());
            }
        }
        Ok(roots)
    }

    /// Whether the users of the image can start or import the module themselves: one of a library that they requested, the
    /// package and the `__main__` of a program, and everything that no distribution contains.
    fn is_root(&self, name: &str, file: &ModulePath<'_>) -> bool {
        match file.origin {
            Origin::Wheel { name: distribution, .. } => {
                let has_program = self.whole.scripts.iter().any(|script| script.distribution == *distribution);
                self.is_requested(distribution) && (!has_program || !name.contains('.') || name.ends_with(".__main__"))
            }
            Origin::Deb { .. } => !file.path.is_within(&self.request.python.stdlib()),
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
        // A program that runs a console script names it, too.
        for script in &self.whole.scripts {
            groups.entry(script.name.clone()).or_default().extend(script.module.clone());
        }
        Ok(groups)
    }

    /// Proposes to remove the type stubs and the sources of extension modules in distributions.
    fn developers_files(&self) -> Vec<Proposal> {
        let has_stub_reader = self.lock_names().any(names::reads_stubs);
        let has_compiler = self.tree().find("/usr/bin/cc").is_some() || self.tree().find("/usr/bin/gcc").is_some();
        let reason = |path: &ImagePath| match path.file_name() {
            name if name.ends_with(".pyi") => (!has_stub_reader).then_some(Removed::TypeStubs),
            name if SOURCES.iter().any(|end| name.ends_with(end)) => {
                (!has_compiler).then_some(Removed::ExtensionSources)
            }
            _ => None,
        };
        let own = self.tree().nodes.iter().filter(|(path, node)| {
            matches!(node.origin, Origin::Wheel { .. }) && node.kind != Kind::Directory && path.is_within(&self.site)
        });
        own.filter_map(|(path, _)| Some(Proposal::Remove { path: path.clone(), reason: reason(path)? })).collect()
    }

    fn lock_names(&self) -> impl Iterator<Item = &'a str> {
        self.scene.lock().wheels.iter().map(|wheel| wheel.name.as_str())
    }

    /// Proposes to remove the other files of folders with tests, if none of their modules is reached.
    fn test_suites(&self, map: &ModuleMap<'_>, found: &Reached) -> Vec<Proposal> {
        let mut suites: BTreeSet<ImagePath> = BTreeSet::new();
        let mut used: BTreeSet<ImagePath> = BTreeSet::new();
        for (name, module) in &map.modules {
            for file in module.files.iter().filter(|file| matches!(file.origin, Origin::Wheel { .. })) {
                let folders = std::iter::successors(file.path.parent(), ImagePath::parent);
                let tests = folders.filter(|folder| matches!(folder.file_name(), "tests" | "test"));
                if found.modules.contains_key(name) {
                    used.extend(tests);
                } else if is_test(file.path.file_name()) {
                    suites.extend(tests);
                }
            }
        }
        let suites: Vec<&ImagePath> = suites.difference(&used).collect();
        let own = self
            .tree()
            .nodes
            .iter()
            .filter(|(_, node)| matches!(node.origin, Origin::Wheel { .. }) && node.kind != Kind::Directory);
        let in_suite = own.filter(|(path, _)| suites.iter().any(|suite| path.is_within(suite.as_str())));
        in_suite.map(|(path, _)| Proposal::Remove { path: path.clone(), reason: Removed::TestSuites }).collect()
    }
}

/// Whether a test runner would find tests in a file with this name.
fn is_test(name: &str) -> bool {
    name.ends_with(".py") && (name.starts_with("test_") || name.ends_with("_test.py") || name == "conftest.py")
}
