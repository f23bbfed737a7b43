//! HTTP: whole documents into memory, parcels into the store, several at once, with retries and resume.
//!
//! Asynchronous inside, plain calls outside. Trusts what the system trusts, and `SSL_CERT_FILE`.

use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fs_err as fs;
use futures::StreamExt as _;
use reqwest::header::{ETAG, IF_NONE_MATCH, RANGE};
use reqwest::{Client, Response, StatusCode};
use thiserror::Error;
use tokio::runtime::Runtime;

use crate::model::digest::{Digest, DigestWriter};
use crate::model::event::{Event, Listener};
use crate::model::lock::{LockedDeb, LockedWheel};
use crate::outside::store::{Store, StoreError};

/// How often a request is tried before its failure is told.
const ATTEMPTS: u32 = 4;
/// The pause before the second attempt; each further one doubles it.
const FIRST_PAUSE: Duration = Duration::from_millis(300);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
const READ_TIMEOUT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone)]
pub(crate) struct HttpSettings {
    pub(crate) offline: bool,
    /// Downloads at once.
    pub(crate) jobs: usize,
}

pub(crate) struct Http {
    client: Client,
    runtime: Runtime,
    settings: HttpSettings,
    listener: Arc<dyn Listener>,
    next_id: AtomicU64,
}

/// A parcel to fetch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Download {
    /// For people: a file name.
    pub(crate) name: String,
    pub(crate) url: String,
    pub(crate) digest: Digest,
    pub(crate) size_bytes: Option<u64>,
}

impl Download {
    pub(crate) fn of_wheel(wheel: &LockedWheel) -> Self {
        Self {
            name: wheel.file_name.clone(),
            url: wheel.url.clone(),
            digest: wheel.digest,
            size_bytes: wheel.size_bytes,
        }
    }

    pub(crate) fn of_deb(deb: &LockedDeb) -> Self {
        Self {
            name: format!("{}_{}.deb", deb.name, deb.version),
            url: deb.url.clone(),
            digest: deb.digest,
            size_bytes: Some(deb.size_bytes),
        }
    }
}

/// The answer to a conditional request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Conditional {
    Unchanged,
    Changed { bytes: Vec<u8>, etag: Option<String> },
}

#[derive(Debug, Error)]
pub(crate) enum HttpError {
    #[error("cannot set up HTTP")]
    Setup(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("cannot fetch `{url}`: the network is off (`--offline`), and the store does not hold it")]
    Offline { url: String },
    #[error("cannot fetch `{url}`")]
    Network { url: String, source: reqwest::Error },
    #[error("cannot fetch `{url}`: the server answers {status}")]
    Status { url: String, status: StatusCode },
    #[error("cannot fetch `{url}`: it is larger than {max_bytes} bytes")]
    TooLarge { url: String, max_bytes: u64 },
    #[error("cannot use `{url}`: its sha256 is {found}, and {expected} was promised")]
    Digest { url: String, expected: Digest, found: Digest },
    #[error("cannot keep what `{url}` sends")]
    Keep { url: String, source: std::io::Error },
    #[error("cannot keep a download")]
    Store(#[from] StoreError),
}

impl HttpError {
    /// Ways out, beyond what the error says itself.
    pub(crate) fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Offline { .. } => "leave out `--offline` once: what is fetched then is here from then on",
            Self::Network { source, .. } if tells_of_a_certificate(source) => {
                "where a proxy signs with a certificate of its own, name the bundle that has it with `SSL_CERT_FILE=FILE`"
            }
            Self::Network { .. } => {
                "see that the host can be reached from here; a proxy is named by `HTTPS_PROXY`, exceptions by `NO_PROXY`"
            }
            Self::Status { status, .. } if status.as_u16() == 407 => {
                "the proxy wants a name and a password: `HTTPS_PROXY=http://NAME:PASSWORD@HOST:PORT`"
            }
            Self::Digest { .. } | Self::TooLarge { .. } => {
                "a proxy or a mirror serves other bytes than were published: use another, or try again later"
            }
            Self::Store(error) => return error.hints(),
            _ => return Vec::new(),
        };
        vec![hint.to_owned()]
    }

    /// Whether another attempt may do better.
    fn is_passing(&self) -> bool {
        match self {
            Self::Network { source, .. } => !source.is_builder() && !source.is_redirect(),
            Self::Status { status, .. } => {
                status.is_server_error()
                    || matches!(*status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
            }
            _ => false,
        }
    }
}

