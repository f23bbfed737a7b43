//! Sends one request to a registry with the necessary authorization, and reads the failure that a response reports.

use std::sync::Arc;

use reqwest::header::{AUTHORIZATION, HeaderMap, LOCATION};
use reqwest::{Body, Method, Response, StatusCode};
use serde::Deserialize;
use tokio::time::timeout;
use url::Url;

use crate::outside::credentials::Tried;
use crate::outside::http::{BodyError, is_refused, pause};
use crate::outside::registry::Registry;
use crate::outside::registry::challenge::Challenge;
use crate::outside::registry::error::{Answer, RateLimit, RegistryError, Task};
use crate::outside::registry::hosts::Host;
use crate::outside::registry::idle::{self, Progress};
use crate::outside::registry::tokens::{Grant, Refused, Scope, Used};

/// A message in a response is cut after this number of characters.
const MAX_MESSAGE_CHARACTERS: usize = 300;
const MAX_ERROR_BYTES: u64 = 64 << 10;
/// The maximum number of redirects of a request with a body. The HTTP library does not follow these redirects, so lath
/// follows them.
const MAX_REDIRECTS: usize = 5;

/// The host, the repository and the purpose of a group of requests.
#[derive(Clone)]
pub(super) struct Access {
    pub(super) host: Arc<Host>,
    pub(super) scope: Scope,
    pub(super) task: Task,
}

/// Creates the body of a request. It is called each time the request is sent. If the body is large, it reports its
/// progress.
pub(super) type MakeBody<'a> = dyn Fn(Progress) -> Result<Body, RegistryError> + Send + Sync + 'a;

/// The requests that may use a renewed token.
#[derive(Clone, Copy)]
enum Renewal {
    /// All requests with the same access.
    Shared,
    /// Only one request.
    Own,
}

/// A request.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: HeaderMap,
    pub(super) body: Option<&'a MakeBody<'a>>,
}

impl Call<'_> {
    pub(super) fn new(method: Method, url: Url) -> Self {
        Self { method, url, headers: HeaderMap::new(), body: None }
    }
}

/// The errors in a response (distribution-spec, "Error Codes"). Token servers may use other forms.
#[derive(Deserialize)]
struct Failures {
    #[serde(default)]
    errors: Vec<Failure>,
    #[serde(default)]
    details: String,
}

#[derive(Deserialize)]
struct Failure {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

impl Registry {
    /// Returns the URL of a part of a host's API, such as `manifests/latest` of a repository. Connects to the host if
    /// lath is not connected yet, so this function must be called before a request is sent.
    pub(super) async fn url(&self, access: &Access, path: &str) -> Result<Url, RegistryError> {
        if self.settings.offline {
            return Err(RegistryError::Offline { task: access.task.clone() });
        }
        let base = &self.reach(&access.host).await?.base;
        let no_address = |_| RegistryError::NoAddress { task: access.task.clone() };
        base.join(&format!("{}/{path}", access.scope.repository)).map_err(no_address)
    }

    /// Sends a request. If the host refuses the token, the request is sent again with a new token. Other requests share
    /// the new token, and may use it up. So if the host refuses the new token as well, the request is sent with a token
    /// that only this request uses. Returns an error if this last token is refused.
    pub(super) async fn send(&self, access: &Access, call: &Call<'_>) -> Result<Response, RegistryError> {
        let base = &self.reach(&access.host).await?.base;
        let mut grant = self.grant(&access.host, &access.scope, None).await?;
        let mut response = self.send_with(access, call, &grant).await?;
        for renewal in [Renewal::Shared, Renewal::Own] {
            if response.status() != StatusCode::UNAUTHORIZED || response.url().origin() != base.origin() {
                break;
            }
            let refused = Refused { grant: &grant, challenge: Challenge::read(response.headers()) };
            let renewed = match renewal {
                Renewal::Shared => self.grant(&access.host, &access.scope, Some(refused)).await?,
                Renewal::Own => self.own_grant(&access.host, &access.scope, refused).await?,
            };
            let is_new = renewed.header.is_some() && renewed.header != grant.header;
            grant = renewed;
            if !is_new {
                break;
            }
            response = self.send_with(access, call, &grant).await?;
        }
        if is_refused(response.status()) {
            let scopes = access.scope.texts();
            return Err(self
                .refused(&access.host, &access.task, response, Used { grant: &grant, scopes: &scopes })
                .await);
        }
        Ok(response)
    }

    /// Sends a request, and follows redirects. Credentials are sent only to the host itself.
    async fn send_with(&self, access: &Access, call: &Call<'_>, grant: &Grant) -> Result<Response, RegistryError> {
        let reached = self.reach(&access.host).await?;
        let mut url = call.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            let client = if call.body.is_some() { &reached.clients.sender } else { &reached.clients.ordinary };
            let mut request = client.request(call.method.clone(), url.clone()).headers(call.headers.clone());
            if let Some(header) = grant.header.as_ref().filter(|_| url.origin() == reached.base.origin()) {
                request = request.header(AUTHORIZATION, header.clone());
            }
            let limit = self.settings.read_timeout;
            let response = match call.body {
                Some(make) => {
                    let progress = Progress::begin();
                    let sent = request.body(make(progress.clone())?).send();
                    let idle = |_| RegistryError::Idle { task: access.task.clone(), limit };
                    idle::unless(sent, &progress, limit).await.map_err(idle)?
                }
                None => request.send().await,
            };
            let response =
                response.map_err(|source| RegistryError::network(&access.task, &access.host.name, source))?;
            // For requests without a body, the library has followed all redirects. The library sends no credentials to
            // another origin.
            let is_redirect =
                matches!(response.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT);
            if !is_redirect || call.body.is_none() {
                return Ok(response);
            }
            url = next_address(&access.task, &response)?;
        }
        Err(RegistryError::NoAddress { task: access.task.clone() })
    }

