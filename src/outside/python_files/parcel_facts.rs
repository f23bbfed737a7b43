//! Facts of one kind about files. Each file is read when its facts are first needed. The cache has one entry with facts
//! per parcel.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::digest::Digest;
use crate::outside::store::{Bucket, Store, StoreError};

/// A file, and the parcel that it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) parcel: Option<Digest>,
    pub(super) digest: Digest,
}

/// The facts of one kind.
pub(super) struct ParcelFacts<'a, T> {
    bucket: Bucket,
    store: &'a Store,
    /// The facts in memory, by parcel and by digest of the contents. Files that come from no parcel have the key
    /// `None`, and are not cached.
    known: BTreeMap<Option<Digest>, BTreeMap<Digest, T>>,
    /// The parcels that have new facts, which are not in the cache yet.
    changed: BTreeSet<Digest>,
}

impl<'a, T: DeserializeOwned + Serialize + Send> ParcelFacts<'a, T> {
    pub(super) fn new(bucket: Bucket, store: &'a Store) -> Self {
        Self { bucket, store, known: BTreeMap::new(), changed: BTreeSet::new() }
    }

    /// Reads the files whose facts are neither in memory nor in the cache.
    pub(super) fn read(&mut self, places: &[Place], facts_of: impl Fn(&[u8]) -> T + Sync) -> Result<(), StoreError> {
        for parcel in places.iter().filter_map(|place| place.parcel) {
            let cached = || self.store.entry(self.bucket, &parcel).unwrap_or_default();
            self.known.entry(Some(parcel)).or_insert_with(cached);
        }
        let is_missing = |place: &&Place| self.get(place).is_none();
        let missing: BTreeSet<Place> = places.iter().filter(is_missing).copied().collect();
        let store = self.store;
        let read = |place: &Place| Ok((*place, facts_of(&store.read(&place.digest)?)));
        let read: Result<Vec<_>, StoreError> = missing.par_iter().map(read).collect();
        for (place, facts) in read? {
            self.known.entry(place.parcel).or_default().insert(place.digest, facts);
            self.changed.extend(place.parcel);
        }
        Ok(())
    }

    pub(super) fn get(&self, place: &Place) -> Option<&T> {
        self.known.get(&place.parcel)?.get(&place.digest)
    }

    /// Writes new facts into the cache.
    pub(super) fn keep(&mut self) -> Result<(), StoreError> {
        for parcel in std::mem::take(&mut self.changed) {
            self.store.write_entry(self.bucket, &parcel, &self.known[&Some(parcel)])?;
        }
        Ok(())
    }
}
