//! A registry of container images on loopback (OCI distribution specification 1.1), which can misbehave on request.
//!
//! ```no_run
//! use testkit::registry::{Fault, Operation};
//!
//! let registry = testkit::Registry::new().tls().bearer("me", "password").serve();
//! registry.fault(Fault::on(Operation::PutManifest).status(503));
//! ```
//!
//! It is strict: it refuses wrong digests, and manifests whose blobs are missing or have another size. It records each
//! request without its secrets. So a test can count bytes, and check that nothing is sent twice.

mod auth;
mod blobs;
mod fault;
mod http;
mod manifests;
mod operation;
mod serve;
mod storage;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use auth::{Scheme, Tokens, User};
pub use fault::Fault;
pub use manifests::{DOCKER_LIST, DOCKER_MANIFEST, DOCKER_SCHEMA_1, OCI_INDEX, OCI_MANIFEST};
pub use operation::Operation;
use serve::Doors;
use storage::Storage;
pub use storage::{StoredManifest, digest};

use crate::tls::Certificates;

/// Builds a registry: `Registry::new().basic("me", "password").serve()`.
#[derive(Debug, Clone)]
pub struct Registry {
    settings: Settings,
}

#[derive(Debug, Clone)]
struct Settings {
    address: String,
    tls: Option<Certificates>,
    scheme: Scheme,
    users: Vec<User>,
    anonymous_pulls: bool,
    has_token_server: bool,
    token_uses: u32,
    token_fields: Vec<&'static str>,
    placeholder_scope: &'static str,
    mounts: bool,
    chunks: bool,
    single_posts: bool,
    least_chunk: Option<u64>,
    most_ranged_chunk: Option<u64>,
    ranges: bool,
    deletes: bool,
    referrers: bool,
    absolute_locations: bool,
    forgets_cut_uploads: bool,
    checks_order: bool,
    checks_manifests: bool,
    tags_page: usize,
    /// The maximum number of stored bytes, and the status of the response to a request that exceeds it.
    quota: Option<(u64, u16)>,
}

impl Default for Registry {
    fn default() -> Self {
        Self::new()
    }
}

impl Registry {
    /// Creates an empty registry without TLS. It requires no credentials.
    pub fn new() -> Self {
        let settings = Settings {
            address: "127.0.0.1".to_owned(),
            tls: None,
            scheme: Scheme::Open,
            users: Vec::new(),
            anonymous_pulls: false,
            has_token_server: false,
            token_uses: u32::MAX,
            token_fields: vec!["token", "access_token"],
            placeholder_scope: "",
            mounts: true,
            chunks: true,
            single_posts: true,
            least_chunk: None,
            most_ranged_chunk: None,
            ranges: true,
            deletes: true,
            referrers: true,
            absolute_locations: false,
            forgets_cut_uploads: false,
            checks_order: true,
            checks_manifests: true,
            tags_page: 100,
            quota: None,
        };
        Self { settings }
    }

    /// Listens on another loopback address, such as 127.0.0.2. For a client, that is another host.
    pub fn address(self, address: &str) -> Self {
        self.with(|settings| address.clone_into(&mut settings.address))
    }

    /// Uses TLS, with a certificate of a private authority.
    pub fn tls(self) -> Self {
        self.tls_with(&Certificates::for_loopback())
    }

    /// Uses TLS with this certificate, so that several registries can have the same authority.
    pub fn tls_with(self, certificates: &Certificates) -> Self {
        self.with(|settings| settings.tls = Some(certificates.clone()))
    }

    /// Requires a user and a password in each request. This can be called for several users.
    pub fn basic(self, user: &str, password: &str) -> Self {
        self.with(|settings| settings.scheme = Scheme::Basic).user(user, password, true)
    }

    /// Requires a token. The registry issues it for a user and a password.
    pub fn bearer(self, user: &str, password: &str) -> Self {
        self.with(|settings| settings.scheme = Scheme::Bearer).user(user, password, true)
    }

    /// Adds a user who cannot push.
    pub fn reader(self, user: &str, password: &str) -> Self {
        self.user(user, password, false)
    }

    fn user(self, name: &str, password: &str, can_push: bool) -> Self {
        let user = User { name: name.to_owned(), password: password.to_owned(), can_push };
        self.with(|settings| settings.users.push(user))
    }

    /// Issues tokens for pulls even to clients without a password.
    pub fn anonymous_pulls(self) -> Self {
        self.with(|settings| settings.anonymous_pulls = true)
    }

    /// Uses another port for the token server, because a public registry has another host for it.
    pub fn tokens_elsewhere(self) -> Self {
        self.with(|settings| settings.has_token_server = true)
    }

    /// Makes each token valid for only this number of requests.
    pub fn tokens_expire_after(self, requests: u32) -> Self {
        self.with(|settings| settings.token_uses = requests)
    }

    /// Sends only this field in the response with a token: `token` or `access_token`.
    pub fn token_field(self, name: &'static str) -> Self {
        self.with(|settings| settings.token_fields = vec![name])
    }

