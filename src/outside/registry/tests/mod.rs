//! Tests of the client with a registry on loopback that can misbehave.

mod access;
mod places;
mod pull;
mod push;
mod referrers;

use std::sync::{Arc, Mutex};

use testkit::registry::{OCI_MANIFEST, RegistryServer};

use super::*;
use crate::model::digest::Digest;
use crate::model::world_settings::RegistryLogins;
use crate::outside::http::{Bounds, Pace};

/// Collects all events as text.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Listener for Heard {
    fn hear(&self, event: Event) {
        self.0.lock().unwrap().push(format!("{event:?}"));
    }
}

/// A registry, and a client for it.
struct Bench {
    server: RegistryServer,
    registry: Registry,
    heard: Arc<Heard>,
}

const USER: &str = "me";
const PASSWORD: &str = "p4ss:w0rd";

impl Bench {
    /// A client without credentials.
    fn new(server: testkit::Registry) -> Self {
        Self::with(server, RegistrySettings::default())
    }

    /// A client with the right credentials.
    fn with_login(server: testkit::Registry) -> Self {
        let server = server.serve();
        let logins = logins(&server.host(), PASSWORD);
        Self::of(server, RegistrySettings { logins, ..RegistrySettings::default() })
    }

    fn with(server: testkit::Registry, registries: RegistrySettings) -> Self {
        Self::of(server.serve(), registries)
    }

    fn of(server: RegistryServer, registries: RegistrySettings) -> Self {
        Self::with_timeout(server, registries, READ_TIMEOUT)
    }

    fn with_timeout(server: RegistryServer, registries: RegistrySettings, read_timeout: Duration) -> Self {
        let pace = Pace { window: Duration::from_millis(500), least_bytes: 1000 };
        let clients = Clients::with_bounds(Bounds { pace, ..Bounds::default() });
        let settings = Settings { offline: false, jobs: 4, read_timeout, registries, clients };
        let heard = Arc::new(Heard::default());
        let listener: Arc<dyn Listener> = Arc::clone(&heard) as Arc<dyn Listener>;
        Self { server, registry: Registry::new(settings, listener), heard }
    }

    fn image(&self, name: &str) -> ImageReference {
        self.server.image(name).parse().unwrap()
    }

    fn push(&self, name: &str, bytes: &[u8]) -> Result<Sent, RegistryError> {
        self.push_from(name, bytes, &[])
    }

    fn push_from(&self, name: &str, bytes: &[u8], mount_from: &[&str]) -> Result<Sent, RegistryError> {
        let mount_from: Vec<String> = mount_from.iter().map(|from| (*from).to_owned()).collect();
        let open = || Ok(Box::new(io::Cursor::new(bytes.to_vec())) as Box<dyn Read + Send>);
        self.registry.push_blob(&self.image(name), &blob(bytes), &open, &mount_from)
    }

    fn fetch(&self, name: &str, bytes: &[u8]) -> Result<Vec<u8>, RegistryError> {
        let mut fetched = Vec::new();
        self.registry.fetch_blob(&self.image(name), &blob(bytes), &mut fetched).map(|()| fetched)
    }

    /// Puts a manifest into the registry.
    fn put_manifest(&self, name: &str, tag: &str) -> Document {
        let document = manifest();
        self.server.put_manifest(name, tag, OCI_MANIFEST, &document.bytes);
        document
    }

    /// Checks that neither the error nor any event contains a secret.
    fn assert_silent(&self, error: &dyn std::error::Error) {
        let mut shown = vec![format!("{error:?}")];
        let mut next = Some(error);
        while let Some(cause) = next {
            shown.push(cause.to_string());
            next = cause.source();
        }
        shown.extend(self.heard.0.lock().unwrap().iter().cloned());
        let secrets = self.server.secrets();
        assert!(secrets.iter().any(|secret| secret == PASSWORD));
        for secret in secrets {
            assert!(shown.iter().all(|text| !text.contains(&secret)), "`{secret}` is in {shown:#?}");
        }
    }
}

/// Returns credentials for `host` that come from environment variables.
fn logins(host: &str, password: &str) -> RegistryLogins {
    RegistryLogins {
        given: Some((USER.to_owned(), password.into())),
        destinations: vec![host.to_owned()],
        ..RegistryLogins::default()
    }
}

fn blob(bytes: &[u8]) -> BlobDescriptor {
    BlobDescriptor { digest: BlobDigest(Digest::of(bytes)), size_bytes: bytes.len() as u64 }
}

/// Returns bytes without a repeated pattern.
fn large(size: usize) -> Vec<u8> {
    (0..size).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

fn manifest() -> Document {
    let text = format!(
        r#"{{"schemaVersion":2,"mediaType":"{OCI_MANIFEST}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"{}","size":2}},"layers":[]}}"#,
        Digest::of(b"{}").prefixed()
    );
    Document::new(OCI_MANIFEST, text.into_bytes())
}

/// Returns an error with its causes.
fn told(error: &dyn std::error::Error) -> String {
    let cause = error.source().map(|cause| format!(": {}", told(cause)));
    format!("{error}{}", cause.unwrap_or_default())
}
