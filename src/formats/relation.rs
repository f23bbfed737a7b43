//! Relations between Debian packages: `Depends`, `Pre-Depends`, `Provides` (Debian Policy, chapter 7).

use std::cmp::Ordering;
use std::fmt;

use thiserror::Error;

/// Alternatives in order of preference. At least one of them must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Alternatives(pub(crate) Vec<Relation>);

/// The name of a package, and its allowed versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Relation {
    pub(crate) name: String,
    /// The part of the name after the colon, such as `any` in `python3:any`. It may also be an architecture.
    pub(crate) qualifier: Option<String>,
    pub(crate) version: Option<(Operator, String)>,
}

/// The operators of Debian Policy, section 7.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Earlier,
    EarlierOrEqual,
    Equal,
    LaterOrEqual,
    Later,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum RelationError {
    #[error("cannot read the package relation `{0}`")]
    Syntax(String),
    #[error("cannot read `{0}` as a Debian version")]
    Version(String),
}

impl Relation {
    /// Returns whether `version` of the package satisfies this relation.
    pub(crate) fn allows(&self, version: &str) -> Result<bool, RelationError> {
        let Some((operator, wanted)) = &self.version else { return Ok(true) };
        let order = compare(version, wanted)?;
        Ok(match operator {
            Operator::Earlier => order == Ordering::Less,
            Operator::EarlierOrEqual => order != Ordering::Greater,
            Operator::Equal => order == Ordering::Equal,
            Operator::LaterOrEqual => order != Ordering::Less,
            Operator::Later => order == Ordering::Greater,
        })
    }
}

impl fmt::Display for Relation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        if let Some((operator, version)) = &self.version {
            let sign = match operator {
                Operator::Earlier => "<<",
                Operator::EarlierOrEqual => "<=",
                Operator::Equal => "=",
                Operator::LaterOrEqual => ">=",
                Operator::Later => ">>",
            };
            write!(f, " ({sign} {version})")?;
        }
        Ok(())
    }
}

/// Compares two versions like dpkg (deb-version(7)).
pub(crate) fn compare(one: &str, other: &str) -> Result<Ordering, RelationError> {
    let split = |text| split_version(text).ok_or_else(|| RelationError::Version(String::from(text)));
    let (one, other) = (split(one)?, split(other)?);
    let upstream = || compare_parts(one.upstream, other.upstream);
    Ok(one.epoch.cmp(&other.epoch).then_with(upstream).then_with(|| compare_parts(one.revision, other.revision)))
}

/// The parts of a version.
struct Version<'a> {
    epoch: u32,
    upstream: &'a str,
    /// It is empty if the version has no revision. An empty revision is equal to the revision `0`.
    revision: &'a str,
}

/// Splits `[EPOCH:]UPSTREAM[-REVISION]`. Returns `None` if dpkg would refuse the version.
fn split_version(text: &str) -> Option<Version<'_>> {
    const MARKS: &[u8] = b".+~-:";
    let is_valid = |part: &str, marks: &[u8]| {
        !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || marks.contains(&byte))
    };
    let (epoch, rest) = match text.split_once(':') {
        Some((epoch, rest)) => (epoch.bytes().all(|byte| byte.is_ascii_digit()).then(|| epoch.parse().ok())??, rest),
        None => (0, text),
    };
    let (upstream, revision) = rest.rsplit_once('-').map_or((rest, None), |(front, end)| (front, Some(end)));
    let is_whole = is_valid(upstream, MARKS) && revision.is_none_or(|revision| is_valid(revision, &MARKS[..3]));
    is_whole.then(|| Version { epoch, upstream, revision: revision.unwrap_or_default() })
}

/// Compares the words and the numbers of two versions alternately. Numbers may have any length, and a missing number is
/// equal to zero.
fn compare_parts(mut one: &str, mut other: &str) -> Ordering {
    while !one.is_empty() || !other.is_empty() {
        let (word, number, rest) = take_part(one);
        let (other_word, other_number, other_rest) = take_part(other);
        let by_length = number.len().cmp(&other_number.len());
        let order = compare_words(word, other_word).then(by_length).then_with(|| number.cmp(other_number));
        if order != Ordering::Equal {
            return order;
        }
        (one, other) = (rest, other_rest);
    }
    Ordering::Equal
}

/// Returns the first word of `text`, the number that follows the word, without its leading zeros, and the rest.
fn take_part(text: &str) -> (&str, &str, &str) {
    let word_end = text.find(|letter: char| letter.is_ascii_digit()).unwrap_or(text.len());
    let (word, rest) = text.split_at(word_end);
    let number_end = rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(rest.len());
    let (number, rest) = rest.split_at(number_end);
    (word, number.trim_start_matches('0'), rest)
}

/// Compares two words. `~` sorts before the end of a word, the end sorts before letters, and letters sort before all
/// other characters.
fn compare_words(one: &str, other: &str) -> Ordering {
    let weight = |letter: Option<&u8>| match letter {
        Some(b'~') => -1,
        None => 0,
        Some(letter) if letter.is_ascii_alphabetic() => i32::from(*letter),
        Some(mark) => i32::from(*mark) + 256,
    };
    let weights = |word: &str, index| weight(word.as_bytes().get(index));
    let orders = (0..one.len().max(other.len())).map(|index| weights(one, index).cmp(&weights(other, index)));
    orders.fold(Ordering::Equal, Ordering::then)
}

