//! Writes deterministic tar files with ustar headers (POSIX.1-2017, pax, "ustar Interchange Format"). If a path, a link
//! or a number does not fit into a header, a pax record is added.

use std::io::{self, Read, Write};

use crate::model::image_path::ImagePath;
use crate::model::tree::{Kind, Node};

const BLOCK: usize = 512;

/// The end of a tar file: two blocks of zeros.
pub(crate) const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

/// Writes one path. `contents` is read only for files, and must return exactly as many bytes as the node's size.
pub(crate) fn write_node(
    writer: &mut dyn Write,
    path: &ImagePath,
    node: &Node,
    epoch_secs: u64,
    contents: &mut dyn Read,
) -> io::Result<()> {
    write_header(writer, path, node, epoch_secs)?;
    if let Kind::File { size_bytes, .. } = node.kind {
        write_bytes(writer, path.relative(), size_bytes, contents)?;
        pad(writer, size_bytes)?;
    }
    Ok(())
}

/// Returns the name of a path in an archive. The name of a directory ends with a slash.
pub(crate) fn name(path: &ImagePath, node: &Node) -> String {
    let slash = if node.kind == Kind::Directory { "/" } else { "" };
    format!("{}{slash}", path.relative())
}

/// Writes the headers of one path, without the contents of a file.
pub(crate) fn write_header(writer: &mut dyn Write, path: &ImagePath, node: &Node, epoch_secs: u64) -> io::Result<()> {
    let name = name(path, node);
    let (flag, size_bytes, link) = match &node.kind {
        Kind::Directory => (b'5', 0, ""),
        Kind::Link { target } => (b'2', 0, target.as_str()),
        Kind::File { size_bytes, .. } => (b'0', *size_bytes, ""),
    };
    let (owner, group) = (node.owner, node.group());
    let entry = Entry { name: &name, link, mode: node.mode, owner, group, size_bytes, epoch_secs, flag };
    write_entry(writer, &entry)
}

/// Writes `path` as a hard link to `first`, an earlier entry with the same bytes.
pub(crate) fn write_hard_link(
    writer: &mut dyn Write,
    path: &ImagePath,
    node: &Node,
    first: &ImagePath,
    epoch_secs: u64,
) -> io::Result<()> {
    let (name, link) = (path.relative(), first.relative());
    let (mode, owner, group) = (node.mode, node.owner, node.group());
    let entry = Entry { name, link, mode, owner, group, size_bytes: 0, epoch_secs, flag: b'1' };
    write_entry(writer, &entry)
}

/// Writes a file that is not part of a tree, such as a blob or a document.
pub(crate) fn write_file(
    writer: &mut dyn Write,
    name: &str,
    size_bytes: u64,
    epoch_secs: u64,
    contents: &mut dyn Read,
) -> io::Result<()> {
    let entry = Entry { name, link: "", mode: 0o644, owner: 0, group: 0, size_bytes, epoch_secs, flag: b'0' };
    write_entry(writer, &entry)?;
    write_bytes(writer, name, size_bytes, contents)?;
    pad(writer, size_bytes)
}

struct Entry<'a> {
    name: &'a str,
    link: &'a str,
    mode: u32,
    owner: u32,
    group: u32,
    size_bytes: u64,
    epoch_secs: u64,
    flag: u8,
}

/// Copies the contents of a file. The contents must have exactly this size.
pub(crate) fn write_bytes(
    writer: &mut dyn Write,
    name: &str,
    size_bytes: u64,
    contents: &mut dyn Read,
) -> io::Result<()> {
    let copied = io::copy(&mut contents.take(size_bytes), writer)?;
    if copied != size_bytes {
        return Err(io::Error::other(format!("`{name}` has {copied} bytes and not {size_bytes}")));
    }
    Ok(())
}

/// Writes zeros to fill the last block of a file with this size.
pub(crate) fn pad(writer: &mut dyn Write, size_bytes: u64) -> io::Result<()> {
    let rest = (size_bytes % BLOCK as u64) as usize;
    if rest == 0 { Ok(()) } else { writer.write_all(&END[..BLOCK - rest]) }
}

fn write_entry(writer: &mut dyn Write, entry: &Entry<'_>) -> io::Result<()> {
    /// The largest number that fits into the header's fields with seven octal digits.
    const MAX_OWNER: u32 = 0o7_777_777;
    /// The largest number that fits into the header's fields with eleven octal digits.
    const MAX_NUMBER: u64 = 0o77_777_777_777;
    let mut records = Vec::new();
    if entry.name.len() > 100 || !entry.name.is_ascii() {
        records.extend(pax_record("path", entry.name));
    }
    if entry.link.len() > 100 || !entry.link.is_ascii() {
        records.extend(pax_record("linkpath", entry.link));
    }
    if entry.size_bytes > MAX_NUMBER {
        records.extend(pax_record("size", &entry.size_bytes.to_string()));
    }
    if entry.owner > MAX_OWNER {
        records.extend(pax_record("uid", &entry.owner.to_string()));
    }
    if entry.group > MAX_OWNER {
        records.extend(pax_record("gid", &entry.group.to_string()));
    }
    if entry.epoch_secs > MAX_NUMBER {
        records.extend(pax_record("mtime", &entry.epoch_secs.to_string()));
    }
    if !records.is_empty() {
        let size_bytes = records.len() as u64;
        let pax = Entry { name: "pax", link: "", mode: 0o644, owner: 0, group: 0, size_bytes, flag: b'x', ..*entry };
        writer.write_all(&header(&pax))?;
        writer.write_all(&records)?;
        pad(writer, size_bytes)?;
    }
    writer.write_all(&header(entry))
}

