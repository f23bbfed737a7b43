//! Directories in memory for trees that are used once and removed. Creating and removing some thousands of files is
//! many times faster there than on a disk.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock, RwLockWriteGuard};

use fs_err as fs;
use rustix::fs::StatVfsMountFlags;
use tempfile::TempDir;

use crate::model::digest::Digest;
use crate::model::tree::{Kind, Node, Tree};
use crate::outside::store::{Store, private_dir};
use crate::outside::unfinished::Unfinished;

/// The directory of POSIX shared memory on Linux (shm_overview(7)), which is nearly always a tmpfs.
const MEMORY: &str = "/dev/shm";
/// The magic of a tmpfs (statfs(2)).
const TMPFS: i64 = 0x0102_1994;
/// The maximum size of a tree in memory. A larger tree is laid out on the disk.
const LARGEST_BYTES: u64 = 128 << 20;
/// Contents of at least this size are not copied into memory. They are mounted from the store. A few large files
/// usually have most of the bytes.
const MOUNTED_BYTES: u64 = 1 << 20;
/// This many times the tree's size must be free, both in the directory and in the machine's memory.
const TIMES: u64 = 8;
/// The memory that a file needs in addition to its size: half a page on average, and the kernel's data about the file.
const BYTES_PER_FILE: u64 = 4096;

/// The prefix of the names of these directories.
const PREFIX: &str = "lath-";

/// A directory in memory for one process. In its trees, each content exists only once for each mode. The first file
/// with the content is written, and further files are hard links to that file. The directory is removed together with
/// the last tree.
#[derive(Debug)]
pub(super) struct Memory {
    folder: TempDir,
    /// A file of a tree for each content, by its digest and whether it is executable.
    places: RwLock<BTreeMap<(Digest, bool), PathBuf>>,
    /// An empty file, which is used at the path of a mounted file.
    placeholder: PathBuf,
    /// Whether large contents are mounted.
    mounts: bool,
    #[expect(dead_code, reason = "while this lives, a signal handler removes the folder")]
    unfinished: Unfinished,
    #[expect(
        dead_code,
        reason = "the lock on the folder, which shows other processes that it is in use, lives as long as the file"
    )]
    lock: std::fs::File,
}

impl Memory {
    /// Creates the directory. Returns `None` if that is not possible.
    pub(super) fn new(mounts: bool) -> Option<Self> {
        Self::new_in(Path::new(MEMORY), mounts)
    }

    fn new_in(memory: &Path, mounts: bool) -> Option<Self> {
        let folder = private_dir(PREFIX, memory).ok()?;
        let unfinished = Unfinished::new(folder.path());
        let lock = std::fs::File::open(folder.path()).ok()?;
        lock.try_lock_shared().ok()?;
        // Another process may have removed the directory before it was locked, because an unlocked directory seems to
        // be abandoned.
        let is_there =
            folder.path().metadata().is_ok_and(|there| lock.metadata().is_ok_and(|own| own.ino() == there.ino()));
        let placeholder = folder.path().join("placeholder");
        fs::write(&placeholder, "").ok()?;
        is_there.then_some(Self { folder, places: RwLock::default(), placeholder, mounts, unfinished, lock })
    }

    /// Returns whether `tree` can be laid out here.
    pub(super) fn fits(&self, tree: &Tree) -> bool {
        fits(tree, self.mounts)
    }

    /// Returns whether the file is mounted. If so, the tree has the placeholder at its path.
    pub(super) fn is_mounted(&self, node: &Node) -> bool {
        self.mounts && is_large(node)
    }

    /// Creates a directory for a tree.
    pub(super) fn temporary_dir(&self) -> io::Result<TempDir> {
        TempDir::new_in(self.folder.path())
    }

    /// Makes the file `here` a hard link to a file that has the content of `node`. Returns whether this was possible.
    pub(super) fn link(&self, node: &Node, digest: &Digest, here: &Path) -> bool {
        if self.is_mounted(node) {
            return fs::hard_link(&self.placeholder, here).is_ok();
        }
        // The lock is held until the link exists. Otherwise another thread could remove the file and create another one
        // at its path in the meantime.
        let places = self.places.read().unwrap_or_else(PoisonError::into_inner);
        places.get(&(*digest, node.is_executable())).is_some_and(|place| fs::hard_link(place, here).is_ok())
    }

