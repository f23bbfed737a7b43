//! Removes symbols and debug information from the extension modules of wheels.

use std::collections::BTreeSet;

use rayon::prelude::*;

use super::{Proposal, Scene};
use crate::formats::elf;
use crate::model::digest::Digest;
use crate::model::image_path::ImagePath;
use crate::model::tree::{Node, Origin};
use crate::outside::store::{Bucket, Store, StoreError};

/// The maximum size of a module that is stripped. While a module is stripped, it is in memory twice. Larger modules
/// usually contain no symbols.
const LARGEST_BYTES: u64 = 512 << 20;

/// The contents of a file: digest and size in bytes.
type Contents = (Digest, u64);

/// Libraries in `*.libs/` are not changed. A tool such as auditwheel has put them into this folder and changed their
/// layout, and stripping can break such files. Libraries beside a signature are not changed either.
pub(super) fn symbols(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    let store = scene.store();
    let signatures = scene.tree.nodes.keys().filter(|path| is_signature(path.file_name()));
    let signed: BTreeSet<ImagePath> = signatures.filter_map(ImagePath::parent).collect();
    let is_signed = |path: &ImagePath| path.parent().is_some_and(|folder| signed.contains(&folder));
    let nodes = scene.tree.nodes.iter().filter(|(path, node)| is_module(path, node) && !is_signed(path));
    let modules: Vec<(&ImagePath, &Digest)> = nodes.filter_map(|(path, node)| Some((path, node.digest()?))).collect();
    let rewrite = |(path, digest): &(&ImagePath, &Digest)| -> Result<Option<Proposal>, StoreError> {
        let rewrite = |(digest, size_bytes)| Proposal::Rewrite { path: (*path).clone(), digest, size_bytes };
        Ok(stripped(digest, store)?.map(rewrite))
    };
    let rewritten: Result<Vec<Option<Proposal>>, StoreError> = modules.par_iter().map(rewrite).collect();
    Ok(rewritten?.into_iter().flatten().collect())
}

/// Returns whether a file contains the signature or the checksum of a library beside it. Some cryptography libraries check
/// themselves when they are loaded, as FIPS 140 requires. For example, the libraries of `ibm_db` have an `ICCSIG.txt`.
fn is_signature(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    [".chk", ".hmac", ".sig", "sig.txt"].iter().any(|ending| name.ends_with(ending))
}

fn is_module(path: &ImagePath, node: &Node) -> bool {
    matches!(node.origin, Origin::Wheel { .. })
        && node.size_bytes() <= LARGEST_BYTES
        && path.file_name().ends_with(".so")
        && !path.components().any(|component| component.ends_with(".libs") || component == ".dylibs")
}

/// Removes the symbols, puts the new contents into the store, and returns their digest and size. `None` if the new
/// contents would not be smaller.
fn stripped(digest: &Digest, store: &Store) -> Result<Option<Contents>, StoreError> {
    let cached: Option<Option<Contents>> = store.entry(Bucket::Stripped, digest);
    if let Some(stripped) = cached
        && stripped.is_none_or(|(digest, size_bytes)| store.holds(&digest, size_bytes))
    {
        return Ok(stripped);
    }
    let stripped = match elf::strip_debug(&store.read(digest)?) {
        Some(bytes) => Some((store.put(&bytes)?, bytes.len() as u64)),
        None => None,
    };
    store.write_entry(Bucket::Stripped, digest, &stripped)?;
    Ok(stripped)
}

#[cfg(test)]
mod tests {
    use super::is_signature;

    #[test]
    fn signatures_of_libraries_are_recognised() {
        for name in ["ICCSIG.txt", "libfreebl3.chk", ".libgcrypt.so.20.hmac", "fips.so.sig"] {
            assert!(is_signature(name), "{name}");
        }
        for name in ["top_level.txt", "design.txt.in", "libfreebl3.so", "signal.py", "SIG.md"] {
            assert!(!is_signature(name), "{name}");
        }
    }
}