/// Formats `LENGTH KEY=VALUE\n`. LENGTH includes its own digits.
fn pax_record(key: &str, value: &str) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    format!("{length} {key}={value}\n").into_bytes()
}

fn header(entry: &Entry<'_>) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    text(&mut block[0..100], entry.name);
    octal(&mut block[100..108], u64::from(entry.mode & 0o7777));
    octal(&mut block[108..116], u64::from(entry.owner));
    octal(&mut block[116..124], u64::from(entry.group));
    octal(&mut block[124..136], entry.size_bytes);
    octal(&mut block[136..148], entry.epoch_secs);
    block[148..156].fill(b' ');
    block[156] = entry.flag;
    text(&mut block[157..257], entry.link);
    block[257..265].copy_from_slice(b"ustar\x0000");
    let sum: u64 = block.iter().map(|byte| u64::from(*byte)).sum();
    octal(&mut block[148..155], sum);
    block
}

/// Writes as much of `value` as fits. If it does not fit, a pax record before the header contains the whole value.
fn text(field: &mut [u8], value: &str) {
    let length = value.len().min(field.len());
    field[..length].copy_from_slice(&value.as_bytes()[..length]);
}

fn octal(field: &mut [u8], value: u64) {
    let digits = field.len() - 1;
    let wide = format!("{value:0digits$o}");
    // If a number does not fit, a pax record before the header contains the whole value.
    field[..digits].copy_from_slice(&wide.as_bytes()[wide.len() - digits..]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::tree::Origin;

    #[test]
    fn what_is_written_is_read_again_by_the_tar_crate() {
        let long = format!("/{}/ünï", "d".repeat(150));
        let nodes = [
            ("/tmp", Node { mode: 0o1777, ..Node::directory(Origin::Lath) }, ""),
            (long.as_str(), Node { owner: 65532, ..Node::file(Digest::of(b"hi"), 2, 0o755, Origin::Lath) }, "hi"),
            ("/link", Node::link("t".repeat(120), Origin::Lath), ""),
        ];
        let mut bytes = Vec::new();
        for (path, node, contents) in &nodes {
            write_node(&mut bytes, &ImagePath::parse(path).unwrap(), node, 7, &mut contents.as_bytes()).unwrap();
        }
        bytes.extend(END);
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut seen = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            let link = entry.link_name().unwrap().map_or(0, |link| link.to_str().unwrap().len());
            let header = entry.header();
            let facts = (header.mode().unwrap(), header.uid().unwrap(), header.mtime().unwrap(), link, text);
            seen.push((entry.path().unwrap().to_str().unwrap().to_owned(), facts));
        }
        assert_eq!(seen[0], ("tmp/".to_owned(), (0o1777, 0, 7, 0, String::new())));
        assert_eq!(seen[1], (long[1..].to_owned(), (0o755, 65532, 7, 0, "hi".to_owned())));
        assert_eq!(seen[2], ("link".to_owned(), (0o777, 0, 7, 120, String::new())));
    }

    #[test]
    fn an_owner_and_a_time_that_do_not_fit_are_in_records() {
        let node = Node { owner: u32::MAX, ..Node::directory(Origin::Lath) };
        let mut bytes = Vec::new();
        let epoch_secs = 1 << 40;
        write_node(&mut bytes, &ImagePath::parse("/x").unwrap(), &node, epoch_secs, &mut io::empty()).unwrap();
        bytes.extend(END);
        let mut archive = tar::Archive::new(bytes.as_slice());
        let mut entry = archive.entries().unwrap().next().unwrap().unwrap();
        let owner = u64::from(u32::MAX);
        assert_eq!((entry.header().uid().unwrap(), entry.header().gid().unwrap()), (owner, owner));
        let records: Vec<_> = entry.pax_extensions().unwrap().unwrap().map(Result::unwrap).collect();
        let mtime = records.iter().find(|record| record.key() == Ok("mtime")).unwrap();
        assert_eq!(mtime.value(), Ok(epoch_secs.to_string().as_str()));
    }

    #[test]
    fn the_last_time_that_fits_into_a_header_is_read_again() {
        let last = 0o77_777_777_777;
        let mut bytes = Vec::new();
        write_file(&mut bytes, "x", 0, last, &mut io::empty()).unwrap();
        let header = tar::Archive::new(bytes.as_slice()).entries().unwrap().next().unwrap().unwrap().header().clone();
        assert_eq!(header.mtime().unwrap(), last);
        // A time that is one second later does not fit. It needs a pax record, which consists of one header and one
        // block.
        let mut later = Vec::new();
        write_file(&mut later, "x", 0, last + 1, &mut io::empty()).unwrap();
        assert_eq!(later.len(), bytes.len() + 2 * BLOCK);
    }

    #[test]
    fn a_file_that_is_shorter_than_promised_is_an_error() {
        let node = Node::file(Digest::of(b""), 5, 0o644, Origin::Lath);
        let path = ImagePath::parse("/x").unwrap();
        assert!(write_node(&mut Vec::new(), &path, &node, 0, &mut b"abc".as_slice()).is_err());
    }
}
