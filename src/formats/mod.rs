//! File formats that others have defined. The modules here convert bytes to values and back, and do no I/O themselves.
//! This file contains the code that several formats with tar files share.

pub(crate) mod compressed;
pub(crate) mod deb;
pub(crate) mod deb822;
pub(crate) mod elf;
pub(crate) mod git_index;
pub(crate) mod gsettings;
pub(crate) mod layer;
pub(crate) mod ld_so_conf;
pub(crate) mod ldcache;
pub(crate) mod mentions;
pub(crate) mod metadata;
pub(crate) mod names_in_binary;
pub(crate) mod oci;
pub(crate) mod pins;
pub(crate) mod procfile;
pub(crate) mod pylock;
pub(crate) mod pyproject;
pub(crate) mod python_imports;
pub(crate) mod relation;
pub(crate) mod release;
pub(crate) mod requirements_txt;
pub(crate) mod script_metadata;
pub(crate) mod sdist;
pub(crate) mod tar_listing;
pub(crate) mod tarball;
pub(crate) mod wheel;
pub(crate) mod zstd_chunked;

use std::cell::Cell;
use std::io::{self, Read, Seek, SeekFrom};
use std::rc::Rc;

/// The maximum size of the headers of one entry. The size is limited, because the `tar` crate holds long names and pax
/// records in memory.
const MAX_HEADERS_BYTES: u64 = 1 << 20;

/// Calls `take` for each entry of the tar file in `reader`, and then returns the reader.
///
/// Fails if the headers of an entry are larger than in any usual tar file. Without this limit, a small compressed file
/// could contain a name of a gigabyte.
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
        // The holes of a sparse file are not in the tar file. So the number of bytes to skip is the size that the file
        // has in the tar file.
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

/// A reader that fails if the headers of an entry exceed their limit.
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

impl<R: Seek> Seek for Headers<R> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

/// Returns a name from a tar file without a leading slash or `./`.
fn tar_name(name: &[u8]) -> String {
    String::from_utf8_lossy(name).trim_start_matches("./").trim_start_matches('/').to_owned()
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
                    // Only one byte of each file is read here.
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
