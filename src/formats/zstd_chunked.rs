//! zstd:chunked: a layer from which single files can be fetched. Podman, CRI-O and Buildah support it
//! (`docs/containers-storage-zstd-chunked.md` of containers/storage).
//!
//! The layer is a tar file that is compressed with zstd. The contents of each file are in separate frames. After the
//! end of the tar file, there are skippable frames (RFC 8878, section 3.1.2), which other readers ignore. The skippable
//! frames contain the table of contents, a second table called `tar-split`, and a footer with the positions of both
//! tables. With `tar-split`, the tar file can be restored byte by byte. The annotations of the layer also contain the
//! positions of both tables.

use std::collections::BTreeMap;
use std::io;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::model::digest::Digest;

const CHECKSUM: &str = "io.github.containers.zstd-chunked.manifest-checksum";
const POSITION: &str = "io.github.containers.zstd-chunked.manifest-position";
const TAR_SPLIT_POSITION: &str = "io.github.containers.zstd-chunked.tarsplit-position";

/// The type of the table of contents. The format has no other type.
const TABLE_TYPE: u64 = 1;
/// The magic number of a skippable frame.
const SKIPPABLE: [u8; 4] = [0x50, 0x2a, 0x4d, 0x18];
const FRAME_HEADER_BYTES: u64 = 8;
/// The last bytes of a footer.
const FOOTER_MAGIC: &[u8; 8] = b"GNUlInUx";
/// The type of a line of `tar-split` that represents the contents of a file.
const FILE: u8 = 1;
/// The type of a line of `tar-split` that contains other bytes of the tar file.
const BYTES: u8 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) enum Type {
    #[serde(rename = "reg")]
    File,
    #[serde(rename = "hardlink")]
    HardLink,
    #[serde(rename = "symlink")]
    Link,
    #[serde(rename = "dir")]
    Directory,
}

/// A file of the layer. The fields are those of its tar header.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Entry {
    #[serde(rename = "type")]
    pub(crate) kind: Type,
    pub(crate) name: String,
    #[serde(rename = "linkName", skip_serializing_if = "String::is_empty")]
    pub(crate) link: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) mode: u64,
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) size: u64,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) modtime: String,
    /// The digest is missing if the file is empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) digest: Option<String>,
    /// The positions in the layer at which the contents begin and end. Both are 0 if the file is empty.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) offset: u64,
    #[serde(rename = "endOffset", skip_serializing_if = "is_zero")]
    pub(crate) end_offset: u64,
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

#[derive(Serialize)]
struct Toc<'a> {
    version: u8,
    entries: &'a [Entry],
    #[serde(rename = "tarSplitDigest")]
    tar_split_digest: String,
}

/// A line of `tar-split`. It contains bytes of the tar file, or it shows that the contents of a file come at this
/// position.
#[derive(Serialize)]
struct TarSplitLine<'a> {
    #[serde(rename = "type")]
    kind: u8,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    #[serde(skip_serializing_if = "is_zero")]
    size: u64,
    payload: Option<String>,
    position: usize,
}

/// Collects the files of a layer.
#[derive(Debug, Default)]
pub(crate) struct Table {
    entries: Vec<Entry>,
    tar_split: Vec<u8>,
    lines: usize,
    /// The number of zeros that fill the last block of the previous file. The next line with bytes of the tar file
    /// begins with these zeros.
    padding: usize,
}

/// The skippable frames at the end of a layer, and the annotations that the layer needs.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) frames: Vec<u8>,
    pub(crate) annotations: BTreeMap<String, String>,
}

impl Table {
    /// Adds the next file of the tar file. `header` contains the file's headers, and `crc64` is the checksum of its
    /// contents.
    pub(crate) fn add(&mut self, entry: Entry, header: &[u8], crc64: u64) -> io::Result<()> {
        self.add_bytes(header)?;
        let checksum = (entry.size > 0).then(|| STANDARD.encode(crc64.to_be_bytes()));
        self.add_line(FILE, &entry.name, entry.size, checksum)?;
        self.padding = ((512 - entry.size % 512) % 512) as usize;
        self.entries.push(entry);
        Ok(())
    }

    /// Returns the frames that follow the tar file. `end` contains the last bytes of the tar file, and `offset` is its
    /// compressed size.
    pub(crate) fn finish(
        mut self,
        end: &[u8],
        offset: u64,
        compress: impl Fn(&[u8]) -> io::Result<Vec<u8>>,
    ) -> io::Result<Finished> {
        self.add_bytes(end)?;
        let tar_split = compress(&self.tar_split)?;
        let tar_split_digest = Digest::of(&tar_split).prefixed();
        let toc = serde_json::to_vec(&Toc { version: 1, entries: &self.entries, tar_split_digest })?;
        let packed = compress(&toc)?;
        let first = offset + FRAME_HEADER_BYTES;
        let toc = Place { offset: first, packed: packed.len() as u64, unpacked: toc.len() as u64 };
        let second = first + toc.packed + FRAME_HEADER_BYTES;
        let split = Place { offset: second, packed: tar_split.len() as u64, unpacked: self.tar_split.len() as u64 };
        let mut frames = Vec::new();
        for bytes in [packed.as_slice(), &tar_split, &footer(&toc, &split)] {
            let length = u32::try_from(bytes.len()).map_err(io::Error::other)?;
            frames.extend(SKIPPABLE);
            frames.extend(length.to_le_bytes());
            frames.extend(bytes);
        }
        let annotations = BTreeMap::from([
            (CHECKSUM.to_owned(), Digest::of(&packed).prefixed()),
            (POSITION.to_owned(), format!("{}:{}:{}:{TABLE_TYPE}", toc.offset, toc.packed, toc.unpacked)),
            (TAR_SPLIT_POSITION.to_owned(), format!("{}:{}:{}", split.offset, split.packed, split.unpacked)),
        ]);
        Ok(Finished { frames, annotations })
    }

