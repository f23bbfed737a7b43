//! Reads the output of `docker save`, so that it can be used like any image with a manifest.
//!
//! Since Docker 25, such an archive is also an OCI layout, so it contains the manifest of the image. The older format
//! has no manifest (Moby, image/spec/v1.2.md), so lath creates one. This manifest depends only on the config and the
//! layers in the archive, so the same archive always has the same manifest.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::archive::Archive;
use super::document::{ImageDocument, is_index, parse};
use super::error::ImagesError;
use super::{Medium, checked_document, copy, layout};
use crate::formats::compressed::{self, Format};
use crate::formats::oci::{self, Config, Descriptor, DockerManifest, Index, Manifest};
use crate::model::digest::DigestWriter;
use crate::model::image::{BlobDigest, Document};
use crate::model::image_name::qualified;

/// The maximum number of layers, as in `steps/base`. The number is checked here, too, because this module reads
/// compressed layers before `steps/base` checks it.
const MAX_LAYERS: usize = 1000;
/// The maximum number of documents that are read to find the manifest of an image.
const MAX_DOCUMENTS: usize = 200;
const MANIFEST_FILE: &str = "manifest.json";

pub(super) struct SavedArchive {
    archive: Archive,
    manifest: Document,
    config: Document,
    /// The archive's member for each layer. The key is the digest of the layer's bytes.
    layers: BTreeMap<BlobDigest, String>,
}

/// Opens the image with this name. Without a name, the archive must contain exactly one image.
pub(super) fn open(archive: Archive, name: Option<&str>) -> Result<(Document, Medium<'static>), ImagesError> {
    let unreadable = |source| ImagesError::Json { name: MANIFEST_FILE.to_owned(), source };
    let images: Vec<DockerManifest> = serde_json::from_slice(&archive.document(MANIFEST_FILE)?).map_err(unreadable)?;
    let image = chosen(&images, name)?;
    let config = Document::new(oci::CONFIG, archive.document(&image.config)?);
    if let Some(manifest) = own_manifest(&archive, &config.digest)? {
        return Ok((manifest, Medium::Archive(archive)));
    }
    let saved = SavedArchive::with_made_manifest(archive, image, config)?;
    Ok((saved.manifest.clone(), Medium::Saved(saved)))
}

/// Returns the manifest of the image with this config. Returns `None` if the archive is not an OCI layout, or if a
/// layer of the image is missing in it.
fn own_manifest(archive: &Archive, config: &BlobDigest) -> Result<Option<Document>, ImagesError> {
    if !archive.has(layout::INDEX_FILE) {
        return Ok(None);
    }
    let place = |digest: &BlobDigest| format!("blobs/sha256/{}", digest.0);
    let bytes = archive.document(layout::INDEX_FILE)?;
    let mut indexes = vec![Document::new(oci::INDEX, bytes)];
    let mut left = MAX_DOCUMENTS;
    while let Some(index) = indexes.pop() {
        let name = || index.digest.0.prefixed();
        let index: Index =
            serde_json::from_slice(&index.bytes).map_err(|source| ImagesError::Json { name: name(), source })?;
        for entry in &index.manifests {
            // An index may name images that are not in the archive.
            let Ok(digest) = super::digest_of(entry) else { continue };
            if left == 0 || !archive.has(&place(&digest)) {
                continue;
            }
            left -= 1;
            let document = checked_document(entry, |blob, writer| copy(archive.blob(&blob.digest)?, writer))?;
            if is_index(&document.media_type) {
                indexes.push(document);
                continue;
            }
            let Ok(ImageDocument::Manifest(manifest)) = parse(&document) else { continue };
            let has_layer =
                |layer: &Descriptor| super::digest_of(layer).is_ok_and(|digest| archive.has(&place(&digest)));
            if manifest.config.digest == config.0.prefixed() && manifest.layers.iter().all(has_layer) {
                return Ok(Some(document));
            }
        }
    }
    Ok(None)
}

