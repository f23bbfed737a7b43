//! Fetches documents into memory and parcels into the store over HTTP, several at once. Failed requests are repeated,
//! and interrupted downloads are continued.
//!
//! The implementation is asynchronous, but the methods block. lath trusts the system's certificates, or those in
//! `SSL_CERT_FILE` if that is set. lath also uses the proxies in the usual environment variables.

mod body;
mod certificates;
mod clients;
mod download;
mod retries;

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::StreamExt as _;
use reqwest::header::{CONTENT_TYPE, ETAG, HeaderMap, IF_NONE_MATCH, RETRY_AFTER};
use reqwest::{Client, RequestBuilder, Response, StatusCode};
use thiserror::Error;
use tokio::runtime::Runtime;
use url::Url;

use crate::model::digest::Digest;
use crate::model::event::Listener;
use crate::model::hint::{Hint, Hints, NetworkHint};
use crate::model::secret_text::public;
use crate::outside::credentials::{Credentials, Tried};
use crate::outside::store::StoreError;

pub(crate) use crate::outside::http::body::{Bodies, Body, BodyError, Document, Kind, kind_of};
#[cfg(test)]
pub(crate) use crate::outside::http::body::{Bounds, Pace};
pub(crate) use crate::outside::http::clients::Clients;
pub(crate) use crate::outside::http::download::Download;
pub(crate) use crate::outside::http::retries::{ATTEMPTS, Failed, Patience, with_retries};

pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);

#[derive(Debug, Clone)]
pub(crate) struct HttpSettings {
    pub(crate) offline: bool,
    /// The maximum number of downloads that run at once.
    pub(crate) jobs: usize,
    /// If a server sends nothing for this long, the request fails.
    pub(crate) read_timeout: Duration,
    pub(crate) clients: Clients,
    pub(crate) credentials: Arc<Credentials>,
}

pub(crate) struct Http {
    /// The client is created with the first request.
    client: OnceLock<Client>,
    runtime: Runtime,
    settings: HttpSettings,
    listener: Arc<dyn Listener>,
    next_id: AtomicU64,
}

/// The response to a conditional request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Conditional {
    Unchanged,
    Changed { bytes: Vec<u8>, etag: Option<String> },
}

