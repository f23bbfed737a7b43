//! The errors of the store.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::model::hint::Hints;

/// The version of the layout that this lath reads and writes.
pub(super) const VERSION: &str = "1";

#[derive(Debug, Error)]
pub(crate) enum StoreError {
    #[error("cannot open the store `{root}`")]
    Open { root: PathBuf, source: io::Error },
    #[error("cannot use the store `{root}`: it is of version `{found}`, and this lath writes version `{VERSION}`")]
    Version { root: PathBuf, found: String },
    #[error("cannot write `{path}`")]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read `{path}`")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot remove `{path}`")]
    Remove { path: PathBuf, source: io::Error },
    #[error("cannot read what is to be kept")]
    Incoming(#[source] io::Error),
}

impl Hints for StoreError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::Version { .. } => {
                vec!["empty it with `lath cache prune --all`, or use another with `--cache-dir DIR`".to_owned()]
            }
            Self::Open { .. } => vec!["use a folder that can be written to: `--cache-dir DIR`".to_owned()],
            _ => Vec::new(),
        }
    }
}
