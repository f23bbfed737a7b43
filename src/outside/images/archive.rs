//! A tar file with an image. lath seeks to the members that it needs, so the file may be larger than memory.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use fs_err as fs;
use tempfile::TempDir;

use super::MAX_DOCUMENT_BYTES;
use super::error::ImagesError;
use crate::formats::compressed::{self, Format};
use crate::formats::tar_listing::{self, Member};
use crate::model::image::BlobDigest;
use crate::outside::store::Store;

/// The maximum unpacked size of a compressed archive.
const MAX_UNPACKED_BYTES: u64 = 64 << 30;

pub(super) struct Archive {
    path: PathBuf,
    members: BTreeMap<String, Member>,
    /// The folder of `path`, if the file is temporary.
    #[expect(dead_code, reason = "while this lives, the file exists")]
    folder: Option<TempDir>,
}

impl Archive {
    /// Opens the archive at `path`. A compressed archive is first unpacked into a temporary file, because it is not
    /// possible to seek in compressed data.
    pub(super) fn open(path: &Path, store: &Store) -> Result<Self, ImagesError> {
        let open = || fs::File::open(path).map_err(ImagesError::Read);
        if compressed::recognised(open()?).map_err(ImagesError::Read)?.0 == Format::Plain {
            let members = tar_listing::list(BufReader::new(open()?)).map_err(ImagesError::Read)?;
            return Ok(Self { path: path.to_owned(), members, folder: None });
        }
        let unpacked = compressed::decompressed(open()?).map_err(ImagesError::Read)?;
        let folder = store.temporary_dir()?;
        let path = folder.path().join("unpacked.tar");
        let mut file = fs::File::create(&path).map_err(ImagesError::Read)?;
        let copied = io::copy(&mut unpacked.take(MAX_UNPACKED_BYTES + 1), &mut file).map_err(ImagesError::Read)?;
        if copied > MAX_UNPACKED_BYTES {
            return Err(ImagesError::Read(io::Error::new(io::ErrorKind::InvalidData, "the archive is too large")));
        }
        drop(file);
        Ok(Self::open(&path, store)?.keeping(folder))
    }

    /// Keeps the folder until the archive is dropped.
    pub(super) fn keeping(self, folder: TempDir) -> Self {
        Self { folder: Some(folder), ..self }
    }

    /// Opens the file with this name, and returns its size as well.
    pub(super) fn reader(&self, name: &str) -> Result<(Box<dyn Read>, u64), ImagesError> {
        let Some(Member::File { offset, size_bytes }) = tar_listing::find(&self.members, name) else {
            return Err(ImagesError::NotInArchive(name.to_owned()));
        };
        let mut file = fs::File::open(&self.path).map_err(ImagesError::Read)?;
        file.seek(SeekFrom::Start(*offset)).map_err(ImagesError::Read)?;
        Ok((Box::new(file.take(*size_bytes)), *size_bytes))
    }

    /// Reads a document, which is limited in size.
    pub(super) fn document(&self, name: &str) -> Result<Vec<u8>, ImagesError> {
        let (reader, size_bytes) = self.reader(name)?;
        if size_bytes > MAX_DOCUMENT_BYTES {
            let problem = format!("it has {size_bytes} bytes, and the limit is {MAX_DOCUMENT_BYTES}");
            return Err(ImagesError::Malformed { name: name.to_owned(), problem });
        }
        let mut bytes = Vec::new();
        reader.take(size_bytes).read_to_end(&mut bytes).map_err(ImagesError::Read)?;
        Ok(bytes)
    }

    /// Returns whether the archive has a file with this name.
    pub(super) fn has(&self, name: &str) -> bool {
        matches!(tar_listing::find(&self.members, name), Some(Member::File { .. }))
    }

    /// Opens a blob of an OCI layout.
    pub(super) fn blob(&self, digest: &BlobDigest) -> Result<Box<dyn Read>, ImagesError> {
        match self.reader(&format!("blobs/sha256/{}", digest.0)) {
            Err(ImagesError::NotInArchive(_)) => Err(ImagesError::Missing(*digest)),
            found => found.map(|(reader, _)| reader),
        }
    }
}
