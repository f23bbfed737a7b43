//! Contexts of Docker. A context is a name for a daemon. Programs such as Docker Desktop, Colima and rootless Docker create
//! contexts (docs.docker.com, "Docker contexts").

use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::Deserialize;
use thiserror::Error;

use crate::model::digest::Digest;
use crate::model::hint::Hints;

/// The context without a file. It means that no other context is used.
const DEFAULT: &str = "default";

/// The contexts in a folder with Docker's configuration.
#[derive(Debug, Clone)]
pub(super) struct Contexts {
    pub(super) folder: PathBuf,
    /// The value of `DOCKER_CONTEXT`.
    pub(super) named: Option<String>,
}

#[derive(Debug, Error)]
pub(crate) enum ContextError {
    #[error("cannot use the context `{name}` of Docker, which {origin} names: it does not exist")]
    Unknown { name: String, origin: String },
    #[error("cannot read the context `{name}` of Docker, which {origin} names")]
    Read { name: String, origin: String, source: io::Error },
    #[error(
        "cannot read the context `{name}` of Docker, which {origin} names: its `meta.json` is not in Docker's format"
    )]
    Form { name: String, origin: String, source: serde_json::Error },
}

impl Hints for ContextError {}

/// The part of `config.json` that names a context.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    current_context: String,
}

/// The part of a context's `meta.json` that has the address of its daemon.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Meta {
    #[serde(default)]
    endpoints: Endpoints,
}

#[derive(Default, Deserialize)]
struct Endpoints {
    #[serde(default)]
    docker: Endpoint,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Endpoint {
    #[serde(default)]
    host: String,
}

impl Contexts {
    /// Returns the address of the daemon, in the form of `DOCKER_HOST`. Returns `None` if no context is chosen.
    pub(super) fn host(&self) -> Result<Option<String>, ContextError> {
        let config = self.folder.join("config.json");
        let (name, origin) = match &self.named {
            Some(name) => (name.clone(), "`DOCKER_CONTEXT`".to_owned()),
            None => (current(&config).unwrap_or_default(), format!("`{}`", config.display())),
        };
        if name.is_empty() || name == DEFAULT {
            return Ok(None);
        }
        // Docker names the folder after the digest, because a name may contain any characters.
        let path = self.folder.join("contexts/meta").join(Digest::of(name.as_bytes()).to_string()).join("meta.json");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(ContextError::Unknown { name, origin });
            }
            Err(source) => return Err(ContextError::Read { name, origin, source }),
        };
        let meta: Meta = match serde_json::from_slice(&bytes) {
            Ok(meta) => meta,
            Err(source) => return Err(ContextError::Form { name, origin, source }),
        };
        Ok(Some(meta.endpoints.docker.host).filter(|host| !host.is_empty()))
    }
}

/// Returns the context in Docker's configuration. Like Docker, lath ignores a file that cannot be read.
fn current(config: &Path) -> Option<String> {
    let config: Config = serde_json::from_slice(&fs::read(config).ok()?).ok()?;
    Some(config.current_context)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Docker's configuration with the context `colima`.
    fn folder(current: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("config.json"), format!(r#"{{"auths":{{}},{current}"x":1}}"#)).unwrap();
        // The sha256 of `colima`.
        let meta = folder.path().join("contexts/meta/f24fd3749c1368328e2b149bec149cb6795619f244c5b584e844961215dadd16");
        fs::create_dir_all(&meta).unwrap();
        let text =
            r#"{"Name":"colima","Metadata":{},"Endpoints":{"docker":{"Host":"unix:///c.sock","SkipTLSVerify":false}}}"#;
        fs::write(meta.join("meta.json"), text).unwrap();
        folder
    }

    fn host(folder: &Path, named: Option<&str>) -> Result<Option<String>, String> {
        let contexts = Contexts { folder: folder.to_owned(), named: named.map(str::to_owned) };
        contexts.host().map_err(|error| error.to_string().replace(&folder.display().to_string(), "DOCKER"))
    }

    #[test]
    fn a_context_is_named_by_the_variable_or_by_the_file() {
        let found = Ok(Some("unix:///c.sock".to_owned()));
        let (none, current) = (folder(""), folder(r#""currentContext":"colima","#));
        assert_eq!(host(none.path(), None), Ok(None));
        assert_eq!(host(none.path(), Some("colima")), found);
        assert_eq!(host(current.path(), None), found);
        assert_eq!(host(current.path(), Some("default")), Ok(None));
        assert_eq!(host(Path::new("/not/there"), None), Ok(None));
    }

    #[test]
    fn a_context_that_does_not_exist_is_an_error() {
        let current = folder(r#""currentContext":"gone","#);
        let expected = "cannot use the context `gone` of Docker, which `DOCKER/config.json` names: it does not exist";
        assert_eq!(host(current.path(), None), Err(expected.to_owned()));
        let expected = "cannot use the context `lost` of Docker, which `DOCKER_CONTEXT` names: it does not exist";
        assert_eq!(host(current.path(), Some("lost")), Err(expected.to_owned()));
    }
}
