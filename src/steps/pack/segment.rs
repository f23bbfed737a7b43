//! Segments: the tar of a share, cut into pieces. Each piece is compressed once and kept in the store.
//!
//! A segment is one or more gzip members (RFC 1952, section 2.2) or zstd frames (RFC 8878, section 3.1).

use std::fmt::Write as _;
use std::io::{self, Read, Write};

use super::PackError;
use super::group::{Entry, Share};
use crate::formats::tarball;
use crate::model::digest::Digest;
use crate::model::request::{Compression, Request};
use crate::model::tree::Kind;
use crate::outside::store::Store;

/// The version of the segment format. It must change if the same nodes would give other bytes.
const FORMAT: &str = "segment-3";
/// How much tar is compressed at once. One thread holds about this much in memory.
const CHUNK_BYTES: usize = 4 << 20;
/// The minimum size of the files in a piece, except the last piece. It is large enough that the compression window (32
/// KiB in gzip) is mostly full, and small enough that a big distribution keeps all cores busy.
const PIECE_BYTES: u64 = 4 << 20;

/// Consecutive paths of one share.
pub(super) struct Piece<'a> {
    origin: &'a str,
    entries: &'a [Entry<'a>],
}

/// Cuts a share into pieces. The positions of the cuts depend only on the share.
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
pub(super) fn segment(piece: &Piece<'_>, request: &Request, store: &Store) -> Result<Digest, PackError> {
    let mut listing = format!("{FORMAT} {:?} {}\n", request.compression, request.epoch_secs);
    for Entry { path, node, link } in piece.entries {
        // Writing to a String cannot fail.
        let _ = writeln!(listing, "{path} {:o} {} {:?} {link:?}", node.mode, node.owner, node.kind);
    }
    let key = Digest::of(listing.as_bytes());
    if store.has_segment(&key) {
        return Ok(key);
    }
    let failed = |source| PackError::Segment { origin: piece.origin.to_owned(), source };
    let mut packer = Packer::new(request.compression);
    for Entry { path, node, link } in piece.entries {
        if let Some(first) = link {
            tarball::write_hard_link(&mut packer, path, node, first, request.epoch_secs).map_err(failed)?;
            continue;
        }
        let mut contents: Box<dyn Read> = match &node.kind {
            Kind::File { digest, .. } => store.reader(digest)?,
            Kind::Directory | Kind::Link { .. } => Box::new(io::empty()),
        };
        tarball::write_node(&mut packer, path, node, request.epoch_secs, &mut contents).map_err(failed)?;
    }
    store.put_segment(&key, &packer.finish().map_err(failed)?)?;
    Ok(key)
}

/// Returns the segment that ends every layer.
pub(super) fn end(request: &Request, store: &Store) -> Result<Digest, PackError> {
    let key = Digest::of(format!("{FORMAT} end {:?}", request.compression).as_bytes());
    if !store.has_segment(&key) {
        let failed = |source| PackError::Segment { origin: "lath".to_owned(), source };
        let mut packer = Packer::new(request.compression);
        packer.write_all(&tarball::END).map_err(failed)?;
        store.put_segment(&key, &packer.finish().map_err(failed)?)?;
    }
    Ok(key)
}

/// A writer that compresses the data in chunks. Each chunk becomes a separate member or frame.
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
        for compression in [Compression::Gzip(1), Compression::Zstd(1)] {
            let mut packer = Packer::new(compression);
            packer.write_all(&bytes).unwrap();
            let packed = packer.finish().unwrap();
            let mut unpacked = Vec::new();
            match compression {
                Compression::Gzip(_) => {
                    flate2::read::MultiGzDecoder::new(packed.as_slice()).read_to_end(&mut unpacked).unwrap()
                }
                Compression::Zstd(_) => {
                    zstd::Decoder::new(packed.as_slice()).unwrap().read_to_end(&mut unpacked).unwrap()
                }
            };
            assert!(unpacked == bytes, "{compression:?}");
        }
    }
}
