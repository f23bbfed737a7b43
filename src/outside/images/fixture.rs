//! Doors for the tests of images.

use super::ImageDoors;
use crate::model::world_settings::DaemonSettings;
use crate::outside::daemon::Daemon;
use crate::outside::registry::Registry;
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
        Self {
            home,
            store,
            daemon: Daemon::new(DaemonSettings { host, ..DaemonSettings::default() }),
            registry: Registry::for_tests(false),
        }
    }

    /// Doors with the same store and without a network.
    pub(crate) fn go_offline(&mut self) {
        self.registry = Registry::for_tests(true);
    }

    pub(crate) fn doors(&self) -> ImageDoors<'_> {
        ImageDoors { store: &self.store, daemon: &self.daemon, registry: &self.registry }
    }
}
