//! Removes documents that only people read.

use super::{Proposal, Scene, any_within};
use crate::model::reason::Removed;
use crate::outside::store::StoreError;

/// Removes documentation, except the copyright.
pub(super) fn documentation(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    Ok(scene.remove(Removed::Documentation, |path, _| {
        any_within(path, &["/usr/share/doc", "/usr/share/doc-base"]) && path.file_name() != "copyright"
    }))
}

pub(super) fn manuals(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    Ok(scene.remove(Removed::Manuals, |path, _| any_within(path, &["/usr/share/man", "/usr/share/info"])))
}
