//! Finds names of libraries, programs and symbols in the bytes of any file.

use std::collections::BTreeSet;

use memchr::memmem;

use crate::model::vocabulary::{NAMES, STRINGS, is_program};
use crate::model::zeros::is_zero;

/// The maximum size of a piece of a file that is in memory. A longer file is read piece by piece, and is not treated as
/// a script.
const PIECE_BYTES: usize = 8 << 20;
/// The number of bytes at the beginning of a file that are searched for a zero byte. If there is one, the file cannot
/// be a script. The whole file is then not needed at once, so the file is read in pieces of this smaller size.
const BINARY_PIECE_BYTES: usize = 256 << 10;
/// This number of bytes at the end of a piece is searched again with the next piece, because a name may begin in one
/// piece and end in the next piece. If the beginning of a piece cuts a name, the rest may be mistaken for a shorter
/// name. The only effect is that more files are kept in the image.
const OVERLAP_BYTES: usize = 256;

/// The maximum length of a library's name.
const LONGEST_NAME: usize = 64;

/// Decides in which texts the names of programs are searched for. These are texts that a shell may read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Texts {
    /// Any text, because a script of the same package may read it.
    All,
    /// Only texts that contain a script (`#!/`).
    Scripts,
}

/// Finds the names in a file. The bytes of the file can be added in parts of any length.
#[derive(Debug)]
pub(crate) struct Scan {
    texts: Texts,
    piece: Vec<u8>,
    is_first: bool,
    is_binary: bool,
    is_elf: bool,
    found: Mentions,
}

/// The names in a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Mentions {
    /// Names of libraries, without `.so` and the characters after it.
    pub(crate) libraries: BTreeSet<String>,
    /// Words of the vocabulary.
    pub(crate) words: BTreeSet<String>,
}

impl Scan {
    pub(crate) fn new(texts: Texts) -> Self {
        Self { texts, piece: Vec::new(), is_first: true, is_binary: false, is_elf: false, found: Mentions::default() }
    }

    pub(crate) fn add(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.is_first && self.piece.len() == BINARY_PIECE_BYTES {
                self.is_binary = memchr::memchr(0, &self.piece).is_some();
            }
            if self.piece.len() == if self.is_binary { BINARY_PIECE_BYTES } else { PIECE_BYTES } {
                self.search_piece();
                self.is_first = false;
                self.piece.drain(..self.piece.len() - OVERLAP_BYTES);
            }
            let next = if self.piece.len() < BINARY_PIECE_BYTES { BINARY_PIECE_BYTES } else { PIECE_BYTES };
            let (here, rest) = bytes.split_at(bytes.len().min(next - self.piece.len()));
            self.piece.extend_from_slice(here);
            bytes = rest;
        }
    }

    /// Returns the whole file. Returns `None` if it is longer than a piece.
    pub(crate) fn whole(&self) -> Option<&[u8]> {
        (self.is_first && self.piece.len() < PIECE_BYTES).then_some(&self.piece)
    }

    /// Returns whether the file is an ELF file.
    pub(crate) fn is_elf(&self) -> bool {
        self.is_elf || self.is_first && self.piece.starts_with(b"\x7fELF")
    }

    /// Returns the names. This must be called after all bytes were added.
    pub(crate) fn finish(mut self) -> Mentions {
        self.search_piece();
        let programs = self.whole().filter(|bytes| !self.is_elf && self.is_script(bytes)).map(programs);
        self.found.words.extend(programs.into_iter().flatten());
        self.found
    }

    fn search_piece(&mut self) {
        self.is_elf = self.is_elf();
        // Sparse files have large holes, so pieces with only zeros are skipped.
        if is_zero(&self.piece) {
            return;
        }
        add_libraries(&self.piece, &mut self.found.libraries);
        let names = NAMES.into_iter().filter(|name| mentions(&self.piece, name));
        let strings = STRINGS.into_iter().filter(|string| self.is_elf && has_string(&self.piece, string));
        self.found.words.extend(names.chain(strings).map(str::to_owned));
    }

    fn is_script(&self, bytes: &[u8]) -> bool {
        let is_text = memchr::memchr(0, bytes).is_none();
        is_text && (self.texts == Texts::All || memmem::find(bytes, b"#!/").is_some())
    }
}

