//! Reads binary packages of Debian as a stream: deb(5) and deb-control(5).

use std::io::{self, Read};

use thiserror::Error;

/// The most bytes that a data member may unpack to.
const MAX_DATA_BYTES: u64 = 8 << 30;
/// How many times its packed size a data member may unpack to. Even the densest honest packages stay below 100.
const MAX_RATIO: u64 = 500;
/// A data member may unpack to this many bytes at any ratio.
const RATIO_FREE_BYTES: u64 = 64 << 20;
/// The most bytes that the control member may unpack to. It is limited because it is held in memory.
const MAX_CONTROL_BYTES: u64 = 64 << 20;
/// The memory that xz may use to unpack. `xz -9`, the highest level that Debian's tools use, needs 65 MiB.
const MAX_XZ_MEMORY_BYTES: u64 = 128 << 20;
/// A tar consists of blocks of this size and ends with two blocks of zeros (POSIX, pax, "ustar Interchange Format").
/// One block is accepted too.
const TAR_BLOCK_BYTES: u64 = 512;

#[derive(Debug, Error)]
pub(crate) enum DebError {
    #[error("cannot read the package: it is no archive of deb(5)")]
    Archive(#[source] io::Error),
    #[error("cannot read the package: its first member is not `debian-binary` of version 2")]
    Version,
    #[error("cannot read the package: it has no member `{0}`")]
    Missing(&'static str),
    #[error("cannot read `{member}`: its compression is none of xz, zst and gz")]
    Compression { member: String },
    #[error("cannot read `{member}`")]
    Member { member: String, source: io::Error },
    #[error("cannot read `{member}`: it is cut short, or its size is not what the package tells")]
    Cut { member: String },
    #[error("cannot unpack `{path}`: it is a {kind}, which no image needs")]
    Special { path: String, kind: &'static str },
    #[error("cannot read `{path}`: its name is not UTF-8")]
    Name { path: String },
}

/// One path of `data.tar`, spelled like in the archive.
pub(crate) enum DebEntry<'a> {
    Directory,
    File(&'a mut dyn Read),
    Link(String),
    /// A hard link to an earlier path.
    HardLink(String),
}

/// Reads the package: returns the control files by name, and passes each path of the data to `take` with its mode.
///
/// `E` also carries the errors of `take`.
pub(crate) fn read<E: From<DebError>>(
    reader: impl Read,
    mut take: impl FnMut(String, u32, DebEntry<'_>) -> Result<(), E>,
) -> Result<Vec<(String, String)>, E> {
    let mut archive = ar::Archive::new(reader);
    let mut control = None;
    let mut is_first = true;
    while let Some(member) = archive.next_entry() {
        let mut member = member.map_err(DebError::Archive)?;
        let name = String::from_utf8_lossy(member.header().identifier()).trim_end_matches('/').to_owned();
        if is_first {
            let mut version = String::new();
            let read = member.by_ref().take(16).read_to_string(&mut version);
            if name != "debian-binary" || read.is_err() || !version.starts_with("2.") {
                return Err(DebError::Version.into());
            }
            is_first = false;
        } else if name.starts_with("control.tar") {
            control = Some(read_control(&name, &mut member)?);
        } else if name.starts_with("data.tar") {
            let control = control.ok_or(DebError::Missing("control.tar"))?;
            read_data(&name, member, &mut take)?;
            return Ok(control);
        }
    }
    let missing = if is_first { DebError::Version } else { DebError::Missing("data.tar") };
    Err(missing.into())
}

/// An unpacked member. Reading fails if it grows beyond its limit. [`Self::finish`] checks that its tar is complete.
struct Unpacked<'a> {
    inner: Box<dyn Read + 'a>,
    limit_bytes: u64,
    read_bytes: u64,
}

impl<'a> Unpacked<'a> {
    fn new(name: &str, member: &'a mut dyn Read, limit_bytes: u64) -> Result<Self, DebError> {
        let failed = |source| DebError::Member { member: name.to_owned(), source };
        let inner: Box<dyn Read + 'a> = match name.rsplit('.').next() {
            Some("tar") => Box::new(member),
            Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(member)),
            Some("xz") => {
                let stream =
                    liblzma::stream::Stream::new_stream_decoder(MAX_XZ_MEMORY_BYTES, liblzma::stream::CONCATENATED);
                Box::new(liblzma::read::XzDecoder::new_stream(member, stream.map_err(|error| failed(error.into()))?))
            }
            Some("zst") => Box::new(zstd::Decoder::new(member).map_err(failed)?),
            _ => return Err(DebError::Compression { member: name.to_owned() }),
        };
        Ok(Self { inner, limit_bytes, read_bytes: 0 })
    }

    /// Reads to the end and returns whether the tar has an end marker after `end`, the offset at which its last entry
    /// ends. Reading to the end also verifies the checksums, because they come last.
    fn finish(mut self, end: u64) -> io::Result<bool> {
        io::copy(&mut self, &mut io::sink())?;
        let is_whole = self.read_bytes.is_multiple_of(TAR_BLOCK_BYTES);
        Ok(is_whole && self.read_bytes >= end.saturating_add(TAR_BLOCK_BYTES))
    }
}

impl Read for Unpacked<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.read_bytes += length as u64;
        if self.read_bytes > self.limit_bytes {
            let text = format!("it unpacks to more than {} MB, as only a bomb does", self.limit_bytes / 1_000_000);
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(length)
    }
}

