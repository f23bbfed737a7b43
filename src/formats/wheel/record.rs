//! RECORD: the list of a wheel's files, with their digests (packaging.python.org, "Recording installed projects", "The
//! RECORD file"). A wheel with a wrong RECORD can be used, because the digest of the whole wheel was checked before,
//! and because other installers accept such wheels. Each difference is reported as a fault.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use sha2::digest::DynDigest;

use crate::model::part::{RecordFault, RecordFaultKind};

/// The digest of a file in RECORD. The specification requires sha256 or a stronger algorithm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Recorded {
    algorithm: &'static str,
    /// The digest in URL-safe base64 without padding, or in hexadecimal digits.
    digest: String,
}

/// The contents of RECORD, and the differences between it and the wheel.
#[derive(Debug, Default)]
pub(super) struct Record {
    digests: BTreeMap<String, Recorded>,
    faults: BTreeMap<RecordFaultKind, RecordFault>,
}

impl Record {
    /// Reads RECORD. `names` are the names of all entries of the wheel. `is_exempt` returns true for files that may be
    /// missing in RECORD.
    pub(super) fn read(text: &str, names: &[String], is_exempt: impl Fn(&str) -> bool) -> Self {
        let mut record = Self::default();
        let contained: BTreeSet<&str> = names.iter().map(String::as_str).collect();
        let mut listed = BTreeSet::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let (path, recorded) = record_line(line);
            if !contained.contains(path.as_str()) {
                record.add_fault(RecordFaultKind::NotContained, &path);
                continue;
            }
            if let Some(recorded) = recorded {
                record.digests.insert(path.clone(), recorded);
            }
            listed.insert(path);
        }
        for name in names.iter().filter(|name| !name.ends_with('/') && !is_exempt(name)) {
            if !listed.contains(name) {
                record.add_fault(RecordFaultKind::NotListed, name);
            } else if !record.digests.contains_key(name) {
                record.add_fault(RecordFaultKind::NoDigest, name);
            }
        }
        record
    }

    /// Returns a reader for the bytes of a file. If RECORD uses an algorithm other than sha256 for the file, the reader
    /// also computes the digest with that algorithm.
    pub(super) fn watch<R: Read>(&self, name: &str, inner: R) -> Watched<R> {
        Watched::new(inner, self.digests.get(name).map(|recorded| recorded.algorithm))
    }

    /// Compares a file with its digest in RECORD. If RECORD uses an algorithm other than sha256, `stronger` is the
    /// file's digest with that algorithm.
    pub(super) fn compare(&mut self, name: &str, sha256: &[u8; 32], stronger: Option<&[u8]>) {
        let Some(recorded) = self.digests.get(name) else { return };
        let digest = stronger.unwrap_or(sha256);
        if recorded.digest == base64_url(digest) {
            return;
        }
        let is_hexadecimal = recorded.digest.eq_ignore_ascii_case(&hex::encode(digest));
        let kind = if is_hexadecimal { RecordFaultKind::Hexadecimal } else { RecordFaultKind::OtherDigest };
        self.add_fault(kind, name);
    }

    /// Returns the faults that were found until now, one for each kind of fault.
    pub(super) fn faults(&self) -> Vec<RecordFault> {
        self.faults.values().cloned().collect()
    }

    fn add_fault(&mut self, kind: RecordFaultKind, path: &str) {
        let first = || RecordFault { kind, path: path.to_owned(), others: 0 };
        self.faults.entry(kind).and_modify(|fault| fault.others += 1).or_insert_with(first);
    }
}

/// Returns the paths in the text of a RECORD. They are relative to the folder that contains dist-info.
pub(crate) fn record_paths(text: &str) -> impl Iterator<Item = String> {
    text.lines().filter(|line| !line.trim().is_empty()).map(|line| record_line(line).0)
}

/// Changes the paths in the text of a RECORD. `installed` returns the path at which a file is installed, or `None` if the
/// line is left out. Lines with an unchanged path stay exactly as they are.
pub(crate) fn with_installed_paths(text: &str, installed: impl Fn(&str) -> Option<String>) -> String {
    let mut result = String::new();
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        let (path, _) = record_line(line);
        let Some(new) = installed(&path) else { continue };
        if new == path {
            result.push_str(line);
        } else {
            let quoted = if new.contains([',', '"']) { format!("\"{}\"", new.replace('"', "\"\"")) } else { new };
            let fields: Vec<&str> = line.trim_end().rsplitn(3, ',').collect();
            let field = |at: usize| fields.get(at).copied().unwrap_or_default();
            result.push_str(&format!("{quoted},{},{}", field(1), field(0)));
        }
        result.push('\n');
    }
    result
}

/// Reads a line in the form `path,sha256=...,size`. The path is in quotes if it contains a comma or a quote.
fn record_line(line: &str) -> (String, Option<Recorded>) {
    let line = line.trim_end();
    let (rest, _size) = line.rsplit_once(',').unwrap_or((line, ""));
    let (path, hash) = rest.rsplit_once(',').unwrap_or((rest, ""));
    let path = match path.strip_prefix('"').and_then(|path| path.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => path.to_owned(),
    };
    let recorded = hash.split_once('=').and_then(|(name, digest)| {
        let algorithm = ["sha256", "sha384", "sha512"].into_iter().find(|known| *known == name)?;
        Some(Recorded { algorithm, digest: digest.trim_end_matches('=').to_owned() })
    });
    (path, recorded)
}

/// Encodes bytes in URL-safe base64 without padding, as in RECORD (RFC 4648, section 5).
pub(crate) fn base64_url(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let value = chunk.iter().fold(0_u32, |value, byte| value << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for position in 0..=chunk.len() {
            text.push(ALPHABET[(value >> (18 - 6 * position) & 63) as usize] as char);
        }
    }
    text
}

/// A reader that counts bytes. If RECORD uses an algorithm other than sha256, it also computes the digest with that
/// algorithm.
pub(super) struct Watched<R> {
    inner: R,
    read_bytes: u64,
    hasher: Option<Box<dyn DynDigest>>,
}

impl<R: Read> Watched<R> {
    fn new(inner: R, algorithm: Option<&str>) -> Self {
        let hasher: Option<Box<dyn DynDigest>> = match algorithm {
            Some("sha384") => Some(Box::new(sha2::Sha384::default())),
            Some("sha512") => Some(Box::new(sha2::Sha512::default())),
            _ => None,
        };
        Self { inner, read_bytes: 0, hasher }
    }

    /// Returns the number of bytes that were read. If RECORD uses an algorithm other than sha256, also returns the
    /// digest with that algorithm.
    pub(super) fn finish(self) -> (u64, Option<Box<[u8]>>) {
        (self.read_bytes, self.hasher.map(DynDigest::finalize))
    }
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.inner.read(buffer)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..length]);
        }
        self.read_bytes += length as u64;
        Ok(length)
    }
}
