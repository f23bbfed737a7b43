//! The world: a struct with all doors, and the time at which the build began.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fs_err as fs;
use thiserror::Error;

use crate::model::event::{Listener, Recorder};
use crate::model::hint::{ArchiveHint, Hint, Hints};
use crate::model::world_settings::WorldSettings;
use crate::outside::archive::signature::{Keyring, SignatureError};
use crate::outside::archive::{Access, Archive};
use crate::outside::clock;
use crate::outside::credentials::Credentials;
use crate::outside::daemon::Daemon;
use crate::outside::http::{Clients, Http, HttpError, HttpSettings};
use crate::outside::images::ImageDoors;
use crate::outside::pypi::Pypi;
use crate::outside::registry::{self, Registry};
use crate::outside::sandbox::Sandbox;
use crate::outside::stage::Stages;
use crate::outside::store::{Store, StoreError};
use crate::outside::threads::{self, ThreadsError};
use crate::outside::unfinished;
use crate::outside::vendor::{Vendor, VendorError};

/// If a server sends nothing for this long, the request is repeated.
const READ_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) stages: Stages,
    pub(crate) http: Http,
    pub(crate) pypi: Pypi,
    pub(crate) archive: Archive,
    pub(crate) sandbox: Sandbox,
    pub(crate) daemon: Daemon,
    pub(crate) registry: Registry,
    pub(crate) listener: Arc<dyn Listener>,
    /// The messages that the listener has received.
    pub(crate) messages: Arc<Recorder>,
    /// The folder with the files of a lock.
    pub(crate) vendor: Option<Vendor>,
    /// The time at which the build began, in seconds since 1970.
    pub(crate) now_secs: u64,
}

#[derive(Debug, Error)]
pub(crate) enum WorldError {
    #[error(transparent)]
    Threads(#[from] ThreadsError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Vendor(#[from] VendorError),
    #[error("cannot read the keyring `{path}`")]
    Keyring { path: PathBuf, source: std::io::Error },
    #[error("cannot use the keyring `{path}`")]
    Keys { path: PathBuf, source: SignatureError },
}

impl Hints for WorldError {
    fn own_hints(&self) -> Vec<Hint> {
        match self {
            Self::Keyring { .. } | Self::Keys { .. } => vec![Hint::Archive(ArchiveHint::BinaryKeyring)],
            Self::Threads(_) | Self::Store(_) | Self::Http(_) | Self::Vendor(_) => Vec::new(),
        }
    }

    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Threads(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::Http(error) => Some(error),
            Self::Vendor(error) => Some(error),
            Self::Keys { source, .. } => Some(source),
            Self::Keyring { .. } => None,
        }
    }
}

impl World {
    /// Returns the doors that are needed to read an archive.
    pub(crate) fn access(&self) -> Access<'_> {
        Access { http: &self.http, store: &self.store, now_secs: self.now_secs }
    }

    /// Returns the doors that are needed to read images.
    pub(crate) fn image_doors(&self) -> ImageDoors<'_> {
        ImageDoors { store: &self.store, daemon: &self.daemon, registry: &self.registry }
    }

    /// Opens the doors. From now on, if a signal ends lath, no incomplete files remain.
    pub(crate) fn open(settings: WorldSettings, listener: Arc<dyn Listener>) -> Result<Self, WorldError> {
        let messages = Arc::new(Recorder::new(listener));
        let listener: Arc<dyn Listener> = messages.clone();
        threads::prepare()?;
        unfinished::watch_signals().map_err(ThreadsError::Threads)?;
        let keyring = match settings.keyring {
            None => None,
            Some(path) => {
                let bytes = fs::read(&path).map_err(|source| WorldError::Keyring { path: path.clone(), source })?;
                Some(Keyring::read(&bytes).map_err(|source| WorldError::Keys { path, source })?)
            }
        };
        let credentials = Arc::new(Credentials::with_netrc(settings.netrc.as_deref()));
        let clients = Clients::default();
        let http = HttpSettings {
            offline: settings.offline,
            jobs: settings.jobs,
            read_timeout: READ_TIMEOUT,
            clients: clients.clone(),
            credentials: Arc::clone(&credentials),
        };
        let registry = registry::Settings {
            offline: settings.offline,
            jobs: settings.jobs,
            read_timeout: registry::READ_TIMEOUT,
            registries: settings.registries,
            clients: clients.clone(),
        };
        let store = Store::open(&settings.cache_dir.join("store"))?;
        Ok(Self {
            stages: Stages::open(&store),
            store,
            http: Http::new(http, Arc::clone(&listener))?,
            pypi: Pypi {
                cache_dir: settings.cache_dir.join("pypi"),
                offline: settings.offline,
                credentials,
                clients,
                variables: settings.variables,
            },
            archive: Archive::new(keyring),
            sandbox: Sandbox::new(settings.sandbox),
            registry: Registry::new(registry, Arc::clone(&listener)),
            daemon: Daemon::new(settings.daemon),
            listener,
            messages,
            vendor: settings.vendor.as_deref().map(Vendor::open).transpose()?,
            now_secs: clock::now_secs(),
        })
    }
}
