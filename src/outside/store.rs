//! The content-addressed cache on disk: parcels, file contents, segments of layers and small notes.
//!
//! Every write goes to a temporary file of the same file system and is renamed into place, so that a process that is
//! killed leaves nothing half-written, and two processes may write the same thing at once.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tempfile::{NamedTempFile, TempDir};
use thiserror::Error;

use crate::model::digest::{Digest, DigestWriter};
use crate::model::image_path::ImagePath;
use crate::model::tree::{Kind, Tree};

/// The layout that this lath reads and writes.
const VERSION: &str = "1";

#[derive(Debug, Clone)]
pub(crate) struct Store {
    root: PathBuf,
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
    #[error("cannot check out `{path}`")]
    CheckOut { path: ImagePath, source: io::Error },
}

/// Holds an advisory lock until it is dropped.
#[derive(Debug)]
pub(crate) struct StoreGuard(#[expect(dead_code, reason = "the lock lives as long as the file")] std::fs::File);

impl Store {
    /// Opens the store in `dir` and makes it where there is none.
    pub(crate) fn open(dir: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Open { root: dir.to_owned(), source };
        for shelf in ["files", "programs", "parcels", "partial", "segments", "notes", "locks", "tmp", "roots"] {
            fs::create_dir_all(dir.join(shelf)).map_err(failed)?;
        }
        let store = Self { root: fs::canonicalize(dir).map_err(failed)? };
        let version = store.root.join("version");
        match fs::read_to_string(&version) {
            Ok(found) if found.trim() == VERSION => Ok(store),
            Ok(found) => Err(StoreError::Version { root: store.root, found: found.trim().to_owned() }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                store.write(&version, VERSION.as_bytes())?;
                Ok(store)
            }
            Err(error) => Err(failed(error)),
        }
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    fn shelf(&self, shelf: &str, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        self.root.join(shelf).join(&name[..2]).join(&name[2..])
    }

    /// A new directory on the store's own file system, gone when it is dropped.
    pub(crate) fn temporary_dir(&self) -> Result<TempDir, StoreError> {
        let path = self.root.join("tmp");
        TempDir::new_in(&path).map_err(|source| StoreError::Write { path, source })
    }

    fn temporary_file(&self) -> Result<NamedTempFile, StoreError> {
        let path = self.root.join("tmp");
        NamedTempFile::new_in(&path).map_err(|source| StoreError::Write { path, source })
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
        let mut file = self.temporary_file()?;
        file.write_all(bytes).map_err(|source| StoreError::Write { path: path.to_owned(), source })?;
        place(file, path, 0o644)
    }

    /// Keeps `bytes` as the content of a file.
    pub(crate) fn put(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        let path = self.shelf("files", &digest);
        if !path.exists() {
            self.write(&path, bytes)?;
        }
        Ok(digest)
    }

    /// Keeps what `reader` gives as the content of a file; no more than a buffer of it is in memory.
    pub(crate) fn put_reader(&self, reader: &mut dyn Read) -> Result<(Digest, u64), StoreError> {
        let mut file = self.temporary_file()?;
        let mut writer = DigestWriter::new(io::BufWriter::with_capacity(128 << 10, file.as_file_mut()));
        let failed = |source| StoreError::Write { path: self.root.join("files"), source };
        io::copy(reader, &mut writer).map_err(failed)?;
        let (mut buffer, digest, size_bytes) = writer.finish();
        buffer.flush().map_err(failed)?;
        drop(buffer);
        let path = self.shelf("files", &digest);
        if !path.exists() {
            place(file, &path, 0o644)?;
        }
        Ok((digest, size_bytes))
    }

    /// A path on disk with that content and mode 0644, or 0755 where it is to be executed.
    pub(crate) fn contents_path(&self, digest: &Digest, executable: bool) -> Result<PathBuf, StoreError> {
        let plain = self.shelf("files", digest);
        if !executable {
            return Ok(plain);
        }
        let program = self.shelf("programs", digest);
        if !program.exists() {
            let mut source =
                fs::File::open(&plain).map_err(|source| StoreError::Read { path: plain.clone(), source })?;
            let mut file = self.temporary_file()?;
            io::copy(&mut source, &mut file).map_err(|source| StoreError::Write { path: program.clone(), source })?;
            place(file, &program, 0o755)?;
        }
        Ok(program)
    }

    /// Whether the content is here.
    pub(crate) fn has(&self, digest: &Digest) -> bool {
        self.shelf("files", digest).exists()
    }

    pub(crate) fn read(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        let path = self.shelf("files", digest);
        fs::read(&path).map_err(|source| StoreError::Read { path, source })
    }

    /// Where the whole .deb or wheel lies once it is here.
    pub(crate) fn parcel_path(&self, digest: &Digest) -> PathBuf {
        self.shelf("parcels", digest)
    }

    pub(crate) fn has_parcel(&self, digest: &Digest) -> bool {
        self.parcel_path(digest).exists()
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

    /// Where a download in progress lies, so that the next process can go on with it.
    pub(crate) fn partial_path(&self, digest: &Digest) -> PathBuf {
        self.root.join("partial").join(digest.to_string())
    }

    /// Waits for the advisory lock `name`, which other processes honour too.
    pub(crate) fn lock(&self, name: &str) -> Result<StoreGuard, StoreError> {
        let path = self.root.join("locks").join(name);
        let failed = |source| StoreError::Write { path: path.clone(), source };
        let file = fs::OpenOptions::new().create(true).write(true).truncate(false).mode(0o644).open(&path);
        let file = file.map_err(failed)?.into_parts().0;
        file.lock().map_err(failed)?;
        Ok(StoreGuard(file))
    }

    /// A small document; one that is missing, unreadable or of another shape is `None`.
    pub(crate) fn note<T: DeserializeOwned>(&self, shelf: &str, key: &Digest) -> Option<T> {
        let bytes = fs::read(self.note_path(shelf, key)).ok()?;
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

    /// Where a compressed piece of a layer lies once it is here.
    pub(crate) fn segment_path(&self, key: &Digest) -> PathBuf {
        self.shelf("segments", key)
    }

    pub(crate) fn has_segment(&self, key: &Digest) -> bool {
        self.segment_path(key).exists()
    }

    pub(crate) fn put_segment(&self, key: &Digest, bytes: &[u8]) -> Result<(), StoreError> {
        self.write(&self.segment_path(key), bytes)
    }

    /// Makes `tree` on disk in the empty directory `root`: files are hard links to the store's contents, so whoever
    /// runs something in there mounts it read-only.
    pub(crate) fn check_out(&self, tree: &Tree, root: &Path) -> Result<(), StoreError> {
        self.lay_out(tree, root, true)
    }

    /// The same with files of their own, for somebody who may write to them.
    pub(crate) fn copy_out(&self, tree: &Tree, root: &Path) -> Result<(), StoreError> {
        self.lay_out(tree, root, false)
    }

    fn lay_out(&self, tree: &Tree, root: &Path, may_link: bool) -> Result<(), StoreError> {
        let links = tree.hard_links();
        for (path, node) in &tree.nodes {
            let here = path.under(root);
            let failed = |source| StoreError::CheckOut { path: path.clone(), source };
            match &node.kind {
                Kind::Directory if *path == ImagePath::root() => {}
                Kind::Directory => fs::create_dir(&here).map_err(failed)?,
                Kind::Link { target } => fs_err::os::unix::fs::symlink(target, &here).map_err(failed)?,
                Kind::File { .. } if links.contains_key(path) => {
                    fs::hard_link(links[path].under(root), &here).map_err(failed)?;
                }
                Kind::File { digest, .. } => {
                    let contents = self.contents_path(digest, node.is_executable())?;
                    if !may_link || fs::hard_link(&contents, &here).is_err() {
                        fs::copy(&contents, &here).map_err(failed)?;
                    }
                }
            }
        }
        // Modes come last and deepest first: a directory that may not be written is filled before.
        for (path, node) in tree.nodes.iter().rev().filter(|(_, node)| node.kind == Kind::Directory) {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = std::fs::Permissions::from_mode(node.mode | 0o700);
            let failed = |source| StoreError::CheckOut { path: path.clone(), source };
            fs::set_permissions(path.under(root), mode).map_err(failed)?;
        }
        Ok(())
    }
}

/// The bytes of all files below `dir`; nothing where there is no such directory.
pub(crate) fn size_bytes(dir: &Path) -> Result<u64, StoreError> {
    let failed = |source| StoreError::Read { path: dir.to_owned(), source };
    let entries = match fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(failed(error)),
    };
    let mut total = 0;
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let metadata = entry.metadata().map_err(failed)?;
        total += if metadata.is_dir() { size_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(total)
}

/// Removes each of `dirs` with all that is in it.
pub(crate) fn prune(dirs: &[PathBuf]) -> Result<(), StoreError> {
    for dir in dirs {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(StoreError::Write { path: dir.clone(), source: error });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Gives `file` its mode and renames it to `path`, over whatever is there.
fn place(file: NamedTempFile, path: &Path, mode: u32) -> Result<(), StoreError> {
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |source| StoreError::Write { path: path.to_owned(), source };
    file.as_file().set_permissions(std::fs::Permissions::from_mode(mode)).map_err(failed)?;
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(failed)?;
    }
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;
    use crate::model::tree::{Node, Origin};

    fn store() -> (TempDir, Store) {
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
    fn a_note_that_was_cut_short_is_no_note() {
        let (_home, store) = store();
        let key = Digest::of(b"key");
        store.write_note("shelf", &key, &vec![1, 2, 3]).unwrap();
        assert_eq!(store.note::<Vec<u8>>("shelf", &key), Some(vec![1, 2, 3]));
        std::fs::write(store.note_path("shelf", &key), "[1, 2").unwrap();
        assert_eq!(store.note::<Vec<u8>>("shelf", &key), None);
    }

    #[test]
    fn a_tree_is_checked_out_as_links_with_its_modes() {
        let (home, store) = store();
        let mut tree = Tree::default();
        let digest = store.put(b"#!/bin/sh\n").unwrap();
        let path = |text| ImagePath::parse(text).unwrap();
        tree.insert(path("/usr/bin/tool"), Node::file(digest, 10, 0o755, Origin::Lath));
        tree.insert(path("/tmp"), Node { mode: 0o1777, ..Node::directory(Origin::Lath) });
        tree.insert(path("/bin"), Node::link("usr/bin", Origin::Lath));
        let root = home.path().join("root");
        std::fs::create_dir(&root).unwrap();
        store.check_out(&tree, &root).unwrap();
        let tool = std::fs::metadata(root.join("bin/tool")).unwrap();
        assert_eq!(tool.permissions().mode() & 0o7777, 0o755);
        assert_eq!(tool.ino(), std::fs::metadata(store.contents_path(&digest, true).unwrap()).unwrap().ino());
        assert_eq!(std::fs::metadata(root.join("tmp")).unwrap().permissions().mode() & 0o7777, 0o1777);
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
