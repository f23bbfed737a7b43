//! Images in registries. First, everything that a tag needs is pushed to all registries. The tags are set last, so that
//! a failed push never leaves a tag with an incomplete image (docs/decisions/0128-the-order-of-a-push.md).

use std::collections::BTreeSet;
use std::io;
use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::contents::{Blob, Bytes, Contents};
use super::{EmitError, pushed};
use crate::model::destination::Destination;
use crate::model::digest::Digest;
use crate::model::image::{BlobDescriptor, BlobDigest, Document};
use crate::model::image_reference::ImageReference;
use crate::outside::registry::{RegistryError, Upload};
use crate::outside::world::World;

/// Blobs that are fetched at the same time.
const FETCHES: usize = 4;

/// The tags that must still be set.
pub(super) struct StagedTags<'a> {
    tags: Vec<StagedTag<'a>>,
    contents: &'a Contents<'a>,
    world: &'a World,
}

struct StagedTag<'a> {
    image: &'a ImageReference,
    /// Whether some blobs were not checked, because an earlier push had sent them.
    has_unchecked_blobs: bool,
}

/// The facts about a registry that are known before blobs are pushed to it.
#[derive(Default)]
pub(super) struct Known<'a> {
    /// Repositories that have the blobs, because this run has pushed them.
    filled: &'a [&'a ImageReference],
    /// Blobs that the repository has because of an earlier push.
    blobs: BTreeSet<Digest>,
}

/// A repository and the tags in it.
struct Target<'a> {
    /// One of `tags`. For blobs, only the repository in this reference matters.
    image: &'a ImageReference,
    tags: Vec<&'a ImageReference>,
}

/// Refuses a registry that cannot be reached, or that does not let the user write.
pub(super) fn refuse(destinations: &[Destination], world: &World) -> Result<(), EmitError> {
    targets(destinations).iter().try_for_each(|Target { image, .. }| {
        let checked = world.registry.check_push(image);
        checked.map_err(|source| failed(image, source))
    })
}

/// Pushes everything except the tags to the registries of `destinations`. If all tags of a repository already refer to
/// this image, and the repository has the documents of the image, nothing is sent to the repository.
pub(super) fn stage<'a>(
    destinations: &[&'a Destination],
    contents: &'a Contents<'a>,
    world: &'a World,
) -> Result<StagedTags<'a>, EmitError> {
    let targets = targets(destinations.iter().copied());
    let pushes: usize = targets.iter().map(|target| target.tags.len()).sum();
    let mut staged = StagedTags { tags: Vec::new(), contents, world };
    let mut filled: Vec<&ImageReference> = Vec::new();
    for Target { image, tags } in targets {
        let unset = unset(&tags, contents.root.digest, world)?;
        if unset.is_empty() && has_documents(image, contents.documents.iter().copied(), world)? {
            filled.push(image);
            continue;
        }
        let put_all = |known: &Known<'_>| {
            fill(image, known, contents, world)?;
            // If there is only one tag, the request that sets the tag also sends the root document.
            if pushes > 1 { put_by_digest(image, contents.root, world) } else { Ok(()) }
        };
        let mut known = Known { filled: &filled, blobs: pushed::blobs_there(image, world) };
        let outcome = put_all(&known);
        if !known.blobs.is_empty() && is_refused_document(&outcome) {
            known.blobs.clear();
            put_all(&known)?;
        } else {
            outcome?;
        }
        let has_unchecked_blobs = !known.blobs.is_empty();
        filled.push(image);
        staged.tags.extend(unset.into_iter().map(|image| StagedTag { image, has_unchecked_blobs }));
    }
    Ok(staged)
}

impl StagedTags<'_> {
    /// Sets the tags, in the order of the destinations.
    pub(super) fn publish(self) -> Result<(), EmitError> {
        let Self { tags, contents, world } = self;
        for StagedTag { image, has_unchecked_blobs } in tags {
            let set = || world.registry.push_manifest(image, contents.root).map_err(|source| failed(image, source));
            let outcome = set();
            if has_unchecked_blobs && is_refused_document(&outcome) {
                fill(image, &Known::default(), contents, world)?;
                set()?;
            } else {
                outcome?;
            }
            pushed::record(image, contents, world);
        }
        Ok(())
    }
}

/// Returns whether a registry refused a document. A registry does this, for example, if it has lost a blob of an
/// earlier push.
fn is_refused_document(outcome: &Result<(), EmitError>) -> bool {
    matches!(outcome, Err(EmitError::Push { source, .. }) if source.is_refused_document())
}

/// Returns the repositories in `destinations`, in the order of the destinations.
fn targets<'a>(destinations: impl IntoIterator<Item = &'a Destination>) -> Vec<Target<'a>> {
    let mut targets: Vec<Target<'a>> = Vec::new();
    for destination in destinations {
        let Destination::Registry(image) = destination else { continue };
        match targets.iter_mut().find(|target| target.image.name() == image.name()) {
            Some(target) => target.tags.push(image),
            None => targets.push(Target { image, tags: vec![image] }),
        }
    }
    targets
}

