//! A layer of an image: a tar file with the changes of a file system (image-spec, layer.md).

use std::io::{self, Read};

use thiserror::Error;

use super::{Headers, each_entry};

/// The name of a file begins with this prefix if it marks a path as removed (layer.md, "Whiteouts").
const WHITEOUT: &str = ".wh.";
/// A file with this name hides everything in its directory that comes from lower layers (layer.md, "Opaque Whiteout").
const OPAQUE: &str = ".wh..wh..opq";
/// The prefix of files that aufs needed. Such files have no meaning in a layer.
const AUFS: &str = ".wh..wh.";
/// The prefix of pax records that contain extended attributes.
const ATTRIBUTE: &str = "SCHILY.xattr.";

/// The maximum length of a name (limits.h(0p), `NAME_MAX` of Linux).
const MAX_NAME_BYTES: usize = 255;
/// The maximum length of a path, including the NUL at its end (limits.h(0p), `PATH_MAX` of Linux).
const MAX_PATH_BYTES: usize = 4096;

#[derive(Debug, Error)]
pub(crate) enum LayerError {
    #[error("cannot read the layer")]
    Read(#[from] io::Error),
    #[error("cannot use `{0}`: it leads outside the image")]
    Outside(String),
    #[error("cannot use `{0}`: it is a sparse file, which an image may not contain")]
    Sparse(String),
    #[error("cannot use `{path}`: it has the unknown type {kind:?}")]
    Kind { path: String, kind: char },
    #[error("cannot use `{path}`: its owner or its group has the number {number}, and Linux has no more than 32 bits")]
    Owner { path: String, number: u64 },
    #[error("cannot use `{0}`: it marks no path as removed")]
    Whiteout(String),
}

/// One entry of a layer.
pub(crate) struct LayerEntry<'a> {
    /// The path without a leading slash, `.` and `..`. The path of the root is empty.
    pub(crate) path: String,
    pub(crate) change: EntryChange<'a>,
    /// Permission bits, including setuid, setgid and sticky.
    pub(crate) mode: u32,
    pub(crate) owner: u32,
    pub(crate) group: u32,
    /// The names of extended attributes.
    pub(crate) attributes: Vec<String>,
}

/// How an entry changes its path.
pub(crate) enum EntryChange<'a> {
    Directory,
    File(&'a mut dyn Read),
    Link(String),
    /// A hard link. The value is the target, in the same form as `path` of an entry.
    HardLink(String),
    Device,
    Pipe,
    /// This path is removed if lower layers have it.
    Removed,
    /// Everything below this directory that comes from lower layers is removed.
    Opaque,
    /// lath cannot use the path, or the target of the link. The contents of the file are not read.
    Unusable,
}

