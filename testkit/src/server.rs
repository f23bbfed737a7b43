//! A small HTTP/1.1 server on loopback. It serves a map of responses, records requests, and can misbehave on request.
//!
//! It supports entity tags (RFC 9110, section 8.8.3), conditional requests (section 13) and single ranges (section 14).

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::digest::{base64, sha256_hex};

/// The response to a path.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Arc<[u8]>,
    pub has_etag: bool,
    pub takes_ranges: bool,
}

impl Response {
    /// Creates a response with status 200 and its own entity tag. It supports ranges.
    pub fn ok(body: impl AsRef<[u8]>) -> Self {
        Self { status: 200, headers: Vec::new(), body: body.as_ref().into(), has_etag: true, takes_ranges: true }
    }

    /// Creates a response with another status. It has no entity tag and does not support ranges.
    pub fn status(status: u16, body: impl AsRef<[u8]>) -> Self {
        Self { status, has_etag: false, takes_ranges: false, ..Self::ok(body) }
    }

    /// Creates a response with status 302, which redirects to `location`.
    pub fn redirect(location: &str) -> Self {
        Self::status(302, "").header("Location", location)
    }

    /// Creates the page that a proxy sends instead of the requested file.
    pub fn proxy_page() -> Self {
        Self::ok("<!DOCTYPE html>\n<html><body>Please log in.</body></html>\n").header("Content-Type", "text/html")
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn without_etag(mut self) -> Self {
        self.has_etag = false;
        self
    }

    pub fn without_ranges(mut self) -> Self {
        self.takes_ranges = false;
        self
    }
}

/// A fault of the server on one path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The next `times` requests get this status.
    Fail { times: u32, status: u16 },
    /// The next `times` responses end after this number of bytes of their body, and the connection is closed.
    Cut { times: u32, after_bytes: usize },
    /// The next `times` requests never get a response.
    Hang { times: u32 },
    /// The next `times` responses are delayed.
    Delay { times: u32, wait: Duration },
    /// The next `times` responses repeat their body without end.
    Endless { times: u32 },
    /// The next `times` responses with a range contain a wrong length of the whole file.
    LieAboutLength { times: u32 },
    /// The next `times` responses wait before each byte of their body, and the body never ends.
    Drip { times: u32, wait: Duration },
}

impl Fault {
    /// Reduces the count by one. Returns whether it was above zero.
    fn consume(&mut self) -> bool {
        let (Self::Fail { times, .. }
        | Self::Cut { times, .. }
        | Self::Hang { times }
        | Self::Delay { times, .. }
        | Self::Endless { times }
        | Self::LieAboutLength { times }
        | Self::Drip { times, .. }) = self;
        let has_left = *times > 0;
        *times = times.saturating_sub(1);
        has_left
    }
}

/// A received request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    /// The path without the query, with percent signs decoded.
    pub path: String,
    pub query: String,
    /// The headers, with names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
    /// The status of the response. It is 0 if there was no response.
    pub status: u16,
}

#[derive(Debug, Default)]
struct Shared {
    routes: Mutex<BTreeMap<String, Response>>,
    faults: Mutex<BTreeMap<String, Fault>>,
    requests: Mutex<Vec<Request>>,
    /// The values of `Authorization` that are accepted, if requests must contain one.
    authorizations: Mutex<Vec<String>>,
    is_closed: AtomicBool,
}

/// The server. The server stops when this value is dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shared: Arc<Shared>,
}

