//! The hashes that a requirement, an index or a lock allows for a file.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha384, Sha512};

use crate::model::digest::Digest;

/// The hashes that a file may have. If both lists are empty, every file is allowed. If both have hashes, the file must
/// match one hash of each list.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct AllowedHashes {
    pub(crate) sha256s: Vec<Digest>,
    pub(crate) others: Vec<OtherHash>,
}

/// A secure hash of another algorithm than sha256, in lower-case hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum OtherHash {
    Sha384(String),
    Sha512(String),
}

impl AllowedHashes {
    pub(crate) fn of_sha256(digest: Digest) -> Self {
        Self { sha256s: vec![digest], others: Vec::new() }
    }

    /// Reads the hashes of one file, whose keys are the names of algorithms. The sha256 is used if there is one, and
    /// otherwise the strongest of the others. Returns `None` if there is no secure hash.
    pub(crate) fn of_file(hashes: &BTreeMap<String, String>) -> Option<Self> {
        if let Some(digest) = hashes.get("sha256").and_then(|digits| digits.parse().ok()) {
            return Some(Self::of_sha256(digest));
        }
        let other = |algorithm: &str| OtherHash::of(algorithm, hashes.get(algorithm)?);
        let other = other("sha512").or_else(|| other("sha384"))?;
        Some(Self { sha256s: Vec::new(), others: vec![other] })
    }

    /// Returns the sha256 of the file if it is known without the bytes of the file.
    pub(crate) fn known(&self) -> Option<Digest> {
        match self.sha256s.as_slice() {
            [digest] if self.others.is_empty() => Some(*digest),
            _ => None,
        }
    }

    pub(crate) fn allows_sha256(&self, digest: &Digest) -> bool {
        self.sha256s.is_empty() || self.sha256s.contains(digest)
    }

    /// Returns whether the hashes of other algorithms than sha256 allow the bytes.
    pub(crate) fn allows_bytes(&self, bytes: &[u8]) -> bool {
        self.others.is_empty() || self.others.iter().any(|hash| hash.is_of(bytes))
    }
}

impl OtherHash {
    /// Returns a hash of the algorithm with this name. Returns `None` for sha256 and for algorithms that are not secure.
    pub(crate) fn of(algorithm: &str, digits: &str) -> Option<Self> {
        match algorithm {
            "sha384" => Some(Self::Sha384(digits.to_ascii_lowercase())),
            "sha512" => Some(Self::Sha512(digits.to_ascii_lowercase())),
            _ => None,
        }
    }

    /// Returns whether this is the hash of `bytes`.
    fn is_of(&self, bytes: &[u8]) -> bool {
        match self {
            Self::Sha384(digits) => hex::encode(Sha384::digest(bytes)) == *digits,
            Self::Sha512(digits) => hex::encode(Sha512::digest(bytes)) == *digits,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_must_match_one_hash_of_each_list() {
        let digits = |bytes: &[u8]| hex::encode(Sha512::digest(bytes)).to_uppercase();
        let hashes = |pairs: &[(&str, String)]| {
            AllowedHashes::of_file(&pairs.iter().map(|(name, digits)| ((*name).to_owned(), digits.clone())).collect())
        };
        let of_other = hashes(&[("md5", "00".to_owned()), ("sha512", digits(b"file"))]).unwrap();
        assert!(of_other.allows_bytes(b"file") && !of_other.allows_bytes(b"other"));
        assert!(of_other.allows_sha256(&Digest::of(b"other")) && of_other.known().is_none());
        let sha256 = hashes(&[("sha256", Digest::of(b"file").to_string()), ("sha512", digits(b"other"))]).unwrap();
        assert_eq!((sha256.known(), sha256.allows_bytes(b"any")), (Some(Digest::of(b"file")), true));
        assert!(!sha256.allows_sha256(&Digest::of(b"other")));
        assert_eq!(hashes(&[("md5", "00".to_owned())]), None);
        assert!(AllowedHashes::default().allows_sha256(&Digest::of(b"")));
    }
}
