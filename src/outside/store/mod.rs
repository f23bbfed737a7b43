//! The content-addressed cache on disk: parcels, file contents, segments of layers and small cache entries.
//!
//! Every file is first written to a temporary file on the same file system and then renamed. Therefore a killed process
//! leaves no incomplete files, and two processes may write the same file at once. Processes that use the store share
//! its lock; a process that cleans it up has the lock exclusively. If the machine loses power, files may be truncated,
//! so their sizes are compared when they are used (decision 0050).

mod checkout;
mod memory;
mod packs;
mod upkeep;

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock, Weak};
use std::time::{Duration, SystemTime};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::{NamedTempFile, PathPersistError, TempDir};
use thiserror::Error;

pub(crate) use self::checkout::{Shown, Stage};
use self::memory::{Memory, private_dir};
use self::packs::{Beginning, Places, beginning};
pub(crate) use self::packs::{PackWriter, Packed};
pub(crate) use self::upkeep::{Amount, amount, prune};
use self::upkeep::{is_older, lock_file, refuse_other_version, sweep};
use crate::model::digest::{Digest, DigestWriter};
use crate::model::hint::Hints;
use crate::model::image_path::ImagePath;
use crate::model::zeros::is_zero;
use crate::outside::unfinished::Unfinished;

/// The version of the layout that this lath reads and writes.
const VERSION: &str = "1";
const SHELVES: [&str; 8] = ["files", "packs", "programs", "parcels", "partial", "segments", "notes", "locks"];
/// The use of a file is recorded at this interval, so that [`prune`] can find unused files.
const USE_NOTED_EVERY: Duration = Duration::from_secs(86_400);

#[derive(Debug, Clone)]
pub(crate) struct Store {
    root: PathBuf,
    desk: Arc<Desk>,
}

/// The state of a process that uses a store: a directory for unfinished files, and the lock.
#[derive(Debug)]
struct Desk {
    folder: TempDir,
    places: RwLock<Places>,
    memory: Mutex<Weak<Memory>>,
    #[expect(dead_code, reason = "the folder is known to whoever ends the process as long as this lives")]
    unfinished: Unfinished,
    #[expect(dead_code, reason = "the lock lives as long as the file")]
    lock: std::fs::File,
}

#[derive(Debug, Error)]
pub(crate) enum StoreError {
    #[error("cannot open the store `{root}`")]
    Open { root: PathBuf, source: io::Error },
    #[error("cannot use the store `{root}`: it is of version `{found}`, and this lath writes version `{VERSION}`")]
    Version { root: PathBuf, found: String },
    #[error("cannot write `{path}`")]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read `{path}`")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot remove `{path}`")]
    Remove { path: PathBuf, source: io::Error },
    #[error("cannot read what is to be kept")]
    Incoming(#[source] io::Error),
    #[error("cannot check out `{path}`")]
    CheckOut { path: ImagePath, source: io::Error },
}

impl Hints for StoreError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Version { .. } => {
                vec!["empty it with `lath cache prune --all`, or use another with `--cache-dir DIR`".to_owned()]
            }
            Self::Open { .. } => vec!["use a folder that can be written to: `--cache-dir DIR`".to_owned()],
            _ => Vec::new(),
        }
    }
}

