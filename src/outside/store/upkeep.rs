//! Keeps a store valid and small: handles its lock and its version, and removes leftovers and unused files.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;

use super::error::{StoreError, VERSION};
use super::files::is_older;
use crate::outside::clock;

/// An unfinished download is removed if it was not continued for this long.
const PARTIAL_KEPT: Duration = Duration::from_secs(7 * 86_400);

/// A number of files and their size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Amount {
    pub(crate) files: u64,
    pub(crate) bytes: u64,
}

/// Returns the amount of data below `dir`. It is zero if the directory does not exist. Several hard links to the same
/// file count once.
pub(crate) fn amount(dir: &Path) -> Result<Amount, StoreError> {
    use std::os::unix::fs::MetadataExt as _;
    let (mut amount, mut seen) = (Amount::default(), std::collections::BTreeSet::new());
    walk(dir, &mut |_, metadata| {
        if seen.insert((metadata.dev(), metadata.ino())) {
            amount.files += 1;
            amount.bytes += metadata.len();
        }
        Ok(())
    })?;
    Ok(amount)
}

/// Removes files from the store in `store` and from the other caches next to it. All files are removed, or only those
/// that were not used for `unused_for`. If other processes use the store, calls `on_wait` and waits until they have
/// finished.
pub(crate) fn prune(
    store: &Path,
    others: &[PathBuf],
    unused_for: Option<Duration>,
    on_wait: impl FnOnce(),
) -> Result<Amount, StoreError> {
    use std::os::unix::fs::MetadataExt as _;
    if !store.exists() {
        return Ok(Amount::default());
    }
    let failed = |source| StoreError::Open { root: store.to_owned(), source };
    let lock = lock_file(store).map_err(failed)?;
    if let Err(std::fs::TryLockError::WouldBlock) = lock.try_lock() {
        on_wait();
        lock.lock().map_err(failed)?;
    }
    if unused_for.is_some() {
        refuse_other_version(store)?;
    }
    sweep(store);
    let (mut removed, now) = (Amount::default(), clock::now());
    let mut remove = |path: &Path, metadata: &std::fs::Metadata| {
        // The lock file is not removed, because processes that wait for the lock have it open.
        let is_ground = path.parent() == Some(store)
            && path.file_name().is_some_and(|name| name == "lock" || name == "version" && unused_for.is_some());
        let is_unused = unused_for.is_none_or(|limit| is_older(metadata, limit, now));
        if is_ground || !is_unused {
            return Ok(());
        }
        let bytes = if metadata.nlink() > 1 { 0 } else { metadata.len() };
        fs::remove_file(path)?;
        removed = Amount { files: removed.files + 1, bytes: removed.bytes + bytes };
        Ok(())
    };
    for dir in std::iter::once(store).chain(others.iter().map(PathBuf::as_path)) {
        walk(dir, &mut remove)?;
    }
    Ok(removed)
}

/// Calls `visit` for each file below `dir`.
fn walk(dir: &Path, visit: &mut dyn FnMut(&Path, &std::fs::Metadata) -> io::Result<()>) -> Result<(), StoreError> {
    let failed = |source| StoreError::Read { path: dir.to_owned(), source };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
    };
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        // Another process may have removed the file since then.
        let metadata = match fs::symlink_metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            metadata => metadata.map_err(failed)?,
        };
        if metadata.is_dir() {
            walk(&path, visit)?;
        } else {
            match visit(&path, &metadata) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(StoreError::Remove { path, source: error });
                }
                _ => {}
            }
        }
    }
    Ok(())
}

pub(super) fn lock_file(root: &Path) -> io::Result<std::fs::File> {
    let file = fs::OpenOptions::new().create(true).write(true).truncate(false).mode(0o644).open(root.join("lock"))?;
    Ok(file.into_parts().0)
}

