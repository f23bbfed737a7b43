//! The documents and the blobs of an image, as all destinations need them. A layer of lath's own is joined from its
//! segments; a layer of an image that exists is fetched when it is needed.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use fs_err as fs;

use super::EmitError;
use crate::model::digest::Digest;
use crate::model::image::{Document, Image, Layer, LayerContents};
use crate::model::image_reference::ImageReference;
use crate::outside::store::Store;

/// An image that is written to destinations.
#[derive(Clone)]
pub(crate) struct Contents<'a> {
    /// All names, at least one. The first is the name in messages.
    pub(crate) names: Vec<String>,
    /// Seconds since 1970, for the files of an archive.
    pub(crate) epoch_secs: u64,
    /// The index, or the only manifest. Its digest is that of the image.
    pub(crate) root: &'a Document,
    /// The manifests and indexes below the root, each after the documents that it names.
    pub(crate) documents: Vec<&'a Document>,
    /// The configs and the layers.
    pub(crate) blobs: BTreeMap<Digest, Blob<'a>>,
    /// The platform that formats with only one platform contain. An index may have none.
    pub(crate) first: Option<OnePlatform>,
    /// The image of a registry that the fetched blobs come from. In its registry they are not sent, but mounted.
    pub(crate) origin: Option<&'a ImageReference>,
}

/// The config and the layers of one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OnePlatform {
    pub(crate) config: Digest,
    pub(crate) layers: Vec<Digest>,
}

#[derive(Clone)]
pub(crate) enum Blob<'a> {
    Document(&'a [u8]),
    /// Segments of the store.
    Segments {
        segments: &'a [Digest],
        size_bytes: u64,
    },
    /// A blob of an image that exists.
    Fetched {
        size_bytes: u64,
        /// Returns its file in the store, which is fetched first if it is missing.
        fetch: Arc<dyn Fn() -> Result<PathBuf, EmitError> + Send + Sync + 'a>,
    },
}

impl Blob<'_> {
    pub(crate) fn size_bytes(&self) -> u64 {
        match self {
            Self::Document(bytes) => bytes.len() as u64,
            Self::Segments { size_bytes, .. } | Self::Fetched { size_bytes, .. } => *size_bytes,
        }
    }

    pub(super) fn reader<'a>(&'a self, store: &'a Store) -> Result<Box<dyn io::Read + Send + 'a>, EmitError> {
        Ok(match self {
            Self::Document(bytes) => Box::new(*bytes),
            Self::Segments { segments, .. } => Box::new(Joined { segments: segments.iter(), current: None, store }),
            Self::Fetched { fetch, .. } => {
                let path = fetch()?;
                Box::new(fs::File::open(&path).map_err(|source| EmitError::Blob { source })?)
            }
        })
    }
}

impl<'a> Contents<'a> {
    /// Returns the contents of an image that lath made.
    pub(crate) fn of(image: &'a Image) -> Self {
        let mut blobs = BTreeMap::new();
        for platform in &image.platforms {
            blobs.insert(platform.config.digest.0, Blob::Document(&platform.config.bytes));
            blobs.extend(platform.layers.iter().map(|layer| (layer.digest.0, blob(layer))));
        }
        let first = image.platforms.first();
        let documents = image.platforms.iter().map(|platform| &platform.manifest);
        Self {
            names: image.names().map(str::to_owned).collect(),
            epoch_secs: image.epoch_secs,
            root: image.index.as_ref().unwrap_or(&first.manifest),
            documents: if image.index.is_some() { documents.collect() } else { Vec::new() },
            blobs,
            first: Some(OnePlatform {
                config: first.config.digest.0,
                layers: first.layers.iter().map(|layer| layer.digest.0).collect(),
            }),
            origin: None,
        }
    }

    /// Returns the documents and the blobs by digest, as a layout stores them.
    pub(super) fn files(&self) -> BTreeMap<Digest, Blob<'a>> {
        let documents = self.documents.iter().copied().chain([self.root]);
        let documents = documents.map(|document| (document.digest.0, Blob::Document(&document.bytes)));
        self.blobs.clone().into_iter().chain(documents).collect()
    }
}

fn blob(layer: &Layer) -> Blob<'_> {
    match &layer.contents {
        LayerContents::Segments(segments) => Blob::Segments { segments, size_bytes: layer.size_bytes },
        LayerContents::Blob => Blob::Segments { segments: &[], size_bytes: layer.size_bytes },
    }
}

/// Reads segments one after the other.
struct Joined<'a> {
    segments: std::slice::Iter<'a, Digest>,
    current: Option<fs::File>,
    store: &'a Store,
}

impl io::Read for Joined<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(file) = &mut self.current {
                let length = file.read(buffer)?;
                if length > 0 || buffer.is_empty() {
                    return Ok(length);
                }
            }
            let Some(next) = self.segments.next() else { return Ok(0) };
            self.current = Some(fs::File::open(self.store.segment_path(next))?);
        }
    }
}
