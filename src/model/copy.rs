//! A copy of an image from one place to another.

use crate::model::destination::Destination;
use crate::model::image::BlobDigest;
use crate::model::image_source::ImageSource;
use crate::model::platform::Platform;

#[derive(Debug, Clone)]
pub(crate) struct CopyRequest {
    pub(crate) source: ImageSource,
    pub(crate) destination: Destination,
    /// The only platform that is copied. If it is `None`, all platforms that the destination can contain are copied.
    pub(crate) platform: Option<Platform>,
    /// Whether manifests about the image, such as signatures, are copied too.
    pub(crate) referrers: bool,
}

/// The result of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copied {
    /// The destination with the digest, such as `oci:layout@sha256:...`.
    pub(crate) destination: String,
    pub(crate) digest: BlobDigest,
    /// The digest of the source, if the digest of the copy is different.
    pub(crate) source_digest: Option<BlobDigest>,
    /// The number of copied manifests, without attestations.
    pub(crate) images: usize,
    pub(crate) blobs: usize,
    pub(crate) bytes: u64,
    /// The platform, if the source has several and only one was copied.
    pub(crate) platform: Option<Platform>,
    /// The number of copied referrers, if the user requested a copy of them.
    pub(crate) referrers: Option<usize>,
}
