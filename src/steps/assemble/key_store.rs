//! `/etc/ssl/certs/java/cacerts`: the key store with the certificates that Java trusts. It is like the one that
//! ca-certificates-java writes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha1::{Digest as _, Sha1};

use super::{AssembleError, write_bytes};
use crate::model::tree::Tree;
use crate::outside::store::Store;

const KEY_STORE: &str = "/etc/ssl/certs/java/cacerts";
/// The folder of the program that writes the key store if its package, ca-certificates-java, is installed. lath runs no
/// maintainer script, so it writes the key store itself.
const WRITER: &str = "/usr/share/ca-certificates-java";
/// The password that every Java has for this file. It is not secret, and only serves to detect damage to the file.
const PASSWORD: &str = "changeit";
/// The time of every entry, in milliseconds: 1980-01-01.
const CREATED: u64 = 315_532_800_000;

/// Writes the key store if the tree contains ca-certificates-java.
pub(super) fn write(tree: &mut Tree, store: &Store) -> Result<(), AssembleError> {
    if tree.find(WRITER).is_none() {
        return Ok(());
    }
    let mut certificates = Vec::new();
    for (path, node) in &tree.nodes {
        let is_certificate = path.is_within("/usr/share/ca-certificates") && path.as_str().ends_with(".crt");
        if let (true, Some(digest)) = (is_certificate, node.digest()) {
            let name = path.file_name().trim_end_matches(".crt").to_lowercase();
            let text = String::from_utf8_lossy(&store.read(digest)?).into_owned();
            certificates.extend(der(&text).map(|bytes| (format!("debian:{name}.pem"), bytes)));
        }
    }
    if certificates.is_empty() {
        return Ok(());
    }
    write_bytes(tree, KEY_STORE, &jks(&certificates), 0o644, store)
}

/// Returns the first certificate of a PEM file (RFC 7468). `None` if it is damaged.
fn der(pem: &str) -> Option<Vec<u8>> {
    let (_, rest) = pem.split_once("-----BEGIN CERTIFICATE-----")?;
    let (body, _) = rest.split_once("-----END CERTIFICATE-----")?;
    STANDARD.decode(body.split_whitespace().collect::<String>()).ok()
}

/// Returns a key store in Java's own format, with trusted certificates only.
///
/// All numbers are big-endian: magic, version 2, number of entries. Each entry: the number 2 (a certificate), alias,
/// time, type, length, bytes. The file ends with the SHA-1 of the password in UTF-16, the words `Mighty Aphrodite`, and
/// all bytes before.
fn jks(certificates: &[(String, Vec<u8>)]) -> Vec<u8> {
    fn text(bytes: &mut Vec<u8>, text: &str) {
        bytes.extend((text.len() as u16).to_be_bytes());
        bytes.extend(text.as_bytes());
    }
    let mut bytes = Vec::new();
    for number in [0xfeed_feed_u32, 2, certificates.len() as u32] {
        bytes.extend(number.to_be_bytes());
    }
    for (alias, certificate) in certificates {
        bytes.extend(2_u32.to_be_bytes());
        text(&mut bytes, alias);
        bytes.extend(CREATED.to_be_bytes());
        text(&mut bytes, "X.509");
        bytes.extend((certificate.len() as u32).to_be_bytes());
        bytes.extend(certificate);
    }
    let mut hash = Sha1::new();
    for unit in PASSWORD.encode_utf16() {
        hash.update(unit.to_be_bytes());
    }
    hash.update(b"Mighty Aphrodite");
    hash.update(&bytes);
    bytes.extend(hash.finalize());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::steps::assemble::write_text;

    #[test]
    fn java_gets_the_certificates_that_openssl_has() {
        let (_home, store) = crate::outside::store::tests::store();
        let mut tree = Tree::default();
        let pem = "-----BEGIN CERTIFICATE-----\nAQID\nBA==\n-----END CERTIFICATE-----\n";
        write_text(&mut tree, "/usr/share/ca-certificates/mozilla/Root_A.crt", pem, &store).unwrap();
        write_text(&mut tree, "/usr/share/ca-certificates/mozilla/broken.crt", "no certificate", &store).unwrap();
        write(&mut tree, &store).unwrap();
        assert!(tree.find(KEY_STORE).is_none(), "there is no Java");
        write_text(&mut tree, "/usr/share/ca-certificates-java/ca-certificates-java.jar", "", &store).unwrap();
        write(&mut tree, &store).unwrap();
        let bytes = store.read(tree.find(KEY_STORE).unwrap().1.digest().unwrap()).unwrap();
        let (content, checksum) = bytes.split_at(bytes.len() - 20);
        assert_eq!(
            hex::encode(content),
            "feedfeed0000000200000001000000020011\
             64656269616e3a726f6f745f612e70656d\
             0000004977387000\
             0005582e3530390000000401020304"
        );
        // The checksum was computed with `sha1sum` over three parts: the output of `printf changeit | iconv -t
        // UTF-16BE`, the words, and the content above.
        assert_eq!(hex::encode(checksum), "d2fb4cdd415fb0d508834630944d4e109c46c60d");
    }
}
