//! The sha256 digests among the hashes that uv returns.

use uv_pypi_types::{HashAlgorithm, HashDigest};

use crate::model::digest::Digest;

pub(super) fn sha256s(hashes: &[HashDigest]) -> impl Iterator<Item = Digest> {
    let sha256s = hashes.iter().filter(|hash| hash.algorithm() == HashAlgorithm::Sha256);
    sha256s.filter_map(|hash| hash.digest.parse::<Digest>().ok())
}
