//! Blobs, and the uploads that create them (sections "Pulling blobs" and "Pushing blobs").

use std::io::{self, Read as _};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::http::{Body, Reply, Request};
use super::operation::{Operation, Target};
use super::storage::{Upload, digest_like, is_digest};
use super::{Shared, lock};

/// The reason why an upload does not continue.
enum Stopped {
    /// The connection broke.
    Broken(io::Error),
    Refused(Reply),
}

impl From<io::Error> for Stopped {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

fn refused(status: u16, code: &str) -> Stopped {
    Stopped::Refused(Reply::error(status, code, Value::Null))
}

fn digest_invalid(digest: &str) -> Stopped {
    Stopped::Refused(Reply::error(400, "DIGEST_INVALID", json!({ "digest": digest })))
}

impl Shared {
    pub(super) fn blob(&self, target: &Target, request: &Request) -> Reply {
        let digest = &target.reference;
        if !is_digest(digest) {
            return Reply::error(400, "DIGEST_INVALID", json!({ "digest": digest }));
        }
        let mut storage = lock(&self.storage);
        let Some(bytes) = storage.blob(&target.repository, digest) else {
            return Reply::error(404, "BLOB_UNKNOWN", json!({ "digest": digest }));
        };
        if target.operation == Operation::DeleteBlob {
            if !self.settings.deletes {
                return Reply::error(405, "UNSUPPORTED", Value::Null);
            }
            storage.repository(&target.repository).blobs.remove(digest);
            return Reply::new(202);
        }
        let reply = Reply::new(200)
            .header("Content-Type", "application/octet-stream")
            .header("Docker-Content-Digest", digest)
            .header("ETag", format!("\"{digest}\""));
        let is_same = request.header("if-range").is_none_or(|tag| tag == format!("\"{digest}\""));
        match request.header("range") {
            Some(range) if self.settings.ranges && is_same => partial(reply, range, &bytes),
            _ => reply.body(bytes),
        }
    }

    /// Handles every request that concerns uploads. An error means that the connection broke while the body was being
    /// read.
    pub(super) fn upload(&self, target: &Target, request: &Request, body: &mut Body) -> io::Result<Reply> {
        let reply = match target.operation {
            Operation::StartUpload | Operation::SinglePost | Operation::Mount => self.start(target, request, body),
            Operation::UploadChunk => self.chunk(target, request, body),
            Operation::FinishUpload => self.finish(target, request, body),
            Operation::UploadStatus => self.known_upload(target, request).map(|upload| {
                let reply = self.located(Reply::new(204), target, &target.reference);
                reply.header("Range", range_of(&upload))
            }),
            _ => self.known_upload(target, request).map(|_| {
                lock(&self.storage).uploads.remove(&target.reference);
                Reply::new(204)
            }),
        };
        match reply {
            Ok(reply) => Ok(reply),
            Err(Stopped::Refused(reply)) => Ok(reply),
            Err(Stopped::Broken(error)) => Err(error),
        }
    }

    fn start(&self, target: &Target, request: &Request, body: &mut Body) -> Result<Reply, Stopped> {
        let repository = &target.repository;
        if let Some(digest) = request.parameter("mount").filter(|_| self.settings.mounts) {
            let mut storage = lock(&self.storage);
            let mounted = request.parameter("from").and_then(|from| storage.blob(from, digest));
            if let Some(bytes) = mounted {
                storage.add_blob(repository, digest, bytes);
                return Ok(blob_created(repository, digest));
            }
        }
        let single = request.parameter("digest").filter(|_| self.settings.single_posts);
        let upload = Upload { repository: repository.clone(), bytes: Arc::default(), last_chunk: None };
        if let Some(digest) = single {
            self.append(&upload, body)?;
            return self.store(&upload, digest);
        }
        let id = self.next_id();
        let reply = self.located(Reply::new(202), target, &id);
        lock(&self.storage).uploads.insert(id.clone(), upload);
        Ok(match self.settings.least_chunk {
            Some(bytes) => reply.header("OCI-Chunk-Min-Length", bytes),
            None => reply,
        }
        .header("Range", "0-0")
        .header("Docker-Upload-UUID", id))
    }

    fn chunk(&self, target: &Target, request: &Request, body: &mut Body) -> Result<Reply, Stopped> {
        if !self.settings.chunks {
            return Err(refused(405, "UNSUPPORTED"));
        }
        let upload = self.known_upload(target, request)?;
        self.check_range(target, request, &upload)?;
        let is_ranged = request.header("content-range").is_some();
        let too_long = self.settings.most_ranged_chunk.zip(request.length()).is_some_and(|(most, own)| own > most);
        if is_ranged && too_long {
            return Err(self.out_of_range(target, &upload));
        }
        let too_short = self.settings.least_chunk.zip(upload.last_chunk).is_some_and(|(least, last)| last < least);
        if too_short {
            return Err(self.out_of_range(target, &upload));
        }
        let before = body.received();
        self.append(&upload, body)?;
        if let Some(upload) = lock(&self.storage).uploads.get_mut(&target.reference) {
            upload.last_chunk = Some(body.received() - before);
        }
        Ok(self.located(Reply::new(202), target, &target.reference).header("Range", range_of(&upload)))
    }

