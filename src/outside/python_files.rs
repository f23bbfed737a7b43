//! The facts about Python files, parsed when they are first needed. The cache keeps them per parcel.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use crate::formats::python_imports;
use crate::model::digest::Digest;
use crate::model::facts::TreeFacts;
use crate::model::image_path::ImagePath;
use crate::model::python_file::PythonFile;
use crate::model::start_up::PythonSource;
use crate::model::tree::Tree;
use crate::outside::store::{Bucket, Store, StoreError};

/// The facts about files of a parcel, by the digests of their contents. `None` if Python could not compile the file.
type Known = BTreeMap<Digest, Option<PythonFile>>;

/// The Python files of a tree.
pub(crate) struct PythonFiles<'a> {
    tree: &'a Tree,
    facts: &'a TreeFacts,
    store: &'a Store,
    /// The facts that are in memory, by parcel. Files that come from no parcel have the key `None`, and are not cached.
    known: BTreeMap<Option<Digest>, Known>,
    /// The parcels of which the cache does not have all facts that are in memory.
    changed: BTreeSet<Digest>,
}

/// A file, and the parcel that it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    parcel: Option<Digest>,
    digest: Digest,
}

impl<'a> PythonFiles<'a> {
    pub(crate) fn new(tree: &'a Tree, facts: &'a TreeFacts, store: &'a Store) -> Self {
        Self { tree, facts, store, known: BTreeMap::new(), changed: BTreeSet::new() }
    }

    /// Returns the contents of a file of the tree.
    pub(crate) fn contents(&self, path: &ImagePath) -> Result<Vec<u8>, StoreError> {
        match self.place(path) {
            Some(place) => self.store.read(&place.digest),
            None => Ok(Vec::new()),
        }
    }

    /// Writes the facts that were parsed into the cache.
    pub(crate) fn keep(&mut self) -> Result<(), StoreError> {
        for parcel in std::mem::take(&mut self.changed) {
            self.store.write_entry(Bucket::PythonFiles, &parcel, &self.known[&Some(parcel)])?;
        }
        Ok(())
    }

    fn place(&self, path: &ImagePath) -> Option<Place> {
        let (_, node) = match self.tree.nodes.get(path) {
            Some(node) if node.digest().is_some() => (path.clone(), node),
            _ => self.tree.find(path.as_str())?,
        };
        Some(Place { parcel: self.facts.parcel_of(&node.origin), digest: *node.digest()? })
    }

    /// Parses the files that are neither in memory nor in the cache.
    fn parse(&mut self, places: &[Place]) -> Result<(), StoreError> {
        for parcel in places.iter().filter_map(|place| place.parcel) {
            let cached = || self.store.entry(Bucket::PythonFiles, &parcel).unwrap_or_default();
            self.known.entry(Some(parcel)).or_insert_with(cached);
        }
        let is_missing = |place: &&Place| self.get(place).is_none();
        let missing: BTreeSet<Place> = places.iter().filter(is_missing).copied().collect();
        let parse = |place: &Place| Ok((*place, python_imports::parse(&self.store.read(&place.digest)?)));
        let parsed: Result<Vec<_>, StoreError> = missing.par_iter().map(parse).collect();
        for (place, file) in parsed? {
            self.known.entry(place.parcel).or_default().insert(place.digest, file);
            self.changed.extend(place.parcel);
        }
        Ok(())
    }

    fn get(&self, place: &Place) -> Option<&Option<PythonFile>> {
        self.known.get(&place.parcel)?.get(&place.digest)
    }
}

impl PythonSource for PythonFiles<'_> {
    type Error = StoreError;

    fn read(&mut self, paths: &[&ImagePath]) -> Result<Vec<Option<PythonFile>>, StoreError> {
        let places: Vec<Option<Place>> = paths.iter().map(|path| self.place(path)).collect();
        self.parse(&places.iter().flatten().copied().collect::<Vec<_>>())?;
        Ok(places.into_iter().map(|place| self.get(&place?)?.clone()).collect())
    }
}
