//! The settings for the doors. They come from the command line and the environment.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::model::secret::Secret;

/// The settings of the world, from the command line and the environment.
#[derive(Debug, Clone)]
pub(crate) struct WorldSettings {
    pub(crate) cache_dir: PathBuf,
    pub(crate) offline: bool,
    /// The maximum number of downloads at once.
    pub(crate) jobs: usize,
    pub(crate) daemon: DaemonSettings,
    pub(crate) sandbox: SandboxSettings,
    /// The environment variables. They are needed because requirements files may contain their names, such as
    /// `${TOKEN}`.
    pub(crate) variables: Variables,
    /// The file with names and passwords for hosts (netrc).
    pub(crate) netrc: Option<PathBuf>,
    /// A file with keys that are trusted instead of the keys in lath itself.
    pub(crate) keyring: Option<PathBuf>,
    /// The folder that contains the files of a lock (`--vendor`).
    pub(crate) vendor: Option<PathBuf>,
    pub(crate) registries: RegistrySettings,
}

/// The settings from which the address of a daemon is found.
#[derive(Debug, Clone, Default)]
pub(crate) struct DaemonSettings {
    /// The value of `DOCKER_HOST`.
    pub(crate) host: Option<String>,
    /// The value of `DOCKER_CONTEXT`.
    pub(crate) context: Option<String>,
    /// The folder of Docker's configuration (`DOCKER_CONFIG`, or `~/.docker`).
    pub(crate) docker_config: Option<PathBuf>,
    /// The folder that contains the sockets of the user's own daemons (`XDG_RUNTIME_DIR`).
    pub(crate) runtime_dir: Option<PathBuf>,
}

/// The settings of registries of images.
#[derive(Debug, Clone, Default)]
pub(crate) struct RegistrySettings {
    /// Registries in the form `HOST[:PORT]`. Such registries may use plain HTTP, or a certificate that this machine
    /// does not trust.
    pub(crate) insecure: Vec<String>,
    /// The mirrors of each registry, in the order in which they are tried. A mirror has the form
    /// `[http[s]://]HOST[:PORT][/PREFIX]`.
    pub(crate) mirrors: BTreeMap<String, Vec<String>>,
    pub(crate) logins: RegistryLogins,
}

/// The sources of user names and passwords for registries.
#[derive(Debug, Clone, Default)]
pub(crate) struct RegistryLogins {
    /// The files in which Docker and Podman keep credentials, in the order in which they are read.
    pub(crate) files: Vec<PathBuf>,
    /// The file of Docker that `docker login` would change.
    pub(crate) docker_file: Option<PathBuf>,
    /// The folders in `PATH`, which contain programs.
    pub(crate) search_path: Vec<PathBuf>,
    /// The values of `LATH_REGISTRY_USER` and `LATH_REGISTRY_PASSWORD`.
    pub(crate) given: Option<(String, Secret)>,
    /// The registries to which this run pushes. If there is exactly one, `given` is used for it.
    pub(crate) destinations: Vec<String>,
    /// Those of `destinations` that only the file of a project names. `given` is not used for them, because the file
    /// may come from a stranger.
    pub(crate) of_project: Vec<String>,
    /// The value of `GITHUB_TOKEN`.
    pub(crate) github_token: Option<Secret>,
}

/// The parts of the host that are available in a sandbox.
#[derive(Debug, Clone, Default)]
pub(crate) struct SandboxSettings {
    /// The folders in `PATH`, which contain programs.
    pub(crate) search_path: Vec<PathBuf>,
    /// The file with the certificates that programs of the host trust (`SSL_CERT_FILE`). It is `None` if this variable
    /// is not set.
    pub(crate) certificates: Option<PathBuf>,
    /// The environment variables that configure proxies.
    pub(crate) proxies: BTreeMap<String, String>,
}

/// All environment variables whose values are text. Their values may be secrets, so they are not shown.
#[derive(Clone, Default)]
pub(crate) struct Variables(pub(crate) BTreeMap<String, String>);

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.keys()).finish()
    }
}
