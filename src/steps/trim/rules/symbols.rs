//! Removes symbols and debug information from the extension modules of wheels.

use rayon::prelude::*;

use super::{Proposal, Scene};
use crate::formats::elf;
use crate::model::digest::Digest;
use crate::model::image_path::ImagePath;
use crate::model::tree::{Node, Origin};
use crate::outside::store::{Bucket, Store, StoreError};

/// Larger modules are not stripped. The reason: a module is in memory twice while it is stripped, and larger modules
/// are usually stripped already.
const LARGEST_BYTES: u64 = 512 << 20;

/// The contents of a file.
type Contents = (Digest, u64);

/// Libraries in `*.libs/` are not changed. A repair tool has put them there and changed their layout. Stripping has
/// broken such files.
pub(super) fn symbols(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    let store = scene.store();
    let nodes = scene.tree.nodes.iter().filter(|(path, node)| is_module(path, node));
    let modules: Vec<(&ImagePath, &Digest)> = nodes.filter_map(|(path, node)| Some((path, node.digest()?))).collect();
    let rewrite = |(path, digest): &(&ImagePath, &Digest)| -> Result<Option<Proposal>, StoreError> {
        let rewrite = |(digest, size_bytes)| Proposal::Rewrite { path: (*path).clone(), digest, size_bytes };
        Ok(stripped(digest, store)?.map(rewrite))
    };
    let rewritten: Result<Vec<Option<Proposal>>, StoreError> = modules.par_iter().map(rewrite).collect();
    Ok(rewritten?.into_iter().flatten().collect())
}

fn is_module(path: &ImagePath, node: &Node) -> bool {
    matches!(node.origin, Origin::Wheel { .. })
        && node.size_bytes() <= LARGEST_BYTES
        && path.file_name().ends_with(".so")
        && !path.components().any(|component| component.ends_with(".libs") || component == ".dylibs")
}

/// Puts the contents without symbols into the store and returns them. `None` if they would not be smaller.
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
