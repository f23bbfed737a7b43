//! Targets for the binary formats of the dynamic loader.

use std::collections::BTreeSet;
use std::io::Cursor;

use crate::formats::{elf, git_index as index, ldcache};
use crate::model::platform::Architecture;

/// ELF files: the facts that the loader needs, and the removal of sections that no program needs.
pub fn elf(bytes: &[u8]) {
    let file = elf::parse(bytes);
    let by_headers = elf::parse_file(Cursor::new(bytes));
    assert_eq!(by_headers.ok(), file.as_ref().ok().cloned(), "a file is read by its headers alone like as a whole");
    if let Ok(Some(file)) = &file {
        assert_eq!(elf::machine(bytes), Some(file.machine));
        let names = file.needed.iter().chain(&file.search_paths).chain(&file.soname).chain(&file.interpreter);
        let names_bytes: usize = names.map(String::len).sum();
        // A byte that is not UTF-8 becomes three.
        assert!(names_bytes <= 3 << 20, "{names_bytes} bytes of names from {}", bytes.len());
    }
    let Some(stripped) = elf::strip_debug(bytes) else { return };
    assert!(stripped.len() < bytes.len());
    assert_eq!(elf::parse(&stripped).ok(), file.ok());
    for (start, end) in segments(bytes) {
        // The header is rewritten, because it contains the offset of the new table of sections.
        let start = start.max(HEADER_BYTES);
        assert_eq!(stripped.get(start..end.max(start)), bytes.get(start..end.max(start)), "{start}..{end}");
    }
    assert_eq!(segments(bytes), segments(&stripped));
    assert_eq!(elf::strip_debug(&stripped), None);
}

const HEADER_BYTES: usize = 64;
const SEGMENT_BYTES: usize = 56;

/// The byte ranges of the segments of a little-endian file of 64 bits.
fn segments(bytes: &[u8]) -> Vec<(usize, usize)> {
    let number =
        |at: usize, size: usize| bytes[at..at + size].iter().rev().fold(0, |all, &byte| all << 8 | byte as usize);
    let (table, count) = (number(32, 8), number(56, 2));
    let range = |index: usize| {
        let header = table + index * SEGMENT_BYTES;
        (number(header + 8, 8), number(header + 8, 8) + number(header + 32, 8))
    };
    (0..count).map(range).collect()
}

/// The index of a git repository, with both lengths of hashes. No path is longer than a file system allows.
pub fn git_index(bytes: &[u8]) {
    for hash_bytes in [20, 32] {
        let _ = index::each_path(bytes, hash_bytes, &mut |path| assert!(path.len() <= 4096));
    }
}

/// `/etc/ld.so.cache`: the bytes as a cache, and the bytes as names to write a cache of.
pub fn ld_so_cache(bytes: &[u8]) {
    if let Some(libraries) = ldcache::read(bytes) {
        let names_bytes: usize = libraries.iter().map(|library| library.soname.len() + library.path.len()).sum();
        assert!(names_bytes <= 16 << 20, "{names_bytes} bytes of names from {}", bytes.len());
        assert_written_as_read(&libraries);
    }
    let texts: Vec<String> = bytes.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into()).collect();
    let library = |pair: &[String]| ldcache::Library { soname: pair[0].clone(), path: pair[1].clone() };
    assert_written_as_read(&texts.chunks_exact(2).map(library).collect::<Vec<_>>());
}

/// Writes a cache of `libraries` and reads it again: each SONAME is in it once, with the path that came first.
fn assert_written_as_read(libraries: &[ldcache::Library]) {
    let written = ldcache::write(libraries, Architecture::Amd64);
    let read = ldcache::read(&written).expect("what was written is a cache");
    for library in &read {
        let first = libraries.iter().find(|first| first.soname == library.soname);
        assert_eq!(first, Some(library));
    }
    let sonames: BTreeSet<&str> = libraries.iter().map(|library| library.soname.as_str()).collect();
    assert_eq!(read.len(), sonames.len(), "each SONAME is there once");
    assert_eq!(ldcache::write(&read, Architecture::Amd64), written);
    assert!(ldcache::listing(&read, Architecture::Arm64).lines().count() > read.len());
}
