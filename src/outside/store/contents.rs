//! The contents of files, by digest. Small contents may be in a pack. The pack must be opened before its contents
//! are read.

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use fs_err as fs;

use super::error::StoreError;
use super::files::{is_whole, place};
use super::handle::{Place, Store};
use crate::model::digest::{Digest, DigestWriter};
use crate::model::zeros::is_zero;

/// Contents of at most this size go into a pack. Larger ones are separate files, because trees on the disk have hard
/// links to them.
pub(super) const SMALL_BYTES: usize = 128 << 10;

impl Store {
    /// Stores `bytes` as the content of a file.
    pub(crate) fn put(&self, bytes: &[u8]) -> Result<Digest, StoreError> {
        let digest = Digest::of(bytes);
        let path = self.path_in("files", &digest);
        if !is_whole(&path, Some(bytes.len() as u64)) {
            self.write(&path, bytes)?;
        }
        Ok(digest)
    }

    /// Stores the output of `reader` as the content of a file. Only one buffer of the output is in memory at a time.
    pub(crate) fn put_reader(&self, reader: &mut dyn Read) -> Result<(Digest, u64), StoreError> {
        match beginning(reader)? {
            Beginning::All(bytes) => Ok((self.put(&bytes)?, bytes.len() as u64)),
            Beginning::Part(bytes) => self.put_large(&mut bytes.chain(reader)),
        }
    }

    /// Stores a content. The content is written while it is read. Blocks of zeros become holes in the file.
    pub(super) fn put_large(&self, reader: &mut dyn Read) -> Result<(Digest, u64), StoreError> {
        const BLOCK: usize = 64 << 10;
        let mut file = self.temporary_file()?;
        let mut writer = DigestWriter::new(Holed { file: file.as_file_mut() });
        let failed = |source| StoreError::Write { path: self.root().join("files"), source };
        let mut block = Vec::with_capacity(BLOCK);
        loop {
            block.clear();
            (&mut *reader).take(BLOCK as u64).read_to_end(&mut block).map_err(StoreError::Incoming)?;
            if block.is_empty() {
                break;
            }
            writer.write_all(&block).map_err(failed)?;
        }
        let (_, digest, size_bytes) = writer.finish();
        file.as_file().set_len(size_bytes).map_err(failed)?;
        let path = self.path_in("files", &digest);
        if !is_whole(&path, Some(size_bytes)) {
            place(file, &path, 0o644)?;
        }
        Ok((digest, size_bytes))
    }

    /// Returns a file that has only this content. Its mode is 0755 if it must be executable, or else 0644.
    pub(crate) fn contents_path(&self, digest: &Digest, executable: bool) -> Result<PathBuf, StoreError> {
        let plain = self.path_in("files", digest);
        let packed = self.place_of(digest);
        if !executable && packed.is_none() {
            return Ok(plain);
        }
        let size_bytes = match packed {
            Some(place) => place.size_bytes,
            None => fs::metadata(&plain).map_err(|source| StoreError::Read { path: plain.clone(), source })?.len(),
        };
        let (path, mode) = if executable { (self.path_in("programs", digest), 0o755) } else { (plain, 0o644) };
        if !is_whole(&path, Some(size_bytes)) {
            let mut file = self.temporary_file()?;
            io::copy(&mut self.reader(digest)?, &mut file)
                .map_err(|source| StoreError::Write { path: path.clone(), source })?;
            place(file, &path, mode)?;
        }
        Ok(path)
    }

    /// Returns whether the store has the content with this size.
    pub(crate) fn holds(&self, digest: &Digest, size_bytes: u64) -> bool {
        self.place_of(digest).is_some_and(|place| place.size_bytes == size_bytes)
            || is_whole(&self.path_in("files", digest), Some(size_bytes))
    }

    pub(crate) fn read(&self, digest: &Digest) -> Result<Vec<u8>, StoreError> {
        if let Some(place) = self.place_of(digest) {
            return self.read_packed(place);
        }
        let path = self.path_in("files", digest);
        fs::read(&path).map_err(|source| StoreError::Read { path, source })
    }

