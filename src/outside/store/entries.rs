//! Cache entries: small values as JSON, each in a bucket and under a key.

use std::io;
use std::path::PathBuf;

use fs_err as fs;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::error::StoreError;
use super::files::is_whole;
use super::handle::Store;
use crate::model::digest::Digest;

impl Store {
    /// Reads a cache entry. `None` if it is missing, unreadable or in another format.
    pub(crate) fn note<T: DeserializeOwned>(&self, shelf: &str, key: &Digest) -> Option<T> {
        let path = self.note_path(shelf, key);
        let bytes = fs::read(&path).ok().filter(|_| is_whole(&path, None))?;
        serde_json::from_slice(&bytes).ok()
    }

    pub(crate) fn write_note<T: Serialize>(&self, shelf: &str, key: &Digest, value: &T) -> Result<(), StoreError> {
        let path = self.note_path(shelf, key);
        let bytes = serde_json::to_vec(value)
            .map_err(|error| StoreError::Write { path: path.clone(), source: io::Error::other(error) })?;
        self.write(&path, &bytes)
    }

    fn note_path(&self, shelf: &str, key: &Digest) -> PathBuf {
        self.root().join("notes").join(shelf).join(key.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::store::tests::store;

    #[test]
    fn a_note_that_was_cut_short_is_no_note() {
        let (_home, store) = store();
        let key = Digest::of(b"key");
        store.write_note("shelf", &key, &vec![1, 2, 3]).unwrap();
        assert_eq!(store.note::<Vec<u8>>("shelf", &key), Some(vec![1, 2, 3]));
        std::fs::write(store.note_path("shelf", &key), "[1, 2").unwrap();
        assert_eq!(store.note::<Vec<u8>>("shelf", &key), None);
    }
}
