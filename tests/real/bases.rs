//! Base images made from Debian's archive, as debootstrap makes them.

use std::process::{Command, Output};
use std::sync::Mutex;

use crate::lath::succeeded;

pub(crate) fn docker(words: &[&str]) -> Output {
    Command::new("docker").args(words).output().unwrap()
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
