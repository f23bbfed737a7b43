//! Removes the character sets of glibc's iconv.

use super::{Proposal, Scene};
use crate::model::reason::Removed;
use crate::model::vocabulary::ICONV_OPEN;
use crate::outside::store::StoreError;

/// Removes the sets of the base if no program outside the base converts with iconv. glibc itself contains ASCII, UTF-8
/// and UCS-2/4, and Python has its own codecs. A program that converts gets the name of the set from its data, so if
/// there is one, all sets stay.
pub(super) fn character_sets(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    if scene.is_mentioned(&[ICONV_OPEN]) {
        return Ok(Vec::new());
    }
    Ok(scene
        .remove(Removed::CharacterSets, |path, package| path.as_str().contains("/gconv/") && scene.is_base(package)))
}
