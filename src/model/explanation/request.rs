//! The image whose explanation the user wants.

use std::path::PathBuf;

use crate::model::image_source::ImageSource;
use crate::model::platform::Platform;

#[derive(Debug, Clone)]
pub(crate) struct ExplainRequest {
    pub(crate) source: ExplainSource,
    /// The platform, if there are several.
    pub(crate) platform: Option<Platform>,
}

#[derive(Debug, Clone)]
pub(crate) enum ExplainSource {
    Image(ImageSource),
    /// An archive of an image. It may have any form.
    Archive(PathBuf),
    /// A file with explanations.
    File(PathBuf),
}
