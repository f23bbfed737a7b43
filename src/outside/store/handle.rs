//! An open store: its lock, its directory for unfinished files, and the packs that this process has opened.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use tempfile::{NamedTempFile, TempDir};

use super::error::{StoreError, VERSION};
use super::files::{place, private_dir};
use super::upkeep::{lock_file, refuse_other_version, sweep};
use crate::model::digest::Digest;
use crate::outside::unfinished::Unfinished;

const FOLDERS: [&str; 9] = ["files", "packs", "programs", "parcels", "partial", "segments", "blobs", "notes", "locks"];

/// An open store. Copies share its lock and its directory for unfinished files.
#[derive(Debug, Clone)]
pub(crate) struct Store {
    root: PathBuf,
    pub(super) shared: Arc<Shared>,
}

/// The state of a process that uses a store: a directory for unfinished files, and the lock.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) folder: TempDir,
    pub(super) places: RwLock<Places>,
    #[expect(dead_code, reason = "while this lives, a signal handler removes the folder")]
    unfinished: Unfinished,
    #[expect(dead_code, reason = "the lock lives as long as the file")]
    lock: std::fs::File,
}

/// The position of a small content in a pack.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) pack: Digest,
    pub(super) offset: u64,
    pub(super) size_bytes: u64,
}

impl Place {
    pub(super) fn first(self, length: u64) -> Self {
        Self { size_bytes: self.size_bytes.min(length), ..self }
    }
}

/// The contents of the packs that this process has opened.
pub(super) type Places = BTreeMap<Digest, Place>;

/// Holds an advisory lock until it is dropped.
#[derive(Debug)]
pub(crate) struct StoreGuard(#[expect(dead_code, reason = "the lock lives as long as the file")] std::fs::File);

/// The content of the file `CACHEDIR.TAG` (bford.info/cachedir). Because of this file, lath and backup programs ignore
/// the folder.
const CACHE_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n";

impl Store {
    /// Opens the store in `dir`, and creates it if it does not exist. If another process is cleaning up the store, this
    /// waits.
    pub(crate) fn open(dir: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Open { root: dir.to_owned(), source };
        fs::create_dir_all(dir).map_err(failed)?;
        let root = fs::canonicalize(dir).map_err(failed)?;
        let lock = lock_file(&root).map_err(failed)?;
        if lock.try_lock().is_ok() {
            // No other process uses the store now, so all unfinished files belong to killed processes.
            refuse_other_version(&root)?;
            sweep(&root);
            let _ = lock.unlock();
        }
        // If the file system does not support locks, the store is used without them.
        let _ = lock.lock_shared();
        refuse_other_version(&root)?;
        for folder in FOLDERS.into_iter().chain(["tmp"]) {
            fs::create_dir_all(root.join(folder)).map_err(failed)?;
        }
        let folder = private_dir("", &root.join("tmp")).map_err(failed)?;
        let unfinished = Unfinished::new(folder.path());
        let shared = Shared { folder, places: RwLock::default(), unfinished, lock };
        let store = Self { root, shared: Arc::new(shared) };
        let version = store.root.join("version");
        if !version.exists() {
            store.write(&version, VERSION.as_bytes())?;
        }
        let tag = store.root.join("CACHEDIR.TAG");
        if !tag.exists() {
            store.write(&tag, CACHE_TAG.as_bytes())?;
        }
        Ok(store)
    }

    /// Returns the store's directory, without links.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Returns the path of the file with this digest in one of the store's folders.
    pub(super) fn path_in(&self, folder: &str, digest: &Digest) -> PathBuf {
        let (folder, name) = (self.root.join(folder), digest.to_string());
        if folder.ends_with("files") || folder.ends_with("programs") {
            // There may be very many of these files, and some file systems are slow with large directories.
            return folder.join(&name[..2]).join(&name[2..]);
        }
        folder.join(name)
    }

    /// Creates a directory on the store's own file system. It is removed when the value is dropped.
    pub(crate) fn temporary_dir(&self) -> Result<TempDir, StoreError> {
        let path = self.shared.folder.path();
        TempDir::new_in(path).map_err(|source| StoreError::Write { path: path.to_owned(), source })
    }

    pub(super) fn temporary_file(&self) -> Result<NamedTempFile, StoreError> {
        let path = self.shared.folder.path();
        NamedTempFile::new_in(path).map_err(|source| StoreError::Write { path: path.to_owned(), source })
    }

    pub(super) fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let mut file = self.temporary_file()?;
        file.write_all(bytes).map_err(|source| StoreError::Write { path: path.to_owned(), source })?;
        place(file, path, 0o644)
    }

    /// Returns the position of a small content in its pack. Returns `None` if this process has not opened the pack.
    pub(super) fn place_of(&self, digest: &Digest) -> Option<Place> {
        self.shared.places.read().unwrap_or_else(PoisonError::into_inner).get(digest).copied()
    }

    /// Waits for the advisory lock `name`, which other processes use too.
    pub(crate) fn lock(&self, name: &str) -> Result<StoreGuard, StoreError> {
        let path = self.root.join("locks").join(name);
        let failed = |source| StoreError::Write { path: path.clone(), source };
        let file = fs::OpenOptions::new().create(true).write(true).truncate(false).mode(0o644).open(&path);
        let file = file.map_err(failed)?.into_parts().0;
        file.lock().map_err(failed)?;
        Ok(StoreGuard(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::store::tests::store;

    #[test]
    fn a_store_of_another_version_is_refused_by_name() {
        let (_home, store) = store();
        std::fs::write(store.root().join("version"), "99").unwrap();
        let error = Store::open(store.root()).unwrap_err();
        let error = error.to_string().replace(&store.root().display().to_string(), "[ROOT]");
        insta::assert_snapshot!(error, @"
        cannot use the cache `[ROOT]`: it has version `99`, and this lath uses version `1`
        ");
    }

    #[test]
    fn two_holders_of_a_lock_wait_for_each_other() {
        let (_home, store) = store();
        let guard = store.lock("parcel").unwrap();
        let other = store.clone();
        let waiting = std::thread::spawn(move || other.lock("parcel").map(drop).is_ok());
        assert!(!waiting.is_finished());
        drop(guard);
        assert!(waiting.join().unwrap());
    }
}
