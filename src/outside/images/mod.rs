//! Images that exist: opens one from a registry, an OCI layout, an archive or a daemon, and reads its documents and
//! blobs. Every document is checked against its digest, and limited in size. Blobs are kept in the store.

mod archive;
mod choice;
mod document;
mod error;
mod layout;
mod saved;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::PathBuf;

use fs_err as fs;

use self::archive::Archive;
pub(crate) use self::choice::ChosenImage;
pub(crate) use self::document::{ImageDocument, digest_of, parse};
pub(crate) use self::error::ImagesError;

use self::document::MAX_DOCUMENT_BYTES;
use self::saved::SavedArchive;
use crate::formats::oci::Descriptor;
use crate::model::digest::Digest;
use crate::model::image::{BlobDigest, Document};
use crate::model::image_source::ImageSource;
use crate::outside::daemon::Daemon;
use crate::outside::store::{Store, StoreError};

/// The doors through which an image can come.
#[derive(Clone, Copy)]
pub(crate) struct ImageDoors<'a> {
    pub(crate) store: &'a Store,
    pub(crate) daemon: &'a Daemon,
}

/// An image that can be read. Its root document was read and checked.
pub(crate) struct OpenImage<'a> {
    source: ImageSource,
    root: Document,
    medium: Medium,
    store: &'a Store,
}

/// The place of the bytes.
enum Medium {
    /// The folder of an OCI layout.
    Folder(PathBuf),
    /// An OCI layout in a tar.
    Archive(Archive),
    /// The output of `docker save`.
    Saved(SavedArchive),
}

/// Opens the image at `source`.
#[allow(dead_code, reason = "the pipeline does not read images yet")]
pub(crate) fn open<'a>(source: &ImageSource, doors: ImageDoors<'a>) -> Result<OpenImage<'a>, ImagesError> {
    let failed = |problem| ImagesError::Open { source: source.clone(), problem: Box::new(problem) };
    let (root, medium) = open_medium(source, doors).map_err(failed)?;
    Ok(OpenImage { source: source.clone(), root, medium, store: doors.store })
}

fn open_medium(source: &ImageSource, doors: ImageDoors<'_>) -> Result<(Document, Medium), ImagesError> {
    match source {
        ImageSource::Oci { path, reference } => {
            let medium = Medium::Folder(path.clone());
            let index = fs::read(path.join(layout::INDEX_FILE)).map_err(ImagesError::Read)?;
            Ok((layout::root(index, reference.as_deref(), &medium)?, medium))
        }
        ImageSource::OciArchive { path, reference } => {
            let archive = Archive::open(path, doors.store)?;
            let index = archive.document(layout::INDEX_FILE)?;
            let medium = Medium::Archive(archive);
            Ok((layout::root(index, reference.as_deref(), &medium)?, medium))
        }
        ImageSource::DockerArchive { path, name } => saved(Archive::open(path, doors.store)?, name.as_deref()),
        ImageSource::Daemon(name) => {
            let folder = doors.store.temporary_dir()?;
            let path = folder.path().join("image.tar");
            let mut file = fs::File::create(&path).map_err(ImagesError::Read)?;
            doors.daemon.save(name, &mut file)?;
            drop(file);
            saved(Archive::open(&path, doors.store)?.keeping(folder), None)
        }
        ImageSource::Registry(image) => Err(ImagesError::NoRegistry(image.clone())),
    }
}

fn saved(archive: Archive, name: Option<&str>) -> Result<(Document, Medium), ImagesError> {
    let saved = SavedArchive::open(archive, name)?;
    Ok((saved.manifest().clone(), Medium::Saved(saved)))
}

impl OpenImage<'_> {
    /// Returns the place of the image.
    pub(crate) fn source(&self) -> &ImageSource {
        &self.source
    }

    /// Returns the document that the name of the image refers to: an index, or the manifest of one platform.
    pub(crate) fn root(&self) -> &Document {
        &self.root
    }

    /// Reads a manifest, an index or a config. Its size and its digest are checked.
    pub(crate) fn document(&self, descriptor: &Descriptor) -> Result<Document, ImagesError> {
        if descriptor.digest == self.root.digest.0.prefixed() {
            return Ok(self.root.clone());
        }
        self.medium.document(descriptor)
    }

    /// Returns the path of a blob in the store, and copies it there first if the store does not have it.
    pub(crate) fn blob(&self, descriptor: &Descriptor) -> Result<PathBuf, ImagesError> {
        let digest = digest_of(descriptor)?;
        if self.store.has_blob(&digest, Some(descriptor.size)) {
            return Ok(self.store.blob_path(&digest));
        }
        self.store.write_blob(&digest, descriptor.size, |writer| self.medium.copy(&digest, writer))
    }
}

impl Medium {
    fn document(&self, descriptor: &Descriptor) -> Result<Document, ImagesError> {
        let digest = digest_of(descriptor)?;
        if descriptor.size > MAX_DOCUMENT_BYTES {
            return Err(ImagesError::TooLarge { digest, size_bytes: descriptor.size });
        }
        let mut bytes = Limited(Vec::new(), descriptor.size);
        self.copy(&digest, &mut bytes)?;
        let (found, found_bytes) = (Digest::of(&bytes.0), bytes.0.len() as u64);
        if found != digest.0 || found_bytes != descriptor.size {
            let size_bytes = descriptor.size;
            Err(StoreError::OtherBlob { expected: digest, size_bytes, found, found_bytes })?;
        }
        Ok(Document::new(descriptor.media_type.clone(), bytes.0))
    }

    /// Writes the bytes that the medium has under this digest. They are not checked.
    fn copy(&self, digest: &BlobDigest, writer: &mut dyn Write) -> Result<(), ImagesError> {
        let mut reader: Box<dyn io::Read> = match self {
            Self::Folder(path) => {
                let path = path.join("blobs/sha256").join(digest.0.to_string());
                match fs::File::open(path) {
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(ImagesError::Missing(*digest)),
                    file => Box::new(file.map_err(ImagesError::Read)?),
                }
            }
            Self::Archive(archive) => archive.blob(digest)?,
            Self::Saved(saved) => saved.blob(digest)?,
        };
        io::copy(&mut reader, writer).map_err(ImagesError::Read)?;
        Ok(())
    }
}

/// Bytes in memory, at most one more than a number.
struct Limited(Vec<u8>, u64);

impl Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.0.len() + bytes.len()) as u64 > self.1 {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the document is longer than its descriptor says"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