    /// Like the registry of GitHub: the challenge for `/v2/` contains this scope, which is only an example.
    pub fn placeholder_scope(self, scope: &'static str) -> Self {
        self.with(|settings| settings.placeholder_scope = scope)
    }

    pub fn refuses_mounts(self) -> Self {
        self.with(|settings| settings.mounts = false)
    }

    /// Refuses `PATCH`, so that a blob must be sent in one request.
    pub fn monolithic_only(self) -> Self {
        self.with(|settings| settings.chunks = false)
    }

    /// Refuses a blob in the `POST` that starts an upload.
    pub fn without_single_posts(self) -> Self {
        self.with(|settings| settings.single_posts = false)
    }

    /// Sends `OCI-Chunk-Min-Length`. If a chunk was shorter, the next chunk is refused.
    pub fn least_chunk(self, bytes: u64) -> Self {
        self.with(|settings| settings.least_chunk = Some(bytes))
    }

    /// Like the registry of GitHub: responds with 416 to a chunk that has `Content-Range` and more than this number of
    /// bytes.
    pub fn most_ranged_chunk(self, bytes: u64) -> Self {
        self.with(|settings| settings.most_ranged_chunk = Some(bytes))
    }

    /// Ignores `Range` for blobs.
    pub fn without_ranges(self) -> Self {
        self.with(|settings| settings.ranges = false)
    }

    /// Responds with 405 to every `DELETE` of a manifest or blob.
    pub fn without_deletes(self) -> Self {
        self.with(|settings| settings.deletes = false)
    }

    /// Behaves like version 1.0, which has no list of referrers.
    pub fn without_referrers(self) -> Self {
        self.with(|settings| settings.referrers = false)
    }

    /// Sends `Location` as a URL that includes the host.
    pub fn absolute_locations(self) -> Self {
        self.with(|settings| settings.absolute_locations = true)
    }

    /// Like Docker's registry 2: an upload has only one valid URL, and each response contains a new one. If a
    /// connection breaks, the client gets no response, so it cannot continue the upload.
    pub fn forgets_cut_uploads(self) -> Self {
        self.with(|settings| settings.forgets_cut_uploads = true)
    }

    /// Like Docker's registry 2: adds the bytes of a chunk, and ignores `Content-Range`.
    pub fn ignores_content_range(self) -> Self {
        self.with(|settings| settings.checks_order = false)
    }

    /// Accepts manifests whose blobs are missing, and indexes whose manifests are missing.
    pub fn accepts_incomplete_images(self) -> Self {
        self.with(|settings| settings.checks_manifests = false)
    }

    /// Lists at most this number of tags in one response.
    pub fn tags_page(self, most: usize) -> Self {
        self.with(|settings| settings.tags_page = most)
    }

    /// Stores at most this number of bytes, and then responds with 507.
    pub fn full_after(self, bytes: u64) -> Self {
        self.full_after_with(bytes, 507)
    }

    /// Stores at most this number of bytes, and then responds with `status`.
    pub fn full_after_with(self, bytes: u64, status: u16) -> Self {
        self.with(|settings| settings.quota = Some((bytes, status)))
    }

    fn with(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut self.settings);
        self
    }

    /// Starts the server on a free port.
    pub fn serve(self) -> RegistryServer {
        RegistryServer { shared: serve::start(self.settings) }
    }
}

/// A recorded request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    pub operation: Operation,
    pub method: String,
    /// The path without the query, with percent signs decoded.
    pub path: String,
    pub query: Vec<(String, String)>,
    /// The headers, with names in lower case. Credentials are removed, and only their scheme is kept.
    pub headers: BTreeMap<String, String>,
    pub repository: String,
    /// A tag, a digest, or the ID of an upload.
    pub reference: String,
    /// The number of bytes of the request's body that arrived.
    pub received_bytes: u64,
    /// The size of the response's body. If there was a fault, the number of sent bytes may differ.
    pub sent_bytes: u64,
    /// The status of the response. It is 0 if there was no response.
    pub status: u16,
}

#[derive(Debug)]
struct Shared {
    settings: Settings,
    address: SocketAddr,
    token_address: Option<SocketAddr>,
    storage: Mutex<Storage>,
    tokens: Mutex<Tokens>,
    faults: Mutex<Vec<Fault>>,
    exchanges: Mutex<Vec<Exchange>>,
    doors: Mutex<Doors>,
    is_open: AtomicBool,
    last_id: AtomicU64,
}