    /// Adds a file that was created for `node`.
    pub(super) fn add(&self, node: &Node, digest: &Digest, path: PathBuf) {
        self.changed_places().insert((*digest, node.is_executable()), path);
    }

    /// Forgets the file `path`. This must be called before the file is removed, because another file may be created at
    /// the same path afterwards.
    pub(super) fn forget(&self, node: &Node, digest: &Digest, path: &Path) {
        let (mut places, key) = (self.changed_places(), (*digest, node.is_executable()));
        if places.get(&key).is_some_and(|place| place == path) {
            places.remove(&key);
        }
    }

    /// Forgets all files in the directory `root`, because it is removed.
    pub(super) fn forget_all(&self, root: &Path) {
        self.changed_places().retain(|_, place| !place.starts_with(root));
    }

    fn changed_places(&self) -> RwLockWriteGuard<'_, BTreeMap<(Digest, bool), PathBuf>> {
        self.places.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether `tree` can be laid out in memory. If `mounts` is set, the sizes of large files do not count, because
/// these files are mounted from the store.
pub(super) fn fits(tree: &Tree, mounts: bool) -> bool {
    let size_bytes = size_bytes(tree, mounts);
    let wanted = size_bytes * TIMES;
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    size_bytes <= LARGEST_BYTES
        && room().is_some_and(|room| room >= wanted)
        && free(&groups).is_some_and(|free| free >= wanted)
        && !may_be_cleared(&groups)
}

/// Returns the memory that `tree` needs.
fn size_bytes(tree: &Tree, mounts: bool) -> u64 {
    let size = |node: &Node| match node.kind {
        Kind::File { size_bytes, .. } if !(mounts && is_large(node)) => size_bytes + BYTES_PER_FILE,
        _ => BYTES_PER_FILE,
    };
    tree.nodes.values().map(size).sum()
}

fn is_large(node: &Node) -> bool {
    matches!(node.kind, Kind::File { size_bytes, .. } if size_bytes >= MOUNTED_BYTES)
}

/// Returns whether contents of the store can be mounted into trees. This requires that programs can be executed from
/// the store's file system.
pub(super) fn can_mount(store: &Store) -> bool {
    may_start_programs(store.root())
}

/// Returns whether programs can be executed from the file system that contains `path`.
fn may_start_programs(path: &Path) -> bool {
    rustix::fs::statvfs(path).is_ok_and(|mount| !mount.f_flag.contains(StatVfsMountFlags::NOEXEC))
}

/// Returns how many bytes can be written to the directory in memory. Returns `None` if `/dev/shm` is not a writable
/// file system in memory, or if programs cannot be executed from it.
fn room() -> Option<u64> {
    let status = rustix::fs::statfs(MEMORY).ok()?;
    let mount = rustix::fs::statvfs(MEMORY).ok()?;
    let is_usable = status.f_type == TMPFS && !mount.f_flag.contains(StatVfsMountFlags::RDONLY);
    (is_usable && may_start_programs(Path::new(MEMORY))).then_some(mount.f_bavail * mount.f_frsize)
}

/// Returns how many bytes of memory this process can still use. The limits are the memory that is available without
/// swapping (proc_meminfo(5)) and the process's control groups (cgroups(7)).
fn free(groups: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let available = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")?.split_whitespace().next())?;
    let available = available.parse::<u64>().ok()? * 1024;
    let group = groups.lines().find_map(|line| line.strip_prefix("0::/")).unwrap_or_default();
    let allowed = Path::new("/sys/fs/cgroup").join(group);
    Some(allowed.ancestors().filter_map(left_of).fold(available, u64::min))
}

/// Returns how many bytes the control group (version 2) in `folder` can still use. Returns `None` if the group has no
/// limit.
fn left_of(folder: &Path) -> Option<u64> {
    let number = |name: &str| fs::read_to_string(folder.join(name)).ok()?.trim().parse::<u64>().ok();
    Some(number("memory.max")?.saturating_sub(number("memory.current")?))
}

/// Returns whether systemd-logind may remove this user's files in [`MEMORY`] while the process runs. systemd-logind
/// removes them when the last session of an ordinary user ends (`RemoveIPC=` of logind.conf(5)). A process that belongs
/// to no session, such as a service, does not prevent the removal.
fn may_be_cleared(groups: &str) -> bool {
    /// The highest user ID of a system user (`SYSTEM_UID_MAX`). The files of system users are not removed.
    const LAST_SYSTEM_ID: u32 = 999;
    let is_ordinary = rustix::process::geteuid().as_raw() > LAST_SYSTEM_ID;
    is_ordinary && Path::new("/run/systemd/sessions").exists() && !groups.contains("/user.slice/")
}

/// Removes directories in memory that killed processes of this user have left. Such directories are recognised because
/// no process has a lock on them.
pub(crate) fn sweep() {
    sweep_in(Path::new(MEMORY));
}

fn sweep_in(memory: &Path) {
    let user = rustix::process::geteuid().as_raw();
    let is_own = |entry: &fs::DirEntry| {
        entry.file_name().to_string_lossy().starts_with(PREFIX)
            && entry.metadata().is_ok_and(|metadata| metadata.is_dir() && metadata.uid() == user)
    };
    for entry in fs::read_dir(memory).into_iter().flatten().flatten().filter(is_own) {
        if let Ok(folder) = fs::File::open(entry.path())
            && folder.file().try_lock().is_ok()
        {
            // If the directory cannot be removed, a later run of lath tries again.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::model::image_path::ImagePath;
    use crate::model::tree::Origin;

    #[test]
    fn what_a_killed_process_left_is_swept_and_what_is_in_use_is_not() {
        let memory = tempfile::tempdir().unwrap();
        let used = Memory::new_in(memory.path(), true).unwrap();
        assert_eq!(used.folder.path().metadata().unwrap().permissions().mode() & 0o777, 0o700);
        for name in ["lath-left/root/usr", "other"] {
            fs::create_dir_all(memory.path().join(name)).unwrap();
        }
        let left = || {
            let names = std::fs::read_dir(memory.path()).unwrap().map(|entry| entry.unwrap().path());
            names.collect::<BTreeSet<PathBuf>>()
        };
        sweep_in(memory.path());
        assert_eq!(left(), BTreeSet::from([used.folder.path().to_owned(), memory.path().join("other")]));
        drop(used);
        assert_eq!(left(), BTreeSet::from([memory.path().join("other")]));
    }

    #[test]
    fn large_contents_take_nothing_where_they_are_mounted_and_a_large_tree_does_not_fit() {
        let mut tree = Tree::default();
        for (path, size_bytes) in [("/small", MOUNTED_BYTES - 1), ("/large", LARGEST_BYTES)] {
            let file = Node::file(Digest::of(b""), size_bytes, 0o644, Origin::Lath);
            tree.insert(ImagePath::parse(path).unwrap(), file);
        }
        let least = MOUNTED_BYTES - 1 + tree.nodes.len() as u64 * BYTES_PER_FILE;
        assert_eq!(size_bytes(&tree, true), least);
        assert_eq!(size_bytes(&tree, false), least + LARGEST_BYTES);
        assert!(!fits(&tree, false));
    }

    #[test]
    fn a_link_has_the_right_content_while_another_thread_replaces_files() {
        let folder = tempfile::tempdir().unwrap();
        let memory = Memory::new_in(folder.path(), true).unwrap();
        let (place, link) = (folder.path().join("place"), folder.path().join("link"));
        let nodes = ["one", "two"].map(|text| {
            let digest = Digest::of(text.as_bytes());
            (text, digest, Node::file(digest, 3, 0o644, Origin::Lath))
        });
        std::thread::scope(|threads| {
            let replacing = threads.spawn(|| {
                for number in 0..20_000 {
                    let (text, digest, node) = &nodes[number % 2];
                    fs::write(&place, text).unwrap();
                    memory.add(node, digest, place.clone());
                    memory.forget(node, digest, &place);
                    fs::remove_file(&place).unwrap();
                }
            });
            while !replacing.is_finished() {
                for (text, digest, node) in &nodes {
                    if memory.link(node, digest, &link) {
                        assert_eq!(fs::read_to_string(&link).unwrap(), *text);
                        fs::remove_file(&link).unwrap();
                    }
                }
            }
        });
    }

    #[test]
    fn a_control_group_leaves_what_is_below_its_limit() {
        let group = tempfile::tempdir().unwrap();
        let limited = |most: &str, now: &str| {
            fs::write(group.path().join("memory.max"), most).unwrap();
            fs::write(group.path().join("memory.current"), now).unwrap();
            left_of(group.path())
        };
        assert_eq!(left_of(group.path()), None);
        assert_eq!(limited("max\n", "5\n"), None);
        assert_eq!(limited("500\n", "200\n"), Some(300));
        assert_eq!(limited("500\n", "501\n"), Some(0));
    }
}
