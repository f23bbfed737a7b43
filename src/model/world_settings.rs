//! The settings of the doors to the outside, as the command line and the environment give them.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::model::secret::Secret;

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
    pub(crate) registries: RegistrySettings,
}

/// The settings of registries of images.
#[derive(Debug, Clone, Default)]
pub(crate) struct RegistrySettings {
    /// Each `HOST[:PORT]`. Such a registry may use plain HTTP, or a certificate that this machine does not trust.
    pub(crate) insecure: Vec<String>,
    /// The mirrors of a registry, in the order in which they are tried. Each `[http[s]://]HOST[:PORT][/PREFIX]`.
    pub(crate) mirrors: BTreeMap<String, Vec<String>>,
    pub(crate) logins: RegistryLogins,
}

/// The places of names and passwords for registries.
#[derive(Debug, Clone, Default)]
pub(crate) struct RegistryLogins {
    /// The files in which Docker and Podman keep credentials, in the order in which they are read.
    pub(crate) files: Vec<PathBuf>,
    /// Docker's own file, which `docker login` would change.
    pub(crate) docker_file: Option<PathBuf>,
    /// The folders with programs, from `PATH`.
    pub(crate) search_path: Vec<PathBuf>,
    /// The values of `LATH_REGISTRY_USER` and `LATH_REGISTRY_PASSWORD`.
    pub(crate) given: Option<(String, Secret)>,
    /// The registries that this run pushes to. If there is exactly one, `given` holds for it.
    pub(crate) destinations: Vec<String>,
    /// The value of `GITHUB_TOKEN`.
    pub(crate) github_token: Option<Secret>,
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
