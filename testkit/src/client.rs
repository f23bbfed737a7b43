//! A small HTTP client for the tests of servers. It sends one request per connection, follows no redirects and repeats
//! nothing.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// A client of one server.
#[derive(Debug, Clone)]
pub struct Client {
    /// The server's host and port.
    host: String,
    tls: Option<Arc<ClientConfig>>,
    authorization: Option<String>,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// The headers, with names in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Answer {
    /// Returns a header. Returns an empty text if there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }

    /// Returns the body as JSON. Returns null if it is not JSON.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

impl Client {
    /// Creates a client for a host and a port, without TLS.
    pub fn new(host: &str) -> Self {
        Self { host: host.to_owned(), tls: None, authorization: None }
    }

    /// Uses TLS, and trusts only this authority.
    pub fn trusting(mut self, authority_pem: &str) -> Self {
        let mut roots = RootCertStore::empty();
        let authority = CertificateDer::from_pem_slice(authority_pem.as_bytes()).expect("a certificate in PEM");
        roots.add(authority).expect("a certificate of an authority");
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("the provider supports the default versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        self.tls = Some(Arc::new(config));
        self
    }

    /// Sends this value of `Authorization` with each request.
    pub fn authorized(mut self, value: &str) -> Self {
        self.authorization = Some(value.to_owned());
        self
    }

    /// Sends one request. `target` is a path, or a URL of this server.
    pub fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Answer> {
        let path = match target.split_once("://") {
            Some((_, rest)) => &rest[rest.find('/').unwrap_or(rest.len())..],
            None => target,
        };
        let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.host);
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(value) = &self.authorization {
            head.push_str(&format!("Authorization: {value}\r\n"));
        }
        let states_length = headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("transfer-encoding"));
        if !states_length && (!body.is_empty() || !matches!(method, "GET" | "HEAD")) {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        let mut stream = self.connect()?;
        stream.write_all(head.as_bytes())?;
        // If the server has already answered, it may not read the whole body.
        let _ = stream.write_all(body);
        let _ = stream.flush();
        read_answer(&mut stream, method == "HEAD")
    }

    fn connect(&self) -> io::Result<Box<dyn Stream>> {
        let stream = TcpStream::connect(&self.host)?;
        stream.set_read_timeout(Some(Duration::from_secs(20)))?;
        let Some(config) = &self.tls else { return Ok(Box::new(stream)) };
        let name = self.host.rsplit_once(':').map_or(self.host.as_str(), |(name, _)| name).to_owned();
        let name = ServerName::try_from(name).map_err(io::Error::other)?;
        let session = ClientConnection::new(Arc::clone(config), name).map_err(io::Error::other)?;
        Ok(Box::new(StreamOwned::new(session, stream)))
    }
}

trait Stream: Read + Write {}

impl<T: Read + Write> Stream for T {}

fn read_answer(stream: &mut dyn Stream, is_head: bool) -> io::Result<Answer> {
    let mut bytes = Vec::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => bytes.extend_from_slice(&buffer[..read]),
            // A server may close a TLS connection without a closing message.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
            Err(error) if bytes.is_empty() => return Err(error),
            Err(_) => break,
        }
        if let Some(answer) = parse(&bytes, is_head).filter(|answer| is_whole(answer, is_head)) {
            return Ok(answer);
        }
    }
    parse(&bytes, is_head).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

fn is_whole(answer: &Answer, is_head: bool) -> bool {
    let length = answer.header("content-length").parse::<usize>();
    is_head || answer.status == 204 || length.is_ok_and(|length| answer.body.len() >= length)
}

fn parse(bytes: &[u8], is_head: bool) -> Option<Answer> {
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let head = String::from_utf8_lossy(&bytes[..end]);
    let mut lines = head.lines();
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let pairs = lines.filter_map(|line| line.split_once(':'));
    let headers: BTreeMap<String, String> =
        pairs.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    let body = if is_head { Vec::new() } else { bytes[end + 4..].to_vec() };
    let is_chunked = headers.get("transfer-encoding").is_some_and(|value| value == "chunked");
    let body = if is_chunked { unchunked(&body) } else { body };
    Some(Answer { status, headers, body })
}

/// Returns the bytes of all chunks that were received.
fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    while let Some(end) = bytes.windows(2).position(|window| window == b"\r\n") {
        let size = usize::from_str_radix(&String::from_utf8_lossy(&bytes[..end]), 16).unwrap_or(0);
        let start = end + 2;
        if size == 0 || bytes.len() < start + size + 2 {
            break;
        }
        whole.extend_from_slice(&bytes[start..start + size]);
        bytes = &bytes[start + size + 2..];
    }
    whole
}
