//! Removes locales other than C.UTF-8, and translations of messages.

use super::{Proposal, Scene, any_within};
use crate::model::reason::Removed;
use crate::outside::store::StoreError;

/// If the user names a package of locales, its locales stay.
pub(super) fn locales(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    Ok(scene.remove(Removed::Locales, |path, package| {
        let is_asked = package.starts_with("locales") || package.starts_with("language-pack-");
        let is_supported = any_within(path, &["/usr/lib/locale/C.utf8", "/usr/lib/locale/C.UTF-8"]);
        any_within(path, &["/usr/share/locale", "/usr/share/i18n", "/usr/lib/locale"]) && !is_supported && !is_asked
    }))
}
