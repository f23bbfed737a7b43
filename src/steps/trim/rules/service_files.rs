//! Removes files for init systems, cron, apt and logrotate, because no such daemon runs in the image.

use super::{Proposal, Scene, any_within};
use crate::model::reason::Removed;
use crate::outside::store::StoreError;

const DIRECTORIES: [&str; 11] = [
    "/etc/apt",
    "/etc/cron.d",
    "/etc/cron.daily",
    "/etc/cron.weekly",
    "/etc/init.d",
    "/etc/logrotate.d",
    "/usr/lib/init",
    "/usr/lib/systemd/system",
    "/usr/lib/systemd/user",
    "/usr/lib/sysusers.d",
    "/usr/lib/tmpfiles.d",
];

pub(super) fn service_files(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    Ok(scene.remove(Removed::ServiceFiles, |path, _| any_within(path, &DIRECTORIES)))
}
