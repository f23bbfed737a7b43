//! The rules, one file for each kind of path that is removed. A rule only proposes changes.

mod bulk;
mod certificates;
mod character_sets;
mod compiler_files;
mod developer_files;
mod documents;
mod empty_directories;
mod git;
mod help_topics;
mod la_files;
mod ldconfig;
mod libc_programs;
mod libraries;
mod loader_cache;
mod locales;
mod packager_files;
mod perl;
mod pip_lock;
mod reach;
mod seeds;
mod service_files;
mod stdlib;
mod symbols;
mod terminals;
mod time_zones;
mod tombstones;
mod trace;
mod translations;
mod unnamed_programs;
mod windows_launchers;

use super::plan::Proposal;
use super::scene::Scene;
use crate::model::image_path::ImagePath;
use crate::model::request::TrimLevel;
use crate::outside::store::StoreError;

/// A rule: the changes that it proposes for a scene.
type Rule = fn(&Scene<'_>) -> Result<Vec<Proposal>, StoreError>;

/// All rules, in stages. Each stage has the lowest trim level that uses it. The rules of a stage see the tree without
/// the paths that earlier stages removed. They do not see the proposals of other rules in the same stage. If two rules
/// of a stage propose to remove the same path, the first one gives the reason.
pub(super) const STAGES: [(TrimLevel, &[Rule]); 6] = [
    (TrimLevel::Standard, BY_NAME),
    (TrimLevel::Reach, BY_REACH),
    (TrimLevel::Trace, BY_TRACE),
    (TrimLevel::Standard, BY_NEED),
    (TrimLevel::Reach, EXPLAINED),
    (TrimLevel::Standard, AFTERWARDS),
];

/// These rules decide by the name of a path. They run first, so that other files do not stay only because a removed
/// file needs them.
const BY_NAME: &[Rule] = &[
    bulk::bulk,
    compiler_files::compiler_files,
    service_files::service_files,
    stdlib::tests,
    libc_programs::maintenance,
    time_zones::second_copies,
    terminals::tab_stops,
    certificates::bundled,
    perl::modules,
    pip_lock::externally_managed,
    git::servers,
    git::plain_servers,
    windows_launchers::windows_launchers,
    translations::translations,
];

/// These rules depend on the programs of the image. They run before [`BY_NEED`], so that a library does not stay only
/// because a removed module needs it.
const BY_REACH: &[Rule] = &[reach::modules, developer_files::developer_files];

/// These rules depend on the files that runs have used.
const BY_TRACE: &[Rule] = &[trace::untraced];

/// These rules depend on the files that remain: the libraries that they need, and the names in them.
const BY_NEED: &[Rule] = &[
    unnamed_programs::unnamed_programs,
    character_sets::character_sets,
    la_files::la_files,
    stdlib::unmet_modules,
    libraries::unneeded,
    help_topics::help_topics,
    seeds::foreign,
    symbols::symbols,
];

/// These rules write the names of removed modules and files into the image, so that the errors of programs can explain
/// why they are missing.
const EXPLAINED: &[Rule] = &[tombstones::tombstones, tombstones::data];

/// These rules adapt the rest of the image to the removed paths.
const AFTERWARDS: &[Rule] = &[empty_directories::empty_directories, loader_cache::loader_cache, ldconfig::ldconfig];

fn any_within(path: &ImagePath, directories: &[&str]) -> bool {
    directories.iter().any(|directory| path.is_within(directory))
}
