//! Reads the output of a failed program. Finds the program, the module or the time zone that is missing, and the option
//! that adds it.

use super::libraries::missing_libraries;
use crate::catalog::{programs, time_zones};
use crate::model::hint::{Addition, Hint};
use crate::model::image_path::ImagePath;
use crate::model::platform::PythonVersion;
use crate::model::tree::Tree;

/// The image in which a program failed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Image<'a> {
    /// The trimmed tree.
    pub(super) tree: &'a Tree,
    pub(super) python: PythonVersion,
}

/// Something that is missing.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Missing<'a> {
    /// The line of the output that reports it.
    pub(super) line: &'a str,
    /// `None` for a library, because its package can only be found in the archive.
    pub(super) hint: Option<Hint>,
}

/// Returns the first thing that a line of `said` reports as missing, if neither the image nor the untrimmed tree
/// contains it. All lines are searched, because the message may come from a child process.
pub(super) fn missing<'a>(said: &'a str, image: Image<'_>) -> Option<Missing<'a>> {
    let with_hint = |line: &'a str| {
        let (name, add) = missing_module(line, image.python)
            .or_else(|| missing_zone(line, image.tree))
            .or_else(|| missing_program(line, said, image.tree))?;
        Some(Missing { line: line.trim(), hint: Some(Hint::Absent { name: name.to_owned(), add }) })
    };
    let of_library = |line: &&str| !missing_libraries(line).is_empty();
    // A message for which there is a hint has priority over a message about a library. The reason: a program may work
    // without the library, and fail later for another reason.
    let found = said.lines().find_map(with_hint);
    found.or_else(|| said.lines().find(of_library).map(|line| Missing { line: line.trim(), hint: None }))
}

/// Whether `said` reports that `program` was called and is missing.
pub(super) fn lacks(said: &str, program: &str) -> bool {
    said.lines().any(|line| is_of_lack(line) && is_called(line, said, program))
}

/// Returns the module that `line` reports as missing, and how to add it.
fn missing_module(line: &str, python: PythonVersion) -> Option<(&str, Addition)> {
    /// Messages about a missing module that do not contain "No module named", each with the name of this module.
    const SAYINGS: [(&str, &str); 2] = [
        // The message of Debian's `venv`.
        ("ensurepip is not", "ensurepip"),
        ("db type is dbm.gnu, but the module is not available", "_gdbm"),
    ];
    let is_of_name = |character: char| character.is_alphanumeric() || matches!(character, '_' | '.');
    let module = match line.split_once("No module named ") {
        // `python -m` prints the name without quotes.
        Some((_, rest)) => rest.trim_start_matches('\'').split(|character| !is_of_name(character)).next()?,
        None => SAYINGS.iter().find(|(saying, _)| line.contains(saying))?.1,
    };
    Some((module, programs::of_module(module, python)?))
}

/// Returns the time zone that `line` reports as missing, and how to add it.
fn missing_zone<'a>(line: &'a str, tree: &Tree) -> Option<(&'a str, Addition)> {
    /// The messages of `zoneinfo` and pytz, up to the name of the zone.
    const SAYINGS: [&str; 2] = ["No time zone found with key ", "UnknownTimeZoneError: "];
    let rest = SAYINGS.iter().find_map(|saying| Some(line.split_once(saying)?.1))?;
    let zone = rest.trim().trim_matches(['\'', '"']);
    let package = time_zones::package_of(zone, tree.find(time_zones::FOLDER).is_some())?;
    Some((zone, Addition::Package(package.to_owned())))
}

