//! Creates an empty store for tests.

use tempfile::TempDir;

use super::handle::Store;

pub(crate) fn store() -> (TempDir, Store) {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(&home.path().join("store")).unwrap();
    (home, store)
}