    fn finish(&self, target: &Target, request: &Request, body: &mut Body) -> Result<Reply, Stopped> {
        let upload = self.known_upload(target, request)?;
        let Some(digest) = request.parameter("digest") else { return Err(digest_invalid("")) };
        self.check_range(target, request, &upload)?;
        self.append(&upload, body)?;
        lock(&self.storage).uploads.remove(&target.reference);
        self.store(&upload, digest)
    }

    /// Checks the digest of a complete upload, and stores it as a blob.
    fn store(&self, upload: &Upload, digest: &str) -> Result<Reply, Stopped> {
        let bytes = std::mem::take(&mut *lock(&upload.bytes));
        if digest_like(digest, &bytes).is_none_or(|actual| actual != digest) {
            return Err(digest_invalid(digest));
        }
        lock(&self.storage).add_blob(&upload.repository, digest, bytes);
        Ok(blob_created(&upload.repository, digest))
    }

    /// Returns the upload of a request. The URL must be one that the registry has sent, because clients must not
    /// construct URLs themselves.
    fn known_upload(&self, target: &Target, request: &Request) -> Result<Upload, Stopped> {
        let unknown = || refused(404, "BLOB_UPLOAD_UNKNOWN");
        let mut storage = lock(&self.storage);
        let found = storage.uploads.get(&target.reference).filter(|upload| upload.repository == target.repository);
        let upload = found.cloned().ok_or_else(unknown)?;
        let state = request.parameter("_state").and_then(|state| state.strip_prefix("at-"));
        let length = length_of(&upload);
        let state: u64 = state.and_then(|state| state.parse().ok()).ok_or_else(unknown)?;
        if self.settings.forgets_cut_uploads && state != length {
            storage.uploads.remove(&target.reference);
            return Err(refused(404, "BLOB_UPLOAD_INVALID"));
        }
        Ok(upload)
    }

    /// Checks that a chunk begins at the end of the previous one, and that its length is the one in the header.
    fn check_range(&self, target: &Target, request: &Request, upload: &Upload) -> Result<(), Stopped> {
        let range = request.header("content-range").filter(|_| self.settings.checks_order);
        let Some(range) = range else { return Ok(()) };
        let (first, last) = range.split_once('-').unwrap_or_default();
        let (first, last) = (first.parse::<u64>(), last.parse::<u64>());
        let (Ok(first), Ok(last)) = (first, last) else { return Err(self.out_of_range(target, upload)) };
        let is_next = first == length_of(upload);
        let is_as_long = request.length().is_none_or(|length| first + length == last + 1);
        if is_next && is_as_long { Ok(()) } else { Err(self.out_of_range(target, upload)) }
    }

    fn out_of_range(&self, target: &Target, upload: &Upload) -> Stopped {
        let reply = Reply::error(416, "BLOB_UPLOAD_INVALID", Value::Null).header("Range", range_of(upload));
        Stopped::Refused(self.located(reply, target, &target.reference))
    }

    /// Reads the body of a request, and appends all bytes that arrive to the upload.
    fn append(&self, upload: &Upload, body: &mut Body) -> Result<(), Stopped> {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = body.read(&mut buffer)?;
            if read == 0 {
                return Ok(());
            }
            // A thread must not wait for the storage while it has locked an upload. Other threads lock the storage
            // first and then an upload, so there could be a deadlock.
            let stored = lock(&self.storage).stored_bytes();
            let length = {
                let mut bytes = lock(&upload.bytes);
                bytes.extend_from_slice(&buffer[..read]);
                bytes.len() as u64
            };
            if let Some((limit, status)) = self.settings.quota.filter(|(limit, _)| stored + length > *limit) {
                body.drain()?;
                let detail = json!({ "quota": limit });
                return Err(Stopped::Refused(Reply::error(status, super::fault::code(status), detail)));
            }
        }
    }

    /// Adds the URL of an upload to a reply. The URL contains a state. It is absolute if the test requires it.
    fn located(&self, reply: Reply, target: &Target, id: &str) -> Reply {
        let length = lock(&self.storage).uploads.get(id).map_or(0, length_of);
        let path = format!("/v2/{}/blobs/uploads/{id}?_state=at-{length}", target.repository);
        let origin = if self.settings.absolute_locations { self.url("") } else { String::new() };
        reply.header("Location", format!("{origin}{path}"))
    }
}

fn blob_created(repository: &str, digest: &str) -> Reply {
    Reply::new(201)
        .header("Location", format!("/v2/{repository}/blobs/{digest}"))
        .header("Docker-Content-Digest", digest)
}

fn length_of(upload: &Upload) -> u64 {
    let bytes: &Mutex<Vec<u8>> = &upload.bytes;
    lock(bytes).len() as u64
}

/// Returns the range of the received bytes. If there are none, the range is `0-0`, as in real registries.
fn range_of(upload: &Upload) -> String {
    format!("0-{}", length_of(upload).saturating_sub(1))
}

fn partial(reply: Reply, range: &str, bytes: &[u8]) -> Reply {
    let whole = bytes.len();
    match crate::server::parse_range(range, whole) {
        Some((first, last)) => {
            let mut reply = reply.header("Content-Range", format!("bytes {first}-{last}/{whole}"));
            reply.status = 206;
            reply.body(&bytes[first..=last])
        }
        None => Reply::new(416).header("Content-Range", format!("bytes */{whole}")),
    }
}