/// Returns the program that `line` of `said` reports as missing, and how to add it.
fn missing_program(line: &str, said: &str, tree: &Tree) -> Option<(&'static str, Addition)> {
    if !is_of_lack(line) {
        return None;
    }
    let is_known = |path: &ImagePath| tree.find(path.as_str()).is_some() || tree.removed.contains_key(path);
    let is_absent = |program: &&str| {
        // `ldd` is a script, so it may be present without the shell that runs it. In that case, the shell is missing.
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
    // Lines about distributions do not count, because setuptools uses the same words in them.
    SAYINGS.iter().any(|saying| line.contains(saying)) && !line.contains("distribution")
}

/// Whether `line` is about a call of `program`. In such a line, the name is in quotes, after `bin/`, before the colon
/// of a shell's message, or in a message of Node such as `spawn git ENOENT`.
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

    fn missing_in<'a>(said: &'a str, tree: &Tree) -> Option<Missing<'a>> {
        missing(said, Image { tree, python: PythonVersion { major: 3, minor: 13 } })
    }

    /// Returns the line that reports what is missing, and the hint.
    fn told<'a>(said: &'a str, tree: &Tree) -> (&'a str, Hint) {
        let Missing { line, hint } = missing_in(said, tree).unwrap();
        (line, hint.unwrap())
    }

    fn absent(name: &str, add: Addition) -> Hint {
        Hint::Absent { name: name.to_owned(), add }
    }

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
            assert_eq!(told(&said, &Tree::default()), (line, absent(program, add)));
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
            assert_eq!(missing_in(said, &Tree::default()), None, "{said}");
        }
        let said = "File \"/usr/lib/python3.13/subprocess.py\"\nNo such file or directory: 'install'";
        assert!(missing_in(said, &Tree::default()).is_some());
    }

    #[test]
    fn a_program_that_is_there_or_was_trimmed_is_not_missing() {
        let said = "No such file or directory: 'git'";
        let mut tree = Tree::default();
        let path = ImagePath::parse("/usr/bin/git").unwrap();
        tree.insert(path.clone(), Node::file(Digest::of(b"x"), 1, 0o755, Origin::Lath));
        assert_eq!(missing_in(said, &tree), None);
        tree.remove(&path, Removed::Documentation);
        assert_eq!(missing_in(said, &tree), None);
    }

    #[test]
    fn a_module_that_many_do_not_ask_for_is_known_by_its_distribution() {
        let said = "ModuleNotFoundError: No module named 'pkg_resources'";
        let add = Addition::Requirement("setuptools<81".to_owned());
        assert_eq!(told(said, &Tree::default()).1, absent("pkg_resources", add));
        assert_eq!(missing_in("ModuleNotFoundError: No module named 'mine'", &Tree::default()), None);
    }

    #[test]
    fn modules_of_debians_other_packages_are_known_by_every_message_also_of_a_child() {
        let table = [
            (
                "The virtual environment was not created successfully because ensurepip is not",
                "ensurepip",
                "python3-venv",
            ),
            ("/usr/bin/python3: No module named ensurepip", "ensurepip", "python3-venv"),
            ("ModuleNotFoundError: No module named 'tkinter'", "tkinter", "python3-tk"),
            ("dbm.error: db type is dbm.gnu, but the module is not available", "_gdbm", "python3-gdbm"),
            ("/usr/bin/python3: No module named idlelib.__main__; 'x'", "idlelib.__main__", "idle"),
        ];
        for (line, module, package) in table {
            let said =
                format!("{line}\nsubprocess.CalledProcessError: Command '[...]' returned non-zero exit status 1.");
            let add = Addition::Package(package.to_owned());
            assert_eq!(told(&said, &Tree::default()), (line, absent(module, add)));
        }
    }

    #[test]
    fn a_time_zone_is_known_by_its_name_and_a_misspelt_one_has_no_package() {
        let mut tree = Tree::default();
        let said = |zone: &str| format!("zoneinfo._common.ZoneInfoNotFoundError: 'No time zone found with key {zone}'");
        let hint = |zone: &str, package: &str| absent(zone, Addition::Package(package.to_owned()));
        assert_eq!(told(&said("Europe/Berlin"), &tree).1, hint("Europe/Berlin", "tzdata"));
        let path = ImagePath::parse("/usr/share/zoneinfo/Etc/UTC").unwrap();
        tree.insert(path, Node::file(Digest::of(b"x"), 1, 0o644, Origin::Lath));
        assert_eq!(told(&said("US/Pacific"), &tree).1, hint("US/Pacific", "tzdata-legacy"));
        let said_by_pytz = "pytz.exceptions.UnknownTimeZoneError: 'US/Pacific'";
        assert_eq!(told(said_by_pytz, &tree).1, hint("US/Pacific", "tzdata-legacy"));
        assert_eq!(missing_in(&said("Europe/Berlni"), &tree), None);
    }

    #[test]
    fn a_missing_library_is_on_the_line_that_names_it_and_has_no_hint_yet() {
        let said = "Traceback\nOSError: libx.so.1: cannot open shared object file: No such file\nduring x";
        let found = missing_in(said, &Tree::default()).unwrap();
        let line = "OSError: libx.so.1: cannot open shared object file: No such file";
        assert_eq!((found.line, found.hint), (line, None));
        // A message with a hint has priority.
        let said = format!("{line}\nModuleNotFoundError: No module named 'tkinter'");
        let add = Addition::Package("python3-tk".to_owned());
        assert_eq!(told(&said, &Tree::default()).1, absent("tkinter", add));
    }
}
