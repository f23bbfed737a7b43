//! Cache entries: small JSON values, each with a bucket and a key.

use std::io;
use std::path::PathBuf;

use fs_err as fs;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::bucket::Bucket;
use super::error::StoreError;
use super::files::is_whole;
use super::handle::Store;
use crate::model::digest::Digest;

impl Store {
    /// Reads a cache entry. Returns `None` if it is missing, unreadable or in another format.
    pub(crate) fn entry<T: DeserializeOwned>(&self, bucket: Bucket, key: &Digest) -> Option<T> {
        let path = self.entry_path(bucket, key);
        let bytes = fs::read(&path).ok().filter(|_| is_whole(&path, None))?;
        serde_json::from_slice(&bytes).ok()
    }

    /// Writes a cache entry. Replaces an existing entry.
    pub(crate) fn write_entry<T: Serialize>(&self, bucket: Bucket, key: &Digest, value: &T) -> Result<(), StoreError> {
        let path = self.entry_path(bucket, key);
        let bytes = serde_json::to_vec(value)
            .map_err(|error| StoreError::Write { path: path.clone(), source: io::Error::other(error) })?;
        self.write(&path, &bytes)
    }

    fn entry_path(&self, bucket: Bucket, key: &Digest) -> PathBuf {
        self.root().join("notes").join(bucket.name()).join(key.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::store::tests::store;

    #[test]
    fn an_entry_that_was_cut_short_is_no_entry() {
        let (_home, store) = store();
        let key = Digest::of(b"key");
        store.write_entry(Bucket::Parts, &key, &vec![1, 2, 3]).unwrap();
        assert_eq!(store.entry::<Vec<u8>>(Bucket::Parts, &key), Some(vec![1, 2, 3]));
        std::fs::write(store.entry_path(Bucket::Parts, &key), "[1, 2").unwrap();
        assert_eq!(store.entry::<Vec<u8>>(Bucket::Parts, &key), None);
    }
}
