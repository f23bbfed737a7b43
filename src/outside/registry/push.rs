//! Pushes blobs and manifests (distribution-spec, "Push"). A blob is sent only if the repository does not have it and
//! the registry cannot mount it.

use std::io;
use std::sync::Arc;

use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderValue, RANGE};
use reqwest::{Method, Response, StatusCode};
use url::Url;

use crate::model::event::Event;
use crate::model::image::Document;
use crate::model::image_reference::ImageReference;
use crate::outside::http::{Patience, with_retries};
use crate::outside::registry::error::{RegistryError, Task};
use crate::outside::registry::pull::{digest_of, text_of};
use crate::outside::registry::referrers::SUBJECT_HEADER;
use crate::outside::registry::requests::{Access, Call, next_address};
use crate::outside::registry::tokens::Scope;
use crate::outside::registry::upload_body::{self, Part, ReadFailure};
use crate::outside::registry::{Registry, Sent, Upload};

/// The maximum number of attempts without progress. Because of the pauses between the attempts, a registry has about
/// ten seconds to recover.
const ATTEMPTS: u32 = 6;
/// The maximum number of times that the upload of a blob is begun. If the registry loses an upload, lath begins again
/// at the first byte.
const BEGINNINGS: u32 = 3;
/// A blob up to this size is sent in one request.
const SMALL_BYTES: u64 = 1 << 20;
/// The size of a chunk, if the registry does not accept the rest of a blob in one request.
const CHUNK_BYTES: u64 = 16 << 20;
/// The maximum size of a chunk after the registry has refused the first chunk with the status 416. The registry of
/// GitHub responds in this way if a chunk with `Content-Range` has more than 4 MiB.
const LIMITED_CHUNK_BYTES: u64 = 3 << 20;
/// If a registry refuses a chunk of this size or less as too large, no smaller chunk is tried. In that case, the
/// registry probably limits the size of the whole repository, and not the size of a chunk.
const LEAST_CHUNK_BYTES: u64 = 512 << 10;
/// The header with the registry's minimum size of a chunk (distribution-spec, "Pushing a blob in chunks").
const MIN_CHUNK_HEADER: &str = "oci-chunk-min-length";

/// A part of a blob.
#[derive(Clone, Copy)]
struct Span {
    first: u64,
    length: u64,
}

/// A blob that is being pushed.
struct Sending<'a> {
    access: &'a Access,
    upload: &'a Upload<'a>,
    /// The number of the transfer, which the listener receives.
    id: u64,
    session: Option<Session>,
    beginnings: u32,
    /// The size of chunks. If it is `None`, the rest of the blob is sent as one chunk.
    chunk_bytes: Option<u64>,
    /// The maximum size of chunks, if the blob is not sent as one chunk.
    most_bytes: u64,
    /// The size of the last chunk that was sent.
    last_bytes: u64,
    /// Whether the registry has refused the last chunk because of its size.
    is_too_large: bool,
    /// Whether the whole blob is sent in one request, because it is small or because the registry does not accept
    /// chunks.
    is_whole: bool,
}

impl Sending<'_> {
    /// Reduces the size of chunks, because the registry has kept no byte of the last chunk.
    fn shrink_chunks(&mut self) {
        self.chunk_bytes = Some(self.most_bytes.min(self.last_bytes / 4).max(LEAST_CHUNK_BYTES));
    }
}

/// An upload that was begun at the registry.
struct Session {
    address: Url,
    /// The number of bytes that the registry has received.
    bytes: u64,
    min_chunk_bytes: u64,
    /// Whether lath must request the number of received bytes, because a request failed.
    is_uncertain: bool,
    /// Whether the registry has accepted a chunk, but reported a range that ends before it.
    has_outdated_range: bool,
}

impl Registry {
    /// Returns the access to push an image.
    pub(super) fn pushing(&self, image: &ImageReference, task: Task) -> Access {
        let host = self.host(image);
        let scope = Scope { repository: host.repository(image), is_push: true, mounted_from: None };
        Access { host, scope, task }
    }

    /// Pushes a blob to the repository of `image`, unless the blob is already there.
    pub(super) async fn send_blob(&self, image: &ImageReference, upload: &Upload<'_>) -> Result<Sent, RegistryError> {
        let blob = &upload.blob;
        let task = Task::PushBlob { digest: blob.digest.0.prefixed(), repository: image.name() };
        let access = self.pushing(image, task);
        if with_retries(&*self.listener, || self.find_blob(&access, &blob.digest)).await? {
            return Ok(Sent::Present);
        }
        let id = self.started(&upload.title, blob.size_bytes, true);
        let mut sending = Sending {
            access: &access,
            upload,
            id,
            session: None,
            beginnings: 0,
            chunk_bytes: None,
            most_bytes: CHUNK_BYTES,
            last_bytes: 0,
            is_too_large: false,
            is_whole: blob.size_bytes <= SMALL_BYTES,
        };
        let outcome = self.upload(&mut sending).await;
        self.listener.hear(Event::DownloadFinished { id });
        outcome
    }

