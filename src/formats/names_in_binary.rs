//! Finds the names of modules in a compiled file. An extension module contains the names of the modules that it
//! imports, in the form of texts.
//!
//! In most files, each text is separate and ends with a zero byte. In files of Cython, all texts follow each other
//! without separators. Since Cython 3.3, such a row of texts is compressed. In a compressed row, eight items follow
//! each byte of flags. One flag for each item shows whether the item is a byte or a reference to earlier bytes
//! (function `__pyx_lzss_decompress` in the C files that Cython writes).

use std::collections::BTreeSet;

use memchr::memmem;

use crate::model::binary_texts::BinaryTexts;

/// The minimum length of a row of texts. A shorter text counts as a single word.
const SHORTEST_ROW: usize = 200;
/// The maximum length of a compressed row of texts after it is unpacked.
const MOST_BYTES: usize = 16 << 20;
/// The number of bytes that are checked at the end of the unpacked bytes. If these bytes are not text, unpacking ends.
const WINDOW: usize = 64;
/// Texts that occur in each file of Cython, because they are in functions that Cython adds.
const MARKS: [&str; 2] = ["__pyx_", "cython_runtime"];
/// Each file of Cython contains this name. The file imports it only if the program has imported `asyncio` before.
const OF_CYTHON: &str = "asyncio.coroutines";
const COMPRESSED_MARK: &str = "LZSS string data decompression failed";
/// The name of a function. If a file of Cython contains this name, its texts are compressed in another way, which lath
/// cannot read.
const OTHER_COMPRESSION: &[u8] = b"\0decompress\0";

/// Reads the texts of a compiled file.
pub(crate) fn texts(bytes: &[u8]) -> BinaryTexts {
    let mut texts = BinaryTexts { words: words(bytes), ..BinaryTexts::default() };
    let has = |word: &[u8]| memmem::find(bytes, word).is_some();
    if !MARKS.iter().any(|mark| has(mark.as_bytes())) {
        return texts;
    }
    let is_compressed = has(COMPRESSED_MARK.as_bytes());
    let unpacked = if is_compressed { unpacked_rows(bytes) } else { Vec::new() };
    texts.is_hidden = if is_compressed { unpacked.is_empty() } else { has(OTHER_COMPRESSION) };
    let rows = bytes.split(|byte| !is_text(*byte)).filter(|row| row.len() >= SHORTEST_ROW);
    let rows = rows.chain(unpacked.iter().map(Vec::as_slice));
    texts.rows = rows.map(|row| String::from_utf8_lossy(row).replace(OF_CYTHON, "\n")).collect();
    texts.words.remove(OF_CYTHON);
    texts
}

/// Reads the texts of a file with bytecode. There are no separators between the texts.
pub(crate) fn texts_of_bytecode(bytes: &[u8]) -> BinaryTexts {
    let rows = bytes.split(|byte| !is_text(*byte)).filter(|row| row.len() > 1);
    let rows = rows.map(|row| String::from_utf8_lossy(row).into_owned()).collect();
    BinaryTexts { rows, ..BinaryTexts::default() }
}

fn words(bytes: &[u8]) -> BTreeSet<String> {
    let texts = bytes.split(|byte| *byte == 0).filter(|text| (2..=100).contains(&text.len()));
    texts.filter(|text| is_name(text)).map(|text| String::from_utf8_lossy(text).into_owned()).collect()
}

/// Whether a text can be the name of a module. The names of C++ functions begin with `_Z`.
fn is_name(text: &[u8]) -> bool {
    let is_begin = text[0].is_ascii_alphabetic() || text[0] == b'_';
    let is_name = |text: &[u8]| text.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.'));
    is_begin && !text.starts_with(b"_Z") && is_name(text)
}

fn is_text(byte: u8) -> bool {
    byte.is_ascii_graphic() || byte.is_ascii_whitespace()
}

/// Finds the compressed rows of texts, and returns them unpacked. Each compressed row begins with the flags 0xff, which
/// mean that the next eight items are bytes.
fn unpacked_rows(bytes: &[u8]) -> Vec<Vec<u8>> {
    let (mut rows, mut end) = (Vec::new(), 0);
    for begin in memchr::memchr_iter(0xff, bytes) {
        let first = bytes.get(begin + 1..begin + 9);
        if begin < end || !first.is_some_and(|first| first.iter().all(|byte| is_text(*byte))) {
            continue;
        }
        let row = unpacked(&bytes[begin..]);
        if row.texts.iter().take_while(|byte| is_text(**byte)).count() >= SHORTEST_ROW {
            end = begin + row.packed_bytes;
            rows.push(row.texts);
        }
    }
    rows
}

/// A row of texts after it was unpacked.
#[derive(Default)]
struct Unpacked {
    texts: Vec<u8>,
    packed_bytes: usize,
}