fn read_control(name: &str, member: &mut dyn Read) -> Result<Vec<(String, String)>, DebError> {
    let failed = |source| DebError::Member { member: name.to_owned(), source };
    let mut archive = tar::Archive::new(Unpacked::new(name, member, MAX_CONTROL_BYTES)?);
    let mut files = Vec::new();
    let mut end = 0;
    for entry in archive.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        end = end_of(&entry).map_err(failed)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = entry.path().map_err(failed)?.to_string_lossy().trim_start_matches("./").to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(failed)?;
        files.push((path, String::from_utf8_lossy(&bytes).into_owned()));
    }
    if !archive.into_inner().finish(end).map_err(failed)? {
        return Err(DebError::Cut { member: name.to_owned() });
    }
    if !files.iter().any(|(path, _)| path == "control") {
        return Err(DebError::Missing("control.tar/control"));
    }
    files.sort();
    Ok(files)
}

fn read_data<E: From<DebError>>(
    name: &str,
    mut member: ar::Entry<'_, impl Read>,
    take: &mut impl FnMut(String, u32, DebEntry<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let failed = |source| DebError::Member { member: name.to_owned(), source };
    let packed_bytes = member.header().size();
    let limit_bytes = packed_bytes.saturating_mul(MAX_RATIO).clamp(RATIO_FREE_BYTES, MAX_DATA_BYTES);
    let mut counted = Counted { inner: &mut member, read_bytes: 0 };
    let mut archive = tar::Archive::new(Unpacked::new(name, &mut counted, limit_bytes)?);
    let mut end = 0;
    for entry in archive.entries().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        end = end_of(&entry).map_err(failed)?;
        read_entry(entry, name, take)?;
    }
    let is_ended = archive.into_inner().finish(end).map_err(failed)?;
    io::copy(&mut counted, &mut io::sink()).map_err(failed)?;
    if !is_ended || counted.read_bytes != packed_bytes {
        return Err(DebError::Cut { member: name.to_owned() }.into());
    }
    Ok(())
}

/// Returns the offset from the beginning of the tar at which the blocks of an entry end.
fn end_of<R: Read>(entry: &tar::Entry<'_, R>) -> io::Result<u64> {
    let size_bytes = entry.header().entry_size()?;
    Ok(entry.raw_file_position().saturating_add(size_bytes).next_multiple_of(TAR_BLOCK_BYTES))
}

struct Counted<R> {
    inner: R,
    read_bytes: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        self.read_bytes += length as u64;
        Ok(length)
    }
}

