//! Layers and images, in the terms of the OCI image specification.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub(crate) use crate::model::digest::BlobDigest;
use crate::model::digest::Digest;
use crate::model::image_source::ImageSource;
use crate::model::non_empty::NonEmpty;
use crate::model::platform::Platform;

/// The digest of a layer's uncompressed tar file (image-spec, config.md, "Layer DiffID").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct DiffId(pub(crate) Digest);

/// A layer of an image, and its bytes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Layer {
    /// A readable description, such as `debian base` or `numpy`.
    pub(crate) title: String,
    pub(crate) digest: BlobDigest,
    pub(crate) diff_id: DiffId,
    pub(crate) media_type: String,
    /// The size of the compressed blob.
    pub(crate) size_bytes: u64,
    /// The size of the uncompressed tar file.
    pub(crate) tar_bytes: u64,
    /// The sum of the sizes of its files.
    pub(crate) files_bytes: u64,
    pub(crate) contents: LayerContents,
    /// The annotations of the layer's descriptor in the manifest, except the title.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) annotations: BTreeMap<String, String>,
}

/// The bytes of a layer in the store.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum LayerContents {
    /// The keys of the segments, in order. The segments together are the blob.
    Segments(Vec<Digest>),
    /// The blob of a base image whose digest is the digest of the layer. The blob may be missing in the store.
    Blob,
}

impl LayerContents {
    /// Returns the keys of the segments. A blob of a base image has none.
    pub(crate) fn segments(&self) -> &[Digest] {
        match self {
            Self::Segments(segments) => segments,
            Self::Blob => &[],
        }
    }
}

/// A blob of a registry: its digest, and its size according to the manifest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct BlobDescriptor {
    pub(crate) digest: BlobDigest,
    pub(crate) size_bytes: u64,
}

/// A JSON document of an image (config, manifest, index): its exact bytes and their digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Document {
    pub(crate) media_type: Cow<'static, str>,
    pub(crate) bytes: Vec<u8>,
    pub(crate) digest: BlobDigest,
}

impl Document {
    pub(crate) fn new(media_type: impl Into<Cow<'static, str>>, bytes: Vec<u8>) -> Self {
        let digest = BlobDigest(Digest::of(&bytes));
        Self { media_type: media_type.into(), bytes, digest }
    }
}

/// The sealed image of one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlatformImage {
    pub(crate) platform: Platform,
    pub(crate) layers: Vec<Layer>,
    pub(crate) config: Document,
    pub(crate) manifest: Document,
}

/// An image for all its platforms, with all data that a destination needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image {
    /// The image's name in the request.
    pub(crate) name: String,
    /// The other names of the image in the request.
    pub(crate) aliases: Vec<String>,
    /// The time of all files and documents in the image, in seconds since 1970.
    pub(crate) epoch_secs: u64,
    pub(crate) platforms: NonEmpty<PlatformImage>,
    /// The index, if there are several platforms.
    pub(crate) index: Option<Document>,
    /// The base image, as in `--base`. If the base image is in the registry to which the image is pushed, its layers
    /// need not be uploaded: the registry can take them from there ("mount").
    pub(crate) base: Option<ImageSource>,
}

impl Image {
    /// Returns all names. The name in the request comes first.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        [&self.name].into_iter().chain(&self.aliases).map(String::as_str)
    }

    /// Returns the digest that identifies the image. This is the digest of the index, or of the only manifest.
    pub(crate) fn digest(&self) -> BlobDigest {
        match &self.index {
            Some(index) => index.digest,
            None => self.platforms.first().manifest.digest,
        }
    }
}

#[cfg(test)]
impl Image {
    /// Returns an image with one platform and one layer, for use in tests. Its documents are not JSON.
    pub(crate) fn example() -> Self {
        use crate::model::platform::Architecture;
        let layer = Layer {
            title: "base".to_owned(),
            digest: BlobDigest(Digest::of(b"layer")),
            diff_id: DiffId(Digest::of(b"tar")),
            media_type: "application/vnd.oci.image.layer.v1.tar+gzip".to_owned(),
            size_bytes: 5,
            tar_bytes: 2048,
            files_bytes: 1000,
            contents: LayerContents::Segments(Vec::new()),
            annotations: BTreeMap::new(),
        };
        let platform = PlatformImage {
            platform: Platform { architecture: Architecture::Amd64 },
            layers: vec![layer],
            config: Document::new("application/vnd.oci.image.config.v1+json", b"config".to_vec()),
            manifest: Document::new("application/vnd.oci.image.manifest.v1+json", b"manifest".to_vec()),
        };
        Self {
            name: "team/tool:1".to_owned(),
            aliases: Vec::new(),
            epoch_secs: 0,
            platforms: NonEmpty::of(platform),
            index: None,
            base: None,
        }
    }
}
