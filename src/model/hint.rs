//! Hints as values: what an image lacks, and what to add. They become words only when they are shown.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Something that the image lacks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Hint {
    /// The distribution `caller` is known to use a program or a library that the image does not contain.
    Call { caller: String, called: String, add: Addition },
    /// Libraries of `wheel` link against the libraries `sonames`, and no known package of `suite` contains these.
    Libraries { wheel: String, sonames: Vec<String>, suite: String },
    /// A program that ran in the image did not find the program or module `name`.
    Absent { name: String, add: Addition },
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Call { caller, called, add } => {
                write!(f, "{caller} calls `{called}`, which is not in the image: {add}")
            }
            Self::Libraries { wheel, sonames, suite } => {
                let (names, them) = (sonames.join("`, `"), if sonames.len() == 1 { "it" } else { "them" });
                write!(
                    f,
                    "{wheel} needs `{names}`, which no package of `{suite}` is known to carry: name {them} with `--with PACKAGE`"
                )
            }
            Self::Absent { name, add } => write!(f, "`{name}` is not in the image: {add}"),
        }
    }
}

/// What to add to a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Addition {
    /// A shell and the programs of coreutils.
    Shell,
    /// A Debian package.
    Package(String),
    /// A Python requirement: `setuptools<81`.
    Requirement(String),
}

impl fmt::Display for Addition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shell => f.write_str("add it with `--shell`"),
            Self::Package(package) => write!(f, "add it with `--with {package}`"),
            // A shell would take the operators of a version for its own.
            Self::Requirement(requirement) if requirement.contains(['<', '>']) => {
                write!(f, "ask for `'{requirement}'`, too")
            }
            Self::Requirement(requirement) => write!(f, "ask for `{requirement}`, too"),
        }
    }
}

/// An error that may know what to do about it.
pub(crate) trait Hints: std::error::Error {
    /// Returns hints in addition to the error's own text. An error that wraps others returns theirs.
    fn hints(&self) -> Vec<String> {
        Vec::new()
    }
}

impl Hints for std::io::Error {}

impl Hints for serde_json::Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hint_names_what_to_add_in_the_words_of_the_command_line() {
        let text = str::to_owned;
        let libraries = |sonames: &[&str]| Hint::Libraries {
            wheel: text("w"),
            sonames: sonames.iter().map(|name| text(name)).collect(),
            suite: text("trixie"),
        };
        let table = [
            (
                Hint::Call { caller: text("yq"), called: text("jq"), add: Addition::Package(text("jq")) },
                "yq calls `jq`, which is not in the image: add it with `--with jq`",
            ),
            (
                libraries(&["liba.so.1"]),
                "w needs `liba.so.1`, which no package of `trixie` is known to carry: name it with `--with PACKAGE`",
            ),
            (
                libraries(&["liba.so.1", "libb.so.1"]),
                "w needs `liba.so.1`, `libb.so.1`, which no package of `trixie` is known to carry: name them with `--with PACKAGE`",
            ),
            (
                Hint::Absent { name: text("sh"), add: Addition::Shell },
                "`sh` is not in the image: add it with `--shell`",
            ),
            (
                Hint::Absent { name: text("pkg_resources"), add: Addition::Requirement(text("setuptools<81")) },
                "`pkg_resources` is not in the image: ask for `'setuptools<81'`, too",
            ),
        ];
        for (hint, words) in table {
            assert_eq!(hint.to_string(), words);
        }
    }
}
