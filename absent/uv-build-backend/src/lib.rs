//! Replaces the crate of uv with the same name, a build backend. If a project names this backend, lath runs the program
//! uv-build from the Python index in its sandbox, like any other backend
//! (docs/decisions/0190-crates-that-never-run-are-replaced.md).
//!
//! uv-workspace names the settings of the backend only for the documentation of uv, so here the backend has none.

use uv_options_metadata::{OptionsMetadata, Visit};

#[derive(Debug)]
pub struct BuildBackendSettings;

impl OptionsMetadata for BuildBackendSettings {
    fn record(_visit: &mut dyn Visit) {}
}
