//! Poetry's constraints on versions, converted to PEP 440 (Poetry's documentation, "Dependency specification").

/// Converts a constraint to PEP 440. For example, `^1.2` becomes `>=1.2,<2`. An empty result allows every version.
///
/// PEP 440 has no alternatives (`||`). They are converted if they join to one range, from which whole series may be
/// excluded: `^1.0 || ^3.0` becomes `>=1.0,<4,!=2.*`. Returns `None` if this is not possible, or if the constraint
/// cannot be read.
pub(crate) fn to_pep440(constraint: &str) -> Option<String> {
    let alternatives = alternatives(constraint)?;
    match alternatives.as_slice() {
        [alternative] => Some(alternative.join(",")),
        _ if alternatives.iter().any(Vec::is_empty) => Some(String::new()),
        _ => {
            let mut ranges = alternatives.iter().map(|parts| Range::of(parts)).collect::<Option<Vec<_>>>()?;
            ranges.sort();
            joined(&ranges)
        }
    }
}

/// Converts a constraint on Python to a marker (PEP 508). For example, `^3.10` becomes `python_version >= '3.10' and
/// python_version < '4'`. Returns `None` if every Python is allowed, or if the constraint cannot be read.
pub(crate) fn to_marker(constraint: &str) -> Option<String> {
    let limit = |limit: &String| {
        let start = limit.find(|c: char| c.is_ascii_digit())?;
        let (operator, version) = limit.split_at(start);
        // The variable `python_version` of markers has only two numbers, such as `3.12`.
        let name = if version.split('.').count() > 2 { "python_full_version" } else { "python_version" };
        Some(format!("{name} {operator} '{version}'"))
    };
    let alternative = |parts: &Vec<String>| Some(parts.iter().map(limit).collect::<Option<Vec<_>>>()?.join(" and "));
    let markers = alternatives(constraint)?.iter().map(alternative).collect::<Option<Vec<_>>>()?;
    match markers.as_slice() {
        markers if markers.iter().any(String::is_empty) => None,
        [marker] => Some(marker.clone()),
        markers => Some(markers.iter().map(|marker| format!("({marker})")).collect::<Vec<_>>().join(" or ")),
    }
}

/// Converts a constraint on the platform, such as `linux || darwin`, to a marker (PEP 508).
pub(crate) fn platform_to_marker(constraint: &str) -> String {
    let limit = |text: &str| {
        let (operator, name) = match text.strip_prefix("!=") {
            Some(name) => ("!=", name),
            None => ("==", text.trim_start_matches('=')),
        };
        format!("sys_platform {operator} '{}'", name.trim())
    };
    let both = |text: &str| text.split(',').map(|text| limit(text.trim())).collect::<Vec<_>>().join(" and ");
    let markers = constraint.split('|').map(str::trim).filter(|text| !text.is_empty());
    markers.map(|text| format!("({})", both(text))).collect::<Vec<_>>().join(" or ")
}

/// Returns the alternatives of a constraint. Each of them is a list of PEP 440 specifiers, and all specifiers of a list
/// must be fulfilled. An empty list allows every version.
fn alternatives(constraint: &str) -> Option<Vec<Vec<String>>> {
    let parts = |alternative: &str| parts(alternative).iter().map(|part| one(part)).collect::<Option<Vec<_>>>();
    // One part, such as `^1.2`, may become several specifiers.
    let single = |part: String| part.split(',').map(str::to_owned).collect::<Vec<_>>();
    let specifiers = |parts: Vec<String>| parts.into_iter().flat_map(single).filter(|one| !one.is_empty()).collect();
    // `|` means the same as `||`. An empty text between two of them is no alternative.
    let texts: Vec<&str> = constraint.split('|').map(str::trim).filter(|text| !text.is_empty()).collect();
    if texts.is_empty() {
        return Some(vec![Vec::new()]);
    }
    texts.into_iter().map(|text| parts(text).map(specifiers)).collect()
}

