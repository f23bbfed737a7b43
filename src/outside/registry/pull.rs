//! Pulls manifests and blobs. If a registry has mirrors, they are tried first.

use std::io::{self, Seek as _, Write as _};
use std::sync::Arc;

use reqwest::header::{ACCEPT, CONTENT_RANGE, CONTENT_TYPE, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode};
use serde::Deserialize;

use crate::formats::oci;
use crate::model::digest::{Digest, DigestWriter};
use crate::model::event::Event;
use crate::model::image::{BlobDescriptor, BlobDigest, Document};
use crate::model::image_reference::ImageReference;
use crate::outside::http::{ATTEMPTS, BodyError, Patience, with_retries};
use crate::outside::registry::Registry;
use crate::outside::registry::error::{RegistryError, Task};
use crate::outside::registry::hosts::Host;
use crate::outside::registry::requests::{Access, Call};
use crate::outside::registry::tokens::Scope;

/// If an attempt transferred at least this many bytes before it failed, it does not count as a failed attempt.
const PROGRESS_BYTES: u64 = 64 << 10;

/// The media types of Docker's first manifest format begin like this.
const OLD_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v1+";
const DIGEST_HEADER: &str = "docker-content-digest";

/// The fields of a manifest that this module reads.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    schema_version: Option<u64>,
    media_type: Option<String>,
    manifests: Option<serde::de::IgnoredAny>,
}

impl Registry {
    /// Fetches a manifest from the first host that has it.
    pub(super) async fn pull_manifest(&self, image: &ImageReference) -> Result<Document, RegistryError> {
        let task = Task::FetchManifest { image: image.to_string() };
        self.pulled_from_any(image, task, async |access| {
            with_retries(&*self.listener, || self.manifest_once(&access, image)).await
        })
        .await
    }

    /// Fetches a manifest from the registry itself, even if the registry has mirrors.
    pub(super) async fn pull_own_manifest(&self, image: &ImageReference) -> Result<Document, RegistryError> {
        let task = Task::FetchManifest { image: image.to_string() };
        let access = pulling(&self.host(image), image, task);
        with_retries(&*self.listener, || self.manifest_once(&access, image)).await
    }

    /// Calls `pull` for each host that may have the image, until one call succeeds. If all fail, returns the error of
    /// the registry itself.
    async fn pulled_from_any<T>(
        &self,
        image: &ImageReference,
        task: Task,
        pull: impl AsyncFn(Access) -> Result<T, RegistryError>,
    ) -> Result<T, RegistryError> {
        let mut sources = self.sources(image);
        let last = sources.pop().unwrap_or_else(|| self.host(image));
        for mirror in sources {
            match pull(pulling(&mirror, image, task.clone())).await {
                Ok(value) => return Ok(value),
                Err(error) => {
                    let name = &mirror.name;
                    self.listener.hear(Event::Detail(format!("not using the mirror `{name}`: {error}")));
                }
            }
        }
        pull(pulling(&last, image, task)).await
    }

    async fn manifest_once(&self, access: &Access, image: &ImageReference) -> Result<Document, RegistryError> {
        let task = &access.task;
        let response = self.ask_for_manifest(access, image, Method::GET).await?;
        if response.status() == StatusCode::NOT_FOUND {
            return Err(RegistryError::Missing { image: image.to_string(), host: access.host.name.clone() });
        }
        if !response.status().is_success() {
            return Err(self.unexpected(access, response).await);
        }
        let header = text_of(&response, CONTENT_TYPE.as_str());
        let named = digest_of(&response);
        let bytes = self.read(task, response, oci::MAX_MANIFEST_BYTES).await?;
        let document = Document::new(media_type(task, header.as_deref(), &bytes)?, bytes);
        let found = document.digest.0;
        match image.digest.or(named).map(|digest| digest.0).filter(|expected| *expected != found) {
            Some(expected) => Err(RegistryError::Digest { task: task.clone(), expected, found }),
            None => Ok(document),
        }
    }

    async fn ask_for_manifest(
        &self,
        access: &Access,
        image: &ImageReference,
        method: Method,
    ) -> Result<Response, RegistryError> {
        let url = self.url(access, &format!("manifests/{}", image.reference())).await?;
        let mut call = Call::new(method, url);
        let types = [oci::INDEX, oci::MANIFEST, oci::DOCKER_INDEX, oci::DOCKER_MANIFEST].join(", ");
        if let Ok(types) = HeaderValue::from_str(&types) {
            call.headers.insert(ACCEPT, types);
        }
        self.send(access, &call).await
    }

