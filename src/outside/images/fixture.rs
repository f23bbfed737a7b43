//! Doors for the tests of images.

use std::sync::Arc;

use super::ImageDoors;
use crate::model::event::Silence;
use crate::model::world_settings::RegistrySettings;
use crate::outside::daemon::Daemon;
use crate::outside::http::Clients;
use crate::outside::registry::{Registry, Settings};
use crate::outside::store::Store;

/// Doors with an empty store.
pub(crate) struct TestDoors {
    pub(crate) home: tempfile::TempDir,
    pub(crate) store: Store,
    daemon: Daemon,
    registry: Registry,
}

impl TestDoors {
    pub(crate) fn new() -> Self {
        Self::with_daemon(None)
    }

    pub(crate) fn with_daemon(host: Option<String>) -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(&home.path().join("store")).unwrap();
        Self { home, store, daemon: Daemon::new(host, None), registry: registry(false) }
    }

    /// Doors with the same store and without a network.
    pub(crate) fn go_offline(&mut self) {
        self.registry = registry(true);
    }

    pub(crate) fn doors(&self) -> ImageDoors<'_> {
        ImageDoors { store: &self.store, daemon: &self.daemon, registry: &self.registry }
    }
}

fn registry(offline: bool) -> Registry {
    let settings = Settings { offline, jobs: 4, registries: RegistrySettings::default(), clients: Clients::default() };
    Registry::new(settings, Arc::new(Silence)).unwrap()
}