/// Holds an advisory lock until it is dropped.
#[derive(Debug)]
pub(crate) struct StoreGuard(#[expect(dead_code, reason = "the lock lives as long as the file")] std::fs::File);

impl Store {
    /// Opens the store in `dir`, and creates it if it does not exist. If another process is cleaning it up, waits.
    pub(crate) fn open(dir: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Open { root: dir.to_owned(), source };
        fs::create_dir_all(dir).map_err(failed)?;
        let root = fs::canonicalize(dir).map_err(failed)?;
        let lock = lock_file(&root).map_err(failed)?;
        if lock.try_lock().is_ok() {
            // No other process uses the store, so all unfinished files were left by killed processes.
            refuse_other_version(&root)?;
            sweep(&root);
            let _ = lock.unlock();
        }
        memory::sweep();
        // If the file system does not support locks, the store is used without them.
        let _ = lock.lock_shared();
        refuse_other_version(&root)?;
        for shelf in SHELVES.into_iter().chain(["tmp"]) {
            fs::create_dir_all(root.join(shelf)).map_err(failed)?;
        }
        let folder = private_dir("", &root.join("tmp")).map_err(failed)?;
        let unfinished = Unfinished::new(folder.path());
        let desk = Desk { folder, places: RwLock::default(), memory: Mutex::default(), unfinished, lock };
        let store = Self { root, desk: Arc::new(desk) };
        let version = store.root.join("version");
        if !version.exists() {
            store.write(&version, VERSION.as_bytes())?;
        }
        Ok(store)
    }

    #[cfg(test)]
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    fn shelf(&self, shelf: &str, digest: &Digest) -> PathBuf {
        let (shelf, name) = (self.root.join(shelf), digest.to_string());
        if shelf.ends_with("files") || shelf.ends_with("programs") {
            // There may be many of these, and some file systems are slow with large directories.
            return shelf.join(&name[..2]).join(&name[2..]);
        }
        shelf.join(name)
    }

    /// Creates a directory on the store's own file system. It is removed when the value is dropped.
    pub(crate) fn temporary_dir(&self) -> Result<TempDir, StoreError> {
        let path = self.desk.folder.path();
        TempDir::new_in(path).map_err(|source| StoreError::Write { path: path.to_owned(), source })
    }

    fn temporary_file(&self) -> Result<NamedTempFile, StoreError> {
        let path = self.desk.folder.path();
        NamedTempFile::new_in(path).map_err(|source| StoreError::Write { path: path.to_owned(), source })
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let mut file = self.temporary_file()?;
        file.write_all(bytes).map_err(|source| StoreError::Write { path: path.to_owned(), source })?;
        place(file, path, 0o644)
    }

    /// Stores `bytes` as the content of a file.
    pub(crate) fn put(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        let path = self.shelf("files", &digest);
        if !is_whole(&path, Some(bytes.len() as u64)) {
            self.write(&path, bytes)?;
        }
        Ok(digest)
    }

    /// Stores the output of `reader` as the content of a file. Only one buffer of it is in memory.
    pub(crate) fn put_reader(&self, reader: &mut dyn Read) -> Result<(Digest, u64), StoreError> {
        match beginning(reader)? {
            Beginning::All(bytes) => Ok((self.put(&bytes)?, bytes.len() as u64)),
            Beginning::Part(bytes) => self.put_large(&mut bytes.chain(reader)),
        }
    }

    /// The same for contents that are written while they are read. Blocks of zeros become holes.
    fn put_large(&self, reader: &mut dyn Read) -> Result<(Digest, u64), StoreError> {
        const BLOCK: usize = 64 << 10;
        let mut file = self.temporary_file()?;
        let mut writer = DigestWriter::new(Holed { file: file.as_file_mut() });
        let failed = |source| StoreError::Write { path: self.root.join("files"), source };
        let mut block = Vec::with_capacity(BLOCK);
        loop {
            block.clear();
            (&mut *reader).take(BLOCK as u64).read_to_end(&mut block).map_err(StoreError::Incoming)?;
            if block.is_empty() {
                break;
            }
            writer.write_all(&block).map_err(failed)?;
        }
        let (_, digest, size_bytes) = writer.finish();
        file.as_file().set_len(size_bytes).map_err(failed)?;
        let path = self.shelf("files", &digest);
        if !is_whole(&path, Some(size_bytes)) {
            place(file, &path, 0o644)?;
        }
        Ok((digest, size_bytes))
    }

    /// Returns a file with only this content and with mode 0644, or 0755 if it is to be executed.
    fn contents_path(&self, digest: &Digest, executable: bool) -> Result<PathBuf, StoreError> {
        let plain = self.shelf("files", digest);
        let packed = self.place_of(digest);
        if !executable && packed.is_none() {
            return Ok(plain);
        }
        let size_bytes = match packed {
            Some(place) => place.size_bytes,
            None => fs::metadata(&plain).map_err(|source| StoreError::Read { path: plain.clone(), source })?.len(),
        };
        let (path, mode) = if executable { (self.shelf("programs", digest), 0o755) } else { (plain, 0o644) };
        if !is_whole(&path, Some(size_bytes)) {
            let mut file = self.temporary_file()?;
            io::copy(&mut self.reader(digest)?, &mut file)
                .map_err(|source| StoreError::Write { path: path.clone(), source })?;
            place(file, &path, mode)?;
        }
        Ok(path)
    }

    /// Returns whether the store has the content with this size.
    pub(crate) fn holds(&self, digest: &Digest, size_bytes: u64) -> bool {
        self.place_of(digest).is_some_and(|place| place.size_bytes == size_bytes)
            || is_whole(&self.shelf("files", digest), Some(size_bytes))
    }

    pub(crate) fn read(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        if let Some(place) = self.place_of(digest) {
            return self.read_packed(place);
        }
        let path = self.shelf("files", digest);
        fs::read(&path).map_err(|source| StoreError::Read { path, source })
    }

    /// Returns the first bytes of the content, at most `length`.
    pub(crate) fn read_start(&self, digest: &Digest, length: u64) -> Result<Vec<u8>, StoreError> {
        if let Some(place) = self.place_of(digest) {
            return self.read_packed(place.first(length));
        }
        let path = self.shelf("files", digest);
        let failed = |source| StoreError::Read { path: path.clone(), source };
        let mut bytes = Vec::new();
        fs::File::open(&path).map_err(failed)?.take(length).read_to_end(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }

    /// The same as [`Self::read`], of which a large content is in memory only a part at a time.
    pub(crate) fn reader(&self, digest: &Digest) -> Result<Box<dyn Contents>, StoreError> {
        if let Some(place) = self.place_of(digest) {
            return Ok(Box::new(io::Cursor::new(self.read_packed(place)?)));
        }
        let path = self.shelf("files", digest);
        let file = fs::File::open(&path).map_err(|source| StoreError::Read { path, source })?;
        Ok(Box::new(file))
    }

    /// The file that holds the content if it is large, for errors.
    pub(crate) fn contents_place(&self, digest: &Digest) -> PathBuf {
        self.shelf("files", digest)
    }

    /// Where the whole .deb or wheel lies once it is here.
    pub(crate) fn parcel_path(&self, digest: &Digest) -> PathBuf {
        self.shelf("parcels", digest)
    }

    /// Returns whether the store has the parcel, with this size if one is given.
    pub(crate) fn has_parcel(&self, digest: &Digest, size_bytes: Option<u64>) -> bool {
        is_whole(&self.parcel_path(digest), size_bytes)
    }

    /// Removes a parcel if its bytes no longer match its digest, and returns whether it did.
    pub(crate) fn drop_damaged_parcel(&self, digest: &Digest) -> Result<bool, StoreError> {
        let path = self.parcel_path(digest);
        let unreadable = |source| StoreError::Read { path: path.clone(), source };
        let mut writer = DigestWriter::new(io::sink());
        io::copy(&mut fs::File::open(&path).map_err(unreadable)?, &mut writer).map_err(unreadable)?;
        let is_damaged = writer.finish().1 != *digest;
        if is_damaged {
            fs::remove_file(&path).map_err(|source| StoreError::Remove { path: path.clone(), source })?;
        }
        Ok(is_damaged)
    }

    /// Moves a downloaded and checked file to its place.
    pub(crate) fn adopt_parcel(&self, temporary: &Path, digest: &Digest) -> Result<(), StoreError> {
        let path = self.parcel_path(digest);
        let failed = |source| StoreError::Write { path: path.clone(), source };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        fs::rename(temporary, &path).map_err(failed)
    }

    /// Stores a copy of a user's file and returns its sha256 and its size in bytes.
    pub(crate) fn copy_parcel(&self, path: &Path) -> Result<(Digest, u64), StoreError> {
        let unreadable = |source| StoreError::Read { path: path.to_owned(), source };
        let mut source = fs::File::open(path).map_err(unreadable)?;
        let mut file = self.temporary_file()?;
        let mut writer = DigestWriter::new(io::BufWriter::with_capacity(128 << 10, file.as_file_mut()));
        io::copy(&mut source, &mut writer).map_err(unreadable)?;
        let (mut buffer, digest, size_bytes) = writer.finish();
        buffer.flush().map_err(|source| StoreError::Write { path: self.root.join("parcels"), source })?;
        drop(buffer);
        if !self.has_parcel(&digest, Some(size_bytes)) {
            place(file, &self.parcel_path(&digest), 0o644)?;
        }
        Ok((digest, size_bytes))
    }

    /// Returns the path of a download in progress. Another process can continue it later.
    pub(crate) fn partial_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("partial").join(digest.to_string())
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

    /// Reads a cache entry. `None` if it is missing, unreadable or in another format.
    pub(crate) fn note<T: DeserializeOwned>(&self, shelf: &str, key: &Digest) -> Option<T> {
        let path = self.note_path(shelf, key);
        let bytes = fs::read(&path).ok().filter(|_| is_whole(&path, None))?;
        serde_json::from_slice(&bytes).ok()
    }

    pub(crate) fn write_note<T: Serialize>(&self, shelf: &str, key: &Digest, value: &T) -> Result<(), StoreError> {
        let path = self.note_path(shelf, key);
        let bytes = serde_json::to_vec(value)
            .map_err(|error| StoreError::Write { path: path.clone(), source: io::Error::other(error) })?;
        self.write(&path, &bytes)
    }

    fn note_path(&self, shelf: &str, key: &Digest) -> PathBuf {
        self.root.join("notes").join(shelf).join(key.to_string())
    }

    /// Returns the path of a compressed piece of a layer in the store. The file may not exist yet.
    pub(crate) fn segment_path(&self, key: &Digest) -> PathBuf {
        self.shelf("segments", key)
    }

    pub(crate) fn has_segment(&self, key: &Digest) -> bool {
        is_whole(&self.segment_path(key), None)
    }

    /// Keeps a segment.
    pub(crate) fn put_segment(&self, key: &Digest, bytes: &[u8]) -> Result<(), StoreError> {
        let failed = |source| StoreError::Write { path: self.segment_path(key), source };
        self.write_segment(key, |file| file.write_all(bytes).map_err(failed))
    }

    /// Keeps the segment that `write` writes. Its bytes cannot be compared with its key, so that they are on the disk
    /// before it has its name.
    pub(crate) fn write_segment<E: From<StoreError>>(
        &self,
        key: &Digest,
        write: impl FnOnce(&mut std::fs::File) -> Result<(), E>,
    ) -> Result<(), E> {
        let path = self.segment_path(key);
        let mut file = self.temporary_file()?;
        write(file.as_file_mut())?;
        let synced = file.as_file().sync_data();
        synced.map_err(|source| StoreError::Write { path: path.clone(), source })?;
        Ok(place(file, &path, 0o644)?)
    }
}

/// Contents that are open for reading.
pub(crate) trait Contents: Read + Seek {}

impl<T: Read + Seek> Contents for T {}

/// Writes a file, with holes in place of blocks of zeros. Its length has to be set at the end.
struct Holed<'a> {
    file: &'a mut std::fs::File,
}

impl Write for Holed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A file system has holes of whole blocks only.
        const BLOCK_BYTES: usize = 4096;
        if bytes.len() >= BLOCK_BYTES && is_zero(bytes) {
            self.file.seek(SeekFrom::Current(bytes.len() as i64))?;
            return Ok(bytes.len());
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Returns whether the file exists, with this size if one is given. Also records that it is used.
fn is_whole(path: &Path, size_bytes: Option<u64>) -> bool {
    let Ok(metadata) = fs::metadata(path) else { return false };
    if size_bytes.is_some_and(|expected| metadata.len() != expected) {
        return false;
    }
    let now = SystemTime::now();
    if is_older(&metadata, USE_NOTED_EVERY, now)
        && let Ok(file) = fs::File::open(path)
    {
        // If the store is read-only, the use is not recorded, and the file may only be pruned earlier.
        let _ = file.file().set_modified(now);
    }
    true
}

/// Gives `file` its mode and renames it to `path`. Replaces any existing file.
fn place(file: NamedTempFile, path: &Path, mode: u32) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |source| StoreError::Write { path: path.to_owned(), source };
    file.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).map_err(failed)?;
    // Closed before it has its name: the kernel does not start a program that somebody may still write to (execve(2)).
    match file.into_temp_path().persist(path) {
        Ok(()) => Ok(()),
        // The directory is created together with its first file.
        Err(PathPersistError { error, path: temporary }) if error.kind() == io::ErrorKind::NotFound => {
            path.parent().map_or(Ok(()), fs::create_dir_all).map_err(failed)?;
            temporary.persist(path).map_err(|error| failed(error.error))
        }
        Err(PathPersistError { error, .. }) => Err(failed(error)),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn store() -> (TempDir, Store) {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(&home.path().join("store")).unwrap();
        (home, store)
    }

    #[test]
    fn what_is_put_is_read_again_by_another_process() {
        let (_home, store) = store();
        let digest = store.put(b"lath").unwrap();
        assert_eq!(store.put_reader(&mut b"lath".as_slice()).unwrap(), (digest, 4));
        assert_eq!(Store::open(store.root()).unwrap().read(&digest).unwrap(), b"lath");
    }

    #[test]
    fn a_store_of_another_version_is_refused_by_name() {
        let (_home, store) = store();
        std::fs::write(store.root().join("version"), "99").unwrap();
        let error = Store::open(store.root()).unwrap_err();
        assert!(error.to_string().contains("it is of version `99`"), "{error}");
    }

    #[test]
    fn a_file_that_was_cut_short_is_not_held_and_put_again() {
        let (_home, store) = store();
        let digest = store.put(b"#!/bin/sh\n").unwrap();
        store.contents_path(&digest, true).unwrap();
        for shelf in ["files", "programs"] {
            std::fs::write(store.shelf(shelf, &digest), "#!/bin").unwrap();
        }
        assert!(!store.holds(&digest, 10));
        store.put_reader(&mut b"#!/bin/sh\n".as_slice()).unwrap();
        assert!(store.holds(&digest, 10));
        assert_eq!(std::fs::read(store.contents_path(&digest, true).unwrap()).unwrap(), b"#!/bin/sh\n");
    }

    #[test]
    fn a_large_content_is_kept_with_its_holes() {
        use std::os::unix::fs::MetadataExt as _;
        let (_home, store) = store();
        let mut bytes = vec![0; 3 << 20];
        bytes[1 << 20] = 1;
        let (digest, size_bytes) = store.put_reader(&mut bytes.as_slice()).unwrap();
        assert_eq!((digest, size_bytes), (Digest::of(&bytes), 3 << 20));
        assert_eq!(store.read(&digest).unwrap(), bytes);
        let blocks = std::fs::metadata(store.contents_place(&digest)).unwrap().blocks();
        assert!(blocks * 512 < 1 << 20, "{blocks} blocks");
    }

    #[test]
    fn a_note_that_was_cut_short_is_no_note() {
        let (_home, store) = store();
        let key = Digest::of(b"key");
        store.write_note("shelf", &key, &vec![1, 2, 3]).unwrap();
        assert_eq!(store.note::<Vec<u8>>("shelf", &key), Some(vec![1, 2, 3]));
        std::fs::write(store.note_path("shelf", &key), "[1, 2").unwrap();
        assert_eq!(store.note::<Vec<u8>>("shelf", &key), None);
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
