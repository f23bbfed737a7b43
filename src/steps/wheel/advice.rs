//! Reads the output of a failed build, and finds the programs, headers and libraries that are missing. lath adds
//! missing compilers itself. For other packages, the user gets a hint.

use crate::catalog::builds;
use crate::model::hint::{Addition, BuildHint, Hint};
use crate::model::platform::PythonVersion;
use crate::model::secret_text::public;

/// The number of lines at the end of the log that are searched and shown.
const LINES: usize = 40;
const MAX_LINE_CHARS: usize = 400;

/// Returns the last lines of a log, without credentials, and without control characters, which could change the user's
/// terminal.
pub(super) fn last_lines(log: &[u8]) -> String {
    let text = String::from_utf8_lossy(log);
    let lines: Vec<String> = text.lines().map(plain).filter(|line| !line.trim().is_empty()).collect();
    let first = lines.len().saturating_sub(LINES);
    public(&lines[first..].join("\n"))
}

fn plain(line: &str) -> String {
    let mut plain = String::new();
    let mut chars = line.trim_end().chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' && chars.peek() == Some(&'[') {
            // A colour or a movement of the cursor (ECMA-48, 5.4).
            let _ = chars.find(|c| c.is_ascii_alphabetic());
        } else if !c.is_control() || c == '\t' {
            plain.push(c);
        }
    }
    plain.chars().take(MAX_LINE_CHARS).collect()
}

/// Something that a build did not find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Missing {
    Program(String),
    /// The compiler of a language, as CMake names it, such as `CXX`.
    Compiler(String),
    Header(String),
    /// A name of pkg-config.
    Library(String),
    /// A Python module.
    Module(String),
    Network,
}

/// The texts before and after the name of something that is missing.
type Pattern = (&'static str, &'static str, fn(String) -> Missing);

const PATTERNS: [Pattern; 24] = [
    ("fatal error: ", ": No such file or directory", Missing::Header),
    ("error: command '", "' failed: No such file or directory", Missing::Program),
    ("unable to execute '", "': No such file or directory", Missing::Program),
    ("error: [Errno 2] No such file or directory: '", "'", Missing::Program),
    ("FileNotFoundError: [Errno 2] No such file or directory: '", "'", Missing::Program),
    ("FileNotFoundError: [Errno 2] No such file or directory: PosixPath('", "')", Missing::Program),
    ("/bin/sh: 1: ", ": not found", Missing::Program),
    ("sh: 1: ", ": not found", Missing::Program),
    ("error: linker `", "` not found", Missing::Program),
    ("error: ", " executable not found", Missing::Program),
    ("Error: ", " executable not found", Missing::Program),
    ("Did not find ", " ", Missing::Program),
    ("Program ", " found: NO", Missing::Program),
    ("Unknown compiler(s): [['", "'", Missing::Program),
    ("No CMAKE_", "_COMPILER could be found", Missing::Compiler),
    ("error: library ", " has Fortran sources but no Fortran compiler found", |_| {
        Missing::Compiler("Fortran".to_owned())
    }),
    ("error: extension ", " has Fortran sources but no Fortran compiler found", |_| {
        Missing::Compiler("Fortran".to_owned())
    }),
    ("Package '", "' not found", Missing::Library),
    ("Package '", "', required by", Missing::Library),
    ("No package '", "' found", Missing::Library),
    ("Dependency \"", "\" not found", Missing::Library),
    ("Command 'pkg-config --exists ", "' returned non-zero", Missing::Library),
    ("Run-time dependency ", " found: NO", Missing::Library),
    ("ModuleNotFoundError: No module named '", "'", Missing::Module),
];

/// Texts of programs that try to use the network.
const NETWORK: [&str; 6] = [
    "Temporary failure in name resolution",
    "Could not resolve host",
    "Network is unreachable",
    "Name or service not known",
    "failed to lookup address information",
    "[Errno -3]",
];

/// Returns everything that is missing according to the log, from the last line to the first.
pub(super) fn missing(log: &str) -> Vec<Missing> {
    let mut found = Vec::new();
    for line in log.lines().rev() {
        let names = PATTERNS.iter().filter_map(|(before, after, kind)| {
            let (_, rest) = line.split_once(before)?;
            let (name, _) = rest.split_once(after)?;
            let name = name.trim().trim_matches(['`', '\'', '"']);
            (!name.is_empty() && !name.contains(char::is_whitespace)).then(|| kind(name.to_owned()))
        });
        let network = NETWORK.iter().any(|text| line.contains(text)).then_some(Missing::Network);
        for one in names.chain(network) {
            if !found.contains(&one) {
                found.push(one);
            }
        }
    }
    if log.contains("pg_config executable not found") {
        found.push(Missing::Program("pg_config".to_owned()));
    }
    found
}

/// Returns the groups of compilers that are missing. lath adds them, and builds again.
pub(super) fn groups(missing: &[Missing]) -> Vec<&'static str> {
    let group = |missing: &Missing| match missing {
        Missing::Program(program) => builds::group_of_program(program.rsplit('/').next().unwrap_or_default()),
        Missing::Compiler(language) => match language.as_str() {
            "C" => Some("c"),
            "CXX" => Some("c++"),
            "Fortran" => Some("fortran"),
            _ => None,
        },
        Missing::Header(header) if header == "Python.h" => Some("c"),
        _ => None,
    };
    missing.iter().filter_map(group).collect()
}