impl Server {
    /// Starts a server on a free port of 127.0.0.1.
    pub fn start(routes: BTreeMap<String, Response>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("a bound socket has an address");
        let shared = Arc::new(Shared { routes: Mutex::new(routes), ..Shared::default() });
        let accepted = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                if accepted.is_closed.load(Ordering::Relaxed) {
                    break;
                }
                let shared = Arc::clone(&accepted);
                if let Ok(stream) = stream {
                    std::thread::spawn(move || shared.talk(&stream));
                }
            }
        });
        Self { address, shared }
    }

    /// Starts a server that has no responses yet.
    pub fn empty() -> Self {
        Self::start(BTreeMap::new())
    }

    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Returns the URL of `path`, which begins with a slash.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Returns the URL of `path` with credentials.
    pub fn url_as(&self, user: &str, password: &str, path: &str) -> String {
        format!("http://{user}:{password}@{}{path}", self.address)
    }

    /// Sets the response for `path`.
    pub fn set(&self, path: &str, response: Response) {
        lock(&self.shared.routes).insert(path.to_owned(), response);
    }

    pub fn remove(&self, path: &str) {
        lock(&self.shared.routes).remove(path);
    }

    /// Returns the current response for `path`.
    pub fn get(&self, path: &str) -> Option<Response> {
        lock(&self.shared.routes).get(path).cloned()
    }

    /// Returns every path that has a response.
    pub fn paths(&self) -> Vec<String> {
        lock(&self.shared.routes).keys().cloned().collect()
    }

    /// Adds a fault on `path`.
    pub fn fault(&self, path: &str, fault: Fault) {
        lock(&self.shared.faults).insert(path.to_owned(), fault);
    }

    /// Refuses every request without these credentials.
    pub fn require_basic(&self, user: &str, password: &str) {
        let value = format!("Basic {}", base64(format!("{user}:{password}").as_bytes()));
        lock(&self.shared.authorizations).push(value);
    }

    /// Returns all requests until now, in the order of their responses.
    pub fn requests(&self) -> Vec<Request> {
        lock(&self.shared.requests).clone()
    }

    /// Returns the requests for one path.
    pub fn requests_of(&self, path: &str) -> Vec<Request> {
        self.requests().into_iter().filter(|request| request.path == path).collect()
    }

    pub fn forget_requests(&self) {
        lock(&self.shared.requests).clear();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.shared.is_closed.store(true, Ordering::Relaxed);
        // Wakes up the thread that accepts connections. If this fails, the thread has already ended.
        let _ = TcpStream::connect_timeout(&self.address, Duration::from_secs(1));
    }
}

/// The bytes to send, and whether the connection is closed after them.
struct Answer {
    status: u16,
    head: Vec<u8>,
    body: Vec<u8>,
    is_last: bool,
    /// The pause before each piece of the body, and the length of a piece. Set if the body is repeated without end.
    endless: Option<(Duration, usize)>,
}

impl Shared {
    /// Serves one connection until it ends.
    fn talk(&self, stream: &TcpStream) {
        let _ = stream.set_read_timeout(Some(Duration::from_secs(30)));
        let _ = stream.set_nodelay(true);
        let mut reader = BufReader::new(stream);
        while let Some(mut request) = read_request(&mut reader) {
            if self.is_closed.load(Ordering::Relaxed) {
                break;
            }
            let answer = self.answer(&request);
            request.status = answer.as_ref().map_or(0, |answer| answer.status);
            lock(&self.requests).push(request);
            let Some(answer) = answer else {
                self.wait_for_the_end(Duration::from_secs(120));
                break;
            };
            let mut writer = stream;
            let body = if answer.endless.is_some() { &[] } else { answer.body.as_slice() };
            let is_sent = writer.write_all(&answer.head).and_then(|()| writer.write_all(body)).is_ok();
            if let Some((wait, length)) = answer.endless.filter(|_| is_sent) {
                self.repeat(stream, &answer.body, wait, length);
            }
            if answer.is_last || !is_sent {
                break;
            }
        }
        let _ = stream.shutdown(Shutdown::Both);
    }

    /// Sends `body` again and again in pieces of `length` bytes, until the client or the server ends the connection.
    fn repeat(&self, mut stream: &TcpStream, body: &[u8], wait: Duration, length: usize) {
        for piece in body.chunks(length.max(1)).cycle() {
            std::thread::sleep(wait);
            if self.is_closed.load(Ordering::Relaxed) || stream.write_all(piece).is_err() {
                return;
            }
        }
    }

    /// Keeps the connection open until the server stops, but no longer than `limit`.
    fn wait_for_the_end(&self, limit: Duration) {
        let step = Duration::from_millis(20);
        let mut waited = Duration::ZERO;
        while waited < limit && !self.is_closed.load(Ordering::Relaxed) {
            std::thread::sleep(step);
            waited += step;
        }
    }

    /// Returns the response to a request. Returns `None` if the request must not get a response.
    fn answer(&self, request: &Request) -> Option<Answer> {
        let fault = lock(&self.faults).get_mut(&request.path).and_then(|fault| fault.consume().then_some(*fault));
        let mut response = self.response(request);
        let (mut cut, mut endless) = (None, None);
        match fault {
            Some(Fault::Fail { status, .. }) => response = Response::status(status, "as the test asked\n"),
            Some(Fault::Hang { .. }) => return None,
            Some(Fault::Cut { after_bytes, .. }) => cut = Some(after_bytes),
            Some(Fault::Delay { wait, .. }) => std::thread::sleep(wait),
            Some(Fault::Endless { .. }) => endless = Some((Duration::ZERO, 64 << 10)),
            Some(Fault::Drip { wait, .. }) => endless = Some((wait, 1)),
            Some(Fault::LieAboutLength { .. }) | None => {}
        }
        let mut answer = write_answer(request, &response, cut);
        if matches!(fault, Some(Fault::LieAboutLength { .. })) && answer.status == 206 {
            let (whole, head) = (response.body.len(), String::from_utf8_lossy(&answer.head));
            answer.head = head.replace(&format!("/{whole}\r\n"), &format!("/{}\r\n", whole + 1)).into_bytes();
        }
        Some(if endless.is_some() { without_end(answer, endless) } else { answer })
    }

