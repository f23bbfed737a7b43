//! The request for an image that is built on a base image.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::model::base_image::BaseImage;
use crate::model::image::BlobDigest;
use crate::model::image_source::ImageSource;
use crate::model::platform::{Platform, PythonVersion};

/// An image that lath builds on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct BaseImageRequest {
    #[serde(serialize_with = "as_text")]
    pub(crate) source: ImageSource,
    /// Whether the base image's Python distributions are used if they satisfy the request.
    pub(crate) uses_packages: bool,
    /// The Python versions that the inputs allow (PEP 440). `None` means any version.
    pub(crate) requires_python: Option<String>,
    /// The version of Python that the user named.
    pub(crate) python: Option<PythonVersion>,
    /// Whether the user named a release. If so, the base image must be of this release.
    pub(crate) has_release: bool,
    /// Whether the options contain the user (`--user`) that runs the image's program.
    pub(crate) has_user: bool,
    /// The digest to which the name of the image refers. It is the digest of an index, or the digest of the manifest if
    /// the image has only one platform. `None` if the platforms come from several images.
    #[serde(skip)]
    pub(crate) root: Option<BlobDigest>,
    /// The image of each platform. The images are added after they were opened.
    #[serde(skip)]
    pub(crate) images: Vec<Arc<BaseImage>>,
}

impl BaseImageRequest {
    /// Returns the name with which an engine finds the image. `None` if the image is in a file or a folder.
    pub(crate) fn engine_name(&self) -> Option<String> {
        match &self.source {
            ImageSource::Registry(image) => Some(image.to_string()),
            ImageSource::Daemon(name) => Some(name.clone()),
            ImageSource::Oci { .. } | ImageSource::OciArchive { .. } | ImageSource::DockerArchive { .. } => None,
        }
    }

    /// Returns the opened image of a platform.
    pub(crate) fn image_of(&self, platform: Platform) -> Option<&BaseImage> {
        self.images.iter().find(|image| image.platform == platform).map(Arc::as_ref)
    }
}

/// The base image for one platform.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OnBase<'a> {
    pub(crate) image: &'a BaseImage,
    pub(crate) request: &'a BaseImageRequest,
}

impl OnBase<'_> {
    /// Returns the home directory of the image's user. Returns `None` if the image does not define it.
    pub(crate) fn home(&self) -> Option<String> {
        let found = &self.image.found;
        let of_user = || found.user.home.clone().filter(|_| self.keeps_user());
        found.variable("HOME").map(str::to_owned).or_else(of_user)
    }

    /// Returns whether the program runs as the user of the image. If the user of the image is root, lath uses another
    /// user instead.
    pub(crate) fn keeps_user(&self) -> bool {
        !self.request.has_user && self.image.found.user.uid.is_some_and(|uid| uid != 0)
    }
}

fn as_text<S: serde::Serializer>(value: &impl fmt::Display, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}