pub(super) fn refuse_other_version(root: &Path) -> Result<(), StoreError> {
    match fs::read_to_string(root.join("version")) {
        // An empty version file is accepted, because a power failure may have truncated it.
        Ok(found) if found.trim() == VERSION || found.trim().is_empty() => Ok(()),
        Ok(found) => Err(StoreError::Version { root: root.to_owned(), found: found.trim().to_owned() }),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(StoreError::Open { root: root.to_owned(), source }),
    }
}

/// Removes files that killed processes have left. If one of them cannot be removed, the only effect is that it uses
/// space.
pub(super) fn sweep(root: &Path) {
    let now = clock::now();
    for entry in fs::read_dir(root.join("tmp")).into_iter().flatten().flatten() {
        let path = entry.path();
        let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
    }
    for entry in fs::read_dir(root.join("partial")).into_iter().flatten().flatten() {
        if entry.metadata().is_ok_and(|metadata| is_older(&metadata, PARTIAL_KEPT, now)) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::store::Store;
    use crate::outside::store::tests::store;

    fn age(path: &Path, days: u64) {
        let time = clock::now() - Duration::from_secs(days * 86_400);
        std::fs::File::open(path).unwrap().set_modified(time).unwrap();
    }

    #[test]
    fn what_killed_processes_left_is_gone_once_nobody_else_is_at_work() {
        let (_home, store) = store();
        let root = store.root().to_owned();
        std::fs::create_dir(root.join("tmp/left")).unwrap();
        std::fs::write(root.join("tmp/left/file"), "x").unwrap();
        let other = Store::open(&root).unwrap();
        assert!(root.join("tmp/left").exists(), "somebody may be at work with it");
        drop((store, other));
        let store = Store::open(&root).unwrap();
        assert_eq!(std::fs::read_dir(root.join("tmp")).unwrap().count(), 1, "the folder of the one who is at work");
        drop(store);
        assert_eq!(std::fs::read_dir(root.join("tmp")).unwrap().count(), 0);
    }

    #[test]
    fn pruning_takes_what_was_not_used_and_leaves_what_was() {
        let (_home, store) = store();
        let (old, used) = (store.put(b"old").unwrap(), store.put(b"used").unwrap());
        for digest in [&old, &used] {
            age(&store.path_in("files", digest), 40);
        }
        age(&store.root().join("version"), 40);
        assert!(store.holds(&used, 4));
        let root = store.root().to_owned();
        drop(store);
        let month = Some(Duration::from_secs(30 * 86_400));
        let removed = prune(&root, &[], month, || panic!("nobody is at work")).unwrap();
        assert_eq!(removed, Amount { files: 1, bytes: 3 });
        let store = Store::open(&root).unwrap();
        assert!(!store.holds(&old, 3) && store.holds(&used, 4));
        drop(store);
        prune(&root, &[], None, || panic!("nobody is at work")).unwrap();
        assert_eq!(amount(&root).unwrap().files, 1, "all but the lock");
    }

    #[test]
    fn pruning_waits_for_whoever_is_at_work() {
        let (_home, store) = store();
        let root = store.root().to_owned();
        let (said, hears) = std::sync::mpsc::channel();
        let pruning = std::thread::spawn(move || prune(&root, &[], None, || said.send(()).unwrap()).unwrap());
        hears.recv().unwrap();
        let digest = store.put(b"lath").unwrap();
        assert!(store.holds(&digest, 4));
        drop(store);
        assert!(pruning.join().unwrap().files > 0);
    }

    #[test]
    fn a_store_of_another_version_can_be_emptied() {
        let (_home, store) = store();
        let root = store.root().to_owned();
        std::fs::write(root.join("version"), "99").unwrap();
        drop(store);
        assert!(matches!(prune(&root, &[], Some(Duration::ZERO), || ()), Err(StoreError::Version { .. })));
        prune(&root, &[], None, || ()).unwrap();
        Store::open(&root).unwrap();
    }
}
