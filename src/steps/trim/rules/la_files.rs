//! Removes `.la` files, by which libtool finds the libraries that a library needs when it links.

use super::compiler_files::{has_compiler, is_for_development};
use super::{Proposal, Scene};
use crate::model::reason::Removed;
use crate::outside::store::StoreError;

pub(super) fn la_files(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    if has_compiler(scene) {
        return Ok(Vec::new());
    }
    Ok(scene
        .remove(Removed::CompilerFiles, |path, package| path.as_str().ends_with(".la") && !is_for_development(package)))
}
