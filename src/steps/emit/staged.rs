//! A file that is written beside its destination and takes its place once it is whole.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use super::{EmitError, parent};
use crate::outside::unfinished::Unfinished;

pub(super) struct StagedFile {
    file: NamedTempFile,
    unfinished: Unfinished,
    path: PathBuf,
}

impl StagedFile {
    /// Begins a file that is to replace whatever is at `path`.
    pub(super) fn new(path: &Path) -> Result<Self, EmitError> {
        let file = NamedTempFile::new_in(parent(path));
        let file = file.map_err(|source| EmitError::Write { path: path.to_owned(), source })?;
        let unfinished = Unfinished::new(file.path());
        Ok(Self { file, unfinished, path: path.to_owned() })
    }

    /// The same with all of its bytes.
    pub(super) fn of(path: &Path, bytes: &[u8]) -> Result<Self, EmitError> {
        let mut staged = Self::new(path)?;
        let written = staged.writer().write_all(bytes);
        written.map_err(|source| EmitError::Write { path: path.to_owned(), source })?;
        Ok(staged)
    }

    pub(super) fn writer(&mut self) -> &mut std::fs::File {
        self.file.as_file_mut()
    }

    /// Gives the file an ordinary mode and its name.
    pub(super) fn publish(self) -> Result<(), EmitError> {
        use std::os::unix::fs::PermissionsExt as _;
        let failed = |source| EmitError::Write { path: self.path.clone(), source };
        self.file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644)).map_err(failed)?;
        self.file.persist(&self.path).map_err(|error| failed(error.error))?;
        drop(self.unfinished);
        Ok(())
    }
}
