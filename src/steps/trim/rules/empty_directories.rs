//! Removes the directories of Debian packages that trim has emptied.

use std::collections::BTreeSet;

use super::{Proposal, Scene};
use crate::model::image_path::ImagePath;
use crate::model::reason::Removed;
use crate::model::tree::Origin;
use crate::outside::store::StoreError;

/// Begins with the deepest directories. The reason: if all directories in a directory are removed, the outer directory
/// may be empty, too. Directories that were empty before trim stay.
pub(super) fn empty_directories(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    let mut candidates: BTreeSet<ImagePath> = scene.tree.removed.keys().filter_map(ImagePath::parent).collect();
    let mut going: BTreeSet<ImagePath> = BTreeSet::new();
    while let Some(directory) = candidates.pop_last() {
        let node = scene.tree.nodes.get(&directory);
        let is_of_package = node.is_some_and(|node| matches!(node.origin, Origin::Deb { .. }));
        if is_of_package && is_empty(scene, &directory, &going) {
            candidates.extend(directory.parent());
            going.insert(directory);
        }
    }
    let remove = |path| Proposal::Remove { path, reason: Removed::EmptiedDirectories };
    Ok(going.into_iter().map(remove).collect())
}

/// Returns whether the directory contains only paths of `going`.
fn is_empty(scene: &Scene<'_>, directory: &ImagePath, going: &BTreeSet<ImagePath>) -> bool {
    // The contents of a directory may not follow it directly in the order of paths, because some characters sort before
    // the slash.
    let after = scene.tree.nodes.range(directory.clone()..).skip(1).map(|(path, _)| path);
    let mut near = after.take_while(|path| path.as_str().starts_with(directory.as_str()));
    !near.any(|path| path.is_within(directory.as_str()) && !going.contains(path))
}
