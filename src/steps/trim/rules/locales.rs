//! Finds locales other than C.UTF-8, and translations of messages.

use super::any_within;
use crate::model::image_path::ImagePath;

/// Returns whether the path is a locale or a translation that can be removed. Locales in packages of locales stay: such
/// a package is in the image only if the user named it or a package that needs it.
pub(super) fn is_locale(path: &ImagePath, package: &str) -> bool {
    let is_asked = package.starts_with("locales") || package.starts_with("language-pack-");
    let is_supported = any_within(path, &["/usr/lib/locale/C.utf8", "/usr/lib/locale/C.UTF-8"]);
    any_within(path, &["/usr/share/locale", "/usr/share/i18n", "/usr/lib/locale"]) && !is_supported && !is_asked
}
