//! The daemon of an engine: Docker's daemon, or Podman's socket, which has the same API. `POST /images/load` loads an
//! image.

mod context;

use std::io::{Read, Write};
use std::path::Path;
use std::time::Duration;

use fs_err as fs;
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Body, Client, Response};
use serde::Deserialize;
use thiserror::Error;

use crate::model::hint::{EngineHint, Hint, Hints};
use crate::model::world_settings::DaemonSettings;
use crate::outside::daemon::context::{ContextError, Contexts};

const CHUNK_BYTES: usize = 1 << 20;
/// A running daemon responds at once. Without this limit, a daemon that hangs would block the build.
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The maximum size of a response. Real responses have a few lines.
const MAX_RESPONSE_BYTES: usize = 16 << 20;
/// The API version of Docker 23.0, the first version that can read zstd layers.
const ZSTD_SINCE: (u32, u32) = (1, 42);

/// The addresses at which a daemon may listen.
#[derive(Debug, Clone)]
pub(crate) struct Daemon {
    /// Addresses in the form of `DOCKER_HOST`. The first one that responds is used.
    hosts: Vec<String>,
    is_named: bool,
    /// Docker's contexts. If one is chosen, only its address is used.
    contexts: Option<Contexts>,
}

/// The engine that responded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Engine {
    /// For example `Docker 20.10.24`.
    pub(crate) name: String,
    /// Whether the engine can unpack layers that are compressed with zstd.
    pub(crate) reads_zstd: bool,
}

#[derive(Debug, Error)]
pub(crate) enum DaemonError {
    #[error("cannot reach the daemon at `{host}`")]
    Connect { host: String, source: RequestError },
    #[error("cannot reach the daemon at `{host}`: it did not answer within {} s", ANSWER_WITHIN.as_secs())]
    Silent { host: String },
    #[error("cannot find a daemon: there is no socket at {}", listed(.looked))]
    Missing { looked: Vec<String> },
    #[error(transparent)]
    Context(#[from] ContextError),
    #[error("cannot load the image into the daemon at `{host}`")]
    Load { host: String, source: RequestError },
    #[error("cannot read the image `{name}` of the daemon at `{host}`")]
    Save { host: String, name: String, source: RequestError },
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
            Self::Context(_) | Self::Load { .. } | Self::Save { .. } | Self::Read(_) | Self::Runtime(_) => Vec::new(),
        }
    }

    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Connect { source, .. } => Some(source),
            Self::Load { source, .. } | Self::Save { source, .. } => Some(source),
            Self::Context(source) => Some(source),
            Self::Silent { .. } | Self::Missing { .. } | Self::Read(_) | Self::Runtime(_) => None,
        }
    }
}

