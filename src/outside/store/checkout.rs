//! Lays out trees from the store's contents, in memory or on disk.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use fs_err as fs;
use fs_err::os::unix::fs as unix;
use tempfile::TempDir;

use super::error::StoreError;
use super::handle::Store;
use super::memory::Memory;
use crate::model::image_path::ImagePath;
use crate::model::tree::{Kind, Node, Tree};

/// How the files of a tree are created.
#[derive(Clone, Copy)]
enum Files<'a> {
    /// Hard links to the store's contents.
    Shared,
    /// Hard links to contents in memory.
    InMemory(&'a Memory),
    /// Copies. If this process may change owners, they get the owners of the tree.
    Own,
}

impl Store {
    /// Lays out `tree` in the empty directory `root`. Files are hard links to the store's contents, so the directory
    /// must be mounted read-only if a program runs in it.
    pub(crate) fn check_out(&self, tree: &Tree, root: &Path) -> Result<(), StoreError> {
        self.lay_out(&Tree::default(), tree, root, Files::Shared)
    }

    /// Does the same with separate copies of files, for programs that may write to them. If lath runs as root, they get
    /// the owners of the tree.
    pub(crate) fn copy_out(&self, tree: &Tree, root: &Path) -> Result<(), StoreError> {
        self.lay_out(&Tree::default(), tree, root, Files::Own)
    }

    /// Changes the directory `root`, which holds `before`, into `tree`. Touches only what differs.
    fn lay_out(&self, before: &Tree, tree: &Tree, root: &Path, files: Files<'_>) -> Result<(), StoreError> {
        let stays = |path: &ImagePath, node: &Node| {
            let old = before.nodes.get(path);
            old.is_some_and(|old| old.kind == node.kind && (old.mode == node.mode || node.kind == Kind::Directory))
        };
        for (path, old) in before.nodes.iter().rev() {
            if tree.nodes.get(path).is_none_or(|node| !stays(path, node)) {
                let here = path.under(root);
                let removed = if old.kind == Kind::Directory { fs::remove_dir(&here) } else { fs::remove_file(&here) };
                removed.map_err(|source| StoreError::CheckOut { path: path.clone(), source })?;
            }
        }
        let links = tree.hard_links();
        let may_give_away = matches!(files, Files::Own) && rustix::process::geteuid().is_root();
        for (path, node) in tree.nodes.iter().filter(|(path, node)| !stays(path, node)) {
            let here = path.under(root);
            let failed = |source| StoreError::CheckOut { path: path.clone(), source };
            match &node.kind {
                Kind::Directory if *path == ImagePath::root() => {}
                Kind::Directory => fs::create_dir(&here).map_err(failed)?,
                Kind::Link { target } => unix::symlink(target, &here).map_err(failed)?,
                Kind::File { .. } if matches!(files, Files::Own) && links.contains_key(path) => {
                    fs::hard_link(links[path].under(root), &here).map_err(failed)?;
                }
                Kind::File { digest, .. } => {
                    let executable = node.is_executable();
                    let contents = match files {
                        Files::Shared => Some(self.contents_path(digest, executable)?),
                        Files::InMemory(memory) => Some(memory.contents_path(self, node, digest)?),
                        Files::Own => None,
                    };
                    if contents.is_none_or(|contents| fs::hard_link(contents, &here).is_err()) {
                        write(&mut self.reader(digest)?, &here, executable).map_err(failed)?;
                    }
                }
            }
            if may_give_away && node.owner != 0 {
                // Root in a user namespace cannot change the owner to an ID outside the namespace.
                let _ = unix::lchown(&here, Some(node.owner), Some(node.owner));
            }
        }
        // Modes are set last and deepest first, because a directory must be filled before it becomes read-only.
        for (path, node) in tree.nodes.iter().rev().filter(|(_, node)| sets_mode(node, files)) {
            if before.nodes.get(path).is_some_and(|old| old.kind == node.kind && old.mode == node.mode) {
                continue;
            }
            // The owner keeps full access to every directory, because lath must be able to clean up.
            let more = if node.kind == Kind::Directory { 0o700 } else { 0 };
            let mode = std::fs::Permissions::from_mode(node.mode | more);
            let failed = |source| StoreError::CheckOut { path: path.clone(), source };
            fs::set_permissions(path.under(root), mode).map_err(failed)?;
        }
        Ok(())
    }
}

/// Writes the file `path` with mode 0644, or 0755 if it is executable.
pub(super) fn write(contents: &mut dyn io::Read, path: &Path, executable: bool) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    io::copy(&mut io::BufReader::with_capacity(128 << 10, contents), &mut file)?;
    let mode = if executable { 0o755 } else { 0o644 };
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

/// A directory that holds one tree after the other. Each tree is made from the previous one, so the files that they
/// share are laid out only once.
#[derive(Debug)]
pub(crate) struct Stage {
    store: Store,
    current: Mutex<Option<Current>>,
}

#[derive(Debug)]
struct Current {
    home: Home,
    tree: Tree,
}

/// A tree that is laid out.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shown {
    pub(crate) root: PathBuf,
    /// Files of the store, and the image paths at which they must be mounted. The files at these paths are empty.
    pub(crate) files: Vec<(PathBuf, String)>,
}

/// The directory that contains the trees.
#[derive(Debug)]
struct Home {
    folder: TempDir,
    /// Present if the directory is in memory.
    memory: Option<Arc<Memory>>,
}

