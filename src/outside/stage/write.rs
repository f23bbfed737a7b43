//! Lays out a tree on a file system, either completely or as a change of another tree.

use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use fs_err as fs;
use fs_err::os::unix::fs as unix;

use super::error::StageError;
use crate::model::digest::Digest;
use crate::model::image_path::ImagePath;
use crate::model::tree::{Kind, Node, Tree};
use crate::outside::store::{Store, StoreError};

/// How the files of a tree are created.
#[derive(Clone, Copy)]
pub(super) enum Files<'a> {
    /// As hard links to the files that the function returns.
    Links(&'a dyn Fn(&Node, &Digest) -> Result<PathBuf, StoreError>),
    /// As copies. If this process may change owners, the copies get the owners of the tree.
    Own,
}

/// Lays out `tree` in the empty directory `root`. Files are hard links to contents in the store. So the directory must
/// be mounted read-only when a program runs in it.
pub(crate) fn check_out(store: &Store, tree: &Tree, root: &Path) -> Result<(), StageError> {
    let contents = |node: &Node, digest: &Digest| store.contents_path(digest, node.is_executable());
    lay_out(store, &Tree::default(), tree, root, Files::Links(&contents))
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
    for (path, old) in before.nodes.iter().rev() {
        if tree.nodes.get(path).is_none_or(|node| !stays(path, node)) {
            let here = path.under(root);
            let removed = if old.kind == Kind::Directory { fs::remove_dir(&here) } else { fs::remove_file(&here) };
            removed.map_err(|source| StageError::CheckOut { path: path.clone(), source })?;
        }
    }
    let links = tree.hard_links();
    let may_give_away = matches!(files, Files::Own) && rustix::process::geteuid().is_root();
    for (path, node) in tree.nodes.iter().filter(|(path, node)| !stays(path, node)) {
        let here = path.under(root);
        let failed = |source| StageError::CheckOut { path: path.clone(), source };
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
                    Files::Links(contents) => Some(contents(node, digest)?),
                    Files::Own => None,
                };
                if contents.is_none_or(|contents| fs::hard_link(contents, &here).is_err()) {
                    write(&mut store.reader(digest)?, &here, executable).map_err(failed)?;
                }
            }
        }
        if may_give_away && node.owner != 0 {
            // In a user namespace, root cannot change an owner to an ID outside of the namespace. So an error is
            // ignored.
            let _ = unix::lchown(&here, Some(node.owner), Some(node.owner));
        }
    }
    set_modes(before, tree, root, files)
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

/// Writes the file `path` with mode 0644, or 0755 if it is executable.
pub(super) fn write(contents: &mut dyn io::Read, path: &Path, executable: bool) -> io::Result<()> {
    let mut file = fs::File::create(path)?;
    io::copy(&mut io::BufReader::with_capacity(128 << 10, contents), &mut file)?;
    let mode = if executable { 0o755 } else { 0o644 };
    file.set_permissions(std::fs::Permissions::from_mode(mode))
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