/// Returns the tags that do not refer to `root` yet.
fn unset<'a>(
    tags: &[&'a ImageReference],
    root: BlobDigest,
    world: &World,
) -> Result<Vec<&'a ImageReference>, EmitError> {
    let mut unset = Vec::new();
    for image in tags {
        let there = world.registry.pushed_manifest(image).map_err(|source| failed(image, source))?;
        if there != Some(root) {
            unset.push(*image);
        }
    }
    Ok(unset)
}

/// Pushes the blobs and the documents below the root to the repository of `image`. If the repository already has the
/// root and these documents, it has the blobs too, because a registry accepts a manifest only after its blobs. The root
/// alone is not enough: some registries remove manifests without a tag, even if an index names them.
pub(super) fn fill(
    image: &ImageReference,
    known: &Known<'_>,
    contents: &Contents<'_>,
    world: &World,
) -> Result<(), EmitError> {
    if has_documents(image, [contents.root].into_iter().chain(contents.documents.iter().copied()), world)? {
        return Ok(());
    }
    fetch_missing(image, known, contents, world)?;
    let uploads = uploads(image, known, contents, world);
    world.registry.push_blobs(image, &uploads).map_err(|source| failed(image, source))?;
    contents.documents.iter().try_for_each(|document| put_by_digest(image, document, world))
}

/// Returns whether the repository of `image` has all `documents`.
fn has_documents<'a>(
    image: &ImageReference,
    documents: impl IntoIterator<Item = &'a Document>,
    world: &World,
) -> Result<bool, EmitError> {
    for document in documents {
        let there = world.registry.pushed_manifest(&image.with_digest(document.digest));
        if there.map_err(|source| failed(image, source))?.is_none() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn put_by_digest(image: &ImageReference, document: &Document, world: &World) -> Result<(), EmitError> {
    let pushed = world.registry.push_manifest(&image.with_digest(document.digest), document);
    pushed.map_err(|source| failed(image, source))
}

fn uploads<'a>(
    image: &ImageReference,
    known: &Known<'_>,
    contents: &'a Contents<'_>,
    world: &'a World,
) -> Vec<Upload<'a>> {
    let same_registry = |other: &&&ImageReference| other.registry == image.registry && other.name() != image.name();
    let repositories = |images: &[&ImageReference]| -> Vec<String> {
        images.iter().filter(same_registry).map(|other| other.repository.clone()).collect()
    };
    let of_run = repositories(known.filled);
    let of_origin = repositories(contents.origin.as_slice());
    let upload = |(digest, blob): (&Digest, &'a Blob<'_>)| Upload {
        title: blob.title.clone(),
        blob: BlobDescriptor { digest: BlobDigest(*digest), size_bytes: blob.size_bytes },
        open: Box::new(|| opened_apart(blob, world).map_err(io::Error::other)),
        mount_from: match &blob.bytes {
            Bytes::Fetched(_) => [of_run.as_slice(), &of_origin].concat(),
            Bytes::Memory(_) | Bytes::Segments(_) | Bytes::Kept(_) => of_run.clone(),
        },
    };
    let unknown = contents.blobs.iter().filter(|(digest, _)| !known.blobs.contains(digest));
    unknown.map(upload).collect()
}

/// Fetches, several at once, the blobs of an existing image that are not in the repository of `image`. If the existing
/// image is in the same registry, nothing is fetched, because the registry can mount its blobs.
fn fetch_missing(
    image: &ImageReference,
    known: &Known<'_>,
    contents: &Contents<'_>,
    world: &World,
) -> Result<(), EmitError> {
    if contents.origin.is_some_and(|origin| origin.registry == image.registry) {
        return Ok(());
    }
    let mut all = Vec::new();
    for (digest, blob) in &contents.blobs {
        if let Bytes::Fetched(fetch) = &blob.bytes
            && !known.blobs.contains(digest)
        {
            all.push((BlobDigest(*digest), fetch));
        }
    }
    let workers = all.len().min(FETCHES);
    let next = Mutex::new(all.into_iter());
    let work = || {
        loop {
            let Some((digest, fetch)) = next.lock().unwrap_or_else(PoisonError::into_inner).next() else {
                return Ok(());
            };
            if !world.registry.has_blob(image, &digest).map_err(|source| failed(image, source))? {
                fetch()?;
            }
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// Opens a blob. If the blob must be fetched first, another thread fetches it. The reason: this thread already waits in
/// the registry client's runtime, and a runtime cannot wait a second time in the same thread.
fn opened_apart(blob: &Blob<'_>, world: &World) -> Result<Box<dyn io::Read + Send>, EmitError> {
    match &blob.bytes {
        Bytes::Memory(_) | Bytes::Segments(_) | Bytes::Kept(_) => blob.reader(&world.store),
        Bytes::Fetched(_) => thread::scope(|scope| {
            let reader = scope.spawn(|| blob.reader(&world.store));
            reader.join().unwrap_or_else(|panic| resume_unwind(panic))
        }),
    }
}

pub(super) fn failed(image: &ImageReference, source: RegistryError) -> EmitError {
    EmitError::Push { image: image.to_string(), source: Box::new(source) }
}
