//! Reads unpacked texts of the archive, with limits on the whole text and on each line.

use std::io::{self, BufRead, Read};

/// The limit for a line of any list. A line contains a path and the packages that contain this path.
const MAX_LINE_BYTES: u64 = 1 << 20;

/// A reader that fails if its source has more bytes than allowed. `Read::take` is not enough, because it reports the
/// end of the file at the limit. A text that is too long would then look complete.
pub(super) struct Bounded<R> {
    reader: R,
    max_bytes: u64,
    read_bytes: u64,
}

impl<R> Bounded<R> {
    pub(super) fn new(reader: R, max_bytes: u64) -> Self {
        Self { reader, max_bytes, read_bytes: 0 }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.reader.read(buffer)?;
        self.read_bytes += length as u64;
        if self.read_bytes > self.max_bytes {
            return Err(too_large("it unpacks to", self.max_bytes));
        }
        Ok(length)
    }
}

/// Reads the next line into `line`, with its line break. Returns `false` if there is no further line.
pub(super) fn read_line(mut reader: impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let length = reader.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', line)? as u64;
    if length == MAX_LINE_BYTES && !line.ends_with(b"\n") {
        return Err(too_large("one of its lines has", MAX_LINE_BYTES));
    }
    Ok(length > 0)
}

fn too_large(what: &str, max_bytes: u64) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{what} more than {max_bytes} bytes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_too_large_fails_and_is_not_cut() {
        let mut text = String::new();
        Bounded::new(b"abc".as_slice(), 3).read_to_string(&mut text).unwrap();
        assert_eq!(text, "abc");
        let error = Bounded::new(io::repeat(b'x'), 3).read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.to_string(), "it unpacks to more than 3 bytes");
    }

    #[test]
    fn a_line_without_an_end_fails() {
        let mut line = Vec::new();
        let mut reader = b"a\nb".as_slice();
        for expected in [b"a\n".as_slice(), b"b"] {
            assert!(read_line(&mut reader, &mut line).unwrap() && line == expected);
        }
        assert!(!read_line(&mut reader, &mut line).unwrap());
        let error = read_line(io::BufReader::new(io::repeat(b'x')), &mut line).unwrap_err();
        assert_eq!(error.to_string(), "one of its lines has more than 1048576 bytes");
    }
}
