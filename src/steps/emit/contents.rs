//! The documents and the blobs of an image, as all destinations need them. lath's own layers are joined from their
//! segments. A blob of an existing image is fetched when a destination needs its bytes.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use fs_err as fs;

use super::EmitError;
use crate::formats::oci::Descriptor;
use crate::model::digest::Digest;
use crate::model::image::{BlobDigest, Document, Image, Layer, LayerContents};
use crate::model::image_reference::ImageReference;
use crate::model::image_source::ImageSource;
use crate::outside::images;
use crate::outside::store::Store;
use crate::outside::world::World;

/// An image that is written to destinations.
#[derive(Clone)]
pub(crate) struct Contents<'a> {
    /// All names, at least one. The first is the name in messages.
    pub(crate) names: Vec<String>,
    /// Seconds since 1970, for the files of an archive.
    pub(crate) epoch_secs: u64,
    /// The index, or the only manifest. Its digest is the digest of the image.
    pub(crate) root: &'a Document,
    /// The manifests and indexes below the root, each after the documents to which it refers.
    pub(crate) documents: Vec<&'a Document>,
    /// The configs and the layers.
    pub(crate) blobs: BTreeMap<Digest, Blob<'a>>,
    /// The platform that is written if the format can contain only one platform. `None` if the index has no platform.
    pub(crate) first: Option<OnePlatform>,
    /// The image in a registry from which blobs are fetched. Within that registry, the blobs can be copied without a
    /// transfer.
    pub(crate) origin: Option<&'a ImageReference>,
}

/// The config and the layers of one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OnePlatform {
    pub(crate) config: Digest,
    pub(crate) layers: Vec<Digest>,
}

/// The image that another one is built on.
#[derive(Clone, Copy)]
pub(crate) struct Base<'a> {
    pub(crate) source: &'a ImageSource,
    pub(crate) world: &'a World,
}

/// A config or a layer.
#[derive(Clone)]
pub(crate) struct Blob<'a> {
    /// A description for people, such as `numpy`.
    pub(crate) title: String,
    pub(crate) size_bytes: u64,
    pub(crate) bytes: Bytes<'a>,
}

/// The place of the bytes of a blob.
#[derive(Clone)]
pub(crate) enum Bytes<'a> {
    Memory(&'a [u8]),
    /// Segments of the store.
    Segments(&'a [Digest]),
    /// A blob of the store.
    Kept(BlobDigest),
    /// Returns the file of the blob. If the store does not contain the blob, it is fetched first.
    Fetched(Arc<Fetch<'a>>),
}

pub(crate) type Fetch<'a> = dyn Fn() -> Result<PathBuf, EmitError> + Send + Sync + 'a;

impl Blob<'_> {
    pub(super) fn reader(&self, store: &Store) -> Result<Box<dyn io::Read + Send>, EmitError> {
        Ok(match &self.bytes {
            Bytes::Memory(bytes) => Box::new(io::Cursor::new(bytes.to_vec())),
            Bytes::Segments(segments) => {
                let paths: Vec<PathBuf> = segments.iter().map(|segment| store.segment_path(segment)).collect();
                Box::new(Joined { paths: paths.into_iter(), current: None })
            }
            Bytes::Kept(digest) => Box::new(fs::File::open(store.blob_path(digest)).map_err(EmitError::Blob)?),
            Bytes::Fetched(fetch) => Box::new(fs::File::open(fetch()?).map_err(EmitError::Blob)?),
        })
    }
}

impl<'a> Contents<'a> {
    /// Returns the contents of an image that lath made. A layer of a base image is fetched if a destination needs its
    /// bytes and the store does not contain them.
    pub(crate) fn of(image: &'a Image, base: Option<Base<'a>>) -> Self {
        let mut blobs = BTreeMap::new();
        for platform in &image.platforms {
            blobs.insert(platform.config.digest.0, in_memory("config", &platform.config));
            blobs.extend(platform.layers.iter().map(|layer| (layer.digest.0, of_layer(layer, base))));
        }
        let first = image.platforms.first();
        let manifests = image.platforms.iter().map(|platform| &platform.manifest);
        Self {
            names: image.names().map(str::to_owned).collect(),
            epoch_secs: image.epoch_secs,
            root: image.index.as_ref().unwrap_or(&first.manifest),
            documents: if image.index.is_some() { manifests.collect() } else { Vec::new() },
            blobs,
            first: Some(OnePlatform {
                config: first.config.digest.0,
                layers: first.layers.iter().map(|layer| layer.digest.0).collect(),
            }),
            origin: match base {
                Some(Base { source: ImageSource::Registry(image), .. }) => Some(image),
                _ => None,
            },
        }
    }

    /// Returns the documents and the blobs by digest, as a layout stores them.
    pub(super) fn files(&self) -> BTreeMap<Digest, Blob<'a>> {
        let documents = self.documents.iter().copied().chain([self.root]);
        let documents = documents.map(|document| (document.digest.0, in_memory("manifest", document)));
        self.blobs.clone().into_iter().chain(documents).collect()
    }
}

fn in_memory<'a>(title: &str, document: &'a Document) -> Blob<'a> {
    let size_bytes = document.bytes.len() as u64;
    Blob { title: title.to_owned(), size_bytes, bytes: Bytes::Memory(&document.bytes) }
}

fn of_layer<'a>(layer: &'a Layer, base: Option<Base<'a>>) -> Blob<'a> {
    let bytes = match (&layer.contents, base) {
        (LayerContents::Segments(segments), _) => Bytes::Segments(segments),
        (LayerContents::Blob, None) => Bytes::Kept(layer.digest),
        (LayerContents::Blob, Some(base)) => Bytes::Fetched(Arc::new(move || base.layer(layer))),
    };
    Blob { title: layer.title.clone(), size_bytes: layer.size_bytes, bytes }
}

impl Base<'_> {
    /// Returns the file of one of the base image's layers.
    fn layer(&self, layer: &Layer) -> Result<PathBuf, EmitError> {
        let Self { source, world } = self;
        if world.store.has_blob(&layer.digest, Some(layer.size_bytes)) {
            return Ok(world.store.blob_path(&layer.digest));
        }
        let descriptor = Descriptor {
            digest: layer.digest.0.prefixed(),
            media_type: layer.media_type.clone(),
            size: layer.size_bytes,
            ..Descriptor::default()
        };
        let fetched = images::open(source, world.image_doors()).and_then(|image| image.blob(&descriptor));
        fetched.map_err(|error| EmitError::Source(Box::new(error)))
    }
}

/// Reads files one after the other.
struct Joined {
    paths: std::vec::IntoIter<PathBuf>,
    current: Option<fs::File>,
}

impl io::Read for Joined {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(file) = &mut self.current {
                let length = file.read(buffer)?;
                if length > 0 || buffer.is_empty() {
                    return Ok(length);
                }
            }
            let Some(next) = self.paths.next() else { return Ok(0) };
            self.current = Some(fs::File::open(next)?);
        }
    }
}
