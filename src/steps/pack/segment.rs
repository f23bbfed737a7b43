//! Segments: the tar of a share, cut into pieces. Each piece is compressed once and kept in the store.
//!
//! A segment is one or more gzip members (RFC 1952, section 2.2) or zstd frames (RFC 8878, section 3.1).

use std::io::{self, Read, Write};

use serde::{Deserialize, Serialize};

use super::PackError;
use super::group::{Entry, Share};
use crate::formats::tarball;
use crate::formats::zstd_chunked::Crc64;
use crate::model::digest::Digest;
use crate::model::image_path::ImagePath;
use crate::model::request::{Compression, PackRequest};
use crate::model::tree::Kind;
use crate::model::zeros::is_zero;
use crate::outside::store::{Bucket, Form, Store};

/// The number of bytes of tar that are compressed at once. Each thread holds about this much in memory.
const CHUNK_BYTES: usize = 4 << 20;
/// The minimum total size of the files in a piece. Only the last piece of a share may be smaller. The size is large
/// enough that the compression window (32 KiB in gzip) is mostly full. It is small enough that a big distribution has
/// pieces for all cores.
const PIECE_BYTES: u64 = 4 << 20;

/// Consecutive paths of one share.
pub(super) struct Piece<'a> {
    origin: &'a str,
    pub(super) entries: &'a [Entry<'a>],
}

/// The place of a file's contents in a segment. It is known only if the contents can be fetched separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Frames {
    pub(super) offset: u64,
    pub(super) end_offset: u64,
    /// The checksum of the contents.
    pub(super) crc64: u64,
}

/// The key of a segment: everything on which its bytes depend.
#[derive(Serialize)]
struct SegmentKey<'a> {
    form: &'static str,
    compression: Compression,
    epoch_secs: u64,
    entries: Vec<EntryKey<'a>>,
}

#[derive(Serialize)]
struct EntryKey<'a> {
    path: &'a ImagePath,
    mode: u32,
    owner: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<u32>,
    kind: &'a Kind,
    hard_link_to: Option<&'a ImagePath>,
}

/// Cuts a share into pieces. The pieces depend only on the share.
pub(super) fn pieces<'a>(share: &'a Share<'a>) -> Vec<Piece<'a>> {
    let (mut pieces, mut begin, mut bytes) = (Vec::new(), 0, 0);
    for (index, entry) in share.entries.iter().enumerate() {
        bytes += entry.size_bytes();
        if bytes >= PIECE_BYTES || index + 1 == share.entries.len() {
            pieces.push(Piece { origin: &share.origin, entries: &share.entries[begin..=index] });
            (begin, bytes) = (index + 1, 0);
        }
    }
    pieces
}

/// Returns the key of a piece's segment. If the store does not have the segment, creates it.
pub(super) fn segment<'a>(piece: &Piece<'a>, request: PackRequest, store: &Store) -> Result<Digest, PackError> {
    let key = |entry: &'a Entry<'a>| EntryKey {
        path: entry.path,
        mode: entry.node.mode,
        owner: entry.node.owner,
        group: entry.node.group,
        kind: &entry.node.kind,
        hard_link_to: entry.link,
    };
    let key = Digest::of_key(&SegmentKey {
        form: Form::Tar.name(),
        compression: request.compression,
        epoch_secs: request.epoch_secs,
        entries: piece.entries.iter().map(key).collect(),
    });
    if store.has_segment(&key) && (!request.compression.is_chunked() || frames(&key, store).is_some()) {
        return Ok(key);
    }
    let failed = |source| PackError::Segment { origin: piece.origin.to_owned(), source };
    store.write_segment(&key, |file| {
        let mut packer = Packer::new(request.compression, file);
        let mut frames = Vec::new();
        for entry in piece.entries {
            frames.extend(write(entry, request.epoch_secs, store, &mut packer, &failed)?);
        }
        if request.compression.is_chunked() {
            store.write_entry(Bucket::Frames, &key, &frames)?;
        }
        packer.finish().map(drop).map_err(failed)
    })?;
    Ok(key)
}

