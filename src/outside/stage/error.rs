//! The errors that can occur while a tree is laid out.

use std::io;

use thiserror::Error;

use crate::model::hint::Hints;
use crate::model::image_path::ImagePath;
use crate::outside::store::StoreError;

#[derive(Debug, Error)]
pub(crate) enum StageError {
    #[error("cannot check out `{path}`")]
    CheckOut { path: ImagePath, source: io::Error },
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Hints for StageError {
    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Store(error) => Some(error),
            Self::CheckOut { .. } => None,
        }
    }
}