impl SavedArchive {
    fn with_made_manifest(archive: Archive, image: &DockerManifest, config: Document) -> Result<Self, ImagesError> {
        let unreadable = |name: &str, source| ImagesError::Json { name: name.to_owned(), source };
        let diff_ids = serde_json::from_slice::<Config>(&config.bytes)
            .map_err(|source| unreadable(&image.config, source))?
            .rootfs
            .diff_ids;
        if diff_ids.len() != image.layers.len() {
            let problem = format!("it has {} layers, and `{MANIFEST_FILE}` has {}", diff_ids.len(), image.layers.len());
            return Err(ImagesError::Malformed { name: image.config.clone(), problem });
        }
        if diff_ids.len() > MAX_LAYERS {
            let problem = format!("it has {} layers, and the limit is {MAX_LAYERS}", diff_ids.len());
            return Err(ImagesError::Malformed { name: image.config.clone(), problem });
        }
        let mut layers = BTreeMap::new();
        let mut descriptors = Vec::new();
        for (member, diff_id) in image.layers.iter().zip(&diff_ids) {
            let descriptor = descriptor_of(&archive, member, diff_id)?;
            layers.insert(super::digest_of(&descriptor)?, member.clone());
            descriptors.push(descriptor);
        }
        let manifest = Manifest::new(Descriptor::of(&config), descriptors, BTreeMap::new());
        let bytes = serde_json::to_vec(&manifest).map_err(|source| unreadable("manifest", source))?;
        Ok(Self { archive, manifest: Document::new(oci::MANIFEST, bytes), config, layers })
    }

    /// Opens the config or a layer.
    pub(super) fn blob(&self, digest: &BlobDigest) -> Result<Box<dyn Read + '_>, ImagesError> {
        if *digest == self.config.digest {
            return Ok(Box::new(self.config.bytes.as_slice()));
        }
        let member = self.layers.get(digest).ok_or(ImagesError::Missing(*digest))?;
        Ok(self.archive.reader(member)?.0)
    }
}

fn chosen<'a>(images: &'a [DockerManifest], name: Option<&str>) -> Result<&'a DockerManifest, ImagesError> {
    let there = || images.iter().flat_map(|image| &image.repo_tags).map(|tag| format!("`{tag}`")).collect();
    match (images, name) {
        ([image], None) => Ok(image),
        ([], None) => Err(ImagesError::Reference { wanted: MANIFEST_FILE.to_owned(), there: Vec::new() }),
        (_, None) => Err(ImagesError::Ambiguous { there: there() }),
        (_, Some(name)) => {
            let is_tagged = name.rsplit('/').next().is_some_and(|last| last.contains(':'));
            let wanted = qualified(&if is_tagged { name.to_owned() } else { format!("{name}:latest") });
            let is_named = |image: &&DockerManifest| image.repo_tags.iter().any(|tag| qualified(tag) == wanted);
            let missing = || ImagesError::Reference { wanted: name.to_owned(), there: there() };
            images.iter().find(is_named).ok_or_else(missing)
        }
    }
}

/// Returns the descriptor of a layer. The digest of an uncompressed layer is in the config, and is checked when the
/// layer is read. A compressed layer is read here, because its digest is not in any document.
fn descriptor_of(archive: &Archive, member: &str, diff_id: &str) -> Result<Descriptor, ImagesError> {
    let (reader, size_bytes) = archive.reader(member)?;
    let (format, mut whole) = compressed::recognised(reader).map_err(ImagesError::Read)?;
    let media_type = match format {
        Format::Plain => oci::LAYER,
        Format::Gzip => oci::LAYER_GZIP,
        Format::Zstd => oci::LAYER_ZSTD,
    };
    let digest = if format == Format::Plain {
        diff_id.to_owned()
    } else {
        let mut writer = DigestWriter::new(io::sink());
        io::copy(&mut whole, &mut writer).map_err(ImagesError::Read)?;
        writer.finish().1.prefixed()
    };
    Ok(Descriptor { digest, media_type: media_type.to_owned(), size: size_bytes, ..Descriptor::default() })
}
