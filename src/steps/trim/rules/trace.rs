//! Removes modules and data of distributions that no check and no record of the user has used.
//!
//! A module stays if it was used. It also stays if import statements lead to it from a used module, so that no import
//! statement in a used module can fail. A module does not stay only because a program could compute its name. Data of a
//! distribution stays if it was used, if it is in one group with data that was used (see [`Group`]), or if a module
//! that stays contains its file name.

use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::AhoCorasick;

use super::reach::{self, Needed};
use super::{Proposal, Scene};
use crate::model::facts::is_extension_module;
use crate::model::image_path::ImagePath;
use crate::model::reason::Removed;
use crate::model::trace::Trace;
use crate::model::tree::{Kind, Origin};
use crate::outside::store::StoreError;

/// Proposes to remove modules and data if no evidence shows that they were used. If a program of the image runs code of
/// its users, proposes a note instead.
pub(super) fn untraced(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    // Without a trace, nothing is removed here: this first trim only determines the checks that will be recorded.
    let Some(trace) = scene.request().trace else { return Ok(Vec::new()) };
    let removed = match reach::needed(scene, trace)? {
        Needed::Only { removed } => removed,
        Needed::All { reason } => {
            return Ok(vec![Proposal::Note(format!("`--trim trace` removes no more than `reach`: {reason}"))]);
        }
    };
    let remove = |reason| move |path: ImagePath| Proposal::Remove { path, reason };
    let data = Data::new(scene, trace, &removed).unused()?;
    let modules = removed.into_iter().map(remove(Removed::UntracedModules));
    Ok(modules.chain(data.into_iter().map(remove(Removed::UntracedData))).collect())
}

/// The files of distributions that are not modules.
struct Data<'a, 'b> {
    scene: &'b Scene<'a>,
    trace: &'b Trace,
    /// The modules that stay, by their distribution.
    modules: BTreeMap<&'a Origin, Vec<&'a ImagePath>>,
    /// The distributions that have modules.
    with_modules: BTreeSet<&'a Origin>,
    /// The folders that contain modules.
    packages: BTreeSet<ImagePath>,
}

/// Data that a program probably uses together. A group consists of all files in and below a folder without modules, or
/// of the files with the same ending in a package.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    folder: ImagePath,
    /// The ending of the files in a package. `None` if the group is a folder without modules.
    ending: Option<String>,
}

impl<'a, 'b> Data<'a, 'b> {
    fn new(scene: &'b Scene<'a>, trace: &'b Trace, removed: &BTreeSet<ImagePath>) -> Self {
        let mut data =
            Self { scene, trace, modules: BTreeMap::new(), with_modules: BTreeSet::new(), packages: BTreeSet::new() };
        for path in scene.distribution_files().filter(|path| is_module(path)) {
            let origin = &scene.tree.nodes[path].origin;
            data.packages.extend(path.parent());
            data.with_modules.insert(origin);
            if !removed.contains(path) {
                data.modules.entry(origin).or_default().push(path);
            }
        }
        data
    }

    /// Returns the files that are removed: no run has used a file of their group, and their names occur in no module
    /// that stays.
    fn unused(&self) -> Result<Vec<ImagePath>, StoreError> {
        let used: BTreeSet<Group> = self.trace.paths.keys().filter_map(|path| self.group(path)).collect();
        let mut unused = Vec::new();
        for (origin, paths) in self.candidates() {
            let is_used =
                |path: &ImagePath| self.trace.has(path) || self.group(path).is_some_and(|own| used.contains(&own));
            let paths: Vec<&ImagePath> = paths.into_iter().filter(|path| !is_used(path)).collect();
            let named = self.named(origin, &paths)?;
            let going = paths.into_iter().filter(|path| !named.contains(path.file_name()));
            unused.extend(going.cloned());
        }
        Ok(unused)
    }

    /// Returns the data of each distribution that has modules. Distributions without modules are left out, because they
    /// consist of programs, and the data of programs stays.
    fn candidates(&self) -> BTreeMap<&'a Origin, Vec<&'a ImagePath>> {
        let bin = self.scene.request().user_base.bin();
        let is_candidate = |path: &ImagePath| {
            !is_module(path) && !path.is_bytecode() && !is_in_metadata(path) && !path.is_within(&bin)
        };
        let mut candidates: BTreeMap<&Origin, Vec<&ImagePath>> = BTreeMap::new();
        for path in self.scene.distribution_files().filter(|path| is_candidate(path)) {
            let node = &self.scene.tree.nodes[path];
            // A module of the distribution may load this library under any of its names, so the library is not a
            // candidate.
            let is_library = path.file_name().contains(".so") && self.modules.contains_key(&node.origin);
            if self.with_modules.contains(&node.origin) && !is_library {
                candidates.entry(&node.origin).or_default().push(path);
            }
        }
        candidates
    }

    /// Returns the group of a path. `None` for a module. Also `None` for a folder with modules, because each import
    /// lists such a folder. So the fact that it was listed does not show that its data was used.
    fn group(&self, path: &ImagePath) -> Option<Group> {
        let is_directory = self.scene.tree.nodes.get(path).is_some_and(|node| node.kind == Kind::Directory);
        if self.packages.contains(path) || !is_directory && is_module(path) {
            return None;
        }
        let mut below = path.clone();
        while let Some(folder) = below.parent() {
            if self.packages.contains(&folder) {
                let is_file_of_package = below == *path && !is_directory;
                let ending = || path.file_name().rsplit_once('.').map_or("", |(_, ending)| ending).to_owned();
                return Some(match is_file_of_package {
                    true => Group { folder, ending: Some(ending()) },
                    false => Group { folder: below, ending: None },
                });
            }
            below = folder;
        }
        // The path is outside of all packages, such as `share/NAME`.
        let innermost = if is_directory { Some(path.clone()) } else { path.parent() };
        let mut folders: Vec<ImagePath> = std::iter::successors(innermost, ImagePath::parent).collect();
        folders.reverse();
        let base = self.scene.request().user_base.path().components().count();
        let folder = folders.into_iter().nth(base + 2)?;
        Some(Group { folder, ending: None })
    }

    /// Returns the file names in `paths` that occur in the modules of the distribution `origin`.
    fn named(&self, origin: &Origin, paths: &[&ImagePath]) -> Result<BTreeSet<String>, StoreError> {
        let names: Vec<&str> = paths.iter().map(|path| path.file_name()).collect();
        let modules = self.modules.get(origin).map_or(&[][..], Vec::as_slice);
        let Some(finder) = AhoCorasick::new(&names).ok().filter(|_| !names.is_empty()) else {
            return Ok(BTreeSet::new());
        };
        let mut named = BTreeSet::new();
        for module in modules.iter().filter(|module| module.as_str().ends_with(".py")) {
            let Some(digest) = self.scene.tree.nodes[*module].digest() else { continue };
            let contents = self.scene.store().read(digest)?;
            named.extend(finder.find_overlapping_iter(&contents).map(|found| names[found.pattern()].to_owned()));
        }
        Ok(named)
    }
}

/// Whether the file is metadata of a distribution.
fn is_in_metadata(path: &ImagePath) -> bool {
    path.components().any(|name| name.ends_with(".dist-info"))
}

/// Whether Python could import the file.
fn is_module(path: &ImagePath) -> bool {
    path.as_str().ends_with(".py") || is_extension_module(path.file_name())
}