/// The reason why a request to a daemon failed.
#[derive(Debug, Error)]
pub(crate) enum RequestError {
    #[error("the address does not begin with `unix://`, `tcp://` or `http://`")]
    Address,
    #[error(transparent)]
    Network(#[from] reqwest::Error),
    #[error("the daemon responded with status {status}: {message}")]
    Refused { status: u16, message: String },
    #[error("the daemon reported: {0}")]
    Reported(String),
    #[error("cannot write the response to a file")]
    Write(#[source] std::io::Error),
    #[error("the response is larger than {MAX_RESPONSE_BYTES} bytes")]
    TooLarge,
    #[error("cannot read the response")]
    Unreadable(#[source] serde_json::Error),
}

impl Hints for RequestError {}

fn listed(hosts: &[String]) -> String {
    let paths: Vec<String> = hosts.iter().map(|host| format!("`{}`", host.trim_start_matches("unix://"))).collect();
    paths.join(", ")
}

impl Daemon {
    /// Creates the list of addresses. If `DOCKER_HOST` is not set, the list contains the sockets of Docker and Podman,
    /// including those of the user. They are used if no context of Docker is chosen.
    pub(crate) fn new(settings: DaemonSettings) -> Self {
        let DaemonSettings { host, context, docker_config, runtime_dir } = settings;
        if let Some(host) = host {
            return Self { hosts: vec![host], is_named: true, contexts: None };
        }
        let contexts = docker_config.map(|folder| Contexts { folder, named: context });
        let own = |name: &str| runtime_dir.as_ref().map(|dir| dir.join(name).display().to_string());
        let sockets = [
            Some("/var/run/docker.sock".to_owned()),
            own("docker.sock"),
            own("podman/podman.sock"),
            Some("/run/podman/podman.sock".to_owned()),
        ];
        let hosts = sockets.into_iter().flatten().map(|path| format!("unix://{path}")).collect();
        Self { hosts, is_named: false, contexts }
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
            match Read::by_ref(&mut file).take(CHUNK_BYTES as u64).read_to_end(&mut chunk) {
                Ok(0) => None,
                Ok(_) => Some((Ok(chunk), file)),
                Err(error) => Some((Err(error), file)),
            }
        });
        block_on(async {
            let (endpoint, host, _) = self.answering().await?;
            let loaded = endpoint.load(Body::wrap_stream(chunks)).await;
            loaded.map_err(|source| DaemonError::Load { host, source })
        })
    }

    /// Writes the archive of an image, like `docker save`.
    pub(crate) fn save(&self, name: &str, to: &mut dyn Write) -> Result<(), DaemonError> {
        block_on(async {
            let (endpoint, host, _) = self.answering().await?;
            let saved = endpoint.save(name, to).await;
            saved.map_err(|source| DaemonError::Save { host, name: name.to_owned(), source })
        })
    }

    /// Returns the first daemon that responds. If there is none, returns the error of the first daemon that exists. The
    /// context is read only here, because most runs need no daemon, so a wrong context does not concern them.
    async fn answering(&self) -> Result<(Endpoint, String, Engine), DaemonError> {
        if let Some(host) = self.contexts.as_ref().map(Contexts::host).transpose()?.flatten() {
            return connect(&host).await.map(|(endpoint, engine)| (endpoint, host, engine));
        }
        let mut failure = None;
        for host in &self.hosts {
            let socket = host.strip_prefix("unix://").unwrap_or_default();
            if !self.is_named && !Path::new(socket).exists() {
                continue;
            }
            match connect(host).await {
                Ok((endpoint, engine)) => return Ok((endpoint, host.clone(), engine)),
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        Err(failure.unwrap_or_else(|| DaemonError::Missing { looked: self.hosts.clone() }))
    }
}

async fn connect(host: &str) -> Result<(Endpoint, Engine), DaemonError> {
    let failed = |source| DaemonError::Connect { host: host.to_owned(), source };
    let endpoint = Endpoint::new(host).map_err(failed)?;
    let Ok(version) = tokio::time::timeout(ANSWER_WITHIN, endpoint.version()).await else {
        return Err(DaemonError::Silent { host: host.to_owned() });
    };
    let version = version.map_err(failed)?;
    let is_podman = version.components.iter().flatten().any(|component| component.name.starts_with("Podman"));
    let name = if is_podman { "Podman" } else { "Docker" };
    let reads_zstd = is_podman || version.api_version.as_deref().is_none_or(|text| api(text) >= ZSTD_SINCE);
    Ok((endpoint, Engine { name: format!("{name} {}", version.version), reads_zstd }))
}

/// Those fields of the response to `GET /version` that lath uses.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Version {
    #[serde(default)]
    version: String,
    api_version: Option<String>,
    components: Option<Vec<Component>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Component {
    name: String,
}

/// A line of the response to a load. It reports progress or an error.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Progress {
    error_detail: Option<Failure>,
}

#[derive(Debug, Deserialize)]
struct Failure {
    message: String,
}

/// A daemon's HTTP API without TLS. If the path of a request contains no version, the daemon uses its own version of
/// the API.
struct Endpoint {
    client: Client,
    /// For example `http://localhost:2375`.
    base: String,
}

impl Endpoint {
    fn new(host: &str) -> Result<Self, RequestError> {
        // A daemon is local, so proxies and certificates are not needed.
        let builder = Client::builder().no_proxy().tls_certs_only([]).http1_only().redirect(Policy::none());
        let (builder, address) = match host.split_once("://") {
            Some(("unix", path)) => (builder.unix_socket(path), "localhost"),
            Some(("tcp" | "http", address)) => (builder, address.trim_end_matches('/')),
            _ => return Err(RequestError::Address),
        };
        Ok(Self { client: builder.build()?, base: format!("http://{address}") })
    }

    async fn version(&self) -> Result<Version, RequestError> {
        let response = self.client.get(format!("{}/version", self.base)).send().await?;
        serde_json::from_slice(&successful(response).await?).map_err(RequestError::Unreadable)
    }

    /// Sends an archive. If the daemon fails after it has begun its response, a later line of the response contains the
    /// error.
    async fn load(&self, archive: Body) -> Result<(), RequestError> {
        let request = self.client.post(format!("{}/images/load?quiet=true", self.base));
        let response = request.header(CONTENT_TYPE, "application/x-tar").body(archive).send().await?;
        let body = successful(response).await?;
        for line in serde_json::Deserializer::from_slice(&body).into_iter::<Progress>() {
            if let Some(failure) = line.map_err(RequestError::Unreadable)?.error_detail {
                return Err(RequestError::Reported(failure.message));
            }
        }
        Ok(())
    }
}

impl Endpoint {
    /// Writes an archive of one image to `to` in pieces.
    async fn save(&self, name: &str, to: &mut dyn Write) -> Result<(), RequestError> {
        // A name may contain slashes. The daemon accepts them in this path.
        let request = self.client.get(format!("{}/images/{name}/get", self.base));
        let mut response = request.send().await?;
        if !response.status().is_success() {
            return successful(response).await.map(drop);
        }
        while let Some(chunk) = response.chunk().await? {
            to.write_all(&chunk).map_err(RequestError::Write)?;
        }
        Ok(())
    }
}

/// Returns the body of a response that reports success.
async fn successful(mut response: Response) -> Result<Vec<u8>, RequestError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_RESPONSE_BYTES {
            return Err(RequestError::TooLarge);
        }
    }
    if response.status().is_success() {
        return Ok(body);
    }
    let message = serde_json::from_slice(&body).map(|failure: Failure| failure.message);
    Err(RequestError::Refused {
        status: response.status().as_u16(),
        message: message.unwrap_or_else(|_| String::from_utf8_lossy(&body).trim().to_owned()),
    })
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
    use std::error::Error as _;
    use std::io::Write as _;
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;
    use crate::model::digest::Digest;

