//! Decides which conditions of a script are true on a fresh installation.

use super::{Command, System};

/// The values are sorted so that the result of an "or" is its greatest operand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Truth {
    False,
    Unknown,
    True,
}

impl Truth {
    pub(super) fn negated(self) -> Self {
        match self {
            Self::False => Self::True,
            Self::Unknown => Self::Unknown,
            Self::True => Self::False,
        }
    }
}

impl From<bool> for Truth {
    fn from(is_true: bool) -> Self {
        if is_true { Self::True } else { Self::False }
    }
}

/// Returns the value of a variable that the script has not set. If dpkg or a user may set the variable, its value is
/// unknown.
pub(super) fn unset(name: &str) -> Option<String> {
    let is_from_outside = name.starts_with("DPKG_") || ["PATH", "HOME", "RET", "IFS", "PWD"].contains(&name);
    (!is_from_outside).then(String::new)
}

/// Returns whether a command succeeds.
pub(super) fn truth(command: &Command, system: &System<'_>) -> Truth {
    let Some(arguments) = command.arguments() else {
        // The result of these programs does not depend on their arguments.
        return if ["echo", "printf", "true", ":"].contains(&command.program()) { Truth::True } else { Truth::Unknown };
    };
    match (command.program(), arguments.as_slice()) {
        ("false", _) => Truth::False,
        ("[", [inner @ .., "]"]) => test(inner, system),
        ("test", inner) => test(inner, system),
        ("getent", ["passwd" | "group", name]) | ("id", [name] | ["-u" | "-g", name]) => {
            (system.has_account)(name).into()
        }
        ("which", [name]) | ("command", ["-v", name]) | ("type", [name]) => has_program(name, system),
        ("dpkg", ["--compare-versions", "", operator, _]) => match *operator {
            "lt" | "le" | "gt-nl" | "ge-nl" => Truth::True,
            "lt-nl" | "le-nl" | "gt" | "ge" | "eq" => Truth::False,
            _ => Truth::Unknown,
        },
        // No administrator has set anything yet.
        ("dpkg-statoverride", ["--list", ..]) => Truth::False,
        ("grep" | "egrep" | "fgrep" | "dpkg" | "dpkg-query" | "systemctl" | "cmp" | "ischroot" | "mountpoint", _) => {
            Truth::Unknown
        }
        ("odbcinst", ["-q", ..]) | ("debconf-show" | "pidof" | "pgrep" | "update-alternatives", _) => Truth::Unknown,
        ("id" | "getent" | "which" | "command" | "type" | "setcap" | "dpkg-divert", _) => Truth::Unknown,
        // All other commands are expected to succeed.
        _ => Truth::True,
    }
}

fn has_program(name: &str, system: &System<'_>) -> Truth {
    const SHELLS_OWN: [&str; 6] = ["cd", "command", "echo", "printf", "read", "test"];
    if SHELLS_OWN.contains(&name) {
        return Truth::True;
    }
    let is_there = |directory: &str| (system.exists)(&format!("{directory}/{name}"));
    let is_found =
        if name.starts_with('/') { (system.exists)(name) } else { is_there("/usr/bin") || is_there("/usr/sbin") };
    is_found.into()
}

/// Returns the result of test(1).
fn test(words: &[&str], system: &System<'_>) -> Truth {
    if let Some(at) = words.iter().position(|word| *word == "-o") {
        return test(&words[..at], system).max(test(&words[at + 1..], system));
    }
    if let Some(at) = words.iter().position(|word| *word == "-a").filter(|at| *at > 0) {
        return test(&words[..at], system).min(test(&words[at + 1..], system));
    }
    match words {
        ["!", rest @ ..] => test(rest, system).negated(),
        [] => Truth::False,
        [word] => (!word.is_empty()).into(),
        ["-n", word] => (!word.is_empty()).into(),
        ["-z", word] => word.is_empty().into(),
        // Only existence is checked: a file of a package is readable, and a program of a package can be run.
        ["-e" | "-f" | "-d" | "-x" | "-r" | "-L" | "-h", path] if path.starts_with('/') && !path.contains('*') => {
            (system.exists)(path).into()
        }
        [one, "=" | "==", other] => (one == other).into(),
        [one, "!=", other] => (one != other).into(),
        [one, operator, other] => match (one.parse::<i64>(), other.parse::<i64>()) {
            (Ok(one), Ok(other)) => compare(one, operator, other),
            _ => Truth::Unknown,
        },
        _ => Truth::Unknown,
    }
}

fn compare(one: i64, operator: &str, other: i64) -> Truth {
    match operator {
        "-eq" => (one == other).into(),
        "-ne" => (one != other).into(),
        "-lt" => (one < other).into(),
        "-le" => (one <= other).into(),
        "-gt" => (one > other).into(),
        "-ge" => (one >= other).into(),
        _ => Truth::Unknown,
    }
}

/// Returns whether a pattern of `case` matches. Only `*` is understood.
pub(super) fn matches(pattern: &str, text: &str) -> Truth {
    if pattern.contains(['?', '[']) {
        return Truth::Unknown;
    }
    let Some((start, rest)) = pattern.split_once('*') else { return (pattern == text).into() };
    let Some(mut text) = text.strip_prefix(start) else { return Truth::False };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in middle.split('*') {
        let Some(at) = text.find(part) else { return Truth::False };
        text = &text[at + part.len()..];
    }
    text.ends_with(end).into()
}