fn read_entry<E: From<DebError>>(
    mut entry: tar::Entry<'_, Unpacked<'_>>,
    member: &str,
    take: &mut impl FnMut(String, u32, DebEntry<'_>) -> Result<(), E>,
) -> Result<(), E> {
    use tar::EntryType;
    let path = match std::str::from_utf8(&entry.path_bytes()) {
        Ok(path) => path.to_owned(),
        Err(_) => {
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            return Err(DebError::Name { path }.into());
        }
    };
    let mode = entry.header().mode();
    let mode = mode.map_err(|source| DebError::Member { member: member.to_owned(), source })? & 0o7777;
    let kind = entry.header().entry_type();
    let special = |kind| DebError::Special { path: path.clone(), kind };
    let target = || -> Result<String, DebError> {
        let bytes = entry.link_name_bytes().unwrap_or_default();
        String::from_utf8(bytes.into_owned()).map_err(|_| DebError::Name { path: path.clone() })
    };
    match kind {
        EntryType::Directory => take(path, mode, DebEntry::Directory)?,
        EntryType::Regular | EntryType::Continuous | EntryType::GNUSparse => {
            take(path, mode, DebEntry::File(&mut entry))?;
        }
        EntryType::Symlink => {
            let target = target()?;
            take(path, mode, DebEntry::Link(target))?;
        }
        EntryType::Link => {
            let target = target()?;
            take(path, mode, DebEntry::HardLink(target))?;
        }
        EntryType::Char | EntryType::Block => return Err(special("device").into()),
        EntryType::Fifo => return Err(special("pipe").into()),
        // Global pax headers contain nothing that an image needs.
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use testkit::{Compression, DebBuilder};

    use super::*;

    /// A reader that returns at most three bytes at a time.
    struct Sips<'a>(&'a [u8]);

    impl Read for Sips<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = buffer.len().min(3);
            self.0.read(&mut buffer[..most])
        }
    }

    /// Returns the names of the control files, then one line per path.
    fn listing(reader: impl Read) -> Result<Vec<String>, DebError> {
        let mut lines = Vec::new();
        let control = read(reader, |path, mode, entry| {
            let kind = match entry {
                DebEntry::Directory => "folder".to_owned(),
                DebEntry::File(reader) => {
                    let mut bytes = Vec::new();
                    let read = reader.read_to_end(&mut bytes);
                    read.map_err(|source| DebError::Member { member: path.clone(), source })?;
                    format!("file of {}", bytes.len())
                }
                DebEntry::Link(target) => format!("link to {target}"),
                DebEntry::HardLink(target) => format!("hard link to {target}"),
            };
            lines.push(format!("{path} {mode:o} {kind}"));
            Ok::<_, DebError>(())
        })?;
        Ok(control.into_iter().map(|(name, _)| name).chain(lines).collect())
    }

    fn demo() -> DebBuilder {
        DebBuilder::new("demo", "1", "all").script("postinst", "#!/bin/sh\n").file("usr/bin/demo", 0o4755, "text")
    }

    #[test]
    fn every_compression_gives_the_same_and_in_small_sips_too() {
        let expected = ["control", "postinst", "./ 755 folder", "./usr/ 755 folder", "./usr/bin/ 755 folder"];
        let expected: Vec<&str> = expected.into_iter().chain(["./usr/bin/demo 4755 file of 4"]).collect();
        for compression in [Compression::Xz, Compression::Zstd, Compression::Gzip, Compression::None] {
            let bytes = demo().compression(compression).build();
            assert_eq!(listing(bytes.as_slice()).unwrap(), expected, "{compression:?}");
            assert_eq!(listing(Sips(&bytes)).unwrap(), expected, "{compression:?}, in sips");
        }
    }

    fn refusal(bytes: &[u8], what: &str) -> String {
        let error = listing(bytes).expect_err(what);
        let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        format!("{error}: {cause}")
    }

    #[test]
    fn a_hostile_package_is_refused_by_what_is_wrong_with_it() {
        let patched = |from: &str, to: &str| {
            let mut bytes = demo().build();
            let at = bytes.windows(from.len()).position(|window| window == from.as_bytes()).unwrap();
            bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
            bytes
        };
        let zeros = demo().compression(Compression::Zstd).file("zeros", 0o644, vec![0; 80 << 20]);
        let table = [
            (demo().device("dev/sda").build(), "cannot unpack `./dev/sda`: it is a device"),
            (demo().fifo("run/pipe").build(), "cannot unpack `./run/pipe`: it is a pipe"),
            (zeros.build(), "it unpacks to more than 67 MB"),
            (b"<html>Please log in.</html>".to_vec(), "it is no archive of deb(5)"),
            (b"!<arch>\n".to_vec(), "its first member is not `debian-binary` of version 2"),
            (patched("2.0\n", "3.0\n"), "its first member is not `debian-binary` of version 2"),
            (patched("data.tar.xz ", "data.tar.bz2"), "cannot read `data.tar.bz2`: its compression is none of"),
            (patched("data.tar.xz ", "date.tar.xz "), "it has no member `data.tar`"),
            (patched("control.tar.xz", "contrul.tar.xz"), "it has no member `control.tar`"),
        ];
        for (bytes, message) in table {
            let said = refusal(&bytes, message);
            assert!(said.contains(message), "{message}: {said}");
        }
    }

    #[test]
    fn a_data_member_that_lies_about_its_size_is_refused() {
        for compression in [Compression::Xz, Compression::Zstd, Compression::Gzip, Compression::None] {
            for lie in [-2048, -1024, -600, -4, 4, 600, 1 << 20] {
                let deb = demo().compression(compression);
                let packed_is_small = compression != Compression::None && lie < -4;
                if !packed_is_small {
                    let said = refusal(&deb.lies_about_size(lie).build(), &format!("{compression:?} {lie}"));
                    assert!(said.starts_with("cannot read `data.tar"), "{compression:?} {lie}: {said}");
                }
            }
        }
    }

    #[test]
    fn what_was_cut_or_altered_never_panics_and_what_was_cut_is_refused() {
        for compression in [Compression::Xz, Compression::Zstd, Compression::Gzip] {
            let whole = demo().compression(compression).build();
            // The last byte may be the padding that gives the member an even size.
            for length in 0..whole.len() - 1 {
                assert!(listing(&whole[..length]).is_err(), "{compression:?} cut after {length} bytes");
            }
            for position in 0..whole.len() {
                let mut altered = whole.clone();
                altered[position] ^= 1 << (position % 8);
                // A byte that is never read may change without harm. This test only checks that the call returns.
                let _ = listing(altered.as_slice());
            }
        }
    }
}
