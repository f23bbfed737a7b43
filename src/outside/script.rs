//! Reads a script of the user, and the metadata in it.

use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use thiserror::Error;

use crate::formats::script_metadata::{self, ScriptMetadataError};
use crate::model::hint::Hints;
use crate::model::script::ScriptMetadata;

#[derive(Debug, Error)]
pub(crate) enum ScriptError {
    #[error("cannot read the script `{path}`")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot read the metadata of the script `{path}`")]
    Metadata { path: PathBuf, source: ScriptMetadataError },
}

impl Hints for ScriptError {}

/// Returns the metadata in the script at `path`. `None` if it has none.
pub(crate) fn metadata(path: &Path) -> Result<Option<ScriptMetadata>, ScriptError> {
    let read = |source| ScriptError::Read { path: path.to_owned(), source };
    let bytes = fs::read(path).map_err(read)?;
    // A script may have another encoding than UTF-8, but its metadata is ASCII in practice.
    let text = String::from_utf8_lossy(&bytes);
    script_metadata::read(&text).map_err(|source| ScriptError::Metadata { path: path.to_owned(), source })
}
