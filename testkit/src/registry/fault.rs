//! The ways in which a registry misbehaves for a test.

use std::time::Duration;

use super::http::{Body, Delivery, Reply, Request};
use super::operation::{Operation, Target};

/// A fault for some requests: `Fault::on(Operation::PutManifest).times(2).status(503)`.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Empty: every operation except that of the token server.
    operations: Vec<Operation>,
    /// A text that the path and the query must contain.
    part: String,
    skipped: u32,
    times: u32,
    misbehaviour: Misbehaviour,
}

/// What happens instead of the right response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Misbehaviour {
    /// An error with this status and these headers, after the body was read.
    Status(u16, Vec<(String, String)>),
    /// An error before the body is read. The connection is closed.
    EarlyStatus(u16),
    /// The right response with another value of one header. An empty value removes the header.
    Header(String, String),
    /// The right response with another body. An empty one means the right body with one changed byte.
    Bytes(Vec<u8>),
    Deliver(Delivery),
    /// No response at all, for a minute.
    Hang,
    /// A redirect. `{digest}` becomes the last part of the path; an empty text means the same URL again.
    Redirect(u16, String),
    /// The connection is closed after so many bytes of the request's body. The registry keeps them.
    CutRequest(u64),
    /// The request is carried out, but the connection is closed instead of a response.
    NoReply,
    /// All unfinished uploads are gone.
    ForgetUploads,
    /// All tokens that were given so far are refused.
    ExpireTokens,
    /// The registry stops after so many bytes of the request's body, and starts again later.
    Stop {
        after_bytes: u64,
        back_after: Duration,
    },
}

/// When a fault takes effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Before the credentials are checked.
    Arrival,
    /// Only for requests with good credentials.
    Admitted,
}

impl Fault {
    /// A fault for the next request of one kind. Set the misbehaviour last.
    pub fn on(operation: Operation) -> Self {
        Self::on_any(&[operation])
    }

    /// A fault for the next request of any of these kinds. No kinds mean all, except requests for tokens.
    pub fn on_any(operations: &[Operation]) -> Self {
        let misbehaviour = Misbehaviour::Hang;
        Self { operations: operations.to_vec(), part: String::new(), skipped: 0, times: 1, misbehaviour }
    }

    /// Only for requests whose path or query contains `part`, such as a name or a digest.
    pub fn with(mut self, part: &str) -> Self {
        part.clone_into(&mut self.part);
        self
    }

    /// Not for the first `count` requests.
    pub fn after(mut self, count: u32) -> Self {
        self.skipped = count;
        self
    }

    /// For so many requests instead of one.
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

    /// An error before the body of the request is read, like that of a proxy with a limit.
    pub fn early_status(self, status: u16) -> Self {
        self.misbehaves(Misbehaviour::EarlyStatus(status))
    }

    /// The right response, with this value of a header.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.misbehaves(Misbehaviour::Header(name.to_owned(), value.to_owned()))
    }

    pub fn without_header(self, name: &str) -> Self {
        self.header(name, "")
    }

    /// A wrong `Docker-Content-Digest`.
    pub fn wrong_digest_header(self) -> Self {
        self.header("Docker-Content-Digest", &super::digest(b"other bytes"))
    }

    /// The right response, with one wrong byte in its body.
    pub fn wrong_bytes(self) -> Self {
        self.misbehaves(Misbehaviour::Bytes(Vec::new()))
    }

    /// The right headers, with another body.
    pub fn other_body(self, body: &[u8]) -> Self {
        self.misbehaves(Misbehaviour::Bytes(body.to_vec()))
    }

    /// The connection ends after so many bytes of the response's body, although its length was given.
    pub fn short_body(self, after_bytes: usize) -> Self {
        self.misbehaves(Misbehaviour::Deliver(Delivery::Short(after_bytes)))
    }

    /// The response's body is repeated for ever.
    pub fn endless_body(self) -> Self {
        self.misbehaves(Misbehaviour::Deliver(Delivery::Endless))
    }

    /// The response's body comes in pieces of `bytes` with pauses.
    pub fn slow_body(self, bytes: usize, pause: Duration) -> Self {
        self.misbehaves(Misbehaviour::Deliver(Delivery::Slow { bytes, pause }))
    }

    pub fn hang(self) -> Self {
        self.misbehaves(Misbehaviour::Hang)
    }

    /// A redirect 307 to `url`, in which `{digest}` is replaced by the digest of the blob or manifest.
    pub fn redirect(self, url: &str) -> Self {
        self.misbehaves(Misbehaviour::Redirect(307, url.to_owned()))
    }

    /// A redirect to the same URL.
    pub fn redirect_loop(self) -> Self {
        self.redirect("")
    }

    /// The connection breaks after so many bytes of the request's body. An upload keeps these bytes.
    pub fn cut_request(self, after_bytes: u64) -> Self {
        self.misbehaves(Misbehaviour::CutRequest(after_bytes))
    }

    /// The request is carried out, but the client gets no response.
    pub fn no_reply(self) -> Self {
        self.misbehaves(Misbehaviour::NoReply)
    }

    /// The unfinished uploads are gone when the request arrives.
    pub fn forget_uploads(self) -> Self {
        self.misbehaves(Misbehaviour::ForgetUploads)
    }

    /// The tokens given so far are no longer valid when the request arrives.
    pub fn expire_tokens(self) -> Self {
        self.misbehaves(Misbehaviour::ExpireTokens)
    }

    /// The registry stops in the middle of the request, and starts again on the same port.
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

/// Returns the misbehaviour for a request, and counts it.
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
    /// Returns after how many bytes the body of the request must break.
    pub(super) fn breaks_after(&self) -> Option<u64> {
        match self {
            Self::CutRequest(bytes) | Self::Stop { after_bytes: bytes, .. } => Some(*bytes),
            _ => None,
        }
    }

    /// Returns the reply that takes the place of the right one.
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
        // If the client breaks off now, it has no use for the reply.
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

/// Returns the error code of the specification that fits a status.
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
