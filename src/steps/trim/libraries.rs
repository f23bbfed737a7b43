//! Removes shared libraries that no kept file needs and character sets that no program converts, and rewrites the
//! loader's cache.
//!
//! Only packages of the base lose libraries. A package that the user or a wheel requires stays whole.

use std::collections::{BTreeMap, BTreeSet};

use super::rules::is_gconv;
use super::survey::Survey;
use super::{Base, keeps};
use crate::formats::ldcache::{self, Library};
use crate::model::image_path::ImagePath;
use crate::model::platform::Architecture;
use crate::model::reason::{Kept, Removed};
use crate::model::request::Request;
use crate::model::tree::{Kind, Node, Origin, Tree};
use crate::model::vocabulary::ICONV_OPEN;
use crate::outside::store::{Store, StoreError};

/// Libraries that programs open by names they build at run time, or that glibc opens itself. `pthread_cancel` opens
/// libgcc_s, nsswitch opens libnss_*, and programs compiled against an old glibc open the libraries that are part of
/// libc now.
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

/// Removes libraries of the base if no ELF file needs them and no file outside the base names them. For each library
/// that stays, records which file needs it.
pub(super) fn remove_unneeded(
    tree: &mut Tree,
    surveys: &BTreeMap<Origin, Survey<'_>>,
    base: &Base,
    request: &Request,
    architecture: Architecture,
) {
    let directory = format!("/usr/lib/{}", architecture.triplet());
    // A library of the base, by each name under which a loader may look for it.
    let mut candidates: BTreeMap<&ImagePath, &[String]> = BTreeMap::new();
    let mut by_name: BTreeMap<&str, &ImagePath> = BTreeMap::new();
    let mut queue: Vec<(&str, &ImagePath)> = Vec::new();
    for (origin, survey) in surveys {
        for (path, linked) in &survey.elf {
            let is_here = path.parent().is_some_and(|parent| parent.as_str() == directory);
            let is_library = is_here && path.file_name().contains(".so") && path.file_name().starts_with("lib");
            if is_library && base.has(origin) && !keeps(request, path) && !is_opened_by_name(path.file_name()) {
                candidates.insert(path, &linked.needed);
                by_name.insert(path.file_name(), path);
                by_name.extend(linked.soname.as_deref().map(|soname| (soname, path)));
            } else {
                queue.extend(linked.needed.iter().map(|needed| (needed.as_str(), path)));
            }
        }
    }
    let named = surveys.iter().filter(|(origin, _)| !base.has(origin));
    let named: BTreeMap<&str, &Origin> =
        named.flat_map(|(origin, survey)| survey.named_libraries.iter().map(move |name| (*name, origin))).collect();
    let mut reasons: BTreeMap<ImagePath, Kept> = BTreeMap::new();
    for (path, needed) in &candidates {
        if let Some(origin) = named.get(stem(path.file_name())) {
            reasons.insert((*path).clone(), Kept::NamedBy { origin: (*origin).clone() });
            queue.extend(needed.iter().map(|needed| (needed.as_str(), *path)));
        }
    }
    while let Some((name, asker)) = queue.pop() {
        let Some(path) = by_name.get(name).copied() else { continue };
        if !reasons.contains_key(path) {
            reasons.insert(path.clone(), Kept::NeededBy { path: asker.clone() });
            queue.extend(candidates[path].iter().map(|needed| (needed.as_str(), path)));
        }
    }
    let going: BTreeSet<ImagePath> =
        candidates.keys().filter(|path| !reasons.contains_key(**path)).map(|path| (*path).clone()).collect();
    let links: Vec<ImagePath> = tree
        .nodes
        .iter()
        .filter(|(path, node)| matches!(node.kind, Kind::Link { .. }) && !keeps(request, path))
        .filter(|(path, _)| tree.canonical(path).is_some_and(|target| going.contains(&target)))
        .map(|(path, _)| path.clone())
        .collect();
    for path in links.iter().chain(&going) {
        tree.remove(path, Removed::UnneededLibraries);
    }
    for (path, reason) in reasons {
        if let Some(node) = tree.nodes.get_mut(&path) {
            node.kept = Some(reason);
        }
    }
}

/// Removes extension modules of the stdlib that cannot be loaded because the package with their library was left out.
pub(super) fn remove_unmet_modules(tree: &mut Tree, surveys: &BTreeMap<Origin, Survey<'_>>, base: &Base) {
    let names: BTreeSet<&str> = tree.nodes.keys().map(ImagePath::file_name).collect();
    let modules = surveys.iter().filter(|(origin, _)| base.has(origin)).flat_map(|(_, survey)| &survey.elf);
    let unmet: Vec<ImagePath> = modules
        .filter(|(path, _)| path.as_str().contains("/lib-dynload/"))
        .filter(|(_, linked)| linked.needed.iter().any(|needed| !names.contains(needed.as_str())))
        .map(|(path, _)| path.clone())
        .collect();
    for path in unmet {
        tree.remove(&path, Removed::UnmetModules);
    }
}

/// Removes the remaining character sets if no program outside the base converts with iconv.
pub(super) fn remove_character_sets(
    tree: &mut Tree,
    surveys: &BTreeMap<Origin, Survey<'_>>,
    base: &Base,
    request: &Request,
) {
    if surveys.iter().any(|(origin, survey)| survey.mentions.contains(ICONV_OPEN) && !base.has(origin)) {
        return;
    }
    let going: Vec<ImagePath> = tree
        .nodes
        .iter()
        .filter(|(path, node)| is_gconv(path) && node.kind != Kind::Directory && base.has(&node.origin))
        .filter(|(path, _)| !keeps(request, path))
        .map(|(path, _)| path.clone())
        .collect();
    for path in going {
        tree.remove(&path, Removed::CharacterSets);
    }
}

/// Rewrites the loader's cache without the removed libraries, and returns the libraries that it still contains.
pub(super) fn rewrite_cache(
    tree: &mut Tree,
    architecture: Architecture,
    store: &Store,
) -> Result<Vec<Library>, StoreError> {
    let Ok(path) = ImagePath::parse("/etc/ld.so.cache") else { return Ok(Vec::new()) };
    let Some(digest) = tree.nodes.get(&path).and_then(Node::digest) else { return Ok(Vec::new()) };
    let Some(mut libraries) = ldcache::read(&store.read(digest)?) else { return Ok(Vec::new()) };
    let before = libraries.len();
    libraries.retain(|library| tree.find(&library.path).is_some());
    if libraries.len() < before {
        let bytes = ldcache::write(&libraries, architecture);
        let node = Node::file(store.put(&bytes)?, bytes.len() as u64, 0o644, Origin::Lath);
        tree.insert(path, node);
    }
    Ok(libraries)
}

fn is_opened_by_name(file_name: &str) -> bool {
    let stem = stem(file_name);
    OPENED_BY_NAME
        .iter()
        .any(|name| if name.ends_with('_') || name.starts_with("ld-") { stem.starts_with(name) } else { stem == *name })
}

/// Returns `libfoo-2.0` for `libfoo-2.0.so.1`.
fn stem(file_name: &str) -> &str {
    file_name.split_once(".so").map_or(file_name, |(stem, _)| stem)
}
