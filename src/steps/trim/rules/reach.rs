//! Removes modules that no program of the image can import.
//!
//! The modules that stay are those that [`crate::model::reach`] finds from the programs of the image. A program that runs
//! code of its users keeps all modules, because nobody knows the imports of this code.

use std::collections::{BTreeMap, BTreeSet};

use super::{Proposal, Scene};
use crate::catalog::reach as names;
use crate::formats::python_imports;
use crate::formats::wheel::entry_point_groups;
use crate::model::assembly::Assembly;
use crate::model::image_path::ImagePath;
use crate::model::modules::Modules;
use crate::model::reach::{ModuleMap, ModulePath, Reached, Start, reached};
use crate::model::reason::Removed;
use crate::model::request::SlimRequest;
use crate::model::tree::{Origin, Tree};
use crate::outside::python_files::PythonFiles;
use crate::outside::store::StoreError;

/// Proposes to remove the modules that are not reached, or a note with the reason why all stay.
pub(super) fn modules(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    let (whole, request) = (scene.whole(), scene.request());
    Reach { scene, whole, request, stdlib: request.python.stdlib() }.modules()
}

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

    /// Returns the reason if a program of the image runs code of its users: it is known to do that, or a requested
    /// distribution contains calls that do it, or the image has nothing but Python.
    fn host(&self, map: &ModuleMap<'_>, found: &Reached) -> Option<String> {
        if self.whole.programs.is_empty() && self.request.started.files.is_empty() {
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

    fn modules(&self) -> Result<Vec<Proposal>, StoreError> {
        let site = self.request.user_base.site(self.request.python.version);
        let mut roots = vec![format!("{}/lib-dynload", self.stdlib), self.stdlib.clone(), site.clone()];
        roots.extend(self.request.python.sites());
        let map = ModuleMap::new(self.tree(), &roots);
        let mut files = PythonFiles::new(self.tree(), &self.whole.facts, self.scene.store());
        let start = Start {
            roots: self.roots(&map, site, &files)?,
            groups: self.groups(&files)?,
            whole: names::whole().map(str::to_owned).collect(),
            cuts: names::cuts().map(|(module, cuts)| (module.to_owned(), cuts.map(str::to_owned).collect())).collect(),
        };
        let is_stdlib = |origin: &Origin| matches!(origin, Origin::Deb { .. } | Origin::Base);
        let found = reached(&map, &start, is_stdlib, &mut files)?;
        files.keep()?;
        let mut plan = match self.host(&map, &found) {
            Some(reason) => vec![Proposal::Note(format!("`--trim reach` keeps all modules: {reason}"))],
            None => self.removals(&map, &found),
        };
        plan.push(Proposal::Reached(found));
        Ok(plan)
    }

    fn removals(&self, map: &ModuleMap<'_>, found: &Reached) -> Vec<Proposal> {
        let unreached = map.modules.iter().filter(|(name, _)| !found.modules.contains_key(*name));
        let files = unreached.flat_map(|(_, files)| files).filter(|file| self.may_go(file));
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
            Origin::Deb { .. } => file.path.is_within(&self.stdlib),
            Origin::Base | Origin::Lath | Origin::User | Origin::Application => false,
        }
    }

    /// Returns the modules from which the programs of the image start.
    fn roots(
        &self,
        map: &ModuleMap<'_>,
        site: String,
        files: &PythonFiles<'_>,
    ) -> Result<BTreeSet<String>, StoreError> {
        let mut roots: BTreeSet<String> = names::core().map(str::to_owned).collect();
        let scripts = self.whole.scripts.iter().filter(|script| script.is_requested);
        roots.extend(scripts.filter_map(|script| script.module.clone()));
        roots.extend(self.request.started.modules.iter().map(|entry| entry.module.clone()));
        for module in &self.request.options.keep_modules {
            roots.extend(map.below(module).cloned());
        }
        let put_back = &self.request.options.put_back;
        let is_put_back = |files: &Vec<ModulePath<'_>>| files.iter().any(|file| put_back.contains(file.path));
        roots.extend(map.modules.iter().filter(|(_, files)| is_put_back(files)).map(|(name, _)| name.clone()));
        let modules = Modules::new(self.tree(), self.request.python, site);
        for path in modules.pth_files() {
            roots.extend(python_imports::of_pth(&files.contents(path)?));
        }
        // The module with this name depends on the platform, and `sysconfig` computes it.
        roots.extend(map.modules.keys().filter(|name| name.starts_with("_sysconfigdata_")).cloned());
        let own = map.modules.iter().filter(|(name, files)| files.iter().any(|file| self.is_root(name, file)));
        roots.extend(own.map(|(name, _)| name.clone()));
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
        // A program that runs a console script names it, too.
        for script in &self.whole.scripts {
            groups.entry(script.name.clone()).or_default().extend(script.module.clone());
        }
        Ok(groups)
    }

    /// Proposes to remove the other files of folders with tests, if none of their modules is reached.
    fn test_suites(&self, map: &ModuleMap<'_>, found: &Reached) -> Vec<Proposal> {
        let mut suites: BTreeSet<ImagePath> = BTreeSet::new();
        let mut used: BTreeSet<ImagePath> = BTreeSet::new();
        for (name, files) in &map.modules {
            for file in files.iter().filter(|file| matches!(file.origin, Origin::Wheel { .. })) {
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
        let in_suite =
            self.scene.distribution_files().filter(|path| suites.iter().any(|suite| path.is_within(suite.as_str())));
        in_suite.map(|path| Proposal::Remove { path: path.clone(), reason: Removed::TestSuites }).collect()
    }
}

/// Whether a test runner would find tests in a file with this name.
fn is_test(name: &str) -> bool {
    name.ends_with(".py") && (name.starts_with("test_") || name.ends_with("_test.py") || name == "conftest.py")
}
