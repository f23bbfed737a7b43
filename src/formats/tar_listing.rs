//! Lists the members of a tar file: their names and the positions of their bytes, so that each member can be read
//! separately.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::io::{self, Read, Seek};
use std::rc::Rc;

use super::{Headers, MAX_HEADERS_BYTES};

/// The maximum number of members in an archive with an image. Real archives have three members for each layer.
const MAX_MEMBERS: usize = 100_000;
/// Members with longer names, and links with longer targets, are ignored, because no document of an image refers to
/// them.
const MAX_NAME_BYTES: usize = 4096;

/// A member of a tar.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Member {
    /// The position of a file's bytes.
    File { offset: u64, size_bytes: u64 },
    /// The target of a symbolic or hard link.
    Link { target: String, is_hard: bool },
}

/// Returns the files and links by name. The names have no leading slash or `./`. If a name occurs several times, the
/// last member is used, because it would also be the result of unpacking the tar file.
pub(crate) fn list(reader: impl Read + Seek) -> io::Result<BTreeMap<String, Member>> {
    let invalid = |text| io::Error::new(io::ErrorKind::InvalidData, text);
    let left_bytes = Rc::new(Cell::new(MAX_HEADERS_BYTES));
    let mut archive = tar::Archive::new(Headers { inner: reader, left_bytes: Rc::clone(&left_bytes) });
    let mut members = BTreeMap::new();
    for entry in archive.entries_with_seek()? {
        let entry = entry?;
        left_bytes.set(MAX_HEADERS_BYTES);
        let kind = entry.header().entry_type();
        let name = super::tar_name(&entry.path_bytes());
        let member = match kind {
            _ if kind.is_symlink() || kind.is_hard_link() => {
                let target = entry.link_name_bytes().unwrap_or_default();
                Member::Link { target: String::from_utf8_lossy(&target).into_owned(), is_hard: kind.is_hard_link() }
            }
            _ if kind.is_file() => Member::File { offset: entry.raw_file_position(), size_bytes: entry.size() },
            _ => continue,
        };
        let is_long = |text: &str| text.len() > MAX_NAME_BYTES;
        if is_long(&name) || matches!(&member, Member::Link { target, .. } if is_long(target)) {
            continue;
        }
        members.insert(name, member);
        if members.len() > MAX_MEMBERS {
            return Err(invalid("the archive has too many members"));
        }
    }
    Ok(members)
}

/// Finds the file with this name, and follows links. Returns its position.
pub(crate) fn find<'a>(members: &'a BTreeMap<String, Member>, name: &str) -> Option<&'a Member> {
    const MAX_LINKS: usize = 8;
    let mut name = name.to_owned();
    for _ in 0..MAX_LINKS {
        match members.get(&name)? {
            Member::Link { target, is_hard: true } => name = super::tar_name(target.as_bytes()),
            Member::Link { target, is_hard: false } => {
                let mut components: Vec<&str> = name.split('/').collect();
                components.pop();
                for component in target.split('/') {
                    match component {
                        "" | "." => {}
                        ".." => {
                            components.pop();
                        }
                        component => components.push(component),
                    }
                }
                name = components.join("/");
            }
            file => return Some(file),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive() -> Vec<u8> {
        let mut builder = tar::Builder::new(Vec::new());
        let mut add = |name: &str, kind: tar::EntryType, link: &str, bytes: &[u8]| {
            let mut header = tar::Header::new_gnu();
            header.set_entry_type(kind);
            header.set_size(bytes.len() as u64);
            if kind == tar::EntryType::Regular {
                builder.append_data(&mut header, name, bytes).unwrap();
            } else {
                builder.append_link(&mut header, name, link).unwrap();
            }
        };
        let long = "x".repeat(300);
        add("a/layer.tar", tar::EntryType::Regular, "", b"old");
        add("a/layer.tar", tar::EntryType::Regular, "", b"first");
        add(&long, tar::EntryType::Regular, "", b"long");
        add("b/layer.tar", tar::EntryType::Symlink, "../a/layer.tar", b"");
        add("c/layer.tar", tar::EntryType::Link, "b/layer.tar", b"");
        add("loop", tar::EntryType::Symlink, "loop", b"");
        builder.into_inner().unwrap()
    }

    #[test]
    fn members_are_found_by_name_and_through_links() {
        let bytes = archive();
        let members = list(io::Cursor::new(&bytes)).unwrap();
        let text = |name: &str| match find(&members, name)? {
            Member::File { offset, size_bytes } => {
                Some(String::from_utf8_lossy(&bytes[*offset as usize..][..*size_bytes as usize]).into_owned())
            }
            Member::Link { .. } => None,
        };
        for name in ["a/layer.tar", "b/layer.tar", "c/layer.tar"] {
            assert_eq!(text(name).as_deref(), Some("first"), "{name}");
        }
        assert_eq!(text(&"x".repeat(300)).as_deref(), Some("long"));
        assert_eq!((text("loop"), text("d")), (None, None));
    }

    #[test]
    fn headers_that_are_too_large_are_refused() {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::GNULongName);
        header.set_size(2 << 20);
        header.set_cksum();
        builder.append(&header, vec![b'x'; 2 << 20].as_slice()).unwrap();
        assert!(list(io::Cursor::new(builder.into_inner().unwrap())).is_err());
    }
}
