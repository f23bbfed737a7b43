//! Base images that debootstrap makes from Debian's archive.

use std::process::{Command, Output};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::lath::succeeded;

pub(crate) fn docker(words: &[&str]) -> Output {
    Command::new("docker").args(words).output().unwrap()
}

/// Reserves the engine for one test, from a build until its image is removed. This is necessary because the classic
/// builder may reuse intermediate images of other builds. If the image of such a build is removed, its intermediate
/// images disappear with it.
pub(crate) fn builder() -> MutexGuard<'static, ()> {
    static BUILDING: Mutex<()> = Mutex::new(());
    // The lock may be poisoned by a test that failed. That is harmless, because the lock protects no data.
    BUILDING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Creates an image in the engine with the smallest Debian of a release that has apt. It contains no lists and no
/// cached packages. If the engine already has this image, it is used again. Returns the name of the image.
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
