//! Blobs: layers and documents of images that other tools built, by the sha256 of their bytes.

use std::io::{self, Write};
use std::path::PathBuf;

use super::error::StoreError;
use super::files::{is_whole, place};
use super::handle::Store;
use crate::model::digest::DigestWriter;
use crate::model::image::BlobDigest;

impl Store {
    /// Returns the path of a blob. The file does not have to exist.
    pub(crate) fn blob_path(&self, digest: &BlobDigest) -> PathBuf {
        self.path_in("blobs", &digest.0)
    }

    /// Returns whether the store has the blob. If a size is given, it must be the blob's size.
    pub(crate) fn has_blob(&self, digest: &BlobDigest, size_bytes: Option<u64>) -> bool {
        is_whole(&self.blob_path(digest), size_bytes)
    }

    /// Stores the blob that `write` writes. Fails if the digest or the size of the blob is wrong. If the blob is too
    /// long, this fails before all bytes were written.
    pub(crate) fn write_blob<E: From<StoreError>>(
        &self,
        digest: &BlobDigest,
        size_bytes: u64,
        write: impl FnOnce(&mut (dyn Write + Send)) -> Result<(), E>,
    ) -> Result<PathBuf, E> {
        let path = self.blob_path(digest);
        let mut file = self.temporary_file()?;
        let (found, found_bytes) = {
            let buffer = io::BufWriter::with_capacity(256 << 10, file.as_file_mut());
            let mut writer = DigestWriter::new(Bounded { inner: buffer, left_bytes: size_bytes });
            write(&mut writer)?;
            let (mut bounded, found, found_bytes) = writer.finish();
            bounded.flush().map_err(|source| StoreError::Write { path: path.clone(), source })?;
            (found, found_bytes)
        };
        if found != digest.0 || found_bytes != size_bytes {
            Err(StoreError::OtherBlob { expected: *digest, size_bytes, found, found_bytes })?;
        }
        place(file, &path, 0o644)?;
        Ok(path)
    }
}

/// A writer that accepts a limited number of bytes.
struct Bounded<W> {
    inner: W,
    left_bytes: u64,
}

impl<W: Write> Write for Bounded<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let left_bytes = self.left_bytes.checked_sub(bytes.len() as u64);
        let too_long = || io::Error::new(io::ErrorKind::InvalidData, "the blob is longer than its descriptor says");
        self.left_bytes = left_bytes.ok_or_else(too_long)?;
        self.inner.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::outside::store::tests::store;

    fn written(bytes: &[u8], size_bytes: u64, of: &[u8]) -> Result<PathBuf, StoreError> {
        let (_home, store) = store();
        let digest = BlobDigest(Digest::of(of));
        let path =
            store.write_blob(&digest, size_bytes, |writer| writer.write_all(bytes).map_err(StoreError::Incoming));
        assert_eq!(store.has_blob(&digest, Some(size_bytes)), path.is_ok());
        path
    }

    #[test]
    fn only_the_expected_bytes_become_a_blob() {
        assert!(written(b"layer", 5, b"layer").is_ok());
        for (bytes, size_bytes, of) in [(b"layer", 4, b"layer"), (b"layer", 6, b"layer"), (b"layer", 5, b"other")] {
            assert!(written(bytes, size_bytes, of).is_err(), "{size_bytes}");
        }
    }
}
