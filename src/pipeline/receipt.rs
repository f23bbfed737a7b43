//! Computes the receipt of a build.

use std::collections::BTreeMap;

use crate::model::image::PlatformImage;
use crate::model::reason::Removed;
use crate::model::receipt::{PlatformReceipt, ProofSummary};
use crate::model::tree::Tree;

/// Returns the receipt of one platform: its bytes by origin, and the removed bytes by reason.
pub(super) fn of_platform(
    platform: &PlatformImage,
    whole: &Tree,
    tree: &Tree,
    checks: ProofSummary,
    entrypoint: Vec<String>,
    hints: Vec<String>,
) -> PlatformReceipt {
    let mut bytes_by_origin: BTreeMap<String, u64> = BTreeMap::new();
    let links = tree.hard_links();
    for (_, node) in tree.nodes.iter().filter(|(path, _)| !links.contains_key(path)) {
        *bytes_by_origin.entry(node.origin.to_string()).or_default() += node.size_bytes();
    }
    let mut removed_bytes_by_reason: BTreeMap<Removed, u64> = BTreeMap::new();
    for (path, node) in &whole.nodes {
        let ships = tree.nodes.get(path).map_or(node.size_bytes(), |shipped| shipped.size_bytes());
        let stripped = node.size_bytes().saturating_sub(ships);
        if stripped > 0 {
            *removed_bytes_by_reason.entry(Removed::Symbols).or_default() += stripped;
        }
    }
    for removal in tree.removed.values() {
        *removed_bytes_by_reason.entry(removal.reason).or_default() += removal.size_bytes;
    }
    PlatformReceipt {
        platform: platform.platform,
        digest: platform.manifest.digest.0.prefixed(),
        files_bytes: tree.size_bytes(),
        compressed_bytes: platform.layers.iter().map(|layer| layer.size_bytes).sum(),
        layers: platform.layers.clone(),
        bytes_by_origin,
        removed_bytes_by_reason,
        checks,
        entrypoint,
        hints,
    }
}