/// Reads a relation field: `a (>= 1) | b, c:any`.
pub(crate) fn parse(field: &str) -> Result<Vec<Alternatives>, RelationError> {
    field
        .split(',')
        .filter(|clause| !clause.trim().is_empty())
        .map(|clause| clause.split('|').map(parse_one).collect::<Result<_, _>>().map(Alternatives))
        .collect()
}

fn parse_one(text: &str) -> Result<Relation, RelationError> {
    let refuse = || RelationError::Syntax(text.trim().to_owned());
    let (package, version) = match text.split_once('(') {
        None => (text.trim(), None),
        Some((package, rest)) => {
            let inside = rest.trim_end().strip_suffix(')').ok_or_else(refuse)?;
            (package.trim(), Some(parse_version(inside.trim()).ok_or_else(refuse)?))
        }
    };
    let (name, qualifier) = match package.split_once(':') {
        None => (package, None),
        Some((name, qualifier)) => (name, Some(qualifier.to_owned())),
    };
    let is_name = !name.is_empty()
        && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+-.".contains(&byte));
    if !is_name {
        return Err(refuse());
    }
    Ok(Relation { name: name.to_owned(), qualifier, version })
}

fn parse_version(text: &str) -> Option<(Operator, String)> {
    // The signs with two characters come first, because `<` and `>` are prefixes of them. `<` and `>` alone are
    // obsolete, and mean `<=` and `>=`.
    const SIGNS: &[(&str, Operator)] = &[
        ("<<", Operator::Earlier),
        ("<=", Operator::EarlierOrEqual),
        (">=", Operator::LaterOrEqual),
        (">>", Operator::Later),
        ("=", Operator::Equal),
        ("<", Operator::EarlierOrEqual),
        (">", Operator::LaterOrEqual),
    ];
    let (sign, operator) = SIGNS.iter().find(|(sign, _)| text.starts_with(sign))?;
    let version = text[sign.len()..].trim();
    (!version.is_empty()).then(|| (*operator, version.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_reads_as_clauses_of_alternatives() {
        let clauses =
            parse("libc6 (>= 2.38), debconf (>= 0.5) | debconf-2.0, python3:any,\n media-types (=1)").unwrap();
        let shown: Vec<String> = clauses
            .iter()
            .map(|clause| clause.0.iter().map(Relation::to_string).collect::<Vec<_>>().join(" | "))
            .collect();
        assert_eq!(shown, ["libc6 (>= 2.38)", "debconf (>= 0.5) | debconf-2.0", "python3", "media-types (= 1)"]);
        assert_eq!(clauses[2].0[0].qualifier.as_deref(), Some("any"));
    }

    #[test]
    fn versions_are_ordered_as_dpkg_orders_them() {
        let table = [
            ("a (>= 2.38)", "2.41-12", true),
            ("a (>= 1:1)", "2.41-12", false),
            ("a (<< 1.0)", "1.0~rc1", true),
            ("a (= 1.0-1)", "1.0-1+b2", false),
            ("a (>> 1.9)", "1.10", true),
            ("a (<= 1.0)", "1.0", true),
            ("a", "0", true),
            ("a (= 1.0~rc)", "1.0~rc0", true),
            ("a (= 0:1.0-0)", "1.0", true),
            ("a (= 1.001)", "1.1", true),
            ("a (>> 1.0+a)", "1.0++", true),
            ("a (>> 99999999999999999999998)", "99999999999999999999999", true),
        ];
        for (relation, version, expected) in table {
            let relation = &parse(relation).unwrap()[0].0[0];
            assert_eq!(relation.allows(version), Ok(expected), "{relation} against {version}");
        }
    }

    #[test]
    fn what_dpkg_refuses_as_a_version_is_named() {
        for text in ["", "1:", ":1", "a:1", "+1:1", "4294967296:1", "1-", "-1", "1_0", "1.0-a:b", "é"] {
            assert_eq!(compare(text, "1"), Err(RelationError::Version(text.to_owned())));
        }
    }

    #[test]
    fn what_was_cut_or_altered_never_panics() {
        const FIELD: &str =
            "libc6 (>= 2:2.38~rc1-1), debconf (>= 0.5) | debconf-2.0, python3:any, a [amd64] <!nocheck>";
        for position in 0..FIELD.len() {
            for end in ["", "é", "(", ")", "\0", "|", "(= ", ":"] {
                let clauses = parse(&format!("{}{end}{}", &FIELD[..position], &FIELD[position + 1..]));
                for relation in clauses.into_iter().flatten().flat_map(|clause| clause.0) {
                    let _ = (relation.allows("1:1.0-1"), relation.allows(end), relation.to_string());
                }
            }
        }
    }

    #[test]
    fn what_is_no_relation_is_named() {
        for text in ["a (>= 1", "a (1)", "A b", "a ()", "| a"] {
            assert!(matches!(parse(text), Err(RelationError::Syntax(_))), "{text}");
        }
    }
}
