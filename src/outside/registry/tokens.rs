//! Authorization: the value of the header `Authorization` for the requests to a registry. Tokens are kept for each
//! access. They are renewed shortly before they expire, or if a host refuses them.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures::stream;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderValue};
use reqwest::{Body, RequestBuilder, Response};
use serde::Deserialize;
use tokio::sync::Mutex;
use url::Url;

use crate::outside::credentials::registries::Found;
use crate::outside::credentials::{Login, RegistryLogin};
use crate::outside::http::{is_refused, with_retries};
use crate::outside::registry::Registry;
use crate::outside::registry::challenge::Challenge;
use crate::outside::registry::error::{RegistryError, Task};
use crate::outside::registry::hosts::{Host, Reached};

/// The lifetime of a token in seconds, if its server does not send one (distribution, `docs/spec/auth/token.md`).
const DEFAULT_SECS: u64 = 60;
/// A token is renewed this long before it expires, so that it is still valid when the registry reads it.
const MARGIN: Duration = Duration::from_secs(5);
const MAX_TOKEN_BYTES: u64 = 1 << 20;
/// The name of this program for token servers (distribution, `docs/spec/auth/oauth.md`).
const CLIENT: &str = "lath";

/// The access that a request needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Scope {
    /// Empty for a login, which requests no access.
    pub(super) repository: String,
    pub(super) is_push: bool,
    /// The repository from which a blob is mounted.
    pub(super) mounted_from: Option<String>,
}

impl Scope {
    /// Returns all scopes as texts, such as `repository:team/tool:pull,push`.
    pub(super) fn texts(&self) -> Vec<String> {
        let actions = if self.is_push { "pull,push" } else { "pull" };
        let own = (!self.repository.is_empty()).then(|| format!("repository:{}:{actions}", self.repository));
        let other = self.mounted_from.iter().map(|from| format!("repository:{from}:pull"));
        own.into_iter().chain(other).collect()
    }
}

/// The authorization of requests: the value of `Authorization`, and the source of the credentials.
#[derive(Clone, Default)]
pub(super) struct Grant {
    pub(super) header: Option<HeaderValue>,
    pub(super) found: Found,
    until: Option<Instant>,
}

impl Grant {
    fn is_valid(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }

    /// Returns the texts that must not be shown.
    pub(super) fn secrets(&self) -> Vec<String> {
        let header = self.header.as_ref().and_then(|value| value.to_str().ok());
        let value = header.and_then(|value| value.split_once(' ')).map(|(_, value)| value.to_owned());
        let login = match &self.found.login {
            Some(RegistryLogin::Password(login)) => vec![login.password.clone(), pair(login)],
            Some(RegistryLogin::Identity(token) | RegistryLogin::Bearer(token)) => vec![token.exposed().to_owned()],
            None => Vec::new(),
        };
        value.into_iter().chain(login).filter(|secret| !secret.is_empty()).collect()
    }
}

/// The grant that a request used, and the scopes for which it was issued.
#[derive(Clone, Copy)]
pub(super) struct Used<'a> {
    pub(super) grant: &'a Grant,
    pub(super) scopes: &'a [String],
}

/// The grants for each host and each access.
#[derive(Default)]
pub(super) struct Grants(Mutex<BTreeMap<(String, Vec<String>), Grant>>);

/// A grant that the host has refused, and the host's new challenge.
pub(super) struct Refused<'a> {
    pub(super) grant: &'a Grant,
    pub(super) challenge: Option<Challenge>,
}

/// The response of a token server.
#[derive(Deserialize)]
struct Token {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

/// A request for a token.
struct Errand<'a> {
    host: &'a Host,
    reached: &'a Reached,
    realm: &'a Url,
    service: Option<&'a str>,
    scopes: &'a [String],
}

