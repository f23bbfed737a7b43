//! Temporary files and folders next to a destination. Their names show that lath created them, and the process that
//! writes such a file or folder holds a lock on it. If another process can get the lock, the writer has ended. Then the
//! other process may remove the file or folder.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use fs_err as fs;
use rustix::fs::{Mode, OFlags};
use tempfile::{Builder, NamedTempFile, TempDir};

use crate::outside::unfinished::Unfinished;

/// The prefix of the names.
pub(crate) const PREFIX: &str = ".tmp-lath-";
/// The maximum number of attempts to create a path. Another process may remove a path before it is locked, because an
/// unlocked path seems to be abandoned.
const ATTEMPTS: usize = 10;

/// A file that is written next to its destination.
#[derive(Debug)]
pub(crate) struct StagingFile {
    file: NamedTempFile,
    unfinished: Unfinished,
}

/// A folder that is filled next to its destination.
#[derive(Debug)]
pub(crate) struct StagingFolder {
    folder: TempDir,
    unfinished: Unfinished,
    #[expect(dead_code, reason = "the lock lives as long as the file")]
    lock: File,
}

impl StagingFile {
    pub(crate) fn new_in(folder: &Path) -> io::Result<Self> {
        for _ in 0..ATTEMPTS {
            // This is the usual mode of files, before the user's umask is applied.
            let mode = std::fs::Permissions::from_mode(0o666);
            let file = Builder::new().prefix(PREFIX).permissions(mode).tempfile_in(folder)?;
            let unfinished = Unfinished::new(file.path());
            if is_ours(file.as_file(), file.path()) {
                return Ok(Self { file, unfinished });
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }

    pub(crate) fn writer(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// Renames the file to its final name. An existing file with that name is replaced.
    pub(crate) fn publish(self, path: &Path) -> io::Result<()> {
        self.file.persist(path).map_err(|error| error.error)?;
        drop(self.unfinished);
        Ok(())
    }
}

impl StagingFolder {
    pub(crate) fn new_in(folder: &Path) -> io::Result<Self> {
        for _ in 0..ATTEMPTS {
            let folder = Builder::new().prefix(PREFIX).tempdir_in(folder)?;
            let unfinished = Unfinished::new(folder.path());
            let lock = open(folder.path())?;
            if is_ours(&lock, folder.path()) {
                return Ok(Self { folder, unfinished, lock });
            }
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Renames the folder to its final name. An empty folder with that name is replaced.
    pub(crate) fn publish(self, path: &Path) -> io::Result<()> {
        fs::rename(self.folder.path(), path)?;
        // The temporary name no longer exists, so nothing must be removed at that name.
        let _ = self.folder.keep();
        drop(self.unfinished);
        Ok(())
    }
}

/// Locks a path that was just created. Returns whether it still exists, because [`sweep`] may have removed it before
/// the lock.
fn is_ours(file: &File, path: &Path) -> bool {
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => false,
        // If a file system does not support locks, no process gets a lock, and abandoned files are not removed.
        Ok(()) | Err(TryLockError::Error(_)) => is_same(file, path),
    }
}

/// Removes files and folders in `folder` that ended processes of this user have left. If one of them cannot be removed,
/// the only effect is that it uses space.
pub(crate) fn sweep(folder: &Path) {
    let user = rustix::process::geteuid().as_raw();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if !entry.file_name().to_string_lossy().starts_with(PREFIX) {
            continue;
        }
        let path = entry.path();
        let Ok(file) = open(&path) else { continue };
        let Ok(metadata) = file.metadata() else { continue };
        let is_left = metadata.uid() == user && file.try_lock().is_ok() && is_same(&file, &path);
        if is_left {
            let _ = if metadata.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        }
    }
}

/// Opens a file or folder in order to lock it. A link or a pipe with such a name was not created by lath. So a link is
/// not followed, and opening a pipe does not block.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

/// Whether `path` is still the path of `file`.
fn is_same(file: &File, path: &Path) -> bool {
    let (Ok(own), Ok(there)) = (file.metadata(), fs::symlink_metadata(path)) else { return false };
    (own.dev(), own.ino()) == (there.dev(), there.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_a_dead_process_are_swept_and_those_of_a_living_one_are_not() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        fs::write(path(".tmp-lath-left"), "").unwrap();
        fs::create_dir_all(path(".tmp-lath-folder/usr/bin")).unwrap();
        fs::write(path(".tmpOther"), "").unwrap();
        fs::write(path("mine"), "").unwrap();
        fs_err::os::unix::fs::symlink("mine", path(".tmp-lath-link")).unwrap();
        let file = StagingFile::new_in(home.path()).unwrap();
        let folder = StagingFolder::new_in(home.path()).unwrap();
        sweep(home.path());
        let names = || {
            let names = fs::read_dir(home.path()).unwrap().map(|entry| entry.unwrap().path());
            names.collect::<std::collections::BTreeSet<_>>()
        };
        let others = [path(".tmpOther"), path("mine"), path(".tmp-lath-link")];
        let writing = [file.file.path().to_owned(), folder.path().to_owned()];
        assert_eq!(names(), others.iter().chain(&writing).cloned().collect());
        file.publish(&path("file")).unwrap();
        folder.publish(&path("folder")).unwrap();
        assert_eq!(names(), others.into_iter().chain([path("file"), path("folder")]).collect());
    }

    #[test]
    fn a_file_that_is_given_up_leaves_nothing() {
        let home = tempfile::tempdir().unwrap();
        drop((StagingFile::new_in(home.path()).unwrap(), StagingFolder::new_in(home.path()).unwrap()));
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
