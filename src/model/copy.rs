//! A copy of an image from one place to another.

use crate::model::destination::Destination;
use crate::model::image::BlobDigest;
use crate::model::image_source::ImageSource;
use crate::model::platform::Platform;

#[derive(Debug, Clone)]
pub(crate) struct CopyRequest {
    pub(crate) source: ImageSource,
    pub(crate) destination: Destination,
    /// The only platform to copy. Without it, all are copied if the destination can contain them.
    pub(crate) platform: Option<Platform>,
    /// Whether manifests about the image, such as signatures, are copied too.
    pub(crate) referrers: bool,
}

/// The result of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Copied {
    /// The destination with the digest: `oci:layout@sha256:...`.
    pub(crate) destination: String,
    pub(crate) digest: BlobDigest,
    /// Of the source, if the digest of the copy is another one.
    pub(crate) source_digest: Option<BlobDigest>,
    /// The number of manifests, without those of attestations.
    pub(crate) images: usize,
    pub(crate) blobs: usize,
    pub(crate) bytes: u64,
    /// The platform, if only one of several was copied.
    pub(crate) platform: Option<Platform>,
    /// The number of copied referrers, if they were wanted.
    pub(crate) referrers: Option<usize>,
}
