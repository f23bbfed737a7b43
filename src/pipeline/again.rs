//! A build with the same lock and options as an earlier one. Its image is in the store, so it only has to be written
//! (docs/decisions/0097-locks.md).

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::formats::oci;
use crate::model::destination::Destination;
use crate::model::digest::Digest;
use crate::model::image::{BlobDigest, Document, Image, Layer, PlatformImage};
use crate::model::lock::LockedWheel;
use crate::model::non_empty::NonEmpty;
use crate::model::platform::Platform;
use crate::model::receipt::{NotRun, PlatformReceipt, Receipt};
use crate::model::request::{OutputRequest, Request};
use crate::model::secret_text::SecretText;
use crate::outside::program;
use crate::outside::store::{Bucket, Store, StoreError};
use crate::steps::emit::named;
use crate::steps::explain;

/// A sealed image and its receipt, as the store keeps them.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    platforms: Vec<KeptPlatform>,
    index: Option<String>,
    receipt: Receipt,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptPlatform {
    platform: Platform,
    layers: Vec<Layer>,
    config: String,
    manifest: String,
}

/// Everything that an image from a lock depends on.
#[derive(Serialize)]
struct ImageKey<'a> {
    program: &'a str,
    lock: Digest,
    compares_inputs: bool,
    /// All options, so that none can be forgotten.
    options: &'a Request,
}

/// Returns the key of the image of `request`. `None` if the image depends on more than a lock and options, if its tree
/// is written too, or if it contains files of this machine. The inputs may still be files with requirements, or wheels,
/// because these are compared with the lock.
pub(super) fn key(request: &Request) -> Option<Digest> {
    let lock = request.lock.as_ref()?;
    let is_folder = |destination: &Destination| matches!(destination, Destination::Directory(_));
    let is_known = |input: &SecretText| is_name(input.exposed()) || input.exposed().trim().ends_with(".whl");
    if !request.python.requirements.iter().all(is_known) {
        return None;
    }
    let has_files = !request.copies.is_empty() || request.app.is_some() || request.python.project.is_some();
    // The files of a folder may have changed.
    let wheels = || lock.file.platforms.iter().flat_map(|platform| &platform.wheels);
    if wheels().any(LockedWheel::is_of_folder) {
        return None;
    }
    if has_files || request.output.destinations.iter().any(is_folder) {
        return None;
    }
    // The destinations of the image do not change it, and the lock is part of the key by its digest.
    let output = OutputRequest { name: request.output.name.clone(), ..OutputRequest::default() };
    let options = &Request { lock: None, output, ..request.clone() };
    Some(Digest::of_key(&ImageKey {
        program: &program::identity(),
        lock: lock.file.digest,
        compares_inputs: lock.compares_inputs,
        options,
    }))
}

/// Returns whether the inputs of `request` are completely in its options. If not, parts of them are in files that may
/// have changed.
pub(super) fn has_plain_inputs(request: &Request) -> bool {
    let python = &request.python;
    python.requirement_files.is_empty()
        && python.constraint_files.is_empty()
        && python.requirements.iter().all(|requirement| is_name(requirement.exposed()))
}

/// Returns whether an input is a name with versions, and neither a file, a folder nor a URL.
fn is_name(input: &str) -> bool {
    let is_started = input.starts_with(|first: char| first.is_ascii_alphanumeric());
    is_started && !input.contains('/') && !input.trim().ends_with(".whl") && !Path::new(input).exists()
}

/// Returns the image of an earlier build, and its receipt.
pub(super) fn kept(key: &Digest, request: &Request, store: &Store) -> Option<(Image, Receipt)> {
    let Kept { platforms, index, mut receipt } = store.entry(Bucket::Images, key)?;
    let has_explanation =
        |platform: &KeptPlatform| explain::kept(&BlobDigest(Digest::of(platform.config.as_bytes())), store).is_some();
    if !platforms.iter().all(has_explanation) {
        return None;
    }
    // A layer of the base image is fetched again if a destination needs it.
    let has_all = |layer: &Layer| layer.contents.segments().iter().all(|segment| store.has_segment(segment));
    if !platforms.iter().flat_map(|platform| &platform.layers).all(has_all) {
        return None;
    }
    let platforms = platforms.into_iter().map(|kept| PlatformImage {
        platform: kept.platform,
        layers: kept.layers,
        config: Document::new(oci::CONFIG, kept.config.into_bytes()),
        manifest: Document::new(oci::MANIFEST, kept.manifest.into_bytes()),
    });
    let image = Image {
        name: request.output.name.clone(),
        aliases: request.output.aliases.clone(),
        epoch_secs: request.pack.epoch_secs,
        platforms: NonEmpty::new(platforms.collect())?,
        index: index.map(|text| Document::new(oci::INDEX, text.into_bytes())),
        base: request.base_image.as_ref().map(|base| base.source.clone()),
    };
    receipt.destinations = named(&image, &request.output.destinations);
    (receipt.digest == image.digest().0.prefixed()).then_some((image, receipt))
}

/// Keeps an image for later builds. An image whose checks could not run is not kept, because they may run the next
/// time.
pub(super) fn keep(key: &Digest, image: &Image, receipt: &Receipt, store: &Store) -> Result<(), StoreError> {
    let is_settled = |platform: &PlatformReceipt| platform.checks.not_run.iter().all(|one| *one == NotRun::Unwanted);
    if !receipt.platforms.iter().all(is_settled) {
        return Ok(());
    }
    let text = |document: &Document| String::from_utf8_lossy(&document.bytes).into_owned();
    let platforms = image.platforms.iter().map(|platform| KeptPlatform {
        platform: platform.platform,
        layers: platform.layers.clone(),
        config: text(&platform.config),
        manifest: text(&platform.manifest),
    });
    let kept = Kept {
        platforms: platforms.collect(),
        index: image.index.as_ref().map(text),
        receipt: Receipt { destinations: Vec::new(), ..receipt.clone() },
    };
    store.write_entry(Bucket::Images, key, &kept)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_neither_a_file_nor_a_folder_nor_a_url() {
        for name in ["pre-commit", "httpx[http2]>=0.28", "a==1; python_version > '3'"] {
            assert!(is_name(name), "{name}");
        }
        // The tests run in the folder of this package.
        for other in [".", "src", "Cargo.toml", "./x", "a @ https://host/a.tar.gz", "x-1-py3-none-any.whl", ""] {
            assert!(!is_name(other), "{other}");
        }
    }
}
