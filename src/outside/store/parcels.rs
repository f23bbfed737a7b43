//! Parcels: downloaded .debs and wheels, by sha256, and downloads in progress.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::error::StoreError;
use super::files::{is_whole, place};
use super::handle::Store;
use crate::model::allowed_hashes::AllowedHashes;
use crate::model::digest::{Digest, DigestWriter};

impl Store {
    /// Returns the path of a complete .deb or wheel. The file does not have to exist.
    pub(crate) fn parcel_path(&self, digest: &Digest) -> PathBuf {
        self.path_in("parcels", digest)
    }

    /// Returns whether `allowed` has the hash of a parcel in the store. The sha256 is not compared, because it is `digest`.
    pub(crate) fn parcel_matches(&self, digest: &Digest, allowed: &AllowedHashes) -> Result<bool, StoreError> {
        if allowed.others.is_empty() {
            return Ok(true);
        }
        let path = self.parcel_path(digest);
        let bytes = fs::read(&path).map_err(|source| StoreError::Read { path, source })?;
        Ok(allowed.allows_bytes(&bytes))
    }

    /// Returns whether the store has the parcel. If a size is given, it must be the parcel's size.
    pub(crate) fn has_parcel(&self, digest: &Digest, size_bytes: Option<u64>) -> bool {
        is_whole(&self.parcel_path(digest), size_bytes)
    }

    /// Removes a parcel if its bytes do not match its digest. Returns whether it was removed.
    pub(crate) fn drop_damaged_parcel(&self, digest: &Digest) -> Result<bool, StoreError> {
        let path = self.parcel_path(digest);
        let unreadable = |source| StoreError::Read { path: path.clone(), source };
        let mut writer = DigestWriter::new(io::sink());
        io::copy(&mut fs::File::open(&path).map_err(unreadable)?, &mut writer).map_err(unreadable)?;
        let is_damaged = writer.finish().1 != *digest;
        if is_damaged {
            fs::remove_file(&path).map_err(|source| StoreError::Remove { path: path.clone(), source })?;
        }
        Ok(is_damaged)
    }

    /// Moves a file that was downloaded and checked to its path in the store.
    pub(crate) fn adopt_parcel(&self, temporary: &Path, digest: &Digest) -> Result<(), StoreError> {
        let path = self.parcel_path(digest);
        let failed = |source| StoreError::Write { path: path.clone(), source };
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).map_err(failed)?;
        }
        fs::rename(temporary, &path).map_err(failed)
    }

    /// Stores a copy of a user's file and returns its sha256 and its size in bytes.
    pub(crate) fn copy_parcel(&self, path: &Path) -> Result<(Digest, u64), StoreError> {
        let unreadable = |source| StoreError::Read { path: path.to_owned(), source };
        let mut source = fs::File::open(path).map_err(unreadable)?;
        let mut file = self.temporary_file()?;
        let mut writer = DigestWriter::new(io::BufWriter::with_capacity(128 << 10, file.as_file_mut()));
        io::copy(&mut source, &mut writer).map_err(unreadable)?;
        let (mut buffer, digest, size_bytes) = writer.finish();
        buffer.flush().map_err(|source| StoreError::Write { path: self.root().join("parcels"), source })?;
        drop(buffer);
        if !self.has_parcel(&digest, Some(size_bytes)) {
            place(file, &self.parcel_path(&digest), 0o644)?;
        }
        Ok((digest, size_bytes))
    }

    /// Returns the path of a download in progress. Another process can continue this download later.
    pub(crate) fn partial_path(&self, digest: &Digest) -> PathBuf {
        self.root().join("partial").join(digest.to_string())
    }
}
