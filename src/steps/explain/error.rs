//! The errors of explanations.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::model::hint::{Hint, Hints, RequestHint};
use crate::model::platform::Platform;
use crate::outside::images::ImagesError;
use crate::outside::store::StoreError;

/// The reason why the bytes of an explanation cannot be read or written.
#[derive(Debug, Error)]
pub(crate) enum EncodedError {
    #[error("it is not compressed with zstd, or too large")]
    Compress(#[source] io::Error),
    #[error("it is not an explanation that this lath reads")]
    Json(#[from] serde_json::Error),
}

impl Hints for EncodedError {}

#[derive(Debug, Error)]
pub(crate) enum ExplainError {
    #[error(
        "cannot find the explanation of `{image}`: it was not made with this cache, and no registry has an explanation for it"
    )]
    Unknown { image: String },
    #[error("cannot explain `{name}`: `{image}` has no path, package or module of this name, and trim removed none")]
    NoSuch { name: String, image: String, similar: Vec<String> },
    #[error("cannot read the explanation in `{}`", .path.display())]
    File { path: PathBuf, source: EncodedError },
    #[error("cannot read `{}`", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot find the explanation for {platform} in `{}`: it has {}", .path.display(), .there.join(", "))]
    Platform { path: PathBuf, platform: Platform, there: Vec<String> },
    #[error("cannot choose one of the explanations in `{}`: it has {}", .path.display(), .there.join(", "))]
    Ambiguous { path: PathBuf, there: Vec<String> },
    #[error("cannot write the explanation of the image")]
    Encode(#[source] EncodedError),
    #[error(transparent)]
    Images(#[from] ImagesError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Hints for ExplainError {
    fn own_hints(&self) -> Vec<Hint> {
        match self {
            Self::Unknown { .. } => vec![Hint::Request(RequestHint::MakeExplanation)],
            Self::Platform { .. } | Self::Ambiguous { .. } => vec![Hint::Request(RequestHint::ChoosePlatform)],
            Self::NoSuch { similar, .. } if !similar.is_empty() => {
                vec![Hint::Request(RequestHint::SimilarName { names: similar.clone() })]
            }
            _ => Vec::new(),
        }
    }

    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Images(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::File { source, .. } => Some(source),
            Self::Encode(error) => Some(error),
            _ => None,
        }
    }
}