    async fn upload(&self, sending: &mut Sending<'_>) -> Result<Sent, RegistryError> {
        let mut patience = Patience::new(ATTEMPTS);
        let mut most_bytes = 0;
        loop {
            let error = match self.upload_once(sending).await {
                Ok(sent) => return Ok(sent),
                Err(error) => error,
            };
            if matches!(error, RegistryError::Lost { .. }) {
                sending.session = None;
                if sending.is_too_large {
                    sending.shrink_chunks();
                }
                // If a connection breaks, a registry may lose the upload. If the blob is sent in chunks, less of it is
                // lost.
                sending.chunk_bytes.get_or_insert(sending.most_bytes);
                if sending.beginnings >= BEGINNINGS {
                    return Err(error);
                }
            }
            if let Some(session) = &mut sending.session {
                session.is_uncertain = true;
                if session.bytes > most_bytes {
                    most_bytes = session.bytes;
                    patience.renew();
                }
            }
            patience.wait_after(error, &*self.listener).await?;
        }
    }

    /// Begins or continues the upload of a blob.
    async fn upload_once(&self, sending: &mut Sending<'_>) -> Result<Sent, RegistryError> {
        let size = sending.upload.blob.size_bytes;
        if sending.session.is_none() {
            // After a failure, the registry may have the whole blob, because perhaps only its answer was lost.
            if sending.beginnings > 0 && self.find_blob(sending.access, &sending.upload.blob.digest).await? {
                return Ok(Sent::Bytes(size));
            }
            sending.beginnings += 1;
            match self.begin(sending).await? {
                None => return Ok(Sent::Mounted),
                Some(session) => sending.session = Some(session),
            }
        }
        if let Some(session) = sending.session.as_mut().filter(|session| session.is_uncertain) {
            let before = session.bytes;
            self.ask_status(sending.access, session, size).await?;
            // The registry did not keep any part of the last request, so smaller requests are tried.
            if session.bytes == before && !sending.is_whole {
                sending.shrink_chunks();
            }
        }
        let bytes = |sending: &Sending<'_>| sending.session.as_ref().map_or(0, |session| session.bytes);
        while bytes(sending) < size && !sending.is_whole {
            self.send_chunk(sending).await?;
        }
        self.finish(sending, size - bytes(sending)).await
    }

    /// Begins an upload. Returns `None` if the registry mounted the blob from another repository.
    async fn begin(&self, sending: &Sending<'_>) -> Result<Option<Session>, RegistryError> {
        for from in &sending.upload.mount_from {
            let mut access = sending.access.clone();
            access.scope.mounted_from = Some(from.clone());
            let digest = sending.upload.blob.digest.0.prefixed();
            let mounting = async || {
                let mut url = self.url(&access, "blobs/uploads/").await?;
                url.query_pairs_mut().append_pair("mount", &digest).append_pair("from", from);
                self.send(&access, &empty(Method::POST, url)).await
            };
            // If mounting fails for any reason, the blob is sent instead.
            match mounting().await {
                Ok(response) if response.status() == StatusCode::CREATED => return Ok(None),
                Ok(response) if response.status() == StatusCode::ACCEPTED => {
                    let session = session(&access.task, &response)?;
                    // If the registry does not mount the blob, it begins an upload. This upload is used only after the
                    // last repository was tried.
                    if sending.upload.mount_from.last() == Some(from) {
                        return Ok(Some(session));
                    }
                    let _ = self.send(sending.access, &Call::new(Method::DELETE, session.address)).await;
                }
                Ok(_) | Err(_) => {}
            }
        }
        let url = self.url(sending.access, "blobs/uploads/").await?;
        let response = self.send(sending.access, &empty(Method::POST, url)).await?;
        match response.status().is_success() {
            true => session(&sending.access.task, &response).map(Some),
            false => Err(self.unexpected(sending.access, response).await),
        }
    }

