//! The hosts of registries: the registry itself and its mirrors. Each has its own protocol, HTTP or HTTPS.

use std::sync::Arc;
use std::time::Duration;

use reqwest::{Client, StatusCode};
use tokio::sync::OnceCell;
use url::Url;

use crate::catalog::registries;
use crate::model::image_reference::ImageReference;
use crate::outside::http::{CONNECT_TIMEOUT, with_retries};
use crate::outside::registry::Registry;
use crate::outside::registry::challenge::Challenge;
use crate::outside::registry::error::{RegistryError, Task};

/// A host with the API of registries.
pub(super) struct Host {
    /// The name in the user's configuration, such as `docker.io` or `mirror.example:5000`.
    pub(super) name: String,
    /// For a mirror, the path before the names of repositories: `hub/`, or an empty text.
    prefix: String,
    /// This is set after the host has answered.
    reached: OnceCell<Reached>,
}

/// The clients for hosts of one kind.
#[derive(Clone)]
pub(super) struct HostClients {
    /// For requests without a body, and for small ones.
    pub(super) ordinary: Client,
    /// For requests whose body may take long. It has no timeout, so [`super::idle`] watches these requests.
    pub(super) sender: Client,
}

/// A host that has answered.
pub(super) struct Reached {
    /// `https://HOST/v2/`
    pub(super) base: Url,
    pub(super) clients: HostClients,
    /// The authentication that the host requires, if it requires one. It has no scope.
    pub(super) challenge: Option<Challenge>,
}

impl Host {
    /// Reads `[http[s]://]HOST[:PORT][/PREFIX]`.
    pub(super) fn new(place: &str) -> Self {
        let place = place.split_once("://").map_or(place, |(_, place)| place).trim_end_matches('/');
        let (name, prefix) = match place.split_once('/') {
            Some((name, prefix)) => (name, format!("{prefix}/")),
            None => (place, String::new()),
        };
        Self { name: name.to_owned(), prefix, reached: OnceCell::new() }
    }

    /// Returns the name of a repository on this host.
    pub(super) fn repository(&self, image: &ImageReference) -> String {
        format!("{}{}", self.prefix, image.repository)
    }
}

impl Registry {
    /// Returns the registry of an image as a host.
    pub(super) fn host(&self, image: &ImageReference) -> Arc<Host> {
        self.known_host(&image.registry)
    }

    /// Returns the hosts from which an image can be pulled: first the mirrors, then the registry itself.
    pub(super) fn sources(&self, image: &ImageReference) -> Vec<Arc<Host>> {
        let mirrors = self.settings.registries.mirrors.get(&image.registry);
        let places = mirrors.into_iter().flatten().chain([&image.registry]);
        places.map(|place| self.known_host(place)).collect()
    }

    pub(super) fn known_host(&self, place: &str) -> Arc<Host> {
        let mut hosts = self.hosts.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Arc::clone(hosts.entry(place.to_owned()).or_insert_with(|| Arc::new(Host::new(place))))
    }

    /// Connects to a host if this is the first use of it.
    pub(super) async fn reach<'a>(&self, host: &'a Host) -> Result<&'a Reached, RegistryError> {
        host.reached.get_or_try_init(|| with_retries(&*self.listener, || self.find_protocol(host))).await
    }

    /// Finds out whether a host supports TLS. A host without TLS is accepted only if [`Self::is_insecure`] allows it.
    async fn find_protocol(&self, host: &Host) -> Result<Reached, RegistryError> {
        let address = registries::host(&host.name);
        let is_insecure = self.is_insecure(&host.name);
        let clients = self.clients(is_insecure)?;
        let secure = self.ping(host, clients, &format!("https://{address}/v2/")).await;
        match secure {
            Err(RegistryError::Network { .. }) if is_insecure => {
                self.ping(host, clients, &format!("http://{address}/v2/")).await
            }
            outcome => outcome,
        }
    }

    /// Sends the first request (distribution-spec, "Determining Support").
    async fn ping(&self, host: &Host, clients: &HostClients, base: &str) -> Result<Reached, RegistryError> {
        let task = Task::Connect { registry: host.name.clone() };
        let Ok(base) = Url::parse(base) else { return Err(RegistryError::NoAddress { task }) };
        let response = clients.ordinary.get(base.clone()).send().await;
        let response = response.map_err(|source| RegistryError::network(&task, &host.name, source))?;
        // If another host answered after a redirect, its challenge is ignored, because the credentials belong to the
        // first host.
        let is_own = response.url().origin() == base.origin();
        let challenge = if is_own { Challenge::read(response.headers()) } else { None };
        // This request concerns no repository, so its scope is only an example or too much.
        let challenge = challenge.map(Challenge::without_scope);
        let status = response.status();
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
            return Err(self.failure(&host.name, &task, response, &[]).await);
        }
        Ok(Reached { base, clients: clients.clone(), challenge })
    }

    /// Returns whether a host may be used without TLS, or with a certificate that this machine does not trust. As in
    /// Docker, this is allowed for the addresses of this machine.
    pub(super) fn is_insecure(&self, name: &str) -> bool {
        registries::is_loopback(name) || self.settings.registries.insecure.iter().any(|insecure| insecure == name)
    }

    /// Returns the clients. They are created only once, so that requests share connections.
    fn clients(&self, is_insecure: bool) -> Result<&HostClients, RegistryError> {
        let cell = if is_insecure { &self.unverified } else { &self.verified };
        if let Some(clients) = cell.get() {
            return Ok(clients);
        }
        let source = &self.settings.clients;
        let create = |read: Option<Duration>| {
            let client = match is_insecure {
                true => source.unverified_client(CONNECT_TIMEOUT, read),
                false => source.client(CONNECT_TIMEOUT, read),
            };
            client.map_err(RegistryError::Setup)
        };
        let clients = HostClients { ordinary: create(Some(self.settings.read_timeout))?, sender: create(None)? };
        Ok(cell.get_or_init(|| clients))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_can_have_a_prefix() {
        let image: ImageReference = "tool".parse().unwrap();
        let table = [
            ("mirror.example", "mirror.example", "library/tool"),
            ("https://mirror.example:5000/", "mirror.example:5000", "library/tool"),
            ("mirror.example/hub/proxy", "mirror.example", "hub/proxy/library/tool"),
        ];
        for (place, name, repository) in table {
            let host = Host::new(place);
            assert_eq!((host.name.as_str(), host.repository(&image).as_str()), (name, repository));
        }
    }
}
