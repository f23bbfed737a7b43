//! Computes the receipt of a build.

use std::collections::BTreeMap;

use crate::model::application::AppRequest;
use crate::model::image::{Image, PlatformImage};
use crate::model::made::{Made, Share};
use crate::model::non_empty::NonEmpty;
use crate::model::reason::Removed;
use crate::model::receipt::{BaseReceipt, MAX_ODDITIES, PlatformReceipt, Receipt};
use crate::model::request::{OnBase, Request};
use crate::model::tree::Tree;
use crate::steps::emit::named;

/// Returns the receipt of `image`, which was sealed from `shares`.
pub(super) fn of(image: &Image, shares: &NonEmpty<Share>, request: &Request) -> Receipt {
    let platforms = image.platforms.iter().zip(shares);
    Receipt {
        name: request.output.name.clone(),
        digest: image.digest().0.prefixed(),
        destinations: named(image, &request.output.destinations),
        application: request.app.as_ref().map(AppRequest::extent),
        platforms: platforms.map(|(image, share)| of_platform(image, share, request)).collect(),
    }
}

fn of_platform(image: &PlatformImage, share: &Share, request: &Request) -> PlatformReceipt {
    let Share { made: Made { lock, assembly, launch, tree, .. }, layers, proof, next_level } = share;
    let mut hints: Vec<String> = lock.hints.iter().map(ToString::to_string).collect();
    hints.extend(assembly.notes.clone());
    PlatformReceipt {
        platform: image.platform,
        digest: image.manifest.digest.0.prefixed(),
        files_bytes: tree.size_bytes(),
        compressed_bytes: layers.iter().map(|layer| layer.size_bytes).sum(),
        layers: layers.clone(),
        base: request.base_of(image.platform).map(of_base),
        bytes_by_origin: bytes_by_origin(tree),
        removed_bytes_by_reason: removed_bytes_by_reason(&assembly.tree, tree),
        checks: proof.clone(),
        entrypoint: launch.argv(),
        hints,
        next_level: next_level.clone(),
    }
}

fn of_base(base: OnBase<'_>) -> BaseReceipt {
    let (layers, oddities) = (&base.image.layers, &base.image.oddities);
    BaseReceipt {
        source: base.request.source.to_string(),
        digest: base.image.digest.0.prefixed(),
        layers: layers.len(),
        compressed_bytes: layers.iter().map(|layer| layer.size_bytes).sum(),
        oddities: oddities.iter().take(MAX_ODDITIES).cloned().collect(),
        more_oddities: oddities.len().saturating_sub(MAX_ODDITIES),
    }
}

fn bytes_by_origin(tree: &Tree) -> BTreeMap<String, u64> {
    let mut bytes: BTreeMap<String, u64> = BTreeMap::new();
    let links = tree.hard_links();
    for (_, node) in tree.nodes.iter().filter(|(path, _)| !links.contains_key(path)) {
        *bytes.entry(node.origin.to_string()).or_default() += node.size_bytes();
    }
    bytes
}

/// Returns the number of bytes that trim removed from `whole`, for each reason. `tree` is the trimmed tree. The bytes
/// of stripped symbols are included.
fn removed_bytes_by_reason(whole: &Tree, tree: &Tree) -> BTreeMap<Removed, u64> {
    let mut bytes: BTreeMap<Removed, u64> = BTreeMap::new();
    for (path, node) in &whole.nodes {
        let ships = tree.nodes.get(path).map_or(node.size_bytes(), |shipped| shipped.size_bytes());
        let stripped = node.size_bytes().saturating_sub(ships);
        if stripped > 0 {
            *bytes.entry(Removed::Symbols).or_default() += stripped;
        }
    }
    for removal in tree.removed.values() {
        *bytes.entry(removal.reason).or_default() += removal.size_bytes;
    }
    bytes
}
