//! Lays out a tree on a file system, either completely or as a change of another tree.

use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use fs_err as fs;
use fs_err::os::unix::fs as unix;
use rayon::prelude::*;

use super::error::StageError;
use super::memory::Memory;
use crate::model::digest::Digest;
use crate::model::image_path::ImagePath;
use crate::model::tree::{Kind, Node, Tree};
use crate::outside::store::{Store, StoreError};

/// The least number of files that one thread creates or removes.
const FILES_AT_ONCE: usize = 64;

/// How the files of a tree are created.
#[derive(Clone, Copy)]
pub(super) enum Files<'a> {
    /// As hard links to contents in the store.
    Links,
    /// As files in memory. If another tree in memory has the same content, the file is a hard link to the file there.
    Memory(&'a Memory),
    /// As copies. If this process may change owners, the copies get the owners of the tree.
    Own,
}

/// Lays out `tree` in the empty directory `root`. Files are hard links to contents in the store. So the directory must
/// be mounted read-only when a program runs in it.
pub(crate) fn check_out(store: &Store, tree: &Tree, root: &Path) -> Result<(), StageError> {
    lay_out(store, &Tree::default(), tree, root, Files::Links)
}

/// Lays out `tree` like [`check_out`], but with copies of the files, for programs that may write to them. If lath runs
/// as root, the copies get the owners of the tree.
pub(crate) fn copy_out(store: &Store, tree: &Tree, root: &Path) -> Result<(), StageError> {
    lay_out(store, &Tree::default(), tree, root, Files::Own)
}

/// Changes the directory `root`, which holds `before`, into `tree`. Only files that differ are touched.
pub(super) fn lay_out(
    store: &Store,
    before: &Tree,
    tree: &Tree,
    root: &Path,
    files: Files<'_>,
) -> Result<(), StageError> {
    let stays = |path: &ImagePath, node: &Node| {
        let old = before.nodes.get(path);
        old.is_some_and(|old| old.kind == node.kind && (old.mode == node.mode || node.kind == Kind::Directory))
    };
    let goes = |path: &ImagePath| tree.nodes.get(path).is_none_or(|node| !stays(path, node));
    remove(before.nodes.iter().filter(|(path, _)| goes(path)).collect(), root, files)?;
    let mut new_files: Vec<(&ImagePath, &Node, &Digest)> = Vec::new();
    for (path, node) in tree.nodes.iter().filter(|(path, node)| !stays(path, node)) {
        let failed = |source| StageError::CheckOut { path: path.clone(), source };
        match &node.kind {
            Kind::Directory if *path == ImagePath::root() => {}
            Kind::Directory => fs::create_dir(path.under(root)).map_err(failed)?,
            Kind::Link { target } => unix::symlink(target, path.under(root)).map_err(failed)?,
            Kind::File { digest, .. } => new_files.push((path, node, digest)),
        }
    }
    if matches!(files, Files::Own) {
        copy_files(store, tree, &new_files, root)?;
    } else {
        // Several threads create files in different directories at the same time.
        let create = |(path, node, digest): &(&ImagePath, &Node, &Digest)| {
            let here = path.under(root);
            let is_linked = match files {
                Files::Links => fs::hard_link(store.contents_path(digest, node.is_executable())?, &here).is_ok(),
                Files::Memory(memory) => memory.link(node, digest, &here),
                Files::Own => false,
            };
            if is_linked {
                return Ok::<(), StageError>(());
            }
            write(store, digest, &here, node)?
                .map_err(|source| StageError::CheckOut { path: (*path).clone(), source })?;
            if let Files::Memory(memory) = files {
                memory.add(node, digest, here);
            }
            Ok(())
        };
        new_files.par_iter().with_min_len(FILES_AT_ONCE).try_for_each(create)?;
    }
    give_away(&stays, tree, root, files);
    set_modes(before, tree, root, files)
}

/// Removes these paths: first the files, in several threads, and then the directories, from the deepest one upwards.
fn remove(paths: Vec<(&ImagePath, &Node)>, root: &Path, files: Files<'_>) -> Result<(), StageError> {
    let (directories, others): (Vec<_>, Vec<_>) = paths.into_iter().partition(|(_, old)| old.kind == Kind::Directory);
    let failed = |path: &ImagePath, source| StageError::CheckOut { path: path.clone(), source };
    others.par_iter().with_min_len(FILES_AT_ONCE).try_for_each(|(path, old)| {
        let here = path.under(root);
        if let (Files::Memory(memory), Some(digest)) = (files, old.digest()) {
            memory.forget(old, digest, &here);
        }
        fs::remove_file(&here).map_err(|source| failed(path, source))
    })?;
    directories
        .iter()
        .rev()
        .try_for_each(|(path, _)| fs::remove_dir(path.under(root)).map_err(|source| failed(path, source)))
}

