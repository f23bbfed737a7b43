//! Removes second copies of the time zones.

use super::{Proposal, Scene, any_within};
use crate::model::reason::Removed;
use crate::outside::store::StoreError;

/// Since trixie, Debian puts these copies into a package of their own. Programs find them only if a zone's name begins
/// with `right/` or `posix/`.
pub(super) fn second_copies(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    Ok(scene.remove(Removed::SecondTimeZones, |path, package| {
        scene.is_base(package) && any_within(path, &["/usr/share/zoneinfo/right", "/usr/share/zoneinfo/posix"])
    }))
}