/// Unpacks bytes until the input ends, a reference is invalid, or the result is not text.
fn unpacked(bytes: &[u8]) -> Unpacked {
    let mut input = bytes.iter().copied();
    let mut texts = Vec::new();
    'groups: while texts.len() < MOST_BYTES {
        let Some(flags) = input.next() else { break };
        for bit in 0..8 {
            let item = if flags >> bit & 1 == 1 {
                input.next().map(|byte| texts.push(byte))
            } else {
                reference(&mut input).and_then(|(back, length)| copy_back(&mut texts, back, length))
            };
            if item.is_none() {
                break 'groups;
            }
        }
        if texts.last_chunk::<WINDOW>().is_some_and(|last| !may_be_text(last)) {
            break;
        }
    }
    Unpacked { texts, packed_bytes: bytes.len() - input.len() }
}

/// Whether these bytes from the middle of a row are UTF-8 text with few control characters.
fn may_be_text(bytes: &[u8; WINDOW]) -> bool {
    // The first character may have begun before these bytes, so its remaining bytes are skipped.
    let begin = bytes.iter().take(3).take_while(|byte| **byte & 0xc0 == 0x80).count();
    let is_utf8 = match std::str::from_utf8(&bytes[begin..]) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    };
    is_utf8 && bytes.iter().filter(|byte| **byte < b' ' && !byte.is_ascii_whitespace()).count() < WINDOW / 2
}

/// Reads a reference to earlier output. Returns the distance from the end of the output to the end of the referenced
/// bytes, and the number of these bytes.
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
    use crate::model::binary_texts::NameSearch;

    fn found(bytes: &[u8]) -> Vec<&'static str> {
        let names = ["decimal", "json", "json.decoder", "os.path", "re"];
        NameSearch::new(names.into_iter()).names_in(&texts(bytes)).into_iter().collect()
    }

    #[test]
    fn words_between_zeros_are_names_and_parts_of_words_are_not() {
        let file = b"\0json.decoder.JSONDecoder\0re\0redecimals\0_ZN4json\x001a\0a b\0x\0";
        assert_eq!(found(file), ["json.decoder", "re"]);
        assert_eq!(words(file).into_iter().collect::<Vec<_>>(), ["json.decoder.JSONDecoder", "re", "redecimals"]);
        assert_eq!(found(b"re decimal"), [""; 0]);
    }

    #[test]
    fn bytecode_contains_names_anywhere() {
        let bytecode = b"\xcb\r\xe3\x01\0\xda\x0cjson.decoder)\x02\xda\x07decimal\xff";
        let names = ["decimal", "json", "json.decoder", "os.path"];
        let found = NameSearch::new(names.into_iter()).names_in(&texts_of_bytecode(bytecode));
        assert_eq!(found.into_iter().collect::<Vec<_>>(), ["decimal", "json", "json.decoder"]);
    }

    #[test]
    fn the_texts_of_cython_are_in_one_row() {
        let row = format!("__pyx_\0{}decimaljsonx\0", "x".repeat(SHORTEST_ROW));
        assert_eq!(found(row.as_bytes()), ["decimal", "json"]);
    }

    #[test]
    fn the_name_that_each_file_of_cython_contains_is_no_import() {
        let found = |file: &str| {
            let names = ["asyncio", "asyncio.coroutines", "asyncio.events"];
            let search = NameSearch::new(names.into_iter());
            search.names_in(&texts(file.as_bytes())).into_iter().collect::<Vec<_>>()
        };
        let row = "x".repeat(SHORTEST_ROW);
        for own in ["__pyx_\0asyncio.coroutines\0".to_owned(), format!("__pyx_\0{row}asyncio.coroutinesx\0")] {
            assert_eq!(found(&own), [""; 0]);
            assert_eq!(found(&format!("{own}asyncio.events\0")), ["asyncio.events"]);
            assert_eq!(found(&format!("{own}asyncio\0")), ["asyncio"]);
        }
        assert_eq!(found("asyncio.coroutines\0"), ["asyncio.coroutines"], "a file that is not of Cython");
    }

    /// Returns compressed data: `text` without references, and then a reference to its last `length` bytes.
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
            unpacked(&row).texts.ends_with(b"xxdecimal.jsonxxl.jsonxx"),
            "{:?}",
            String::from_utf8_lossy(&unpacked(&row).texts)
        );
        let file = [b"__pyx_\0", COMPRESSED_MARK.as_bytes(), b"\0", &row].concat();
        assert_eq!(found(&file), ["decimal", "json"]);
        // A row ends if the bytes are not text. Each row is read only once.
        let umlauts = "\u{e4}\u{f6}\u{fc}\u{20ac}".repeat(64);
        let text = [text.as_bytes(), umlauts.as_bytes(), b"\x1b", &b"x".repeat(7), b"decimal.", &[0x80; 4096]].concat();
        let rows = unpacked_rows(&packed(&text[..text.len() / 8 * 8], 8));
        let [row] = rows.as_slice() else { panic!("{} rows", rows.len()) };
        assert!(row.len() < text.len() - 3900 && String::from_utf8_lossy(row).contains("\u{1b}xxxxxxxdecimal."));
        let hidden = [b"__pyx_\0", COMPRESSED_MARK.as_bytes(), b"\0"].concat();
        assert_eq!(found(&hidden).len(), 5);
        assert_eq!(found(b"__pyx_\0zlib\0decompress\0").len(), 5);
    }
}