impl Registry {
    /// Returns the grant for an access. `refused` is a grant that the host no longer accepts.
    pub(super) async fn grant(
        &self,
        host: &Host,
        scope: &Scope,
        refused: Option<Refused<'_>>,
    ) -> Result<Grant, RegistryError> {
        let reached = self.reach(host).await?;
        let key = (host.name.clone(), scope.texts());
        // The grants are locked while a token is fetched, so that each token is fetched only once.
        let mut grants = self.grants.0.lock().await;
        let known = grants.get(&key).filter(|grant| grant.is_valid());
        if let Some(known) =
            known.filter(|known| refused.as_ref().is_none_or(|refused| refused.grant.header != known.header))
        {
            return Ok(known.clone());
        }
        let challenge = refused.and_then(|refused| refused.challenge).or_else(|| reached.challenge.clone());
        let found = self.login(host, &scope.repository).await?;
        let grant = self.obtain(host, challenge, found, key.1.clone()).await?;
        grants.insert(key, grant.clone());
        Ok(grant)
    }

    /// Returns a new grant that no other request uses. This helps if a token is valid for only a few requests, because
    /// other requests may use up a shared token.
    pub(super) async fn own_grant(
        &self,
        host: &Host,
        scope: &Scope,
        refused: Refused<'_>,
    ) -> Result<Grant, RegistryError> {
        let challenge = refused.challenge.or(self.reach(host).await?.challenge.clone());
        let found = self.login(host, &scope.repository).await?;
        self.obtain(host, challenge, found, scope.texts()).await
    }

    /// Finds the credentials for a repository of a host.
    async fn login(&self, host: &Host, repository: &str) -> Result<Found, RegistryError> {
        let (name, repository) = (host.name.clone(), repository.to_owned());
        let credentials = Arc::clone(&self.credentials);
        let work = tokio::task::spawn_blocking(move || credentials.of(&name, &repository));
        work.await.map_err(|error| RegistryError::Setup(error.into()))
    }

    /// Answers a challenge with credentials.
    pub(super) async fn obtain(
        &self,
        host: &Host,
        challenge: Option<Challenge>,
        found: Found,
        mut scopes: Vec<String>,
    ) -> Result<Grant, RegistryError> {
        let permanent = |header| Grant { header, found: found.clone(), until: None };
        let (realm, service, asked) = match (challenge, &found.login) {
            (None, _) => return Ok(permanent(None)),
            (Some(_), Some(RegistryLogin::Bearer(token))) => return Ok(permanent(bearer(token.exposed()))),
            (Some(Challenge::Basic), Some(RegistryLogin::Password(login))) => return Ok(permanent(basic(login))),
            (Some(Challenge::Basic), _) => return Ok(permanent(None)),
            (Some(Challenge::Bearer { realm, service, scope }), _) => (realm, service, scope),
        };
        // The registry may require another scope than expected, for example if it has the repository under another
        // name.
        for scope in asked.iter().flat_map(|scope| scope.split(' ')).filter(|scope| !scope.is_empty()) {
            if !scopes.iter().any(|known| includes(known, scope)) {
                scopes.push(scope.to_owned());
            }
        }
        let reached = self.reach(host).await?;
        let service = service.as_deref();
        let errand = Errand { host, reached, realm: &realm, service, scopes: &scopes };
        let token = with_retries(&*self.listener, || self.fetch_token(&errand, &found)).await?;
        let text = token.token.or(token.access_token).filter(|token| !token.is_empty());
        let header = text.as_deref().and_then(bearer);
        let task = || Task::Authorize { registry: host.name.clone() };
        let header = header.ok_or_else(|| RegistryError::Token { task: task() })?;
        let valid = Duration::from_secs(token.expires_in.unwrap_or(DEFAULT_SECS).clamp(1, 86_400));
        // If the lifetime is short, the token is renewed after half of it.
        let until = Instant::now() + valid.saturating_sub(MARGIN).max(valid / 2);
        Ok(Grant { header: Some(header), found, until: Some(until) })
    }

    async fn fetch_token(&self, errand: &Errand<'_>, found: &Found) -> Result<Token, RegistryError> {
        let Errand { host, reached, realm, .. } = *errand;
        let task = Task::Authorize { registry: host.name.clone() };
        if realm.scheme() != "https" && reached.base.scheme() == "https" && !self.is_insecure(&host.name) {
            let realm = realm.host_str().unwrap_or_default().to_owned();
            return Err(RegistryError::PlainRealm { task, realm });
        }
        let request = errand.request(found);
        let response = request.send().await.map_err(|source| RegistryError::network(&task, &host.name, source))?;
        let grant = Grant { found: found.clone(), ..Grant::default() };
        if is_refused(response.status()) {
            return Err(self.refused(host, &task, response, Used { grant: &grant, scopes: errand.scopes }).await);
        }
        if !response.status().is_success() {
            return Err(self.failure(&host.name, &task, response, &grant.secrets()).await);
        }
        let bytes = self.read(&task, response, MAX_TOKEN_BYTES).await?;
        serde_json::from_slice(&bytes).map_err(|_| RegistryError::Token { task })
    }