/// Writes a path to `packer`. Returns the place of its contents in the segment. `None` if the path has no contents, or
/// if the layer has no table of contents.
fn write(
    Entry { path, node, link }: &Entry<'_>,
    epoch_secs: u64,
    store: &Store,
    packer: &mut Packer<&mut std::fs::File>,
    failed: &impl Fn(io::Error) -> PackError,
) -> Result<Option<Frames>, PackError> {
    if let Some(first) = link {
        tarball::write_hard_link(packer, path, node, first, epoch_secs).map_err(failed)?;
        return Ok(None);
    }
    tarball::write_header(packer, path, node, epoch_secs).map_err(failed)?;
    let Kind::File { digest, size_bytes } = &node.kind else { return Ok(None) };
    if *size_bytes == 0 {
        return Ok(None);
    }
    let mut contents = store.reader(digest)?;
    write_contents(packer, path, *size_bytes, &mut contents).map_err(failed)
}

/// Writes the contents of a file. Returns their place. `None` if the layer has no table of contents.
fn write_contents(
    packer: &mut Packer<&mut std::fs::File>,
    path: &ImagePath,
    size_bytes: u64,
    contents: &mut dyn Read,
) -> io::Result<Option<Frames>> {
    if !packer.compression.is_chunked() {
        tarball::write_bytes(packer, path.relative(), size_bytes, contents)?;
        tarball::pad(packer, size_bytes)?;
        return Ok(None);
    }
    packer.pack_chunk()?;
    let offset = packer.packed_bytes;
    let mut summed = Summed { inner: &mut *packer, crc64: Crc64::new() };
    tarball::write_bytes(&mut summed, path.relative(), size_bytes, contents)?;
    let crc64 = summed.crc64.value();
    packer.pack_chunk()?;
    let end_offset = packer.packed_bytes;
    tarball::pad(packer, size_bytes)?;
    Ok(Some(Frames { offset, end_offset, crc64 }))
}

/// Returns the places of the contents of all files in a segment, in the order of the files.
pub(super) fn frames(segment: &Digest, store: &Store) -> Option<Vec<Frames>> {
    store.entry(Bucket::Frames, segment)
}

/// A writer that computes the checksum of the bytes, and passes the bytes on to `inner`.
struct Summed<W> {
    inner: W,
    crc64: Crc64,
}

