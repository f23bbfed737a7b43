//! Tree -> smaller tree: the level `standard`. It never removes Python files of a distribution, or data that a program
//! in this image could read.
//!
//! Each removed path has the reason of its rule, and each kept path has the reason why it is kept. The user sees both.

mod libraries;
mod named;
mod programs;
mod rules;
mod seeds;
mod survey;

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use crate::formats::elf;
use crate::model::assembly::Assembly;
use crate::model::digest::Digest;
use crate::model::glob;
use crate::model::image_path::ImagePath;
use crate::model::lock::{LockedDeb, PlatformLock};
use crate::model::reason::{Kept, Removed, Why};
use crate::model::request::{Request, TrimLevel};
use crate::model::tree::{Kind, Node, Origin, Tree};
use crate::outside::store::{Bucket, Store, StoreError};

/// The packages that the user did not request. They may lose files that nothing needs.
struct Base {
    /// Packages that the interpreter needs, or that are in every image.
    packages: BTreeSet<String>,
    /// Helper packages: they are included because scripts of another package run their programs.
    aides: BTreeSet<String>,
}

impl Base {
    fn of(lock: &PlatformLock) -> Self {
        let names = |is_such: fn(&LockedDeb) -> bool| {
            lock.debs.iter().filter(|deb| is_such(deb)).map(|deb| deb.name.clone()).collect()
        };
        Self { packages: names(|deb| deb.is_base), aides: names(|deb| matches!(deb.why, Why::ScriptsOf { .. })) }
    }

    fn has(&self, origin: &Origin) -> bool {
        matches!(origin, Origin::Deb { name, .. } if self.packages.contains(name))
    }

    fn is_aide(&self, package: &str) -> bool {
        self.aides.contains(package)
    }
}

/// Removes files that no program needs at run time.
pub(crate) fn trim(
    whole: &Assembly,
    lock: &PlatformLock,
    request: &Request,
    store: &Store,
) -> Result<Tree, StoreError> {
    let mut tree = whole.tree.clone();
    if request.trim.level == TrimLevel::Standard {
        let base = Base::of(lock);
        for (path, reason) in rules::taken(&tree, &base) {
            if !keeps(request, &path) {
                tree.remove(&path, reason);
            }
        }
        let surveys = survey::surveys(&tree, &base, &whole.facts);
        let architecture = lock.platform.architecture;
        programs::remove_unnamed(&mut tree, &surveys, &base, request);
        libraries::remove_character_sets(&mut tree, &surveys, &base, request);
        libraries::remove_unmet_modules(&mut tree, &surveys, &base);
        libraries::remove_unneeded(&mut tree, &surveys, &base, request, architecture);
        named::remove_topics(&mut tree, &surveys, request);
        seeds::remove_foreign(&mut tree, &surveys, lock, request, store)?;
        remove_empty(&mut tree, &whole.tree);
        strip(&mut tree, request, store)?;
        let libraries = libraries::rewrite_cache(&mut tree, architecture, store)?;
        named::replace_ldconfig(&mut tree, &surveys, &libraries, request, (architecture, store))?;
    }
    explain(&mut tree, lock, request);
    Ok(tree)
}

/// Returns whether one of the user's `--keep` patterns matches the path.
fn keeps(request: &Request, path: &ImagePath) -> bool {
    request.trim.keep.iter().any(|keep| glob::matches(keep, path.as_str()))
}

/// Gives every kept path that has no reason yet the reason of its package.
fn explain(tree: &mut Tree, lock: &PlatformLock, request: &Request) {
    let debs: BTreeMap<&str, &Why> = lock.debs.iter().map(|deb| (deb.name.as_str(), &deb.why)).collect();
    let requested: BTreeSet<&str> =
        lock.wheels.iter().filter(|wheel| wheel.is_requested).map(|wheel| wheel.name.as_str()).collect();
    for (path, node) in &mut tree.nodes {
        if keeps(request, path) {
            node.kept = Some(Kept::Pattern);
        }
        if node.kept.is_some() {
            continue;
        }
        node.kept = Some(match &node.origin {
            Origin::Deb { name, .. } => debs.get(name.as_str()).map_or(Kept::Base, |why| Kept::Package((*why).clone())),
            Origin::Wheel { name, .. } if requested.contains(name.as_str()) => Kept::Requested,
            Origin::Wheel { .. } => Kept::Required,
            Origin::Lath => Kept::EveryImage,
            Origin::User => Kept::Copied,
        });
    }
}

/// Removes symbols and debug information from the extension modules of wheels. Libraries that a repair tool has put
/// into `*.libs/` are not changed, because no linker produced their layout and stripping has broken such files.
fn strip(tree: &mut Tree, request: &Request, store: &Store) -> Result<(), StoreError> {
    // A module is in memory twice while it is stripped. The largest ones come stripped.
    const LARGEST_BYTES: u64 = 512 << 20;
    let is_module = |path: &ImagePath, node: &Node| {
        matches!(node.origin, Origin::Wheel { .. })
            && node.size_bytes() <= LARGEST_BYTES
            && path.file_name().ends_with(".so")
            && !path.components().any(|component| component.ends_with(".libs") || component == ".dylibs")
            && !keeps(request, path)
    };
    let mut modules: Vec<&mut Node> =
        tree.nodes.iter_mut().filter(|(path, node)| is_module(path, node)).map(|(_, node)| node).collect();
    modules.par_iter_mut().try_for_each(|node| {
        let Kind::File { digest, size_bytes } = &mut node.kind else { return Ok(()) };
        let stripped: Option<(Digest, u64)> = match store.entry::<Option<(Digest, u64)>>(Bucket::Stripped, digest) {
            Some(noted) if noted.is_none_or(|(digest, size_bytes)| store.holds(&digest, size_bytes)) => noted,
            _ => {
                let stripped = match elf::strip_debug(&store.read(digest)?) {
                    Some(bytes) => Some((store.put(&bytes)?, bytes.len() as u64)),
                    None => None,
                };
                store.write_entry(Bucket::Stripped, digest, &stripped)?;
                stripped
            }
        };
        if let Some(stripped) = stripped {
            (*digest, *size_bytes) = stripped;
        }
        Ok(())
    })
}

/// Removes the directories that trimming has emptied, deepest first.
fn remove_empty(tree: &mut Tree, whole: &Tree) {
    let mut filled: Vec<ImagePath> = tree.removed.keys().filter_map(ImagePath::parent).collect();
    filled.sort();
    filled.dedup();
    while let Some(directory) = filled.pop() {
        // Other paths may sort between a directory and its contents, because some characters sort before the slash.
        let mut after = tree.nodes.range(directory.clone()..).skip(1).map(|(path, _)| path);
        let is_empty = !after
            .by_ref()
            .take_while(|next| next.as_str().starts_with(directory.as_str()))
            .any(|next| next.is_within(directory.as_str()));
        let is_deb = whole.nodes.get(&directory).is_some_and(|node| matches!(node.origin, Origin::Deb { .. }));
        if is_empty && is_deb && tree.nodes.contains_key(&directory) {
            tree.remove(&directory, Removed::EmptiedDirectories);
            if let Some(parent) = directory.parent() {
                let at = filled.partition_point(|other| *other < parent);
                if filled.get(at) != Some(&parent) {
                    filled.insert(at, parent);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
