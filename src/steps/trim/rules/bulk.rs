//! Removes bulk: documentation, manuals, translations, and files for packagers and desktops. No program needs them,
//! unless the user named a package because of them: `iso-codes`, `manpages-de`, `python3-doc`.

use std::collections::BTreeSet;

use super::documents::{is_changelog, is_documentation, is_manual};
use super::locales::is_locale;
use super::packager_files::is_packager_file;
use super::{Proposal, Scene};
use crate::model::image_path::ImagePath;
use crate::model::lock::LockedDeb;
use crate::model::reason::{Removed, Why};
use crate::model::tree::Origin;
use crate::outside::store::StoreError;

pub(super) fn bulk(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    let wanted = packages_of_bulk(scene);
    let files = scene.package_files().filter(|(path, package)| is_changelog(path) || !wanted.contains(package));
    let going = files.filter_map(|(path, package)| Some((path, kind(path, package)?)));
    Ok(going.map(|(path, reason)| Proposal::Remove { path: path.clone(), reason }).collect())
}

/// Returns which kind of bulk the path is. `None` if the path is not bulk.
fn kind(path: &ImagePath, package: &str) -> Option<Removed> {
    match path {
        _ if is_documentation(path) => Some(Removed::Documentation),
        _ if is_manual(path) => Some(Removed::Manuals),
        _ if is_locale(path, package) => Some(Removed::Locales),
        _ if is_packager_file(path) => Some(Removed::PackagerFiles),
        _ => None,
    }
}

/// Returns the named packages whose purpose is bulk: they contain no compiled program or library, and more than half of
/// their bytes are bulk. Changelogs do not count. In a package with a program, bulk is about the program. For example,
/// 87 % of `wget` are translations and manuals, but users do not name `wget` because of them.
fn packages_of_bulk<'a>(scene: &Scene<'a>) -> BTreeSet<&'a str> {
    let mut named = named(scene);
    if named.is_empty() {
        return named;
    }
    for (origin, survey) in scene.surveys() {
        if let Origin::Deb { name, .. } = origin
            && !survey.elf.is_empty()
        {
            named.remove(name.as_str());
        }
    }
    named.retain(|package| {
        let bytes_of = |is_counted: fn(&ImagePath, &str) -> bool| -> u64 {
            let files = scene.package_files().filter(|(path, owner)| owner == package && is_counted(path, owner));
            files.map(|(path, _)| scene.tree.nodes[path].size_bytes()).sum()
        };
        let bulk_bytes = bytes_of(|path, package| !is_changelog(path) && kind(path, package).is_some());
        bulk_bytes > bytes_of(|path, package| kind(path, package).is_none())
    });
    named
}

/// Returns the packages that the user named, and the packages that a named metapackage requires. For example,
/// `python3-doc` contains nothing and depends on the documentation of one version.
fn named<'a>(scene: &Scene<'a>) -> BTreeSet<&'a str> {
    let is_named = |deb: &&LockedDeb| matches!(deb.why, Why::Named { .. });
    let named: BTreeSet<&str> = scene.lock().debs.iter().filter(is_named).map(|deb| deb.name.as_str()).collect();
    let filled: BTreeSet<&str> =
        scene.package_files().filter(|(path, _)| !is_paperwork(path)).map(|(_, name)| name).collect();
    let is_required = |deb: &&LockedDeb| {
        let mut requiring = deb.required_by.iter().map(String::as_str);
        requiring.any(|package| named.contains(package) && !filled.contains(package))
    };
    let required = scene.lock().debs.iter().filter(is_required).map(|deb| deb.name.as_str());
    named.iter().copied().chain(required.filter(|package| !scene.is_base(package))).collect()
}

/// Returns whether the file is one that every package has.
fn is_paperwork(path: &ImagePath) -> bool {
    path.is_within("/usr/share/doc") || path.is_within("/usr/share/lintian")
}