#[derive(Debug, Error)]
pub(crate) enum HttpError {
    #[error("cannot set up HTTP")]
    Setup(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("cannot fetch `{url}`: this build is offline, and the cache does not contain it")]
    Offline { url: String },
    #[error("cannot fetch `{url}`")]
    Network { url: String, source: reqwest::Error },
    #[error("cannot fetch `{url}`: the server answers {status}")]
    Status {
        url: String,
        status: StatusCode,
        /// The host to which the request was redirected, if it is not the requested host.
        redirected_to: Option<String>,
        /// The pause that the server requests before the next attempt.
        pause: Option<Duration>,
    },
    #[error("cannot fetch `{url}`: the server answers {status}; {tried}")]
    Refused { url: String, status: StatusCode, tried: Box<Tried> },
    #[error("cannot fetch `{url}`: the response is a web page (text/html), perhaps the login page of a proxy")]
    Page { url: String },
    #[error("cannot fetch `{url}`: it ends after {found} of {expected} bytes")]
    Short { url: String, expected: u64, found: u64 },
    #[error("cannot fetch `{url}`: it is larger than {max_bytes} bytes")]
    TooLarge { url: String, max_bytes: u64 },
    #[error("cannot fetch `{url}`: it arrives too slowly")]
    TooSlow { url: String, source: std::io::Error },
    #[error("cannot use `{url}`: its sha256 is {found}, not {expected}")]
    Digest { url: String, expected: Digest, found: Digest },
    #[error("cannot save the bytes of `{url}`")]
    Keep { url: String, source: std::io::Error },
    #[error("cannot save a download")]
    Store(#[from] StoreError),
}

impl Hints for HttpError {
    fn own_hints(&self) -> Vec<Hint> {
        let hint = match self {
            Self::Offline { .. } => NetworkHint::FillCache,
            Self::Network { source, .. } if is_about_certificate(source) => NetworkHint::Certificates,
            Self::Network { source, .. } if source.is_redirect() => NetworkHint::RedirectLoop,
            Self::Network { .. } => NetworkHint::Reachable,
            Self::Status { status: StatusCode::PROXY_AUTHENTICATION_REQUIRED, .. } => NetworkHint::ProxyPassword,
            Self::Refused { .. } => NetworkHint::Password,
            Self::Page { .. } => NetworkHint::ProxyPage,
            Self::Digest { .. } | Self::TooLarge { .. } | Self::Short { .. } => NetworkHint::OtherBytes,
            Self::TooSlow { .. } => NetworkHint::Slow,
            Self::Setup(_) | Self::Status { .. } | Self::Keep { .. } | Self::Store(_) => return Vec::new(),
        };
        vec![Hint::Network(hint)]
    }

    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

impl HttpError {
    /// Returns the description of the problem, without the URL.
    pub(crate) fn brief(&self) -> String {
        match self {
            Self::Status { status, .. } => status.to_string(),
            error => std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string),
        }
    }
}

impl Failed for HttpError {
    fn is_passing(&self) -> bool {
        match self {
            Self::Network { source, .. } => !source.is_builder() && !source.is_redirect(),
            Self::Status { status, .. } => {
                status.is_server_error()
                    || matches!(*status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
            }
            Self::TooSlow { .. } => true,
            _ => false,
        }
    }

    fn asked_pause(&self) -> Option<Duration> {
        match self {
            Self::Status { pause, .. } => *pause,
            _ => None,
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
        Ok(Self { client: OnceLock::new(), runtime, settings, listener, next_id: AtomicU64::new(0) })
    }

    /// Returns whether lath is offline.
    pub(crate) fn is_offline(&self) -> bool {
        self.settings.offline
    }

    pub(crate) fn credentials(&self) -> &Credentials {
        &self.settings.credentials
    }

    /// Fetches a document of at most `max_bytes`.
    pub(crate) fn get(&self, url: &str, max_bytes: u64) -> Result<Vec<u8>, HttpError> {
        match self.runtime.block_on(self.conditional(url, None, max_bytes))? {
            Conditional::Changed { bytes, .. } => Ok(bytes),
            Conditional::Unchanged => Err(HttpError::Status {
                url: public(url),
                status: StatusCode::NOT_MODIFIED,
                redirected_to: None,
                pause: None,
            }),
        }
    }

    /// Sends several conditional requests at once. Each has a URL, an entity tag and a limit in bytes. The results are
    /// in the same order.
    pub(crate) fn get_all_if_changed(
        &self,
        requests: &[(String, Option<String>, u64)],
    ) -> Vec<Result<Conditional, HttpError>> {
        self.runtime.block_on(futures::future::join_all(
            requests.iter().map(|(url, etag, max_bytes)| self.conditional(url, etag.as_deref(), *max_bytes)),
        ))
    }

    /// Returns for each URL whether the server has this file, in the same order. Only headers are requested.
    pub(crate) fn all_exist(&self, urls: &[String]) -> Vec<Result<(), HttpError>> {
        let exists = async |url: &String| {
            self.with_retries(url, || async {
                let response = self.with_credentials(url, self.client()?.head(url)).send().await;
                successful(url, response.map_err(|source| network(url, source))?).map(drop)
            })
            .await
        };
        let answers = futures::stream::iter(urls).map(exists).buffered(self.downloads_at_once());
        self.runtime.block_on(answers.collect())
    }

    /// Creates a request, with the credentials for its URL if some are known.
    fn request(&self, url: &str) -> Result<RequestBuilder, HttpError> {
        Ok(self.with_credentials(url, self.client()?.get(url)))
    }

    fn client(&self) -> Result<&Client, HttpError> {
        if let Some(client) = self.client.get() {
            return Ok(client);
        }
        let HttpSettings { clients, read_timeout, .. } = &self.settings;
        let client = clients.client(CONNECT_TIMEOUT, *read_timeout).map_err(HttpError::Setup)?;
        Ok(self.client.get_or_init(|| client))
    }

    fn with_credentials(&self, url: &str, request: RequestBuilder) -> RequestBuilder {
        match self.settings.credentials.of(url) {
            Some(login) => request.basic_auth(login.user, Some(login.password)),
            None => request,
        }
    }

    /// Returns the error for a request that the server refused for lack of permission.
    fn refused(&self, url: &str, status: StatusCode, redirected_to: Option<String>) -> HttpError {
        let tried = match redirected_to {
            Some(host) => Some(Tried::Redirected { host }),
            None => self.settings.credentials.tried(url),
        };
        match tried {
            Some(tried) => HttpError::Refused { url: public(url), status, tried: Box::new(tried) },
            None => HttpError::Status { url: public(url), status, redirected_to: None, pause: None },
        }
    }

    async fn conditional(&self, url: &str, etag: Option<&str>, max_bytes: u64) -> Result<Conditional, HttpError> {
        self.with_retries(url, || self.conditional_once(url, etag, max_bytes)).await
    }

    async fn conditional_once(&self, url: &str, etag: Option<&str>, max_bytes: u64) -> Result<Conditional, HttpError> {
        let mut request = self.request(url)?;
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
        let mut body = self.settings.clients.bodies.of(response, max_bytes);
        while let Some(chunk) = body.next().await.map_err(|error| unread(url, error))? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(Conditional::Changed { bytes, etag })
    }

    async fn with_retries<T, F>(&self, url: &str, attempt: impl Fn() -> F) -> Result<T, HttpError>
    where
        F: Future<Output = Result<T, HttpError>>,
    {
        if self.settings.offline {
            return Err(HttpError::Offline { url: public(url) });
        }
        match with_retries(&*self.listener, attempt).await {
            Err(HttpError::Status { status, redirected_to, .. }) if is_refused(status) => {
                Err(self.refused(url, status, redirected_to))
            }
            outcome => outcome,
        }
    }
}

/// Returns whether the status means that other credentials are required (RFC 9110, section 15.5).
pub(crate) fn is_refused(status: StatusCode) -> bool {
    matches!(status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

fn successful(url: &str, response: Response) -> Result<Response, HttpError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let is_elsewhere = Url::parse(url).is_ok_and(|url| url.origin() != response.url().origin());
    let redirected_to = response.url().host_str().filter(|_| is_elsewhere).map(str::to_owned);
    Err(HttpError::Status { url: public(url), status, redirected_to, pause: pause(response.headers()) })
}

/// Returns `response`. Fails if the response is not successful, or if it is an HTML page. Wheels and .debs are never
/// HTML, so an HTML page was sent by a proxy or a captive portal.
fn file(url: &str, response: Response) -> Result<Response, HttpError> {
    let response = successful(url, response)?;
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.trim_start().to_ascii_lowercase().starts_with("text/html") {
        return Err(HttpError::Page { url: public(url) });
    }
    Ok(response)
}

/// Reads `Retry-After` in seconds. If it is a date, it is ignored, because the clocks of two machines differ.
pub(crate) fn pause(headers: &HeaderMap) -> Option<Duration> {
    headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn network(url: &str, source: reqwest::Error) -> HttpError {
    HttpError::Network { url: public(url), source: source.without_url() }
}

fn unread(url: &str, error: BodyError) -> HttpError {
    match error {
        BodyError::Network(source) => network(url, source),
        BodyError::TooLarge { max_bytes, .. }
        | BodyError::TooMany { max_bytes, .. }
        | BodyError::LargeMetadata { max_bytes, .. }
        | BodyError::ScatteredMetadata { max_bytes, .. } => HttpError::TooLarge { url: public(url), max_bytes },
        BodyError::TooSlow { source, .. } => HttpError::TooSlow { url: public(url), source },
    }
}

/// Returns whether a connection failed because of a certificate.
pub(crate) fn is_about_certificate(error: &dyn std::error::Error) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        if cause.to_string().contains("certificate") {
            return true;
        }
        next = cause.source();
    }
    false
}