impl Home {
    fn new(folder: TempDir, memory: Option<Arc<Memory>>) -> Result<Self, StoreError> {
        let home = Self { folder, memory };
        fs::create_dir(home.root()).map_err(|source| StoreError::CheckOut { path: ImagePath::root(), source })?;
        Ok(home)
    }

    fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }
}

impl Stage {
    pub(crate) fn new(store: &Store) -> Self {
        Self { store: store.clone(), current: Mutex::new(None) }
    }

    /// Lays out `tree`, reusing the directory of the previous one. Large files are left as placeholders to be mounted.
    /// No process may still be running in the previous tree.
    pub(crate) fn show(&self, tree: &Tree) -> Result<Shown, StoreError> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // If a change fails, its directory is not used again.
        let (home, before) = match current.take() {
            Some(Current { home, tree: before }) if home.memory.as_ref().is_none_or(|memory| memory.fits(tree)) => {
                (home, before)
            }
            _ => (self.home(tree)?, Tree::default()),
        };
        let home = match self.change(&home, &before, tree) {
            Ok(()) => home,
            // If the memory is full, there may still be space on the disk.
            Err(_) if home.memory.is_some() => {
                let home = self.home_on_disk()?;
                self.change(&home, &Tree::default(), tree)?;
                home
            }
            Err(error) => return Err(error),
        };
        let shown = Shown { root: home.root(), files: self.mounted(&home, tree)? };
        *current = Some(Current { home, tree: tree.clone() });
        Ok(shown)
    }

    /// Returns the files to mount if `tree` is laid out in `home`.
    fn mounted(&self, home: &Home, tree: &Tree) -> Result<Vec<(PathBuf, String)>, StoreError> {
        let Some(memory) = &home.memory else { return Ok(Vec::new()) };
        let file = |(path, node): (&ImagePath, &Node)| {
            let contents = self.store.contents_path(node.digest()?, node.is_executable());
            Some(contents.map(|contents| (contents, path.to_string())))
        };
        tree.nodes.iter().filter(|(_, node)| memory.is_mounted(node)).filter_map(file).collect()
    }

    fn home(&self, tree: &Tree) -> Result<Home, StoreError> {
        let memory = Memory::for_tree(tree, &self.store);
        match memory.and_then(|memory| Some((memory.temporary_dir().ok()?, memory))) {
            Some((folder, memory)) => Home::new(folder, Some(memory)),
            None => self.home_on_disk(),
        }
    }

    fn home_on_disk(&self) -> Result<Home, StoreError> {
        Home::new(self.store.temporary_dir()?, None)
    }

    fn change(&self, home: &Home, before: &Tree, tree: &Tree) -> Result<(), StoreError> {
        let files = home.memory.as_deref().map_or(Files::Shared, Files::InMemory);
        self.store.lay_out(before, tree, &home.root(), files)
    }
}

/// The store contains files with mode 0644 and 0755, and a shared file keeps the store's mode.
fn sets_mode(node: &Node, files: Files<'_>) -> bool {
    match node.kind {
        Kind::Directory => true,
        Kind::File { .. } => matches!(files, Files::Own) && ![0o644, 0o755].contains(&node.mode),
        Kind::Link { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;
    use crate::model::tree::Origin;
    use crate::outside::store::tests::store;

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
    fn a_copy_has_the_modes_and_under_root_the_owners_of_the_tree() {
        let (home, store) = store();
        let mut tree = Tree::default();
        let digest = store.put(b"secret").unwrap();
        let path = |text| ImagePath::parse(text).unwrap();
        tree.insert(path("/etc/secret"), Node::file(digest, 6, 0o640, Origin::Lath));
        tree.insert(path("/home/app"), Node { owner: 65532, ..Node::directory(Origin::Lath) });
        let root = home.path().join("root");
        std::fs::create_dir(&root).unwrap();
        store.copy_out(&tree, &root).unwrap();
        let secret = std::fs::metadata(root.join("etc/secret")).unwrap();
        assert_eq!((secret.permissions().mode() & 0o7777, secret.nlink()), (0o640, 1));
        let here = std::fs::metadata(&root).unwrap().uid();
        let owner = std::fs::metadata(root.join("home/app")).unwrap().uid();
        assert_eq!(owner, if here == 0 { 65532 } else { here });
    }

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
        let stages = [Stage::new(&store), Stage::new(&store)];
        *stages[1].current.lock().unwrap() =
            Some(Current { home: stages[1].home_on_disk().unwrap(), tree: Tree::default() });
        let has_memory = Memory::for_tree(&Tree::default(), &store).is_some();
        for (stage, in_memory) in stages.into_iter().zip([has_memory, false]) {
            for nodes in trees {
                let mut tree = Tree::default();
                tree.insert(ImagePath::root(), Node::directory(Origin::Lath));
                nodes.iter().for_each(|(at, node)| tree.insert(path(at), node.clone()));
                let Shown { root, files } = stage.show(&tree).unwrap();
                assert_eq!(files, []);
                let fresh = tempfile::tempdir().unwrap();
                store.check_out(&tree, fresh.path()).unwrap();
                assert_eq!(listing(&root), listing(fresh.path()));
                assert_eq!(stage.current.lock().unwrap().as_ref().unwrap().home.memory.is_some(), in_memory);
            }
        }
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
        let Some(memory) = Memory::for_tree(&tree, &store) else { return };
        let stage = Stage::new(&store);
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
