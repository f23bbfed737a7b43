//! A document that is written in addition to the image: the receipt as JSON, a Dockerfile, a picture.

use std::path::{Path, PathBuf};

use fs_err as fs;
use rustix::fs::{Access, access};

use super::place::Place;
use super::staged::StagedFile;
use super::{EmitError, archive};

/// A document that is ready to get its name.
pub(super) enum StagedDocument {
    File(StagedFile),
    /// The path of a pipe or a device, such as `/dev/stderr`, and the bytes. The bytes are written directly, without a
    /// temporary file.
    Stream(PathBuf, Vec<u8>),
}

/// Refuses a path to which no document can be written.
pub(super) fn refuse(place: &Place) -> Result<(), EmitError> {
    if !is_stream(&place.path) {
        return archive::refuse(place);
    }
    let accessible = access(&place.path, Access::WRITE_OK);
    accessible.map_err(|error| EmitError::Write { path: place.typed.clone(), source: error.into() })
}

pub(super) fn stage(place: &Place, bytes: Vec<u8>) -> Result<StagedDocument, EmitError> {
    if is_stream(&place.path) {
        return Ok(StagedDocument::Stream(place.path.clone(), bytes));
    }
    StagedFile::of(&place.path, &bytes).map(StagedDocument::File)
}

impl StagedDocument {
    pub(super) fn publish(self) -> Result<(), EmitError> {
        match self {
            Self::File(file) => file.publish(),
            Self::Stream(path, bytes) => fs::write(&path, bytes).map_err(|source| EmitError::Write { path, source }),
        }
    }
}

fn is_stream(path: &Path) -> bool {
    path.starts_with("/proc") || (path.exists() && !path.is_file() && !path.is_dir())
}