/// Returns the parts of a constraint without alternatives. They are separated by commas or spaces. A space between an
/// operator and its version separates nothing.
fn parts(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    for word in text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty()) {
        match parts.last_mut() {
            Some(last) if !last.contains(|c: char| c.is_ascii_alphanumeric() || c == '*') => last.push_str(word),
            _ => parts.push(word.to_owned()),
        }
    }
    parts.retain(|part| !part.is_empty());
    parts
}

fn one(part: &str) -> Option<String> {
    if part == "*" {
        return Some(String::new());
    }
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
    Some(part.to_owned())
}

fn numbers(version: &str) -> Option<Vec<u64>> {
    let release = version.split(|c: char| !c.is_ascii_digit() && c != '.').next()?;
    release.split('.').map(|number| number.parse().ok()).collect()
}

/// Returns the range for `^version`. It begins at `version`, and the first number that is not zero stays the same.
fn caret(version: &str) -> Option<String> {
    let numbers = numbers(version)?;
    let at = numbers.iter().position(|number| *number != 0).unwrap_or(numbers.len() - 1);
    Some(format!(">={version},<{}", shown(&next(&numbers, at))))
}

/// Returns the range for `~version`. It begins at `version`, and the first two numbers stay the same. If `version` has
/// only one number, this number stays the same.
fn tilde(version: &str) -> Option<String> {
    let numbers = numbers(version)?;
    Some(format!(">={version},<{}", shown(&next(&numbers, usize::from(numbers.len() > 1)))))
}

/// Returns the version in which the number at `at` is increased by one. Later numbers are removed.
fn next(numbers: &[u64], at: usize) -> Vec<u64> {
    let mut next = numbers[..at].to_vec();
    next.push(numbers[at] + 1);
    next
}

fn shown(numbers: &[u64]) -> String {
    numbers.iter().map(ToString::to_string).collect::<Vec<_>>().join(".")
}

/// The versions from `from`, which is included, to `to`, which is not. Zeros at the end are removed, so that equal
/// versions have equal numbers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Range {
    from: Vec<u64>,
    /// `None` if the range has no end.
    to: Option<Vec<u64>>,
}

impl Range {
    /// Returns the range of specifiers. Returns `None` if they do not describe one.
    fn of(parts: &[String]) -> Option<Self> {
        let mut range = Self { from: Vec::new(), to: None };
        for part in parts {
            let of = |version: &str| {
                let is_release = version.chars().all(|c| c.is_ascii_digit() || c == '.');
                numbers(version).filter(|_| is_release).map(without_zeros)
            };
            if let Some(version) = part.strip_prefix(">=") {
                range.from = range.from.max(of(version)?);
            } else if let Some(version) = part.strip_prefix('<').filter(|version| !version.starts_with('=')) {
                let to = of(version)?;
                range.to = Some(range.to.map_or(to.clone(), |old| old.min(to)));
            } else if let Some(series) = part.strip_prefix("==").and_then(|version| version.strip_suffix(".*")) {
                let numbers = numbers(series)?;
                let to = next(&numbers, numbers.len() - 1);
                range.to = Some(range.to.map_or(to.clone(), |old| old.min(to)));
                range.from = range.from.max(without_zeros(numbers));
            } else {
                return None;
            }
        }
        Some(range)
    }
}

fn without_zeros(mut numbers: Vec<u64>) -> Vec<u64> {
    while numbers.last() == Some(&0) {
        numbers.pop();
    }
    numbers
}

/// Joins sorted ranges to one constraint. Returns `None` if a gap between two of them is not a few whole series.
fn joined(ranges: &[Range]) -> Option<String> {
    let (first, rest) = ranges.split_first()?;
    let (mut end, mut gaps) = (first.to.clone(), Vec::new());
    for range in rest {
        let Some(to) = &end else { break };
        gaps.extend(series(to, &range.from)?);
        end = range.to.as_ref().map(|range| range.max(to).clone());
    }
    let from = (!first.from.is_empty()).then(|| format!(">={}", shown(&first.from)));
    let to = end.map(|to| format!("<{}", shown(&to)));
    let gaps = gaps.iter().map(|series| format!("!={}.*", shown(series)));
    Some(from.into_iter().chain(to).chain(gaps).collect::<Vec<_>>().join(","))
}

