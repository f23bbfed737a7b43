//! The table of contents of a layer whose files can be fetched separately (decision 0140). The table is the last
//! segment of the layer. The other segments are the same as without a table. To make the table, lath computes the place
//! of each file in the layer, and compresses nothing again.

use std::io;

use fs_err as fs;

use super::PackError;
use super::group::Entry;
use super::segment::{self, Frames, Piece};
use crate::formats::tarball;
use crate::formats::zstd_chunked::{self, Finished, Table, Type};
use crate::model::digest::Digest;
use crate::model::tree::Kind;
use crate::outside::store::{Form, Store};

/// Returns the table of a layer. `segments` are the segments of `pieces`, followed by the segment that ends the layer.
pub(super) fn table(
    pieces: &[Piece<'_>],
    segments: &[Digest],
    epoch_secs: u64,
    level: u8,
    store: &Store,
) -> io::Result<Finished> {
    let modtime = i64::try_from(epoch_secs).map_err(io::Error::other)?;
    let modtime = jiff::Timestamp::from_second(modtime).map_err(io::Error::other)?.to_string();
    let (mut table, mut offset) = (Table::default(), 0);
    for (piece, segment) in pieces.iter().zip(segments) {
        let mut frames = segment::frames(segment, store).ok_or_else(lost)?.into_iter();
        for entry in piece.entries {
            let has_contents = entry.size_bytes() > 0;
            let place = if has_contents { Some(frames.next().ok_or_else(lost)?) } else { None };
            let listed = listed(entry, place.map(|place| place.at(offset)), &modtime);
            table.add(listed, &header(entry, epoch_secs)?, place.map_or(0, |place| place.crc64))?;
        }
        offset += fs::metadata(store.segment_path(segment))?.len();
    }
    if let Some(end) = segments.last() {
        offset += fs::metadata(store.segment_path(end))?.len();
    }
    table.finish(&tarball::END, offset, |bytes| zstd::bulk::compress(bytes, level.into()))
}

/// Keeps the frames of a table as a segment, and returns the key of this segment. `key` is made from the other segments
/// of the layer.
pub(super) fn keep(key: &Digest, frames: &[u8], store: &Store) -> Result<Digest, PackError> {
    let key = Digest::of_key(&(Form::LayerTable.name(), key));
    store.put_segment(&key, frames)?;
    Ok(key)
}

fn lost() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the places of its files are not in the store")
}

impl Frames {
    /// Converts a place in a segment into a place in the layer. `offset` is the place in the layer at which the segment
    /// begins.
    fn at(self, offset: u64) -> Self {
        Self { offset: offset + self.offset, end_offset: offset + self.end_offset, ..self }
    }
}

fn header(Entry { path, node, link }: &Entry<'_>, epoch_secs: u64) -> io::Result<Vec<u8>> {
    let mut header = Vec::new();
    match link {
        Some(first) => tarball::write_hard_link(&mut header, path, node, first, epoch_secs)?,
        None => tarball::write_header(&mut header, path, node, epoch_secs)?,
    }
    Ok(header)
}

fn listed(entry: &Entry<'_>, place: Option<Frames>, modtime: &str) -> zstd_chunked::Entry {
    let Entry { path, node, link } = entry;
    let (kind, target) = match (link, &node.kind) {
        (Some(first), _) => (Type::HardLink, first.relative()),
        (None, Kind::Link { target }) => (Type::Link, target.as_str()),
        (None, Kind::Directory) => (Type::Directory, ""),
        (None, Kind::File { .. }) => (Type::File, ""),
    };
    zstd_chunked::Entry {
        kind,
        name: tarball::name(path, node),
        link: target.to_owned(),
        mode: u64::from(node.mode & 0o7777),
        size: entry.size_bytes(),
        uid: node.owner,
        gid: node.group(),
        modtime: modtime.to_owned(),
        digest: place.and_then(|_| node.digest()).map(Digest::prefixed),
        offset: place.map_or(0, |place| place.offset),
        end_offset: place.map_or(0, |place| place.end_offset),
    }
}
