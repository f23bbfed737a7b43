//! Opens an existing image from a registry, an OCI layout, an archive or a daemon, and reads its documents and blobs.
//! Every document is limited in size and is checked against its digest. Blobs are kept in the store.

mod archive;
mod choice;
mod document;
mod error;
#[cfg(test)]
pub(crate) mod fixture;
mod layout;
mod saved;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Write};
use std::path::PathBuf;

use fs_err as fs;

use self::archive::Archive;
pub(crate) use self::choice::ChosenImage;
pub(crate) use self::document::digest_of;
pub(crate) use self::document::{ImageDocument, parse};
pub(crate) use self::error::ImagesError;

use self::document::{is_image_manifest, is_index, media_type_in};
use self::saved::SavedArchive;
use crate::formats::oci::{self, Descriptor};
use crate::model::digest::Digest;
use crate::model::image::{BlobDescriptor, BlobDigest, Document};
use crate::model::image_reference::ImageReference;
use crate::model::image_source::ImageSource;
use crate::outside::daemon::Daemon;
use crate::outside::registry::Registry;
use crate::outside::store::{Store, StoreError};

/// The maximum size of a document.
const MAX_DOCUMENT_BYTES: u64 = oci::MAX_MANIFEST_BYTES;

/// The doors that are needed to read images.
#[derive(Clone, Copy)]
pub(crate) struct ImageDoors<'a> {
    pub(crate) store: &'a Store,
    pub(crate) daemon: &'a Daemon,
    pub(crate) registry: &'a Registry,
}

/// An image that can be read. Its root document was read and checked.
pub(crate) struct OpenImage<'a> {
    source: ImageSource,
    root: Document,
    medium: Medium<'a>,
    store: &'a Store,
}

/// The place that the bytes are read from.
enum Medium<'a> {
    /// A repository of a registry.
    Registry { registry: &'a Registry, image: ImageReference, store: &'a Store },
    /// The folder of an OCI layout.
    Folder(PathBuf),
    /// An OCI layout in a tar.
    Archive(Archive),
    /// The output of `docker save`.
    Saved(SavedArchive),
}

/// Opens the image at `source`.
pub(crate) fn open<'a>(source: &ImageSource, doors: ImageDoors<'a>) -> Result<OpenImage<'a>, ImagesError> {
    let failed = |problem| ImagesError::Open { source: source.clone(), problem: Box::new(problem) };
    let (root, medium) = open_medium(source, doors).map_err(failed)?;
    Ok(OpenImage { source: source.clone(), root, medium, store: doors.store })
}

fn open_medium<'a>(source: &ImageSource, doors: ImageDoors<'a>) -> Result<(Document, Medium<'a>), ImagesError> {
    match source {
        ImageSource::Oci { path, reference } => {
            let medium = Medium::Folder(path.clone());
            let index = limited(fs::File::open(path.join(layout::INDEX_FILE)).map_err(ImagesError::Read)?)?;
            Ok((layout::root(index, reference.as_deref(), &medium)?, medium))
        }
        ImageSource::OciArchive { path, reference } => {
            let archive = Archive::open(path, doors.store)?;
            let index = archive.document(layout::INDEX_FILE)?;
            let medium = Medium::Archive(archive);
            Ok((layout::root(index, reference.as_deref(), &medium)?, medium))
        }
        ImageSource::DockerArchive { path, name } => saved::open(Archive::open(path, doors.store)?, name.as_deref()),
        ImageSource::Daemon(name) => {
            let folder = doors.store.temporary_dir()?;
            let path = folder.path().join("image.tar");
            let mut file = fs::File::create(&path).map_err(ImagesError::Read)?;
            doors.daemon.save(name, &mut file)?;
            drop(file);
            saved::open(Archive::open(&path, doors.store)?.keeping(folder), None)
        }
        ImageSource::Registry(image) => {
            let (registry, store) = (doors.registry, doors.store);
            let root = match &image.digest {
                Some(digest) => kept_document(digest, image, doors)?,
                None => keep(registry.manifest(image)?, store)?,
            };
            Ok((root, Medium::Registry { registry, image: image.clone(), store }))
        }
    }
}

/// Reads a document whose size is not known in advance. If the document is longer than allowed, only a part is read,
/// and the caller refuses the document.
fn limited(reader: impl Read) -> Result<Vec<u8>, ImagesError> {
    let mut bytes = Vec::new();
    reader.take(MAX_DOCUMENT_BYTES + 1).read_to_end(&mut bytes).map_err(ImagesError::Read)?;
    Ok(bytes)
}

/// Returns a manifest or an index by its digest. If the store has the document, nothing is fetched. So if the image is
/// named by its digest, the network is needed only the first time.
fn kept_document(digest: &BlobDigest, image: &ImageReference, doors: ImageDoors<'_>) -> Result<Document, ImagesError> {
    let store = doors.store;
    let path = store.blob_path(digest);
    // The digest may belong to a layer, which is too large to be read as a document.
    let is_small = fs::metadata(&path).is_ok_and(|metadata| metadata.len() <= MAX_DOCUMENT_BYTES);
    if is_small && store.has_blob(digest, None) {
        let bytes = fs::read(path).map_err(ImagesError::Read)?;
        let media_type = media_type_in(&bytes);
        let kept = media_type.map(|media_type| Document::new(media_type, bytes));
        if let Some(document) = kept.filter(|document| document.digest == *digest) {
            return Ok(document);
        }
    }
    keep(doors.registry.manifest(&image.with_digest(*digest))?, store)
}