impl Shared {
    /// Returns the URL of `path`, which begins with a slash.
    fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme(), self.address)
    }

    fn scheme(&self) -> &'static str {
        if self.settings.tls.is_some() { "https" } else { "http" }
    }

    fn token_url(&self) -> String {
        format!("{}://{}/token", self.scheme(), self.token_address.unwrap_or(self.address))
    }

    fn next_id(&self) -> String {
        format!("00000000-0000-4000-8000-{:012}", self.last_id.fetch_add(1, Ordering::Relaxed))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The running registry. The server stops when this value is dropped.
#[derive(Debug)]
pub struct RegistryServer {
    shared: Arc<Shared>,
}

impl RegistryServer {
    /// Returns the host and port in the form that image names contain, such as `127.0.0.1:4711`.
    pub fn host(&self) -> String {
        self.shared.address.to_string()
    }

    /// Returns the full name of an image in this registry.
    pub fn image(&self, name: &str) -> String {
        format!("{}/{name}", self.host())
    }

    /// Returns the URL of `path`, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        self.shared.url(path)
    }

    /// Returns the host and the port of the token server.
    pub fn token_host(&self) -> String {
        self.shared.token_address.unwrap_or(self.shared.address).to_string()
    }

    /// Returns the certificate of the authority, if the registry uses TLS.
    pub fn authority_pem(&self) -> Option<&str> {
        self.shared.settings.tls.as_ref().map(|certificates| certificates.authority_pem.as_str())
    }

    /// Adds a fault. Faults are tried in the order in which they were added.
    pub fn fault(&self, fault: Fault) {
        lock(&self.shared.faults).push(fault);
    }

    pub fn forget_faults(&self) {
        lock(&self.shared.faults).clear();
    }

    /// Closes the port and every connection, even during a request. The contents of the registry are kept.
    pub fn stop(&self) {
        serve::stop(&self.shared);
    }

    /// Opens the same port again.
    pub fn start_again(&self) {
        serve::open(&self.shared);
    }

    /// Makes all tokens invalid.
    pub fn expire_tokens(&self) {
        lock(&self.shared.tokens).expire();
    }

    /// Returns all requests until now, in the order of their responses.
    pub fn exchanges(&self) -> Vec<Exchange> {
        lock(&self.shared.exchanges).clone()
    }

    /// Returns the requests of one kind.
    pub fn exchanges_of(&self, operation: Operation) -> Vec<Exchange> {
        self.exchanges().into_iter().filter(|exchange| exchange.operation == operation).collect()
    }

    /// Returns the number of requests of one kind.
    pub fn count(&self, operation: Operation) -> usize {
        self.exchanges_of(operation).len()
    }

    pub fn forget_exchanges(&self) {
        lock(&self.shared.exchanges).clear();
    }

    /// Returns the number of bytes in the bodies of all requests.
    pub fn received_bytes(&self) -> u64 {
        self.exchanges().iter().map(|exchange| exchange.received_bytes).sum()
    }

    /// Returns the bytes of all blobs, each counted once.
    pub fn stored_bytes(&self) -> u64 {
        lock(&self.shared.storage).stored_bytes()
    }

    /// Stores a blob. Returns its digest.
    pub fn put_blob(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = digest(bytes);
        self.put_blob_as(repository, &digest, bytes);
        digest
    }

    /// Stores any bytes with this digest, so that the registry serves wrong bytes.
    pub fn put_blob_as(&self, repository: &str, digest: &str, bytes: &[u8]) {
        lock(&self.shared.storage).add_blob(repository, digest, bytes);
    }

    /// Stores a manifest without any check. If `tag` is not empty, the manifest gets this tag. Returns the digest of
    /// the manifest.
    pub fn put_manifest(&self, repository: &str, tag: &str, media_type: &str, bytes: &[u8]) -> String {
        let digest = digest(bytes);
        let manifest = StoredManifest { media_type: media_type.to_owned(), bytes: bytes.into() };
        let mut storage = lock(&self.shared.storage);
        let repository = storage.repository(repository);
        repository.manifests.insert(digest.clone(), manifest);
        if !tag.is_empty() {
            repository.tags.insert(tag.to_owned(), digest.clone());
        }
        digest
    }

    /// Returns a manifest by its tag or digest.
    pub fn manifest(&self, repository: &str, reference: &str) -> Option<StoredManifest> {
        let storage = lock(&self.shared.storage);
        storage.repositories.get(repository)?.manifest(reference).map(|(_, manifest)| manifest.clone())
    }

    /// Returns the tags of a repository with their digests.
    pub fn tags(&self, repository: &str) -> BTreeMap<String, String> {
        let storage = lock(&self.shared.storage);
        storage.repositories.get(repository).map(|found| found.tags.clone()).unwrap_or_default()
    }

    /// Returns the digests of all manifests and indexes in a repository.
    pub fn manifests(&self, repository: &str) -> Vec<String> {
        let storage = lock(&self.shared.storage);
        storage.repositories.get(repository).map(|found| found.manifests.keys().cloned().collect()).unwrap_or_default()
    }

    /// Returns a blob of a repository.
    pub fn blob(&self, repository: &str, digest: &str) -> Option<Arc<[u8]>> {
        lock(&self.shared.storage).blob(repository, digest)
    }

    /// Returns the names of all repositories.
    pub fn repositories(&self) -> Vec<String> {
        lock(&self.shared.storage).repositories.keys().cloned().collect()
    }

    /// Returns the number of uploads that were started but neither finished nor cancelled.
    pub fn unfinished_uploads(&self) -> usize {
        lock(&self.shared.storage).uploads.len()
    }

    /// Returns every text that must not appear in an output, a log, a cache or an image. They are passwords and tokens.
    /// Passwords are also included in base64.
    pub fn secrets(&self) -> Vec<String> {
        self.shared.secrets()
    }
}

impl Drop for RegistryServer {
    fn drop(&mut self) {
        self.stop();
    }
}
