//! Connections: accepts them, checks credentials, applies faults, and records every request.

use std::io::BufReader;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::json;

use super::fault::{Misbehaviour, Stage, take};
use super::http::{Body, Reader, Reply, Request, Stream, read_request};
use super::operation::{Operation, Target, is_repository};
use super::{Exchange, Settings, Shared, auth, lock};

/// The open ports and connections.
#[derive(Debug, Default)]
pub(super) struct Doors {
    connections: Vec<TcpStream>,
    accepting: Vec<std::thread::JoinHandle<()>>,
}

pub(super) fn start(settings: Settings) -> Arc<Shared> {
    let bind = || TcpListener::bind((settings.address.as_str(), 0)).expect("loopback has a free port");
    let listener = bind();
    let tokens = settings.has_token_server.then(bind);
    let address = |listener: &TcpListener| listener.local_addr().expect("a bound socket has an address");
    let shared = Arc::new(Shared {
        address: address(&listener),
        token_address: tokens.as_ref().map(address),
        settings,
        storage: Mutex::default(),
        tokens: Mutex::default(),
        faults: Mutex::default(),
        exchanges: Mutex::default(),
        doors: Mutex::default(),
        is_open: AtomicBool::new(true),
        last_id: AtomicU64::new(1),
    });
    for listener in [Some(listener), tokens].into_iter().flatten() {
        accept(&shared, listener);
    }
    shared
}

/// Opens the ports again after a stop.
pub(super) fn open(shared: &Arc<Shared>) {
    shared.is_open.store(true, Ordering::SeqCst);
    for address in addresses(shared) {
        accept(shared, TcpListener::bind(address).expect("the port is still free"));
    }
}

pub(super) fn stop(shared: &Shared) {
    shared.is_open.store(false, Ordering::SeqCst);
    let accepting = std::mem::take(&mut lock(&shared.doors).accepting);
    for address in addresses(shared) {
        // Wakes up the thread that accepts connections. If this fails, the thread has already ended.
        let _ = TcpStream::connect_timeout(&address, Duration::from_secs(1));
    }
    for thread in accepting {
        // The listener is closed when its thread ends.
        let _ = thread.join();
    }
    for connection in std::mem::take(&mut lock(&shared.doors).connections) {
        let _ = connection.shutdown(Shutdown::Both);
    }
}

fn addresses(shared: &Shared) -> impl Iterator<Item = SocketAddr> {
    [Some(shared.address), shared.token_address].into_iter().flatten()
}

fn accept(shared: &Arc<Shared>, listener: TcpListener) {
    let accepted = Arc::clone(shared);
    let thread = std::thread::spawn(move || {
        for stream in listener.incoming() {
            if !accepted.is_open.load(Ordering::SeqCst) {
                break;
            }
            let Ok(stream) = stream else { continue };
            let shared = Arc::clone(&accepted);
            if let Ok(copy) = stream.try_clone() {
                lock(&shared.doors).connections.push(copy);
            }
            std::thread::spawn(move || shared.talk(stream));
        }
    });
    lock(&shared.doors).accepting.push(thread);
}

impl Shared {
    /// Serves one connection until it ends.
    fn talk(self: Arc<Self>, stream: TcpStream) {
        let _ = stream.set_read_timeout(Some(Duration::from_secs(60)));
        let _ = stream.set_nodelay(true);
        let Ok(closer) = stream.try_clone() else { return };
        let stream: Box<dyn Stream> = match &self.settings.tls {
            Some(certificates) => {
                let session = rustls::ServerConnection::new(certificates.server_config());
                Box::new(rustls::StreamOwned::new(session.expect("the configuration is good"), stream))
            }
            None => Box::new(stream),
        };
        let mut reader: Reader = BufReader::new(stream);
        while let Some(request) = read_request(&mut reader) {
            if !self.serve(&request, &mut reader) {
                break;
            }
        }
        let _ = closer.shutdown(Shutdown::Both);
    }

