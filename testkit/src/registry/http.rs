//! HTTP/1.1 on one connection. The body of a request has a length or is in chunks. Responses are written byte by byte.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::percent_decode_str;

/// A connection, with or without TLS.
pub(super) trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

pub(super) type Reader = BufReader<Box<dyn Stream>>;

/// The first line and the headers of a request.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: String,
    /// The path without the query, with percent signs decoded.
    pub(super) path: String,
    pub(super) query: Vec<(String, String)>,
    /// The headers, with names in lower case.
    pub(super) headers: BTreeMap<String, String>,
}

impl Request {
    /// Returns the first value of a parameter of the query.
    pub(super) fn parameter(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Returns `Content-Length` as a number.
    pub(super) fn length(&self) -> Option<u64> {
        self.header("content-length")?.parse().ok()
    }
}

/// Reads the first line and the headers of the next request. Returns `None` if the connection has ended.
pub(super) fn read_request(reader: &mut Reader) -> Option<Request> {
    let line = read_line(reader)?;
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers: BTreeMap<String, String> = BTreeMap::new();
    loop {
        let line = read_line(reader)?;
        let Some((name, value)) = line.split_once(':') else { break };
        // Some clients send `Accept` once for each media type (RFC 9110, section 5.3).
        let all = headers.entry(name.to_ascii_lowercase()).or_default();
        all.push_str(if all.is_empty() { "" } else { ", " });
        all.push_str(value.trim());
    }
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let path = percent_decode_str(path).decode_utf8_lossy().into_owned();
    Some(Request { method, path, query: parse_form(query), headers })
}

fn read_line(reader: &mut Reader) -> Option<String> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
    Some(line.trim_end().to_owned())
}

/// Parses a query string, or the body of a form.
pub(super) fn parse_form(text: &str) -> Vec<(String, String)> {
    let decoded = |word: &str| percent_decode_str(&word.replace('+', " ")).decode_utf8_lossy().into_owned();
    let pairs = text.split('&').filter(|pair| !pair.is_empty());
    pairs
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .map(|(key, value)| (decoded(key), decoded(value)))
        .collect()
}

#[derive(Debug)]
enum Left {
    Known(u64),
    /// The remaining bytes of the current chunk.
    Chunk(u64),
    Nothing,
}

/// The body of a request, which is read from the connection.
pub(super) struct Body<'a> {
    reader: &'a mut Reader,
    left: Left,
    /// Whether the client waits for `100 Continue` before it sends the body.
    owes_continue: bool,
    /// The number of bytes after which the connection breaks, if a test has set such a fault.
    breaks_after: Option<u64>,
    received: u64,
}

impl<'a> Body<'a> {
    pub(super) fn new(reader: &'a mut Reader, request: &Request, breaks_after: Option<u64>) -> Self {
        let is_chunked = request.header("transfer-encoding").is_some_and(|value| value.eq_ignore_ascii_case("chunked"));
        let left = if is_chunked { Left::Chunk(0) } else { Left::Known(request.length().unwrap_or(0)) };
        let owes_continue = request.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"));
        Self { reader, left, owes_continue, breaks_after, received: 0 }
    }

    /// Returns the number of bytes that were read until now.
    pub(super) fn received(&self) -> u64 {
        self.received
    }

    /// Reads the rest, and discards it.
    pub(super) fn drain(&mut self) -> io::Result<()> {
        io::copy(self, &mut io::sink()).map(drop)
    }

    /// Returns the number of bytes before the next boundary.
    fn available(&mut self) -> io::Result<u64> {
        if let Left::Chunk(0) = self.left {
            let line = read_line(self.reader).ok_or(io::ErrorKind::UnexpectedEof)?;
            let size = line.split(';').next().unwrap_or_default().trim();
            let size = u64::from_str_radix(size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
            self.left = Left::Chunk(size);
            if size == 0 {
                while !read_line(self.reader).ok_or(io::ErrorKind::UnexpectedEof)?.is_empty() {}
                self.left = Left::Nothing;
            }
        }
        Ok(match self.left {
            Left::Known(left) | Left::Chunk(left) => left,
            Left::Nothing => 0,
        })
    }
}

impl Read for Body<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if std::mem::take(&mut self.owes_continue) {
            self.reader.get_mut().write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
            self.reader.get_mut().flush()?;
        }
        let mut most = self.available()?.min(buffer.len() as u64);
        if let Some(limit) = self.breaks_after {
            most = most.min(limit.saturating_sub(self.received));
            if most == 0 {
                return Err(io::ErrorKind::ConnectionReset.into());
            }
        }
        if most == 0 {
            return Ok(0);
        }
        let read = self.reader.read(&mut buffer[..usize::try_from(most).unwrap_or(usize::MAX)])?;
        if read == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.received += read as u64;
        if let Left::Known(left) | Left::Chunk(left) = &mut self.left {
            *left -= read as u64;
            let ends_chunk = *left == 0;
            if ends_chunk && matches!(self.left, Left::Chunk(_)) {
                read_line(self.reader).ok_or(io::ErrorKind::UnexpectedEof)?;
            }
        }
        Ok(read)
    }
}