/// Adds the libraries that a file may open with `dlopen`, without `.so` and the characters after it. A library is found
/// by a text such as `libmagic.so.1`, or by a call such as `find_library("magic")`.
fn add_libraries(bytes: &[u8], names: &mut BTreeSet<String>) {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
    for end in memmem::find_iter(bytes, b".so") {
        let before = &bytes[end.saturating_sub(LONGEST_NAME)..end];
        let start = before.iter().rposition(|&byte| !is_name(byte)).map_or(0, |position| position + 1);
        if let Ok(name) = std::str::from_utf8(&before[start..])
            && name.starts_with("lib")
            && !names.contains(name)
        {
            names.insert(name.to_owned());
        }
    }
    for call in [b"find_library(".as_slice(), b"LoadLibrary(", b"dlopen("] {
        for start in memmem::find_iter(bytes, call) {
            let after = &bytes[(start + call.len()).min(bytes.len())..];
            let after = &after[..after.len().min(LONGEST_NAME)];
            let quoted = after.iter().position(|byte| b"'\"".contains(byte)).map_or(&[][..], |at| &after[at + 1..]);
            let length = quoted.iter().take_while(|&&byte| is_name(byte)).count();
            if let (1.., Ok(name)) = (length, std::str::from_utf8(&quoted[..length])) {
                names.insert(format!("lib{}", name.strip_prefix("lib").unwrap_or(name)));
            }
        }
    }
}

/// Returns whether `word` occurs in `bytes` as a whole name. For example, `find_library_file` does not count as
/// `find_library`.
fn mentions(bytes: &[u8], word: &str) -> bool {
    let is_part = |byte: Option<&u8>| byte.is_some_and(|&byte| byte.is_ascii_alphanumeric() || byte == b'_');
    memmem::find_iter(bytes, word).any(|start| {
        let before = start.checked_sub(1).and_then(|at| bytes.get(at));
        !is_part(before) && !is_part(bytes.get(start + word.len()))
    })
}

/// Returns whether a string table in `bytes` contains `text`. In the table, zero bytes separate the strings. But a linker
/// stores only one of two strings with the same end: libglib exports `g_iconv_open` and calls `iconv_open`, and its table
/// contains only the first name. So a string that ends with `_` and `text` counts, too.
fn has_string(bytes: &[u8], text: &str) -> bool {
    memmem::find_iter(bytes, text).any(|start| {
        let before = start.checked_sub(1).and_then(|at| bytes.get(at));
        matches!(before, Some(0 | b'_')) && bytes.get(start + text.len()) == Some(&0)
    })
}

/// Returns the words of a text that are names of programs.
fn programs(bytes: &[u8]) -> BTreeSet<String> {
    let words = bytes.split(|byte| !IS_WORD[usize::from(*byte)]).filter(|word| is_program(word));
    let programs: BTreeSet<&[u8]> = words.collect();
    programs.into_iter().map(|program| String::from_utf8_lossy(program).into_owned()).collect()
}

/// For each byte, whether the name of a program can contain this byte.
const IS_WORD: [bool; 256] = {
    let mut is_word = [false; 256];
    let mut byte = 0;
    while byte < 256 {
        is_word[byte] = matches!(byte as u8, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'+' | b'-' | b'.' | b'[');
        byte += 1;
    }
    is_word
};

#[cfg(test)]
mod tests {
    use super::*;

    fn scanned(bytes: &[u8], texts: Texts) -> Mentions {
        let mut scan = Scan::new(texts);
        scan.add(bytes);
        scan.finish()
    }

