//! Reads values of options. All files that turn settings into a request use these functions.

use std::collections::BTreeMap;
use std::fmt::Display;

use crate::cli::failure::Failure;

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

/// Returns whether an input is written as a path, and not as the name of a distribution.
pub(super) fn is_path(input: &str) -> bool {
    [".", ".."].contains(&input) || (input.contains('/') && !input.contains("://"))
}
