//! Manifests, tags and referrers (sections "Pushing Manifests", "Listing Tags" and "Listing Referrers").

use std::io::{self, Read as _};

use serde_json::{Value, json};

use super::http::{Body, Reply, Request};
use super::operation::{Operation, Target, is_tag};
use super::storage::{Repository, Storage, StoredManifest, digest_like, is_digest};
use super::{Shared, digest, lock};

pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
pub const DOCKER_SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";

/// The maximum size of a manifest. The specification requires at least 4 megabytes.
const MOST_BYTES: u64 = 4 << 20;

impl Shared {
    /// Handles every request that concerns manifests. An error means that the connection broke while the body was being
    /// read.
    pub(super) fn manifest(&self, target: &Target, request: &Request, body: &mut Body) -> io::Result<Reply> {
        let reference = &target.reference;
        if !is_tag(reference) && !is_digest(reference) {
            let code = if reference.contains(':') { "DIGEST_INVALID" } else { "MANIFEST_INVALID" };
            return Ok(Reply::error(400, code, json!({ "reference": reference })));
        }
        Ok(match target.operation {
            Operation::PutManifest => self.put_manifest(target, request, body)?,
            Operation::DeleteManifest => self.delete_manifest(target),
            _ => self.get_manifest(target, request),
        })
    }

    fn get_manifest(&self, target: &Target, request: &Request) -> Reply {
        let unknown = |code| Reply::error(404, code, json!({ "reference": target.reference }));
        let storage = lock(&self.storage);
        let Some(repository) = storage.repositories.get(&target.repository) else { return unknown("NAME_UNKNOWN") };
        let Some((digest, manifest)) = repository.manifest(&target.reference) else {
            return unknown("MANIFEST_UNKNOWN");
        };
        // Like Docker's registry: if the client does not accept the media type of a manifest, the manifest is not
        // found.
        let is_accepted = request.header("accept").is_none_or(|accept| accepts(accept, &manifest.media_type));
        if !is_accepted {
            return unknown("MANIFEST_UNKNOWN");
        }
        Reply::new(200)
            .header("Content-Type", &manifest.media_type)
            .header("Docker-Content-Digest", digest)
            .body(manifest.bytes.clone())
    }