    /// Returns the digest of a manifest without fetching the manifest.
    pub(super) async fn find_manifest_once(
        &self,
        access: &Access,
        image: &ImageReference,
    ) -> Result<BlobDigest, RegistryError> {
        let response = self.ask_for_manifest(access, image, Method::HEAD).await?;
        match (response.status(), digest_of(&response)) {
            (StatusCode::NOT_FOUND, _) => {
                Err(RegistryError::Missing { image: image.to_string(), host: access.host.name.clone() })
            }
            (status, Some(digest)) if status.is_success() => Ok(digest),
            // The header with the digest is optional (distribution-spec, "Checking if content exists in the registry").
            (status, None) if status.is_success() => Ok(self.manifest_once(access, image).await?.digest),
            _ => Err(self.unexpected(access, response).await),
        }
    }

    /// Returns whether the repository of `image` has a blob.
    pub(super) async fn find_blob(&self, access: &Access, digest: &BlobDigest) -> Result<bool, RegistryError> {
        let url = self.url(access, &format!("blobs/{}", digest.0.prefixed())).await?;
        let response = self.send(access, &Call::new(Method::HEAD, url)).await?;
        match response.status() {
            StatusCode::NOT_FOUND => Ok(false),
            status if status.is_success() => Ok(true),
            _ => Err(self.unexpected(access, response).await),
        }
    }

    /// Fetches a blob. If there are mirrors, the bytes are checked before they are written, because another host may
    /// have to send them again.
    pub(super) async fn pull_blob(
        &self,
        image: &ImageReference,
        blob: &BlobDescriptor,
        to: &mut (dyn io::Write + Send),
    ) -> Result<(), RegistryError> {
        let task = Task::FetchBlob { digest: blob.digest.0.prefixed(), repository: image.name() };
        if self.sources(image).len() == 1 {
            return self.receive(&pulling(&self.host(image), image, task), blob, to).await;
        }
        let keep = |source| RegistryError::Keep { task: task.clone(), source };
        let mut checked = self
            .pulled_from_any(image, task.clone(), async |access| {
                let mut file = tempfile::tempfile().map_err(keep)?;
                self.receive(&access, blob, &mut file).await.map(|()| file)
            })
            .await?;
        checked.rewind().and_then(|()| io::copy(&mut checked, to)).map(drop).map_err(keep)
    }

    /// Receives a blob from one host, continues after interruptions, and checks the blob's size and digest.
    async fn receive(
        &self,
        access: &Access,
        blob: &BlobDescriptor,
        to: &mut (dyn io::Write + Send),
    ) -> Result<(), RegistryError> {
        let id = self.started(&blob.digest.0.prefixed()[..19], blob.size_bytes, false);
        let mut received = Received { id, writer: DigestWriter::new(to), bytes: 0 };
        let mut patience = Patience::new(ATTEMPTS);
        let outcome = loop {
            let before = received.bytes;
            match self.receive_once(access, blob, &mut received).await {
                Ok(()) => break Ok(()),
                Err(error) => {
                    if received.bytes - before >= PROGRESS_BYTES {
                        patience.renew();
                    }
                    if let Err(error) = patience.wait_after(error, &*self.listener).await {
                        break Err(error);
                    }
                }
            }
        };
        self.listener.hear(Event::DownloadFinished { id });
        outcome?;
        let (_, found, _) = received.writer.finish();
        match blob.digest.0 == found {
            true => Ok(()),
            false => Err(RegistryError::Digest { task: access.task.clone(), expected: blob.digest.0, found }),
        }
    }

    /// Appends the missing bytes of a blob.
    async fn receive_once(
        &self,
        access: &Access,
        blob: &BlobDescriptor,
        received: &mut Received<'_>,
    ) -> Result<(), RegistryError> {
        let (task, size) = (&access.task, blob.size_bytes);
        if received.bytes == size && size > 0 {
            return Ok(());
        }
        let url = self.url(access, &format!("blobs/{}", blob.digest.0.prefixed())).await?;
        let mut call = Call::new(Method::GET, url);
        if received.bytes > 0 {
            call.headers.insert(RANGE, range_from(received.bytes));
        }
        let response = self.send(access, &call).await?;
        if !response.status().is_success() {
            return Err(self.unexpected(access, response).await);
        }
        // A server may send the whole blob, or begin before the requested byte. Then the bytes that were already
        // received are skipped.
        let first = first_byte(&response).unwrap_or(0);
        let mut skip =
            received.bytes.checked_sub(first).ok_or_else(|| RegistryError::OutOfStep { task: task.clone() })?;
        let mut body = self.settings.clients.bodies.of(response, size - first.min(size));
        let unread = |error: BodyError| self.unread(task, size, error);
        while let Some(chunk) = body.next().await.map_err(unread)? {
            let skipped = skip.min(chunk.len() as u64);
            skip -= skipped;
            received.append(&chunk[skipped as usize..]).map_err(|source| keep(task, source))?;
            self.listener.hear(Event::DownloadProgress { id: received.id, bytes: received.bytes });
        }
        match received.bytes == size {
            true => Ok(()),
            false => Err(RegistryError::Short { task: task.clone(), expected: size, found: received.bytes }),
        }
    }
}

