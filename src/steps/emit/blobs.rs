//! The blobs of an image by digest: its documents, and its layers. A layer is joined from its segments.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;

use fs_err as fs;

use crate::model::digest::Digest;
use crate::model::image::{BlobDigest, Image, LayerContents};
use crate::outside::store::Store;

pub(super) enum Blob<'a> {
    Document(&'a [u8]),
    Segments {
        segments: &'a [Digest],
        size_bytes: u64,
    },
    /// A layer of the base image.
    Kept {
        digest: BlobDigest,
        size_bytes: u64,
    },
}

impl Blob<'_> {
    pub(super) fn size_bytes(&self) -> u64 {
        match self {
            Self::Document(bytes) => bytes.len() as u64,
            Self::Segments { size_bytes, .. } | Self::Kept { size_bytes, .. } => *size_bytes,
        }
    }

    pub(super) fn reader<'a>(&'a self, store: &'a Store) -> Box<dyn io::Read + 'a> {
        match self {
            Self::Document(bytes) => Box::new(*bytes),
            Self::Segments { segments, .. } => Box::new(Joined { segments: segments.iter(), current: None, store }),
            Self::Kept { digest, .. } => Box::new(Later { path: store.blob_path(digest), file: None }),
        }
    }
}

/// Returns every blob of the image once.
pub(super) fn blobs(image: &Image) -> BTreeMap<Digest, Blob<'_>> {
    let mut blobs = BTreeMap::new();
    for platform in &image.platforms {
        for document in [&platform.config, &platform.manifest] {
            blobs.insert(document.digest.0, Blob::Document(&document.bytes));
        }
        for layer in &platform.layers {
            let size_bytes = layer.size_bytes;
            let blob = match &layer.contents {
                LayerContents::Segments(segments) => Blob::Segments { segments, size_bytes },
                LayerContents::Blob => Blob::Kept { digest: layer.digest, size_bytes },
            };
            blobs.insert(layer.digest.0, blob);
        }
    }
    if let Some(index) = &image.index {
        blobs.insert(index.digest.0, Blob::Document(&index.bytes));
    }
    blobs
}

/// A file that is opened when it is first read.
struct Later {
    path: PathBuf,
    file: Option<fs::File>,
}

impl io::Read for Later {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let file = match self.file.take() {
            Some(file) => file,
            None => fs::File::open(&self.path)?,
        };
        self.file.insert(file).read(buffer)
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
