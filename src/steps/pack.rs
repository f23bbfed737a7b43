//! Tree -> layers: grouped by origin, deterministic tar, each origin's share compressed once and kept in the store.
//!
//! A layer's blob is the concatenation of its segments: gzip members (RFC 1952, section 2.2) or zstd frames
//! (RFC 8878, section 3.1), each the share of one origin. A share that did not change is not read again.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Read, Write};

use fs_err as fs;
use rayon::prelude::*;
use thiserror::Error;

use crate::formats::tarball;
use crate::model::digest::{Digest, DigestWriter};
use crate::model::image::{BlobDigest, DiffId, Layer};
use crate::model::image_path::ImagePath;
use crate::model::request::{Compression, Request, UserBase};
use crate::model::tree::{self, Kind, Node, Origin, Tree};
use crate::outside::store::{Store, StoreError};
use crate::outside::world::World;

/// Changes whenever the bytes of a segment would, for the same tree.
const FORMAT: &str = "segment-2";
/// How much tar is compressed at once, and so about what one thread holds in memory.
const CHUNK_BYTES: usize = 4 << 20;

#[derive(Debug, Error)]
pub(crate) enum PackError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot pack the files of {origin}")]
    Segment { origin: String, source: io::Error },
    #[error("cannot read a piece of the layer `{title}` again")]
    Layer { title: String, source: io::Error },
}

/// One origin's paths of a layer.
struct Share<'a> {
    origin: String,
    nodes: Vec<(&'a ImagePath, &'a Node)>,
}

/// What tells the program from the rest.
struct Asked<'a> {
    requested: &'a [String],
    user_base: &'a UserBase,
}

impl Share<'_> {
    /// The bytes of its files, those of hard links once.
    fn files_bytes(&self) -> u64 {
        let links = tree::hard_links(self.nodes.iter().copied());
        self.nodes.iter().filter(|(path, _)| !links.contains_key(path)).map(|(_, node)| node.size_bytes()).sum()
    }
}

/// Packs `tree`: the base, the distributions that the user did not ask for, and the program itself on top.
pub(crate) fn pack(
    tree: &Tree,
    requested: &[String],
    request: &Request,
    world: &World,
) -> Result<Vec<Layer>, PackError> {
    let mut layers: BTreeMap<(u8, &str), BTreeMap<String, Share<'_>>> = BTreeMap::new();
    let asked = &Asked { requested, user_base: &request.user_base };
    let files = tree.nodes.iter().filter(|(_, node)| node.kind != Kind::Directory);
    for (path, node) in files {
        let origin = node.origin.to_string();
        add(&mut layers, layer_of(path, node, asked), origin, (path, node));
    }
    // A folder comes with the first layer that has something in it, before all else; an empty one with its origin's.
    let folders: Vec<(&ImagePath, &Node)> =
        tree.nodes.iter().filter(|(path, node)| node.kind == Kind::Directory && **path != ImagePath::root()).collect();
    for (path, node) in folders {
        let mut inside =
            tree.nodes.range(path.clone()..).take_while(|(next, _)| next.as_str().starts_with(path.as_str()));
        let first = inside
            .by_ref()
            .filter(|(next, node)| next.is_within(path.as_str()) && node.kind != Kind::Directory)
            .map(|(next, node)| layer_of(next, node, asked))
            .min();
        let layer = first.unwrap_or_else(|| empty_folder_layer(path, tree, asked));
        add(&mut layers, layer, FOLDERS.to_owned(), (path, node));
    }
    layers
        .into_iter()
        .map(|((_, title), shares)| layer(title, shares.into_values().collect(), request, &world.store))
        .collect()
}

/// Sorts before every origin.
const FOLDERS: &str = "0 folders";

