//! The names of modules in a compiled file: an extension module imports other modules by names that it contains as texts.
//!
//! Most files contain each text as a word of its own, with a zero at its end. Files of Cython contain all texts in one row,
//! which Cython 3.3 compresses: a byte of flags, then eight items, each of which is a byte or a reference to bytes before
//! it (function `__pyx_lzss_decompress` in the C files that it writes).

use std::collections::BTreeSet;

use aho_corasick::AhoCorasick;
use memchr::memmem;

/// A row of texts has at least so many characters. Shorter ones are words.
const SHORTEST_ROW: usize = 200;
/// No row of texts is longer.
const MOST_BYTES: usize = 16 << 20;
/// Texts that Cython's own functions contain.
const MARKS: [&str; 2] = ["__pyx_", "cython_runtime"];
const COMPRESSED_MARK: &str = "LZSS string data decompression failed";
/// The name of the function that other kinds of compression use.
const OTHER_COMPRESSION: &[u8] = b"\0decompress\0";

/// Finds the names of modules in compiled files.
pub(crate) struct NameSearch<'a> {
    /// Sorted.
    names: &'a [&'a str],
    /// Finds all names anywhere. `None` if there are too many names.
    anywhere: Option<AhoCorasick>,
}

impl<'a> NameSearch<'a> {
    /// `names` are sorted.
    pub(crate) fn new(names: &'a [&'a str]) -> Self {
        Self { names, anywhere: AhoCorasick::new(names).ok() }
    }

    fn all(&self) -> BTreeSet<String> {
        self.names.iter().map(|&name| name.to_owned()).collect()
    }

    /// Returns the names that a compiled file contains. If it hides its texts, all names are returned.
    pub(crate) fn names_in(&self, bytes: &[u8]) -> BTreeSet<String> {
        let mut found = self.words(bytes);
        let has = |word: &[u8]| memmem::find(bytes, word).is_some();
        if !MARKS.iter().any(|mark| has(mark.as_bytes())) {
            return found;
        }
        let unpacked = if has(COMPRESSED_MARK.as_bytes()) { unpacked_rows(bytes) } else { Vec::new() };
        let is_hidden = if has(COMPRESSED_MARK.as_bytes()) { unpacked.is_empty() } else { has(OTHER_COMPRESSION) };
        if is_hidden {
            return self.all();
        }
        let rows = bytes.split(|byte| !is_text(*byte)).filter(|row| row.len() >= SHORTEST_ROW);
        for row in rows.chain(unpacked.iter().map(Vec::as_slice)) {
            found.extend(self.anywhere(row));
        }
        found
    }

    /// Returns the names that are words. The longest part of a dotted word counts, because its last parts may be names of
    /// objects.
    fn words(&self, bytes: &[u8]) -> BTreeSet<String> {
        let longest = |word: &str| {
            let mut parts = std::iter::successors(Some(word), |name| name.rsplit_once('.').map(|(parent, _)| parent));
            parts.find(|name| self.names.binary_search(name).is_ok()).map(str::to_owned)
        };
        let texts = bytes.split(|byte| *byte == 0).filter(|text| (2..=100).contains(&text.len()));
        texts
            .filter_map(|text| std::str::from_utf8(text).ok())
            .filter(|text| is_name(text))
            .filter_map(longest)
            .collect()
    }

    /// Returns the names that occur anywhere in a row of texts.
    fn anywhere(&self, row: &[u8]) -> BTreeSet<String> {
        let Some(search) = &self.anywhere else { return self.all() };
        search.find_overlapping_iter(row).map(|found| self.names[found.pattern().as_usize()].to_owned()).collect()
    }
}

fn is_name(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'))
}

fn is_text(byte: u8) -> bool {
    byte.is_ascii_graphic() || byte.is_ascii_whitespace()
}

