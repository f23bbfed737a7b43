//! The environment variables that lath itself reads. clap reads those of the options.

use std::ffi::OsString;
use std::path::PathBuf;

/// Returns the value of an environment variable, also if it is empty.
#[expect(clippy::disallowed_methods, reason = "the only place that reads the environment")]
pub(super) fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name)
}

/// Returns a value that is valid Unicode, also if it is empty.
pub(super) fn text(name: &str) -> Option<String> {
    variable(name)?.into_string().ok()
}

/// Returns a path, if the value is not empty.
pub(super) fn path(name: &str) -> Option<PathBuf> {
    variable(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}
