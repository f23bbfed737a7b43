//! Finds files for packagers, desktops and interactive shells.

use super::any_within;
use crate::model::image_path::ImagePath;

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

pub(super) fn is_packager_file(path: &ImagePath) -> bool {
    any_within(path, &DIRECTORIES)
}
