//! A plain root file system in a folder: nothing in it is linked to the store.

use std::path::{Path, PathBuf};

use fs_err as fs;
use tempfile::TempDir;

use super::{EmitError, is_filled, parent, try_to_write};
use crate::model::request::Request;
use crate::model::tree::Tree;
use crate::outside::store::Store;
use crate::outside::unfinished::Unfinished;

/// A folder that is filled beside its destination.
pub(super) struct StagedDirectory {
    folder: TempDir,
    unfinished: Unfinished,
    path: PathBuf,
}

pub(super) fn refuse(path: &Path, request: &Request) -> Result<(), EmitError> {
    let refused = |problem| Err(EmitError::Refused { path: path.to_owned(), problem });
    if is_filled(path) || (path.exists() && !path.is_dir()) {
        return refused("it is there already and not an empty folder");
    }
    if request.platforms.len() > 1 {
        return refused("a root file system holds one platform, and several were asked for");
    }
    try_to_write(parent(path))
}

pub(super) fn stage(path: &Path, trees: &[Tree], store: &Store) -> Result<StagedDirectory, EmitError> {
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |source| EmitError::Write { path: path.to_owned(), source };
    fs::create_dir_all(parent(path)).map_err(failed)?;
    let folder = TempDir::new_in(parent(path)).map_err(failed)?;
    let unfinished = Unfinished::new(folder.path());
    for tree in trees {
        store.copy_out(tree, folder.path())?;
    }
    fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).map_err(failed)?;
    Ok(StagedDirectory { folder, unfinished, path: path.to_owned() })
}

impl StagedDirectory {
    /// Gives the folder its name; an empty one of that name is replaced.
    pub(super) fn publish(self) -> Result<(), EmitError> {
        let renamed = fs::rename(self.folder.path(), &self.path);
        renamed.map_err(|source| EmitError::Write { path: self.path.clone(), source })?;
        drop(self.unfinished);
        Ok(())
    }
}
