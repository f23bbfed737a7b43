//! Removes files for packagers, desktops and interactive shells.

use super::{Proposal, Scene, any_within};
use crate::model::reason::Removed;
use crate::outside::store::StoreError;

const DIRECTORIES: [&str; 11] = [
    "/usr/share/lintian",
    "/usr/share/bug",
    "/usr/share/applications",
    "/usr/share/pixmaps",
    "/usr/share/bash-completion",
    "/etc/bash_completion.d",
    "/usr/share/zsh",
    "/usr/share/binfmts",
    "/usr/share/debconf",
    "/var/lib/dpkg/info",
    "/usr/share/menu",
];

pub(super) fn packager_files(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    Ok(scene.remove(Removed::PackagerFiles, |path, _| any_within(path, &DIRECTORIES)))
}