/// A blob that is being received.
struct Received<'a> {
    /// The number of the transfer, which the listener receives.
    id: u64,
    writer: DigestWriter<&'a mut (dyn io::Write + Send)>,
    bytes: u64,
}

impl Received<'_> {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.writer.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

fn keep(task: &Task, source: io::Error) -> RegistryError {
    RegistryError::Keep { task: task.clone(), source }
}

/// Returns the access to pull an image from a host.
pub(super) fn pulling(host: &Arc<Host>, image: &ImageReference, task: Task) -> Access {
    let scope = Scope { repository: host.repository(image), ..Scope::default() };
    Access { host: Arc::clone(host), scope, task }
}

fn range_from(first: u64) -> HeaderValue {
    // Digits are always valid in a header.
    HeaderValue::from_str(&format!("bytes={first}-")).unwrap_or(HeaderValue::from_static("bytes=0-"))
}

/// Returns the position of the first byte in a partial response (RFC 9110, section 14.4).
fn first_byte(response: &Response) -> Option<u64> {
    if response.status() != StatusCode::PARTIAL_CONTENT {
        return None;
    }
    let range = text_of(response, CONTENT_RANGE.as_str())?;
    range.strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

pub(super) fn text_of(response: &Response, name: &str) -> Option<String> {
    response.headers().get(name)?.to_str().ok().map(str::to_owned)
}

/// Returns the digest that the registry reports for a manifest.
pub(super) fn digest_of(response: &Response) -> Option<BlobDigest> {
    let text = text_of(response, DIGEST_HEADER)?;
    Digest::of_prefixed(&text).map(BlobDigest)
}

/// Returns the media type of a manifest. If both the header and the document contain a media type, the two must be the
/// same (image-spec, manifest.md, `mediaType`). Otherwise two programs could understand the same document differently.
fn media_type(task: &Task, header: Option<&str>, bytes: &[u8]) -> Result<String, RegistryError> {
    let head: Head = serde_json::from_slice(bytes).map_err(|_| RegistryError::NoManifest { task: task.clone() })?;
    let header = header.map(|header| header.split(';').next().unwrap_or_default().trim().to_ascii_lowercase());
    // Simple servers send one general type, such as `text/plain`, for all files. A general type is ignored.
    let header = header.filter(|header| header.starts_with("application/vnd."));
    let old = [&header, &head.media_type].into_iter().flatten().find(|found| found.starts_with(OLD_MANIFEST));
    if old.is_some() || head.schema_version == Some(1) {
        let media_type = old.cloned().unwrap_or_else(|| format!("{OLD_MANIFEST}json"));
        return Err(RegistryError::OldFormat { task: task.clone(), media_type });
    }
    let own = if head.manifests.is_some() { oci::INDEX } else { oci::MANIFEST };
    match (header, head.media_type) {
        (Some(header), Some(document)) if header != document => {
            Err(RegistryError::OtherType { task: task.clone(), header, document })
        }
        (header, document) => Ok(document.or(header).unwrap_or_else(|| own.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::formats::oci::DOCKER_MANIFEST;

    #[test]
    fn the_type_of_a_manifest_is_certain_or_refused() {
        let task = Task::FetchManifest { image: "x".to_owned() };
        let read = |header: Option<&str>, text: &str| {
            media_type(&task, header, text.as_bytes()).map_err(|error| error.to_string())
        };
        let typed = format!(r#"{{"schemaVersion":2,"mediaType":"{DOCKER_MANIFEST}"}}"#);
        assert_eq!(read(Some(&format!("{DOCKER_MANIFEST}; charset=utf-8")), &typed).unwrap(), DOCKER_MANIFEST);
        assert_eq!(read(Some("application/json"), &typed).unwrap(), DOCKER_MANIFEST);
        assert_eq!(read(Some(oci::INDEX), r#"{"schemaVersion":2}"#).unwrap(), oci::INDEX);
        assert_eq!(read(None, r#"{"schemaVersion":2,"manifests":[]}"#).unwrap(), oci::INDEX);
        assert_eq!(read(None, r#"{"schemaVersion":2,"layers":[]}"#).unwrap(), oci::MANIFEST);
        assert!(read(Some(oci::INDEX), &typed).unwrap_err().contains("but in the manifest it is"));
        assert!(read(None, r#"{"schemaVersion":1}"#).unwrap_err().contains("old format"));
        let signed = "application/vnd.docker.distribution.manifest.v1+prettyjws";
        assert!(read(Some(signed), r#"{"schemaVersion":1}"#).unwrap_err().contains(signed));
        assert!(read(None, "<html>").unwrap_err().contains("it is not a manifest"));
    }
}
