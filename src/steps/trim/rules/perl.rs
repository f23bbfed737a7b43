//! Removes modules of perl.

use super::{Proposal, Scene, any_within};
use crate::model::reason::Removed;
use crate::outside::store::StoreError;

/// Removes perl modules if the image has no perl. Packages such as git contain perl modules for parts that are seldom
/// used.
pub(super) fn modules(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    if scene.tree.find("/usr/bin/perl").is_some() {
        return Ok(Vec::new());
    }
    Ok(scene.remove(Removed::PerlModules, |path, _| {
        any_within(path, &["/usr/share/perl5", "/usr/share/perl", "/usr/share/gitweb"])
    }))
}
