//! Reads binary packages of Debian as a stream: deb(5) and deb-control(5).

use std::io::{self, Read};

use thiserror::Error;

use super::{Headers, each_entry};

/// The maximum unpacked size of a data member.
const MAX_DATA_BYTES: u64 = 8 << 30;
/// The maximum ratio between the unpacked size and the compressed size of a data member. Even packages that compress
/// very well stay below 100.
const MAX_RATIO: u64 = 500;
/// Up to this unpacked size, the ratio is not checked.
const RATIO_FREE_BYTES: u64 = 64 << 20;
/// The maximum unpacked size of the control member. The size is limited, because the member is held in memory.
const MAX_CONTROL_BYTES: u64 = 64 << 20;
/// The memory limit for unpacking xz. `xz -9`, the highest level that Debian's tools use, needs 65 MiB.
const MAX_XZ_MEMORY_BYTES: u64 = 128 << 20;
/// A tar file consists of blocks of this size, and ends with two blocks of zeros (POSIX, pax, "ustar Interchange
/// Format"). One block at the end is accepted too.
const TAR_BLOCK_BYTES: u64 = 512;

#[derive(Debug, Error)]
pub(crate) enum DebError {
    #[error("cannot read the package: it is not an archive as described in deb(5)")]
    Archive(#[source] io::Error),
    #[error("cannot read the package: its first member is not `debian-binary` of version 2")]
    Version,
    #[error("cannot read the package: it has no member `{0}`")]
    Missing(&'static str),
    #[error("cannot read `{member}`: its compression is not xz, zst or gz")]
    Compression { member: String },
    #[error("cannot read `{member}`")]
    Member { member: String, source: io::Error },
    #[error("cannot read `{member}`: it is cut short, or it does not have the size that the package declares")]
    Cut { member: String },
    #[error("cannot unpack `{path}`: it is a {kind}, which no image needs")]
    Special { path: String, kind: &'static str },
    #[error("cannot read `{path}`: its name is not UTF-8")]
    Name { path: String },
    #[error("cannot unpack `{path}`: the target of the link is empty, too long or contains a NUL")]
    Target { path: String },
}

/// One path of `data.tar`, written as in the archive.
pub(crate) enum DebEntry<'a> {
    Directory,
    File(&'a mut dyn Read),
    Link(String),
    /// A hard link to an earlier path.
    HardLink(String),
}

/// Reads the package. Calls `take` with each path of the data, its mode and its contents. Returns the control files by
/// name.
///
/// `E` is the type for the errors of this function and of `take`.
pub(crate) fn read<E: From<DebError>>(
    reader: impl Read,
    mut take: impl FnMut(String, u32, DebEntry<'_>) -> Result<(), E>,
) -> Result<Vec<(String, String)>, E> {
    let mut members = Members::open(reader).map_err(DebError::Archive)?;
    let mut control = None;
    let mut is_first = true;
    while let Some((name, size_bytes)) = members.next().map_err(DebError::Archive)? {
        let member = &mut members.current;
        if is_first {
            let mut version = String::new();
            let read = member.take(16).read_to_string(&mut version);
            if name != "debian-binary" || read.is_err() || !version.starts_with("2.") {
                return Err(DebError::Version.into());
            }
            is_first = false;
        } else if name.starts_with("control.tar") {
            control = Some(read_control(&name, member)?);
        } else if name.starts_with("data.tar") {
            let control = control.ok_or(DebError::Missing("control.tar"))?;
            read_data(&name, size_bytes, member, &mut take)?;
            return Ok(control);
        }
    }
    let missing = if is_first { DebError::Version } else { DebError::Missing("data.tar") };
    Err(missing.into())
}

/// Reads the members of an ar archive, one after the other. Only short names are supported, because deb(5) allows no
/// long names.
///
/// A reader that supports long names must reserve as much memory as a header claims, so a hostile package could fill
/// the memory. No package needs long names.
struct Members<R> {
    /// The remaining bytes of the current member.
    current: io::Take<R>,
    /// Whether a byte of padding follows the current member.
    is_padded: bool,
}

impl<R: Read> Members<R> {
    fn open(reader: R) -> io::Result<Self> {
        const MAGIC: &[u8] = b"!<arch>\n";
        let mut members = Self { current: reader.take(0), is_padded: false };
        if members.read(MAGIC.len() as u64)? != MAGIC {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it does not begin like an ar archive"));
        }
        Ok(members)
    }

    /// Goes to the next member and returns its name and its size. Returns `None` at the end of the archive.
    fn next(&mut self) -> io::Result<Option<(String, u64)>> {
        const HEADER_BYTES: usize = 60;
        const NAME_BYTES: usize = 16;
        let refuse = |problem| Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        io::copy(&mut self.current, &mut io::sink())?;
        if self.is_padded && !matches!(self.read(1)?.as_slice(), b"" | b"\n") {
            return refuse("a member is not padded by a line break");
        }
        let header = self.read(HEADER_BYTES as u64)?;
        if header.is_empty() {
            return Ok(None);
        }
        if header.len() < HEADER_BYTES || !header.ends_with(b"`\n") {
            return refuse("a header of a member is damaged");
        }
        let name = String::from_utf8_lossy(&header[..NAME_BYTES]).trim_end_matches([' ', '/']).to_owned();
        let size = str::from_utf8(&header[48..58]).unwrap_or_default().trim_end_matches(' ');
        let Some(size_bytes) = size.parse().ok().filter(|_| !size.starts_with('+')) else {
            return refuse("the size of a member is not a number");
        };
        self.current.set_limit(size_bytes);
        self.is_padded = !size_bytes.is_multiple_of(2);
        Ok(Some((name, size_bytes)))
    }

    /// Reads the next `most` bytes, or fewer if the archive ends earlier.
    fn read(&mut self, most: u64) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.current.set_limit(most);
        self.current.read_to_end(&mut bytes)?;
        Ok(bytes)
    }
}

/// The unpacked data of a member, which is a tar file. If it exceeds its limit, reading fails. [`Self::finish`] checks
/// that the tar file is complete.
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

    /// Reads to the end. Returns whether the tar file has an end marker at or after `end`. `end` is the offset after
    /// the last entry. Reading to the end also checks the checksums, because the checksums are at the end of the
    /// compressed data.
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
            let text = format!("it unpacks to more than {} MB, like a zip bomb", self.limit_bytes / 1_000_000);
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        Ok(length)
    }
}

fn read_control(name: &str, member: &mut dyn Read) -> Result<Vec<(String, String)>, DebError> {
    let failed = |source| DebError::Member { member: name.to_owned(), source };
    let mut files = Vec::new();
    let mut end = 0;
    let unpacked = Unpacked::new(name, member, MAX_CONTROL_BYTES)?;
    let unpacked = each_entry(unpacked, failed, |entry| {
        end = end_of(entry).map_err(failed)?;
        if !entry.header().entry_type().is_file() {
            return Ok(());
        }
        let path = entry.path().map_err(failed)?.to_string_lossy().trim_start_matches("./").to_owned();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).map_err(failed)?;
        files.push((path, String::from_utf8_lossy(&bytes).into_owned()));
        Ok(())
    })?;
    if !unpacked.finish(end).map_err(failed)? {
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
    packed_bytes: u64,
    member: &mut impl Read,
    take: &mut impl FnMut(String, u32, DebEntry<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let failed = |source| DebError::Member { member: name.to_owned(), source };
    let limit_bytes = packed_bytes.saturating_mul(MAX_RATIO).clamp(RATIO_FREE_BYTES, MAX_DATA_BYTES);
    let mut counted = Counted { inner: member, read_bytes: 0 };
    let mut end = 0;
    let unpacked = Unpacked::new(name, &mut counted, limit_bytes)?;
    let unpacked = each_entry(
        unpacked,
        |error| E::from(failed(error)),
        |entry| {
            end = end_of(entry).map_err(failed)?;
            read_entry(entry, name, take)
        },
    )?;
    let is_ended = unpacked.finish(end).map_err(failed)?;
    io::copy(&mut counted, &mut io::sink()).map_err(failed)?;
    if !is_ended || counted.read_bytes != packed_bytes {
        return Err(DebError::Cut { member: name.to_owned() }.into());
    }
    Ok(())
}

/// Returns whether a link can have this target (symlink(2); limits.h(0p), `PATH_MAX` of Linux, which includes the NUL).
fn is_target(target: &str) -> bool {
    const MAX_PATH_BYTES: usize = 4096;
    (1..MAX_PATH_BYTES).contains(&target.len()) && !target.contains('\0')
}

/// Returns the offset in the tar file at which the blocks of an entry end.
fn end_of<R: Read>(entry: &tar::Entry<'_, R>) -> io::Result<u64> {
    // `size` returns the size in a pax record if there is one, because it replaces the size in the header. For a sparse
    // file, `size` includes the holes, which are not in the tar file. So for a sparse file, the size in the header is
    // used.
    let is_sparse = entry.header().entry_type().is_gnu_sparse();
    let size_bytes = if is_sparse { entry.header().entry_size()? } else { entry.size() };
    let end = entry.raw_file_position().checked_add(size_bytes);
    Ok(end.and_then(|end| end.checked_next_multiple_of(TAR_BLOCK_BYTES)).unwrap_or(u64::MAX))
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
    entry: &mut tar::Entry<'_, Headers<Unpacked<'_>>>,
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
        let target = String::from_utf8(bytes.into_owned()).map_err(|_| DebError::Name { path: path.clone() })?;
        if is_target(&target) { Ok(target) } else { Err(DebError::Target { path: path.clone() }) }
    };
    match kind {
        EntryType::Directory => take(path, mode, DebEntry::Directory)?,
        EntryType::Regular | EntryType::Continuous => take(path, mode, DebEntry::File(entry))?,
        // Holes take no space in the package, but they may use much space on the disk. dpkg refuses such files too.
        EntryType::GNUSparse => return Err(special("sparse file").into()),
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
        // The other types, such as global pax headers, contain nothing that an image needs.
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use testkit::{Compression, DebBuilder};

    use super::*;

    /// A reader that returns at most three bytes per read.
    struct Sips<'a>(&'a [u8]);

    impl Read for Sips<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let most = buffer.len().min(3);
            self.0.read(&mut buffer[..most])
        }
    }

    /// Returns the names of the control files, and then one line per path of the data.
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
            demo().device("dev/sda").build(),
            demo().fifo("run/pipe").build(),
            zeros.build(),
            b"<html>Please log in.</html>".to_vec(),
            b"!<arch>\n".to_vec(),
            patched("2.0\n", "3.0\n"),
            patched("data.tar.xz ", "data.tar.bz2"),
            patched("data.tar.xz ", "date.tar.xz "),
            patched("control.tar.xz", "contrul.tar.xz"),
        ];
        let errors = table.map(|bytes| refusal(&bytes, "hostile").trim_end_matches(": ").to_owned());
        insta::assert_snapshot!(errors.join("\n"), @"
        cannot unpack `./dev/sda`: it is a device, which no image needs
        cannot unpack `./run/pipe`: it is a pipe, which no image needs
        cannot read `./zeros`: it unpacks to more than 67 MB, like a zip bomb
        cannot read the package: it is not an archive as described in deb(5): it does not begin like an ar archive
        cannot read the package: its first member is not `debian-binary` of version 2
        cannot read the package: its first member is not `debian-binary` of version 2
        cannot read `data.tar.bz2`: its compression is not xz, zst or gz
        cannot read the package: it has no member `data.tar`
        cannot read the package: it has no member `control.tar`
        ");
    }

    fn member(name: &str, bytes: &[u8]) -> Vec<u8> {
        let header = format!("{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 100_644, bytes.len());
        let padding: &[u8] = if bytes.len() % 2 == 1 { b"\n" } else { b"" };
        [header.as_bytes(), bytes, padding].concat()
    }

    /// Returns an entry of a tar file: a header that `change` has modified, and the contents.
    fn entry(path: &str, kind: tar::EntryType, contents: &[u8], change: impl Fn(&mut tar::GnuHeader)) -> Vec<u8> {
        let mut header = tar::Header::new_gnu();
        header.set_path(path).unwrap();
        header.set_entry_type(kind);
        header.set_size(contents.len() as u64);
        header.set_mode(0o644);
        change(header.as_gnu_mut().unwrap());
        header.set_cksum();
        let mut bytes = [header.as_bytes(), contents].concat();
        bytes.resize(bytes.len().next_multiple_of(512), 0);
        bytes
    }

    /// Returns a package whose data member consists of these tar entries.
    fn package_of(entries: &[Vec<u8>]) -> Vec<u8> {
        let control = [entry("control", tar::EntryType::Regular, b"Package: demo\n", |_| {}), vec![0; 1024]].concat();
        let data = [entries.concat(), vec![0; 1024]].concat();
        let members = [member("debian-binary", b"2.0\n"), member("control.tar", &control), member("data.tar", &data)];
        [b"!<arch>\n".as_slice(), &members.concat()].concat()
    }

    #[test]
    fn a_sparse_file_is_refused_before_its_holes_fill_the_disk() {
        let holes = entry("holes", tar::EntryType::GNUSparse, b"abcd", |header| {
            header.sparse[0] = tar::GnuSparseHeader { offset: *b"00000000000\0", numbytes: *b"00000000004\0" };
            header.sparse[1] = tar::GnuSparseHeader { offset: *b"77777777777\0", numbytes: *b"00000000000\0" };
            header.realsize = *b"77777777777\0";
        });
        let said = refusal(&package_of(&[holes]), "sparse");
        assert!(said.starts_with("cannot unpack `holes`: it is a sparse file"), "{said}");
    }

    #[test]
    fn a_name_of_megabytes_is_refused_and_a_long_one_is_not() {
        let named = |length| {
            let name = entry("././@LongLink", tar::EntryType::GNULongName, &vec![b'n'; length], |_| {});
            package_of(&[name, entry("x", tar::EntryType::Regular, b"", |_| {})])
        };
        assert!(listing(named(4000).as_slice()).is_ok());
        let said = refusal(&named(2 << 20), "a long name");
        assert!(said.contains("the headers of an entry are too large"), "{said}");
    }

    #[test]
    fn two_sizes_of_one_entry_are_no_overflow() {
        let records = entry("pax", tar::EntryType::XHeader, b"10 size=0\n", |_| {});
        let file = entry("x", tar::EntryType::Regular, b"", |header| header.size = [0xff; 12]);
        assert!(listing(package_of(&[records, file]).as_slice()).is_ok());
    }

    #[test]
    fn a_link_whose_target_is_empty_or_too_long_is_refused() {
        for kind in [tar::EntryType::Symlink, tar::EntryType::Link] {
            let to = |length| {
                let target = entry("././@LongLink", tar::EntryType::GNULongLink, &vec![b'n'; length], |_| {});
                package_of(&[target, entry("x", kind, b"", |_| {})])
            };
            assert!(listing(to(4095).as_slice()).is_ok());
            for package in [package_of(&[entry("x", kind, b"", |_| {})]), to(4096)] {
                let said = refusal(&package, "a link");
                assert!(said.starts_with("cannot unpack `x`: the target of the link is empty, too long or"), "{said}");
            }
        }
    }

    #[test]
    fn an_archive_with_a_table_of_long_names_is_refused_and_takes_no_memory() {
        for name in ["//", "/0", "#1/9999999999"] {
            let bytes = format!("!<arch>\n{name:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", 0, 0, 0, 0, 9_999_999_999_u64);
            let said = refusal(bytes.as_bytes(), name);
            assert!(said.contains("its first member is not `debian-binary`"), "{said}");
        }
    }

    #[test]
    fn an_archive_whose_headers_are_damaged_is_refused() {
        let whole = package_of(&[]);
        let patched = |at: usize, text: &[u8]| {
            let mut bytes = whole.clone();
            bytes[at..at + text.len()].copy_from_slice(text);
            refusal(&bytes, "damaged")
        };
        // The first header is in bytes 8 to 68, and the field with the size of the member is in bytes 56 to 66. The
        // next header begins at byte 72.
        assert!(patched(66, b"??").contains("a header of a member is damaged"));
        assert!(patched(56, b"+4").contains("the size of a member is not a number"));
        assert!(patched(56, b"-4").contains("the size of a member is not a number"));
        assert!(refusal(&whole[..100], "cut").contains("a header of a member is damaged"));
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
            // The last byte may be the padding of a member with an odd size. The package is complete without it.
            for length in 0..whole.len() - 1 {
                assert!(listing(&whole[..length]).is_err(), "{compression:?} cut after {length} bytes");
            }
            for position in 0..whole.len() {
                let mut altered = whole.clone();
                altered[position] ^= 1 << (position % 8);
                // If a byte is never read, it may be changed without an error. So this test only checks that the call
                // returns.
                let _ = listing(altered.as_slice());
            }
        }
    }
}
