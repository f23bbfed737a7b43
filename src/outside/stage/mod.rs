//! Stages: directories, in memory or on disk, in which trees are laid out so that programs can run in them.

mod error;
mod memory;
mod write;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread::JoinHandle;

use fs_err as fs;
use tempfile::TempDir;

pub(crate) use self::error::StageError;
use self::memory::Memory;
pub(crate) use self::memory::sweep;
use self::write::{Files, lay_out};
pub(crate) use self::write::{check_out, copy_out};
use crate::model::image_path::ImagePath;
use crate::model::tree::{Node, Tree};
use crate::outside::store::Store;

/// The folders in which sandboxes make mount points, relative to the root.
const MOUNT_POINTS: [&str; 2] = ["", "run/"];

/// Creates stages. All stages of a process share one directory in memory.
#[derive(Debug)]
pub(crate) struct Stages {
    common: Arc<Common>,
}

#[derive(Debug)]
struct Common {
    store: Store,
    memory: Mutex<Weak<Memory>>,
    /// A directory in memory that the next stage can change into its own tree.
    spare: Mutex<Option<Current>>,
    /// The threads that remove directories.
    removals: Mutex<Vec<JoinHandle<()>>>,
}

fn lock<T>(value: &Mutex<T>) -> MutexGuard<'_, T> {
    value.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Stages {
    /// Opens the stages, and removes the directories in memory that killed processes have left.
    pub(crate) fn open(store: &Store) -> Self {
        sweep();
        let (memory, spare, removals) = (Mutex::default(), Mutex::default(), Mutex::default());
        Self { common: Arc::new(Common { store: store.clone(), memory, spare, removals }) }
    }

    /// Creates a stage. Its directory is created with its first tree.
    pub(crate) fn stage(&self) -> Stage {
        Stage { common: Arc::clone(&self.common), current: None }
    }

    /// Keeps the directory of a stage that is not needed any more. Most trees have the same Python, so it is faster to
    /// change one tree into another than to remove one tree and to lay out the other.
    pub(crate) fn reuse(&self, mut stage: Stage) {
        if let Some(current) = stage.current.take_if(|current| current.is_reusable()) {
            stage.current = lock(&self.common.spare).replace(current);
        }
    }
}

impl Drop for Stages {
    fn drop(&mut self) {
        lock(&self.common.spare).take();
        for removal in lock(&self.common.removals).drain(..) {
            // A directory that could not be removed is removed by a later process.
            let _ = removal.join();
        }
    }
}

/// A directory that contains different trees, one after another. Each tree is created from the previous one, so files
/// that both contain are laid out only once.
#[derive(Debug)]
pub(crate) struct Stage {
    common: Arc<Common>,
    current: Option<Current>,
}

impl Drop for Stage {
    /// Removes the directory in the background, because it has thousands of files.
    fn drop(&mut self) {
        let Some(current) = self.current.take() else { return };
        // If no thread can be started, the directory is removed here.
        let removal = std::thread::Builder::new().spawn(|| drop(current));
        lock(&self.common.removals).extend(removal);
    }
}

#[derive(Debug)]
struct Current {
    location: Location,
    tree: Tree,
}

impl Current {
    /// Removes the mount points that a sandbox has made in the directory, so that the tree is as it was laid out.
    /// Returns whether the directory can be used again. This is so if the mount points could be removed and the
    /// directory is in memory. A directory on a disk is not used again, because changes on a disk are slow.
    fn is_reusable(&self) -> bool {
        self.location.memory.is_some() && MOUNT_POINTS.iter().all(|folder| self.clear(folder).is_ok())
    }

    /// Removes every path directly in `folder` that is not in the tree. Fails if such a path is a folder that is not
    /// empty.
    fn clear(&self, folder: &str) -> io::Result<()> {
        let root = self.location.root.join(folder.trim_end_matches('/'));
        match fs::symlink_metadata(&root) {
            // If `folder` were a link, files of the host would be removed.
            Ok(metadata) if !metadata.is_dir() => return Err(io::ErrorKind::NotADirectory.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            found => found?,
        };
        for entry in fs::read_dir(&root)? {
            let entry = entry?;
            let name = entry.file_name().into_string().map_err(|_| io::ErrorKind::InvalidFilename)?;
            let path = ImagePath::parse(&format!("/{folder}{name}")).map_err(io::Error::other)?;
            if self.tree.nodes.contains_key(&path) {
                continue;
            }
            if entry.file_type()?.is_dir() { fs::remove_dir(entry.path())? } else { fs::remove_file(entry.path())? }
        }
        Ok(())
    }
}

/// A tree that is laid out. It borrows the stage, so the stage cannot lay out another tree while a program runs in
/// this one.
#[derive(Debug, Clone)]
pub(crate) struct Shown<'a> {
    pub(crate) root: &'a Path,
    /// Files of the store, and the image paths at which they must be mounted. The files at these paths are empty.
    pub(crate) files: Vec<(PathBuf, String)>,
}

