//! Removes the character sets of glibc's iconv.

use super::{Proposal, Scene};
use crate::model::reason::Removed;
use crate::model::vocabulary::ICONV_OPEN;
use crate::outside::store::StoreError;

/// Programs that install other programs. If the user requested one of them, the image may later run a program that
/// converts.
const INSTALLERS: [&str; 4] = ["pip", "pipx", "uv", "virtualenv"];

/// Removes the character sets in packages of the base, if no program outside the base converts with iconv. glibc itself
/// contains ASCII, UTF-8 and UCS-2/4, and Python has its own codecs. A program that converts gets the name of the
/// character set from its data. So if the image has such a program, all sets stay.
///
/// libstdc++ does not count, although it calls iconv. libstdc++ calls iconv only for programs that use the class
/// `encoding_state`. The code of this class is in a header, so such a program also calls iconv itself.
pub(super) fn character_sets(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    let installs = INSTALLERS.iter().any(|name| scene.lock().requests(name));
    if installs || scene.files_that_mention(ICONV_OPEN).any(|path| !path.file_name().starts_with("libstdc++")) {
        return Ok(Vec::new());
    }
    Ok(scene
        .remove(Removed::CharacterSets, |path, package| path.as_str().contains("/gconv/") && scene.is_base(package)))
}
