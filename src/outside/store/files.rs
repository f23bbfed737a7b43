//! The rules for every file of the store: a file gets its final name only when it is complete, and the time of its last
//! use is recorded.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use fs_err as fs;
use tempfile::{NamedTempFile, PathPersistError, TempDir};

use super::error::StoreError;
use crate::outside::clock;

/// The store records when a file was last used, so that pruning can find unused files. The use of a file is recorded at
/// most once in this time.
const USE_NOTED_EVERY: Duration = Duration::from_secs(86_400);

/// Returns whether the file exists. If a size is given, it must be the file's size. Also records the use of the file.
pub(super) fn is_whole(path: &Path, size_bytes: Option<u64>) -> bool {
    let Ok(metadata) = fs::metadata(path) else { return false };
    if size_bytes.is_some_and(|expected| metadata.len() != expected) {
        return false;
    }
    let now = clock::now();
    if is_older(&metadata, USE_NOTED_EVERY, now)
        && let Ok(file) = fs::File::open(path)
    {
        // If the store is read-only, the use is not recorded. The only effect is that the file may be pruned earlier.
        let _ = file.file().set_modified(now);
    }
    true
}

/// Gives `file` its mode and renames it to `path`. Replaces an existing file.
pub(super) fn place(file: NamedTempFile, path: &Path, mode: u32) -> Result<(), StoreError> {
    let failed = |source| StoreError::Write { path: path.to_owned(), source };
    file.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).map_err(failed)?;
    // The file is closed before it gets its name, because the kernel does not start a program that is open for writing
    // (execve(2)).
    match file.into_temp_path().persist(path) {
        Ok(()) => Ok(()),
        // A missing directory is created now, with its first file.
        Err(PathPersistError { error, path: temporary }) if error.kind() == io::ErrorKind::NotFound => {
            path.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
            temporary.persist(path).map_err(|error| failed(error.error))
        }
        Err(PathPersistError { error, .. }) => Err(failed(error)),
    }
}

pub(super) fn is_older(metadata: &std::fs::Metadata, limit: Duration, now: SystemTime) -> bool {
    metadata.modified().is_ok_and(|time| now.duration_since(time).is_ok_and(|age| age > limit))
}

/// Creates a directory in `parent` that other users can neither read nor write to.
pub(crate) fn private_dir(prefix: &str, parent: &Path) -> io::Result<TempDir> {
    let mode = std::fs::Permissions::from_mode(0o700);
    tempfile::Builder::new().prefix(prefix).permissions(mode).tempdir_in(parent)
}