/// The directory that contains the trees.
#[derive(Debug)]
struct Location {
    /// The directory of the current tree, below `folder`.
    root: PathBuf,
    #[expect(dead_code, reason = "the folder is removed when this is dropped")]
    folder: TempDir,
    /// Set if the directory is in memory.
    memory: Option<Arc<Memory>>,
}

impl Location {
    fn new(folder: TempDir, memory: Option<Arc<Memory>>) -> Result<Self, StageError> {
        let root = folder.path().join("root");
        fs::create_dir(&root).map_err(|source| StageError::CheckOut { path: ImagePath::root(), source })?;
        Ok(Self { root, folder, memory })
    }
}

impl Drop for Location {
    fn drop(&mut self) {
        if let Some(memory) = &self.memory {
            memory.forget_all(&self.root);
        }
    }
}

impl Stage {
    /// Lays out `tree`. If possible, this changes the directory of the previous tree. The paths of large files only get
    /// empty placeholders, and the large files must be mounted there.
    pub(crate) fn show(&mut self, tree: &Tree) -> Result<Shown<'_>, StageError> {
        // If changing a directory fails, the directory is not used again.
        let current = self.current.take().or_else(|| lock(&self.common.spare).take());
        let (location, before) = match current {
            Some(Current { location, tree: before })
                if location.memory.as_ref().is_none_or(|memory| memory.fits(tree)) =>
            {
                (location, before)
            }
            _ => (self.location(tree)?, Tree::default()),
        };
        let location = match self.change(&location, &before, tree) {
            Ok(()) => location,
            // If the memory is full, the disk may still have space.
            Err(_) if location.memory.is_some() => {
                let location = self.location_on_disk()?;
                self.change(&location, &Tree::default(), tree)?;
                location
            }
            Err(error) => return Err(error),
        };
        let files = self.mounted(&location, tree)?;
        let current = self.current.insert(Current { location, tree: tree.clone() });
        Ok(Shown { root: &current.location.root, files })
    }

    /// Returns the files that must be mounted when `tree` is laid out in `location`.
    fn mounted(&self, location: &Location, tree: &Tree) -> Result<Vec<(PathBuf, String)>, StageError> {
        let Some(memory) = &location.memory else { return Ok(Vec::new()) };
        let file = |(path, node): (&ImagePath, &Node)| {
            let contents = self.common.store.contents_path(node.digest()?, node.is_executable());
            Some(contents.map(|contents| (contents, path.to_string())).map_err(StageError::from))
        };
        tree.nodes.iter().filter(|(_, node)| memory.is_mounted(node)).filter_map(file).collect()
    }

    fn location(&self, tree: &Tree) -> Result<Location, StageError> {
        let memory = self.memory_for(tree);
        match memory.and_then(|memory| Some((memory.temporary_dir().ok()?, memory))) {
            Some((folder, memory)) => Location::new(folder, Some(memory)),
            None => self.location_on_disk(),
        }
    }

    /// Returns the process's directory in memory. Returns `None` if `tree` does not fit into memory, or if programs
    /// cannot be executed there.
    fn memory_for(&self, tree: &Tree) -> Option<Arc<Memory>> {
        let mounts = memory::can_mount(&self.common.store);
        if !memory::fits(tree, mounts) {
            return None;
        }
        let mut known = lock(&self.common.memory);
        if let Some(memory) = known.upgrade() {
            return Some(memory);
        }
        let memory = Arc::new(Memory::new(mounts)?);
        *known = Arc::downgrade(&memory);
        Some(memory)
    }

    fn location_on_disk(&self) -> Result<Location, StageError> {
        Location::new(self.common.store.temporary_dir()?, None)
    }

    fn change(&self, location: &Location, before: &Tree, tree: &Tree) -> Result<(), StageError> {
        let files = location.memory.as_ref().map_or(Files::Links, |memory| Files::Memory(memory));
        lay_out(&self.common.store, before, tree, &location.root, files)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::model::tree::Origin;
    use crate::outside::store::tests::store;

    #[test]
    fn a_stage_shows_one_tree_after_the_other_in_memory_and_on_the_disk() {
        let (_home, store) = store();
        let path = |text: &str| ImagePath::parse(text).unwrap();
        let file =
            |text: &str, mode| Node::file(store.put(text.as_bytes()).unwrap(), text.len() as u64, mode, Origin::Lath);
        let trees: [&[(&str, Node)]; 3] = [
            &[("/a/b/x", file("1", 0o644)), ("/c", file("2", 0o644)), ("/d", Node::link("c", Origin::Lath))],
            &[("/a", file("3", 0o755)), ("/c", file("2", 0o755)), ("/d/e", file("1", 0o644))],
            &[("/a/b/x", file("4", 0o644)), ("/tmp", Node { mode: 0o1777, ..Node::directory(Origin::Lath) })],
        ];
        let all = Stages::open(&store);
        let mut stages = [all.stage(), all.stage()];
        stages[1].current = Some(Current { location: stages[1].location_on_disk().unwrap(), tree: Tree::default() });
        let has_memory = stages[0].memory_for(&Tree::default()).is_some();
        for (mut stage, in_memory) in stages.into_iter().zip([has_memory, false]) {
            for nodes in trees {
                let mut tree = Tree::default();
                tree.insert(ImagePath::root(), Node::directory(Origin::Lath));
                nodes.iter().for_each(|(at, node)| tree.insert(path(at), node.clone()));
                let Shown { root, files } = stage.show(&tree).unwrap();
                assert_eq!(files, []);
                let fresh = tempfile::tempdir().unwrap();
                check_out(&store, &tree, fresh.path()).unwrap();
                assert_eq!(listing(root), listing(fresh.path()));
                assert_eq!(stage.current.as_ref().unwrap().location.memory.is_some(), in_memory);
            }
        }
    }

    #[test]
    fn a_directory_is_used_again_without_the_mount_points_in_it() {
        let (_home, store) = store();
        let all = Stages::open(&store);
        let digest = store.put(b"1").unwrap();
        let tree = |paths: &[&str]| {
            let mut tree = Tree::default();
            tree.insert(ImagePath::root(), Node::directory(Origin::Lath));
            tree.insert(ImagePath::parse("/link").unwrap(), Node::link("nowhere", Origin::Lath));
            for path in paths {
                tree.insert(ImagePath::parse(path).unwrap(), Node::file(digest, 1, 0o644, Origin::Lath));
            }
            tree
        };
        let mut stage = all.stage();
        let root = stage.show(&tree(&["/run/a", "/usr/b"])).unwrap().root.to_owned();
        if stage.current.as_ref().unwrap().location.memory.is_none() {
            return;
        }
        fs::create_dir(root.join("build")).unwrap();
        fs::write(root.join("run/source"), "").unwrap();
        all.reuse(stage);
        let mut next = all.stage();
        let other = tree(&["/run/a", "/build"]);
        assert_eq!(next.show(&other).unwrap().root, root);
        let fresh = tempfile::tempdir().unwrap();
        check_out(&store, &other, fresh.path()).unwrap();
        assert_eq!(listing(&root), listing(fresh.path()));
        // A directory with a file in a mount point is not used again, because a sandbox leaves mount points empty.
        fs::create_dir_all(root.join("work/own")).unwrap();
        all.reuse(next);
        let mut last = all.stage();
        assert_ne!(last.show(&other).unwrap().root, root);
        let memory = last.current.as_ref().unwrap().location.root.parent().unwrap().parent().unwrap().to_owned();
        drop(last);
        drop(all);
        assert!(!memory.exists(), "a stage is left behind");
    }

    #[test]
    fn what_is_large_stays_in_the_store_and_is_told_where_it_belongs() {
        let (_home, store) = store();
        let large = vec![b'x'; 1 << 20];
        let digest = store.put(&large).unwrap();
        let mut tree = Tree::default();
        tree.insert(ImagePath::root(), Node::directory(Origin::Lath));
        for (path, mode) in [("/large", 0o644), ("/program", 0o755)] {
            let path = ImagePath::parse(path).unwrap();
            tree.insert(path, Node::file(digest, large.len() as u64, mode, Origin::Lath));
        }
        let mut stage = Stages::open(&store).stage();
        let Some(memory) = stage.memory_for(&tree) else { return };
        let Shown { root, files } = stage.show(&tree).unwrap();
        if !memory.is_mounted(&tree.nodes[&ImagePath::parse("/large").unwrap()]) {
            return assert_eq!(files, []);
        }
        let [(plain, at), (program, program_at)] = files.as_slice() else { panic!("{files:?}") };
        assert_eq!([at.as_str(), program_at], ["/large", "/program"]);
        assert_eq!(std::fs::read(plain).unwrap(), large);
        assert_eq!(program.metadata().unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(std::fs::metadata(root.join("large")).unwrap().len(), 0);
    }

    /// Returns every path below `dir` with its mode and contents.
    fn listing(dir: &Path) -> Vec<String> {
        let mut lines = Vec::new();
        for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let (path, metadata) = (entry.path(), entry.path().symlink_metadata().unwrap());
            let text = if metadata.is_file() { std::fs::read_to_string(&path).unwrap() } else { String::new() };
            lines.push(format!("{:?} {:o} {text}", entry.file_name(), metadata.permissions().mode()));
            if metadata.is_dir() {
                lines.extend(listing(&path));
            }
        }
        lines.sort();
        lines
    }
}
