//! The explanation of an image. It contains every path of the image and every path that trim removed, with size, origin
//! and reason. For each package, it contains the packages that require it. lath stores an explanation for every image
//! that it builds.

mod answer;
mod chain;
mod columns;
#[cfg(test)]
mod example;
mod request;
mod search;
mod stored;
mod stored_modules;
mod table;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize, Serializer};

pub(crate) use self::answer::{Answer, Fate, Inside, PackageAnswer, PathAnswer};
pub(crate) use self::chain::{Chain, Edge};
#[cfg(test)]
pub(crate) use self::example::example;
pub(crate) use self::request::{ExplainRequest, ExplainSource};
use self::stored::Stored;
pub(crate) use self::table::{Row, Table};
use crate::model::image_path::ImagePath;
use crate::model::made::Made;
use crate::model::options::TrimLevel;
use crate::model::platform::Platform;
use crate::model::reach::{Cause, Reached};
use crate::model::reason::{Kept, Removed, Why};
use crate::model::request::SlimRequest;
use crate::model::tree::Origin;

/// The explanation of the image of one platform.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Stored")]
pub(crate) struct Explanation {
    /// The name of the image in the request.
    pub(crate) name: String,
    pub(crate) platform: Platform,
    pub(crate) trim: TrimLevel,
    /// The packages of the lock, and the other origins of paths, such as the user.
    pub(crate) packages: Vec<Package>,
    /// The reasons for which paths are kept. Each reason occurs once.
    pub(crate) reasons: Vec<Kept>,
    /// The paths of the image, sorted.
    pub(crate) kept: Vec<KeptPath>,
    /// The paths that trim removed, sorted.
    pub(crate) removed: Vec<RemovedPath>,
    pub(crate) modules: Modules,
}

/// A Debian package, a distribution, or another origin of paths.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Package {
    pub(crate) origin: Origin,
    /// Whether the user requested the distribution by name.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) is_requested: bool,
    /// The reason why the Debian package is in the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<Why>,
    /// The packages of the same kind that depend on it, sorted by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) required_by: Vec<String>,
}

/// A path of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeptPath {
    pub(crate) path: ImagePath,
    pub(crate) size_bytes: u64,
    /// The position of its origin in `packages`.
    pub(crate) package: usize,
    /// The position of its reason in `reasons`.
    pub(crate) reason: usize,
    /// The size of the symbols that trim removed from the file.
    pub(crate) symbol_bytes: u64,
    /// Whether it is a hard link to an earlier path. If so, its bytes do not count.
    pub(crate) is_hard_link: bool,
}

/// A path that trim removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RemovedPath {
    pub(crate) path: ImagePath,
    pub(crate) size_bytes: u64,
    /// The position of its origin in `packages`.
    pub(crate) package: usize,
    pub(crate) rule: Removed,
}

/// The modules of the image, and the starting points from which they are reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Modules {
    /// The folders of the search path. If a folder contains another one, the inner folder comes first.
    pub(crate) folders: Vec<String>,
    /// The module of each requested console script.
    pub(crate) scripts: BTreeMap<String, String>,
    /// The modules that are started by the image's command.
    pub(crate) started: Vec<String>,
    /// The modules that `--keep-module` keeps.
    pub(crate) kept: Vec<String>,
    /// The reached modules, each with its causes. The first cause in each list is the one that was found first. `None`
    /// if trim has not followed imports.
    pub(crate) causes: Option<BTreeMap<String, Vec<Cause>>>,
    /// The modules that have more causes than `causes` contains.
    pub(crate) cut: BTreeSet<String>,
}

impl Serialize for Explanation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Stored::of(self).serialize(serializer)
    }
}

