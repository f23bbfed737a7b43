//! Reads the files that `lath trace` writes.

use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use fs_err as fs;
use thiserror::Error;

use crate::model::hint::Hints;
use crate::model::trace::{MAX_BYTES, Trace, TraceError};

#[derive(Debug, Error)]
pub(crate) enum TraceFileError {
    #[error("cannot read the record `{path}`")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot read the record `{path}`: it is larger than {} MiB", MAX_BYTES >> 20)]
    TooLarge { path: PathBuf },
    #[error("cannot use the record `{path}`")]
    Record { path: PathBuf, source: TraceError },
}

impl Hints for TraceFileError {}

/// Reads a file of `lath trace`.
pub(crate) fn read(path: &Path) -> Result<Trace, TraceFileError> {
    let failed = |source| TraceFileError::Read { path: path.to_owned(), source };
    let mut text = String::new();
    let file = fs::File::open(path).map_err(failed)?;
    file.take(MAX_BYTES + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(TraceFileError::TooLarge { path: path.to_owned() });
    }
    Trace::parse(&text).map_err(|source| TraceFileError::Record { path: path.to_owned(), source })
}
