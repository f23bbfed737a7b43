//! Poetry's constraints on versions, converted to PEP 440 (Poetry's documentation, "Dependency specification").

/// Converts a constraint to PEP 440. For example, `^1.2` becomes `>=1.2,<2`. An empty result allows every version.
/// Returns `None` if the constraint has alternatives (`||`) or cannot be read.
pub(crate) fn to_pep440(constraint: &str) -> Option<String> {
    let parts = constraint.split(',').map(str::trim).filter(|part| !part.is_empty());
    let parts = parts.map(one).collect::<Option<Vec<_>>>()?;
    Some(parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(","))
}

/// Converts a constraint on Python to a marker (PEP 508). For example, `^3.10` becomes `python_version >= '3.10' and
/// python_version < '4'`.
pub(crate) fn to_marker(constraint: &str) -> Option<String> {
    let limits = to_pep440(constraint)?;
    let limit = |limit: &str| {
        let start = limit.find(|c: char| c.is_ascii_digit())?;
        let (operator, version) = limit.split_at(start);
        // The variable `python_version` of markers has only two numbers, such as `3.12`.
        let name = if version.split('.').count() > 2 { "python_full_version" } else { "python_version" };
        Some(format!("{name} {operator} '{version}'"))
    };
    let limits = limits.split(',').filter(|limit| !limit.is_empty()).map(limit).collect::<Option<Vec<_>>>()?;
    (!limits.is_empty()).then(|| limits.join(" and "))
}

fn one(part: &str) -> Option<String> {
    if part == "*" {
        return Some(String::new());
    }
    if part.contains(['|', ' ']) && !part.contains("= ") && !part.contains("> ") && !part.contains("< ") {
        return None;
    }
    let part = part.replace(' ', "");
    if let Some(version) = part.strip_prefix('^') {
        return caret(version);
    }
    if let Some(version) = part.strip_prefix('~').filter(|version| !version.starts_with('=')) {
        return tilde(version);
    }
    if part.starts_with(|c: char| c.is_ascii_digit()) {
        return Some(format!("=={part}"));
    }
    // A single `=` means the same as `==`.
    if let Some(version) = part.strip_prefix('=').filter(|version| !version.starts_with('=')) {
        return Some(format!("=={version}"));
    }
    Some(part)
}

fn numbers(version: &str) -> Option<Vec<u64>> {
    let release = version.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    release.split('.').map(|number| number.parse().ok()).collect()
}

/// Returns the range for `^version`. It begins at `version`, and the first number that is not zero stays the same.
fn caret(version: &str) -> Option<String> {
    let numbers = numbers(version)?;
    let at = numbers.iter().position(|number| *number != 0).unwrap_or(numbers.len() - 1);
    Some(format!(">={version},<{}", next(&numbers, at)))
}

/// Returns the range for `~version`. It begins at `version`, and the first two numbers stay the same. If `version` has
/// only one number, this number stays the same.
fn tilde(version: &str) -> Option<String> {
    let numbers = numbers(version)?;
    Some(format!(">={version},<{}", next(&numbers, usize::from(numbers.len() > 1))))
}

/// Returns the version in which the number at `at` is increased by one. Later numbers are removed.
fn next(numbers: &[u64], at: usize) -> String {
    let mut next: Vec<String> = numbers[..at].iter().map(ToString::to_string).collect();
    next.push((numbers[at] + 1).to_string());
    next.join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn constraints_mean_the_same_in_pep_440() {
        let table = [
            ("^1.2.3", Some(">=1.2.3,<2")),
            ("^0.2.3", Some(">=0.2.3,<0.3")),
            ("^0.0.3", Some(">=0.0.3,<0.0.4")),
            ("^0.0", Some(">=0.0,<0.1")),
            ("^0", Some(">=0,<1")),
            ("~1.2.3", Some(">=1.2.3,<1.3")),
            ("~1.2", Some(">=1.2,<1.3")),
            ("~1", Some(">=1,<2")),
            ("~=1.4.2", Some("~=1.4.2")),
            ("1.2.*", Some("==1.2.*")),
            ("*", Some("")),
            ("", Some("")),
            (">=1.2, <1.5", Some(">=1.2,<1.5")),
            (">= 1.2", Some(">=1.2")),
            ("1.2.3", Some("==1.2.3")),
            ("=1.2", Some("==1.2")),
            ("!=1.1", Some("!=1.1")),
            ("^1.0 || ^2.0", None),
        ];
        for (constraint, expected) in table {
            assert_eq!(to_pep440(constraint).as_deref(), expected, "{constraint}");
        }
    }

    #[test]
    fn a_constraint_on_python_becomes_a_marker() {
        assert_eq!(to_marker("^3.10").unwrap(), "python_version >= '3.10' and python_version < '4'");
        assert_eq!(to_marker(">=3.9.1").unwrap(), "python_full_version >= '3.9.1'");
        assert_eq!(to_marker("*"), None);
    }
}