fn add<'a>(
    layers: &mut BTreeMap<(u8, &'static str), BTreeMap<String, Share<'a>>>,
    layer: (u8, &'static str),
    origin: String,
    node: (&'a ImagePath, &'a Node),
) {
    let shares = layers.entry(layer).or_default();
    shares.entry(origin.clone()).or_insert_with(|| Share { origin, nodes: Vec::new() }).nodes.push(node);
}

/// The layer of a file: the base, what the program depends on, the program.
fn layer_of(path: &ImagePath, node: &Node, asked: &Asked<'_>) -> (u8, &'static str) {
    match &node.origin {
        Origin::Deb { .. } => (0, "debian base"),
        Origin::Lath if !path.is_within(asked.user_base.path().as_str()) => (0, "debian base"),
        Origin::Wheel { name, .. } if !asked.requested.contains(name) => (1, "python dependencies"),
        Origin::Wheel { .. } | Origin::Lath | Origin::User => (2, "application"),
    }
}

/// The layer of a folder with no file anywhere in it: that of the last folder in it, so that none comes before its own.
fn empty_folder_layer(path: &ImagePath, tree: &Tree, asked: &Asked<'_>) -> (u8, &'static str) {
    let inside = tree.nodes.range(path.clone()..).take_while(|(next, _)| next.as_str().starts_with(path.as_str()));
    let layers =
        inside.filter(|(next, _)| next.is_within(path.as_str())).map(|(next, node)| layer_of(next, node, asked));
    layers.min().unwrap_or((0, "debian base"))
}

fn layer(title: &str, shares: Vec<Share<'_>>, request: &Request, store: &Store) -> Result<Layer, PackError> {
    const SHELF: &str = "layers-1";
    let files_bytes = shares.iter().map(Share::files_bytes).sum();
    let segments: Result<Vec<Digest>, PackError> =
        shares.par_iter().map(|share| segment(share, request, store)).collect();
    let mut segments = segments?;
    segments.push(end_segment(request, store)?);
    let key = Digest::of_fields(segments.iter().map(|segment| segment.as_bytes().as_slice()));
    let media_type = match request.compression {
        Compression::Gzip(_) => "application/vnd.oci.image.layer.v1.tar+gzip",
        Compression::Zstd(_) => "application/vnd.oci.image.layer.v1.tar+zstd",
    };
    if let Some(noted) = store.note::<Layer>(SHELF, &key) {
        return Ok(Layer { title: title.to_owned(), files_bytes, ..noted });
    }
    let failed = |source| PackError::Layer { title: title.to_owned(), source };
    let (digest, size_bytes) = blob_digest(&segments, store).map_err(failed)?;
    let (diff_id, tar_bytes) = diff_id(&segments, request.compression, store).map_err(failed)?;
    let layer = Layer {
        title: title.to_owned(),
        digest: BlobDigest(digest),
        diff_id: DiffId(diff_id),
        media_type: media_type.to_owned(),
        size_bytes,
        tar_bytes,
        files_bytes,
        segments,
    };
    store.write_note(SHELF, &key, &layer)?;
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

fn diff_id(segments: &[Digest], compression: Compression, store: &Store) -> io::Result<(Digest, u64)> {
    let mut writer = DigestWriter::new(io::sink());
    for segment in segments {
        let file = io::BufReader::new(fs::File::open(store.segment_path(segment))?);
        match compression {
            Compression::Gzip(_) => io::copy(&mut flate2::bufread::MultiGzDecoder::new(file), &mut writer)?,
            Compression::Zstd(_) => io::copy(&mut zstd::Decoder::with_buffer(file)?, &mut writer)?,
        };
    }
    let (_, digest, tar_bytes) = writer.finish();
    Ok((digest, tar_bytes))
}

/// The key of a share's segment, which is made where the store lacks it.
fn segment(share: &Share<'_>, request: &Request, store: &Store) -> Result<Digest, PackError> {
    let mut listing = format!("{FORMAT} {:?} {}\n", request.compression, request.epoch_secs);
    for (path, node) in &share.nodes {
        // Writing to a String cannot fail.
        let _ = writeln!(listing, "{path} {:o} {} {:?}", node.mode, node.owner, node.kind);
    }
    let key = Digest::of(listing.as_bytes());
    if store.has_segment(&key) {
        return Ok(key);
    }
    let failed = |source| PackError::Segment { origin: share.origin.clone(), source };
    let mut packer = Packer::new(request.compression);
    let links = tree::hard_links(share.nodes.iter().copied());
    for (path, node) in &share.nodes {
        if let Some(first) = links.get(path) {
            tarball::write_hard_link(&mut packer, path, node, first, request.epoch_secs).map_err(failed)?;
            continue;
        }
        let mut contents: Box<dyn Read> = match &node.kind {
            Kind::File { digest, .. } => Box::new(fs::File::open(store.contents_path(digest, false)?).map_err(failed)?),
            Kind::Directory | Kind::Link { .. } => Box::new(io::empty()),
        };
        tarball::write_node(&mut packer, path, node, request.epoch_secs, &mut contents).map_err(failed)?;
    }
    let bytes = packer.finish().map_err(failed)?;
    store.put_segment(&key, &bytes)?;
    Ok(key)
}

fn end_segment(request: &Request, store: &Store) -> Result<Digest, PackError> {
    let key = Digest::of(format!("{FORMAT} end {:?}", request.compression).as_bytes());
    if !store.has_segment(&key) {
        let failed = |source| PackError::Segment { origin: "lath".to_owned(), source };
        let mut packer = Packer::new(request.compression);
        packer.write_all(&tarball::END).map_err(failed)?;
        store.put_segment(&key, &packer.finish().map_err(failed)?)?;
    }
    Ok(key)
}

/// Compresses what is written to it, a chunk at a time, each to a member or a frame of its own.
struct Packer {
    compression: Compression,
    chunk: Vec<u8>,
    packed: Vec<u8>,
}

impl Packer {
    fn new(compression: Compression) -> Self {
        Self { compression, chunk: Vec::new(), packed: Vec::new() }
    }

    fn finish(mut self) -> io::Result<Vec<u8>> {
        self.pack_chunk()?;
        Ok(self.packed)
    }

    fn pack_chunk(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        match self.compression {
            Compression::Gzip(level) => {
                let level = libdeflater::CompressionLvl::new(level.into()).unwrap_or_default();
                let mut compressor = libdeflater::Compressor::new(level);
                let mut member = vec![0; compressor.gzip_compress_bound(self.chunk.len())];
                let length = compressor.gzip_compress(&self.chunk, &mut member).map_err(io::Error::other)?;
                self.packed.extend_from_slice(&member[..length]);
            }
            Compression::Zstd(level) => {
                self.packed.extend(zstd::bulk::compress(&self.chunk, level.into())?);
            }
        }
        self.chunk.clear();
        Ok(())
    }
}

impl Write for Packer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = CHUNK_BYTES - self.chunk.len();
        let taken = bytes.len().min(room);
        self.chunk.extend_from_slice(&bytes[..taken]);
        if self.chunk.len() == CHUNK_BYTES {
            self.pack_chunk()?;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
