//! Checks the requirements of the OCI distribution specification 1.1 as cases, which can be run with any registry.
//!
//! A case fails with a panic. If a feature is optional, the specification allows several responses. The case accepts
//! each of these responses, and then checks that later responses are consistent with the accepted one.

mod discovery;
mod management;
mod pull;
mod push;

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::client::{Answer, Client};
use crate::registry::{OCI_INDEX, OCI_MANIFEST, digest};

/// One requirement of the specification.
#[derive(Clone, Copy)]
pub struct Case {
    /// The name, which is a sentence such as `an_unknown_blob_is_not_found`.
    pub name: &'static str,
    pub run: fn(&Target),
}

/// Creates a case for each function, with the name of the function.
macro_rules! cases_of {
    ($($case:ident),* $(,)?) => {
        vec![$($crate::conformance::Case { name: stringify!($case), run: $case }),*]
    };
}
use cases_of;

/// Returns all cases: pull, push, content discovery and content management.
pub fn cases() -> Vec<Case> {
    [pull::cases(), push::cases(), discovery::cases(), management::cases()].concat()
}

/// The registry under test.
#[derive(Debug)]
pub struct Target {
    client: Client,
    /// A counter for names that were not used before.
    last_name: AtomicU32,
}

/// The error codes that the specification allows.
const CODES: [&str; 14] = [
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "UNAUTHORIZED",
    "DENIED",
    "UNSUPPORTED",
    "TOOMANYREQUESTS",
];

const LAYER_TYPE: &str = "application/vnd.oci.image.layer.v1.tar";
const CONFIG_TYPE: &str = "application/vnd.oci.image.config.v1+json";

impl Target {
    /// Creates a target. The registry must be empty.
    pub fn new(client: Client) -> Self {
        Self { client, last_name: AtomicU32::new(0) }
    }

    /// Returns the name of a repository that does not exist.
    fn repository(&self) -> String {
        format!("conformance/case-{}", self.last_name.fetch_add(1, Ordering::Relaxed))
    }

    fn send(&self, method: &str, target: &str) -> Answer {
        self.send_with(method, target, &[], b"")
    }

    fn send_with(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        self.client.send(method, target, headers, body).unwrap_or_else(|error| panic!("{method} {target}: {error}"))
    }

    /// Starts an upload. Returns its URL.
    fn start_upload(&self, repository: &str) -> String {
        let started = self.send("POST", &format!("/v2/{repository}/blobs/uploads/"));
        assert_eq!(started.status, 202, "{started:?}");
        location(&started)
    }

    /// Sends a chunk that begins at `first`.
    fn send_chunk(&self, upload: &str, first: usize, bytes: &[u8]) -> Answer {
        let range = format!("{first}-{}", first + bytes.len() - 1);
        let headers = [("Content-Range", range.as_str()), ("Content-Type", "application/octet-stream")];
        self.send_with("PATCH", upload, &headers, bytes)
    }

    /// Completes an upload. Its last bytes may be empty.
    fn finish_upload(&self, upload: &str, digest: &str, bytes: &[u8]) -> Answer {
        let headers = [("Content-Type", "application/octet-stream")];
        self.send_with("PUT", &with_parameter(upload, "digest", digest), &headers, bytes)
    }

    /// Pushes a blob with the method that every registry supports. Returns its digest.
    fn push_blob(&self, repository: &str, bytes: &[u8]) -> String {
        let digest = digest(bytes);
        let finished = self.finish_upload(&self.start_upload(repository), &digest, bytes);
        assert_eq!(finished.status, 201, "{finished:?}");
        digest
    }

    fn put_manifest(&self, repository: &str, reference: &str, media_type: &str, bytes: &[u8]) -> Answer {
        let path = format!("/v2/{repository}/manifests/{reference}");
        self.send_with("PUT", &path, &[("Content-Type", media_type)], bytes)
    }

    /// Pushes an image with one layer, and gives it a tag.
    fn push_image(&self, repository: &str, tag: &str) -> Image {
        let image = Image::new(repository, json!({ "test": tag }));
        self.push_blob(repository, &image.layer);
        self.push_blob(repository, &image.config);
        let answer = self.put_manifest(repository, tag, OCI_MANIFEST, &image.manifest);
        assert_eq!(answer.status, 201, "{answer:?}");
        image
    }

