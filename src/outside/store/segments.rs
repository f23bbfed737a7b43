//! Segments: compressed pieces of layers. The key of a segment is computed from its inputs.

use std::io::Write as _;
use std::path::PathBuf;

use super::error::StoreError;
use super::files::{is_whole, place};
use super::handle::Store;
use crate::model::digest::Digest;

impl Store {
    /// Returns the path of a compressed piece of a layer in the store. The file does not have to exist.
    pub(crate) fn segment_path(&self, key: &Digest) -> PathBuf {
        self.path_in("segments", key)
    }

    pub(crate) fn has_segment(&self, key: &Digest) -> bool {
        is_whole(&self.segment_path(key), None)
    }

    /// Stores a segment.
    pub(crate) fn put_segment(&self, key: &Digest, bytes: &[u8]) -> Result<(), StoreError> {
        let failed = |source| StoreError::Write { path: self.segment_path(key), source };
        self.write_segment(key, |file| file.write_all(bytes).map_err(failed))
    }

    /// Stores the segment that `write` writes. Later, its bytes cannot be checked against its key. So they are synced
    /// to the disk before the file gets its name.
    pub(crate) fn write_segment<E: From<StoreError>>(
        &self,
        key: &Digest,
        write: impl FnOnce(&mut std::fs::File) -> Result<(), E>,
    ) -> Result<(), E> {
        let path = self.segment_path(key);
        let mut file = self.temporary_file()?;
        write(file.as_file_mut())?;
        let synced = file.as_file().sync_data();
        synced.map_err(|source| StoreError::Write { path: path.clone(), source })?;
        Ok(place(file, &path, 0o644)?)
    }
}