/// Returns hints about missing things, at most four. A build may try several names of one library. So if lath knows the
/// package of any of the names, the unknown names get no hints.
pub(super) fn hints(missing: &[Missing], python: PythonVersion) -> Vec<Hint> {
    let (mut hints, mut unknown) = (Vec::new(), Vec::new());
    for one in missing {
        let package = match one {
            Missing::Program(program) => {
                let name = program.rsplit('/').next().unwrap_or_default();
                builds::package_of_program(name).map(str::to_owned)
            }
            // lath adds the compilers that it knows. It has no hint about others.
            Missing::Compiler(_) => continue,
            Missing::Header(header) => builds::package_of_header(header, python),
            Missing::Library(library) => builds::package_of_library(library).map(str::to_owned),
            Missing::Module(module) => {
                hints.push(Hint::Build(BuildHint::Module { module: module.clone() }));
                continue;
            }
            Missing::Network => {
                hints.push(Hint::Build(BuildHint::NoNetwork));
                continue;
            }
        };
        let (Missing::Program(name) | Missing::Header(name) | Missing::Library(name)) = one else { continue };
        match package {
            Some(package) => hints.push(Hint::Absent { name: name.clone(), add: Addition::BuildPackage(package) }),
            // There is no hint about an unknown program, because the message is the same if a file of the source is
            // missing.
            None if matches!(one, Missing::Program(_)) => {}
            None => unknown.push(Hint::Build(BuildHint::Package { missing: name.clone() })),
        }
    }
    if !hints.iter().any(|hint| matches!(hint, Hint::Absent { .. })) {
        hints.extend(unknown);
    }
    hints.truncate(4);
    hints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_messages_of_compilers_and_backends_name_what_is_missing() {
        let program = |name: &str| Missing::Program(name.to_owned());
        let table = [
            (
                "./x.h:1:10: fatal error: libpq-fe.h: No such file or directory",
                Missing::Header("libpq-fe.h".to_owned()),
            ),
            (
                "error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory",
                program("x86_64-linux-gnu-gcc"),
            ),
            ("FileNotFoundError: [Errno 2] No such file or directory: 'cmake'", program("cmake")),
            ("/bin/sh: 1: swig: not found", program("swig")),
            ("Error: pg_config executable not found.", program("pg_config")),
            ("error: linker `cc` not found", program("cc")),
            ("../meson.build:1:0: ERROR: Unknown compiler(s): [['c++'], ['g++']]", program("c++")),
            ("Package 'cairo', required by 'virtual:world', not found", Missing::Library("cairo".to_owned())),
            ("ERROR: Dependency \"openblas\" not found, tried pkgconfig", Missing::Library("openblas".to_owned())),
            ("ModuleNotFoundError: No module named 'pkg_resources'", Missing::Module("pkg_resources".to_owned())),
            ("  No CMAKE_CXX_COMPILER could be found.", Missing::Compiler("CXX".to_owned())),
            ("CMake Error: No CMAKE_Fortran_COMPILER could be found", Missing::Compiler("Fortran".to_owned())),
            (
                "error: extension scipy.x has Fortran sources but no Fortran compiler found",
                Missing::Compiler("Fortran".to_owned()),
            ),
            ("curl: (6) Could not resolve host: example.org", Missing::Network),
        ];
        for (line, expected) in table {
            assert!(missing(&format!("before\n{line}\nafter")).contains(&expected), "{line}: {:?}", missing(line));
        }
        assert_eq!(missing("all is well: x.h\nerror: something else"), []);
    }

    #[test]
    fn compilers_are_added_and_packages_are_in_hints() {
        let python = PythonVersion { major: 3, minor: 13 };
        let gcc = missing("error: command 'aarch64-linux-gnu-gcc' failed: No such file or directory");
        assert_eq!((groups(&gcc), hints(&gcc, python)), (vec!["c"], vec![]));
        assert_eq!(groups(&missing("No CMAKE_CXX_COMPILER could be found.")), ["c++"]);
        let header = missing("fatal error: ffi.h: No such file or directory");
        assert_eq!(groups(&header), Vec::<&str>::new());
        let add = Addition::BuildPackage("libffi-dev".to_owned());
        assert_eq!(hints(&header, python), [Hint::Absent { name: "ffi.h".to_owned(), add }]);
        let unknown = missing("fatal error: unheard/of.h: No such file or directory");
        let hint = BuildHint::Package { missing: "unheard/of.h".to_owned() };
        assert_eq!(hints(&unknown, python), [Hint::Build(hint)]);
        let tried = ["mysqlclient", "perconaserverclient"];
        let tried = tried.map(|name| format!("Command 'pkg-config --exists {name}' returned non-zero exit status 1."));
        let add = Addition::BuildPackage("default-libmysqlclient-dev".to_owned());
        assert_eq!(hints(&missing(&tried.join("\n")), python), [Hint::Absent { name: "mysqlclient".to_owned(), add }]);
    }

    #[test]
    fn a_log_is_shown_without_control_characters_and_only_its_end() {
        let log: String = (0..100).map(|line| format!("\u{1b}[31mline {line}\u{1b}[0m\u{7}\r\n\n")).collect();
        let shown = last_lines(log.as_bytes());
        assert_eq!(shown.lines().count(), LINES);
        assert!(shown.starts_with("line 60\n") && shown.ends_with("line 99"), "{shown}");
        assert_eq!(last_lines(b"no answer of https://me:secret@host/x"), "no answer of https://host/x");
    }
}
