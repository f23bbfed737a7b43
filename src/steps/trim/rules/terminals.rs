//! Removes the files about terminals that are not terminfo entries.

use super::{Proposal, Scene};
use crate::model::reason::Removed;
use crate::outside::store::StoreError;

/// Removes the tab stops. Only `tset` and `tput init` read them, and an image has these programs only if the user names
/// their package. The terminfo entries stay, because `curses` cannot start without the entry of its terminal.
pub(super) fn tab_stops(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    Ok(scene.remove(Removed::TabStops, |path, package| {
        scene.is_base(package) && (path.is_within("/usr/share/tabset") || path.as_str() == "/etc/terminfo/README")
    }))
}
