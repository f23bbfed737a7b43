//! Explanations that are attached to the images in a registry. For each platform, there is a manifest whose only layer
//! is the explanation. Its subject is the manifest of the platform's image (image-spec, manifest.md, "Guidelines for
//! Artifact Usage").

use std::collections::BTreeMap;
use std::io;

use fs_err as fs;
use serde_json::{Map, json};

use super::EmitError;
use super::registry::failed;
use crate::formats::oci::{self, Descriptor, Manifest};
use crate::model::destination::Destination;
use crate::model::digest::Digest;
use crate::model::image::{BlobDescriptor, BlobDigest, Document};
use crate::model::image_reference::ImageReference;
use crate::outside::registry::Upload;
use crate::outside::world::World;

/// An explanation in the store, and the manifest of the image that it explains.
#[derive(Debug, Clone)]
pub(crate) struct Attachment<'a> {
    pub(crate) subject: &'a Document,
    pub(crate) explanation: BlobDescriptor,
}

/// Attaches the explanations to the image in each registry.
pub(super) fn attach(
    attachments: &[Attachment<'_>],
    destinations: &[Destination],
    world: &World,
) -> Result<(), EmitError> {
    let mut done: Vec<String> = Vec::new();
    for destination in destinations {
        let Destination::Registry(image) = destination else { continue };
        if done.contains(&image.name()) {
            continue;
        }
        done.push(image.name());
        attachments.iter().try_for_each(|attachment| attach_to(image, attachment, world))?;
    }
    Ok(())
}

fn attach_to(image: &ImageReference, attachment: &Attachment<'_>, world: &World) -> Result<(), EmitError> {
    let push_failed = |source| failed(image, source);
    let config = BlobDescriptor { digest: BlobDigest(Digest::of(oci::EMPTY_CONFIG)), size_bytes: 2 };
    let explanation = attachment.explanation;
    let uploads = [
        Upload {
            title: "config".to_owned(),
            blob: config,
            open: Box::new(|| Ok(Box::new(io::Cursor::new(oci::EMPTY_CONFIG)))),
            mount_from: Vec::new(),
        },
        Upload {
            title: "explanation".to_owned(),
            blob: explanation,
            open: Box::new(move || Ok(Box::new(fs::File::open(world.store.blob_path(&explanation.digest))?))),
            mount_from: Vec::new(),
        },
    ];
    world.registry.push_blobs(image, &uploads).map_err(push_failed)?;
    let document = manifest(attachment, config)?;
    let other = Map::from_iter([("artifactType".to_owned(), oci::EXPLANATION.into())]);
    let entry = Descriptor { other, ..Descriptor::of(&document) };
    world.registry.push_referrer(image, &attachment.subject.digest, &document, &entry).map_err(push_failed)
}

fn manifest(attachment: &Attachment<'_>, config: BlobDescriptor) -> Result<Document, EmitError> {
    let descriptor = |blob: BlobDescriptor, media_type: &str| Descriptor {
        digest: blob.digest.0.prefixed(),
        media_type: media_type.to_owned(),
        size: blob.size_bytes,
        ..Descriptor::default()
    };
    let layer = descriptor(attachment.explanation, oci::EXPLANATION_LAYER);
    let mut manifest = Manifest::new(descriptor(config, oci::EMPTY), vec![layer], BTreeMap::new());
    manifest.other.insert("artifactType".to_owned(), oci::EXPLANATION.into());
    manifest.other.insert("subject".to_owned(), json!(Descriptor::of(attachment.subject)));
    Ok(Document::new(oci::MANIFEST, serde_json::to_vec(&manifest)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifest_names_its_subject() {
        let subject = Document::new(oci::MANIFEST, b"{}".to_vec());
        let explanation = BlobDescriptor { digest: BlobDigest(Digest::of(b"explanation")), size_bytes: 11 };
        let config = BlobDescriptor { digest: BlobDigest(Digest::of(oci::EMPTY_CONFIG)), size_bytes: 2 };
        let document = manifest(&Attachment { subject: &subject, explanation }, config).unwrap();
        insta::assert_snapshot!(String::from_utf8(document.bytes).unwrap(), @r#"{"config":{"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","mediaType":"application/vnd.oci.empty.v1+json","size":2},"layers":[{"digest":"sha256:f78fcae67d4aa99819ff5891fd3c38d15a0d8b97d477d8b89040ca43aaeded9e","mediaType":"application/vnd.lath.explanation.v1+json+zstd","size":11}],"mediaType":"application/vnd.oci.image.manifest.v1+json","schemaVersion":2,"artifactType":"application/vnd.lath.explanation.v1","subject":{"digest":"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a","mediaType":"application/vnd.oci.image.manifest.v1+json","size":2}}"#);
    }
}
