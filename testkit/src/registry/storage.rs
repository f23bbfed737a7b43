//! The contents of the registry, in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use sha2::{Digest as _, Sha256, Sha512};

/// A stored manifest or index.
#[derive(Debug, Clone)]
pub struct StoredManifest {
    pub media_type: String,
    pub bytes: Arc<[u8]>,
}

impl StoredManifest {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.bytes).unwrap_or_default()
    }
}

#[derive(Debug, Default)]
pub(super) struct Repository {
    pub(super) blobs: BTreeSet<String>,
    pub(super) manifests: BTreeMap<String, StoredManifest>,
    pub(super) tags: BTreeMap<String, String>,
}

impl Repository {
    /// Returns a manifest and its digest, by tag or by digest.
    pub(super) fn manifest(&self, reference: &str) -> Option<(&str, &StoredManifest)> {
        let digest = self.tags.get(reference).map_or(reference, String::as_str);
        self.manifests.get_key_value(digest).map(|(digest, manifest)| (digest.as_str(), manifest))
    }
}

/// An upload that is not finished.
#[derive(Debug, Clone)]
pub(super) struct Upload {
    pub(super) repository: String,
    pub(super) bytes: Arc<Mutex<Vec<u8>>>,
    /// The length of the last chunk. If the last chunk was shorter than the registry's minimum length, the registry
    /// refuses the next chunk.
    pub(super) last_chunk: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Storage {
    /// The blobs, by the digest with which they are served. A test may store other bytes with a digest.
    pub(super) blobs: BTreeMap<String, Arc<[u8]>>,
    pub(super) repositories: BTreeMap<String, Repository>,
    pub(super) uploads: BTreeMap<String, Upload>,
}

impl Storage {
    pub(super) fn repository(&mut self, name: &str) -> &mut Repository {
        self.repositories.entry(name.to_owned()).or_default()
    }

    /// Returns a blob if the repository contains it.
    pub(super) fn blob(&self, repository: &str, digest: &str) -> Option<Arc<[u8]>> {
        let is_there = self.repositories.get(repository)?.blobs.contains(digest);
        self.blobs.get(digest).filter(|_| is_there).cloned()
    }

    pub(super) fn add_blob(&mut self, repository: &str, digest: &str, bytes: impl Into<Arc<[u8]>>) {
        self.blobs.entry(digest.to_owned()).or_insert_with(|| bytes.into());
        self.repository(repository).blobs.insert(digest.to_owned());
    }

    /// Returns the bytes of all blobs, each counted once.
    pub(super) fn stored_bytes(&self) -> u64 {
        self.blobs.values().map(|bytes| bytes.len() as u64).sum()
    }
}

/// Returns the digest of `bytes` with the algorithm of `like`. Returns `None` if `like` is not a valid digest.
pub(super) fn digest_like(like: &str, bytes: &[u8]) -> Option<String> {
    let (algorithm, hex_digits) = like.split_once(':')?;
    let is_hex = hex_digits.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    match (algorithm, hex_digits.len()) {
        ("sha256", 64) if is_hex => Some(format!("sha256:{}", hex::encode(Sha256::digest(bytes)))),
        ("sha512", 128) if is_hex => Some(format!("sha512:{}", hex::encode(Sha512::digest(bytes)))),
        _ => None,
    }
}

/// Returns whether `text` is a digest of a supported algorithm.
pub(super) fn is_digest(text: &str) -> bool {
    digest_like(text, b"").is_some()
}

/// Returns the sha256 of `bytes` in the form that registries use.
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(bytes)))
}