/// A response that has not been written yet.
#[derive(Debug, Clone)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Arc<[u8]>,
    /// Whether the connection is closed after this reply.
    pub(super) is_last: bool,
    pub(super) delivery: Delivery,
}

/// How the body of a reply is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    Whole,
    /// Only this number of bytes is sent, and then the connection is closed.
    Short(usize),
    /// The body is repeated without end, and its length is not sent.
    Endless,
    /// The body is sent in pieces of `bytes`, with a pause before each piece.
    Slow {
        bytes: usize,
        pause: Duration,
    },
}

impl Reply {
    pub(super) fn new(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Arc::from([]), is_last: false, delivery: Delivery::Whole }
    }

    pub(super) fn json(status: u16, value: &serde_json::Value) -> Self {
        Self::new(status).header("Content-Type", "application/json").body(value.to_string().into_bytes())
    }

    /// Creates an error in the form of the specification (section "Error Codes").
    pub(super) fn error(status: u16, code: &str, detail: serde_json::Value) -> Self {
        Self::errors(status, code, [detail])
    }

    /// Creates several errors of one kind.
    pub(super) fn errors(status: u16, code: &str, details: impl IntoIterator<Item = serde_json::Value>) -> Self {
        let message = code.to_ascii_lowercase().replace('_', " ");
        let error = |detail| serde_json::json!({ "code": code, "message": message, "detail": detail });
        let errors: Vec<serde_json::Value> = details.into_iter().map(error).collect();
        Self::json(status, &serde_json::json!({ "errors": errors }))
    }

    pub(super) fn body(mut self, bytes: impl Into<Arc<[u8]>>) -> Self {
        self.body = bytes.into();
        self
    }

    pub(super) fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.set_header(name, value);
        self
    }

    /// Sets a header, and replaces an existing value.
    pub(super) fn set_header(&mut self, name: &str, value: impl ToString) {
        self.remove_header(name);
        self.headers.push((name.to_owned(), value.to_string()));
    }

    pub(super) fn remove_header(&mut self, name: &str) {
        self.headers.retain(|(key, _)| !key.eq_ignore_ascii_case(name));
    }

    /// Writes the reply. Returns the number of bytes of its body that were sent.
    pub(super) fn write(&self, stream: &mut dyn Stream, is_head: bool) -> io::Result<u64> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in &self.headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        let has_length = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-length"));
        if self.status != 204 && self.delivery != Delivery::Endless && !has_length {
            head.push_str(&format!("Content-Length: {}\r\n", self.body.len()));
        }
        head.push_str(if self.closes() { "Connection: close\r\n\r\n" } else { "\r\n" });
        stream.write_all(head.as_bytes())?;
        let sent = if is_head || self.status == 204 { 0 } else { self.write_body(stream)? };
        stream.flush()?;
        Ok(sent)
    }

    fn write_body(&self, stream: &mut dyn Stream) -> io::Result<u64> {
        match self.delivery {
            Delivery::Whole => stream.write_all(&self.body)?,
            Delivery::Short(length) => {
                let length = length.min(self.body.len());
                stream.write_all(&self.body[..length])?;
                return Ok(length as u64);
            }
            Delivery::Endless => {
                let piece = if self.body.is_empty() { &b"endless "[..] } else { &self.body[..] };
                loop {
                    stream.write_all(piece)?;
                }
            }
            Delivery::Slow { bytes, pause } => {
                for piece in self.body.chunks(bytes.max(1)) {
                    std::thread::sleep(pause);
                    stream.write_all(piece)?;
                    stream.flush()?;
                }
            }
        }
        Ok(self.body.len() as u64)
    }

    /// Returns whether the connection must be closed after this reply.
    pub(super) fn closes(&self) -> bool {
        self.is_last || matches!(self.delivery, Delivery::Short(_) | Delivery::Endless)
    }
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        206 => "Partial Content",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        413 => "Payload Too Large",
        416 => "Range Not Satisfiable",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        507 => "Insufficient Storage",
        _ => "Other",
    }
}
