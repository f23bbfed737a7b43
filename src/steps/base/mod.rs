//! The layers of a base image -> one tree, and the facts in it.

use thiserror::Error;

use crate::model::base_image::BaseImage;
use crate::model::hint::Hints;
use crate::model::platform::Platform;
use crate::outside::images::{ImagesError, OpenImage};
use crate::outside::store::{Store, StoreError};

#[derive(Debug, Error)]
pub(crate) enum BaseError {
    #[error(transparent)]
    Images(#[from] ImagesError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Hints for BaseError {
    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Images(error) => Some(error),
            Self::Store(error) => Some(error),
        }
    }
}

/// Reads the image of one platform. Its layers are put into the store if the result is not cached yet.
#[allow(dead_code, reason = "the pipeline does not build on images yet")]
pub(crate) fn base(image: &OpenImage<'_>, platform: Platform, store: &Store) -> Result<BaseImage, BaseError> {
    let _ = (image, platform, store);
    unimplemented!()
}