/// Copies files. If files are hard links to one another in the image, their copies are hard links to one another, too.
fn copy_files(
    store: &Store,
    tree: &Tree,
    new_files: &[(&ImagePath, &Node, &Digest)],
    root: &Path,
) -> Result<(), StageError> {
    let links = tree.hard_links();
    for &(path, node, digest) in new_files {
        let here = path.under(root);
        let copied = match links.get(path) {
            Some(first) => fs::hard_link(first.under(root), &here),
            None => write(store, digest, &here, node)?,
        };
        copied.map_err(|source| StageError::CheckOut { path: path.clone(), source })?;
    }
    Ok(())
}

/// Gives the new paths of a copy the owners of the tree, if this process may do so.
fn give_away(stays: &dyn Fn(&ImagePath, &Node) -> bool, tree: &Tree, root: &Path, files: Files<'_>) {
    if !matches!(files, Files::Own) || !rustix::process::geteuid().is_root() {
        return;
    }
    for (path, node) in tree.nodes.iter().filter(|(path, node)| node.owner != 0 && !stays(path, node)) {
        // In a user namespace, root cannot change an owner to an ID outside of the namespace. So an error is ignored.
        let _ = unix::lchown(path.under(root), Some(node.owner), Some(node.owner));
    }
}

/// Sets the modes that differ from those in `before`. This is done last and from the deepest path upwards, because a
/// directory must be filled before it becomes read-only.
fn set_modes(before: &Tree, tree: &Tree, root: &Path, files: Files<'_>) -> Result<(), StageError> {
    for (path, node) in tree.nodes.iter().rev().filter(|(_, node)| sets_mode(node, files)) {
        if before.nodes.get(path).is_some_and(|old| old.kind == node.kind && old.mode == node.mode) {
            continue;
        }
        // The owner always has full access to directories, because lath must be able to remove them.
        let more = if node.kind == Kind::Directory { 0o700 } else { 0 };
        let mode = std::fs::Permissions::from_mode(node.mode | more);
        let failed = |source| StageError::CheckOut { path: path.clone(), source };
        fs::set_permissions(path.under(root), mode).map_err(failed)?;
    }
    Ok(())
}

/// Returns whether [`set_modes`] sets the mode of `node`. A hard link to a file in the store keeps the mode of that
/// file: 0644 or 0755.
fn sets_mode(node: &Node, files: Files<'_>) -> bool {
    match node.kind {
        Kind::Directory => true,
        Kind::File { .. } => matches!(files, Files::Own) && ![0o644, 0o755].contains(&node.mode),
        Kind::Link { .. } => false,
    }
}

/// Writes the file `path` with mode 0644, or 0755 if it is executable. A large content is not held in memory.
fn write(store: &Store, digest: &Digest, path: &Path, node: &Node) -> Result<io::Result<()>, StoreError> {
    /// A larger content is read in parts.
    const SMALL_BYTES: u64 = 1 << 20;
    let mode = if node.is_executable() { 0o755 } else { 0o644 };
    let set_mode = |file: fs::File| file.set_permissions(std::fs::Permissions::from_mode(mode));
    if node.size_bytes() <= SMALL_BYTES {
        let bytes = store.read(digest)?;
        return Ok(fs::File::create(path).and_then(|mut file| file.write_all(&bytes).and_then(|()| set_mode(file))));
    }
    let mut contents = io::BufReader::with_capacity(128 << 10, store.reader(digest)?);
    Ok(fs::File::create(path).and_then(|mut file| io::copy(&mut contents, &mut file).and_then(|_| set_mode(file))))
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
        check_out(&store, &tree, &root).unwrap();
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
        copy_out(&store, &tree, &root).unwrap();
        let secret = std::fs::metadata(root.join("etc/secret")).unwrap();
        assert_eq!((secret.permissions().mode() & 0o7777, secret.nlink()), (0o640, 1));
        let here = std::fs::metadata(&root).unwrap().uid();
        let owner = std::fs::metadata(root.join("home/app")).unwrap().uid();
        assert_eq!(owner, if here == 0 { 65532 } else { here });
    }
}
