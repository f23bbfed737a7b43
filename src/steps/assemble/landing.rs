//! The place of a path behind the links of a tree.

use super::AssembleError;
use crate::model::image_path::ImagePath;
use crate::model::tree::Tree;

/// Returns the path of `folder` with the links of the tree resolved. Directories at the end of the path may be missing.
pub(super) fn landing(tree: &Tree, folder: &str) -> Result<ImagePath, AssembleError> {
    let path = ImagePath::parse(folder)?;
    let mut above = Some(path.clone());
    while let Some(parent) = above {
        if let Some(real) = tree.canonical(&parent) {
            let below = path.as_str()[parent.as_str().len()..].trim_start_matches('/');
            return Ok(if below.is_empty() { real } else { real.join(below)? });
        }
        above = parent.parent();
    }
    Ok(path)
}