    /// Returns the failure if a body could not be read.
    pub(super) fn unread(&self, task: &Task, max_bytes: u64, error: BodyError) -> RegistryError {
        let task = task.clone();
        match error {
            BodyError::Network(source) => RegistryError::network(&task, "", source),
            BodyError::TooSlow { source, .. } => RegistryError::TooSlow { task, source },
            _ => RegistryError::TooLarge { task, max_bytes },
        }
    }

    /// Returns the failure if a request was refused for lack of permission.
    pub(super) async fn refused(&self, host: &Host, task: &Task, response: Response, used: Used<'_>) -> RegistryError {
        let Used { grant, scopes } = used;
        let is_elsewhere = match (self.reach(host).await, task) {
            (Ok(reached), task) if !matches!(task, Task::Authorize { .. }) => {
                response.url().origin() != reached.base.origin()
            }
            _ => false,
        };
        let answer = self.answer(&host.name, task, response, &grant.secrets()).await;
        let tried = match is_elsewhere {
            true => Tried::Redirected { host: answer.host.clone() },
            false => grant.found.tried(&host.name),
        };
        let scope = if scopes.is_empty() { "registry".to_owned() } else { scopes.join(" ") };
        RegistryError::Refused { answer, tried, scope }
    }

    /// Returns the failure that a response reports. `secrets` are removed from its message.
    pub(super) async fn failure(
        &self,
        registry: &str,
        task: &Task,
        response: Response,
        secrets: &[String],
    ) -> RegistryError {
        let limits = [rate(response.headers(), "ratelimit-limit"), rate(response.headers(), "ratelimit-remaining")];
        let answer = self.answer(registry, task, response, secrets).await;
        if answer.status != StatusCode::TOO_MANY_REQUESTS {
            return RegistryError::Status(answer);
        }
        let [limit, left] = limits;
        let is_used_up = left.is_some_and(|left| left.pulls == 0 && left.window_secs > 60) && answer.pause.is_none();
        RegistryError::RateLimited { answer, limit, is_used_up }
    }

    /// Returns the failure of a request to a host, if the status of the response is unexpected.
    pub(super) async fn unexpected(&self, access: &Access, response: Response) -> RegistryError {
        let grant = self.grant(&access.host, &access.scope, None).await.unwrap_or_default();
        self.failure(&access.host.name, &access.task, response, &grant.secrets()).await
    }

    async fn answer(&self, registry: &str, task: &Task, response: Response, secrets: &[String]) -> Box<Answer> {
        let (status, pause) = (response.status(), pause(response.headers()));
        let host = match (response.url().host_str().unwrap_or_default(), response.url().port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_owned(),
        };
        // If the body cannot be read, the status is enough. The limit is necessary because the client that sends
        // bodies has none.
        let body = timeout(self.settings.read_timeout, self.read(task, response, MAX_ERROR_BYTES)).await;
        let body = body.ok().and_then(Result::ok).unwrap_or_default();
        let message = message(&body, secrets);
        Box::new(Answer { task: task.clone(), registry: registry.to_owned(), host, status, message, pause })
    }
}

/// Returns the URL for the next request, from the header `Location`.
pub(super) fn next_address(task: &Task, response: &Response) -> Result<Url, RegistryError> {
    let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok());
    let url = location.and_then(|location| response.url().join(location).ok());
    let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    url.ok_or_else(|| RegistryError::NoAddress { task: task.clone() })
}

/// Returns the codes and messages in the body of a response, without secrets.
fn message(body: &[u8], secrets: &[String]) -> Option<String> {
    let Failures { errors, details } = serde_json::from_slice(body).ok()?;
    let each = errors.iter().map(|Failure { code, message }| match (code.is_empty(), message.is_empty()) {
        (false, false) => format!("{code}: {message}"),
        _ => format!("{code}{message}"),
    });
    let texts: Vec<String> = each.chain([details]).filter(|text| !text.is_empty()).collect();
    let mut text = texts.join("; ");
    for secret in secrets {
        text = text.replace(secret.as_str(), "***");
    }
    let text: String = text.chars().take(MAX_MESSAGE_CHARACTERS).collect();
    (!text.is_empty()).then_some(text)
}

/// Reads a header such as `100;w=21600`.
fn rate(headers: &HeaderMap, name: &str) -> Option<RateLimit> {
    let text = headers.get(name)?.to_str().ok()?;
    let (pulls, window) = text.split_once(";w=")?;
    Some(RateLimit { pulls: pulls.trim().parse().ok()?, window_secs: window.trim().parse().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_codes_of_the_registry_and_no_secret() {
        let body = br#"{"errors":[{"code":"DENIED","message":"no access for hunter2","detail":{"x":"hunter2"}},{"code":"UNKNOWN"}]}"#;
        assert_eq!(message(body, &["hunter2".to_owned()]).unwrap(), "DENIED: no access for ***; UNKNOWN");
        assert_eq!(message(br#"{"details":"wrong password"}"#, &[]).unwrap(), "wrong password");
        assert_eq!(message(b"<html>", &[]), None);
        assert_eq!(message(br#"{"errors":[]}"#, &[]), None);
    }
}