    #[test]
    fn libraries_are_named_by_file_name_path_or_call() {
        let text = br#"
            CDLL('libmagic.so.1'); b"/usr/lib/libfoo-2.0.so"; ctypes.util.find_library("crypto")
            cdll.LoadLibrary( 'libbar' ) ; ffi.dlopen(name) ; import os.so ; blib.so
        "#;
        let names: Vec<String> = scanned(text, Texts::Scripts).libraries.into_iter().collect();
        assert_eq!(names, ["libbar", "libcrypto", "libfoo-2.0", "libmagic"]);
    }

    #[test]
    fn words_are_what_a_shell_could_run() {
        let script = b"if [ -x \"$A\" ]; then\n\tbasename x|tail -e y; my-cat; catx\n";
        let found: Vec<String> = programs(script).into_iter().collect();
        assert_eq!(found, ["[", "basename", "tail"]);
        let with_line = [b"#!/bin/sh\n".as_slice(), script].concat();
        for (bytes, texts, is_read) in [
            (script.as_slice(), Texts::All, true),
            (script, Texts::Scripts, false),
            (&with_line, Texts::Scripts, true),
            (&[&with_line, b"\0".as_slice()].concat(), Texts::All, false),
        ] {
            assert_eq!(scanned(bytes, texts).words.contains("basename"), is_read, "{texts:?}");
        }
    }

    #[test]
    fn a_mention_is_a_whole_name() {
        let table = [
            ("from ctypes.util import find_library\n", true),
            ("find_library", true),
            ("compiler.find_library_file(dirs, lib)", false),
            ("def _find_library(name):", false),
            ("_find_library or find_library('c')", true),
        ];
        for (text, is_mention) in table {
            assert_eq!(mentions(text.as_bytes(), "find_library"), is_mention, "{text}");
        }
    }

    #[test]
    fn a_symbol_is_a_whole_string_of_an_elf_file_or_its_last_words() {
        let table: [(&[u8], bool); 6] = [
            (b"\x7fELF\0iconv_open\0", true),
            (b"\x7fELF\0my_iconv_open\0iconv_open_x\0iconv_open\0", true),
            (b"\x7fELF\0libiconv_open\0iconv_open_x\0", false),
            (b"\x7fELF\0g_iconv_open\0", true),
            (b"\x7fELF\0iconv_open", false),
            (b"\0iconv_open\0", false),
        ];
        for (bytes, is_symbol) in table {
            assert_eq!(scanned(bytes, Texts::All).words.contains("iconv_open"), is_symbol, "{bytes:?}");
        }
    }

    #[test]
    fn a_file_in_small_parts_names_the_same() {
        let text = b"#!/bin/sh\nfind_library('magic'); libx.so.1; basename\n";
        let mut scan = Scan::new(Texts::Scripts);
        text.chunks(3).for_each(|part| scan.add(part));
        assert_eq!(scan.whole(), Some(text.as_slice()));
        assert_eq!(scan.finish(), scanned(text, Texts::Scripts));
    }

    #[test]
    fn a_file_that_is_longer_than_a_piece_names_the_same_wherever_a_name_lies() {
        let name = b" 'libacross.so.1' find_library ";
        for (filler, piece_bytes) in [(b' ', PIECE_BYTES), (0, BINARY_PIECE_BYTES)] {
            for shift in [0, 20, piece_bytes - 40, piece_bytes - 16, piece_bytes - 3, piece_bytes, 2 * piece_bytes + 7]
            {
                let mut bytes = vec![filler; 2 * piece_bytes + 100];
                bytes[shift..shift + name.len()].copy_from_slice(name);
                let mut scan = Scan::new(Texts::Scripts);
                bytes.chunks(100_000).for_each(|part| scan.add(part));
                assert!(scan.whole().is_none() && scan.piece.capacity() <= 2 * piece_bytes);
                let found = scan.finish();
                assert!(found.libraries.contains("libacross"), "{shift}");
                assert!(found.words.contains("find_library"), "{shift}");
            }
        }
    }
}
