//! Tree -> layers. Paths are grouped by origin, and written as deterministic tar. Each piece is compressed once and
//! kept in the store.
//!
//! A layer's blob is the concatenation of its segments. Contents that did not change are not read again. The reason:
//! the store finds a segment by the digests of its files, and finds the digests of a layer by the segments of the
//! layer.

mod group;
mod layering;
mod segment;
mod table;
mod whiteouts;

use std::collections::BTreeMap;
use std::io;

use fs_err as fs;
use rayon::prelude::*;
use thiserror::Error;

use self::group::{Entry, Group, Packed, group};
use self::segment::Piece;
use self::whiteouts::whiteouts;
use crate::formats::oci;
use crate::model::digest::{Digest, DigestWriter};
use crate::model::hint::Hints;
use crate::model::image::{BlobDigest, DiffId, Layer, LayerContents};
use crate::model::request::{Compression, PackRequest};
use crate::model::tree::Tree;
use crate::outside::store::{Bucket, Store, StoreError};

#[derive(Debug, Error)]
pub(crate) enum PackError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot pack the files of {origin}")]
    Segment { origin: String, source: io::Error },
    #[error("cannot read back a part of the layer `{title}`")]
    Layer { title: String, source: io::Error },
}

impl Hints for PackError {
    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Store(error) => Some(error),
            Self::Segment { .. } | Self::Layer { .. } => None,
        }
    }
}

/// Packs `tree` and returns the layers from the bottom to the top. `requested` are the distributions that the user
/// named. `base` is the tree of the base image. If `tree` lacks a path of this tree, the layers remove the path.
pub(crate) fn pack(
    tree: &Tree,
    base: Option<&Tree>,
    requested: &[&str],
    request: PackRequest,
    store: &Store,
) -> Result<Vec<Layer>, PackError> {
    let removed = base.map(|base| whiteouts(base, tree)).unwrap_or_default();
    let contents = Packed { tree, removed: &removed };
    group(contents, requested, request.layers).par_iter().map(|group| layer(group, request, store)).collect()
}

/// Compresses the files of `tree` into the store. If [`pack`] is called later for a tree with the same files, it uses
/// the results.
pub(crate) fn compress(tree: &Tree, requested: &[&str], request: PackRequest, store: &Store) -> Result<(), PackError> {
    let removed = BTreeMap::new();
    let contents = Packed { tree, removed: &removed };
    let groups = group(contents, requested, request.layers);
    let pieces: Vec<Piece<'_>> = groups
        .iter()
        .flat_map(|group| &group.shares)
        .filter(|share| !share.is_folders())
        .flat_map(segment::pieces)
        .collect();
    pieces.par_iter().try_for_each(|piece| segment::segment(piece, request, store).map(drop))
}

fn layer(group: &Group<'_>, request: PackRequest, store: &Store) -> Result<Layer, PackError> {
    let title = &group.title;
    let files_bytes = group.shares.iter().flat_map(|share| &share.entries).map(Entry::size_bytes).sum();
    let pieces: Vec<Piece<'_>> = group.shares.iter().flat_map(segment::pieces).collect();
    let segments: Result<Vec<Digest>, PackError> =
        pieces.par_iter().map(|piece| segment::segment(piece, request, store)).collect();
    let mut segments = segments?;
    segments.push(segment::end(request, store)?);
    let key = Digest::of_fields(segments.iter().map(|segment| segment.as_bytes().as_slice()));
    // The store contains the segments in `segments`. A kept layer can have one more segment, which is its table of
    // contents. So lath checks only whether the store has the table.
    if let Some(kept) = store.entry::<Layer>(Bucket::Layers, &key)
        && kept.contents.segments().iter().skip(segments.len()).all(|table| store.has_segment(table))
    {
        return Ok(Layer { title: title.clone(), files_bytes, ..kept });
    }
    let failed = |source| PackError::Layer { title: title.clone(), source };
    let mut annotations = BTreeMap::new();
    if let Compression::ZstdChunked(level) = request.compression {
        let finished = table::table(&pieces, &segments, request.epoch_secs, level, store).map_err(failed)?;
        segments.push(table::keep(&key, &finished.frames, store)?);
        annotations = finished.annotations;
    }
    let media_type = if request.compression.is_zstd() { oci::LAYER_ZSTD } else { oci::LAYER_GZIP };
    let (blob, tar) = rayon::join(|| blob_digest(&segments, store), || diff_id(&segments, request.compression, store));
    let ((digest, size_bytes), (diff_id, tar_bytes)) = (blob.map_err(failed)?, tar.map_err(failed)?);
    let layer = Layer {
        title: title.clone(),
        digest: BlobDigest(digest),
        diff_id: DiffId(diff_id),
        media_type: media_type.to_owned(),
        size_bytes,
        tar_bytes,
        files_bytes,
        contents: LayerContents::Segments(segments),
        annotations,
    };
    store.write_entry(Bucket::Layers, &key, &layer)?;
    Ok(layer)
}

fn blob_digest(segments: &[Digest], store: &Store) -> io::Result<(Digest, u64)> {
    let mut writer = DigestWriter::new(io::sink());
    for segment in segments {
        io::copy(&mut fs::File::open(store.segment_path(segment))?, &mut writer)?;
    }
    let (_, digest, size_bytes) = writer.finish();
    Ok((digest, size_bytes))
}

/// Computes the digest and the size of the uncompressed tar. For this, it decompresses the segments like a client that
/// pulls the image. So a segment that cannot be decompressed is detected here.
fn diff_id(segments: &[Digest], compression: Compression, store: &Store) -> io::Result<(Digest, u64)> {
    let mut writer = DigestWriter::new(io::sink());
    for segment in segments {
        let file = io::BufReader::with_capacity(64 << 10, fs::File::open(store.segment_path(segment))?);
        match compression {
            Compression::Gzip(_) => io::copy(&mut flate2::bufread::MultiGzDecoder::new(file), &mut writer)?,
            Compression::Zstd(_) | Compression::ZstdChunked(_) => {
                io::copy(&mut zstd::Decoder::with_buffer(file)?, &mut writer)?
            }
        };
    }
    let (_, digest, tar_bytes) = writer.finish();
    Ok((digest, tar_bytes))
}
