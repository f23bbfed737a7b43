//! `/etc/ld.so.cache`: maps each SONAME to the file that the dynamic loader opens for it.
//!
//! Source: glibc, `sysdeps/generic/dl-cache.h` (`struct cache_file_new`), format `glibc-ld.so.cache1.1`. Entries must
//! be in the descending order of `_dl_cache_libcmp`, because the loader uses binary search.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::model::platform::Architecture;

const MAGIC: &[u8; 20] = b"glibc-ld.so.cache1.1";
/// The size of the header. The header has a magic number, two 32-bit counts, flags with padding, the offset of the
/// extension, and three unused words.
const HEADER_BYTES: usize = 48;
const ENTRY_BYTES: usize = 24;
/// The maximum size of all names in a cache together. All entries may refer to the same text, so without this limit, a
/// small file could fill the memory.
const MAX_NAMES_BYTES: usize = 16 << 20;
/// The value of `cache_file_new_flags_endian_little`.
const LITTLE_ENDIAN: u8 = 2;

/// One library of the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Library {
    pub(crate) soname: String,
    /// The absolute path of the library.
    pub(crate) path: String,
}

/// Writes the cache of `libraries` for `architecture`. If two libraries have the same SONAME, the first one is used.
pub(crate) fn write(libraries: &[Library], architecture: Architecture) -> Vec<u8> {
    // Duplicates cannot be found by sorting, because `compare` treats some different names as equal, such as `liba1`
    // and `liba01`.
    let mut known = BTreeSet::new();
    let mut sorted: Vec<&Library> = libraries.iter().filter(|library| known.insert(&library.soname)).collect();
    sorted.sort_by(|one, other| compare(&other.soname, &one.soname));

    let mut strings = Vec::new();
    let strings_start = HEADER_BYTES + ENTRY_BYTES * sorted.len();
    let mut entries = Vec::with_capacity(ENTRY_BYTES * sorted.len());
    for library in &sorted {
        let mut keep = |text: &str| {
            let offset = word(strings_start + strings.len());
            strings.extend_from_slice(text.as_bytes());
            strings.push(0);
            offset
        };
        let (key, value) = (keep(&library.soname), keep(&library.path));
        entries.extend_from_slice(&flags(architecture).to_le_bytes());
        entries.extend_from_slice(&key);
        entries.extend_from_slice(&value);
        entries.extend_from_slice(&[0; 12]); // osversion and hwcap: any
    }

    let mut bytes = Vec::with_capacity(strings_start + strings.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&word(sorted.len()));
    bytes.extend_from_slice(&word(strings.len()));
    bytes.extend_from_slice(&[LITTLE_ENDIAN, 0, 0, 0]);
    bytes.extend_from_slice(&[0; 16]); // no extension, three unused words
    bytes.extend_from_slice(&entries);
    bytes.extend_from_slice(&strings);
    bytes
}

/// Returns the libraries in a cache that was written by [`write`], in the order of the cache. Returns `None` if `bytes`
/// are not such a cache.
pub(crate) fn read(bytes: &[u8]) -> Option<Vec<Library>> {
    let number = |at: usize| {
        let word = bytes.get(at..at.checked_add(4)?)?;
        Some(u32::from_le_bytes(word.try_into().ok()?) as usize)
    };
    let mut room_bytes = MAX_NAMES_BYTES;
    let mut text = |at: usize| {
        let rest = bytes.get(at..)?;
        let end = rest.iter().position(|&byte| byte == 0)?;
        room_bytes = room_bytes.checked_sub(end)?;
        Some(std::str::from_utf8(&rest[..end]).ok()?.to_owned())
    };
    if !bytes.starts_with(MAGIC) {
        return None;
    }
    (0..number(20)?)
        .map(|index| HEADER_BYTES + index * ENTRY_BYTES)
        .map(|entry| Some(Library { soname: text(number(entry + 4)?)?, path: text(number(entry + 8)?)? }))
        .collect()
}

/// Returns the output of `ldconfig -p` for a cache of `libraries`. The line with the version of ldconfig is missing.
///
/// Source: glibc, `elf/cache.c`, `print_cache` and `print_entry`.
pub(crate) fn listing(libraries: &[Library], architecture: Architecture) -> String {
    let kind = match architecture {
        Architecture::Amd64 => "libc6,x86-64",
        Architecture::Arm64 => "libc6,AArch64",
    };
    let entries = libraries.iter().map(|Library { soname, path }| format!("\t{soname} ({kind}) => {path}\n"));
    format!("{} libs found in cache `/etc/ld.so.cache'\n{}", libraries.len(), entries.collect::<String>())
}

/// Encodes an offset or a count. An image has a few hundred libraries, so its cache is much smaller than 4 GiB.
fn word(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes()
}

