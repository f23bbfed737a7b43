//! Registries of images: the client of the OCI distribution specification 1.1.

mod error;

use std::io::{self, Read};
use std::sync::Arc;

use crate::model::event::Listener;
use crate::model::image::{BlobDescriptor, BlobDigest, Document};
use crate::model::image_reference::ImageReference;
use crate::model::world_settings::RegistrySettings;
use crate::outside::http::Clients;

pub(crate) use crate::outside::registry::error::RegistryError;

/// The settings of the client.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) offline: bool,
    /// The number of transfers at once.
    pub(crate) jobs: usize,
    pub(crate) registries: RegistrySettings,
    pub(crate) clients: Clients,
}

/// Registries of images.
pub(crate) struct Registry {
    settings: Settings,
    listener: Arc<dyn Listener>,
}

/// Opens the bytes of a blob from the beginning. It is called again for each attempt.
pub(crate) type Open<'a> = dyn Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync + 'a;

/// A blob to push.
pub(crate) struct Upload<'a> {
    /// For the listener: `numpy`.
    pub(crate) title: String,
    pub(crate) blob: BlobDescriptor,
    pub(crate) open: Box<Open<'a>>,
    /// Repositories of the same registry that may have the blob: `library/python`.
    pub(crate) mount_from: Vec<String>,
}

/// How a blob came to a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It was there.
    Present,
    /// The registry took it from another repository.
    Mounted,
    /// It was sent: its size in bytes.
    Bytes(u64),
}

/// A manifest that refers to another one (distribution-spec, "Listing Referrers").
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Referrer {
    pub(crate) digest: BlobDigest,
    pub(crate) artifact_type: Option<String>,
    pub(crate) size_bytes: u64,
}

impl Registry {
    pub(crate) fn new(settings: Settings, listener: Arc<dyn Listener>) -> Self {
        Self { settings, listener }
    }

    /// Fetches the manifest or the index of `image`: by its digest if it has one, else by its tag. The digest is
    /// checked.
    pub(crate) fn manifest(&self, image: &ImageReference) -> Result<Document, RegistryError> {
        let _ = (image, &self.settings, &self.listener);
        todo!()
    }

    /// Returns the digest of the manifest or the index of `image`, `None` if the registry does not have it.
    pub(crate) fn head_manifest(&self, image: &ImageReference) -> Result<Option<BlobDigest>, RegistryError> {
        let _ = image;
        todo!()
    }

    /// Writes a blob of the repository of `image` to `to`. Its size and its digest are checked. The last bytes are
    /// written before the check, so `to` must be dropped after an error.
    pub(crate) fn fetch_blob(
        &self,
        image: &ImageReference,
        blob: &BlobDescriptor,
        to: &mut (dyn io::Write + Send),
    ) -> Result<(), RegistryError> {
        let _ = (image, blob, to);
        todo!()
    }

    /// Returns whether the repository of `image` has the blob.
    pub(crate) fn has_blob(&self, image: &ImageReference, digest: &BlobDigest) -> Result<bool, RegistryError> {
        let _ = (image, digest);
        todo!()
    }

    /// Brings a blob into the repository of `image`, if it is not there. `mount_from` are repositories of the same
    /// registry that may have it.
    pub(crate) fn push_blob(
        &self,
        image: &ImageReference,
        blob: &BlobDescriptor,
        open: &Open<'_>,
        mount_from: &[String],
    ) -> Result<Sent, RegistryError> {
        let _ = (image, blob, open, mount_from);
        todo!()
    }

    /// Does the same for several blobs, some at once. The results have the same order.
    pub(crate) fn push_blobs(
        &self,
        image: &ImageReference,
        uploads: &[Upload<'_>],
    ) -> Result<Vec<Sent>, RegistryError> {
        let _ = (image, uploads);
        todo!()
    }

    /// Pushes a manifest or an index to the tag of `image`, or by its digest if `image` has no tag.
    pub(crate) fn push_manifest(&self, image: &ImageReference, document: &Document) -> Result<(), RegistryError> {
        let _ = (image, document);
        todo!()
    }

    /// Returns all tags of the repository of `image`, in the order of the registry.
    pub(crate) fn tags(&self, image: &ImageReference) -> Result<Vec<String>, RegistryError> {
        let _ = image;
        todo!()
    }

    /// Returns the manifests that refer to `digest` in the repository of `image`.
    pub(crate) fn referrers(
        &self,
        image: &ImageReference,
        digest: &BlobDigest,
    ) -> Result<Vec<Referrer>, RegistryError> {
        let _ = (image, digest);
        todo!()
    }
}
