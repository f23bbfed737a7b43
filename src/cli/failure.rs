//! The report of a failure: the error, its causes, and hints.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::Path;

use crate::cli::clean::clean;
use crate::model::hint::{Hint, Hints, MachineHint};
use crate::pipeline::BuildError;
use crate::rivals::RivalError;

/// A failure as it is shown to the user.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit_code: u8,
    message: String,
    causes: Vec<String>,
    hints: Vec<String>,
}

impl Failure {
    /// A wrong usage: the arguments are not valid.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self { exit_code: 2, message: message.into(), causes: Vec::new(), hints: Vec::new() }
    }

    /// A failure outside of lath. Only its text is known.
    pub(super) fn outside(message: impl Into<String>, causes: Vec<String>) -> Self {
        Self { exit_code: 1, message: message.into(), causes, hints: Vec::new() }
    }

    /// A build that failed.
    pub(super) fn of_build(error: &BuildError) -> Self {
        Self::at(error, &Full::disk_of(error.destination())).with_exit_code(error.exit_code())
    }

    /// A Dockerfile or a comparison that failed.
    pub(super) fn of_rival(error: &RivalError) -> Self {
        Self::at(error, &Full::disk_of(error.destination())).with_exit_code(error.exit_code())
    }

    /// A request that cannot be met, or a failure of something outside.
    pub(super) fn of(error: &(impl Hints + 'static)) -> Self {
        Self::at(error, &Full::Cache)
    }

    /// Works like [`Self::of`]. `full` is the disk that the hint names if a disk is full.
    fn at(error: &(impl Hints + 'static), full: &Full) -> Self {
        let mut causes: Vec<String> = Vec::new();
        let mut hints = Vec::new();
        let mut next: Option<&(dyn Error + 'static)> = Some(error);
        let message = error.to_string();
        while let Some(cause) = next {
            let text = cause.to_string();
            if text != message && causes.last() != Some(&text) {
                causes.push(text);
            }
            hints.extend(system_hint(cause, full));
            next = cause.source();
        }
        hints.extend(error.hints().iter().map(Hint::to_string));
        Self { exit_code: 1, message, causes, hints: Vec::new() }.with_hints(hints)
    }

    pub(super) fn with_exit_code(mut self, exit_code: u8) -> Self {
        self.exit_code = exit_code;
        self
    }

    /// Adds hints. A hint that the failure has already is not added again.
    pub(super) fn with_hints(mut self, hints: Vec<String>) -> Self {
        for hint in hints {
            if !self.hints.contains(&hint) {
                self.hints.push(hint);
            }
        }
        self
    }

    /// Returns the failure as text. If `columns` is known, lines are broken at this width.
    pub(super) fn text(&self, columns: Option<usize>) -> String {
        let wrapped = |label: &str, text: &str| wrapped(label, &clean(text), columns);
        let mut text = wrapped("error: ", self.message.trim_end());
        for cause in &self.causes {
            text.push('\n');
            text.push_str(&wrapped("  cause: ", cause.trim_end()));
        }
        if !self.hints.is_empty() {
            text.push('\n');
        }
        for hint in &self.hints {
            text.push('\n');
            text.push_str(&wrapped("hint: ", hint));
        }
        text
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text(None))
    }
}

/// The disk that a hint names if an error reports a full disk.
enum Full {
    Cache,
    Destination(String),
}

impl Full {
    /// Returns the disk of `destination`, which could not be written to. If `destination` is `None`, returns the disk
    /// of the cache.
    fn disk_of(destination: Option<&Path>) -> Self {
        destination.map_or(Self::Cache, |path| Self::Destination(path.display().to_string()))
    }
}

/// Returns the hint for an error of the operating system, if there is one.
fn system_hint(error: &(dyn Error + 'static), full: &Full) -> Option<String> {
    let hint = match error.downcast_ref::<io::Error>()?.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => match full {
            Full::Cache => {
                "the disk is full: remove unused cache entries with `lath cache prune`, or move the cache with `--cache-dir DIR`"
            }
            Full::Destination(path) => {
                return Some(format!(
                    "the disk of `{path}` is full: free some space there, or use another destination"
                ));
            }
        },
        // The system reports this error if it cannot start more threads or processes.
        io::ErrorKind::WouldBlock => return Some(Hint::Machine(MachineHint::Threads).to_string()),
        io::ErrorKind::FileTooLarge => {
            "the file is too large: raise the limit with `ulimit -f unlimited`, or use another file system"
        }
        io::ErrorKind::ReadOnlyFilesystem => "the file system is read-only: use another destination",
        _ => return None,
    };
    Some(hint.to_owned())
}

/// Returns `label` and `text`. Lines after the first are indented to the beginning of the text. Words and text in
/// backticks are never broken.
fn wrapped(label: &str, text: &str, columns: Option<usize>) -> String {
    let indent = " ".repeat(label.len());
    // If fewer than 30 columns are left, lines are not broken, because such short lines are not easier to read.
    let width = columns.map(|columns| columns.saturating_sub(label.len() + 1)).filter(|width| *width >= 30);
    let mut lines: Vec<String> = Vec::new();
    for line in text.split('\n') {
        let Some(width) = width else {
            lines.push(line.to_owned());
            continue;
        };
        let mut current = String::new();
        for word in words(line) {
            if !current.trim().is_empty() && current.chars().count() + word.trim_end().chars().count() > width {
                lines.push(std::mem::take(&mut current).trim_end().to_owned());
            }
            current.push_str(word);
        }
        lines.push(current.trim_end().to_owned());
    }
    format!("{label}{}", lines.join(&format!("\n{indent}")))
}

/// Splits a line into pieces that are never broken, each with the blanks after it.
fn words(line: &str) -> Vec<&str> {
    let (mut pieces, mut start, mut is_quoted, mut was_blank) = (Vec::new(), 0, false, false);
    for (at, character) in line.char_indices() {
        if was_blank && character != ' ' && !is_quoted {
            pieces.push(&line[start..at]);
            start = at;
        }
        if character == '`' {
            is_quoted = !is_quoted;
        }
        was_blank = character == ' ';
    }
    pieces.push(&line[start..]);
    pieces
}

#[cfg(test)]
mod tests {
    use thiserror::Error;

    use super::*;

    #[derive(Debug, Error)]
    #[error("cannot write `{0}`")]
    struct Write(&'static str, #[source] io::Error);

    impl Hints for Write {}

    #[derive(Debug, Error)]
    #[error("cannot read `{0}`")]
    struct Read(&'static str);

    impl Hints for Read {
        fn own_hints(&self) -> Vec<Hint> {
            vec![Hint::Resolver { text: format!("name another file than `{}`", self.0) }]
        }
    }

    #[test]
    fn a_failure_is_told_with_its_cause_and_a_way_out_apart() {
        let error = Write("a.tar", io::ErrorKind::StorageFull.into());
        let text = Failure::of(&error).with_hints(vec!["try `b.tar`".to_owned()]).to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..3], ["error: cannot write `a.tar`", "  cause: no storage space", ""]);
        assert!(
            lines[3].starts_with("hint: the disk is full: remove unused cache entries with `lath cache prune`"),
            "{text}"
        );
        assert_eq!(lines[4..], ["hint: try `b.tar`"]);
    }

    #[test]
    fn the_hints_of_an_error_are_shown_and_each_of_them_once() {
        let error = Read("a");
        let text = Failure::of(&error).with_hints(vec![error.hints()[0].to_string()]).to_string();
        assert_eq!(text, "error: cannot read `a`\n\nhint: name another file than `a`");
    }

    #[test]
    fn a_failure_without_a_hint_ends_with_its_cause() {
        let error = Write("a.tar", io::ErrorKind::NotFound.into());
        assert_eq!(Failure::of(&error).to_string(), "error: cannot write `a.tar`\n  cause: entity not found");
    }

    #[test]
    fn long_lines_are_broken_between_words_and_never_within_backticks() {
        let text = "cannot use the file `a name with blanks in it` since it is not what was promised";
        let broken = wrapped("error: ", text, Some(48));
        assert_eq!(
            broken,
            "error: cannot use the file\n       `a name with blanks in it` since it is\n       not what was promised"
        );
        assert_eq!(wrapped("error: ", text, None), format!("error: {text}"));
        assert_eq!(wrapped("error: ", text, Some(20)), format!("error: {text}"));
        assert_eq!(wrapped("  cause: ", "one\n  two", Some(80)), "  cause: one\n           two");
    }
}
