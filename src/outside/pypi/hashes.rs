//! The secure hashes among those that uv returns.

use uv_pypi_types::{HashAlgorithm, HashDigest};

use crate::model::allowed_hashes::{AllowedHashes, OtherHash};
use crate::model::digest::Digest;

pub(super) fn sha256s(hashes: &[HashDigest]) -> impl Iterator<Item = Digest> {
    let sha256s = hashes.iter().filter(|hash| hash.algorithm() == HashAlgorithm::Sha256);
    sha256s.filter_map(|hash| hash.digest.parse::<Digest>().ok())
}

/// Returns the hashes that a requirement or a lock allows. If one of them is a sha256, a file must have one of the
/// sha256s.
pub(super) fn allowed(hashes: &[HashDigest]) -> AllowedHashes {
    let sha256s: Vec<Digest> = sha256s(hashes).collect();
    let other = |hash: &HashDigest| OtherHash::of(&hash.algorithm().to_string(), &hash.digest);
    let others = if sha256s.is_empty() { hashes.iter().filter_map(other).collect() } else { Vec::new() };
    AllowedHashes { sha256s, others }
}
