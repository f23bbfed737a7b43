//! Surveys the dependencies and names in the files of each origin. The result is kept in the cache, so files are read
//! once.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, Seek};

use memchr::memmem;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use super::Base;
use crate::formats::elf::{self, ElfFile};
use crate::model::digest::Digest;
use crate::model::image_path::ImagePath;
use crate::model::tree::{Kind, Origin, Tree};
use crate::model::zeros::is_zero;
use crate::outside::store::{Bucket, Store, StoreError};

/// So much of a file is in memory. A longer one is read piece by piece, and is no script of anybody's.
const PIECE_BYTES: usize = 8 << 20;
/// The end of a piece that is read again with the next one, because a name may lie across. A name that is cut there can be
/// taken for a shorter one, which keeps more and never less.
const OVERLAP_BYTES: usize = 256;

/// The longest word that can be the name of a program or a library.
const LONGEST_NAME: usize = 64;

/// Words that show that a file uses `ldconfig`. If no file contains one, a script replaces `ldconfig`.
pub(super) const FOR_LDCONFIG: [&str; 2] = ["find_library", "ldconfig"];
/// The word in files that use the texts of Python's help.
pub(super) const FOR_TOPICS: [&str; 1] = ["pydoc_data"];
/// The word in files that fetch interpreters. If a file contains it, virtualenv's wheels for every Python stay.
pub(super) const FOR_SEEDS: [&str; 1] = ["python-build-standalone"];

/// What the files of one origin need from the rest of the image.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Survey {
    /// Its ELF files.
    pub(super) elf: BTreeMap<ImagePath, Linked>,
    /// Libraries that its files name: `libmagic`, for a text `libmagic.so.1` or a call `find_library("magic")`.
    pub(super) named_libraries: BTreeSet<String>,
    /// Words of its text files that could be names of programs.
    pub(super) words: BTreeSet<String>,
    /// Those of [`FOR_LDCONFIG`], [`FOR_TOPICS`] and [`FOR_SEEDS`] that occur in its files.
    pub(super) mentions: BTreeSet<String>,
    /// Whether one of its ELF files converts between character sets with glibc's `iconv`.
    pub(super) calls_iconv: bool,
}

/// An ELF file as the loader sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Linked {
    pub(super) soname: Option<String>,
    pub(super) needed: Vec<String>,
}

/// Returns whether one of `words` occurs in a file of a wheel, of the user, or of a package outside the base.
pub(super) fn is_mentioned(surveys: &BTreeMap<Origin, Survey>, words: &[&str]) -> bool {
    surveys.values().any(|survey| words.iter().any(|&word| survey.mentions.contains(word)))
}

/// Surveys every package, every distribution and the user's files in `tree`. In the base only ELF files are read. Files
/// that lath wrote are left out because they name everything in the image but need none of it.
pub(super) fn surveys(tree: &Tree, base: &Base, store: &Store) -> Result<BTreeMap<Origin, Survey>, StoreError> {
    let mut files: BTreeMap<&Origin, Vec<(&ImagePath, &Digest)>> = BTreeMap::new();
    for (path, node) in &tree.nodes {
        if let (Kind::File { digest, .. }, Origin::Deb { .. } | Origin::Wheel { .. } | Origin::User) =
            (&node.kind, &node.origin)
        {
            files.entry(&node.origin).or_default().push((path, digest));
        }
    }
    files
        .into_par_iter()
        .map(|(origin, files)| Ok((origin.clone(), survey(&files, Reading::of(origin, base), store)?)))
        .collect()
}

/// How much of an origin's files is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reading {
    /// Only ELF files.
    Base,
    Package,
    Distribution,
}

impl Reading {
    fn of(origin: &Origin, base: &Base) -> Self {
        match origin {
            Origin::Deb { .. } if base.has(origin) => Self::Base,
            Origin::Deb { .. } => Self::Package,
            Origin::Wheel { .. } | Origin::Lath | Origin::User => Self::Distribution,
        }
    }

    /// Returns the name, for keys.
    fn name(self) -> &'static str {
        match self {
            Self::Base => "base",
            Self::Package => "package",
            Self::Distribution => "distribution",
        }
    }

    /// Returns whether a shell could read the file: any text of a package, and a text of a distribution if it contains
    /// a script.
    fn is_script(self, bytes: &[u8]) -> bool {
        let is_text = memchr::memchr(0, bytes).is_none();
        match self {
            Self::Base => false,
            Self::Package => is_text,
            Self::Distribution => is_text && memmem::find(bytes, b"#!/").is_some(),
        }
    }
}

fn survey(files: &[(&ImagePath, &Digest)], reading: Reading, store: &Store) -> Result<Survey, StoreError> {
    let fields = files.iter().flat_map(|(path, digest)| [path.as_str().as_bytes(), digest.as_bytes().as_slice()]);
    let key = Digest::of_fields(fields.chain([reading.name().as_bytes()]));
    if let Some(noted) = store.entry(Bucket::Surveys, &key) {
        return Ok(noted);
    }
    let mut survey = Survey::default();
    for (path, digest) in files {
        // Files of the base that cannot be a library or program are not even opened.
        if reading != Reading::Base
            || path.file_name().contains(".so")
            || path.is_within("/usr/bin")
            || path.is_within("/usr/sbin")
        {
            let mut contents = store.reader(digest)?;
            let read = survey.read(path, &mut contents, reading);
            read.map_err(|source| StoreError::Read { path: store.contents_place(digest), source })?;
        }
    }
    store.write_entry(Bucket::Surveys, &key, &survey)?;
    Ok(survey)
}

