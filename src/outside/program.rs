//! Identifies the running program.

use std::os::unix::fs::MetadataExt as _;

use fs_err as fs;

/// Returns a text that is different for each build of lath, even if the version is the same.
pub(crate) fn identity() -> String {
    let file = std::env::current_exe().and_then(fs::metadata);
    let built = file.map(|file| format!("{} {}.{:09}", file.size(), file.mtime(), file.mtime_nsec()));
    format!("{} {}", env!("CARGO_PKG_VERSION"), built.unwrap_or_default())
}
