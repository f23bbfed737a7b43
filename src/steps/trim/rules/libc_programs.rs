//! Removes programs of `libc-bin`, unless the user named this package.

use super::{Proposal, Scene, any_within};
use crate::model::reason::Removed;
use crate::outside::store::StoreError;

/// Programs that create files that lath writes itself, and programs that only administrators use. `ldconfig`, `getent`
/// and `locale` stay.
const MAINTENANCE: [&str; 7] = ["iconv", "iconvconfig", "localedef", "pldd", "tzselect", "zdump", "zic"];

pub(super) fn maintenance(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    Ok(scene.remove(Removed::LibcMaintenance, |path, package| {
        let folders = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];
        let is_program = any_within(path, &folders) && MAINTENANCE.contains(&path.file_name());
        is_program && scene.is_base(package)
    }))
}
