//! Removes character sets of glibc's iconv. glibc itself contains ASCII, UTF-8 and UCS-2/4, and Python has its own
//! codecs.

use super::{Proposal, Scene};
use crate::model::image_path::ImagePath;
use crate::model::reason::Removed;
use crate::model::vocabulary::ICONV_OPEN;
use crate::outside::store::StoreError;

/// The character sets that glibc's packagers keep in their smallest package: Unicode and western European sets.
const USUAL: [&str; 10] = [
    "ANSI_X3.110.so",
    "CP1252.so",
    "ISO8859-1.so",
    "ISO8859-15.so",
    "UNICODE.so",
    "UTF-16.so",
    "UTF-32.so",
    "UTF-7.so",
    "gconv-modules",
    "gconv-modules-extra.conf",
];

/// Removes all except the usual sets.
pub(super) fn unusual(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    Ok(scene.remove(Removed::CharacterSets, |path, _| is_gconv(path) && !USUAL.contains(&path.file_name())))
}

/// Removes the remaining sets of the base if no program outside the base converts with iconv.
pub(super) fn unused(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    if scene.is_mentioned(&[ICONV_OPEN]) {
        return Ok(Vec::new());
    }
    Ok(scene.remove(Removed::CharacterSets, |path, package| is_gconv(path) && scene.is_base(package)))
}

fn is_gconv(path: &ImagePath) -> bool {
    path.as_str().contains("/gconv/")
}
