//! Verifies `InRelease` files. Such a file is a clear-signed text (RFC 9580, section 7). At least one key of the
//! keyring must have signed it.

use std::collections::BTreeSet;
use std::io;

use pgp::composed::{CleartextSignedMessage, Deserializable, SignedPublicKey};
use pgp::crypto::hash::HashAlgorithm;
use pgp::packet::Signature;
use pgp::types::KeyDetails as _;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::model::digest::Digest;
use crate::model::hint::Hints;

/// The keys with which a distribution signs its archive.
pub(crate) struct Keyring {
    keys: Vec<SignedPublicKey>,
    digest: Digest,
}

/// A text that keys of a keyring have signed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Verified {
    pub(crate) text: String,
    /// The fingerprints of the keys. If a subkey signed, the fingerprint is that of its primary key. All fingerprints
    /// have lower-case hexadecimal digits, and are sorted.
    pub(crate) keys: Vec<String>,
}

#[derive(Debug, Error)]
pub(crate) enum SignatureError {
    #[error("cannot read the keyring")]
    Keyring(#[source] Box<pgp::errors::Error>),
    #[error("cannot use the keyring: it contains no key")]
    EmptyKeyring,
    #[error("cannot trust the file: it is not a signed text{}", if *is_html { "; it is a web page, perhaps of a proxy" } else { "" })]
    Unsigned { is_html: bool },
    #[error("cannot trust the file: there is text outside of the signed part")]
    Smuggled,
    #[error("cannot trust the file: its signature cannot be read")]
    Unreadable(#[source] Box<pgp::errors::Error>),
    #[error("cannot trust the file: none of its {signatures} signatures of this text is by a key of the keyring")]
    Untrusted { signatures: usize },
}

impl Hints for SignatureError {}

impl Keyring {
    /// Reads a binary keyring in the format of the files in `/usr/share/keyrings`.
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, SignatureError> {
        let failed = |error| SignatureError::Keyring(Box::new(error));
        let keys = SignedPublicKey::from_bytes_many(io::BufReader::new(bytes)).map_err(failed)?;
        let keys = keys.collect::<Result<Vec<_>, _>>().map_err(failed)?;
        if keys.is_empty() {
            return Err(SignatureError::EmptyKeyring);
        }
        Ok(Self { keys, digest: Digest::of(bytes) })
    }

    /// Returns the digest of the bytes from which the keys were read.
    pub(crate) fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Returns the part of `in_release` that was signed by a key of this keyring. If there is text before or after
    /// this part, the file is refused.
    pub(crate) fn verified(&self, in_release: &str) -> Result<Verified, SignatureError> {
        const BEGIN: &str = "-----BEGIN PGP SIGNED MESSAGE-----";
        const END: &str = "-----END PGP SIGNATURE-----";
        if !in_release.starts_with(BEGIN) {
            return Err(SignatureError::Unsigned { is_html: in_release.trim_start().starts_with('<') });
        }
        if in_release.matches(BEGIN).count() != 1 || !in_release.trim_end().ends_with(END) {
            return Err(SignatureError::Smuggled);
        }
        let (message, _) = CleartextSignedMessage::from_string(in_release)
            .map_err(|error| SignatureError::Unreadable(Box::new(error)))?;
        let text = message.signed_text();
        let signers = message.signatures().iter().flat_map(|signature| self.signers(signature, text.as_bytes()));
        let keys: BTreeSet<String> = signers.collect();
        if keys.is_empty() {
            return Err(SignatureError::Untrusted { signatures: message.signatures().len() });
        }
        Ok(Verified { text: text.replace("\r\n", "\n"), keys: keys.into_iter().collect() })
    }

    /// Returns the fingerprints of the keys of this keyring that made `signature` over `text`. A key may also sign
    /// with one of its subkeys. Hash algorithms with known collisions are rejected.
    fn signers(&self, signature: &Signature, text: &[u8]) -> Vec<String> {
        let is_strong =
            matches!(signature.hash_alg(), Some(HashAlgorithm::Sha256 | HashAlgorithm::Sha384 | HashAlgorithm::Sha512));
        let has_signed = |key: &&SignedPublicKey| {
            let by_primary = || signature.verify(&key.primary_key, text).is_ok();
            let by_subkey = || {
                key.public_subkeys.iter().any(|subkey| {
                    subkey.signatures.iter().any(|binding| binding.key_flags().sign())
                        && signature.verify(&subkey.key, text).is_ok()
                        && subkey.verify_bindings(&key.primary_key).is_ok()
                })
            };
            by_primary() || by_subkey()
        };
        let signers = self.keys.iter().filter(|_| is_strong).filter(has_signed);
        signers.map(|key| hex::encode(key.fingerprint().as_bytes())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file from the security archive, of November 2026.
    const IN_RELEASE: &str = include_str!("../../../tests/data/trixie-security.InRelease");

    fn debian() -> Keyring {
        Keyring::read(include_bytes!("../../../keyrings/debian-archive-keyring.gpg")).unwrap()
    }

    fn ubuntu() -> Keyring {
        Keyring::read(include_bytes!("../../../keyrings/ubuntu-archive-keyring.gpg")).unwrap()
    }

    #[test]
    fn what_debian_signed_is_taken_and_nothing_else_of_the_file() {
        let Verified { text, keys } = debian().verified(IN_RELEASE).unwrap();
        let expected = ["05ab90340c0c5e797f44a8c8254cf3b5aec0a8f0", "5e04a1e3223a19a20706e20f9904613d4cce68c6"];
        assert_eq!(keys, expected);
        assert!(text.starts_with("Origin: Debian\n"), "{}", &text[..40]);
        assert!(text.contains("Codename: trixie-security\n"));
        assert!(!text.contains("PGP"));
    }

    #[test]
    fn one_changed_letter_is_noticed() {
        let changed = IN_RELEASE.replacen("Codename: trixie", "Codename: trixia", 1);
        let error = debian().verified(&changed).unwrap_err();
        assert!(matches!(error, SignatureError::Untrusted { .. }), "{error}");
    }

    #[test]
    fn a_text_without_signature_or_with_more_around_it_is_refused() {
        let keyring = debian();
        let plain = keyring.verified("Suite: stable\n").unwrap_err();
        assert!(matches!(plain, SignatureError::Unsigned { is_html: false }), "{plain}");
        let page = keyring.verified("<!DOCTYPE html><html>").unwrap_err();
        assert!(matches!(page, SignatureError::Unsigned { is_html: true }), "{page}");
        let texts = [plain, page].map(|error| error.to_string());
        insta::assert_snapshot!(texts.join("\n"), @"
        cannot trust the file: it is not a signed text
        cannot trust the file: it is not a signed text; it is a web page, perhaps of a proxy
        ");
        let prefixed = keyring.verified(&format!("Suite: evil\n{IN_RELEASE}")).unwrap_err();
        assert!(matches!(prefixed, SignatureError::Unsigned { .. }), "{prefixed}");
        let suffixed = keyring.verified(&format!("{IN_RELEASE}Suite: evil\n")).unwrap_err();
        assert!(matches!(suffixed, SignatureError::Smuggled), "{suffixed}");
    }

    #[test]
    fn what_debian_signed_is_not_taken_for_ubuntus() {
        let error = ubuntu().verified(IN_RELEASE).unwrap_err();
        assert!(matches!(error, SignatureError::Untrusted { .. }), "{error}");
    }

    #[test]
    fn a_keyring_without_keys_is_refused() {
        assert!(matches!(Keyring::read(b""), Err(SignatureError::EmptyKeyring)));
        assert!(Keyring::read(b"no keys at all").is_err());
    }
}