    fn add_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        let bytes = [vec![0; std::mem::take(&mut self.padding)].as_slice(), bytes].concat();
        self.add_line(BYTES, "", 0, Some(STANDARD.encode(bytes)))
    }

    fn add_line(&mut self, kind: u8, name: &str, size: u64, payload: Option<String>) -> io::Result<()> {
        serde_json::to_writer(&mut self.tar_split, &TarSplitLine { kind, name, size, payload, position: self.lines })?;
        self.tar_split.push(b'\n');
        self.lines += 1;
        Ok(())
    }
}

/// The offset of a table in the layer, its compressed size and its uncompressed size.
struct Place {
    offset: u64,
    packed: u64,
    unpacked: u64,
}

fn footer(toc: &Place, split: &Place) -> Vec<u8> {
    let numbers = [toc.offset, toc.packed, toc.unpacked, TABLE_TYPE, split.offset, split.packed, split.unpacked];
    numbers.iter().flat_map(|number| number.to_le_bytes()).chain(*FOOTER_MAGIC).collect()
}

/// The checksum that `tar-split` uses: the CRC-64 of ISO 3309, in the variant of Go's `crc64.ISO`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Crc64(u64);

const CRC64: [u64; 256] = crc64_table();

const fn crc64_table() -> [u64; 256] {
    const ISO: u64 = 0xd800_0000_0000_0000;
    let mut table = [0; 256];
    let mut index = 0;
    while index < 256 {
        let mut value = index as u64;
        let mut bit = 0;
        while bit < 8 {
            value = if value & 1 == 1 { (value >> 1) ^ ISO } else { value >> 1 };
            bit += 1;
        }
        table[index] = value;
        index += 1;
    }
    table
}

impl Crc64 {
    pub(crate) fn new() -> Self {
        Self(!0)
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = CRC64[usize::from(self.0 as u8 ^ byte)] ^ (self.0 >> 8);
        }
    }

    pub(crate) fn value(self) -> u64 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_go() {
        let mut crc = Crc64::new();
        assert_eq!(crc.value(), 0);
        crc.update(b"1234");
        crc.update(b"56789");
        // This is the value for CRC-64/GO-ISO in the catalogue of CRCs.
        assert_eq!(crc.value(), 0xb909_56c7_75a4_1001);
    }

    fn entry(name: &str, size: u64) -> Entry {
        Entry {
            kind: if name.ends_with('/') { Type::Directory } else { Type::File },
            name: name.to_owned(),
            link: String::new(),
            mode: 0o644,
            size,
            uid: 0,
            gid: 7,
            modtime: "1980-01-01T00:00:01Z".to_owned(),
            digest: (size > 0).then(|| "sha256:00".to_owned()),
            offset: if size > 0 { 20 } else { 0 },
            end_offset: if size > 0 { 30 } else { 0 },
        }
    }

    #[test]
    fn the_tables_and_their_places_have_these_bytes() {
        let mut table = Table::default();
        table.add(entry("d/", 0), b"D", 0).unwrap();
        table.add(entry("d/f", 511), b"F", 1).unwrap();
        let Finished { frames, annotations } = table.finish(b"E", 100, |bytes| Ok(bytes.to_vec())).unwrap();
        let split = concat!(
            r#"{"type":2,"payload":"RA==","position":0}"#,
            "\n",
            r#"{"type":1,"name":"d/","payload":null,"position":1}"#,
            "\n",
            r#"{"type":2,"payload":"Rg==","position":2}"#,
            "\n",
            r#"{"type":1,"name":"d/f","size":511,"payload":"AAAAAAAAAAE=","position":3}"#,
            "\n",
            r#"{"type":2,"payload":"AEU=","position":4}"#,
            "\n",
        );
        let toc = format!(
            concat!(
                r#"{{"version":1,"entries":[{{"type":"dir","name":"d/","mode":420,"uid":0,"gid":7,"#,
                r#""modtime":"1980-01-01T00:00:01Z"}},{{"type":"reg","name":"d/f","mode":420,"size":511,"uid":0,"gid":7,"#,
                r#""modtime":"1980-01-01T00:00:01Z","digest":"sha256:00","offset":20,"endOffset":30}}],"#,
                r#""tarSplitDigest":"sha256:{}"}}"#
            ),
            Digest::of(split.as_bytes())
        );
        let (toc_at, split_at) = (8, 8 + toc.len() + 8);
        assert_eq!(std::str::from_utf8(&frames[toc_at..toc_at + toc.len()]).unwrap(), toc);
        assert_eq!(std::str::from_utf8(&frames[split_at..split_at + split.len()]).unwrap(), split);
        let footer_at = split_at + split.len();
        assert_eq!(&frames[footer_at..footer_at + 8], [0x50, 0x2a, 0x4d, 0x18, 64, 0, 0, 0]);
        assert_eq!(frames.len(), footer_at + 8 + 64);
        assert_eq!(&frames[footer_at + 8..][..8], 108u64.to_le_bytes());
        assert!(frames.ends_with(b"GNUlInUx"));
        let (size, place) = (toc.len(), 100 + split_at);
        assert_eq!(annotations[CHECKSUM], Digest::of(toc.as_bytes()).prefixed());
        assert_eq!(annotations[POSITION], format!("108:{size}:{size}:1"));
        assert_eq!(annotations[TAR_SPLIT_POSITION], format!("{place}:{0}:{0}", split.len()));
    }
}