    /// Answers one request. Returns whether the connection stays open.
    fn serve(self: &Arc<Self>, request: &Request, reader: &mut Reader) -> bool {
        let target = Target::of(request);
        let arrival = take(&mut lock(&self.faults), Stage::Arrival, &target, request);
        match arrival {
            Some(Misbehaviour::EarlyStatus(status)) => {
                let mut reply = Reply::error(status, super::fault::code(status), serde_json::Value::Null);
                reply.is_last = true;
                self.record(&target, request, (0, 0, status));
                let _ = reply.write(reader.get_mut().as_mut(), request.method == "HEAD");
                return false;
            }
            Some(Misbehaviour::Hang) => {
                self.record(&target, request, (0, 0, 0));
                self.wait(Duration::from_secs(60));
                return false;
            }
            Some(Misbehaviour::ForgetUploads) => lock(&self.storage).uploads.clear(),
            Some(Misbehaviour::ExpireTokens) => lock(&self.tokens).expire(),
            _ => {}
        }
        let refusal = self.refuse(&target, request);
        let is_admitted = refusal.is_none();
        let fault = is_admitted.then(|| take(&mut lock(&self.faults), Stage::Admitted, &target, request)).flatten();
        let breaks_after = fault.as_ref().and_then(Misbehaviour::breaks_after);
        let mut body = Body::new(reader, request, breaks_after);
        let instead = refusal.or_else(|| fault.as_ref()?.instead(request, &mut body));
        let reply = match instead {
            Some(reply) => Ok(reply),
            None => self.answer(&target, request, &mut body),
        };
        let reply = reply.and_then(|reply| body.drain().map(|()| reply));
        let received = body.received();
        let Some(mut reply) = reply.ok().filter(|_| fault != Some(Misbehaviour::NoReply)) else {
            self.record(&target, request, (received, 0, 0));
            if let Some(Misbehaviour::Stop { back_after, .. }) = fault {
                self.restart(back_after);
            }
            return false;
        };
        if let Some(fault) = &fault {
            fault.change(&mut reply);
        }
        let is_head = request.method == "HEAD";
        let length = if is_head { 0 } else { reply.body.len() as u64 };
        self.record(&target, request, (received, length, reply.status));
        let wants_close = request.header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
        reply.is_last |= wants_close;
        reply.write(reader.get_mut().as_mut(), is_head).is_ok() && !reply.closes()
    }

    /// Returns the right reply. An error means that the connection broke while the body was being read.
    fn answer(&self, target: &Target, request: &Request, body: &mut Body) -> std::io::Result<Reply> {
        let needs_name = !matches!(target.operation, Operation::Version | Operation::Token | Operation::Other);
        if needs_name && !is_repository(&target.repository) {
            return Ok(Reply::error(400, "NAME_INVALID", json!({ "name": target.repository })));
        }
        use Operation::*;
        Ok(match target.operation {
            Version => Reply::json(200, &json!({})).header("Docker-Distribution-API-Version", "registry/2.0"),
            Token => self.give_token(request, body)?,
            GetManifest | HeadManifest | PutManifest | DeleteManifest => self.manifest(target, request, body)?,
            GetBlob | HeadBlob | DeleteBlob => self.blob(target, request),
            ListTags => self.list_tags(target, request),
            ListReferrers => self.list_referrers(target, request),
            Other => Reply::error(404, "UNSUPPORTED", json!({ "path": request.path })),
            _ => self.upload(target, request, body)?,
        })
    }

    /// Records a request, with the numbers of received and sent bytes, and the status.
    fn record(&self, target: &Target, request: &Request, (received_bytes, sent_bytes, status): (u64, u64, u16)) {
        let mut headers = request.headers.clone();
        for name in ["authorization", "proxy-authorization", "cookie"] {
            if let Some(value) = headers.get_mut(name) {
                *value = auth::redacted(value);
            }
        }
        let is_secret = |key: &str| matches!(key, "password" | "refresh_token");
        let query = request.query.iter().filter(|(key, _)| !is_secret(key)).cloned().collect();
        lock(&self.exchanges).push(Exchange {
            operation: target.operation,
            method: request.method.clone(),
            path: request.path.clone(),
            query,
            headers,
            repository: target.repository.clone(),
            reference: target.reference.clone(),
            received_bytes,
            sent_bytes,
            status,
        });
    }

    /// Stops the registry before the client's connection is closed, and starts it again after some time.
    fn restart(self: &Arc<Self>, back_after: Duration) {
        stop(self);
        let shared = Arc::clone(self);
        std::thread::spawn(move || {
            std::thread::sleep(back_after);
            open(&shared);
        });
    }

    /// Waits until the registry stops, but no longer than `limit`.
    fn wait(&self, limit: Duration) {
        let step = Duration::from_millis(20);
        let mut waited = Duration::ZERO;
        while waited < limit && self.is_open.load(Ordering::SeqCst) {
            std::thread::sleep(step);
            waited += step;
        }
    }
}
