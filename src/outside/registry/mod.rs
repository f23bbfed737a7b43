//! A client for registries of images (OCI distribution specification 1.1).
//!
//! The implementation is asynchronous, but the methods block. The certificates, proxies and limits are the same as for
//! all other requests of lath.

mod before_push;
mod challenge;
mod error;
mod hosts;
mod idle;
mod login;
mod pull;
mod push;
mod referrers;
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
use tokio::runtime::Runtime;

use crate::model::event::{Event, Listener};
use crate::model::image::{BlobDescriptor, BlobDigest, Document};
use crate::model::image_reference::ImageReference;
use crate::model::world_settings::RegistrySettings;
use crate::outside::credentials::registries::RegistryCredentials;
use crate::outside::http::{Clients, with_retries};
use crate::outside::registry::error::Task;
use crate::outside::registry::hosts::{Host, HostClients};
use crate::outside::registry::tokens::Grants;

pub(crate) use crate::outside::registry::error::RegistryError;
pub(crate) use crate::outside::registry::login::LoginCheck;

/// The usual value of [`Settings::read_timeout`]. The time is long because a registry may have to copy a large blob
/// before it answers.
pub(crate) const READ_TIMEOUT: Duration = Duration::from_secs(120);
/// The number of the first transfer with a registry. It is large, because the numbers of the downloads in
/// `outside/http` begin at 0, and no two transfers may have the same number.
const FIRST_ID: u64 = 1 << 32;

/// The settings of the client.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    pub(crate) offline: bool,
    /// The maximum number of transfers at once.
    pub(crate) jobs: usize,
    /// If a registry neither takes nor sends any bytes for this long, the request is repeated.
    pub(crate) read_timeout: Duration,
    pub(crate) registries: RegistrySettings,
    pub(crate) clients: Clients,
}

/// Registries of images.
pub(crate) struct Registry {
    settings: Settings,
    listener: Arc<dyn Listener>,
    /// The runtime is created with the first request, because it starts threads.
    runtime: OnceLock<Runtime>,
    credentials: Arc<RegistryCredentials>,
    /// The clients for most hosts, and the clients for insecure hosts. They are created when they are first needed.
    verified: OnceLock<HostClients>,
    unverified: OnceLock<HostClients>,
    /// The hosts that were used, by their names in the settings or in the references of images.
    hosts: Mutex<BTreeMap<String, Arc<Host>>>,
    grants: Grants,
    next_id: AtomicU64,
}

/// Returns a reader that begins at the first byte of a blob. The function is called again for each attempt.
pub(crate) type Open<'a> = dyn Fn() -> io::Result<Box<dyn Read + Send>> + Send + Sync + 'a;

/// A blob to push.
pub(crate) struct Upload<'a> {
    /// The text that the listener shows, such as `numpy`.
    pub(crate) title: String,
    pub(crate) blob: BlobDescriptor,
    pub(crate) open: Box<Open<'a>>,
    /// Repositories of the same registry that may have the blob, such as `library/python`.
    pub(crate) mount_from: Vec<String>,
}

/// How a blob got into a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// It was already there.
    Present,
    /// The registry copied it from another repository.
    Mounted,
    /// It was sent. The value is its size in bytes.
    Bytes(u64),
}

impl Registry {
    pub(crate) fn new(settings: Settings, listener: Arc<dyn Listener>) -> Self {
        let credentials = Arc::new(RegistryCredentials::new(settings.registries.logins.clone()));
        Self {
            settings,
            listener,
            runtime: OnceLock::new(),
            credentials,
            verified: OnceLock::new(),
            unverified: OnceLock::new(),
            hosts: Mutex::default(),
            grants: Grants::default(),
            next_id: AtomicU64::new(FIRST_ID),
        }
    }

    /// Returns the sources of credentials.
    pub(crate) fn credentials(&self) -> &RegistryCredentials {
        &self.credentials
    }

    /// Fetches the manifest or the index of `image`, by the digest if `image` has one, or else by the tag. The digest
    /// is checked.
    pub(crate) fn manifest(&self, image: &ImageReference) -> Result<Document, RegistryError> {
        self.block_on(self.pull_manifest(image))
    }

    /// Writes a blob of the repository of `image` to `to`. Its size and its digest are checked. All bytes are written
    /// before the check is complete, so the caller must discard them after an error.
    pub(crate) fn fetch_blob(
        &self,
        image: &ImageReference,
        blob: &BlobDescriptor,
        to: &mut (dyn io::Write + Send),
    ) -> Result<(), RegistryError> {
        self.block_on(self.pull_blob(image, blob, to))
    }

    /// Returns whether a repository has the blob. The request uses the token for pushing, because the user will push to
    /// this repository.
    pub(crate) fn has_blob(&self, image: &ImageReference, digest: &BlobDigest) -> Result<bool, RegistryError> {
        let task = Task::PushBlob { digest: digest.0.prefixed(), repository: image.name() };
        let access = self.pushing(image, task);
        self.block_on(with_retries(&*self.listener, || self.find_blob(&access, digest)))
    }

    /// Pushes a blob to the repository of `image`, unless the blob is already there. `mount_from` are repositories of
    /// the same registry that may have it.
    #[cfg(test)]
    pub(crate) fn push_blob(
        &self,
        image: &ImageReference,
        blob: &BlobDescriptor,
        open: &Open<'_>,
        mount_from: &[String],
    ) -> Result<Sent, RegistryError> {
        let upload = Upload {
            title: blob.digest.0.to_string(),
            blob: *blob,
            open: Box::new(open),
            mount_from: mount_from.to_vec(),
        };
        self.block_on(self.send_blob(image, &upload))
    }

    /// Pushes blobs to the repository of `image`, unless they are already there. If another repository of the same
    /// registry has a blob, the registry can copy the blob from there. Several blobs are sent at once. The results are
    /// in the same order as the blobs.
    pub(crate) fn push_blobs(
        &self,
        image: &ImageReference,
        uploads: &[Upload<'_>],
    ) -> Result<Vec<Sent>, RegistryError> {
        let each = uploads.iter().map(|upload| self.send_blob(image, upload));
        let work = futures::stream::iter(each).buffered(self.settings.jobs.max(1));
        self.block_on(work.try_collect())
    }

    /// Pushes a manifest or an index to the tag of `image`, or by its digest if `image` has no tag.
    pub(crate) fn push_manifest(&self, image: &ImageReference, document: &Document) -> Result<(), RegistryError> {
        self.block_on(self.send_manifest(image, document)).map(drop)
    }

    fn block_on<T>(&self, work: impl Future<Output = Result<T, RegistryError>>) -> Result<T, RegistryError> {
        let runtime = match self.runtime.get() {
            Some(runtime) => runtime,
            None => {
                let mut builder = tokio::runtime::Builder::new_multi_thread();
                let runtime = builder.worker_threads(2).enable_all().build();
                let runtime = runtime.map_err(|error| RegistryError::Setup(error.into()))?;
                self.runtime.get_or_init(|| runtime)
            }
        };
        runtime.block_on(work)
    }

    /// Reports that a transfer begins, and returns its number.
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

#[cfg(test)]
impl Registry {
    /// Returns a client that has no credentials, no mirrors and no insecure registries.
    pub(crate) fn for_tests(offline: bool) -> Self {
        let registries = RegistrySettings::default();
        let clients = Clients::default();
        let settings = Settings { offline, jobs: 4, read_timeout: READ_TIMEOUT, registries, clients };
        Self::new(settings, Arc::new(crate::model::event::Silence))
    }
}
