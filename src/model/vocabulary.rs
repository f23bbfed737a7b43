//! The words for which lath searches all files when a parcel is opened. If a rule needs another word, add the word to
//! one of these lists. The rule then finds it in [`crate::model::facts::Facts::mentions`].

use crate::model::digest::Digest;

pub(crate) const FIND_LIBRARY: &str = "find_library";
pub(crate) const LDCONFIG: &str = "ldconfig";
/// The package with the help texts of Python.
pub(crate) const PYDOC_DATA: &str = "pydoc_data";
/// The project that publishes Python interpreters. Other programs download them.
pub(crate) const PYTHON_BUILD_STANDALONE: &str = "python-build-standalone";
/// The function of glibc that opens a converter between character sets.
pub(crate) const ICONV_OPEN: &str = "iconv_open";
/// An environment variable that libltdl reads. Every file that contains libltdl also contains this name.
pub(crate) const LTDL_LIBRARY_PATH: &str = "LTDL_LIBRARY_PATH";

/// These words are searched for in every file. They count only if they occur as whole names.
pub(crate) const NAMES: [&str; 4] = [FIND_LIBRARY, LDCONFIG, PYDOC_DATA, PYTHON_BUILD_STANDALONE];

/// These words are searched for in ELF files. They count only if they occur as whole strings.
pub(crate) const STRINGS: [&str; 2] = [ICONV_OPEN, LTDL_LIBRARY_PATH];

/// The programs of Debian's and Ubuntu's `coreutils`, sorted. These words are searched for in texts that a shell may
/// read. They count only if they occur as whole words.
pub(crate) const PROGRAMS: [&str; 106] = [
    "[",
    "arch",
    "b2sum",
    "base32",
    "base64",
    "basename",
    "basenc",
    "cat",
    "chcon",
    "chgrp",
    "chmod",
    "chown",
    "chroot",
    "cksum",
    "comm",
    "cp",
    "csplit",
    "cut",
    "date",
    "dd",
    "df",
    "dir",
    "dircolors",
    "dirname",
    "du",
    "echo",
    "env",
    "expand",
    "expr",
    "factor",
    "false",
    "fmt",
    "fold",
    "groups",
    "head",
    "hostid",
    "id",
    "install",
    "join",
    "link",
    "ln",
    "logname",
    "ls",
    "md5sum",
    "md5sum.textutils",
    "mkdir",
    "mkfifo",
    "mknod",
    "mktemp",
    "mv",
    "nice",
    "nl",
    "nohup",
    "nproc",
    "numfmt",
    "od",
    "paste",
    "pathchk",
    "pinky",
    "pr",
    "printenv",
    "printf",
    "ptx",
    "pwd",
    "readlink",
    "realpath",
    "rm",
    "rmdir",
    "runcon",
    "seq",
    "sha1sum",
    "sha224sum",
    "sha256sum",
    "sha384sum",
    "sha512sum",
    "shred",
    "shuf",
    "sleep",
    "sort",
    "split",
    "stat",
    "stdbuf",
    "stty",
    "sum",
    "sync",
    "tac",
    "tail",
    "tee",
    "test",
    "timeout",
    "touch",
    "tr",
    "true",
    "truncate",
    "tsort",
    "tty",
    "uname",
    "unexpand",
    "uniq",
    "unlink",
    "users",
    "vdir",
    "wc",
    "who",
    "whoami",
    "yes",
];

/// Returns whether `word` is one of [`PROGRAMS`].
pub(crate) fn is_program(word: &[u8]) -> bool {
    let Some(first) = word.first() else { return false };
    // For nearly all words, this check is false, and the search ends here. The check must be fast, because a text may
    // have millions of words.
    let is_possible = word.len() < 32 && LENGTHS[usize::from(*first)] & (1 << word.len()) != 0;
    is_possible && PROGRAMS.binary_search_by(|program| program.as_bytes().cmp(word)).is_ok()
}

/// For each first byte, the lengths of the program names that begin with it. For example, bit 3 is set if there is a
/// name of 3 bytes.
const LENGTHS: [u32; 256] = {
    let mut lengths = [0; 256];
    let mut index = 0;
    while index < PROGRAMS.len() {
        let name = PROGRAMS[index].as_bytes();
        lengths[name[0] as usize] |= 1 << name.len();
        index += 1;
    }
    lengths
};

/// Returns a key for all lists. Facts that were found with other lists have another key, so they are not used.
pub(crate) fn digest() -> Digest {
    Digest::of(format!("{NAMES:?} {STRINGS:?} {PROGRAMS:?}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_sorted_and_no_word_is_in_two_lists() {
        assert!(PROGRAMS.is_sorted_by(|one, other| one < other));
        assert!(PROGRAMS.iter().all(|program| is_program(program.as_bytes())));
        assert!(!NAMES.iter().chain(&STRINGS).any(|word| is_program(word.as_bytes())));
        assert!(!["", "catx", "ca", "x"].iter().any(|word| is_program(word.as_bytes())));
        assert!(!NAMES.iter().any(|word| STRINGS.contains(word)));
    }
}
