//! Removes second copies of the time zones.

use super::{Proposal, Scene, any_within};
use crate::model::reason::Removed;
use crate::outside::store::StoreError;

/// Removes the copies whose names begin with `right/` or `posix/`. Programs use them only if the name of a zone has
/// this beginning. Since trixie, Debian has these copies in a separate package.
pub(super) fn second_copies(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    Ok(scene.remove(Removed::SecondTimeZones, |path, package| {
        scene.is_base(package) && any_within(path, &["/usr/share/zoneinfo/right", "/usr/share/zoneinfo/posix"])
    }))
}
