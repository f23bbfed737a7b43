//! Folders in memory for trees that are laid out, used and thrown away: some thousands of files come and go there in a
//! fraction of the time that a file system on a disk takes for them.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fs_err as fs;
use rustix::fs::StatVfsMountFlags;
use tempfile::TempDir;

use super::{Desk, Store, StoreError};
use crate::model::digest::Digest;
use crate::model::tree::{Kind, Tree};
use crate::outside::unfinished::Unfinished;

/// Where POSIX's shared memory lives on Linux (shm_overview(7)): nearly always a tmpfs.
const MEMORY: &str = "/dev/shm";
/// The magic of a tmpfs (statfs(2)).
const TMPFS: i64 = 0x0102_1994;
/// A bigger tree is laid out on the disk.
const LARGEST_BYTES: u64 = 128 << 20;
/// So many times a tree's size has to be free, as room there and as memory of the machine.
const TIMES: u64 = 8;
/// What a file takes there beyond its size: half a page, on average, and what the kernel knows of it.
const BYTES_PER_FILE: u64 = 4096;

/// A process's folder in memory: contents, each there once, and trees of links to them. Gone when the last tree is.
#[derive(Debug)]
pub(super) struct Memory {
    folder: TempDir,
    /// What is there, and whether it may be executed.
    contents: Mutex<BTreeSet<(Digest, bool)>>,
    #[expect(dead_code, reason = "the folder is known to whoever ends the process as long as this lives")]
    unfinished: Unfinished,
}

impl Memory {
    /// The folder, where `tree` fits into memory and programs may be started from it.
    pub(super) fn for_tree(tree: &Tree, desk: &Desk) -> Option<Arc<Self>> {
        let size_bytes: u64 = tree
            .nodes
            .values()
            .map(|node| match node.kind {
                Kind::File { size_bytes, .. } => size_bytes + BYTES_PER_FILE,
                Kind::Directory | Kind::Link { .. } => BYTES_PER_FILE,
            })
            .sum();
        let wanted = size_bytes * TIMES;
        let fits = size_bytes <= LARGEST_BYTES && room().is_some_and(|room| room >= wanted) && free() >= wanted;
        if !fits {
            return None;
        }
        let mut known = desk.memory.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(memory) = known.upgrade() {
            return Some(memory);
        }
        let folder = TempDir::with_prefix_in(&desk.memory_prefix, MEMORY).ok()?;
        let unfinished = Unfinished::new(folder.path());
        let memory = Arc::new(Self { folder, contents: Mutex::default(), unfinished });
        *known = Arc::downgrade(&memory);
        Some(memory)
    }

    /// A new folder for a tree.
    pub(super) fn temporary_dir(&self) -> io::Result<TempDir> {
        TempDir::new_in(self.folder.path())
    }

    /// As [`Store::contents_path`], in memory.
    pub(super) fn contents_path(
        &self,
        store: &Store,
        digest: &Digest,
        executable: bool,
    ) -> Result<PathBuf, StoreError> {
        let path = self.folder.path().join(format!("{digest}{}", if executable { "-x" } else { "" }));
        let mut contents = self.contents.lock().unwrap_or_else(PoisonError::into_inner);
        if !contents.contains(&(*digest, executable)) {
            let mut reader = store.reader(digest)?;
            write(&mut reader, &path, executable).map_err(|source| StoreError::Write { path: path.clone(), source })?;
            contents.insert((*digest, executable));
        }
        Ok(path)
    }
}

/// Makes the file `path` with mode 0644, or 0755 where it is to be executed.
pub(super) fn write(contents: &mut dyn io::Read, path: &Path, executable: bool) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    io::copy(contents, &mut file)?;
    let mode = if executable { 0o755 } else { 0o644 };
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

/// How the names of a store's folders in memory begin: another store's are no business of who cleans up.
pub(super) fn prefix(root: &Path) -> String {
    let name = Digest::of(root.as_os_str().as_encoded_bytes()).to_string();
    format!("lath-{}-", &name[..16])
}

/// Bytes that may be written there; `None` where it is no memory, or nothing may be started from it.
fn room() -> Option<u64> {
    let status = rustix::fs::statfs(MEMORY).ok()?;
    let mount = rustix::fs::statvfs(MEMORY).ok()?;
    let forbids = StatVfsMountFlags::NOEXEC | StatVfsMountFlags::RDONLY;
    (status.f_type == TMPFS && !mount.f_flag.intersects(forbids)).then_some(mount.f_bavail * mount.f_frsize)
}

/// Bytes of memory that the kernel would give without swapping (proc_meminfo(5)).
fn free() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kilobytes = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")?.split_whitespace().next());
    kilobytes.and_then(|number| number.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// Removes this user's folders in memory that killed processes left, which had the store of that `prefix` open.
pub(super) fn sweep(prefix: &str) {
    sweep_in(Path::new(MEMORY), prefix);
}

fn sweep_in(memory: &Path, prefix: &str) {
    let user = rustix::process::geteuid().as_raw();
    let is_left = |entry: &fs::DirEntry| {
        entry.file_name().to_string_lossy().starts_with(prefix)
            && entry.metadata().is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == user)
    };
    for entry in fs::read_dir(memory).into_iter().flatten().flatten().filter(is_left) {
        let _: io::Result<()> = fs::remove_dir_all(entry.path());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::image_path::ImagePath;
    use crate::model::tree::{Node, Origin};
    use crate::outside::store::tests::store;

    #[test]
    fn what_a_killed_process_left_in_memory_is_swept_by_its_own_store_alone() {
        let memory = tempfile::tempdir().unwrap();
        let (own, other) = (prefix(Path::new("/home/a/store")), prefix(Path::new("/home/b/store")));
        for name in [format!("{own}1/root/usr"), format!("{other}1/root"), "lath".to_owned()] {
            fs::create_dir_all(memory.path().join(name)).unwrap();
        }
        sweep_in(memory.path(), &own);
        let left = std::fs::read_dir(memory.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut left: Vec<String> = left.map(|name| name.into_string().unwrap()).collect();
        left.sort();
        assert_eq!(left, ["lath".to_owned(), format!("{other}1")]);
    }

    #[test]
    fn a_large_tree_is_not_laid_out_in_memory() {
        let (_home, store) = store();
        let mut tree = Tree::default();
        let file = Node::file(Digest::of(b""), LARGEST_BYTES, 0o644, Origin::Lath);
        tree.insert(ImagePath::parse("/large").unwrap(), file);
        assert!(Memory::for_tree(&tree, &store.desk).is_none());
    }
}