impl Http {
    pub(crate) fn new(settings: HttpSettings, listener: Arc<dyn Listener>) -> Result<Self, HttpError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .map_err(|error| HttpError::Setup(error.into()))?;
        let client = Client::builder()
            .user_agent(concat!("lath/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            .build()
            .map_err(|error| HttpError::Setup(error.into()))?;
        Ok(Self { client, runtime, settings, listener, next_id: AtomicU64::new(0) })
    }

    /// Whether the network may be asked.
    pub(crate) fn is_offline(&self) -> bool {
        self.settings.offline
    }

    /// Fetches a document of at most `max_bytes`.
    pub(crate) fn get(&self, url: &str, max_bytes: u64) -> Result<Vec<u8>, HttpError> {
        match self.runtime.block_on(self.conditional(url, None, max_bytes))? {
            Conditional::Changed { bytes, .. } => Ok(bytes),
            Conditional::Unchanged => Err(HttpError::Status { url: public(url), status: StatusCode::NOT_MODIFIED }),
        }
    }

    /// Fetches a document unless it still bears `etag`.
    pub(crate) fn get_if_changed(
        &self,
        url: &str,
        etag: Option<&str>,
        max_bytes: u64,
    ) -> Result<Conditional, HttpError> {
        self.runtime.block_on(self.conditional(url, etag, max_bytes))
    }

    /// Several conditional requests at once: URL, entity tag, limit in bytes. The answers keep the order.
    pub(crate) fn get_all_if_changed(
        &self,
        requests: &[(String, Option<String>, u64)],
    ) -> Vec<Result<Conditional, HttpError>> {
        self.runtime.block_on(futures::future::join_all(
            requests.iter().map(|(url, etag, max_bytes)| self.conditional(url, etag.as_deref(), *max_bytes)),
        ))
    }

    /// Fetches every item that the store lacks. A parcel is adopted only after its sha256 agreed.
    pub(crate) fn download_all(&self, items: &[Download], store: &Store) -> Result<(), HttpError> {
        let missing: Vec<&Download> =
            items.iter().filter(|item| !store.has_parcel(&item.digest, item.size_bytes)).collect();
        self.runtime.block_on(async {
            let mut work = futures::stream::iter(missing)
                .map(|item| self.download(item, store))
                .buffer_unordered(self.settings.jobs.max(1));
            while let Some(done) = work.next().await {
                done?;
            }
            Ok(())
        })
    }

    async fn conditional(&self, url: &str, etag: Option<&str>, max_bytes: u64) -> Result<Conditional, HttpError> {
        self.with_retries(url, || self.conditional_once(url, etag, max_bytes)).await
    }

    async fn conditional_once(&self, url: &str, etag: Option<&str>, max_bytes: u64) -> Result<Conditional, HttpError> {
        let mut request = self.client.get(url);
        if let Some(etag) = etag {
            request = request.header(IF_NONE_MATCH, etag);
        }
        let response = request.send().await.map_err(|source| network(url, source))?;
        if response.status() == StatusCode::NOT_MODIFIED {
            return Ok(Conditional::Unchanged);
        }
        let response = successful(url, response)?;
        let etag = response.headers().get(ETAG).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut bytes = Vec::new();
        let mut body = response.bytes_stream();
        while let Some(chunk) = body.next().await {
            bytes.extend_from_slice(&chunk.map_err(|source| network(url, source))?);
            if bytes.len() as u64 > max_bytes {
                return Err(HttpError::TooLarge { url: public(url), max_bytes });
            }
        }
        Ok(Conditional::Changed { bytes, etag })
    }

    async fn download(&self, item: &Download, store: &Store) -> Result<(), HttpError> {
        // Two processes that want the same parcel: the second waits, and then has it.
        let lock_name = format!("parcel-{}", item.digest);
        let waiting = store.clone();
        let _guard = tokio::task::spawn_blocking(move || waiting.lock(&lock_name))
            .await
            .map_err(|error| HttpError::Setup(error.into()))??;
        if store.has_parcel(&item.digest, item.size_bytes) {
            return Ok(());
        }
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        self.listener.hear(Event::DownloadStarted { id, name: item.name.clone(), total: item.size_bytes });
        let partial = store.partial_path(&item.digest);
        let outcome = self.with_retries(&item.url, || self.download_once(id, item, &partial)).await;
        self.listener.hear(Event::DownloadFinished { id });
        let found = outcome?;
        if found != item.digest {
            let _ = fs::remove_file(&partial);
            return Err(HttpError::Digest { url: public(&item.url), expected: item.digest, found });
        }
        Ok(store.adopt_parcel(&partial, &item.digest)?)
    }

    /// Fetches what `partial` lacks of `item`, and returns the digest of the whole.
    async fn download_once(&self, id: u64, item: &Download, partial: &Path) -> Result<Digest, HttpError> {
        let url = &item.url;
        let keep = |source| HttpError::Keep { url: public(url), source };
        let mut file =
            fs::OpenOptions::new().read(true).write(true).create(true).truncate(false).open(partial).map_err(keep)?;
        let mut writer = DigestWriter::new(std::io::sink());
        let mut have = copy_into(&mut file, &mut writer).map_err(keep)?;
        let mut request = self.client.get(url);
        if have > 0 && item.size_bytes == Some(have) {
            return Ok(writer.finish().1);
        }
        if have > 0 {
            request = request.header(RANGE, format!("bytes={have}-"));
        }
        let response = request.send().await.map_err(|source| network(url, source))?;
        let is_rest = response.status() == StatusCode::PARTIAL_CONTENT;
        if have > 0 && (!is_rest || response.status() == StatusCode::RANGE_NOT_SATISFIABLE) {
            file.set_len(0).map_err(keep)?;
            file.seek(SeekFrom::Start(0)).map_err(keep)?;
            writer = DigestWriter::new(std::io::sink());
            have = 0;
        }
        let response = successful(url, response)?;
        let limit = item.size_bytes.unwrap_or(u64::MAX);
        let mut body = response.bytes_stream();
        while let Some(chunk) = body.next().await {
            let chunk = chunk.map_err(|source| network(url, source))?;
            have += chunk.len() as u64;
            if have > limit {
                let _ = fs::remove_file(partial);
                return Err(HttpError::TooLarge { url: public(url), max_bytes: limit });
            }
            file.write_all(&chunk).map_err(keep)?;
            writer.write_all(&chunk).map_err(keep)?;
            self.listener.hear(Event::DownloadProgress { id, bytes: have });
        }
        file.flush().map_err(keep)?;
        Ok(writer.finish().1)
    }

    async fn with_retries<T, F>(&self, url: &str, attempt: impl Fn() -> F) -> Result<T, HttpError>
    where
        F: Future<Output = Result<T, HttpError>>,
    {
        if self.settings.offline {
            return Err(HttpError::Offline { url: public(url) });
        }
        let mut pause = FIRST_PAUSE;
        for tried in 1.. {
            match attempt().await {
                Err(error) if tried < ATTEMPTS && error.is_passing() => {
                    self.listener.hear(Event::Detail(format!("{error}; trying again in {} ms", pause.as_millis())));
                    tokio::time::sleep(pause).await;
                    pause *= 2;
                }
                outcome => return outcome,
            }
        }
        Err(HttpError::Offline { url: public(url) })
    }
}

/// Feeds what `file` holds to `writer` and leaves the position at its end.
fn copy_into(file: &mut fs::File, writer: &mut DigestWriter<std::io::Sink>) -> std::io::Result<u64> {
    let mut buffer = vec![0; 128 << 10];
    let mut have = 0;
    loop {
        let length = file.read(&mut buffer)?;
        if length == 0 {
            return Ok(have);
        }
        writer.write_all(&buffer[..length])?;
        have += length as u64;
    }
}

fn successful(url: &str, response: Response) -> Result<Response, HttpError> {
    let status = response.status();
    if status.is_success() { Ok(response) } else { Err(HttpError::Status { url: public(url), status }) }
}

fn network(url: &str, source: reqwest::Error) -> HttpError {
    HttpError::Network { url: public(url), source: source.without_url() }
}

fn tells_of_a_certificate(error: &dyn std::error::Error) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if cause.to_string().contains("certificate") {
            return true;
        }
        next = cause.source();
    }
    false
}

/// A URL as it may be shown: without the name and password it may carry.
fn public(text: &str) -> String {
    let Ok(mut url) = url::Url::parse(text) else { return text.to_owned() };
    // Neither fails on a URL with a host, and one without a host carries no password.
    let _ = url.set_username("");
    let _ = url.set_password(None);
    url.to_string()
}
