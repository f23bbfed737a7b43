//! Registries of images: the client of the OCI distribution specification 1.1.
//!
//! Asynchronous inside, with methods that block. Its requests have the certificates, the proxies and the limits of all
//! requests of lath.

mod challenge;
mod error;
mod hosts;
mod lists;
mod login;
mod pull;
mod push;
mod requests;
mod tokens;
mod upload_body;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use reqwest::Client;
use tokio::runtime::Runtime;

use crate::model::event::{Event, Listener};
use crate::model::image::{BlobDescriptor, BlobDigest, Document};
use crate::model::image_reference::ImageReference;
use crate::model::world_settings::RegistrySettings;
use crate::outside::credentials::registries::RegistryCredentials;
use crate::outside::http::{Clients, with_retries};
use crate::outside::registry::error::Task;
use crate::outside::registry::hosts::Host;
use crate::outside::registry::pull::pulling;
use crate::outside::registry::tokens::Grants;

pub(crate) use crate::outside::registry::error::RegistryError;
pub(crate) use crate::outside::registry::login::LoginCheck;

/// How long a registry may send nothing before the request is repeated. It may have to copy a large blob before it
/// answers.
const READ_TIMEOUT: Duration = Duration::from_secs(120);
/// The numbers of transfers begin here, so that they differ from those of downloads.
const FIRST_ID: u64 = 1 << 32;

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
    runtime: Runtime,
    credentials: Arc<RegistryCredentials>,
    /// The clients, once they are needed: that of most hosts, and that of insecure ones.
    verified: OnceLock<Client>,
    unverified: OnceLock<Client>,
    /// The hosts that were used, by their places in the settings or in the names of images.
    hosts: Mutex<BTreeMap<String, Arc<Host>>>,
    grants: Grants,
    next_id: AtomicU64,
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
    pub(crate) fn new(settings: Settings, listener: Arc<dyn Listener>) -> Result<Self, RegistryError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| RegistryError::Setup(error.into()))?;
        let credentials = Arc::new(RegistryCredentials::new(settings.registries.logins.clone()));
        Ok(Self {
            settings,
            listener,
            runtime,
            credentials,
            verified: OnceLock::new(),
            unverified: OnceLock::new(),
            hosts: Mutex::default(),
            grants: Grants::default(),
            next_id: AtomicU64::new(FIRST_ID),
        })
    }

    /// Returns the places of credentials.
    pub(crate) fn credentials(&self) -> &RegistryCredentials {
        &self.credentials
    }

    /// Fetches the manifest or the index of `image`: by its digest if it has one, else by its tag. The digest is
    /// checked.
    pub(crate) fn manifest(&self, image: &ImageReference) -> Result<Document, RegistryError> {
        self.runtime.block_on(self.pull_manifest(image))
    }

    /// Returns the digest of the manifest or the index of `image`, `None` if the registry does not have it.
    pub(crate) fn head_manifest(&self, image: &ImageReference) -> Result<Option<BlobDigest>, RegistryError> {
        self.runtime.block_on(self.find_manifest(image))
    }

    /// Writes a blob of the repository of `image` to `to`. Its size and its digest are checked. The last bytes are
    /// written before the check, so they must be dropped after an error.
    pub(crate) fn fetch_blob(
        &self,
        image: &ImageReference,
        blob: &BlobDescriptor,
        to: &mut (dyn io::Write + Send),
    ) -> Result<(), RegistryError> {
        self.runtime.block_on(self.pull_blob(image, blob, to))
    }

    /// Returns whether the repository of `image` has the blob.
    pub(crate) fn has_blob(&self, image: &ImageReference, digest: &BlobDigest) -> Result<bool, RegistryError> {
        let task = Task::FetchBlob { digest: digest.0.prefixed(), repository: image.name() };
        let access = pulling(&self.host(image), image, task);
        self.runtime.block_on(with_retries(&*self.listener, || self.find_blob(&access, digest)))
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
        let title = blob.digest.0.prefixed();
        self.runtime.block_on(self.send_blob(image, blob, (&title[..19], open), mount_from))
    }

    /// Does the same for several blobs, some at once. The results have the same order.
    pub(crate) fn push_blobs(
        &self,
        image: &ImageReference,
        uploads: &[Upload<'_>],
    ) -> Result<Vec<Sent>, RegistryError> {
        let each = uploads.iter().map(|Upload { title, blob, open, mount_from }| {
            self.send_blob(image, blob, (title.as_str(), open.as_ref()), mount_from)
        });
        let work = futures::stream::iter(each).buffered(self.settings.jobs.max(1));
        self.runtime.block_on(work.try_collect())
    }

    /// Pushes a manifest or an index to the tag of `image`, or by its digest if `image` has no tag.
    pub(crate) fn push_manifest(&self, image: &ImageReference, document: &Document) -> Result<(), RegistryError> {
        self.runtime.block_on(self.send_manifest(image, document))
    }

    /// Returns all tags of the repository of `image`, in the order of the registry.
    pub(crate) fn tags(&self, image: &ImageReference) -> Result<Vec<String>, RegistryError> {
        self.runtime.block_on(self.list_tags(image))
    }

    /// Returns the manifests that refer to `digest` in the repository of `image`.
    pub(crate) fn referrers(
        &self,
        image: &ImageReference,
        digest: &BlobDigest,
    ) -> Result<Vec<Referrer>, RegistryError> {
        self.runtime.block_on(self.list_referrers(image, digest))
    }

    /// Reports the beginning of a transfer, and returns its number.
    fn started(&self, name: &str, bytes: u64, is_upload: bool) -> u64 {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let (name, total) = (name.to_owned(), Some(bytes));
        self.listener.hear(match is_upload {
            true => Event::UploadStarted { id, name, total },
            false => Event::DownloadStarted { id, name, total },
        });
        id
    }
}