/// Puts a document of a registry into the store.
fn keep(document: Document, store: &Store) -> Result<Document, ImagesError> {
    let size_bytes = document.bytes.len() as u64;
    if !store.has_blob(&document.digest, Some(size_bytes)) {
        store.write_blob(&document.digest, size_bytes, |writer| {
            writer.write_all(&document.bytes).map_err(ImagesError::Read)
        })?;
    }
    Ok(document)
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
        if descriptor.digest == self.root.digest.0.prefixed() && descriptor.media_type == self.root.media_type {
            return Ok(self.root.clone());
        }
        self.medium.document(descriptor)
    }

    /// Returns the manifests that refer to `subject`: all of them, or those of one type. Returns an empty list if the
    /// image is not in a registry, because only registries list such manifests.
    pub(crate) fn referrers(
        &self,
        subject: &BlobDigest,
        artifact_type: Option<&str>,
    ) -> Result<Vec<Descriptor>, ImagesError> {
        match &self.medium {
            Medium::Registry { registry, image, .. } => Ok(registry.referrers(image, subject, artifact_type)?),
            Medium::Folder(_) | Medium::Archive(_) | Medium::Saved(_) => Ok(Vec::new()),
        }
    }

    /// Returns the path of a blob in the store. If the store does not have the blob, it is copied there first.
    pub(crate) fn blob(&self, descriptor: &Descriptor) -> Result<PathBuf, ImagesError> {
        let digest = digest_of(descriptor)?;
        if self.store.has_blob(&digest, Some(descriptor.size)) {
            return Ok(self.store.blob_path(&digest));
        }
        let blob = BlobDescriptor { digest, size_bytes: descriptor.size };
        self.store.write_blob(&digest, descriptor.size, |writer| self.medium.copy(&blob, writer))
    }
}

impl Medium<'_> {
    fn document(&self, descriptor: &Descriptor) -> Result<Document, ImagesError> {
        match self {
            Self::Registry { registry, image, store } => {
                fetched(registry, image, descriptor, &blob_of_document(descriptor)?, store)
            }
            _ => checked_document(descriptor, |blob, writer| self.copy(blob, writer)),
        }
    }

    /// Writes the bytes of the blob with this digest. The bytes are not checked.
    fn copy(&self, blob: &BlobDescriptor, writer: &mut (dyn Write + Send)) -> Result<(), ImagesError> {
        let digest = &blob.digest;
        let reader: Box<dyn Read> = match self {
            Self::Registry { registry, image, .. } => return Ok(registry.fetch_blob(image, blob, writer)?),
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
        copy(reader, writer)
    }
}

fn copy(mut reader: impl Read, writer: &mut (dyn Write + Send)) -> Result<(), ImagesError> {
    io::copy(&mut reader, writer).map(drop).map_err(ImagesError::Read)
}

/// Returns the descriptor of a document. Refuses a document that is too large.
fn blob_of_document(descriptor: &Descriptor) -> Result<BlobDescriptor, ImagesError> {
    let digest = digest_of(descriptor)?;
    match descriptor.size {
        size_bytes if size_bytes > MAX_DOCUMENT_BYTES => Err(ImagesError::TooLarge { digest, size_bytes }),
        size_bytes => Ok(BlobDescriptor { digest, size_bytes }),
    }
}

/// Reads a document with `copy`, and checks its size and its digest.
fn checked_document(
    descriptor: &Descriptor,
    copy: impl FnOnce(&BlobDescriptor, &mut (dyn Write + Send)) -> Result<(), ImagesError>,
) -> Result<Document, ImagesError> {
    let blob = blob_of_document(descriptor)?;
    let BlobDescriptor { digest: expected, size_bytes } = blob;
    let mut bytes = Limited(Vec::new(), size_bytes);
    copy(&blob, &mut bytes)?;
    let (found, found_bytes) = (Digest::of(&bytes.0), bytes.0.len() as u64);
    if found != expected.0 || found_bytes != size_bytes {
        Err(StoreError::OtherBlob { expected, size_bytes, found, found_bytes })?;
    }
    Ok(Document::new(descriptor.media_type.clone(), bytes.0))
}

/// Returns a document of a registry. If the store has the document, it is not fetched.
fn fetched(
    registry: &Registry,
    image: &ImageReference,
    descriptor: &Descriptor,
    blob: &BlobDescriptor,
    store: &Store,
) -> Result<Document, ImagesError> {
    let BlobDescriptor { digest, size_bytes } = blob;
    let media_type = descriptor.media_type.clone();
    if !store.has_blob(digest, Some(*size_bytes)) {
        if is_index(&media_type) || is_image_manifest(&media_type) {
            keep(registry.manifest(&image.with_digest(*digest))?, store)?;
        } else {
            store.write_blob(digest, *size_bytes, |writer| {
                registry.fetch_blob(image, blob, writer).map_err(ImagesError::from)
            })?;
        }
    }
    let bytes = fs::read(store.blob_path(digest)).map_err(ImagesError::Read)?;
    let found = Digest::of(&bytes);
    if found != digest.0 || bytes.len() as u64 != *size_bytes {
        let found_bytes = bytes.len() as u64;
        Err(StoreError::OtherBlob { expected: *digest, size_bytes: *size_bytes, found, found_bytes })?;
    }
    Ok(Document::new(media_type, bytes))
}

/// A buffer in memory, and the maximum number of its bytes. Writing more bytes fails.
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
