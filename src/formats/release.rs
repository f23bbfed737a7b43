//! `Release` files of Debian archives. Such a file contains the names of a suite, the time until which the file is
//! valid, and the digests of the indexes.
//!
//! Source: the Debian wiki's "DebianRepository/Format", section "Release files".

use std::collections::BTreeMap;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use thiserror::Error;

use crate::model::digest::Digest;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Release {
    pub(crate) suite: String,
    pub(crate) codename: String,
    /// The time at which the file was created, in seconds since 1970. `None` if the file has no date.
    pub(crate) date_secs: Option<i64>,
    /// The time until which the file is valid, in seconds since 1970. It is `None` if the archive sets no such time.
    /// For example, the archive of Ubuntu sets none.
    pub(crate) valid_until_secs: Option<i64>,
    pub(crate) architectures: Vec<String>,
    pub(crate) components: Vec<String>,
    /// Whether each index can also be fetched by its digest.
    pub(crate) acquires_by_hash: bool,
    /// The indexes by path below the suite's directory, such as `main/binary-amd64/Packages.xz`.
    pub(crate) indexes: BTreeMap<String, IndexFile>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct IndexFile {
    pub(crate) digest: Digest,
    pub(crate) size_bytes: u64,
}

#[derive(Debug, Error, PartialEq, Eq)]
pub(crate) enum ReleaseError {
    #[error("cannot read the Release file: the field `{0}` is missing")]
    Missing(&'static str),
    #[error("cannot read the Release file: `{0}` is not a date as in RFC 2822")]
    Date(String),
    #[error("cannot read the Release file: the line `{0}` is neither a field nor an index")]
    Line(String),
}

impl Release {
    /// Reads the text of a Release file. Only SHA256 digests are used. Sections with other digests are skipped.
    pub(crate) fn parse(text: &str) -> Result<Self, ReleaseError> {
        let mut fields: BTreeMap<&str, &str> = BTreeMap::new();
        let mut indexes = BTreeMap::new();
        let mut section = "";
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            if line.starts_with([' ', '\t']) {
                if section == "SHA256" {
                    let (path, file) = parse_index(line).ok_or_else(|| ReleaseError::Line(line.trim().to_owned()))?;
                    indexes.insert(path, file);
                }
                continue;
            }
            let (name, value) = line.split_once(':').ok_or_else(|| ReleaseError::Line(line.to_owned()))?;
            section = name;
            fields.insert(name, value.trim());
        }
        if !fields.contains_key("SHA256") {
            return Err(ReleaseError::Missing("SHA256"));
        }
        let field = |name| fields.get(name).copied().ok_or(ReleaseError::Missing(name));
        let words = |name| fields.get(name).map_or_else(Vec::new, |text| split_words(text));
        Ok(Self {
            suite: field("Suite")?.to_owned(),
            codename: field("Codename")?.to_owned(),
            date_secs: fields.get("Date").map(|date| parse_date(date)).transpose()?,
            valid_until_secs: fields.get("Valid-Until").map(|date| parse_date(date)).transpose()?,
            architectures: words("Architectures"),
            components: words("Components"),
            acquires_by_hash: fields.get("Acquire-By-Hash") == Some(&"yes"),
            indexes,
        })
    }
}

fn split_words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn parse_index(line: &str) -> Option<(String, IndexFile)> {
    let mut words = line.split_whitespace();
    let digest = words.next()?.parse().ok()?;
    let size_bytes = words.next()?.parse().ok()?;
    let path = words.next()?.to_owned();
    words.next().is_none().then_some((path, IndexFile { digest, size_bytes }))
}

/// Reads a date such as `Mon, 30 Nov 2026 02:09:33 UTC`. Archives use no other form. `GMT` and `+0000` mean the same as
/// `UTC`.
fn parse_date(text: &str) -> Result<i64, ReleaseError> {
    let refuse = || ReleaseError::Date(text.to_owned());
    let zoneless = ["UTC", "GMT", "+0000"].iter().find_map(|zone| text.strip_suffix(zone)).ok_or_else(refuse)?;
    let date = DateTime::strptime("%a, %d %b %Y %H:%M:%S", zoneless.trim()).map_err(|_| refuse())?;
    Ok(date.to_zoned(TimeZone::UTC).map_err(|_| refuse())?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "Suite: stable\nCodename: trixie\nDate: Thu, 01 Jan 1970 00:00:07 GMT\nValid-Until: Thu, 01 Jan 1970 00:01:40 UTC\n\
        Architectures: amd64 arm64\nComponents: main contrib\nAcquire-By-Hash: yes\nMD5Sum:\n  00 3 main/x\nSHA256:\n \
        e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 7 main/binary-amd64/Packages.xz\n";

    #[test]
    fn a_release_tells_its_suite_and_its_indexes() {
        let release = Release::parse(TEXT).unwrap();
        assert_eq!((release.suite.as_str(), release.codename.as_str()), ("stable", "trixie"));
        assert_eq!((release.date_secs, release.valid_until_secs), (Some(7), Some(100)));
        assert_eq!(release.architectures, ["amd64", "arm64"]);
        assert_eq!(release.components, ["main", "contrib"]);
        assert!(release.acquires_by_hash);
        let index = &release.indexes["main/binary-amd64/Packages.xz"];
        assert_eq!((index.digest, index.size_bytes), (Digest::of(b""), 7));
        assert_eq!(release.indexes.len(), 1, "weaker digests are passed over");
    }

    #[test]
    fn what_was_cut_or_altered_never_panics() {
        for position in 0..TEXT.len() {
            let _ = Release::parse(&TEXT[..position]);
            for character in ['\0', '\n', ':', ' ', 'é'] {
                let _ = Release::parse(&format!("{}{character}{}", &TEXT[..position], &TEXT[position + 1..]));
            }
        }
    }

    #[test]
    fn what_is_missing_or_odd_is_named() {
        let table = [
            (TEXT.replace("Suite: stable\n", ""), ReleaseError::Missing("Suite")),
            (TEXT.replace("SHA256:", "SHA512:"), ReleaseError::Missing("SHA256")),
            (
                TEXT.replace("Until: Thu, 01 Jan", "Until: someday"),
                ReleaseError::Date("someday 1970 00:01:40 UTC".to_owned()),
            ),
            (
                TEXT.replace(" 7 main", " seven main"),
                ReleaseError::Line(format!("{} seven main/binary-amd64/Packages.xz", Digest::of(b""))),
            ),
            (format!("<html>\n{TEXT}"), ReleaseError::Line("<html>".to_owned())),
        ];
        for (text, error) in table {
            assert_eq!(Release::parse(&text), Err(error));
        }
    }
}
