//! Reads the layers. Puts the contents of the files into the store. Keeps the changes of each layer and the facts about
//! its files in the cache.

use std::io::{self, Read, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use fs_err as fs;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::changes::{Attributes, Changes};
use super::{BaseError, LayerProblem};
use crate::formats::compressed::decompressed;
use crate::formats::layer::{self, EntryChange, LayerEntry, LayerError};
use crate::formats::mentions::Texts;
use crate::formats::oci::Descriptor;
use crate::model::base_image::{Oddity, OddityKind};
use crate::model::digest::{Digest, DigestWriter};
use crate::model::facts::FileFacts;
use crate::model::image::{BlobDigest, DiffId};
use crate::model::tree::Kind;
use crate::model::vocabulary;
use crate::outside::facts::Keeper;
use crate::outside::images::{OpenImage, digest_of};
use crate::outside::store::{Bucket, Packed, Store};

/// The maximum size of all unpacked layers together. The largest images for GPUs have about 20 GiB.
const MAX_TAR_BYTES: u64 = 64 << 30;
/// The maximum number of entries in all layers. There is a limit because all entries are held in memory. The largest
/// images have about 300,000 files.
const MAX_ENTRIES: u64 = 500_000;
/// The maximum size of the names of all entries together. The names are held in memory, too.
const MAX_NAMES_BYTES: u64 = 64 << 20;

/// Cache entry: an opened layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct OpenedLayer {
    pub(super) diff_id: DiffId,
    entries: u64,
    names_bytes: u64,
    /// The size of the tar.
    pub(super) tar_bytes: u64,
    /// The sum of the sizes of the files in the layer.
    pub(super) files_bytes: u64,
    pub(super) changes: Changes,
    pub(super) facts: FileFacts,
    pub(super) oddities: Vec<Oddity>,
    pub(super) packed: Packed,
}

/// Opens all layers, and returns them from the lowest to the highest. Layers that are not in the cache are read,
/// several at a time.
pub(super) fn open(image: &OpenImage<'_>, layers: &[Descriptor], store: &Store) -> Result<Vec<OpenedLayer>, BaseError> {
    let room = Room::default();
    let open = |layer: &Descriptor| opened(image, layer, &room, store);
    layers.par_iter().map(open).collect()
}

/// The size that remains for the other layers of an image. The size is limited, because a small compressed layer can be
/// very large when it is unpacked.
pub(super) struct Room {
    tar_bytes: AtomicU64,
    entries: AtomicU64,
    names_bytes: AtomicU64,
}

impl Default for Room {
    fn default() -> Self {
        Self::new(MAX_TAR_BYTES, MAX_ENTRIES, MAX_NAMES_BYTES)
    }
}

impl Room {
    pub(super) fn new(tar_bytes: u64, entries: u64, names_bytes: u64) -> Self {
        let [tar_bytes, entries, names_bytes] = [tar_bytes, entries, names_bytes].map(AtomicU64::new);
        Self { tar_bytes, entries, names_bytes }
    }

    fn take_entries(&self, entries: u64, names_bytes: u64) -> Result<(), LayerProblem> {
        let has_room = take(&self.entries, entries) && take(&self.names_bytes, names_bytes);
        if has_room { Ok(()) } else { Err(LayerProblem::TooManyEntries) }
    }

    fn take_bytes(&self, bytes: u64) -> io::Result<()> {
        let too_large = || io::Error::new(io::ErrorKind::InvalidData, "the unpacked layers are too large");
        if take(&self.tar_bytes, bytes) { Ok(()) } else { Err(too_large()) }
    }

    /// Subtracts the size of a layer that comes from the cache.
    fn take(&self, opened: &OpenedLayer) -> Result<(), LayerProblem> {
        self.take_bytes(opened.tar_bytes).map_err(LayerError::Read)?;
        self.take_entries(opened.entries, opened.names_bytes)
    }
}

/// Subtracts `number` from `left` if the result is not negative. Returns whether this was possible.
fn take(left: &AtomicU64, number: u64) -> bool {
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(number)).is_ok()
}

fn opened(image: &OpenImage<'_>, layer: &Descriptor, room: &Room, store: &Store) -> Result<OpenedLayer, BaseError> {
    let digest = digest_of(layer)?;
    let key = Digest::of_fields([digest.0.as_bytes().as_slice(), vocabulary::digest().as_bytes()]);
    let cached = store.entry::<OpenedLayer>(Bucket::BaseLayers, &key);
    if let Some(opened) = cached.filter(|opened| store.open_pack(&opened.packed) && holds(opened, store)) {
        room.take(&opened).map_err(|source| failed(&digest, source))?;
        return Ok(opened);
    }
    let path = image.blob(layer)?;
    let opened = read(&path, room, store).map_err(|source| failed(&digest, source))?;
    store.write_entry(Bucket::BaseLayers, &key, &opened)?;
    Ok(opened)
}

