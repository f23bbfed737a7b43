//! Removes single certificates.

use super::{Proposal, Scene};
use crate::model::reason::Removed;
use crate::outside::store::StoreError;

/// If there is a bundle of certificates, removes the single certificates, because the bundle contains them.
pub(super) fn bundled(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    if scene.tree.find("/etc/ssl/certs/ca-certificates.crt").is_none() {
        return Ok(Vec::new());
    }
    Ok(scene.remove(Removed::BundledCertificates, |path, _| {
        path.is_within("/usr/share/ca-certificates") && path.as_str().ends_with(".crt")
    }))
}
