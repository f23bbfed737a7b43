//! A file that is written beside its destination and gets its name after it is complete.

use std::io::Write as _;
use std::path::{Path, PathBuf};

use super::{EmitError, parent};
use crate::outside::staging::StagingFile;

pub(super) struct StagedFile {
    file: StagingFile,
    path: PathBuf,
}

impl StagedFile {
    /// Begins a temporary file for `path`. When the temporary file is published, it replaces an existing file at
    /// `path`.
    pub(super) fn new(path: &Path) -> Result<Self, EmitError> {
        let file = StagingFile::new_in(parent(path));
        let file = file.map_err(|source| EmitError::Write { path: path.to_owned(), source })?;
        Ok(Self { file, path: path.to_owned() })
    }

    /// Begins a file, and writes all of its bytes.
    pub(super) fn of(path: &Path, bytes: &[u8]) -> Result<Self, EmitError> {
        let mut staged = Self::new(path)?;
        let written = staged.writer().write_all(bytes);
        written.map_err(|source| EmitError::Write { path: path.to_owned(), source })?;
        Ok(staged)
    }

    pub(super) fn writer(&mut self) -> &mut std::fs::File {
        self.file.writer()
    }

    /// Gives the file its name.
    pub(super) fn publish(self) -> Result<(), EmitError> {
        self.file.publish(&self.path).map_err(|source| EmitError::Write { path: self.path, source })
    }
}