    /// Returns the first bytes of the content, at most `length`.
    pub(crate) fn read_start(&self, digest: &Digest, length: u64) -> Result<Vec<u8>, StoreError> {
        if let Some(place) = self.place_of(digest) {
            return self.read_packed(place.first(length));
        }
        let path = self.path_in("files", digest);
        let failed = |source| StoreError::Read { path: path.clone(), source };
        let mut bytes = Vec::new();
        fs::File::open(&path).map_err(failed)?.take(length).read_to_end(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }

    /// Opens the content for reading. A large content is not held in memory.
    pub(crate) fn reader(&self, digest: &Digest) -> Result<Box<dyn Contents>, StoreError> {
        if let Some(place) = self.place_of(digest) {
            return Ok(Box::new(io::Cursor::new(self.read_packed(place)?)));
        }
        let path = self.path_in("files", digest);
        let file = fs::File::open(&path).map_err(|source| StoreError::Read { path, source })?;
        Ok(Box::new(file))
    }

    fn read_packed(&self, place: Place) -> Result<Vec<u8>, StoreError> {
        let failed = |source| StoreError::Read { path: self.path_in("packs", &place.pack), source };
        let length = usize::try_from(place.size_bytes).map_err(|error| failed(io::Error::other(error)))?;
        let mut bytes = vec![0; length];
        let file = self.open_pack_file(&place.pack).map_err(failed)?;
        file.read_exact_at(&mut bytes, place.offset).map_err(failed)?;
        Ok(bytes)
    }

    /// Returns the path that the content has in the store if the content is large. The path is used only in errors.
    pub(crate) fn contents_place(&self, digest: &Digest) -> PathBuf {
        self.path_in("files", digest)
    }
}

/// Contents that are open for reading.
pub(crate) trait Contents: Read + Seek {}

impl<T: Read + Seek> Contents for T {}

/// Writes a file with holes at the blocks that contain only zeros. At the end, the length of the file must be set.
struct Holed<'a> {
    file: &'a mut std::fs::File,
}

impl Write for Holed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        // A hole in a file has the size of whole blocks.
        const BLOCK_BYTES: usize = 4096;
        if bytes.len() >= BLOCK_BYTES && is_zero(bytes) {
            self.file.seek(SeekFrom::Current(bytes.len() as i64))?;
            return Ok(bytes.len());
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The beginning of a reader's output.
pub(super) enum Beginning {
    /// The whole output.
    All(Vec<u8>),
    /// The beginning of an output that is larger than a small content. The rest of the output has not been read yet.
    Part(io::Cursor<Vec<u8>>),
}

/// Reads the beginning, which is at most slightly larger than a small content.
pub(super) fn beginning(reader: &mut dyn Read) -> Result<Beginning, StoreError> {
    let mut bytes = Vec::new();
    reader.take(SMALL_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(StoreError::Incoming)?;
    Ok(if bytes.len() > SMALL_BYTES { Beginning::Part(io::Cursor::new(bytes)) } else { Beginning::All(bytes) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::store::tests::store;

    #[test]
    fn what_is_put_is_read_again_by_another_process() {
        let (_home, store) = store();
        let digest = store.put(b"lath").unwrap();
        assert_eq!(store.put_reader(&mut b"lath".as_slice()).unwrap(), (digest, 4));
        assert_eq!(Store::open(store.root()).unwrap().read(&digest).unwrap(), b"lath");
    }

    #[test]
    fn a_file_that_was_cut_short_is_not_held_and_put_again() {
        let (_home, store) = store();
        let digest = store.put(b"#!/bin/sh\n").unwrap();
        store.contents_path(&digest, true).unwrap();
        for folder in ["files", "programs"] {
            std::fs::write(store.path_in(folder, &digest), "#!/bin").unwrap();
        }
        assert!(!store.holds(&digest, 10));
        store.put_reader(&mut b"#!/bin/sh\n".as_slice()).unwrap();
        assert!(store.holds(&digest, 10));
        assert_eq!(std::fs::read(store.contents_path(&digest, true).unwrap()).unwrap(), b"#!/bin/sh\n");
    }

    #[test]
    fn a_large_content_is_kept_with_its_holes() {
        use std::os::unix::fs::MetadataExt as _;
        let (_home, store) = store();
        let mut bytes = vec![0; 3 << 20];
        bytes[1 << 20] = 1;
        let (digest, size_bytes) = store.put_reader(&mut bytes.as_slice()).unwrap();
        assert_eq!((digest, size_bytes), (Digest::of(&bytes), 3 << 20));
        assert_eq!(store.read(&digest).unwrap(), bytes);
        let blocks = std::fs::metadata(store.contents_place(&digest)).unwrap().blocks();
        assert!(blocks * 512 < 1 << 20, "{blocks} blocks");
    }
}