    fn put_manifest(&self, target: &Target, request: &Request, body: &mut Body) -> io::Result<Reply> {
        let mut bytes = Vec::new();
        body.take(MOST_BYTES + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MOST_BYTES {
            body.drain()?;
            return Ok(Reply::error(413, "SIZE_INVALID", Value::Null));
        }
        let media_type = request.header("content-type").unwrap_or_default();
        let media_type = media_type.split(';').next().unwrap_or_default().trim();
        let Ok(manifest) = serde_json::from_slice::<Value>(&bytes) else { return Ok(invalid("it is not JSON")) };
        let mut storage = lock(&self.storage);
        let problem = check(&manifest, media_type, &storage, &target.repository);
        if let Some(reply) = problem.filter(|_| self.settings.checks_manifests) {
            return Ok(reply);
        }
        let is_by_digest = is_digest(&target.reference);
        let actual = if is_by_digest { digest_like(&target.reference, &bytes) } else { Some(digest(&bytes)) };
        let Some(actual) = actual.filter(|actual| !is_by_digest || *actual == target.reference) else {
            return Ok(Reply::error(400, "DIGEST_INVALID", json!({ "digest": target.reference })));
        };
        let repository = storage.repository(&target.repository);
        if !is_by_digest {
            repository.tags.insert(target.reference.clone(), actual.clone());
        }
        let stored = StoredManifest { media_type: media_type.to_owned(), bytes: bytes.into() };
        repository.manifests.insert(actual.clone(), stored);
        let reply = Reply::new(201)
            .header("Location", format!("/v2/{}/manifests/{actual}", target.repository))
            .header("Docker-Content-Digest", &actual);
        let subject = manifest["subject"]["digest"].as_str().filter(|_| self.settings.referrers);
        Ok(match subject {
            Some(subject) => reply.header("OCI-Subject", subject),
            None => reply,
        })
    }

    fn delete_manifest(&self, target: &Target) -> Reply {
        if !self.settings.deletes {
            return Reply::error(405, "UNSUPPORTED", Value::Null);
        }
        let mut storage = lock(&self.storage);
        let Some(repository) = storage.repositories.get_mut(&target.repository) else {
            return Reply::error(404, "NAME_UNKNOWN", json!({ "name": target.repository }));
        };
        let is_gone = if is_digest(&target.reference) {
            repository.tags.retain(|_, digest| *digest != target.reference);
            repository.manifests.remove(&target.reference).is_some()
        } else {
            repository.tags.remove(&target.reference).is_some()
        };
        if is_gone { Reply::new(202) } else { Reply::error(404, "MANIFEST_UNKNOWN", Value::Null) }
    }

    pub(super) fn list_tags(&self, target: &Target, request: &Request) -> Reply {
        let storage = lock(&self.storage);
        let Some(repository) = storage.repositories.get(&target.repository) else {
            return Reply::error(404, "NAME_UNKNOWN", json!({ "name": target.repository }));
        };
        let asked: Option<Result<usize, _>> = request.parameter("n").map(str::parse);
        let asked = match asked {
            Some(Ok(count)) => Some(count),
            Some(Err(_)) => return Reply::error(400, "UNSUPPORTED", Value::Null),
            None => None,
        };
        let most = self.settings.tags_page.min(asked.unwrap_or(usize::MAX));
        let last = request.parameter("last").unwrap_or_default();
        let mut tags = repository.tags.keys().filter(|tag| tag.as_str() > last);
        let page: Vec<&String> = tags.by_ref().take(most).collect();
        let reply = Reply::json(200, &json!({ "name": target.repository, "tags": page }));
        match page.last().filter(|_| tags.next().is_some()) {
            Some(last) => {
                let next = format!("/v2/{}/tags/list?n={most}&last={last}", target.repository);
                reply.header("Link", format!("<{next}>; rel=\"next\""))
            }
            None => reply,
        }
    }

    pub(super) fn list_referrers(&self, target: &Target, request: &Request) -> Reply {
        if !self.settings.referrers {
            return Reply::error(404, "NAME_UNKNOWN", Value::Null);
        }
        if !is_digest(&target.reference) {
            return Reply::error(400, "DIGEST_INVALID", json!({ "digest": target.reference }));
        }
        let storage = lock(&self.storage);
        let repository = storage.repositories.get(&target.repository);
        let mut found = repository.map(|repository| referrers(repository, &target.reference)).unwrap_or_default();
        let filter = request.parameter("artifactType");
        if let Some(kind) = filter {
            found.retain(|descriptor| descriptor["artifactType"] == kind);
        }
        let index = json!({ "schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": found });
        let mut reply = Reply::json(200, &index).header("Content-Type", OCI_INDEX);
        if filter.is_some() {
            reply.set_header("OCI-Filters-Applied", "artifactType");
        }
        reply
    }
}

/// Returns whether a value of `Accept` contains the media type.
fn accepts(accept: &str, media_type: &str) -> bool {
    let kinds = accept.split(',').map(|kind| kind.split(';').next().unwrap_or_default().trim());
    kinds.into_iter().any(|kind| kind == media_type || matches!(kind, "*/*" | "application/*"))
}

fn invalid(reason: &str) -> Reply {
    Reply::error(400, "MANIFEST_INVALID", json!({ "reason": reason }))
}

/// Returns an error if a manifest is invalid or if its parts are missing.
fn check(manifest: &Value, media_type: &str, storage: &Storage, name: &str) -> Option<Reply> {
    if manifest["mediaType"].as_str().is_some_and(|stated| stated != media_type) {
        return Some(invalid("`mediaType` differs from `Content-Type`"));
    }
    let (mut missing, mut lies) = (Vec::new(), Vec::new());
    let repository = storage.repositories.get(name);
    let mut look = |descriptor: &Value, size: Option<u64>| {
        let digest = descriptor["digest"].as_str().unwrap_or_default().to_owned();
        match size {
            None => missing.push(digest),
            Some(size) if descriptor["size"].as_u64() != Some(size) => lies.push(digest),
            Some(_) => {}
        }
    };
    let digest_of = |descriptor: &Value| descriptor["digest"].as_str().unwrap_or_default().to_owned();
    match media_type {
        OCI_MANIFEST | DOCKER_MANIFEST => {
            let (config, Some(layers)) = (&manifest["config"], manifest["layers"].as_array()) else {
                return Some(invalid("it has no `layers`"));
            };
            for descriptor in layers.iter().chain([config]).filter(|descriptor| descriptor["urls"].is_null()) {
                let blob = storage.blob(name, &digest_of(descriptor));
                look(descriptor, blob.map(|bytes| bytes.len() as u64));
            }
        }
        OCI_INDEX | DOCKER_LIST => {
            let Some(manifests) = manifest["manifests"].as_array() else {
                return Some(invalid("it has no `manifests`"));
            };
            for descriptor in manifests {
                let child = repository.and_then(|found| found.manifests.get(&digest_of(descriptor)));
                look(descriptor, child.map(|child| child.bytes.len() as u64));
            }
        }
        other => return Some(invalid(&format!("its media type is {other}"))),
    }
    if !missing.is_empty() {
        return Some(Reply::errors(
            404,
            "MANIFEST_BLOB_UNKNOWN",
            missing.iter().map(|digest| json!({ "digest": digest })),
        ));
    }
    (!lies.is_empty()).then(|| Reply::error(400, "SIZE_INVALID", json!({ "digests": lies })))
}

/// Returns a descriptor for each manifest whose subject is `subject`.
fn referrers(repository: &Repository, subject: &str) -> Vec<Value> {
    let mut found = Vec::new();
    for (digest, stored) in &repository.manifests {
        let manifest = stored.json();
        if manifest["subject"]["digest"] != subject {
            continue;
        }
        let mut descriptor = json!({ "mediaType": stored.media_type, "digest": digest, "size": stored.bytes.len() });
        let config = &manifest["config"]["mediaType"];
        let kind = if manifest["artifactType"].is_string() { &manifest["artifactType"] } else { config };
        if kind.is_string() {
            descriptor["artifactType"] = kind.clone();
        }
        if manifest["annotations"].is_object() {
            descriptor["annotations"] = manifest["annotations"].clone();
        }
        found.push(descriptor);
    }
    found
}
