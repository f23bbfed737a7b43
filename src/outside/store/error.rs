//! The errors of the store.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::model::digest::Digest;
use crate::model::hint::{Hint, Hints, MachineHint};
use crate::model::image::BlobDigest;

/// The version of the store's layout that this program supports.
pub(super) const VERSION: &str = "1";

#[derive(Debug, Error)]
pub(crate) enum StoreError {
    #[error("cannot open the cache `{root}`")]
    Open { root: PathBuf, source: io::Error },
    #[error("cannot use the cache `{root}`: it has version `{found}`, and this lath uses version `{VERSION}`")]
    Version { root: PathBuf, found: String },
    #[error("cannot write `{path}`")]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read `{path}`")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot remove `{path}`")]
    Remove { path: PathBuf, source: io::Error },
    #[error(
        "cannot use the blob `sha256:{}`: it has {found_bytes} bytes with the digest `sha256:{found}`, and its descriptor says {size_bytes} bytes",
        .expected.0
    )]
    OtherBlob { expected: BlobDigest, size_bytes: u64, found: Digest, found_bytes: u64 },
    #[error("cannot read the bytes to save")]
    Incoming(#[source] io::Error),
}

impl Hints for StoreError {
    fn own_hints(&self) -> Vec<Hint> {
        match self {
            Self::Version { .. } => vec![Hint::Machine(MachineHint::EmptyCache)],
            Self::Open { .. } => vec![Hint::Machine(MachineHint::WritableCache)],
            Self::Write { .. }
            | Self::Read { .. }
            | Self::Remove { .. }
            | Self::OtherBlob { .. }
            | Self::Incoming(_) => Vec::new(),
        }
    }
}