    /// Reads a body of at most `max_bytes`.
    pub(super) async fn read(&self, task: &Task, response: Response, max_bytes: u64) -> Result<Vec<u8>, RegistryError> {
        let mut bytes = Vec::new();
        let mut body = self.settings.clients.bodies.of(response, max_bytes);
        while let Some(chunk) = body.next().await.map_err(|error| self.unread(task, max_bytes, error))? {
            bytes.extend_from_slice(&chunk);
        }
        Ok(bytes)
    }
}

impl Errand<'_> {
    /// Creates the request for a token. With an identity token it follows `docs/spec/auth/oauth.md`. With a name and a
    /// password, or without credentials, it follows `docs/spec/auth/token.md`.
    fn request(&self, found: &Found) -> RequestBuilder {
        let mut url = self.realm.clone();
        if let Some(RegistryLogin::Identity(token)) = &found.login {
            let mut form = url::form_urlencoded::Serializer::new(String::new());
            form.append_pair("grant_type", "refresh_token").append_pair("client_id", CLIENT);
            form.append_pair("service", self.service.unwrap_or_default());
            form.append_pair("scope", &self.scopes.join(" ")).append_pair("refresh_token", token.exposed());
            let form = form.finish();
            let request = self.reached.clients.ordinary.post(url).header(CONTENT_LENGTH, form.len());
            // The body is a stream, because the HTTP library cannot send a stream twice. After a redirect, the library
            // would send a text again, to the other server.
            let once = stream::once(async move { Ok::<_, io::Error>(form) });
            return request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(Body::wrap_stream(once));
        }
        {
            let mut query = url.query_pairs_mut();
            if let Some(service) = self.service {
                query.append_pair("service", service);
            }
            for scope in self.scopes {
                query.append_pair("scope", scope);
            }
            if let Some(RegistryLogin::Password(login)) = &found.login {
                query.append_pair("account", &login.user);
            }
        }
        let request = self.reached.clients.ordinary.get(url);
        match &found.login {
            Some(RegistryLogin::Password(login)) => request.basic_auth(&login.user, Some(&login.password)),
            _ => request,
        }
    }
}

/// Whether the scope `wider` includes `scope`. This is so if both have the same resource, and `wider` has all actions
/// of `scope`.
fn includes(wider: &str, scope: &str) -> bool {
    match (wider.rsplit_once(':'), scope.rsplit_once(':')) {
        (Some((resource, actions)), Some((other, wanted))) => {
            resource == other && wanted.split(',').all(|action| actions.split(',').any(|known| known == action))
        }
        _ => wider == scope,
    }
}

fn bearer(token: &str) -> Option<HeaderValue> {
    sensitive(&format!("Bearer {token}"))
}

fn basic(login: &Login) -> Option<HeaderValue> {
    sensitive(&format!("Basic {}", pair(login)))
}

/// Returns a name and a password in the form of RFC 7617.
fn pair(login: &Login) -> String {
    STANDARD.encode(format!("{}:{}", login.user, login.password))
}

/// Returns a value for a header. Debug output does not show this value.
fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_have_the_form_of_docker() {
        let scope = Scope { repository: "a/b".to_owned(), is_push: true, mounted_from: Some("c".to_owned()) };
        assert_eq!(scope.texts(), ["repository:a/b:pull,push", "repository:c:pull"]);
        let pull = Scope { repository: "a".to_owned(), ..Scope::default() };
        assert_eq!(pull.texts(), ["repository:a:pull"]);
        assert!(Scope::default().texts().is_empty());
        assert!(includes("repository:a:pull,push", "repository:a:push"));
        assert!(!includes("repository:a:pull", "repository:a:push"));
        assert!(!includes("repository:ab:pull", "repository:a:pull"));
    }
}
