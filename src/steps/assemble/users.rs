//! The user's own files: files that `--copy` names, and files of the application.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use fs_err as fs;

use super::{AssembleError, put};
use crate::model::application::{AppFile, AppRequest};
use crate::model::assembly::Assembly;
use crate::model::image_path::ImagePath;
use crate::model::request::{Copied, Owner};
use crate::model::tree::{Kind, Node, Origin, Tree};
use crate::outside::facts::{self, Kept};
use crate::outside::store::{Store, StoreError};

/// Puts the files of the application into its folder.
pub(super) fn place_application(app: &AppRequest, assembly: &mut Assembly, store: &Store) -> Result<(), AssembleError> {
    let origin = Origin::Application;
    let folder = landing(&assembly.tree, &app.target, true);
    if assembly.tree.nodes.get(&folder).is_none_or(|node| node.kind != Kind::Directory) {
        assembly.tree.insert(folder.clone(), Node::directory(origin.clone()));
    }
    for (path, file) in &app.files.files {
        let target = folder.join(path)?;
        if assembly.tree.nodes.contains_key(&target) {
            return Err(AssembleError::Taken { path: path.clone(), target });
        }
        match file {
            AppFile::Link { target: link } => assembly.tree.insert(target, Node::link(link.clone(), origin.clone())),
            AppFile::File { source, size_bytes, is_executable } => {
                let kept = kept(source, *size_bytes, store)?;
                put(kept, target, if *is_executable { 0o755 } else { 0o644 }, &origin, assembly);
            }
        }
    }
    Ok(())
}

/// Creates the directories of volumes, if they do not exist. These directories, and directories of the application, belong
/// to the image's user. The reason: an engine mounts a new volume on this directory, and gives the volume the owner and
/// the mode of the directory.
pub(super) fn make_volumes(volumes: &[ImagePath], owner: Owner, tree: &mut Tree) {
    for volume in volumes {
        let target = landing(tree, volume, true);
        match tree.nodes.get(&target) {
            None => tree.insert(target, owned(Node::directory(Origin::Lath), owner)),
            Some(node) if node.kind == Kind::Directory && matches!(node.origin, Origin::Application | Origin::Lath) => {
                let node = owned(node.clone(), owner);
                tree.insert(target, node);
            }
            Some(_) => {}
        }
    }
}

/// Copies a file or a whole directory. The times are not copied. If the request contains an owner or permissions, the
/// copy gets them.
pub(super) fn copy(copied: &Copied, assembly: &mut Assembly, store: &Store) -> Result<(), AssembleError> {
    let failed = |source| AssembleError::Copy { path: copied.source.clone(), source };
    let kind = || AssembleError::CopyKind { path: copied.source.clone() };
    let metadata = fs::symlink_metadata(&copied.source).map_err(failed)?;
    let target = landing(&assembly.tree, &copied.target, metadata.is_dir());
    if metadata.is_symlink() {
        let link = fs::read_link(&copied.source).map_err(failed)?;
        let link = link.to_str().ok_or_else(kind)?.to_owned();
        assembly.tree.insert(target, owned(Node::link(link, Origin::User), copied.owner));
    } else if metadata.is_file() {
        let Kept { digest, size_bytes, facts } = kept(&copied.source, metadata.len(), store)?;
        let usual = if metadata.permissions().mode() & 0o111 == 0 { 0o644 } else { 0o755 };
        let node = Node::file(digest, size_bytes, copied.mode.unwrap_or(usual), Origin::User);
        assembly.tree.insert(target, owned(node, copied.owner));
        assembly.facts.add(&Origin::User, digest, facts);
    } else if metadata.is_dir() {
        if !assembly.tree.nodes.contains_key(&target) {
            let mode = copied.mode.map_or(0o755, searchable);
            let node = Node { mode, ..Node::directory(Origin::User) };
            assembly.tree.insert(target.clone(), owned(node, copied.owner));
        }
        for entry in fs::read_dir(&copied.source).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let target = target.join(name.to_str().ok_or_else(kind)?)?;
            copy(&Copied { source: entry.path(), target, mode: copied.mode, owner: copied.owner }, assembly, store)?;
        }
    } else {
        return Err(kind());
    }
    Ok(())
}

/// Returns the mode of a directory whose files have the mode `mode`. Everybody who can read the files can also search
/// the directory.
fn searchable(mode: u32) -> u32 {
    mode | (mode & 0o444) >> 2
}

fn owned(node: Node, owner: Owner) -> Node {
    Node { owner: owner.user, group: (owner.group != owner.user).then_some(owner.group), ..node }
}

/// Puts a file of the host into the store.
fn kept(source: &Path, size_bytes: u64, store: &Store) -> Result<Kept, AssembleError> {
    let failed = |error| AssembleError::Copy { path: source.to_owned(), source: error };
    let mut file = fs::File::open(source).map_err(failed)?;
    facts::keep_copied(&mut file, size_bytes, store).map_err(|error| match error {
        StoreError::Incoming(source) => failed(source),
        other => other.into(),
    })
}

/// Returns the real path of a file that is copied to `path`. As in a Dockerfile, links in its parent directories, such
/// as `/bin`, are followed. If a directory is copied and `path` is a link to a directory, the copy is merged into the
/// target of the link.
fn landing(tree: &Tree, path: &ImagePath, is_directory: bool) -> ImagePath {
    let is_directory_there = |path: &ImagePath| tree.nodes.get(path).is_some_and(|node| node.kind == Kind::Directory);
    if let Some(own) = tree.canonical(path).filter(|own| is_directory && is_directory_there(own)) {
        return own;
    }
    let mut above = path.parent();
    while let Some(parent) = above {
        if let Some(real) = tree.canonical(&parent) {
            let below = &path.as_str()[parent.as_str().len()..];
            return real.join(below).unwrap_or_else(|_| path.clone());
        }
        above = parent.parent();
    }
    path.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mode_and_an_owner_hold_for_files_and_directories() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(&home.path().join("store")).unwrap();
        fs::create_dir_all(home.path().join("conf/inner")).unwrap();
        fs::write(home.path().join("conf/inner/a"), "a").unwrap();
        let copied = Copied {
            source: home.path().join("conf"),
            target: ImagePath::parse("/etc/conf").unwrap(),
            mode: Some(0o640),
            owner: Owner { user: 7, group: 8 },
        };
        let mut assembly = Assembly::default();
        assembly.tree.insert(ImagePath::root(), Node::directory(Origin::Lath));
        copy(&copied, &mut assembly, &store).unwrap();
        let of = |path: &str| {
            let (_, node) = assembly.tree.find(path).unwrap();
            (node.mode, node.owner, node.group())
        };
        assert_eq!(of("/etc"), (0o755, 0, 0));
        assert_eq!((of("/etc/conf"), of("/etc/conf/inner")), ((0o750, 7, 8), (0o750, 7, 8)));
        assert_eq!(of("/etc/conf/inner/a"), (0o640, 7, 8));
        assert_eq!([0o600, 0o644, 0o440].map(searchable), [0o700, 0o755, 0o550]);
    }
}
