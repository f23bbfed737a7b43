//! File formats of others: bytes to values and back, no I/O of their own. Here is what the formats that consist of tars
//! share.

pub(crate) mod deb;
pub(crate) mod deb822;
pub(crate) mod elf;
pub(crate) mod ldcache;
pub(crate) mod metadata;
pub(crate) mod oci_layout;
pub(crate) mod relation;
pub(crate) mod release;
pub(crate) mod saved_image;
pub(crate) mod tarball;
pub(crate) mod wheel;

use std::cell::Cell;
use std::io::{self, Read};
use std::rc::Rc;

/// What the headers of one entry may come to. The `tar` crate holds long names and pax records in memory.
const MAX_HEADERS_BYTES: u64 = 1 << 20;

/// Hands each entry of the tar in `reader` to `take`, and gives the reader back.
///
/// Fails if the headers of an entry are larger than any honest tar's: a name of a gigabyte takes little space when it
/// is compressed.
fn each_entry<R: Read, E>(
    reader: R,
    failed: impl Fn(io::Error) -> E,
    mut take: impl FnMut(&mut tar::Entry<'_, Headers<R>>) -> Result<(), E>,
) -> Result<R, E> {
    let left_bytes = Rc::new(Cell::new(MAX_HEADERS_BYTES));
    let mut archive = tar::Archive::new(Headers { inner: reader, left_bytes: Rc::clone(&left_bytes) });
    for entry in archive.entries().map_err(&failed)? {
        let mut entry = entry.map_err(&failed)?;
        left_bytes.set(u64::MAX);
        take(&mut entry)?;
        // The holes of a sparse file are no bytes of the tar, so it is skipped by the size that it has there.
        let unread_bytes = if entry.header().entry_type().is_gnu_sparse() {
            entry.header().entry_size().map_err(&failed)?
        } else {
            io::copy(&mut entry, &mut io::sink()).map_err(&failed)?;
            0
        };
        left_bytes.set(unread_bytes.saturating_add(MAX_HEADERS_BYTES));
    }
    Ok(archive.into_inner().inner)
}

/// A reader that stops when the headers of an entry take more than their limit.
struct Headers<R> {
    inner: R,
    left_bytes: Rc<Cell<u64>>,
}

impl<R: Read> Read for Headers<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        let left_bytes = self.left_bytes.get().checked_sub(length as u64);
        let too_large = || io::Error::new(io::ErrorKind::InvalidData, "the headers of an entry are too large");
        self.left_bytes.set(left_bytes.ok_or_else(too_large)?);
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_to_their_end_and_too_large_headers_are_refused() {
        let written = |name: &str| {
            let mut bytes = Vec::new();
            for name in [name, "second"] {
                tarball::write_file(&mut bytes, name, 3, 0, &mut b"abc".as_slice()).unwrap();
            }
            bytes.extend(tarball::END);
            bytes
        };
        let names = |bytes: &[u8]| {
            let mut names = Vec::new();
            each_entry(
                bytes,
                |error| error,
                |entry| {
                    // Of each file, one byte is read.
                    entry.read_exact(&mut [0])?;
                    names.push(String::from_utf8_lossy(&entry.path_bytes()).into_owned());
                    Ok(())
                },
            )?;
            io::Result::Ok(names)
        };
        let long = "n".repeat(100_000);
        assert_eq!(names(&written(&long)).unwrap(), [long.as_str(), "second"]);
        let error = names(&written(&"n".repeat(2 << 20))).unwrap_err();
        assert_eq!(error.to_string(), "the headers of an entry are too large");
    }
}
