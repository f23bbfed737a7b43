//! The blobs that a repository has because of an earlier push. For an image with 100 layers, this saves 100 requests
//! (docs/decisions/0188-blobs-of-the-push-before.md).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::EmitError;
use super::contents::Contents;
use crate::model::digest::Digest;
use crate::model::image::BlobDigest;
use crate::model::image_reference::ImageReference;
use crate::outside::store::Bucket;
use crate::outside::world::World;

/// The last image that was pushed to a repository from this machine.
#[derive(Debug, Serialize, Deserialize)]
struct Pushed {
    root: BlobDigest,
    /// The configs and the layers of all platforms.
    blobs: BTreeSet<Digest>,
}

/// Returns the blobs of the last image that was pushed to the repository, if the registry still has this image. A
/// registry that has an image has its blobs, too. If anything fails, no blobs are known, and each gets its own request.
pub(super) fn blobs_there(image: &ImageReference, world: &World) -> BTreeSet<Digest> {
    let pushed: Option<Pushed> = world.store.entry(Bucket::PushedImages, &key(image));
    let is_there = |pushed: &Pushed| {
        let there = world.registry.pushed_manifest(&image.with_digest(pushed.root));
        there.is_ok_and(|digest| digest == Some(pushed.root))
    };
    pushed.filter(is_there).map(|pushed| pushed.blobs).unwrap_or_default()
}

/// Records that the repository has the image.
pub(super) fn record(image: &ImageReference, contents: &Contents<'_>, world: &World) -> Result<(), EmitError> {
    let pushed = Pushed { root: contents.root.digest, blobs: contents.blobs.keys().copied().collect() };
    Ok(world.store.write_entry(Bucket::PushedImages, &key(image), &pushed)?)
}

fn key(image: &ImageReference) -> Digest {
    Digest::of(image.name().as_bytes())
}
