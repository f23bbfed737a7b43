//! Removes shared libraries that no kept file needs.
//!
//! Libraries are removed only from packages of the base. A package that the user or a wheel requires keeps all its
//! libraries.

use std::collections::{BTreeMap, BTreeSet};

use super::{Proposal, Scene};
use crate::model::facts::Linkage;
use crate::model::image_path::ImagePath;
use crate::model::reason::{Kept, Removed};
use crate::model::tree::{Kind, Origin};
use crate::outside::store::StoreError;

/// Libraries whose names programs compute at run time, and libraries that glibc opens itself. `pthread_cancel` opens
/// libgcc_s, and nsswitch opens libnss_*. Programs that were compiled for an old glibc open libraries that are now part
/// of libc.
const OPENED_BY_NAME: [&str; 11] = [
    "ld-linux",
    "libanl",
    "libc",
    "libdl",
    "libgcc_s",
    "libm",
    "libnss_",
    "libpthread",
    "libresolv",
    "librt",
    "libutil",
];

/// The library that opens the plugins of OpenSSL.
const OPENS_PLUGINS: &str = "libcrypto.so.";

/// Proposes to remove libraries of the base that no ELF file needs and that no file outside the base names. For each
/// library that stays, proposes the reason: the file that needs the library, or the origin of a file that names it.
pub(super) fn unneeded(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    let candidates = Candidates::of(scene);
    let reasons = candidates.needed(scene);
    let plugins = candidates.plugins.iter().map(|(path, _)| *path);
    let all = candidates.by_path.keys().copied().chain(plugins);
    let going: BTreeSet<&ImagePath> = all.filter(|path| !reasons.contains_key(path)).collect();
    let links = scene.tree.nodes.iter().filter(|(_, node)| matches!(node.kind, Kind::Link { .. }));
    let links = links.filter(|(path, _)| scene.tree.canonical(path).is_some_and(|target| going.contains(&target)));
    let names = links.map(|(path, _)| path).chain(going.iter().copied());
    let remove = |path: &ImagePath| Proposal::Remove { path: path.clone(), reason: Removed::UnneededLibraries };
    let removals: Vec<Proposal> = names.map(remove).collect();
    let explained = reasons.into_iter().map(|(path, reason)| Proposal::Explain { path: path.clone(), reason });
    Ok(removals.into_iter().chain(explained).collect())
}

/// The libraries that may be removed, and the files that may need them.
#[derive(Default)]
struct Candidates<'a> {
    by_path: BTreeMap<&'a ImagePath, &'a Linkage>,
    /// The libraries that may be removed, by each name under which a loader may search for them.
    by_name: BTreeMap<&'a str, &'a ImagePath>,
    /// Libraries that only `libcrypto` opens. If `libcrypto` is removed, they are removed, too. So the libraries that
    /// they need stay only if `libcrypto` stays.
    plugins: Vec<(&'a ImagePath, &'a Linkage)>,
    /// All other ELF files.
    others: Vec<(&'a ImagePath, &'a Linkage)>,
}

impl<'a> Candidates<'a> {
    fn of(scene: &Scene<'a>) -> Self {
        let directory = format!("/usr/lib/{}", scene.architecture().triplet());
        let mut candidates = Self::default();
        for (origin, survey) in scene.surveys() {
            for (&path, &linkage) in &survey.elf {
                let is_here = path.parent().is_some_and(|parent| parent.as_str() == directory);
                let name = path.file_name();
                let is_library = is_here && name.contains(".so") && name.starts_with("lib");
                // A held library is not a candidate but counts as another ELF file, so that the libraries that it needs
                // stay, too.
                let may_go = scene.is_of_base(origin) && !scene.is_held(path) && !is_opened_by_name(name);
                if is_library && may_go {
                    candidates.by_path.insert(path, linkage);
                    candidates.by_name.insert(name, path);
                    candidates.by_name.extend(linkage.soname.as_deref().map(|soname| (soname, path)));
                } else if may_go && is_plugin(path, &directory) {
                    candidates.plugins.push((path, linkage));
                } else {
                    candidates.others.push((path, linkage));
                }
            }
        }
        candidates
    }

    /// Returns the candidates that must stay, with the reason.
    fn needed(&self, scene: &Scene<'a>) -> BTreeMap<&'a ImagePath, Kept> {
        let named = named_libraries(scene);
        let mut reasons: BTreeMap<&ImagePath, Kept> = BTreeMap::new();
        let mut queue: Vec<(&ImagePath, &Linkage)> = self.others.clone();
        for (path, linkage) in &self.by_path {
            if let Some(origin) = named.get(stem(path.file_name())) {
                reasons.insert(path, Kept::NamedBy { origin: (*origin).clone() });
                queue.push((path, linkage));
            }
        }
        while let Some((needing, linkage)) = queue.pop() {
            // `libcrypto` stays, so its plugins stay. A plugin may need other libraries.
            if needing.file_name().starts_with(OPENS_PLUGINS) {
                for (path, linkage) in &self.plugins {
                    reasons.insert(path, Kept::NeededBy { path: needing.clone() });
                    queue.push((path, linkage));
                }
            }
            for path in linkage.needed.iter().filter_map(|name| self.by_name.get(name.as_str())) {
                if !reasons.contains_key(path) {
                    reasons.insert(path, Kept::NeededBy { path: needing.clone() });
                    queue.push((path, self.by_path[path]));
                }
            }
        }
        reasons
    }
}

/// Returns the libraries that are named by files outside the base. Each library has the origin of one of these files.
fn named_libraries<'a>(scene: &Scene<'a>) -> BTreeMap<&'a str, &'a Origin> {
    let outside = scene.surveys().iter().filter(|(origin, _)| !scene.is_of_base(origin));
    outside.flat_map(|(origin, survey)| survey.named_libraries.iter().map(|name| (*name, *origin))).collect()
}

/// Whether the file is a plugin of OpenSSL, which `libcrypto` opens.
fn is_plugin(path: &ImagePath, libraries: &str) -> bool {
    let folder = path.parent().and_then(|folder| Some(folder.as_str().strip_prefix(libraries)?.to_owned()));
    folder.is_some_and(|folder| folder == "/ossl-modules" || folder.starts_with("/engines-"))
}

fn is_opened_by_name(file_name: &str) -> bool {
    let stem = stem(file_name);
    OPENED_BY_NAME
        .iter()
        .any(|name| if name.ends_with('_') || name.starts_with("ld-") { stem.starts_with(name) } else { stem == *name })
}

/// Returns the name without its version: `libfoo-2.0` for `libfoo-2.0.so.1`.
fn stem(file_name: &str) -> &str {
    file_name.split_once(".so").map_or(file_name, |(stem, _)| stem)
}
