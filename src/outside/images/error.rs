//! The reasons why an image cannot be read.

use std::io;

use thiserror::Error;

use crate::model::hint::{Hint, Hints};
use crate::model::image::BlobDigest;
use crate::model::image_source::ImageSource;
use crate::model::platform::Platform;
use crate::outside::daemon::DaemonError;
use crate::outside::registry::RegistryError;
use crate::outside::store::StoreError;

use super::MAX_DOCUMENT_BYTES;

#[derive(Debug, Error)]
pub(crate) enum ImagesError {
    #[error("cannot open the image `{source}`")]
    Open {
        source: ImageSource,
        #[source]
        problem: Box<Self>,
    },
    #[error("cannot read the image")]
    Read(#[source] io::Error),
    #[error("cannot find `{0}` in the archive")]
    NotInArchive(String),
    #[error("cannot find the blob `sha256:{}`", .0.0)]
    Missing(BlobDigest),
    #[error("cannot find the image `{wanted}`: there {}", listed(.there))]
    Reference { wanted: String, there: Vec<String> },
    #[error("cannot choose an image, because there are several: {}", .there.join(", "))]
    Ambiguous { there: Vec<String> },
    #[error("cannot read the document `{name}`")]
    Json { name: String, source: serde_json::Error },
    #[error("cannot read the document `{name}`: {problem}")]
    Malformed { name: String, problem: String },
    #[error(
        "cannot use the image: its manifest has schema 1, which Docker stopped writing in 2017. Push the image again with a current engine"
    )]
    Schema1,
    #[error("cannot use `{digest}`: lath reads only digests with sha256")]
    Algorithm { digest: String },
    #[error("cannot use the document `sha256:{}`: it has {size_bytes} bytes, and the limit is {MAX_DOCUMENT_BYTES}", .digest.0)]
    TooLarge { digest: BlobDigest, size_bytes: u64 },
    #[error("cannot use the layer `{digest}`: it is only at other addresses (`urls`), so a registry may not have it")]
    Foreign { digest: String },
    #[error("cannot use `{digest}` as a {role}: it has the media type `{media_type}`")]
    MediaType { digest: String, role: &'static str, media_type: String },
    #[error("cannot find an image for {platform}: there {}", listed(.there))]
    Platform { platform: Platform, there: Vec<String> },
    #[error(transparent)]
    Registry(Box<RegistryError>),
    #[error(transparent)]
    Daemon(#[from] DaemonError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl ImagesError {
    /// Whether an archive lacks a file that its format requires.
    pub(crate) fn is_not_in_archive(&self) -> bool {
        match self {
            Self::Open { problem, .. } => problem.is_not_in_archive(),
            Self::NotInArchive(_) => true,
            _ => false,
        }
    }
}

fn listed(names: &[String]) -> String {
    match names {
        [] => "is none".to_owned(),
        [one] => format!("is only {one}"),
        _ => format!("are {}", names.join(", ")),
    }
}

impl From<RegistryError> for ImagesError {
    fn from(error: RegistryError) -> Self {
        Self::Registry(Box::new(error))
    }
}

impl Hints for ImagesError {
    fn own_hints(&self) -> Vec<Hint> {
        Vec::new()
    }

    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Open { problem, .. } => Some(&**problem),
            Self::Registry(error) => Some(&**error),
            Self::Daemon(error) => Some(error),
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}