    /// Starts a daemon that responds to one request with `version`.
    fn serve(dir: &Path, name: &str, version: &'static str) -> String {
        serve_all(dir, name, vec![("200 OK", version)]).0
    }

    /// Starts a daemon that responds to requests with these statuses and bodies. The thread returns the requests.
    fn serve_all(
        dir: &Path,
        name: &str,
        responses: Vec<(&'static str, &'static str)>,
    ) -> (String, std::thread::JoinHandle<Vec<String>>) {
        let path = dir.join(name);
        let listener = UnixListener::bind(&path).unwrap();
        let serving = std::thread::spawn(move || {
            let respond = |(status, body): (&str, &str)| {
                let (mut stream, _) = listener.accept().unwrap();
                let request = request(&mut stream);
                let length = body.len();
                let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
                stream.write_all((head + body).as_bytes()).unwrap();
                request
            };
            responses.into_iter().map(respond).collect()
        });
        (format!("unix://{}", path.display()), serving)
    }

    /// Reads a request without a body, or with a body in chunks.
    fn request(stream: &mut UnixStream) -> String {
        let mut read = Vec::new();
        let end = |read: &[u8]| if read.starts_with(b"POST") { "\r\n0\r\n\r\n" } else { "\r\n\r\n" };
        while !read.ends_with(end(&read).as_bytes()) {
            let mut chunk = [0; 4096];
            let length = stream.read(&mut chunk).unwrap();
            assert_ne!(length, 0, "{}", String::from_utf8_lossy(&read));
            read.extend_from_slice(&chunk[..length]);
        }
        String::from_utf8(read).unwrap()
    }