impl Explanation {
    /// Explains the image `name`, which was built for `request`.
    pub(crate) fn of(name: &str, made: &Made, request: &SlimRequest<'_>) -> Self {
        let mut packages = of_lock(made);
        let mut places: BTreeMap<Origin, usize> =
            packages.iter().enumerate().map(|(place, package)| (package.origin.clone(), place)).collect();
        let mut place_of = |origin: &Origin| match places.get(origin) {
            Some(place) => *place,
            None => {
                let place = packages.len();
                packages.push(Package::of(origin.clone()));
                places.insert(origin.clone(), place);
                place
            }
        };
        let (mut reasons, mut kept) = (BTreeMap::new(), Vec::with_capacity(made.tree.nodes.len()));
        let links = made.tree.hard_links();
        for (path, node) in &made.tree.nodes {
            let next = reasons.len();
            let whole = made.assembly.tree.nodes.get(path);
            kept.push(KeptPath {
                path: path.clone(),
                size_bytes: node.size_bytes(),
                package: place_of(&node.origin),
                reason: *reasons.entry(node.kept.as_ref().unwrap_or(&Kept::Base)).or_insert(next),
                symbol_bytes: whole.map_or(0, |whole| whole.size_bytes().saturating_sub(node.size_bytes())),
                is_hard_link: links.contains_key(path),
            });
        }
        let removed = made.tree.removed.iter().map(|(path, removal)| RemovedPath {
            path: path.clone(),
            size_bytes: removal.size_bytes,
            package: place_of(&removal.origin),
            rule: removal.reason,
        });
        let removed = removed.collect();
        let mut all: Vec<(&Kept, usize)> = reasons.into_iter().collect();
        all.sort_by_key(|(_, place)| *place);
        let reasons = all.into_iter().map(|(reason, _)| reason.clone()).collect();
        Self {
            name: name.to_owned(),
            platform: made.lock.platform,
            trim: request.options.level,
            packages,
            reasons,
            kept,
            removed,
            modules: Modules::of(made, request),
        }
    }
}

impl Package {
    fn of(origin: Origin) -> Self {
        Self { origin, is_requested: false, why: None, required_by: Vec::new() }
    }

    /// Returns the name of a Debian package or of a distribution.
    pub(crate) fn name(&self) -> Option<&str> {
        match &self.origin {
            Origin::Deb { name, .. } | Origin::Wheel { name, .. } => Some(name),
            Origin::Base | Origin::Lath | Origin::User | Origin::Application => None,
        }
    }
}

/// Returns the packages of the lock.
fn of_lock(made: &Made) -> Vec<Package> {
    let wheels = made.lock.wheels.iter().map(|wheel| Package {
        is_requested: wheel.is_requested,
        required_by: wheel.required_by.clone(),
        ..Package::of(wheel.origin())
    });
    let debs = made.lock.debs.iter().map(|deb| Package {
        why: Some(deb.why.clone()),
        required_by: deb.required_by.clone(),
        ..Package::of(deb.origin())
    });
    wheels.chain(debs).collect()
}

/// Returns the causes of each reached module. The first cause in each list is the one that was found first.
fn causes(reached: &Reached) -> BTreeMap<String, Vec<Cause>> {
    let more = |module: &String| reached.more.get(module).into_iter().flatten().cloned();
    let all = |(module, first): (&String, &Cause)| {
        (module.clone(), std::iter::once(first.clone()).chain(more(module)).collect())
    };
    reached.modules.iter().map(all).collect()
}

impl Modules {
    /// The position of the standard library in `folders`.
    const STDLIB: usize = 1;

    fn of(made: &Made, request: &SlimRequest<'_>) -> Self {
        let scripts = made.assembly.scripts.iter().filter(|script| script.is_requested);
        let scripts = scripts.filter_map(|script| Some((script.name.clone(), script.module.clone()?)));
        Self {
            folders: request.user_base.search_path(request.python),
            scripts: scripts.collect(),
            started: request.started.modules.iter().map(|entry| entry.module.clone()).collect(),
            kept: request.options.keep_modules.clone(),
            causes: made.reached.as_ref().map(causes),
            cut: made.reached.as_ref().map(|reached| reached.cut.clone()).unwrap_or_default(),
        }
    }
}
