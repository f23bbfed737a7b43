//! Packs: each pack is one file. A pack has the small contents of one parcel or of one layer of a base image, or the
//! bytecode that one build has compiled, one after the other. Without packs, there would be thousands of files.
//! Creating so many files would take longer than all other work of unpacking.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::sync::{Arc, PoisonError};

use fs_err as fs;
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::contents::{Beginning, beginning};
use super::error::StoreError;
use super::files::{is_whole, place};
use super::handle::{Place, Store};
use crate::model::digest::Digest;

/// The contents of a pack in order, as digests and sizes in bytes. There are no other bytes in the pack.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Packed(Vec<(Digest, u64)>);

impl Packed {
    /// Returns the name of the pack, which is computed from its contents.
    fn key(&self) -> Digest {
        let sizes: Vec<[u8; 8]> = self.0.iter().map(|(_, size_bytes)| size_bytes.to_le_bytes()).collect();
        let fields = self.0.iter().zip(&sizes).flat_map(|((digest, _), size)| [digest.as_bytes().as_slice(), size]);
        Digest::of_fields(fields)
    }

    fn size_bytes(&self) -> u64 {
        self.0.iter().map(|(_, size_bytes)| size_bytes).sum()
    }
}

/// Writes contents to a pack, one after the other.
#[derive(Debug)]
pub(crate) struct PackWriter<'a> {
    store: &'a Store,
    /// The file is created with the first small content.
    file: Option<BufWriter<NamedTempFile>>,
    known: BTreeSet<Digest>,
    packed: Packed,
}

impl Store {
    pub(crate) fn pack(&self) -> PackWriter<'_> {
        PackWriter { store: self, file: None, known: BTreeSet::new(), packed: Packed::default() }
    }

    /// Returns whether the pack exists and is complete. If so, the contents of the pack can be read from now on.
    pub(crate) fn open_pack(&self, packed: &Packed) -> bool {
        let pack = packed.key();
        if !packed.0.is_empty() && !is_whole(&self.path_in("packs", &pack), Some(packed.size_bytes())) {
            return false;
        }
        let mut places = self.shared.places.write().unwrap_or_else(PoisonError::into_inner);
        let mut offset = 0;
        for &(digest, size_bytes) in &packed.0 {
            places.insert(digest, Place { pack, offset, size_bytes });
            offset += size_bytes;
        }
        true
    }
}

/// The maximum number of pack files that stay open.
const MAX_OPEN: usize = 16;

impl Store {
    /// Returns the open file of a pack. It stays open for some time, because a tree has thousands of contents from a
    /// few packs.
    pub(super) fn open_pack_file(&self, pack: &Digest) -> io::Result<Arc<File>> {
        let mut open = self.shared.open_packs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(file) = open.get(pack) {
            return Ok(Arc::clone(file));
        }
        let file = Arc::new(fs::File::open(self.path_in("packs", pack))?.into_parts().0);
        if open.len() >= MAX_OPEN {
            open.clear();
        }
        open.insert(*pack, Arc::clone(&file));
        Ok(file)
    }
}

impl PackWriter<'_> {
    /// Stores the output of `reader` as the content of a file.
    pub(crate) fn put_reader(&mut self, reader: &mut dyn Read) -> Result<(Digest, u64), StoreError> {
        let bytes = match beginning(reader)? {
            Beginning::All(bytes) => bytes,
            Beginning::Part(bytes) => return self.store.put_large(&mut bytes.chain(reader)),
        };
        let (digest, size_bytes) = (Digest::of(&bytes), bytes.len() as u64);
        if self.known.insert(digest) {
            let file = match &mut self.file {
                Some(file) => file,
                None => self.file.insert(BufWriter::with_capacity(256 << 10, self.store.temporary_file()?)),
            };
            let failed = |source| StoreError::Write { path: self.store.root().join("packs"), source };
            file.write_all(&bytes).map_err(failed)?;
            self.packed.0.push((digest, size_bytes));
        }
        Ok((digest, size_bytes))
    }

    /// Completes the pack and gives it its final name. The contents of the pack can be read from now on.
    pub(crate) fn finish(self) -> Result<Packed, StoreError> {
        if let Some(file) = self.file {
            let path = self.store.path_in("packs", &self.packed.key());
            let file = file
                .into_inner()
                .map_err(|error| StoreError::Write { path: path.clone(), source: error.into_error() })?;
            if !is_whole(&path, Some(self.packed.size_bytes())) {
                place(file, &path, 0o644)?;
            }
        }
        self.store.open_pack(&self.packed);
        Ok(self.packed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::store::contents::SMALL_BYTES;
    use crate::outside::store::tests::store;

    fn parcel(store: &Store, contents: &[&[u8]]) -> (Packed, Vec<Digest>) {
        let mut pack = store.pack();
        let digests = contents.iter().map(|bytes| pack.put_reader(&mut &**bytes).unwrap().0).collect();
        (pack.finish().unwrap(), digests)
    }

    #[test]
    fn small_contents_share_a_file_and_are_read_again_once_it_is_opened() {
        let (_home, store) = store();
        let large = vec![7; SMALL_BYTES + 1];
        let contents: [&[u8]; 5] = [b"one", b"", &large, b"three", b"one"];
        let (packed, digests) = parcel(&store, &contents);
        assert_eq!(packed.size_bytes(), 8, "`one` is there once, and the large one is not");
        let other = Store::open(store.root()).unwrap();
        assert!(!other.holds(&digests[0], 3) && other.holds(&digests[2], large.len() as u64));
        assert!(other.open_pack(&packed));
        for store in [&store, &other] {
            for (digest, bytes) in digests.iter().zip(contents) {
                assert!(store.holds(digest, bytes.len() as u64));
                assert_eq!(store.read(digest).unwrap(), bytes);
                let mut read = Vec::new();
                store.reader(digest).unwrap().read_to_end(&mut read).unwrap();
                assert_eq!(read, bytes);
            }
        }
    }

    #[test]
    fn the_files_of_packs_stay_open_but_not_too_many() {
        let (_home, store) = store();
        let packs: Vec<Packed> = (0..=MAX_OPEN as u32).map(|one| parcel(&store, &[&one.to_le_bytes()]).0).collect();
        let key = |number: usize| packs[number].key();
        let first = store.open_pack_file(&key(0)).unwrap();
        assert!(Arc::ptr_eq(&first, &store.open_pack_file(&key(0)).unwrap()), "it was opened twice");
        for number in 1..=MAX_OPEN {
            store.open_pack_file(&key(number)).unwrap();
        }
        assert_eq!(store.shared.open_packs.lock().unwrap().len(), 1);
    }

    #[test]
    fn a_pack_that_was_cut_short_is_not_opened_and_written_again() {
        let (_home, store) = store();
        let (packed, _) = parcel(&store, &[b"one", b"two"]);
        let path = store.path_in("packs", &packed.key());
        std::fs::write(&path, "on").unwrap();
        let other = Store::open(store.root()).unwrap();
        assert!(!other.open_pack(&packed));
        assert_eq!(parcel(&other, &[b"one", b"two"]).0, packed);
        assert_eq!(std::fs::read(&path).unwrap(), b"onetwo");
    }

    #[test]
    fn a_parcel_without_small_contents_has_no_pack() {
        let (_home, store) = store();
        let (packed, _) = parcel(&store, &[]);
        assert!(Store::open(store.root()).unwrap().open_pack(&packed));
        assert_eq!(std::fs::read_dir(store.root().join("packs")).unwrap().count(), 0);
    }
}
