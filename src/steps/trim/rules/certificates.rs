//! Removes single certificates.

use super::{Proposal, Scene};
use crate::model::reason::Removed;
use crate::outside::store::StoreError;

/// Removes the certificates that the bundle contains, if there is a bundle.
pub(super) fn bundled(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    if scene.tree.find("/etc/ssl/certs/ca-certificates.crt").is_none() {
        return Ok(Vec::new());
    }
    Ok(scene.remove(Removed::BundledCertificates, |path, _| {
        path.is_within("/usr/share/ca-certificates") && path.as_str().ends_with(".crt")
    }))
}
