//! Faults: the ways in which a registry can misbehave in a test.

use std::time::Duration;

use super::http::{Body, Delivery, Reply, Request};
use super::operation::{Operation, Target};

/// A fault for some requests: `Fault::on(Operation::PutManifest).times(2).status(503)`.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The operations to which the fault applies. If the list is empty, the fault applies to all operations except that
    /// of the token server.
    operations: Vec<Operation>,
    /// The fault applies only if the path or the query contains this text.
    part: String,
    skipped: u32,
    times: u32,
    misbehaviour: Misbehaviour,
}

/// The behaviour that replaces the right response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Misbehaviour {
    /// An error with this status and these headers, after the body was read.
    Status(u16, Vec<(String, String)>),
    /// An error that is sent before the body is read. Then the connection is closed.
    EarlyStatus(u16),
    /// The right response, but one header has another value. If the value is empty, the header is removed.
    Header(String, String),
    /// The right response, but with another body. If the other body is empty, the right body with one changed byte is
    /// sent.
    Bytes(Vec<u8>),
    Deliver(Delivery),
    /// There is no response for a minute.
    Hang,
    /// A redirect to a URL. `{digest}` in it is replaced by the last part of the path. An empty text means the same URL
    /// again.
    Redirect(u16, String),
    /// The connection is closed after this number of bytes of the request's body. The registry keeps these bytes.
    CutRequest(u64),
    /// The request is executed, but then the connection is closed without a response.
    NoReply,
    /// All unfinished uploads are deleted.
    ForgetUploads,
    /// All tokens that were issued until now become invalid.
    ExpireTokens,
    /// The registry stops after this number of bytes of the request's body, and starts again later.
    Stop {
        after_bytes: u64,
        back_after: Duration,
    },
}

/// The time at which a fault takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Before the credentials are checked.
    Arrival,
    /// After the credentials were accepted.
    Admitted,
}

impl Fault {
    /// Creates a fault for the next request of this kind. The method that sets the misbehaviour must be called last.
    pub fn on(operation: Operation) -> Self {
        Self::on_any(&[operation])
    }

    /// Creates a fault for the next request of any of these kinds. If `operations` is empty, the fault applies to all
    /// kinds except requests for tokens.
    pub fn on_any(operations: &[Operation]) -> Self {
        let misbehaviour = Misbehaviour::Hang;
        Self { operations: operations.to_vec(), part: String::new(), skipped: 0, times: 1, misbehaviour }
    }

    /// Limits the fault to requests whose path or query contains `part`, such as a name or a digest.
    pub fn with(mut self, part: &str) -> Self {
        part.clone_into(&mut self.part);
        self
    }

    /// Skips the first `count` requests.
    pub fn after(mut self, count: u32) -> Self {
        self.skipped = count;
        self
    }

    /// Applies the fault to `count` requests instead of one.
    pub fn times(mut self, count: u32) -> Self {
        self.times = count;
        self
    }

    pub fn always(self) -> Self {
        self.times(u32::MAX)
    }

    pub fn status(self, status: u16) -> Self {
        self.misbehaves(Misbehaviour::Status(status, Vec::new()))
    }

    pub fn status_with(self, status: u16, name: &str, value: &str) -> Self {
        self.misbehaves(Misbehaviour::Status(status, vec![(name.to_owned(), value.to_owned())]))
    }

    /// Sends an error before the body of the request is read, like a proxy with a size limit.
    pub fn early_status(self, status: u16) -> Self {
        self.misbehaves(Misbehaviour::EarlyStatus(status))
    }

