//! Base images made from Debian's archive, as debootstrap makes them.

use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::lath::succeeded;

pub(crate) fn docker(words: &[&str]) -> Output {
    Command::new("docker").args(words).output().unwrap()
}

/// The engine to itself, from a build to the removal of what was built: an engine's classic builder takes up images in between
/// of other builds, and loses them when the image of such a build is removed.
pub(crate) fn builder() -> MutexGuard<'static, ()> {
    static BUILDING: Mutex<()> = Mutex::new(());
    // A test that failed leaves nothing half-done here.
    BUILDING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The smallest Debian of a release with apt, without lists and packages, as an image of the engine, made once; its name.
pub(crate) fn base(suite: &str) -> String {
    static MAKING: Mutex<()> = Mutex::new(());
    let _making = MAKING.lock();
    let name = format!("lath-test-base:{suite}");
    if !docker(&["image", "inspect", &name]).status.success() {
        let home = tempfile::tempdir().unwrap();
        let line = format!(
            "debootstrap --variant=minbase {suite} root && rm -rf root/var/cache/apt/archives/*.deb root/var/lib/apt/lists/* \
             && tar -C root -c . | docker import - {name}"
        );
        succeeded(Command::new("sh").args(["-ec", &line]).current_dir(home.path()).output().unwrap());
    }
    name
}
