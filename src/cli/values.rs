//! Reads values of options. All files that turn settings into a request use these functions.

use std::collections::BTreeMap;
use std::fmt::Display;

use crate::cli::failure::Failure;
use crate::model::shell_line;

/// Returns the failure of a wrong usage.
pub(super) fn usage(error: impl Display) -> Failure {
    Failure::usage(error.to_string())
}

/// Splits `NAME=VALUE`.
pub(super) fn pairs(option: &str, texts: &[String]) -> Result<BTreeMap<String, String>, Failure> {
    let mut pairs = BTreeMap::new();
    for text in texts {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => pairs.insert(name.to_owned(), value.to_owned()),
            // The text is not shown, because it may be a secret.
            _ => return Err(usage(format!("cannot read the value of `{option}`: write it as `NAME=VALUE`"))),
        };
    }
    Ok(pairs)
}

/// Returns the values of a list. If no layer contains the list, the result is empty.
pub(super) fn all<T: Clone>(list: &Option<Vec<T>>) -> Vec<T> {
    list.clone().unwrap_or_default()
}

/// Splits a line into words. An error is the end of a sentence that names the line.
pub(super) fn words(line: &str) -> Result<Vec<String>, String> {
    if let Some(syntax) = shell_line::syntax(line) {
        return Err(format!("no shell reads it, so `{syntax}` would be plain text for the program"));
    }
    let words = shlex::split(line).filter(|words| !words.is_empty());
    words.ok_or_else(|| "a quote is not closed, or there is no command".to_owned())
}

/// Returns the hint for a line that [`words`] refuses because of the syntax of a shell. `option` is the option with
/// which an image gets a shell.
pub(super) fn shell_hint(line: &str, option: &str) -> Vec<String> {
    let hint = || {
        format!("let a shell run it: `sh -c '...'` (`lath build` needs {option} for it), or put `'` around plain text")
    };
    shell_line::syntax(line).map(|_| hint()).into_iter().collect()
}

/// Returns whether an input is written as a path, and not as the name of a distribution.
pub(super) fn is_path(input: &str) -> bool {
    [".", ".."].contains(&input) || (input.contains('/') && !input.contains("://"))
}