impl<W: Write> Write for Summed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = self.inner.write(bytes)?;
        self.crc64.update(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Returns the segment that ends every layer.
pub(super) fn end(request: PackRequest, store: &Store) -> Result<Digest, PackError> {
    let key = Digest::of_key(&(Form::TarEnd.name(), request.compression));
    if !store.has_segment(&key) {
        let failed = |source| PackError::Segment { origin: "lath".to_owned(), source };
        store.write_segment(&key, |file| {
            let mut packer = Packer::new(request.compression, file);
            packer.write_all(&tarball::END).map_err(failed)?;
            packer.finish().map(drop).map_err(failed)
        })?;
    }
    Ok(key)
}

/// A writer that compresses the bytes, and passes them on to `inner`. Each chunk becomes a separate gzip member or zstd
/// frame.
struct Packer<W> {
    compression: Compression,
    chunk: Vec<u8>,
    /// The compressed form of a chunk of zeros. `None` before the first such chunk. Sparse files have many of them.
    zeros: Option<Vec<u8>>,
    /// The compressor is reused, because a new one for each small file would be slow.
    zstd: Option<zstd::bulk::Compressor<'static>>,
    /// The number of bytes that were passed on.
    packed_bytes: u64,
    inner: W,
}

impl<W: Write> Packer<W> {
    fn new(compression: Compression, inner: W) -> Self {
        Self { compression, chunk: Vec::new(), zeros: None, zstd: None, packed_bytes: 0, inner }
    }

    fn finish(mut self) -> io::Result<W> {
        self.pack_chunk()?;
        Ok(self.inner)
    }

    fn pack_chunk(&mut self) -> io::Result<()> {
        if self.chunk.is_empty() {
            return Ok(());
        }
        let is_zeros = self.chunk.len() == CHUNK_BYTES && is_zero(&self.chunk);
        let packed = match self.zeros.take() {
            Some(packed) if is_zeros => packed,
            other => {
                self.zeros = other;
                self.compress()?
            }
        };
        self.inner.write_all(&packed)?;
        self.packed_bytes += packed.len() as u64;
        if is_zeros {
            self.zeros = Some(packed);
        }
        self.chunk.clear();
        Ok(())
    }

    /// Returns the current chunk in compressed form.
    fn compress(&mut self) -> io::Result<Vec<u8>> {
        match self.compression {
            Compression::Gzip(level) => gzip(&self.chunk, level),
            Compression::Zstd(level) | Compression::ZstdChunked(level) => {
                let zstd = match self.zstd.take() {
                    Some(zstd) => zstd,
                    None => zstd::bulk::Compressor::new(level.into())?,
                };
                self.zstd.insert(zstd).compress(&self.chunk)
            }
        }
    }
}

fn gzip(chunk: &[u8], level: u8) -> io::Result<Vec<u8>> {
    let level = libdeflater::CompressionLvl::new(level.into()).unwrap_or_default();
    let mut compressor = libdeflater::Compressor::new(level);
    let mut member = vec![0; compressor.gzip_compress_bound(chunk.len())];
    let length = compressor.gzip_compress(chunk, &mut member).map_err(io::Error::other)?;
    member.truncate(length);
    Ok(member)
}

impl<W: Write> Write for Packer<W> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::image_path::ImagePath;
    use crate::model::tree::{Node, Origin};

    fn sizes(files: &[u64]) -> Vec<usize> {
        let paths: Vec<ImagePath> =
            (0..files.len()).map(|index| ImagePath::parse(&format!("/f{index}")).unwrap()).collect();
        let nodes: Vec<Node> =
            files.iter().map(|size| Node::file(Digest::of(b""), *size, 0o644, Origin::Lath)).collect();
        let entries = paths.iter().zip(&nodes).map(|(path, node)| Entry { path, node, link: None });
        let share = Share { origin: "x".to_owned(), entries: entries.collect() };
        pieces(&share).iter().map(|piece| piece.entries.len()).collect()
    }

    #[test]
    fn a_share_is_cut_where_a_piece_is_full_and_nothing_is_lost() {
        assert_eq!(sizes(&[]), Vec::<usize>::new());
        assert_eq!(sizes(&[0, 0]), [2]);
        assert_eq!(sizes(&[1, PIECE_BYTES, 1, PIECE_BYTES - 1, 5]), [2, 2, 1]);
        assert_eq!(sizes(&[PIECE_BYTES, PIECE_BYTES]), [1, 1]);
    }

    #[test]
    fn what_is_packed_in_several_chunks_is_unpacked_as_one_stream() {
        let bytes: Vec<u8> = (0..CHUNK_BYTES + 1000).map(|index| (index % 251) as u8).collect();
        for compression in [Compression::Gzip(1), Compression::Zstd(1), Compression::ZstdChunked(1)] {
            let mut packer = Packer::new(compression, Vec::new());
            packer.write_all(&bytes).unwrap();
            let packed = packer.finish().unwrap();
            let mut unpacked = Vec::new();
            match compression {
                Compression::Gzip(_) => {
                    flate2::read::MultiGzDecoder::new(packed.as_slice()).read_to_end(&mut unpacked).unwrap()
                }
                Compression::Zstd(_) | Compression::ZstdChunked(_) => {
                    zstd::Decoder::new(packed.as_slice()).unwrap().read_to_end(&mut unpacked).unwrap()
                }
            };
            assert!(unpacked == bytes, "{compression:?}");
        }
    }

    #[test]
    fn packed_chunks_are_passed_on_at_once_and_zeros_are_packed_once() {
        let mut packer = Packer::new(Compression::Gzip(1), Vec::new());
        let mut lengths = vec![0];
        for chunk in [vec![0; CHUNK_BYTES], vec![0; CHUNK_BYTES], vec![1; CHUNK_BYTES], vec![0; CHUNK_BYTES]] {
            packer.write_all(&chunk).unwrap();
            assert!(packer.chunk.is_empty());
            lengths.push(packer.inner.len());
        }
        let members: Vec<usize> = lengths.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(members[0] > 0 && members[0] == members[1] && members[0] == members[3], "{members:?}");
        let (packed, mut unpacked) = (packer.finish().unwrap(), Vec::new());
        flate2::read::MultiGzDecoder::new(packed.as_slice()).read_to_end(&mut unpacked).unwrap();
        assert_eq!(unpacked.iter().map(|&byte| usize::from(byte)).sum::<usize>(), CHUNK_BYTES);
        assert_eq!(unpacked.len(), 4 * CHUNK_BYTES);
    }
}