    /// Requests the number of bytes that the registry has received.
    async fn ask_status(&self, access: &Access, session: &mut Session, size: u64) -> Result<(), RegistryError> {
        let response = self.send(access, &Call::new(Method::GET, session.address.clone())).await?;
        let status = response.status();
        if status.is_client_error() && status != StatusCode::TOO_MANY_REQUESTS {
            return Err(RegistryError::Lost { task: access.task.clone() });
        }
        if !status.is_success() {
            return Err(self.unexpected(access, response).await);
        }
        // If the registry has reported outdated ranges, this one is probably outdated, too.
        let known = if session.has_outdated_range { session.bytes } else { 0 };
        session.bytes = received(&response).max(known);
        session.is_uncertain = false;
        if let Ok(address) = next_address(&access.task, &response) {
            session.address = address;
        }
        // The registry cannot have more bytes than the blob.
        if session.bytes > size { Err(RegistryError::Lost { task: access.task.clone() }) } else { Ok(()) }
    }

    /// Sends the next chunk.
    async fn send_chunk(&self, sending: &mut Sending<'_>) -> Result<(), RegistryError> {
        let task = &sending.access.task;
        let Some(session) = &sending.session else { return Err(RegistryError::Lost { task: task.clone() }) };
        let (first, rest) = (session.bytes, sending.upload.blob.size_bytes - session.bytes);
        let length = sending.chunk_bytes.map_or(rest, |chunk| rest.min(chunk.max(session.min_chunk_bytes)));
        let least = LEAST_CHUNK_BYTES.max(session.min_chunk_bytes);
        let is_certain = !session.has_outdated_range;
        let mut call = Call::new(Method::PATCH, session.address.clone());
        // Like Docker, lath sends a whole blob without this header, because some registries limit the size of chunks
        // that have it.
        if length < sending.upload.blob.size_bytes {
            call.headers.insert(CONTENT_RANGE, value(&format!("{first}-{}", first + length - 1)));
        }
        (sending.last_bytes, sending.is_too_large) = (length, false);
        let response = self.send_part(sending, call, Span { first, length }).await?;
        match response.status() {
            status if status.is_success() => {
                let address = next_address(task, &response)?;
                let reported = text_of(&response, RANGE.as_str()).map(|_| received(&response));
                if reported.is_some_and(|bytes| bytes > first + length) {
                    return Err(RegistryError::OutOfStep { task: task.clone() });
                }
                // Some registries keep a chunk, but report the range of an earlier one. If a byte is really missing,
                // the registry refuses the digest at the end.
                let is_outdated = reported.is_some_and(|bytes| bytes <= first);
                if let Some(session) = &mut sending.session {
                    session.bytes = reported.filter(|_| !is_outdated).unwrap_or(first + length);
                    session.address = address;
                    session.has_outdated_range |= is_outdated;
                }
                Ok(())
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                // The first chunk cannot be out of order. So the registry refuses it for another reason: its size.
                if first == 0 {
                    (sending.most_bytes, sending.is_too_large) = (LIMITED_CHUNK_BYTES, true);
                }
                // If the number of bytes that the registry has is unknown, the upload cannot be continued.
                Err(match is_certain {
                    true => RegistryError::OutOfStep { task: task.clone() },
                    false => RegistryError::Lost { task: task.clone() },
                })
            }
            StatusCode::NOT_FOUND => Err(RegistryError::Lost { task: task.clone() }),
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED if first == 0 => {
                sending.is_whole = true;
                Err(RegistryError::OutOfStep { task: task.clone() })
            }
            // A proxy may have a lower limit than the registry, so a smaller chunk is tried.
            StatusCode::PAYLOAD_TOO_LARGE if length > least => {
                // The size of chunks is reduced before the next attempt.
                sending.is_too_large = true;
                Err(RegistryError::OutOfStep { task: task.clone() })
            }
            _ => Err(self.unexpected(sending.access, response).await),
        }
    }

    /// Completes an upload. Its last `length` bytes are sent with this request.
    async fn finish(&self, sending: &Sending<'_>, length: u64) -> Result<Sent, RegistryError> {
        let task = &sending.access.task;
        let Some(session) = &sending.session else { return Err(RegistryError::Lost { task: task.clone() }) };
        let mut address = session.address.clone();
        address.query_pairs_mut().append_pair("digest", &sending.upload.blob.digest.0.prefixed());
        let mut call = Call::new(Method::PUT, address);
        if session.bytes > 0 && length > 0 {
            let last = session.bytes + length - 1;
            call.headers.insert(CONTENT_RANGE, value(&format!("{}-{last}", session.bytes)));
        }
        let response = match length {
            0 => self.send(sending.access, &empty(Method::PUT, call.url)).await?,
            _ => self.send_part(sending, call, Span { first: session.bytes, length }).await?,
        };
        match response.status() {
            status if status.is_success() => Ok(Sent::Bytes(sending.upload.blob.size_bytes)),
            // The bytes may have got into a wrong order when the upload was continued, so lath begins a new upload.
            StatusCode::BAD_REQUEST if sending.beginnings < 2 => Err(RegistryError::Lost { task: task.clone() }),
            StatusCode::NOT_FOUND | StatusCode::RANGE_NOT_SATISFIABLE => {
                Err(RegistryError::Lost { task: task.clone() })
            }
            _ => Err(self.unexpected(sending.access, response).await),
        }
    }

