//! The output of `docker save`, as an image with a manifest.
//!
//! The format has no manifest of the image (Moby, image/spec/v1.2.md), so one is made. It is made from the config and
//! the layers as they are in the archive and nothing else, so the same archive has the same manifest at any time.

use std::collections::BTreeMap;
use std::io::{self, Read};

use super::archive::Archive;
use super::error::ImagesError;
use crate::formats::oci::{self, Config, Descriptor, DockerManifest, Manifest};
use crate::model::digest::DigestWriter;
use crate::model::image::{BlobDigest, Document};
use crate::model::image_name::qualified;

/// The most layers of an image, as in `steps/base`. Compressed ones are read before their number matters elsewhere.
const MAX_LAYERS: usize = 1000;
const MANIFEST_FILE: &str = "manifest.json";
const GZIP: [u8; 2] = [0x1f, 0x8b];
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

pub(super) struct SavedArchive {
    archive: Archive,
    manifest: Document,
    config: Document,
    /// The member of each layer, by the digest of its bytes.
    layers: BTreeMap<BlobDigest, String>,
}

impl SavedArchive {
    /// Opens the image with this name. Without a name the archive must contain one image.
    pub(super) fn open(archive: Archive, name: Option<&str>) -> Result<Self, ImagesError> {
        let unreadable = |name: &str, source| ImagesError::Json { name: name.to_owned(), source };
        let bytes = archive.document(MANIFEST_FILE)?;
        let images: Vec<DockerManifest> =
            serde_json::from_slice(&bytes).map_err(|source| unreadable(MANIFEST_FILE, source))?;
        let image = chosen(&images, name)?;
        let config = Document::new(oci::CONFIG, archive.document(&image.config)?);
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

    pub(super) fn manifest(&self) -> &Document {
        &self.manifest
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

/// Returns the descriptor of a layer. The digest of an uncompressed one is in the config, and is checked when the layer
/// is read. The other ones are read here, because nothing else contains their digest.
fn descriptor_of(archive: &Archive, member: &str, diff_id: &str) -> Result<Descriptor, ImagesError> {
    let (mut reader, size_bytes) = archive.reader(member)?;
    let mut start = Vec::new();
    reader.by_ref().take(ZSTD.len() as u64).read_to_end(&mut start).map_err(ImagesError::Read)?;
    let media_type = if start.starts_with(&GZIP) {
        oci::LAYER_GZIP
    } else if start.starts_with(&ZSTD) {
        oci::LAYER_ZSTD
    } else {
        oci::LAYER
    };
    let digest = if media_type == oci::LAYER {
        diff_id.to_owned()
    } else {
        let mut writer = DigestWriter::new(io::sink());
        io::copy(&mut start.as_slice().chain(reader), &mut writer).map_err(ImagesError::Read)?;
        writer.finish().1.prefixed()
    };
    Ok(Descriptor { digest, media_type: media_type.to_owned(), size: size_bytes, ..Descriptor::default() })
}
