//! Reads the documents of images. A document is refused if one program could read it as an index, and another program
//! as a manifest.

use serde_json::Value;

use super::error::ImagesError;
use crate::formats::oci::{self, Config, Descriptor, Index, Manifest};
use crate::model::digest::Digest;
use crate::model::image::{BlobDigest, Document};

/// The media types of schema 1, an old format of manifests.
const SCHEMA_1: [&str; 2] = [
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
];

/// A document that lists the platforms of an image, or the layers of one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ImageDocument {
    Index(Index),
    Manifest(Manifest),
}

pub(crate) fn is_index(media_type: &str) -> bool {
    matches!(media_type, oci::INDEX | oci::DOCKER_INDEX)
}

pub(crate) fn is_image_manifest(media_type: &str) -> bool {
    matches!(media_type, oci::MANIFEST | oci::DOCKER_MANIFEST)
}

/// Reads an index or a manifest. If the document contains a media type, it must be the type in the descriptor. An index
/// must not have the fields of a manifest, and a manifest must not have those of an index (GHSA-77vh-xpmg-72qh).
pub(crate) fn parse(document: &Document) -> Result<ImageDocument, ImagesError> {
    let name = document.digest.0.prefixed();
    let unreadable = |source| ImagesError::Json { name: name.clone(), source };
    let media_type = &*document.media_type;
    let value: Value = serde_json::from_slice(&document.bytes).map_err(unreadable)?;
    if SCHEMA_1.contains(&media_type) || value["schemaVersion"] == 1 {
        return Err(ImagesError::Schema1);
    }
    let malformed = |problem: String| ImagesError::Malformed { name: name.clone(), problem };
    if let Some(own) = value["mediaType"].as_str().filter(|own| *own != media_type) {
        return Err(malformed(format!("it has the media type `{own}`, and was found as `{media_type}`")));
    }
    let has_platforms = !value["manifests"].is_null();
    let has_layers = !value["layers"].is_null() || !value["config"].is_null();
    if has_platforms && has_layers {
        return Err(malformed("it has the fields of an index and of a manifest".to_owned()));
    }
    if is_index(media_type) {
        return serde_json::from_value(value).map(ImageDocument::Index).map_err(unreadable);
    }
    if !is_image_manifest(media_type) {
        let (role, media_type) = ("manifest", media_type.to_owned());
        return Err(ImagesError::MediaType { digest: name, role, media_type });
    }
    let mut value = value;
    if value["mediaType"].is_null() {
        // Before version 1.1 of the specification, manifests could lack the field `mediaType`.
        value["mediaType"] = media_type.into();
    }
    serde_json::from_value(value).map(ImageDocument::Manifest).map_err(unreadable)
}

/// Returns the media type of an index or a manifest that has no descriptor. The media type is in the document, or
/// follows from the fields of the document.
pub(super) fn media_type_in(bytes: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    let own = value["mediaType"].as_str().map(str::to_owned);
    own.or_else(|| value["manifests"].is_array().then(|| oci::INDEX.to_owned()))
        .or_else(|| value["layers"].is_array().then(|| oci::MANIFEST.to_owned()))
}

/// Reads a config.
pub(super) fn parse_config(document: &Document) -> Result<Config, ImagesError> {
    let (name, media_type) = (document.digest.0.prefixed(), &*document.media_type);
    if !matches!(media_type, oci::CONFIG | oci::DOCKER_CONFIG) {
        return Err(ImagesError::MediaType { digest: name, role: "config", media_type: media_type.to_owned() });
    }
    serde_json::from_slice(&document.bytes).map_err(|source| ImagesError::Json { name, source })
}

/// Returns the digest of a descriptor, which must use sha256.
pub(crate) fn digest_of(descriptor: &Descriptor) -> Result<BlobDigest, ImagesError> {
    let text = &descriptor.digest;
    Digest::of_prefixed(text).map(BlobDigest).ok_or_else(|| ImagesError::Algorithm { digest: text.clone() })
}
