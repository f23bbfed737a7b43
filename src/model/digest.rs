//! SHA-256 digests, and a writer that computes the digest of the bytes that it passes on.

use std::fmt;
use std::io::{self, Write};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

/// The SHA-256 of some bytes. It is shown as 64 lower-case hexadecimal digits, without the prefix `sha256:`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub(crate) struct Digest([u8; 32]);

#[derive(Debug, Error)]
#[error("cannot read `{0}` as a sha256 digest")]
pub(crate) struct DigestError(String);

impl Digest {
    pub(crate) fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Computes the digest of `bytes`.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// Computes a key from several fields. Each field is preceded by its length, so that different lists of fields
    /// never have the same key.
    pub(crate) fn of_fields<'a>(fields: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = Sha256::new();
        for field in fields {
            hasher.update((field.len() as u64).to_le_bytes());
            hasher.update(field);
        }
        Self(hasher.finalize().into())
    }

    /// Computes a key from the JSON of `value`. `value` must have a type that exists only for this purpose. `value`
    /// contains everything on which a cached result depends, and the keys of its maps are texts.
    pub(crate) fn of_key(value: &impl Serialize) -> Self {
        // The JSON is written directly to the hasher, because the JSON of a long record would need much memory.
        let mut hasher = Sha256::new();
        match serde_json::to_writer(&mut hasher, value) {
            Ok(()) => Self(hasher.finalize().into()),
            Err(error) => unreachable!("a key that cannot be JSON: {error}"),
        }
    }

    /// Reads a digest in the form of OCI documents: `sha256:` and the digits.
    pub(crate) fn of_prefixed(text: &str) -> Option<Self> {
        if text.starts_with("sha256:") { text.parse().ok() } else { None }
    }

    /// Returns the digest in the form of OCI documents: `sha256:` and the digits.
    pub(crate) fn prefixed(&self) -> String {
        format!("sha256:{self}")
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{self}")
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    /// Reads 64 hexadecimal digits, with or without the `sha256:` prefix.
    fn from_str(text: &str) -> Result<Self, DigestError> {
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let mut bytes = [0; 32];
        hex::decode_to_slice(digits, &mut bytes).map_err(|_| DigestError(text.to_owned()))?;
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = DigestError;

    fn try_from(text: String) -> Result<Self, DigestError> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// A writer that passes bytes on, counts them and computes their digest.
pub(crate) struct DigestWriter<W> {
    inner: W,
    hasher: Sha256,
    size_bytes: u64,
}

impl<W: Write> DigestWriter<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, hasher: Sha256::new(), size_bytes: 0 }
    }

    /// Returns the inner writer, the digest, and the number of bytes.
    pub(crate) fn finish(self) -> (W, Digest, u64) {
        (self.inner, Digest(self.hasher.finalize().into()), self.size_bytes)
    }
}

impl<W: Write> Write for DigestWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        self.size_bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The digest of a blob as it is stored and sent. For a layer, this is the digest of the compressed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct BlobDigest(pub(crate) Digest);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_reads_what_it_shows() {
        let digest = Digest::of(b"lath");
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
        assert_eq!(digest.prefixed().parse::<Digest>().unwrap(), digest);
        assert!("sha256:12".parse::<Digest>().is_err());
        assert_eq!(Digest::of_prefixed(&digest.prefixed()), Some(digest));
        assert_eq!(Digest::of_prefixed(&digest.to_string()), None);
        assert_eq!(Digest::of_prefixed(&format!("sha256:{}", digest.prefixed())), None);
    }

    #[test]
    fn keys_of_other_fields_differ() {
        let one = Digest::of_fields([b"ab".as_slice(), b"c"]);
        let other = Digest::of_fields([b"a".as_slice(), b"bc"]);
        assert_ne!(one, other);
    }

    #[test]
    fn the_writer_counts_and_digests_what_passes() {
        let mut writer = DigestWriter::new(Vec::new());
        writer.write_all(b"la").unwrap();
        writer.write_all(b"th").unwrap();
        let (bytes, digest, size) = writer.finish();
        assert_eq!((bytes.as_slice(), digest, size), (b"lath".as_slice(), Digest::of(b"lath"), 4));
    }
}
