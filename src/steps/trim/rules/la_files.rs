//! Removes `.la` files. They stay if the image has a compiler, if they belong to a package for development, or if a
//! program in the image uses them to find its plugins.

use super::compiler_files::{has_compiler, is_for_development};
use super::{Proposal, Scene};
use crate::model::reason::Removed;
use crate::model::vocabulary::LTDL_LIBRARY_PATH;
use crate::outside::store::StoreError;

/// libtool reads `.la` files when it links. At run time, only libltdl, which is a library of libtool, reads them to
/// find plugins. ImageMagick, PulseAudio and OpenLDAP use libltdl.
pub(super) fn la_files(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    if has_compiler(scene) || scene.is_mentioned(&[LTDL_LIBRARY_PATH]) {
        return Ok(Vec::new());
    }
    Ok(scene
        .remove(Removed::CompilerFiles, |path, package| path.as_str().ends_with(".la") && !is_for_development(package)))
}
