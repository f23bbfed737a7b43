//! Builds with the same lock and options as an earlier build, or with the same chosen wheels and packages. The image
//! of the earlier build is in the store, so this image only has to be written
//! (docs/decisions/0184-images-are-kept-by-what-was-chosen.md).

use std::collections::BTreeMap;
use std::path::Path;

use fs_err as fs;
use serde::{Deserialize, Serialize};

use super::to_lock;
use crate::formats::oci;
use crate::model::application::{AppFile, AppRequest};
use crate::model::destination::Destination;
use crate::model::digest::Digest;
use crate::model::event::Message;
use crate::model::image::{BlobDigest, Document, Image, Layer, PlatformImage};
use crate::model::lock::{LockedBase, LockedWheel, PlatformLock};
use crate::model::non_empty::NonEmpty;
use crate::model::platform::{Architecture, Platform};
use crate::model::receipt::{NotRun, PlatformReceipt, Receipt};
use crate::model::request::{OutputRequest, Request, TrimLevel};
use crate::model::secret_text::SecretText;
use crate::outside::program;
use crate::outside::store::{Bucket, Store, StoreError};
use crate::outside::world::World;
use crate::steps::emit::named;
use crate::steps::explain;

/// A sealed image and its receipt, as the store keeps them.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    platforms: Vec<KeptPlatform>,
    index: Option<String>,
    receipt: Receipt,
    /// The messages about the contents of the image.
    messages: Vec<Message>,
}

#[derive(Debug, Serialize, Deserialize)]
struct KeptPlatform {
    platform: Platform,
    layers: Vec<Layer>,
    config: String,
    manifest: String,
}

/// Everything that an image depends on.
#[derive(Serialize)]
struct ImageKey<'a> {
    program: &'a str,
    contents: Contents<'a>,
    /// All options, so that none can be forgotten.
    options: &'a Request,
}

/// The wheels and packages of an image.
#[derive(Serialize)]
#[serde(rename_all = "lowercase")]
enum Contents<'a> {
    /// The wheels and packages in a lock that lath wrote.
    Lock { digest: Digest, compares_inputs: bool },
    /// The wheels and packages that were chosen for each platform, and the base image of each platform.
    Chosen { platforms: Vec<(&'a PlatformLock, Option<LockedBase>)>, application: Option<Digest> },
}

/// Returns the key of an image with these contents. `None` if its tree is written to a folder, or if files are copied
/// into the image. Also `None` if the image is trimmed but not proved, because such an image also depends on the files
/// that earlier proofs have put back.
fn image_key(contents: Contents<'_>, request: &Request) -> Option<Digest> {
    let is_folder = |destination: &Destination| matches!(destination, Destination::Directory(_));
    let depends_on_proofs = !request.proof.verify && request.trim.level != TrimLevel::None;
    if depends_on_proofs || !request.copies.is_empty() || request.output.destinations.iter().any(is_folder) {
        return None;
    }
    // The destinations of the image do not affect its contents.
    let output = OutputRequest { name: request.output.name.clone(), ..OutputRequest::default() };
    let options = &Request { lock: None, output, ..request.clone() };
    Some(Digest::of_key(&ImageKey { program: &program::identity(), contents, options }))
}

/// Returns the key of the image of `request` if a lock contains everything on which the image depends. `None` if there
/// is no lock, or if a wheel is built from a folder, because the files of a folder may have changed. The inputs may be
/// files with requirements, or wheels, because these files are compared with the lock.
pub(super) fn key(request: &Request) -> Option<Digest> {
    let lock = request.lock.as_ref()?;
    let is_known = |input: &SecretText| is_name(input.exposed()) || input.exposed().trim().ends_with(".whl");
    let mut wheels = lock.file.platforms.iter().flat_map(|platform| &platform.wheels);
    let has_folder = request.app.is_some() || request.python.project.is_some() || wheels.any(LockedWheel::is_of_folder);
    if has_folder || !request.python.requirements.iter().all(is_known) {
        return None;
    }
    let (digest, compares_inputs) = (lock.file.digest, lock.compares_inputs);
    image_key(Contents::Lock { digest, compares_inputs }, request)
}

/// Returns the key of the image that contains the wheels and packages of `locks`, and the files of the application.
/// There is one lock for each platform, in order. `None` in the cases of [`image_key`]. Also `None` if a platform is
/// foreign, because its bytecode also depends on the tree in which it is compiled.
pub(super) fn key_of_chosen(locks: &[&PlatformLock], request: &Request) -> Option<Digest> {
    let host = Architecture::of_host();
    let is_foreign = request.platforms.iter().any(|platform| Some(platform.architecture) != host);
    if is_foreign {
        return None;
    }
    let application = match &request.app {
        Some(app) => Some(application_key(app)?),
        None => None,
    };
    let platforms = locks.iter().map(|lock| (*lock, to_lock(request, lock.platform))).collect();
    image_key(Contents::Chosen { platforms, application }, request)
}

/// Returns a key for the files of an application. `None` if a file cannot be read. Also `None` if the files are large,
/// because they would be read twice: for the key and for the image.
fn application_key(app: &AppRequest) -> Option<Digest> {
    const MAX_BYTES: u64 = 16 << 20;
    let AppRequest { folder: _, script, target, files } = app;
    if app.extent().bytes > MAX_BYTES {
        return None;
    }
    let mut keys: BTreeMap<&str, (bool, Digest)> = BTreeMap::new();
    let mut links: BTreeMap<&str, &str> = BTreeMap::new();
    for (path, file) in &files.files {
        match file {
            AppFile::Link { target } => drop(links.insert(path, target)),
            AppFile::File { source, is_executable, size_bytes: _ } => {
                keys.insert(path, (*is_executable, Digest::of(&fs::read(source).ok()?)));
            }
        }
    }
    Some(Digest::of_key(&(script, target, keys, links, &files.procfile)))
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

/// Returns the image of an earlier build, and its receipt. Repeats the messages about its contents.
pub(super) fn kept(key: &Digest, request: &Request, world: &World) -> Option<(Image, Receipt)> {
    let store = &world.store;
    let Kept { platforms, index, mut receipt, messages } = store.entry(Bucket::Images, key)?;
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
    if receipt.digest != image.digest().0.prefixed() {
        return None;
    }
    messages.into_iter().for_each(|message| world.listener.hear(message.into()));
    receipt.destinations = named(&image, &request.output.destinations);
    Some((image, receipt))
}

/// Keeps an image for later builds. An image whose checks could not run is not kept, because they may run the next
/// time.
pub(super) fn keep(
    key: &Digest,
    image: &Image,
    receipt: &Receipt,
    messages: &[Message],
    store: &Store,
) -> Result<(), StoreError> {
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
        messages: messages.to_vec(),
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
