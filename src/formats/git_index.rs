//! The index of a git repository. The index contains the paths that git tracks. Versions 2, 3 and 4 are supported.
//!
//! [gitformat-index](https://git-scm.com/docs/gitformat-index)

use thiserror::Error;

/// The total size of the times, numbers and IDs that come before the hash of an entry.
const STAT_BYTES: usize = 40;
/// The maximum length of a path. In version 4, entries share the beginnings of paths. Without this limit, a small index
/// could fill the memory.
const MAX_PATH_BYTES: usize = 4096;
const EXTENDED: u16 = 1 << 14;

#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum GitIndexError {
    #[error("it is not the index of a git repository")]
    Magic,
    #[error("it has version {0}, and lath can read versions 2 to 4")]
    Version(u32),
    #[error("it ends too early")]
    Short,
    #[error("one of its paths is too long")]
    LongPath,
    #[error("it is a split index, which lath cannot read; make it whole with `git update-index --no-split-index`")]
    Split,
}

/// Calls `on_path` with each path, relative to the top of the repository. `hash_bytes` is the length of a hash in the
/// repository: 20 for SHA-1, and 32 for SHA-256.
pub(crate) fn each_path(bytes: &[u8], hash_bytes: usize, on_path: &mut dyn FnMut(&[u8])) -> Result<(), GitIndexError> {
    let mut reader = Reader { bytes, position: 0 };
    if reader.take(4).ok() != Some(b"DIRC") {
        return Err(GitIndexError::Magic);
    }
    let version = reader.number()?;
    if !(2..=4).contains(&version) {
        return Err(GitIndexError::Version(version));
    }
    let count = reader.number()?;
    let mut path = Vec::new();
    for _ in 0..count {
        let start = reader.position;
        reader.take(STAT_BYTES + hash_bytes)?;
        let flags = reader.short()?;
        if version >= 3 && flags & EXTENDED != 0 {
            reader.take(2)?;
        }
        // In version 4, an entry contains only the part of its path that differs from the previous path.
        let kept =
            if version == 4 { path.len().checked_sub(reader.offset()?).ok_or(GitIndexError::Short)? } else { 0 };
        path.truncate(kept);
        path.extend_from_slice(reader.text()?);
        if path.len() > MAX_PATH_BYTES {
            return Err(GitIndexError::LongPath);
        }
        if version < 4 {
            // One zero byte ends the path. Further zero bytes fill the entry, so that its length is a multiple of 8.
            let length = reader.position - start;
            reader.take(length.next_multiple_of(8) - length)?;
        }
        on_path(&path);
    }
    if has_extension(&mut reader, hash_bytes, *b"link") { Err(GitIndexError::Split) } else { Ok(()) }
}

/// Whether the index has an extension with this signature. The extensions are between the entries and the hash.
fn has_extension(reader: &mut Reader<'_>, hash_bytes: usize, signature: [u8; 4]) -> bool {
    while reader.bytes.len() - reader.position > hash_bytes {
        let (Ok(found), Ok(length)) = (reader.take(4), reader.number()) else { return false };
        if found == signature {
            return true;
        }
        if usize::try_from(length).is_ok_and(|length| reader.take(length).is_err()) {
            return false;
        }
    }
    false
}