/// Returns the series between `from` and `to`, such as 2 and 3 between 2.0 and 4.0. The result is empty if `to` is not
/// later. Returns `None` if the gap does not consist of at most sixteen whole series.
fn series(from: &[u64], to: &[u64]) -> Option<Vec<Vec<u64>>> {
    let length = from.len().max(to.len());
    let padded = |numbers: &[u64]| {
        let mut numbers = numbers.to_vec();
        numbers.resize(length, 0);
        numbers
    };
    let (mut at, to) = (padded(from), padded(to));
    let mut series = Vec::new();
    while at < to {
        let position = at.iter().zip(&to).position(|(at, to)| at != to)?;
        // The series must begin with its first version.
        let is_whole = at[position + 1..].iter().all(|number| *number == 0);
        if !is_whole || series.len() == 16 {
            return None;
        }
        series.push(at[..=position].to_vec());
        at[position] += 1;
    }
    Some(series)
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
            (">=1.2 <1.5", Some(">=1.2,<1.5")),
            (">= 1.2 , < 1.5 !=1.3", Some(">=1.2,<1.5,!=1.3")),
            (">= 1.2", Some(">=1.2")),
            ("1.2.3", Some("==1.2.3")),
            ("=1.2", Some("==1.2")),
            ("!=1.1", Some("!=1.1")),
        ];
        for (constraint, expected) in table {
            assert_eq!(to_pep440(constraint).as_deref(), expected, "{constraint}");
        }
    }

    #[test]
    fn alternatives_become_one_range_with_excluded_series() {
        let table = [
            ("^1.0 || ^2.0", Some(">=1,<3")),
            ("^2.1|^1.4", Some(">=1.4,<3,!=2.0.*")),
            ("^1.0 || ^4.0", Some(">=1,<5,!=2.*,!=3.*")),
            ("^1.0 || ^3.1", Some(">=1,<4,!=2.*,!=3.0.*")),
            ("<2 || >=3", Some("!=2.*")),
            (">=1.22 <2 || >=1.5", Some(">=1.5")),
            (">=1.5,1.* || ^3.0", Some(">=1.5,<4,!=2.*")),
            ("~1.4 || 1.6.*", Some(">=1.4,<1.7,!=1.5.*")),
            ("^1.0 || *", Some("")),
            // No constraint in PEP 440 excludes all versions between 1.5 and 3, or after 1.2.3.
            ("~1.4 || ^3.0", None),
            ("1.2.3 || ^2.0", None),
        ];
        for (constraint, expected) in table {
            assert_eq!(to_pep440(constraint).as_deref(), expected, "{constraint}");
        }
    }

    #[test]
    fn a_constraint_on_python_becomes_a_marker() {
        assert_eq!(to_marker("^3.10").unwrap(), "python_version >= '3.10' and python_version < '4'");
        assert_eq!(to_marker(">=3.9.1").unwrap(), "python_full_version >= '3.9.1'");
        assert_eq!(to_marker("<3.9 || >=3.11").unwrap(), "(python_version < '3.9') or (python_version >= '3.11')");
        assert_eq!(to_marker("*"), None);
    }

    #[test]
    fn a_constraint_on_the_platform_becomes_a_marker() {
        assert_eq!(platform_to_marker("linux"), "(sys_platform == 'linux')");
        assert_eq!(platform_to_marker("linux || darwin"), "(sys_platform == 'linux') or (sys_platform == 'darwin')");
        assert_eq!(platform_to_marker("!=win32"), "(sys_platform != 'win32')");
    }
}
