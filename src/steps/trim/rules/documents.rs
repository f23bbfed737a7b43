//! Finds documents that only people read.

use super::any_within;
use crate::model::image_path::ImagePath;

/// Returns whether the path is documentation. Files with the copyright do not count.
pub(super) fn is_documentation(path: &ImagePath) -> bool {
    any_within(path, &["/usr/share/doc", "/usr/share/doc-base"]) && path.file_name() != "copyright"
}

/// Returns whether the path is a changelog of a package (Debian Policy, section 12.7).
pub(super) fn is_changelog(path: &ImagePath) -> bool {
    is_documentation(path) && path.file_name().to_ascii_lowercase().starts_with("changelog")
}

pub(super) fn is_manual(path: &ImagePath) -> bool {
    any_within(path, &["/usr/share/man", "/usr/share/info"])
}