/// Calls `take` for each entry of the tar file in `reader`, and then returns the reader.
pub(crate) fn read<R: Read, E: From<LayerError>>(
    reader: R,
    mut take: impl FnMut(LayerEntry<'_>) -> Result<(), E>,
) -> Result<R, E> {
    each_entry(
        reader,
        |error| E::from(LayerError::Read(error)),
        |entry| {
            if entry.header().entry_type().is_pax_global_extensions() {
                return Ok(());
            }
            layer_entry(entry)?.map_or(Ok(()), &mut take)
        },
    )
}

/// Reads one entry. Returns `None` for a file that only aufs used.
fn layer_entry<'a, R: Read>(entry: &'a mut tar::Entry<'_, Headers<R>>) -> Result<Option<LayerEntry<'a>>, LayerError> {
    let (path, is_usable) = clean(&entry.path_bytes())?;
    let (attributes, is_sparse) = records(entry)?;
    let header = entry.header();
    let kind = header.entry_type();
    if is_sparse || kind.is_gnu_sparse() {
        return Err(LayerError::Sparse(path));
    }
    let number = |number: u64| u32::try_from(number).map_err(|_| LayerError::Owner { path: path.clone(), number });
    let (owner, group) = (number(header.uid()?)?, number(header.gid()?)?);
    let mode = header.mode()? & 0o7777;
    // Before POSIX, a directory was recognised only by the slash at the end of its name.
    let is_old_directory = kind.as_byte() == 0 && entry.path_bytes().ends_with(b"/");
    let target = String::from_utf8_lossy(&entry.link_name_bytes().unwrap_or_default()).into_owned();
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
    let joined = |name: &str| if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
    let (path, change) = if !is_usable {
        (path, EntryChange::Unusable)
    } else if name == OPAQUE {
        (folder.to_owned(), EntryChange::Opaque)
    } else if name.starts_with(AUFS) {
        return Ok(None);
    } else if let Some(removed) = name.strip_prefix(WHITEOUT) {
        if matches!(removed, "" | "." | "..") {
            return Err(LayerError::Whiteout(path));
        }
        (joined(removed), EntryChange::Removed)
    } else if kind.is_dir() || is_old_directory {
        (path, EntryChange::Directory)
    } else if kind.is_symlink() {
        let is_possible = is_possible_target(&entry.link_name_bytes().unwrap_or_default());
        (path, if is_possible { EntryChange::Link(target) } else { EntryChange::Unusable })
    } else if kind.is_hard_link() {
        match clean(target.as_bytes())? {
            (target, true) => (path, EntryChange::HardLink(target)),
            (_, false) => (path, EntryChange::Unusable),
        }
    } else if kind.is_character_special() || kind.is_block_special() {
        (path, EntryChange::Device)
    } else if kind.is_fifo() {
        (path, EntryChange::Pipe)
    } else if kind.is_file() || kind.is_contiguous() {
        (path, EntryChange::File(entry))
    } else {
        return Err(LayerError::Kind { path, kind: char::from(kind.as_byte()) });
    };
    Ok(Some(LayerEntry { path, change, mode, owner, group, attributes }))
}

/// Whether a symbolic link in a tree can have this target (symlink(2)).
fn is_possible_target(target: &[u8]) -> bool {
    !target.is_empty() && target.len() < MAX_PATH_BYTES && !target.contains(&0) && std::str::from_utf8(target).is_ok()
}

/// Returns the names of extended attributes, and whether the file is sparse.
fn records<R: Read>(entry: &mut tar::Entry<'_, R>) -> io::Result<(Vec<String>, bool)> {
    let (mut attributes, mut is_sparse) = (Vec::new(), false);
    for record in entry.pax_extensions()?.into_iter().flatten() {
        let record = record?;
        let key = String::from_utf8_lossy(record.key_bytes());
        is_sparse |= key.starts_with("GNU.sparse.");
        attributes.extend(key.strip_prefix(ATTRIBUTE).map(str::to_owned));
    }
    attributes.sort();
    Ok((attributes, is_sparse))
}

/// Returns a path without a leading slash, `.` and `..`, and whether a tree can contain this path.
fn clean(path: &[u8]) -> Result<(String, bool), LayerError> {
    let text = String::from_utf8_lossy(path);
    let mut is_usable = std::str::from_utf8(path).is_ok() && !text.contains(['\0', '\n', '\r']);
    let mut components: Vec<&str> = Vec::new();
    for component in text.split('/') {
        match component {
            "" | "." => {}
            ".." if components.pop().is_some() => {}
            ".." => return Err(LayerError::Outside(text.into_owned())),
            component => components.push(component),
        }
    }
    let folders = components.len().saturating_sub(1);
    is_usable &= components.iter().all(|component| component.len() <= MAX_NAME_BYTES);
    is_usable &= components[..folders].iter().all(|component| !component.starts_with(WHITEOUT));
    let path = components.join("/");
    // The limit also counts the leading slash, which `path` does not have.
    is_usable &= path.len() + 1 < MAX_PATH_BYTES;
    Ok((path, is_usable))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_cleaned_and_may_not_lead_outside() {
        let table: [(&[u8], &str, bool); 8] = [
            (b"./usr/bin/", "usr/bin", true),
            (b"/etc/passwd", "etc/passwd", true),
            (b"a/../b", "b", true),
            (b"./", "", true),
            (b"a\nb", "a\nb", false),
            (b"a\xff", "a\u{fffd}", false),
            (b".wh.a/b", ".wh.a/b", false),
            (b"a/.wh.b", "a/.wh.b", true),
        ];
        for (path, cleaned, is_usable) in table {
            assert_eq!(clean(path).unwrap(), (cleaned.to_owned(), is_usable), "{path:?}");
        }
        assert!(!clean("x".repeat(256).as_bytes()).unwrap().1);
        for path in ["..", "../etc", "a/../../etc", "/.."] {
            assert!(matches!(clean(path.as_bytes()), Err(LayerError::Outside(_))), "{path}");
        }
    }
}