struct Reader<'a> {
    bytes: &'a [u8],
    position: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], GitIndexError> {
        let taken = self.bytes[self.position..].get(..length).ok_or(GitIndexError::Short)?;
        self.position += length;
        Ok(taken)
    }

    fn number(&mut self) -> Result<u32, GitIndexError> {
        Ok(self.take(4)?.iter().fold(0, |number, byte| (number << 8) | u32::from(*byte)))
    }

    fn short(&mut self) -> Result<u16, GitIndexError> {
        Ok(self.take(2)?.iter().fold(0, |number, byte| (number << 8) | u16::from(*byte)))
    }

    /// Reads a number of variable length ("gitformat-pack", "offset encoding").
    fn offset(&mut self) -> Result<usize, GitIndexError> {
        let mut number = 0usize;
        loop {
            let byte = self.take(1)?[0];
            number = number.checked_mul(128).ok_or(GitIndexError::LongPath)? + usize::from(byte & 127);
            if byte & 128 == 0 {
                return Ok(number);
            }
            number += 1;
        }
    }

    /// Reads up to the next zero byte, which is not a part of the result.
    fn text(&mut self) -> Result<&'a [u8], GitIndexError> {
        let rest = &self.bytes[self.position..];
        let length = rest.iter().position(|byte| *byte == 0).ok_or(GitIndexError::Short)?;
        self.position += length + 1;
        Ok(&rest[..length])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(bytes: &[u8]) -> Result<Vec<String>, GitIndexError> {
        let mut paths = Vec::new();
        each_path(bytes, 20, &mut |path| paths.push(String::from_utf8(path.to_vec()).unwrap()))?;
        Ok(paths)
    }

    /// Returns an index of version 2 or 3. In version 3, an entry has additional flags.
    fn padded(version: u8, names: &[&str]) -> Vec<u8> {
        let mut bytes = [b"DIRC", &[0, 0, 0, version], &u32::try_from(names.len()).unwrap().to_be_bytes()[..]].concat();
        for name in names {
            let flags: &[u8] = if version == 3 { &[0x40, 0, 0x20, 0] } else { &[0, 0] };
            let mut entry = [&[7; 60][..], flags, name.as_bytes(), &[0]].concat();
            entry.resize(entry.len().next_multiple_of(8), 0);
            bytes.extend(entry);
        }
        bytes.extend([9; 20]);
        bytes
    }

    #[test]
    fn every_version_has_the_same_paths() {
        let names = ["a", "data/big.bin", "data/bigger.bin", "main.py", &"x".repeat(300)];
        for version in [2, 3] {
            assert_eq!(paths(&padded(version, &names)).unwrap(), names, "{version}");
        }
        let mut bytes = b"DIRC\0\0\0\x04\0\0\0\x03".to_vec();
        for (removed, rest) in [(0, "data/big.bin"), (4, "ger.bin"), (15, "main.py")] {
            bytes.extend([&[7; 60][..], &[0, 0, removed], rest.as_bytes(), &[0]].concat());
        }
        assert_eq!(paths(&bytes).unwrap(), ["data/big.bin", "data/bigger.bin", "main.py"]);
    }

    #[test]
    fn an_index_with_a_shared_part_is_refused_and_other_extensions_are_not() {
        let with = |extensions: &[&[u8]]| {
            let mut bytes = padded(2, &["a"]);
            bytes.truncate(bytes.len() - 20);
            extensions.iter().for_each(|extension| bytes.extend(*extension));
            bytes.extend([9; 20]);
            paths(&bytes)
        };
        assert_eq!(with(&[b"TREE\0\0\0\x02ab", b"link\0\0\0\x14shared index's name"]), Err(GitIndexError::Split));
        assert_eq!(with(&[b"TREE\0\0\0\x04link"]).unwrap(), ["a"]);
        assert_eq!(with(&[b"TREE\xff\xff\xff\xfflink"]).unwrap(), ["a"]);
    }

    #[test]
    fn a_long_difference_has_several_bytes() {
        let long = "x".repeat(300);
        let mut bytes = b"DIRC\0\0\0\x04\0\0\0\x02".to_vec();
        bytes.extend([&[7; 60][..], &[0, 0, 0], long.as_bytes(), &[0]].concat());
        // The bytes 0x81 and 44 are the number 300, which is (1 + 1) * 128 + 44.
        bytes.extend([&[7; 60][..], &[0, 0, 0x81, 44], b"y", &[0]].concat());
        assert_eq!(paths(&bytes).unwrap(), [long.as_str(), "y"]);
    }

    #[test]
    fn a_broken_index_is_refused() {
        let whole = padded(2, &["a", "b"]);
        assert_eq!(paths(b"PACK\0\0\0\x02"), Err(GitIndexError::Magic));
        assert_eq!(paths(&padded(5, &["a"])), Err(GitIndexError::Version(5)));
        for length in 4..whole.len() - 20 {
            assert_eq!(paths(&whole[..length]), Err(GitIndexError::Short), "{length}");
        }
        let mut climbing = b"DIRC\0\0\0\x04\0\0\0\x01".to_vec();
        climbing.extend([&[7; 60][..], &[0, 0, 5], b"y", &[0]].concat());
        assert_eq!(paths(&climbing), Err(GitIndexError::Short));
        let long = "x".repeat(MAX_PATH_BYTES + 1);
        assert_eq!(paths(&padded(2, &[&long])), Err(GitIndexError::LongPath));
    }
}