    const VERSION: (&str, &str) = ("200 OK", r#"{"Version":"29.1.0","ApiVersion":"1.52","Components":null}"#);

    /// Loads an archive into a daemon that responds with `status` and `body`. Returns the cause of a failure, and the
    /// requests.
    fn load(status: &'static str, body: &'static str) -> (Result<(), String>, Vec<String>) {
        let home = tempfile::tempdir().unwrap();
        let archive = home.path().join("image.tar");
        fs::write(&archive, "bytes of an archive").unwrap();
        let (host, serving) = serve_all(home.path(), "docker", vec![VERSION, (status, body)]);
        let loaded = daemon(&[host]).load(&archive).map_err(|error| error.source().unwrap().to_string());
        (loaded, serving.join().unwrap())
    }

    fn daemon(hosts: &[String]) -> Daemon {
        Daemon { hosts: hosts.to_vec(), is_named: false, contexts: None }
    }

    #[test]
    fn the_first_socket_that_answers_is_taken() {
        let home = tempfile::tempdir().unwrap();
        // A socket on which no program listens.
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
        let error = daemon(&["unix:///no/a".to_owned(), "unix:///no/b".to_owned()]);
        assert_eq!(
            error.ask().unwrap_err().to_string(),
            "cannot find a daemon: there is no socket at `/no/a`, `/no/b`"
        );
    }

    #[test]
    fn an_archive_is_sent_whole() {
        let (loaded, requests) = load("200 OK", "{\"stream\":\"Loaded image: tool\\n\"}\n");
        assert_eq!(loaded, Ok(()));
        assert!(requests[0].starts_with("GET /version HTTP/1.1\r\n"), "{requests:?}");
        assert!(requests[1].starts_with("POST /images/load?quiet=true HTTP/1.1\r\n"), "{requests:?}");
        assert!(requests[1].to_lowercase().contains("\r\ncontent-type: application/x-tar\r\n"), "{requests:?}");
        assert!(requests[1].ends_with("\r\n\r\n13\r\nbytes of an archive\r\n0\r\n\r\n"), "{requests:?}");
    }

    #[test]
    fn a_failure_to_load_has_the_words_of_the_daemon() {
        let late = "{\"stream\":\"Loading\"}\r\n{\"errorDetail\":{\"message\":\"no space left\"}}\r\n";
        assert_eq!(load("200 OK", late).0, Err("the daemon reported: no space left".to_owned()));
        let refused = |text: &str| Err(format!("the daemon responded with status 500: {text}"));
        assert_eq!(load("500 Internal Server Error", r#"{"message":"invalid archive"}"#).0, refused("invalid archive"));
        assert_eq!(load("500 Internal Server Error", "out of memory\n").0, refused("out of memory"));
        assert_eq!(load("200 OK", "<html>").0, Err("cannot read the response".to_owned()));
    }

    #[test]
    fn an_address_of_another_kind_is_refused() {
        let error = daemon(&["ssh://host".to_owned()]).ask().unwrap_err();
        assert!(matches!(error, DaemonError::Missing { .. }), "{error}");
        let named = DaemonSettings { host: Some("ssh://host".to_owned()), ..DaemonSettings::default() };
        let error = Daemon::new(named).ask().unwrap_err();
        assert!(matches!(error, DaemonError::Connect { source: RequestError::Address, .. }), "{error}");
    }

    #[test]
    fn the_daemon_of_a_context_is_used_unless_the_variable_names_another() {
        let home = tempfile::tempdir().unwrap();
        let of_context = serve(home.path(), "context", VERSION.1);
        let named = serve(home.path(), "named", r#"{"Version":"1","ApiVersion":"1.52"}"#);
        let meta = home.path().join("contexts/meta").join(Digest::of(b"mine").to_string());
        fs::create_dir_all(&meta).unwrap();
        let text = format!(r#"{{"Endpoints":{{"docker":{{"Host":"{of_context}"}}}}}}"#);
        fs::write(meta.join("meta.json"), text).unwrap();
        let settings = |context: &str, host| DaemonSettings {
            host,
            context: Some(context.to_owned()),
            docker_config: Some(home.path().to_owned()),
            runtime_dir: None,
        };
        assert_eq!(Daemon::new(settings("mine", None)).ask().unwrap().name, "Docker 29.1.0");
        assert_eq!(Daemon::new(settings("mine", Some(named))).ask().unwrap().name, "Docker 1");
        let error = Daemon::new(settings("other", None)).ask().unwrap_err();
        assert!(matches!(error, DaemonError::Context(_)), "{error}");
    }

    #[test]
    fn versions_of_the_api_are_numbers() {
        assert!(api("1.9") < api("1.41") && api("1.41") < ZSTD_SINCE && api("1.50") > ZSTD_SINCE);
    }
}
