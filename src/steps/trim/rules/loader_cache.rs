//! Rewrites the loader's cache without the removed libraries.

use super::{Proposal, Scene};
use crate::formats::ldcache::{self, Library};
use crate::model::image_path::ImagePath;
use crate::model::tree::Node;
use crate::outside::store::StoreError;

const CACHE: &str = "/etc/ld.so.cache";

pub(super) fn loader_cache(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    let (Ok(path), before) = (ImagePath::parse(CACHE), listed(scene)?) else { return Ok(Vec::new()) };
    let libraries = remaining(scene)?;
    if libraries.len() == before.len() {
        return Ok(Vec::new());
    }
    let bytes = ldcache::write(&libraries, scene.architecture());
    let digest = scene.store().put(&bytes)?;
    Ok(vec![Proposal::Rewrite { path, digest, size_bytes: bytes.len() as u64 }])
}

/// Returns the libraries of the cache that are still in the image.
pub(super) fn remaining(scene: &Scene<'_>) -> Result<Vec<Library>, StoreError> {
    let mut libraries = listed(scene)?;
    libraries.retain(|library| scene.tree.find(&library.path).is_some());
    Ok(libraries)
}

/// Returns the libraries of the cache. The result is empty if the image has no cache, or if the cache has another
/// format.
fn listed(scene: &Scene<'_>) -> Result<Vec<Library>, StoreError> {
    let cache = ImagePath::parse(CACHE).ok().and_then(|path| scene.tree.nodes.get(&path));
    let Some(digest) = cache.and_then(Node::digest) else { return Ok(Vec::new()) };
    Ok(ldcache::read(&scene.store().read(digest)?).unwrap_or_default())
}