fn failed(digest: &BlobDigest, source: LayerProblem) -> BaseError {
    match source {
        LayerProblem::Store(error) => error.into(),
        source => BaseError::Layer { digest: *digest, source },
    }
}

/// Whether the store has all contents of a layer.
fn holds(opened: &OpenedLayer, store: &Store) -> bool {
    opened.changes.contents().all(|(digest, size_bytes)| store.holds(digest, size_bytes))
}

/// Reads a layer from the file `path`, which contains the blob.
pub(super) fn read(path: &Path, room: &Room, store: &Store) -> Result<OpenedLayer, LayerProblem> {
    let unreadable = |error| LayerProblem::Layer(LayerError::Read(error));
    let blob = fs::File::open(path).map_err(unreadable)?;
    let tar = decompressed(blob).map_err(unreadable)?;
    let mut reading =
        Reading { keeper: Keeper::new(Texts::Scripts, store), changes: Changes::default(), oddities: Vec::new() };
    let (mut entries, mut names_bytes, mut files_bytes) = (0, 0, 0);
    let tar = Tar { inner: tar, digest: DigestWriter::new(io::sink()), room };
    let mut tar = layer::read(tar, |entry| {
        // The names of an entry and of its attributes count, because all of them are kept. If the entry adds more bytes
        // than that to the changes, these bytes count instead. This happens because the parents of the path are added,
        // and because the path may lead through a link.
        let own_bytes = entry.path.len() + entry.attributes.iter().map(String::len).sum::<usize>();
        let before = reading.changes.size();
        files_bytes += reading.take(entry)?;
        let after = reading.changes.size();
        let paths = (after.paths - before.paths).max(1);
        let bytes = (after.bytes - before.bytes).max(own_bytes as u64);
        room.take_entries(paths, bytes)?;
        entries += paths;
        names_bytes += bytes;
        Ok::<(), LayerProblem>(())
    })?;
    // The digest also includes the bytes after the end of the tar, so they are read.
    io::copy(&mut tar, &mut io::sink()).map_err(unreadable)?;
    let (_, digest, tar_bytes) = tar.digest.finish();
    let Reading { keeper, changes, mut oddities } = reading;
    oddities.sort();
    oddities.dedup();
    let (facts, packed) = keeper.finish()?;
    let diff_id = DiffId(digest);
    Ok(OpenedLayer { diff_id, entries, names_bytes, tar_bytes, files_bytes, changes, facts, oddities, packed })
}

/// A layer that is being read.
struct Reading<'a> {
    keeper: Keeper<'a>,
    changes: Changes,
    oddities: Vec<Oddity>,
}

impl Reading<'_> {
    /// Adds one entry. Returns the size of its contents.
    fn take(&mut self, entry: LayerEntry<'_>) -> Result<u64, LayerProblem> {
        let LayerEntry { path, change, mode, owner, group, attributes } = entry;
        let own = Attributes { mode, owner, group };
        if !attributes.is_empty() {
            self.note(&path, OddityKind::Attributes(attributes));
        }
        let kind = match change {
            EntryChange::Directory => Kind::Directory,
            EntryChange::Link(target) => Kind::Link { target },
            EntryChange::File(reader) => {
                if mode & 0o6000 != 0 {
                    self.note(&path, OddityKind::SetId);
                }
                let (digest, size_bytes) =
                    self.keeper.keep(reader, |source| LayerProblem::Contents { path: path.clone(), source })?;
                Kind::File { digest, size_bytes }
            }
            EntryChange::HardLink(target) => return Ok(self.changes.add_hard_link(&path, &target).map(|()| 0)?),
            EntryChange::Removed => return Ok(self.changes.remove(&path).map(|()| 0)?),
            EntryChange::Opaque => return Ok(self.changes.empty(&path).map(|()| 0)?),
            EntryChange::Device | EntryChange::Pipe => {
                let is_pipe = matches!(change, EntryChange::Pipe);
                self.note(&path, if is_pipe { OddityKind::Pipe } else { OddityKind::Device });
                return Ok(self.changes.add_special(&path).map(|()| 0)?);
            }
            EntryChange::Unusable => {
                self.note(&path, OddityKind::Name);
                return Ok(0);
            }
        };
        let size_bytes = if let Kind::File { size_bytes, .. } = kind { size_bytes } else { 0 };
        self.changes.add(&path, own, kind)?;
        Ok(size_bytes)
    }

    fn note(&mut self, path: &str, kind: OddityKind) {
        self.oddities.push(Oddity { path: path.to_owned(), kind });
    }
}

/// Computes the digest of a tar while the tar is read. Fails if the tar is too large.
struct Tar<'a, R> {
    inner: R,
    digest: DigestWriter<io::Sink>,
    room: &'a Room,
}

impl<R: Read> Read for Tar<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.digest.write_all(&buffer[..length])?;
        self.room.take_bytes(length as u64)?;
        Ok(length)
    }
}
