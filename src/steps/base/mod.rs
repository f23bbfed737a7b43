//! The layers of a base image -> one tree, and the facts about the image. No program of the image runs.
//!
//! Each layer is read once, and its changes are cached by its digest. The whole result is cached by the digest of the
//! manifest, so that later builds read nothing.

mod changes;
mod found;
mod layers;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::changes::ChangeError;
use self::found::FoundError;
use self::layers::OpenedLayer;
use crate::formats::layer::LayerError;
use crate::model::base_image::{BaseImage, Oddity, OddityKind};
use crate::model::digest::Digest;
use crate::model::facts::FileFacts;
use crate::model::hint::Hints;
use crate::model::image::{BlobDigest, DiffId, Layer, LayerContents};
use crate::model::image_path::ImagePath;
use crate::model::platform::Platform;
use crate::model::tree::{Kind, Tree};
use crate::model::vocabulary;
use crate::outside::images::{ChosenImage, ImagesError, OpenImage, digest_of};
use crate::outside::store::{Bucket, Packed, Store, StoreError};

/// The maximum number of layers of an image that lath reads.
const MAX_LAYERS: usize = 1000;

#[derive(Debug, Error)]
pub(crate) enum BaseError {
    #[error(transparent)]
    Images(#[from] ImagesError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot read the layer `sha256:{}`", .digest.0)]
    Layer { digest: BlobDigest, source: LayerProblem },
    #[error("cannot use the image: it has {layers} layers, and its config has {diff_ids} diff IDs")]
    Count { layers: usize, diff_ids: usize },
    #[error("cannot use the image: it has {0} layers, and the limit is {MAX_LAYERS}")]
    TooManyLayers(usize),
    #[error("cannot use the layer `sha256:{}`: the diff ID of its tar is `sha256:{}`, and the config has `{expected}`", .digest.0, .found.0)]
    DiffId { digest: BlobDigest, found: DiffId, expected: String },
    #[error(transparent)]
    Found(#[from] FoundError),
}

/// The reason why a layer cannot be read.
#[derive(Debug, Error)]
pub(crate) enum LayerProblem {
    #[error(transparent)]
    Layer(#[from] LayerError),
    #[error(transparent)]
    Change(#[from] ChangeError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot unpack `{path}`")]
    Contents { path: String, source: std::io::Error },
    #[error("cannot use a layer with so many entries")]
    TooManyEntries,
}

impl Hints for BaseError {
    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Images(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::Found(error) => Some(error),
            Self::Layer { .. } | Self::Count { .. } | Self::TooManyLayers(_) | Self::DiffId { .. } => None,
        }
    }
}

/// Cache entry: a base image, and the packs with its small files.
#[derive(Serialize, Deserialize)]
struct Flattened {
    image: BaseImage,
    packs: Vec<Packed>,
}

/// Reads `chosen`, which is the image of `platform` in `image`. If the result is not cached, the contents of the
/// image's layers are put into the store.
pub(crate) fn base(
    image: &OpenImage<'_>,
    chosen: &ChosenImage,
    platform: Platform,
    store: &Store,
) -> Result<BaseImage, BaseError> {
    let digest = chosen.document.digest;
    let key = Digest::of_fields([digest.0.as_bytes().as_slice(), vocabulary::digest().as_bytes()]);
    let cached = store.entry::<Flattened>(Bucket::BaseImages, &key);
    if let Some(cached) = cached.filter(|cached| is_usable(cached, platform, store)) {
        return Ok(cached.image);
    }
    let flattened = flatten(image, chosen, platform, store)?;
    store.write_entry(Bucket::BaseImages, &key, &flattened)?;
    Ok(flattened.image)
}

/// Whether a cached image can be used: the store still has the contents of all its files.
fn is_usable(cached: &Flattened, platform: Platform, store: &Store) -> bool {
    let is_held = |kind: &Kind| match kind {
        Kind::File { digest, size_bytes } => store.holds(digest, *size_bytes),
        Kind::Directory | Kind::Link { .. } => true,
    };
    cached.image.platform == platform
        && cached.packs.iter().all(|packed| store.open_pack(packed))
        && cached.image.tree.nodes.values().all(|node| is_held(&node.kind))
}

fn flatten(
    image: &OpenImage<'_>,
    chosen: &ChosenImage,
    platform: Platform,
    store: &Store,
) -> Result<Flattened, BaseError> {
    let descriptors = &chosen.manifest.layers;
    let diff_ids = &chosen.config.rootfs.diff_ids;
    if descriptors.len() != diff_ids.len() {
        return Err(BaseError::Count { layers: descriptors.len(), diff_ids: diff_ids.len() });
    }
    if descriptors.len() > MAX_LAYERS {
        return Err(BaseError::TooManyLayers(descriptors.len()));
    }
    let opened = layers::open(image, descriptors, store)?;
    let mut flat = Flat::default();
    for ((layer, descriptor), expected) in opened.into_iter().zip(descriptors).zip(diff_ids) {
        let digest = digest_of(descriptor)?;
        if layer.diff_id.0.prefixed() != *expected {
            return Err(BaseError::DiffId { digest, found: layer.diff_id, expected: expected.clone() });
        }
        flat.layers.push(Layer {
            title: format!("base image {}", flat.layers.len() + 1),
            digest,
            diff_id: layer.diff_id,
            media_type: descriptor.media_type.clone(),
            size_bytes: descriptor.size,
            tar_bytes: layer.tar_bytes,
            files_bytes: layer.files_bytes,
            contents: LayerContents::Blob,
            annotations: descriptor.annotations.clone(),
        });
        flat.add(layer).map_err(|source| BaseError::Layer { digest, source: source.into() })?;
    }
    finished(flat, chosen, platform, store)
}

fn finished(flat: Flat, chosen: &ChosenImage, platform: Platform, store: &Store) -> Result<Flattened, BaseError> {
    let Flat { tree, mut facts, mut oddities, layers, packs } = flat;
    let used: BTreeSet<Digest> = tree.nodes.values().filter_map(|node| node.digest().copied()).collect();
    facts.retain(|digest, _| used.contains(digest));
    oddities.retain(|oddity| is_valid(&tree, oddity));
    oddities.sort();
    oddities.dedup();
    let found = found::found(&found::Scene { tree: &tree, facts: &facts, config: &chosen.config, platform, store })?;
    let unreadable = |error: std::string::FromUtf8Error| ImagesError::Malformed {
        name: chosen.config_document.digest.0.prefixed(),
        problem: error.to_string(),
    };
    let config = String::from_utf8(chosen.config_document.bytes.clone()).map_err(unreadable)?;
    let image = BaseImage {
        digest: chosen.document.digest,
        platform,
        media_type: chosen.document.media_type.clone().into_owned(),
        config,
        layers,
        tree,
        facts,
        found,
        oddities,
    };
    Ok(Flattened { image, packs })
}

/// Whether an oddity that was found in a layer is still in the image. A higher layer may have removed or replaced its
/// path.
fn is_valid(tree: &Tree, oddity: &Oddity) -> bool {
    let node = ImagePath::parse(&oddity.path).ok().and_then(|path| tree.nodes.get(&path));
    match &oddity.kind {
        OddityKind::SetId => node.is_some_and(|node| node.mode & 0o6000 != 0),
        OddityKind::Attributes(_) => node.is_some(),
        OddityKind::Device | OddityKind::Pipe => node.is_none(),
        OddityKind::Name => true,
    }
}

/// The layers that have been added, merged into one tree.
#[derive(Default)]
struct Flat {
    tree: Tree,
    facts: FileFacts,
    oddities: Vec<Oddity>,
    layers: Vec<Layer>,
    packs: Vec<Packed>,
}

impl Flat {
    /// Adds the next higher layer.
    fn add(&mut self, layer: OpenedLayer) -> Result<(), ChangeError> {
        layer.changes.apply(&mut self.tree)?;
        self.facts.extend(layer.facts);
        self.oddities.extend(layer.oddities);
        self.packs.push(layer.packed);
        Ok(())
    }
}