    /// Requests a manifest of any kind.
    fn get_manifest(&self, repository: &str, reference: &str) -> Answer {
        let accept = format!("{OCI_MANIFEST}, {OCI_INDEX}");
        self.send_with("GET", &format!("/v2/{repository}/manifests/{reference}"), &[("Accept", &accept)], b"")
    }

    fn get_blob(&self, repository: &str, digest: &str) -> Answer {
        self.send("GET", &format!("/v2/{repository}/blobs/{digest}"))
    }
}

/// An image with one layer.
struct Image {
    layer: Vec<u8>,
    config: Vec<u8>,
    manifest: Vec<u8>,
    /// The digest of the manifest.
    digest: String,
}

impl Image {
    fn new(repository: &str, annotations: Value) -> Self {
        let layer = format!("the layer of {repository}").into_bytes();
        let config = b"{\"architecture\":\"amd64\",\"os\":\"linux\"}".to_vec();
        let mut manifest = manifest_of(&config, &layer);
        manifest["annotations"] = annotations;
        let manifest = serde_json::to_vec_pretty(&manifest).expect("a value becomes JSON");
        Self { digest: digest(&manifest), layer, config, manifest }
    }
}

fn manifest_of(config: &[u8], layer: &[u8]) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": descriptor(CONFIG_TYPE, config),
        "layers": [descriptor(LAYER_TYPE, layer)],
    })
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": digest(bytes), "size": bytes.len() })
}

/// Returns the header `Location`, which must be present.
fn location(answer: &Answer) -> String {
    let location = answer.header("location");
    assert!(!location.is_empty(), "no `Location`: {answer:?}");
    location.to_owned()
}

/// Adds a parameter to a URL that may already have some.
fn with_parameter(url: &str, name: &str, value: &str) -> String {
    let separator = if url.contains('?') { '&' } else { '?' };
    format!("{url}{separator}{name}={value}")
}

/// Checks that an error has the right form: JSON with error codes of the specification. The body may be empty, for
/// example after `HEAD`.
fn assert_error(answer: &Answer, statuses: &[u16]) {
    assert!(statuses.contains(&answer.status), "not one of {statuses:?}: {answer:?}");
    if answer.body.is_empty() || !answer.header("content-type").contains("json") {
        return;
    }
    let body = answer.json();
    let errors = body["errors"].as_array().unwrap_or_else(|| panic!("no `errors`: {body}"));
    assert!(!errors.is_empty(), "{body}");
    for error in errors {
        assert!(error["code"].as_str().is_some_and(|code| CODES.contains(&code)), "{error}");
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use super::*;
    use crate::digest::base64;
    use crate::registry::Registry;

    fn failures(registry: Registry, client: impl Fn(Client, Option<&str>) -> Client) -> Vec<&'static str> {
        let registry = registry.serve();
        let target = Target::new(client(Client::new(&registry.host()), registry.authority_pem()));
        let fails = |case: &Case| catch_unwind(AssertUnwindSafe(|| (case.run)(&target))).is_err();
        cases().into_iter().filter(fails).map(|case| case.name).collect()
    }

    #[test]
    fn our_registry_conforms_with_every_optional_feature_and_without() {
        let registries = [
            Registry::new(),
            Registry::new().refuses_mounts(),
            Registry::new().without_single_posts(),
            Registry::new().without_deletes(),
            Registry::new().without_referrers(),
            Registry::new().absolute_locations(),
            Registry::new().tags_page(2),
        ];
        for registry in registries {
            assert_eq!(failures(registry.clone(), |client, _| client), [""; 0], "{registry:?}");
        }
        let authorization = format!("Basic {}", base64(b"me:hunter2"));
        let protected = Registry::new().tls().basic("me", "hunter2");
        let client = |client: Client, authority: Option<&str>| {
            client.trusting(authority.expect("it speaks TLS")).authorized(&authorization)
        };
        assert_eq!(failures(protected, client), [""; 0]);
    }

    #[test]
    fn the_cases_find_a_registry_that_does_not_conform() {
        let found = failures(Registry::new().monolithic_only(), |client, _| client);
        assert!(found.contains(&"a_blob_is_pushed_in_chunks"), "{found:?}");
        let found = failures(Registry::new().without_ranges(), |client, _| client);
        assert_eq!(found, ["a_part_of_a_blob_is_pulled_by_its_range"]);
        let found = failures(Registry::new().full_after(100), |client, _| client);
        assert!(found.len() > 20, "{found:?}");
    }
}
