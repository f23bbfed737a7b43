//! The blobs that a repository has because of an earlier push. For an image with 100 layers, this saves 100 requests
//! (docs/decisions/0188-blobs-of-the-push-before.md).

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::contents::Contents;
use crate::model::digest::Digest;
use crate::model::event::Event;
use crate::model::image::BlobDigest;
use crate::model::image_reference::ImageReference;
use crate::outside::store::Bucket;
use crate::outside::world::World;

/// The last image that was pushed to a repository from this machine.
#[derive(Debug, Serialize, Deserialize)]
struct Pushed {
    /// The manifests of all platforms. The index is not among them, because a registry may have an index and not the
    /// manifests below it.
    manifests: Vec<BlobDigest>,
    /// The configs and the layers of all platforms.
    blobs: BTreeSet<Digest>,
}

/// Returns the blobs of the last image that was pushed to the repository, if the registry still has all manifests of
/// this image. A registry that has a manifest has the blobs of the manifest, too. If a request fails, the result is
/// empty, so the push sends one request for each blob.
pub(super) fn blobs_there(image: &ImageReference, world: &World) -> BTreeSet<Digest> {
    let pushed: Option<Pushed> = world.store.entry(Bucket::PushedImages, &key(image));
    let is_there = |manifest: &BlobDigest| {
        let there = world.registry.pushed_manifest(&image.with_digest(*manifest));
        there.is_ok_and(|digest| digest == Some(*manifest))
    };
    pushed.filter(|pushed| pushed.manifests.iter().all(is_there)).map(|pushed| pushed.blobs).unwrap_or_default()
}

/// Records that the repository has the image. If the record cannot be written, this is not an error, because the push
/// has succeeded. Only the next push sends more requests.
pub(super) fn record(image: &ImageReference, contents: &Contents<'_>, world: &World) {
    let manifests = if contents.documents.is_empty() { vec![contents.root] } else { contents.documents.clone() };
    let pushed = Pushed {
        manifests: manifests.iter().map(|manifest| manifest.digest).collect(),
        blobs: contents.blobs.keys().copied().collect(),
    };
    if let Err(error) = world.store.write_entry(Bucket::PushedImages, &key(image), &pushed) {
        world.listener.hear(Event::Detail(error.to_string()));
    }
}

fn key(image: &ImageReference) -> Digest {
    Digest::of(image.name().as_bytes())
}
