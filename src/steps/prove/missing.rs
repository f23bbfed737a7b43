//! Finds out from the output of a failed program which program or module is missing, and how to add it.

use crate::catalog::programs;
use crate::model::hint::{Addition, Hint};
use crate::model::image_path::ImagePath;
use crate::model::tree::Tree;

/// A missing program or module, and a hint.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missing<'a> {
    /// The line of the output that reports it.
    pub(super) line: &'a str,
    pub(super) hint: Hint,
}

/// Returns the program or module that, as a line of `said` reports, is missing in the image and in the untrimmed tree.
pub(super) fn missing<'a>(said: &'a str, tree: &Tree) -> Option<Missing<'a>> {
    let of_line = |line: &'a str| {
        let (name, add) = missing_module(line).or_else(|| missing_program(line, said, tree))?;
        Some(Missing { line: line.trim(), hint: Hint::Absent { name: name.to_owned(), add } })
    };
    said.lines().find_map(of_line)
}

/// Whether `said` reports that `program` was called and is missing.
pub(super) fn lacks(said: &str, program: &str) -> bool {
    said.lines().any(|line| is_of_lack(line) && is_called(line, said, program))
}

/// Returns the module that `line` reports as missing, and how to add it.
fn missing_module(line: &str) -> Option<(&str, Addition)> {
    let (_, rest) = line.split_once("No module named '")?;
    let module = rest.split('\'').next()?;
    Some((module, programs::of_module(module)?))
}

/// Returns the program that `line` of `said` reports as missing, and how to add it.
fn missing_program(line: &str, said: &str, tree: &Tree) -> Option<(&'static str, Addition)> {
    if !is_of_lack(line) {
        return None;
    }
    let is_known = |path: &ImagePath| tree.find(path.as_str()).is_some() || tree.removed.contains_key(path);
    let is_absent = |program: &&str| {
        // `ldd` may be present without the shell that runs it.
        let program = if *program == "ldd" { "bash" } else { program };
        let paths = ["/usr/bin", "/usr/sbin"].map(|folder| ImagePath::parse(&format!("{folder}/{program}")));
        !paths.iter().flatten().any(is_known)
    };
    let program = programs::programs()
        .map(|(program, _)| program)
        .filter(|program| is_called(line, said, program))
        .find(is_absent)?;
    Some((program, programs::of_program(program)?))
}

/// Whether `line` reports that something is missing.
fn is_of_lack(line: &str) -> bool {
    /// The messages of programs and shells.
    const SAYINGS: [&str; 5] = ["No such file or directory", "not found", "not find", "to find", "ENOENT"];
    // setuptools uses the same words for distributions.
    SAYINGS.iter().any(|saying| line.contains(saying)) && !line.contains("distribution")
}

/// Whether `line` names the program as one that was called: in quotes, in a folder of programs, or before a shell's
/// colon.
fn is_called(line: &str, said: &str, program: &str) -> bool {
    let is_quote = |character: char| matches!(character, '\'' | '"' | '`');
    let is_of_name = |character: char| character.is_alphanumeric() || matches!(character, '-' | '_' | '+' | '/');
    let may_be_quoted = !programs::is_everyday(program) || said.contains("subprocess");
    line.match_indices(program).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + program.len()..]);
        // In `/bin/sh.` the dot ends a sentence, but `/bin/test.cfg` is another file.
        let is_whole = !after.strip_prefix('.').unwrap_or(after).starts_with(is_of_name);
        let is_reported_by_shell = after.starts_with(": not found") || after.starts_with(": command not found");
        (may_be_quoted && before.ends_with(is_quote) && after.starts_with(is_quote))
            || (before.ends_with("bin/") && is_whole)
            || (is_reported_by_shell && (before.is_empty() || before.ends_with(' ')))
            || (before.ends_with("spawn ") && after.starts_with(" ENOENT"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::reason::Removed;
    use crate::model::tree::{Node, Origin};

    #[test]
    fn a_missing_program_is_known_by_the_words_of_pythons_shells_and_others() {
        let package = |name: &str| Addition::Package(name.to_owned());
        let table = [
            ("FileNotFoundError: [Errno 2] No such file or directory: 'git'", "git", package("git")),
            ("FileNotFoundError: [Errno 2] No such file or directory: '/bin/sh'", "sh", Addition::Shell),
            ("Task failed: failed to find the executable specified /bin/sh. Please verify", "sh", Addition::Shell),
            ("Fatal error: run ['uname' '-s']: No such file or directory", "uname", package("coreutils")),
            ("sh: 1: ps: not found", "ps", package("procps")),
            ("run.sh: line 3: curl: command not found", "curl", package("curl")),
            ("Error: spawn node ENOENT", "node", package("nodejs")),
            ("FileNotFoundError: [Errno 2] No such file or directory: 'ldd'", "ldd", package("bash")),
        ];
        for (line, program, add) in table {
            let said = format!("Traceback\n  {line}\nCalled from somewhere");
            let found = missing(&said, &Tree::default()).unwrap();
            let hint = Hint::Absent { name: program.to_owned(), add };
            assert_eq!((found.line, found.hint), (line, hint));
        }
        for said in [
            "No such file or directory: 'a/file.txt'",
            "No such file or directory: 'install'",
            "No such file or directory: '/opt/app/bin/test.cfg'",
            "section 'file' not found in setup.cfg",
            "The 'cmake' distribution was not found",
            "the file 'x' is not found, test it",
            "git failed",
        ] {
            assert_eq!(missing(said, &Tree::default()), None, "{said}");
        }
        let said = "File \"/usr/lib/python3.13/subprocess.py\"\nNo such file or directory: 'install'";
        assert!(missing(said, &Tree::default()).is_some());
    }

    #[test]
    fn a_program_that_is_there_or_was_trimmed_is_not_missing() {
        let said = "No such file or directory: 'git'";
        let mut tree = Tree::default();
        let path = ImagePath::parse("/usr/bin/git").unwrap();
        tree.insert(path.clone(), Node::file(Digest::of(b"x"), 1, 0o755, Origin::Lath));
        assert_eq!(missing(said, &tree), None);
        tree.remove(&path, Removed::Documentation);
        assert_eq!(missing(said, &tree), None);
    }

    #[test]
    fn a_module_that_many_do_not_ask_for_is_known_by_its_distribution() {
        let said = "ModuleNotFoundError: No module named 'pkg_resources'";
        let add = Addition::Requirement("setuptools<81".to_owned());
        let hint = Hint::Absent { name: "pkg_resources".to_owned(), add };
        assert_eq!(missing(said, &Tree::default()).unwrap().hint, hint);
        assert_eq!(missing("ModuleNotFoundError: No module named 'mine'", &Tree::default()), None);
    }
}