    fn response(&self, request: &Request) -> Response {
        let authorizations = lock(&self.authorizations).clone();
        let is_known = request.headers.get("authorization").is_some_and(|value| authorizations.contains(value));
        if !authorizations.is_empty() && !is_known {
            return Response::status(401, "").header("WWW-Authenticate", "Basic realm=\"test\"");
        }
        let routes = lock(&self.routes);
        routes.get(&request.path).cloned().unwrap_or_else(|| Response::status(404, "no such path\n"))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn read_request(reader: &mut BufReader<&TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    Some(Request {
        method,
        path: percent_decode_str(path).decode_utf8_lossy().into_owned(),
        query: query.to_owned(),
        headers,
        body,
        status: 0,
    })
}

fn write_answer(request: &Request, response: &Response, cut: Option<usize>) -> Answer {
    let etag = format!("\"{}\"", &sha256_hex(&response.body)[..16]);
    let mut status = response.status;
    let mut headers = response.headers.clone();
    let mut body = response.body.to_vec();
    let mut add = |name: &str, value: &str| headers.push((name.to_owned(), value.to_owned()));
    if response.has_etag {
        add("ETag", &etag);
    }
    if response.takes_ranges {
        add("Accept-Ranges", "bytes");
    }
    let header = |name: &str| request.headers.get(name).map(String::as_str);
    let is_known = header("if-none-match")
        .is_some_and(|tags| tags == "*" || tags.split(", ").any(|tag| tag.trim_start_matches("W/") == etag));
    let is_same = header("if-range").is_none_or(|tag| tag == etag);
    if response.has_etag && is_known {
        (status, body) = (304, Vec::new());
    } else if let Some(range) = header("range").filter(|_| response.takes_ranges && is_same) {
        let whole = body.len();
        if let Some((first, last)) = parse_range(range, whole) {
            add("Content-Range", &format!("bytes {first}-{last}/{whole}"));
            (status, body) = (206, body[first..=last].to_vec());
        } else {
            add("Content-Range", &format!("bytes */{whole}"));
            (status, body) = (416, Vec::new());
        }
    }
    let is_last = cut.is_some() || header("connection").is_some_and(|value| value.eq_ignore_ascii_case("close"));
    let mut head = format!("HTTP/1.1 {status} {}\r\n", reason(status));
    for (name, value) in &headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    if status != 304 {
        head.push_str(&format!("Content-Length: {}\r\n", body.len()));
    }
    head.push_str(if is_last { "Connection: close\r\n\r\n" } else { "\r\n" });
    if request.method == "HEAD" {
        body.clear();
    }
    body.truncate(cut.unwrap_or(usize::MAX));
    Answer { status, head: head.into_bytes(), body, is_last, endless: None }
}

/// Returns the same response, but its body has no length and does not end.
fn without_end(answer: Answer, endless: Option<(Duration, usize)>) -> Answer {
    let head = String::from_utf8_lossy(&answer.head);
    let mut lines: Vec<&str> = head.lines().filter(|line| !line.is_empty()).collect();
    lines.retain(|line| !line.starts_with("Content-Length") && !line.starts_with("Connection"));
    let head = format!("{}\r\nConnection: close\r\n\r\n", lines.join("\r\n"));
    Answer { head: head.into_bytes(), is_last: true, endless, ..answer }
}

/// Returns the positions of the first and the last byte of a single range. `range` is the value of a header. Returns
/// `None` if the range is invalid.
pub(crate) fn parse_range(range: &str, length: usize) -> Option<(usize, usize)> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let end = length.checked_sub(1)?;
    if first.is_empty() {
        let wanted: usize = last.parse().ok().filter(|wanted| *wanted > 0)?;
        return Some((length.saturating_sub(wanted), end));
    }
    let first: usize = first.parse().ok()?;
    let last = if last.is_empty() { end } else { last.parse::<usize>().ok()?.min(end) };
    (first <= last).then_some((first, last))
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        206 => "Partial Content",
        302 => "Found",
        304 => "Not Modified",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        503 => "Service Unavailable",
        _ => "As Asked",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends one request. Returns the status, the headers in lower case, and the body.
    fn ask(server: &Server, path: &str, headers: &str) -> (u16, String, Vec<u8>) {
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream.set_read_timeout(Some(Duration::from_millis(1500))).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{headers}\r\n").unwrap();
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            return (0, String::new(), bytes);
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head, bytes[end + 4..].to_vec())
    }

