//! Searches everything that a program has written for secrets.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;

/// Returns every file below `folder`. Links are not followed.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.is_symlink() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Returns whether bytes contain a secret.
pub fn contains(bytes: &[u8], secret: &str) -> bool {
    memchr::memmem::find(bytes, secret.as_bytes()).is_some()
}

/// Searches a file. If it is compressed with gzip, its uncompressed contents are searched too.
pub fn file_contains(path: &Path, secret: &str) -> bool {
    let bytes = fs::read(path).unwrap();
    let mut unpacked = Vec::new();
    // If a file is not gzip, or is damaged, only the contents that could be unpacked are searched.
    let _ = MultiGzDecoder::new(bytes.as_slice()).read_to_end(&mut unpacked);
    contains(&bytes, secret) || contains(&unpacked, secret)
}
