//! The environment variables. No other module reads them.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use crate::model::secret::Secret;
use crate::model::world_settings::{DaemonSettings, RegistryLogins, SandboxSettings, Variables};

/// All environment variables at the start of lath.
#[derive(Debug, Default)]
pub(super) struct Environment {
    variables: BTreeMap<OsString, OsString>,
}

impl Environment {
    #[expect(clippy::disallowed_methods, reason = "the only place that reads the environment")]
    pub(super) fn read() -> Self {
        Self { variables: std::env::vars_os().collect() }
    }

    /// Returns an environment with only these variables.
    #[cfg(test)]
    pub(super) fn of(variables: &[(&str, &str)]) -> Self {
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into()));
        Self { variables: variables.collect() }
    }

    /// Returns a copy of the environment that does not contain the variables `names`.
    pub(super) fn without(&self, names: &[&str]) -> Self {
        let mut variables = self.variables.clone();
        variables.retain(|name, _| names.iter().all(|without| name != *without));
        Self { variables }
    }

    /// Returns the value of a variable, even if it is empty. `None` if it is not Unicode.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.variables.get(OsStr::new(name))?.to_str()
    }

    /// Returns the value of a variable. An empty variable counts as not set.
    pub(super) fn filled(&self, name: &str) -> Option<&OsStr> {
        self.variables.get(OsStr::new(name)).map(OsString::as_os_str).filter(|value| !value.is_empty())
    }

    pub(super) fn path(&self, name: &str) -> Option<PathBuf> {
        self.filled(name).map(PathBuf::from)
    }

    /// Returns the folder of the user's caches.
    pub(super) fn caches(&self) -> Option<PathBuf> {
        self.path("XDG_CACHE_HOME").or_else(|| self.path("HOME").map(|home| home.join(".cache")))
    }

    /// Returns the folder of the user's configuration files.
    pub(super) fn configuration(&self) -> Option<PathBuf> {
        self.path("XDG_CONFIG_HOME").or_else(|| self.path("HOME").map(|home| home.join(".config")))
    }

    /// Returns the file with the user's names and passwords for hosts.
    pub(super) fn netrc(&self) -> Option<PathBuf> {
        self.path("NETRC").or_else(|| self.path("HOME").map(|home| home.join(".netrc")))
    }

    /// Returns the folder of Docker's configuration.
    fn docker_config(&self) -> Option<PathBuf> {
        self.path("DOCKER_CONFIG").or_else(|| self.path("HOME").map(|home| home.join(".docker")))
    }

    /// Returns the settings from which the address of a daemon is found.
    pub(super) fn daemon(&self) -> DaemonSettings {
        let text = |name: &str| self.text(name).filter(|value| !value.is_empty()).map(str::to_owned);
        DaemonSettings {
            host: text("DOCKER_HOST"),
            context: text("DOCKER_CONTEXT"),
            docker_config: self.docker_config(),
            runtime_dir: self.path("XDG_RUNTIME_DIR"),
        }
    }

    /// Returns the places of credentials for registries. In the result, the lists of the registries to which the
    /// run pushes are empty, because the environment does not contain these lists.
    pub(super) fn registry_logins(&self) -> RegistryLogins {
        let docker_file = self.docker_config().map(|folder| folder.join("config.json"));
        let podman = self.podman_files(rustix::process::getuid().as_raw());
        let named = self.path("REGISTRY_AUTH_FILE");
        let secret = |name: &str| self.text(name).filter(|value| !value.is_empty()).map(Secret::from);
        let user = self.text("LATH_REGISTRY_USER").filter(|user| !user.is_empty()).map(str::to_owned);
        RegistryLogins {
            files: named.into_iter().chain(docker_file.clone()).chain(podman).collect(),
            docker_file,
            search_path: self.sandbox().search_path,
            given: user.zip(secret("LATH_REGISTRY_PASSWORD")),
            destinations: Vec::new(),
            of_project: Vec::new(),
            github_token: secret("GITHUB_TOKEN"),
        }
    }

    /// Returns the files in which Podman keeps credentials for the user with this ID (containers-auth.json(5)).
    fn podman_files(&self, user: u32) -> Vec<PathBuf> {
        let runtime = match self.path("XDG_RUNTIME_DIR") {
            Some(folder) => folder.join("containers"),
            // Usually, root has no such folder.
            None => PathBuf::from(format!("/run/containers/{user}")),
        };
        let own = self.configuration().map(|folder| folder.join("containers"));
        [Some(runtime), own].into_iter().flatten().map(|folder| folder.join("auth.json")).collect()
    }

    /// Whether a panic prints the backtrace.
    pub(super) fn shows_backtrace(&self) -> bool {
        self.variables.get(OsStr::new("RUST_BACKTRACE")).is_some_and(|value| value != "0")
    }

    /// Returns all variables that are text.
    pub(super) fn all(&self) -> Variables {
        let text =
            |(name, value): (&OsString, &OsString)| Some((name.to_str()?.to_owned(), value.to_str()?.to_owned()));
        Variables(self.variables.iter().filter_map(text).collect())
    }

    /// Returns the values of the host that the sandbox uses: the `PATH` for the search for emulators, the certificates
    /// that the host trusts, and the proxies.
    pub(super) fn sandbox(&self) -> SandboxSettings {
        const PROXIES: [&str; 4] = ["http_proxy", "https_proxy", "all_proxy", "no_proxy"];
        let names = PROXIES.iter().flat_map(|name| [(*name).to_owned(), name.to_uppercase()]);
        let search_path = self.variables.get(OsStr::new("PATH"));
        SandboxSettings {
            search_path: search_path.map_or_else(Vec::new, |path| std::env::split_paths(path).collect()),
            certificates: self.path("SSL_CERT_FILE"),
            proxies: names.filter_map(|name| self.text(&name).map(str::to_owned).map(|value| (name, value))).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_podman_depends_on_the_folder_for_the_session() {
        let files = |variables: &[(&str, &str)], user| Environment::of(variables).podman_files(user);
        let (home, session) = (("HOME", "/home/me"), ("XDG_RUNTIME_DIR", "/run/user/1000"));
        let own = "/home/me/.config/containers/auth.json";
        let paths = |first: &str| vec![PathBuf::from(first), PathBuf::from(own)];
        assert_eq!(files(&[home, session], 1000), paths("/run/user/1000/containers/auth.json"));
        assert_eq!(files(&[home], 0), paths("/run/containers/0/auth.json"));
        assert_eq!(files(&[home, ("XDG_RUNTIME_DIR", "")], 1000), paths("/run/containers/1000/auth.json"));
        assert_eq!(files(&[], 0), [PathBuf::from("/run/containers/0/auth.json")]);
        let all = Environment::of(&[home, ("DOCKER_CONFIG", "/d")]).registry_logins().files;
        assert_eq!(all.len(), 3, "{all:?}");
        assert_eq!((all[0].as_path(), all[2].as_path()), ("/d/config.json".as_ref(), own.as_ref()));
    }
}