/// `FLAG_ELF_LIBC6` (3), combined with the bits of the architecture.
fn flags(architecture: Architecture) -> u32 {
    match architecture {
        Architecture::Amd64 => 0x0303,
        Architecture::Arm64 => 0x0a03,
    }
}

/// Compares like `_dl_cache_libcmp` in glibc. Numbers in names are compared as numbers, and a digit is greater than any
/// other character.
fn compare(one: &str, other: &str) -> Ordering {
    let (mut left, mut right) = (one.as_bytes(), other.as_bytes());
    while let Some(&first) = left.first() {
        let second = right.first().copied().unwrap_or(0);
        match (first.is_ascii_digit(), second.is_ascii_digit()) {
            (true, true) => {
                let (number, rest) = take_number(left);
                let (against, rest_against) = take_number(right);
                match number.cmp(&against) {
                    Ordering::Equal => (left, right) = (rest, rest_against),
                    unequal => return unequal,
                }
            }
            (true, false) => return Ordering::Greater,
            (false, true) => return Ordering::Less,
            (false, false) if first != second => return first.cmp(&second),
            (false, false) => (left, right) = (&left[1..], &right[1..]),
        }
    }
    if right.is_empty() { Ordering::Equal } else { Ordering::Less }
}

fn take_number(text: &[u8]) -> (u64, &[u8]) {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let number = text[..digits]
        .iter()
        .fold(0_u64, |number, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    (number, &text[digits..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(soname: &str, path: &str) -> Library {
        Library { soname: soname.to_owned(), path: path.to_owned() }
    }

    /// Returns the entries in the form `SONAME PATH`, in the order of the cache.
    fn shown(bytes: &[u8]) -> Vec<String> {
        read(bytes).unwrap().into_iter().map(|library| format!("{} {}", library.soname, library.path)).collect()
    }

    #[test]
    fn entries_are_sorted_as_the_loader_bisects() {
        let libraries =
            [library("libz.so.1", "/usr/lib/libz.so.1"), library("libc.so.6", "/c"), library("libx.so.10", "/x10")];
        let more = [library("libx.so.9", "/x9"), library("libc.so.6", "/second")];
        let bytes = write(&[libraries.as_slice(), &more].concat(), Architecture::Amd64);
        assert_eq!(shown(&bytes), ["libz.so.1 /usr/lib/libz.so.1", "libx.so.10 /x10", "libx.so.9 /x9", "libc.so.6 /c"]);
    }

    #[test]
    fn a_soname_is_there_once_between_names_that_compare_as_equal() {
        let libraries = [library("liba01", "/first"), library("liba1", "/b"), library("liba01", "/second")];
        assert_eq!(shown(&write(&libraries, Architecture::Amd64)), ["liba01 /first", "liba1 /b"]);
    }

    #[test]
    fn names_that_come_to_more_than_memory_are_no_cache() {
        let mut bytes = MAGIC.to_vec();
        bytes.extend(word(2000));
        bytes.resize(HEADER_BYTES + 2000 * ENTRY_BYTES, 0);
        bytes.extend([b'n'; 10_000]);
        bytes.push(0);
        for entry in 0..2000 {
            let at = HEADER_BYTES + entry * ENTRY_BYTES;
            bytes[at + 4..at + 8].copy_from_slice(&word(HEADER_BYTES + 2000 * ENTRY_BYTES));
            bytes[at + 8..at + 12].copy_from_slice(&word(HEADER_BYTES + 2000 * ENTRY_BYTES));
        }
        assert_eq!(read(&bytes), None);
    }

    #[test]
    fn the_flags_are_the_architectures() {
        let one = |architecture| write(&[library("a.so", "/a.so")], architecture)[48..52].to_vec();
        assert_eq!(one(Architecture::Amd64), [3, 3, 0, 0]);
        assert_eq!(one(Architecture::Arm64), [3, 10, 0, 0]);
    }

    #[test]
    fn a_listing_has_a_line_for_each_library() {
        let libraries = [library("libz.so.1", "/usr/lib/libz.so.1")];
        assert_eq!(
            listing(&libraries, Architecture::Arm64),
            "1 libs found in cache `/etc/ld.so.cache'\n\tlibz.so.1 (libc6,AArch64) => /usr/lib/libz.so.1\n"
        );
    }

    #[test]
    fn no_library_is_a_valid_cache() {
        assert_eq!(read(&write(&[], Architecture::Arm64)).unwrap(), []);
    }

    #[test]
    fn what_is_no_cache_is_not_read_and_what_is_cut_short_is_refused() {
        let bytes = write(&[library("a.so", "/a.so")], Architecture::Amd64);
        assert_eq!(read(b"ld.so-1.7.0"), None);
        for length in 0..bytes.len() {
            assert_eq!(read(&bytes[..length]), None, "{length}");
        }
    }
}