    fn etag(head: &str) -> String {
        head.lines().find_map(|line| line.strip_prefix("etag: ")).unwrap().to_owned()
    }

    #[test]
    fn a_path_is_served_and_remembered() {
        let server = Server::empty();
        server.set("/a+b", Response::ok("hello").header("Content-Type", "text/plain"));
        let (status, head, body) = ask(&server, "/a%2Bb?x=1", "X-Mine: 7\r\n");
        assert_eq!((status, body.as_slice()), (200, b"hello".as_slice()));
        assert!(head.contains("content-type: text/plain"), "{head}");
        assert_eq!(ask(&server, "/none", "").0, 404);
        let requests = server.requests();
        assert_eq!(requests[0].headers["x-mine"], "7");
        assert_eq!((requests[0].query.as_str(), requests[1].status), ("x=1", 404));
    }

    #[test]
    fn an_entity_tag_that_is_known_is_answered_304() {
        let server = Server::empty();
        server.set("/a", Response::ok("hello"));
        let tag = etag(&ask(&server, "/a", "").1);
        let (status, _, body) = ask(&server, "/a", &format!("If-None-Match: {tag}\r\n"));
        assert_eq!((status, body.len()), (304, 0));
        server.set("/a", Response::ok("changed"));
        assert_eq!(ask(&server, "/a", &format!("If-None-Match: {tag}\r\n")).2, b"changed");
    }

    #[test]
    fn ranges_give_their_part_or_416() {
        let server = Server::empty();
        server.set("/a", Response::ok("0123456789"));
        for (range, part) in [("2-4", "234"), ("7-", "789"), ("-3", "789"), ("5-99", "56789")] {
            let (status, head, body) = ask(&server, "/a", &format!("Range: bytes={range}\r\n"));
            assert_eq!((status, body.as_slice()), (206, part.as_bytes()), "{head}");
            assert!(head.contains("/10"), "{head}");
        }
        assert_eq!(ask(&server, "/a", "Range: bytes=10-\r\n").0, 416);
        let (status, _, body) = ask(&server, "/a", "Range: bytes=2-4\r\nIf-Range: \"older\"\r\n");
        assert_eq!((status, body.len()), (200, 10), "what changed is sent whole");
        server.set("/a", Response::ok("0123456789").without_ranges());
        assert_eq!(ask(&server, "/a", "Range: bytes=2-4\r\n").0, 200);
    }

    #[test]
    fn faults_come_as_often_as_asked() {
        let server = Server::empty();
        server.set("/a", Response::ok("0123456789"));
        server.fault("/a", Fault::Fail { times: 2, status: 503 });
        let statuses: Vec<u16> = (0..3).map(|_| ask(&server, "/a", "").0).collect();
        assert_eq!(statuses, [503, 503, 200]);
        server.fault("/a", Fault::Cut { times: 1, after_bytes: 4 });
        let (_, head, body) = ask(&server, "/a", "");
        assert!(head.contains("content-length: 10"), "{head}");
        assert_eq!(body, b"0123");
        assert_eq!(ask(&server, "/a", "Range: bytes=4-\r\n").2, b"456789");
        server.fault("/a", Fault::Hang { times: 1 });
        assert_eq!(ask(&server, "/a", ""), (0, String::new(), Vec::new()));
        assert_eq!(ask(&server, "/a", "").0, 200);
    }

    #[test]
    fn a_protected_server_takes_only_its_credentials() {
        let server = Server::empty();
        server.set("/a", Response::ok("secret"));
        server.require_basic("me", "pass");
        assert_eq!(ask(&server, "/a", "").0, 401);
        assert_eq!(ask(&server, "/a", "Authorization: Basic bWU6cGFzcw==\r\n").2, b"secret");
        assert_eq!(ask(&server, "/a", "Authorization: Basic bWU6d3Jvbmc=\r\n").0, 401);
    }

    #[test]
    fn one_connection_serves_several_requests() {
        let server = Server::empty();
        server.set("/a", Response::ok("12"));
        let mut stream = TcpStream::connect(server.address).unwrap();
        stream
            .write_all(b"GET /a HTTP/1.1\r\n\r\nHEAD /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 2, "{text}");
        assert_eq!(text.matches("HTTP/1.1 404").count(), 1, "{text}");
    }
}
