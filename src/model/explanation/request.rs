//! A request for the explanation of an image.

use std::path::PathBuf;

use crate::model::image_source::ImageSource;
use crate::model::platform::Platform;

#[derive(Debug, Clone)]
pub(crate) struct ExplainRequest {
    pub(crate) source: ExplainSource,
    /// The platform, if the image has several.
    pub(crate) platform: Option<Platform>,
}

#[derive(Debug, Clone)]
pub(crate) enum ExplainSource {
    Image(ImageSource),
    /// An archive with an image, in any format.
    Archive(PathBuf),
    /// A file that contains explanations.
    File(PathBuf),
}
