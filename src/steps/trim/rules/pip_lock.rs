//! Removes the file `EXTERNALLY-MANAGED`. Because of this file, pip refuses to install into the system's Python.

use super::{Proposal, Scene};
use crate::model::image_path::ImagePath;
use crate::model::reason::Removed;
use crate::outside::store::StoreError;

/// Because of this file (packaging.python.org, "Externally Managed Environments"), pip does not change the modules that
/// apt has installed. An image has no apt, unless the user adds it. Without the file, `pip install --user` works like
/// in Python's own images.
pub(super) fn externally_managed(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    if scene.tree.find("/usr/bin/apt-get").is_some() {
        return Ok(Vec::new());
    }
    let mark = format!("{}/EXTERNALLY-MANAGED", scene.python().stdlib());
    let is_mark = |path: &ImagePath, _: &str| path.as_str() == mark;
    Ok(scene.remove(Removed::ExternallyManaged, is_mark))
}
