//! The daemon of an engine: Docker's, or Podman's socket, which has the same API. `POST /images/load` loads images into
//! it.

use std::io::Read as _;
use std::path::Path;
use std::time::Duration;

use bollard::Docker;
use bollard::query_parameters::ImportImageOptionsBuilder;
use fs_err as fs;
use futures::StreamExt as _;
use thiserror::Error;

use crate::model::hint::{EngineHint, Hint, Hints};

const CHUNK_BYTES: usize = 1 << 20;
/// A running daemon responds at once. Without this limit, a daemon that hangs would block the build.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The API of Docker 23.0, the first version that reads zstd layers.
const ZSTD_SINCE: (u32, u32) = (1, 42);

/// The addresses at which a daemon may listen.
#[derive(Debug, Clone)]
pub(crate) struct Daemon {
    /// In the form of `DOCKER_HOST`. The first one that responds is used.
    hosts: Vec<String>,
    is_named: bool,
}

/// The engine that responded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Engine {
    /// `Docker 20.10.24`.
    pub(crate) name: String,
    /// Whether it unpacks layers that are compressed with zstd.
    pub(crate) reads_zstd: bool,
}

#[derive(Debug, Error)]
pub(crate) enum DaemonError {
    #[error("cannot reach the daemon at `{host}`")]
    Connect { host: String, source: bollard::errors::Error },
    #[error("cannot reach the daemon at `{host}`: it did not answer within {} s", ANSWER_WITHIN.as_secs())]
    Silent { host: String },
    #[error("cannot find a daemon: there is no socket at {}", listed(.looked))]
    Missing { looked: Vec<String> },
    #[error("cannot load the image into the daemon at `{host}`")]
    Load { host: String, source: bollard::errors::Error },
    #[error("cannot read the archive to load")]
    Read(#[source] std::io::Error),
    #[error("cannot start the runtime for requests to the daemon")]
    Runtime(#[source] std::io::Error),
}

impl Hints for DaemonError {
    fn own_hints(&self) -> Vec<Hint> {
        match self {
            Self::Connect { .. } | Self::Silent { .. } | Self::Missing { .. } => {
                vec![Hint::Engine(EngineHint::StartDaemon)]
            }
            Self::Load { .. } | Self::Read(_) | Self::Runtime(_) => Vec::new(),
        }
    }
}

fn listed(hosts: &[String]) -> String {
    let paths: Vec<String> = hosts.iter().map(|host| format!("`{}`", host.trim_start_matches("unix://"))).collect();
    paths.join(", ")
}

impl Daemon {
    /// Creates the list from `host`, in the form of `DOCKER_HOST`. Without `host`, uses the sockets of Docker and
    /// Podman, including those of the user.
    pub(crate) fn new(host: Option<String>, runtime_dir: Option<&Path>) -> Self {
        if let Some(host) = host {
            return Self { hosts: vec![host], is_named: true };
        }
        let own = |name: &str| runtime_dir.map(|dir| dir.join(name).display().to_string());
        let sockets = [
            Some("/var/run/docker.sock".to_owned()),
            own("docker.sock"),
            own("podman/podman.sock"),
            Some("/run/podman/podman.sock".to_owned()),
        ];
        Self { hosts: sockets.into_iter().flatten().map(|path| format!("unix://{path}")).collect(), is_named: false }
    }

    /// Requests the name and version of the daemon.
    pub(crate) fn ask(&self) -> Result<Engine, DaemonError> {
        block_on(async { self.answering().await.map(|(_, _, engine)| engine) })
    }

    /// Sends an archive, like `docker load`.
    pub(crate) fn load(&self, archive: &Path) -> Result<(), DaemonError> {
        let file = fs::File::open(archive).map_err(DaemonError::Read)?;
        let chunks = futures::stream::unfold(file, |mut file| async move {
            let mut chunk = Vec::with_capacity(CHUNK_BYTES);
            match file.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk) {
                Ok(0) => None,
                Ok(_) => Some((Ok(chunk.into()), file)),
                Err(error) => Some((Err(error), file)),
            }
        });
        block_on(async {
            let (docker, host, _) = self.answering().await?;
            let options = ImportImageOptionsBuilder::default().quiet(true).build();
            let mut answers = Box::pin(docker.import_image(options, bollard::body_try_stream(chunks), None));
            while let Some(answer) = answers.next().await {
                answer.map_err(|source| DaemonError::Load { host: host.to_owned(), source })?;
            }
            Ok(())
        })
    }

    /// Returns the first daemon that responds. If there is none, returns the error of the first one that exists.
    async fn answering(&self) -> Result<(Docker, &str, Engine), DaemonError> {
        let mut failure = None;
        for host in &self.hosts {
            let socket = host.strip_prefix("unix://").unwrap_or_default();
            if !self.is_named && !Path::new(socket).exists() {
                continue;
            }
            match connect(host).await {
                Ok((docker, engine)) => return Ok((docker, host, engine)),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure.unwrap_or_else(|| DaemonError::Missing { looked: self.hosts.clone() }))
    }
}

async fn connect(host: &str) -> Result<(Docker, Engine), DaemonError> {
    let failed = |source| DaemonError::Connect { host: host.to_owned(), source };
    let docker = Docker::connect_with_host(host).map_err(failed)?;
    let Ok(version) = tokio::time::timeout(ANSWER_WITHIN, docker.version()).await else {
        return Err(DaemonError::Silent { host: host.to_owned() });
    };
    let version = version.map_err(failed)?;
    let components = version.components.unwrap_or_default();
    let is_podman = components.iter().any(|component| component.name.starts_with("Podman"));
    let name = if is_podman { "Podman" } else { "Docker" };
    let reads_zstd = is_podman || version.api_version.as_deref().is_none_or(|text| api(text) >= ZSTD_SINCE);
    Ok((docker, Engine { name: format!("{name} {}", version.version.unwrap_or_default()), reads_zstd }))
}

/// Parses `1.41` into two numbers that can be compared.
fn api(text: &str) -> (u32, u32) {
    let (major, minor) = text.split_once('.').unwrap_or((text, "0"));
    (major.parse().unwrap_or_default(), minor.parse().unwrap_or_default())
}

fn block_on<T>(work: impl Future<Output = Result<T, DaemonError>>) -> Result<T, DaemonError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(DaemonError::Runtime)?.block_on(work)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::os::unix::net::UnixListener;

    use super::*;

    /// Starts a daemon that responds to one request with `version`.
    fn serve(dir: &Path, name: &str, version: &'static str) -> String {
        let path = dir.join(name);
        let listener = UnixListener::bind(&path).unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = std::io::Read::read(&mut stream, &mut [0; 4096]);
            let length = version.len();
            let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n");
            stream.write_all((head + version).as_bytes()).unwrap();
        });
        format!("unix://{}", path.display())
    }

    fn daemon(hosts: &[String]) -> Daemon {
        Daemon { hosts: hosts.to_vec(), is_named: false }
    }

    #[test]
    fn the_first_socket_that_answers_is_taken() {
        let home = tempfile::tempdir().unwrap();
        // A socket without a listener.
        drop(UnixListener::bind(home.path().join("dead")).unwrap());
        let dead = format!("unix://{}", home.path().join("dead").display());
        let old = serve(home.path(), "docker", r#"{"Version":"20.10.24","ApiVersion":"1.41"}"#);
        let engine = daemon(&["unix:///not/there".to_owned(), dead.clone(), old]).ask().unwrap();
        assert_eq!(engine, Engine { name: "Docker 20.10.24".to_owned(), reads_zstd: false });
        let error = daemon(&["unix:///not/there".to_owned(), dead.clone()]).ask().unwrap_err();
        assert!(error.to_string().contains(&dead), "{error}");
    }

    #[test]
    fn podman_answers_on_its_own_socket() {
        let home = tempfile::tempdir().unwrap();
        let version =
            r#"{"Version":"4.3.1","ApiVersion":"1.41","Components":[{"Name":"Podman Engine","Version":"4.3.1"}]}"#;
        let engine = daemon(&[serve(home.path(), "podman", version)]).ask().unwrap();
        assert_eq!(engine, Engine { name: "Podman 4.3.1".to_owned(), reads_zstd: true });
    }

    #[test]
    fn where_no_socket_is_all_places_are_named() {
        let error = Daemon { hosts: vec!["unix:///no/a".to_owned(), "unix:///no/b".to_owned()], is_named: false };
        assert_eq!(
            error.ask().unwrap_err().to_string(),
            "cannot find a daemon: there is no socket at `/no/a`, `/no/b`"
        );
    }

    #[test]
    fn versions_of_the_api_are_numbers() {
        assert!(api("1.9") < api("1.41") && api("1.41") < ZSTD_SINCE && api("1.50") > ZSTD_SINCE);
    }
}