impl Survey {
    fn read(&mut self, path: &ImagePath, mut contents: impl Read + Seek, reading: Reading) -> io::Result<()> {
        let mut piece = Vec::new();
        contents.by_ref().take(PIECE_BYTES as u64).read_to_end(&mut piece)?;
        let is_elf = piece.starts_with(b"\x7fELF");
        let is_whole = piece.len() < PIECE_BYTES;
        if !is_elf && is_whole && reading.is_script(&piece) {
            self.words.extend(words(&piece));
        }
        let mut length = piece.len();
        while length > 0 {
            self.scan(&piece, reading, is_elf);
            piece.drain(..piece.len().saturating_sub(OVERLAP_BYTES));
            let more = (PIECE_BYTES - piece.len()) as u64;
            length = contents.by_ref().take(more).read_to_end(&mut piece)?;
        }
        // A file that cannot be read as ELF cannot be loaded either.
        if is_elf && let Ok(Some(ElfFile { soname, needed, .. })) = elf::parse_file(contents) {
            self.elf.insert(path.clone(), Linked { soname, needed });
        }
        Ok(())
    }

    /// Adds the names that occur in a piece of a file.
    fn scan(&mut self, piece: &[u8], reading: Reading, is_elf: bool) {
        // The holes of sparse files are large.
        if is_zero(piece) {
            return;
        }
        if reading != Reading::Base {
            self.named_libraries.extend(named_libraries(piece));
            let words = FOR_LDCONFIG.iter().chain(&FOR_TOPICS).chain(&FOR_SEEDS);
            self.mentions.extend(words.filter(|word| mentions(piece, word)).map(|&word| word.to_owned()));
        }
        self.calls_iconv |= is_elf && memmem::find(piece, b"\0iconv_open\0").is_some();
    }
}

/// Returns the libraries that a file names in any form that leads to `dlopen`, without the part after `.so`.
fn named_libraries(bytes: &[u8]) -> BTreeSet<String> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"_+-.".contains(&byte);
    let mut names = BTreeSet::new();
    for end in memmem::find_iter(bytes, b".so") {
        let before = &bytes[end.saturating_sub(LONGEST_NAME)..end];
        let start = before.iter().rposition(|&byte| !is_name(byte)).map_or(0, |position| position + 1);
        if let Ok(name) = std::str::from_utf8(&before[start..])
            && name.starts_with("lib")
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
    names
}

/// Returns whether `word` occurs in `bytes` as a whole name. For example, `find_library_file` does not mention
/// `find_library`.
fn mentions(bytes: &[u8], word: &str) -> bool {
    let is_part = |byte: Option<&u8>| byte.is_some_and(|&byte| byte.is_ascii_alphanumeric() || byte == b'_');
    memmem::find_iter(bytes, word).any(|start| {
        let before = start.checked_sub(1).and_then(|at| bytes.get(at));
        !is_part(before) && !is_part(bytes.get(start + word.len()))
    })
}

/// Returns the words of a text that could be the names of programs.
fn words(bytes: &[u8]) -> BTreeSet<String> {
    let is_word = |byte: &u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_+-.[".contains(byte);
    bytes
        .split(|byte| !is_word(byte))
        .filter(|word| (1..=LONGEST_NAME).contains(&word.len()))
        .filter_map(|word| Some(std::str::from_utf8(word).ok()?.to_owned()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_named_by_file_name_path_or_call() {
        let text = br#"
            CDLL('libmagic.so.1'); b"/usr/lib/libfoo-2.0.so"; ctypes.util.find_library("crypto")
            cdll.LoadLibrary( 'libbar' ) ; ffi.dlopen(name) ; import os.so ; blib.so
        "#;
        let names: Vec<String> = named_libraries(text).into_iter().collect();
        assert_eq!(names, ["libbar", "libcrypto", "libfoo-2.0", "libmagic"]);
    }

    #[test]
    fn words_are_what_a_shell_could_run() {
        let found = words(b"if [ -x \"$A\" ]; then\n\tbasename x|sed -e y\n");
        for word in ["[", "basename", "sed", "then"] {
            assert!(found.contains(word), "{word} of {found:?}");
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
    fn the_tests_own_program_is_surveyed() {
        let mut survey = Survey::default();
        let path = ImagePath::parse("/bin/test").unwrap();
        survey.read(&path, std::fs::File::open(std::env::current_exe().unwrap()).unwrap(), Reading::Package).unwrap();
        assert!(survey.elf[&path].needed.iter().any(|name| name == "libc.so.6"));
        assert!(survey.words.is_empty());
    }

    #[test]
    fn a_file_that_is_longer_than_a_piece_names_the_same_wherever_a_name_lies() {
        let path = ImagePath::parse("/data").unwrap();
        let name = b" 'libacross.so.1' find_library ";
        for shift in [0, 20, PIECE_BYTES - 40, PIECE_BYTES - 16, PIECE_BYTES - 3, PIECE_BYTES, 2 * PIECE_BYTES + 7] {
            let mut bytes = vec![b' '; 2 * PIECE_BYTES + 100];
            bytes[shift..shift + name.len()].copy_from_slice(name);
            let mut survey = Survey::default();
            survey.read(&path, io::Cursor::new(bytes), Reading::Distribution).unwrap();
            assert!(survey.named_libraries.contains("libacross"), "{shift}");
            assert!(survey.mentions.contains("find_library"), "{shift}");
        }
    }
}