    /// Sends a request with a part of the blob.
    async fn send_part(
        &self,
        sending: &Sending<'_>,
        mut call: Call<'_>,
        span: Span,
    ) -> Result<Response, RegistryError> {
        let Span { first, length } = span;
        let task = &sending.access.task;
        let failure = ReadFailure::default();
        let read = |source: io::Error| RegistryError::Read { task: task.clone(), source };
        let make = |progress| {
            let reader = (sending.upload.open)().map_err(read)?;
            let part = Part { reader, first, length, id: sending.id };
            Ok(upload_body::body(part, Arc::clone(&self.listener), failure.clone(), progress))
        };
        call.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        call.headers.insert(CONTENT_LENGTH, value(&length.to_string()));
        let call = Call { body: Some(&make), ..call };
        let outcome = self.send(sending.access, &call).await;
        match failure.take() {
            Some(source) => Err(read(source)),
            None => outcome,
        }
    }

    /// Pushes a manifest or an index. If `image` has a tag, the document is pushed to the tag. Otherwise it is pushed
    /// by its digest. Returns whether the registry supports referrers and has added the manifest to the referrers of
    /// its subject.
    pub(super) async fn send_manifest(
        &self,
        image: &ImageReference,
        document: &Document,
    ) -> Result<bool, RegistryError> {
        let digest = document.digest.0.prefixed();
        let reference = image.tag.clone().unwrap_or(digest);
        let place = ImageReference { tag: image.tag.clone(), digest: None, ..image.clone() };
        let shown =
            if image.tag.is_some() { place.to_string() } else { image.with_digest(document.digest).to_string() };
        let access = self.pushing(image, Task::PushManifest { image: shown });
        with_retries(&*self.listener, || self.send_manifest_once(&access, &reference, document)).await
    }

    async fn send_manifest_once(
        &self,
        access: &Access,
        reference: &str,
        document: &Document,
    ) -> Result<bool, RegistryError> {
        let url = self.url(access, &format!("manifests/{reference}")).await?;
        let make = |_| Ok(document.bytes.clone().into());
        let mut call = Call { body: Some(&make), ..Call::new(Method::PUT, url) };
        call.headers.insert(CONTENT_TYPE, value(&document.media_type));
        let response = self.send(access, &call).await?;
        if !response.status().is_success() {
            return Err(self.unexpected(access, response).await);
        }
        let (expected, found) = (document.digest, digest_of(&response));
        match found.filter(|found| *found != expected) {
            Some(found) => {
                Err(RegistryError::Digest { task: access.task.clone(), expected: expected.0, found: found.0 })
            }
            None => Ok(text_of(&response, SUBJECT_HEADER).is_some()),
        }
    }
}

/// Reads the response to a request that begins an upload.
fn session(task: &Task, response: &Response) -> Result<Session, RegistryError> {
    let min = text_of(response, MIN_CHUNK_HEADER).and_then(|text| text.trim().parse().ok());
    let address = next_address(task, response)?;
    let min_chunk_bytes = min.unwrap_or(0);
    Ok(Session { address, bytes: 0, min_chunk_bytes, is_uncertain: false, has_outdated_range: false })
}

/// Reads the number of bytes that a registry has received. For example, `Range: 0-9` means ten. Some registries write
/// `0-0` if they have received no bytes. Here `0-0` never means one byte, because lath never sends a single byte.
fn received(response: &Response) -> u64 {
    let range = text_of(response, RANGE.as_str()).unwrap_or_default();
    let last = range.trim_start_matches("bytes=").split_once('-').and_then(|(_, last)| last.trim().parse::<u64>().ok());
    last.filter(|last| *last > 0).map_or(0, |last| last.saturating_add(1))
}

/// Returns a request whose body is empty. Its length is set, because some registries require it.
fn empty(method: Method, url: Url) -> Call<'static> {
    let mut call = Call::new(method, url);
    call.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    call
}

/// Converts a text to the value of a header. If the text contains characters that are not allowed, the value is empty.
fn value(text: &str) -> HeaderValue {
    HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static(""))
}
