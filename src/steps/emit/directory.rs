//! Writes the tree of an image as plain files into a folder. All files are copies, and none is a link into the store.

use std::path::{Path, PathBuf};

use fs_err as fs;

use super::place::Place;
use super::{EmitError, is_filled, parent, try_to_write};
use crate::model::tree::Tree;
use crate::outside::stage::{StageError, copy_out};
use crate::outside::staging::{self, StagingFolder};
use crate::outside::store::Store;
use crate::outside::unfinished::NewFolders;

/// A folder that is filled beside its destination.
pub(super) struct StagedDirectory {
    folder: StagingFolder,
    above: NewFolders,
    path: PathBuf,
}

pub(super) fn refuse(place: &Place, platforms: usize) -> Result<(), EmitError> {
    let path = &place.path;
    let refused = |problem| Err(EmitError::Refused { path: path.clone(), problem });
    if is_filled(path) || (path.exists() && !path.is_dir()) {
        return refused("it exists and is not an empty folder");
    }
    if platforms > 1 {
        return refused("a root file system is of one platform, and the request has several");
    }
    staging::sweep(parent(path));
    try_to_write(parent(path))
}

pub(super) fn stage(path: &Path, tree: &Tree, store: &Store) -> Result<StagedDirectory, EmitError> {
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |source| EmitError::Write { path: path.to_owned(), source };
    let above = NewFolders::make(parent(path)).map_err(failed)?;
    let folder = StagingFolder::new_in(parent(path)).map_err(failed)?;
    copy_out(store, tree, folder.path()).map_err(|error| match error {
        StageError::CheckOut { .. } => EmitError::Fill { path: path.to_owned(), source: error },
        StageError::Store(error) => error.into(),
    })?;
    fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).map_err(failed)?;
    Ok(StagedDirectory { folder, above, path: path.to_owned() })
}

impl StagedDirectory {
    /// Renames the folder to its destination. If there is an empty folder, it is replaced.
    pub(super) fn publish(self) -> Result<(), EmitError> {
        let published = self.folder.publish(&self.path);
        published.map_err(|source| EmitError::Write { path: self.path, source })?;
        self.above.keep();
        Ok(())
    }
}
