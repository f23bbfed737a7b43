//! Finds the root document of an OCI layout. The root is the image that has the reference as its name in `index.json`
//! (image-spec, image-layout.md).

use super::MAX_DOCUMENT_BYTES;
use super::Medium;
use super::choice::is_attestation;
use super::error::ImagesError;
use crate::formats::oci::{self, Descriptor, Index};
use crate::model::digest::Digest;
use crate::model::image::{BlobDigest, Document};
use crate::model::image_name::qualified;

pub(super) const INDEX_FILE: &str = "index.json";

/// Returns the document to which `reference` leads. Without a reference, the layout must contain exactly one image. If
/// the entries of the index have platforms and no names, the index itself is the image.
pub(super) fn root(bytes: Vec<u8>, reference: Option<&str>, medium: &Medium<'_>) -> Result<Document, ImagesError> {
    if bytes.len() as u64 > MAX_DOCUMENT_BYTES {
        let digest = BlobDigest(Digest::of(&bytes));
        return Err(ImagesError::TooLarge { digest, size_bytes: bytes.len() as u64 });
    }
    let index: Index =
        serde_json::from_slice(&bytes).map_err(|source| ImagesError::Json { name: INDEX_FILE.to_owned(), source })?;
    let entries: Vec<&Descriptor> = index.manifests.iter().filter(|entry| !is_attestation(entry)).collect();
    let found: Vec<&Descriptor> = match reference {
        Some(reference) => entries.iter().copied().filter(|entry| is_named(entry, reference)).collect(),
        None => entries.clone(),
    };
    match (&found[..], reference) {
        ([], Some(wanted)) => Err(ImagesError::Reference { wanted: wanted.to_owned(), there: names(&entries) }),
        ([first, others @ ..], _) if others.iter().all(|other| other.digest == first.digest) => medium.document(first),
        ([], None) => Err(ImagesError::Reference { wanted: "index.json".to_owned(), there: Vec::new() }),
        (found, None) if found.iter().all(|entry| entry.platform.is_some() && name_of(entry).is_none()) => {
            Ok(Document::new(oci::INDEX, bytes))
        }
        (found, _) => Err(ImagesError::Ambiguous { there: names(found) }),
    }
}

fn name_of(entry: &Descriptor) -> Option<&String> {
    entry.annotations.get(oci::REF_NAME).or_else(|| entry.annotations.get(oci::IMAGE_NAME))
}

/// Whether `reference` is the name, the full name or the digest of the entry.
fn is_named(entry: &Descriptor, reference: &str) -> bool {
    let is = |annotation: &str, wanted: &str| entry.annotations.get(annotation).is_some_and(|name| name == wanted);
    is(oci::REF_NAME, reference) || is(oci::IMAGE_NAME, &qualified(reference)) || entry.digest == reference
}

fn names(entries: &[&Descriptor]) -> Vec<String> {
    entries.iter().map(|entry| format!("`{}`", name_of(entry).unwrap_or(&entry.digest))).collect()
}
