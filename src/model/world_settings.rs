//! The settings of the doors to the outside, as the command line and the environment give them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

/// The settings of the world, from the command line and the environment.
#[derive(Debug, Clone)]
pub(crate) struct WorldSettings {
    pub(crate) cache_dir: PathBuf,
    pub(crate) offline: bool,
    /// Downloads at once.
    pub(crate) jobs: usize,
    /// The value of `DOCKER_HOST`.
    pub(crate) docker_host: Option<String>,
    /// The folder with the sockets of the user's own daemons (`XDG_RUNTIME_DIR`).
    pub(crate) runtime_dir: Option<PathBuf>,
    pub(crate) sandbox: SandboxSettings,
    /// The environment variables that requirements files may contain.
    pub(crate) variables: Variables,
    /// The file with names and passwords for hosts (netrc).
    pub(crate) netrc: Option<PathBuf>,
    /// A file of keys to trust instead of those that lath contains.
    pub(crate) keyring: Option<PathBuf>,
    /// The folder with the files of a lock.
    pub(crate) vendor: Option<PathBuf>,
}

/// The parts of the host that a sandbox can use.
#[derive(Debug, Clone, Default)]
pub(crate) struct SandboxSettings {
    /// The folders with programs, from `PATH`.
    pub(crate) search_path: Vec<PathBuf>,
    /// The bundle of certificates that the host's programs trust (`SSL_CERT_FILE`), if it is not the default one.
    pub(crate) certificates: Option<PathBuf>,
    /// Environment variables for proxies.
    pub(crate) proxies: BTreeMap<String, String>,
}

/// All environment variables that are text. Their values may be secrets, so they are not shown.
#[derive(Clone, Default)]
pub(crate) struct Variables(pub(crate) BTreeMap<String, String>);

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}