    /// Sends the right response, but with this value of a header.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.misbehaves(Misbehaviour::Header(name.to_owned(), value.to_owned()))
    }

    pub fn without_header(self, name: &str) -> Self {
        self.header(name, "")
    }

    /// Sends a wrong `Docker-Content-Digest`.
    pub fn wrong_digest_header(self) -> Self {
        self.header("Docker-Content-Digest", &super::digest(b"other bytes"))
    }

    /// Sends the right response, but with one wrong byte in its body.
    pub fn wrong_bytes(self) -> Self {
        self.misbehaves(Misbehaviour::Bytes(Vec::new()))
    }

    /// Sends the right headers, but another body.
    pub fn other_body(self, body: &[u8]) -> Self {
        self.misbehaves(Misbehaviour::Bytes(body.to_vec()))
    }

    /// Closes the connection after this number of bytes of the response's body, although the header contains the full
    /// length.
    pub fn short_body(self, after_bytes: usize) -> Self {
        self.misbehaves(Misbehaviour::Deliver(Delivery::Short(after_bytes)))
    }

    /// Repeats the response's body without end.
    pub fn endless_body(self) -> Self {
        self.misbehaves(Misbehaviour::Deliver(Delivery::Endless))
    }

    /// Sends the response's body in pieces of `bytes`, with pauses.
    pub fn slow_body(self, bytes: usize, pause: Duration) -> Self {
        self.misbehaves(Misbehaviour::Deliver(Delivery::Slow { bytes, pause }))
    }

    pub fn hang(self) -> Self {
        self.misbehaves(Misbehaviour::Hang)
    }

    /// Sends a redirect 307 to `url`, in which `{digest}` is replaced by the digest of the blob or manifest.
    pub fn redirect(self, url: &str) -> Self {
        self.misbehaves(Misbehaviour::Redirect(307, url.to_owned()))
    }

    /// Sends a redirect to the same URL.
    pub fn redirect_loop(self) -> Self {
        self.redirect("")
    }

    /// Closes the connection after this number of bytes of the request's body. If it is an upload, the registry keeps
    /// these bytes.
    pub fn cut_request(self, after_bytes: u64) -> Self {
        self.misbehaves(Misbehaviour::CutRequest(after_bytes))
    }

    /// Executes the request, but sends no response.
    pub fn no_reply(self) -> Self {
        self.misbehaves(Misbehaviour::NoReply)
    }

    /// Deletes all unfinished uploads when the request arrives.
    pub fn forget_uploads(self) -> Self {
        self.misbehaves(Misbehaviour::ForgetUploads)
    }

    /// Makes all issued tokens invalid when the request arrives.
    pub fn expire_tokens(self) -> Self {
        self.misbehaves(Misbehaviour::ExpireTokens)
    }

    /// Stops the registry in the middle of the request, and starts it again on the same port.
    pub fn stop(self, after_bytes: u64, back_after: Duration) -> Self {
        self.misbehaves(Misbehaviour::Stop { after_bytes, back_after })
    }

    fn misbehaves(mut self, misbehaviour: Misbehaviour) -> Self {
        self.misbehaviour = misbehaviour;
        self
    }

    fn stage(&self) -> Stage {
        match self.misbehaviour {
            Misbehaviour::EarlyStatus(_) | Misbehaviour::Hang => Stage::Arrival,
            Misbehaviour::ForgetUploads | Misbehaviour::ExpireTokens => Stage::Arrival,
            _ => Stage::Admitted,
        }
    }

    fn concerns(&self, target: &Target, request: &Request) -> bool {
        let is_kind = if self.operations.is_empty() {
            target.operation != Operation::Token
        } else {
            self.operations.contains(&target.operation)
        };
        let has_part = |text: &str| text.contains(&self.part);
        is_kind && (has_part(&request.path) || request.query.iter().any(|(_, value)| has_part(value)))
    }
}

/// Returns the misbehaviour for a request, and counts that it was used.
pub(super) fn take(faults: &mut [Fault], stage: Stage, target: &Target, request: &Request) -> Option<Misbehaviour> {
    for fault in faults {
        if fault.times == 0 || fault.stage() != stage || !fault.concerns(target, request) {
            continue;
        }
        if fault.skipped > 0 {
            fault.skipped -= 1;
            continue;
        }
        fault.times -= u32::from(fault.times != u32::MAX);
        return Some(fault.misbehaviour.clone());
    }
    None
}

impl Misbehaviour {
    /// Returns the number of bytes of the request's body after which the connection must break.
    pub(super) fn breaks_after(&self) -> Option<u64> {
        match self {
            Self::CutRequest(bytes) | Self::Stop { after_bytes: bytes, .. } => Some(*bytes),
            _ => None,
        }
    }

    /// Returns the reply that is sent instead of the right one.
    pub(super) fn instead(&self, request: &Request, body: &mut Body) -> Option<Reply> {
        let reply = match self {
            Self::Status(status, headers) => {
                let reply = Reply::error(*status, code(*status), serde_json::Value::Null);
                headers.iter().fold(reply, |reply, (name, value)| reply.header(name, value))
            }
            Self::Redirect(status, url) => {
                let digest = request.path.rsplit('/').next().unwrap_or_default();
                let url = if url.is_empty() { request.path.clone() } else { url.replace("{digest}", digest) };
                Reply::new(*status).header("Location", url)
            }
            _ => return None,
        };
        // If the client closes the connection now, it does not need the reply.
        let _ = body.drain();
        Some(reply)
    }

    /// Changes the right reply.
    pub(super) fn change(&self, reply: &mut Reply) {
        match self {
            Self::Header(name, value) if value.is_empty() => reply.remove_header(name),
            Self::Header(name, value) => reply.set_header(name, value),
            Self::Bytes(bytes) if bytes.is_empty() => {
                let mut changed = reply.body.to_vec();
                let middle = changed.len() / 2;
                changed.iter_mut().skip(middle).take(1).for_each(|byte| *byte ^= 1);
                reply.body = changed.into();
            }
            Self::Bytes(bytes) => reply.body = bytes.as_slice().into(),
            Self::Deliver(delivery) => reply.delivery = *delivery,
            _ => {}
        }
    }
}

/// Returns the specification's error code that fits a status.
pub(super) fn code(status: u16) -> &'static str {
    match status {
        401 => "UNAUTHORIZED",
        403 => "DENIED",
        404 => "NAME_UNKNOWN",
        405 => "UNSUPPORTED",
        413 => "SIZE_INVALID",
        416 => "BLOB_UPLOAD_INVALID",
        429 => "TOOMANYREQUESTS",
        _ => "UNKNOWN",
    }
}
