//! The state that all HTTP clients of a process share: the addresses of hosts, the limits for bodies, and the
//! certificates that the system trusts.
//!
//! Each name is looked up only once, even if many connections are opened at once. Some resolvers do not answer many
//! queries at once, and a lost query is repeated only after five seconds (resolv.conf(5)).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, ClientBuilder};
use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use tokio::sync::OnceCell;

use crate::outside::http::body::Bodies;
#[cfg(test)]
use crate::outside::http::body::Bounds;
use crate::outside::http::certificates::Certificates;

/// The addresses of a host. They are set after the host was looked up.
type Known = Arc<OnceCell<Vec<SocketAddr>>>;

/// The reason why a client cannot be created.
type SetupError = Box<dyn std::error::Error + Send + Sync>;

/// Creates the clients of a process, and holds their shared state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clients {
    names: Names,
    /// The limits for the bodies that the clients read.
    pub(crate) bodies: Bodies,
    /// The TLS configuration. It is created with the first client and then reused, so that all clients share the
    /// system's certificates.
    tls: Arc<Mutex<Option<ClientConfig>>>,
}

#[derive(Debug, Clone, Default)]
struct Names(Arc<Mutex<BTreeMap<String, Known>>>);

impl Resolve for Names {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_owned();
        let known = Arc::clone(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(host.clone()).or_default());
        Box::pin(async move {
            // A failure is not kept, so the next connection looks the name up again.
            let look_up = async || tokio::net::lookup_host((host.as_str(), 0)).await.map(Iterator::collect);
            let addresses: Vec<SocketAddr> = known.get_or_try_init(look_up).await?.clone();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}

impl Clients {
    /// Creates a value with the given limits.
    #[cfg(test)]
    pub(crate) fn with_bounds(bounds: Bounds) -> Self {
        Self { bodies: Bodies::new(bounds), ..Self::default() }
    }

    /// Sets the address of a host.
    #[cfg(test)]
    pub(crate) fn place(&self, host: &str, address: SocketAddr) {
        let known = Arc::new(OnceCell::new_with(Some(vec![address])));
        self.names.0.lock().unwrap_or_else(PoisonError::into_inner).insert(host.to_owned(), known);
    }

    /// Creates a client. The client trusts the system's certificates, or those in `SSL_CERT_FILE` if that is set. A
    /// client belongs to the runtime on which it is first used.
    ///
    /// `read` is the longest wait for a response, and for each part of its body. The HTTP library measures this time
    /// from the beginning of the request, even while it still sends the body. So a client that sends large bodies needs
    /// `None`, and another limit.
    pub(crate) fn client(&self, connect: Duration, read: impl Into<Option<Duration>>) -> Result<Client, SetupError> {
        Ok(self.builder(connect, read.into()).tls_backend_preconfigured(self.tls()?).build()?)
    }

    /// Creates a client that accepts every certificate. Such a client is for a registry that the user has marked as
    /// insecure.
    pub(crate) fn unverified_client(
        &self,
        connect: Duration,
        read: impl Into<Option<Duration>>,
    ) -> Result<Client, SetupError> {
        Ok(self.builder(connect, read.into()).tls_danger_accept_invalid_certs(true).build()?)
    }

    fn builder(&self, connect: Duration, read: Option<Duration>) -> ClientBuilder {
        let builder = Client::builder()
            .user_agent(concat!("lath/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(connect)
            // The words in header names begin with capital letters, as in `User-Agent`, because some old proxies
            // require that.
            .http1_title_case_headers()
            .dns_resolver(self.names.clone());
        match read {
            Some(read) => builder.read_timeout(read),
            None => builder,
        }
    }

    fn tls(&self) -> Result<ClientConfig, rustls::Error> {
        let mut known = self.tls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(config) = &*known {
            return Ok(config.clone());
        }
        let provider =
            CryptoProvider::get_default().map_or_else(|| Arc::new(aws_lc_rs::default_provider()), Arc::clone);
        let verifier = Certificates::new(Arc::clone(&provider));
        let mut config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            // In rustls, the method to set a verifier is called dangerous. The method is safe here, because the
            // verifier is rustls' own, with the system's roots.
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(known.insert(config).clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_name_is_looked_up_once_and_a_failure_is_not_kept() {
        let names = Names::default();
        for _ in 0..2 {
            let addresses = names.resolve("localhost".parse().unwrap()).await.unwrap();
            assert!(addresses.into_iter().all(|address| address.ip().is_loopback()));
        }
        let known = |host: &str| names.0.lock().unwrap()[host].initialized();
        assert!(names.resolve("no-such-host.invalid".parse().unwrap()).await.is_err());
        assert!(known("localhost") && !known("no-such-host.invalid"));
    }
}