/// Returns the compressed rows of texts. Each begins with flags for eight bytes as they are, and with these bytes.
fn unpacked_rows(bytes: &[u8]) -> Vec<Vec<u8>> {
    let begins = memchr::memchr_iter(0xff, bytes)
        .filter(|begin| bytes.get(begin + 1..begin + 9).is_some_and(|first| first.iter().all(|byte| is_text(*byte))));
    let is_row = |row: &Vec<u8>| row.iter().take_while(|byte| is_text(**byte)).count() >= SHORTEST_ROW;
    begins.map(|begin| unpacked(&bytes[begin..])).filter(is_row).collect()
}

/// Unpacks bytes until there is no more input, or a reference leads before the beginning.
fn unpacked(bytes: &[u8]) -> Vec<u8> {
    let mut input = bytes.iter().copied();
    let mut output = Vec::new();
    while output.len() < MOST_BYTES {
        let Some(flags) = input.next() else { break };
        for bit in 0..8 {
            let item = if flags >> bit & 1 == 1 {
                input.next().map(|byte| output.push(byte))
            } else {
                reference(&mut input).and_then(|(back, length)| copy_back(&mut output, back, length))
            };
            if item.is_none() {
                return output;
            }
        }
        // Random bytes are no row, so that most attempts end here.
        if output.len() >= SHORTEST_ROW && !output[..SHORTEST_ROW].iter().all(|byte| is_text(*byte)) {
            return output;
        }
    }
    output
}

/// Reads a reference: how far before the end of the output the bytes end, and how many they are.
fn reference(input: &mut impl Iterator<Item = u8>) -> Option<(usize, usize)> {
    let low = usize::from(input.next()?);
    let high = usize::from(input.next()?);
    let (back, length) = match (low & 0x80, high & 0x80) {
        (0, _) => (low, high),
        (_, 0) => (0x80 + ((high << 2 & 0x180) | (low & 0x7f)), high & 0x1f),
        _ => (0x80 + ((high & 0x7f) << 7 | (low & 0x7f)), usize::from(input.next()?)),
    };
    Some((back, length + 3))
}

fn copy_back(output: &mut Vec<u8>, back: usize, length: usize) -> Option<()> {
    let begin = output.len().checked_sub(back + length)?;
    output.extend_from_within(begin..begin + length);
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(bytes: &[u8]) -> Vec<String> {
        NameSearch::new(&["decimal", "json", "json.decoder", "os.path", "re"]).names_in(bytes).into_iter().collect()
    }

    #[test]
    fn words_between_zeros_are_names_and_parts_of_words_are_not() {
        assert_eq!(found(b"\0json.decoder.JSONDecoder\0re\0redecimals\0"), ["json.decoder", "re"]);
        assert_eq!(found(b"re decimal"), [""; 0]);
    }

    #[test]
    fn the_texts_of_cython_are_in_one_row() {
        let row = format!("__pyx_\0{}decimaljsonx\0", "x".repeat(SHORTEST_ROW));
        assert_eq!(found(row.as_bytes()), ["decimal", "json"]);
    }

    /// Packs bytes without references, and then the last `length` bytes once more.
    fn packed(text: &[u8], length: u8) -> Vec<u8> {
        assert_eq!(text.len() % 8, 0);
        let whole = text.chunks(8).flat_map(|bytes| std::iter::once(0xff).chain(bytes.iter().copied()));
        whole.chain([0b1111_1110, 0, length - 3]).collect()
    }

    #[test]
    fn compressed_texts_are_unpacked_and_other_compression_hides_everything() {
        let text = format!("{}xxdecimal.jsonxx", "x".repeat(SHORTEST_ROW));
        let row = packed(text.as_bytes(), 8);
        assert!(
            unpacked(&row).ends_with(b"xxdecimal.jsonxxl.jsonxx"),
            "{:?}",
            String::from_utf8_lossy(&unpacked(&row))
        );
        let file = [b"__pyx_\0", COMPRESSED_MARK.as_bytes(), b"\0", &row].concat();
        assert_eq!(found(&file), ["decimal", "json"]);
        let hidden = [b"__pyx_\0", COMPRESSED_MARK.as_bytes(), b"\0"].concat();
        assert_eq!(found(&hidden).len(), 5);
        assert_eq!(found(b"__pyx_\0zlib\0decompress\0").len(), 5);
    }
}
