//! Removes files for init systems. Also removes files for cron, apt and logrotate, if the image does not contain these
//! programs.

use super::{Proposal, Scene, any_within};
use crate::model::reason::Removed;
use crate::outside::store::StoreError;

/// The directories, each with the program that reads it. They stay if the image contains this program, for example
/// because the user named `apt` or `cron`.
const READ_BY: [(&str, &str); 5] = [
    ("/etc/apt", "/usr/bin/apt-get"),
    ("/etc/cron.d", "/usr/sbin/cron"),
    ("/etc/cron.daily", "/usr/sbin/cron"),
    ("/etc/cron.weekly", "/usr/sbin/cron"),
    ("/etc/logrotate.d", "/usr/sbin/logrotate"),
];

/// Directories of systemd and of other init systems, which no image runs.
const DIRECTORIES: [&str; 6] = [
    "/etc/init.d",
    "/usr/lib/init",
    "/usr/lib/systemd/system",
    "/usr/lib/systemd/user",
    "/usr/lib/sysusers.d",
    "/usr/lib/tmpfiles.d",
];

pub(super) fn service_files(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    let unread = READ_BY.iter().filter(|(_, program)| scene.tree.find(program).is_none());
    let directories: Vec<&str> = unread.map(|(directory, _)| *directory).chain(DIRECTORIES).collect();
    Ok(scene.remove(Removed::ServiceFiles, |path, _| any_within(path, &directories)))
}
