//! Binary packages of Debian, read as a stream: deb(5) and deb-control(5).

use std::io::{self, Read};

use thiserror::Error;

/// No member of a package may unpack to more than this.
const MAX_MEMBER_BYTES: u64 = 8 << 30;
/// No control file may be larger than this.
const MAX_CONTROL_BYTES: u64 = 16 << 20;

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
    #[error("cannot unpack `{path}`: it is a {kind}, which no image needs")]
    Special { path: String, kind: &'static str },
    #[error("cannot read `{path}`: its name is not UTF-8")]
    Name { path: String },
}

/// One path of `data.tar`, as the archive spells it.
pub(crate) enum DebEntry<'a> {
    Directory,
    File(&'a mut dyn Read),
    Link(String),
    /// A hard link to a path that came before.
    HardLink(String),
}

/// Reads the package: control files by name are returned, and each path of the data goes to `take` with its mode.
///
/// The caller's own errors pass through `E`.
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
            read_data(&name, &mut member, &mut take)?;
            return Ok(control);
        }
    }
    let missing = if is_first { DebError::Version } else { DebError::Missing("data.tar") };
    Err(missing.into())
}

fn decompressed<'a>(name: &str, member: &'a mut dyn Read) -> Result<Box<dyn Read + 'a>, DebError> {
    let failed = |source| DebError::Member { member: name.to_owned(), source };
    let reader: Box<dyn Read + 'a> = match name.rsplit('.').next() {
        Some("tar") => Box::new(member),
        Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(member)),
        Some("xz") => Box::new(liblzma::read::XzDecoder::new_multi_decoder(member)),
        Some("zst") => Box::new(zstd::Decoder::new(member).map_err(failed)?),
        _ => return Err(DebError::Compression { member: name.to_owned() }),
    };
    Ok(Box::new(reader.take(MAX_MEMBER_BYTES)))
}

fn read_control(name: &str, member: &mut dyn Read) -> Result<Vec<(String, String)>, DebError> {
    let failed = |source| DebError::Member { member: name.to_owned(), source };
    let mut archive = tar::Archive::new(decompressed(name, member)?);
    let mut files = Vec::new();
    for entry in archive.entries().map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.header().entry_type().is_file() {
            continue;
        }
        let path = entry.path().map_err(failed)?.to_string_lossy().trim_start_matches("./").to_owned();
        let mut bytes = Vec::new();
        entry.take(MAX_CONTROL_BYTES).read_to_end(&mut bytes).map_err(failed)?;
        files.push((path, String::from_utf8_lossy(&bytes).into_owned()));
    }
    files.sort();
    Ok(files)
}

fn read_data<E: From<DebError>>(
    name: &str,
    member: &mut dyn Read,
    take: &mut impl FnMut(String, u32, DebEntry<'_>) -> Result<(), E>,
) -> Result<(), E> {
    use tar::EntryType;
    let failed = |source| DebError::Member { member: name.to_owned(), source };
    let mut archive = tar::Archive::new(decompressed(name, member)?);
    for entry in archive.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        let path = match std::str::from_utf8(&entry.path_bytes()) {
            Ok(path) => path.to_owned(),
            Err(_) => {
                let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
                return Err(DebError::Name { path }.into());
            }
        };
        let mode = entry.header().mode().map_err(failed)? & 0o7777;
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
            _ => {}
        }
    }
    Ok(())
}
