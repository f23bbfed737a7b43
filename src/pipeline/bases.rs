//! Reads the base image. This is done first, because all other steps depend on its Python and its release.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::BuildError;
use crate::model::base_image::BaseImage;
use crate::model::digest::Digest;
use crate::model::event::Event;
use crate::model::image::BlobDigest;
use crate::model::image_source::ImageSource;
use crate::model::lock::LockedBase;
use crate::model::platform::{Architecture, Platform};
use crate::model::request::{BaseImageRequest, Bytecode, Request};
use crate::model::tree::Tree;
use crate::outside::images::{self, OpenImage};
use crate::outside::pypi::pythons;
use crate::outside::world::World;
use crate::steps::base::base;
use crate::steps::lock::LockError;
use crate::steps::on_base::on_base;

/// Returns the request with the images of its base, and with the Python, the release and the user of these images. If
/// there is a lock, the images are opened by the digests in the lock.
pub(super) fn with_base<'a>(request: &'a Request, world: &World) -> Result<Cow<'a, Request>, BuildError> {
    let Some(wanted) = request.base_image.as_ref().filter(|wanted| wanted.images.is_empty()) else {
        return Ok(Cow::Borrowed(request));
    };
    world.listener.hear(Event::Step(format!("reading the base image `{}`", wanted.source)));
    let places = request.platforms.as_ref().try_map(|platform| place(request, wanted, *platform))?;
    // Each tag is read only once. If it was read again for the next platform, it could refer to another image.
    let sources: BTreeSet<&ImageSource> = places.iter().collect();
    let mut opened = BTreeMap::new();
    for source in sources {
        opened.insert(source, images::open(source, world.image_doors())?);
    }
    // First, the image of every platform is chosen. So a missing platform is reported before any layers are fetched.
    let mut chosen = Vec::new();
    for (platform, source) in request.platforms.iter().zip(&places) {
        let image = &opened[source];
        chosen.push((*platform, image, image.choose(*platform)?));
    }
    let mut bases = Vec::new();
    for (platform, image, chosen) in chosen {
        let found = base(image, &chosen, platform, &world.store)?;
        refuse_other(request, platform, &found.digest.0.prefixed())?;
        bases.push(found);
    }
    let allows = |specifiers: &str, python| pythons::allows(specifiers, python, None).unwrap_or(true);
    let wanted = BaseImageRequest { root: root(request, &opened), ..wanted.clone() };
    let request = Request { base_image: Some(wanted), ..request.clone() };
    Ok(Cow::Owned(on_base(&request, bases, allows)?))
}

/// Returns the digest to which the name of the base image refers. If there is a lock, the digest comes from the lock,
/// because the images were opened by the digests of their platforms and not by the name.
fn root(request: &Request, opened: &BTreeMap<&ImageSource, OpenImage<'_>>) -> Option<BlobDigest> {
    let locked: Option<BTreeSet<Digest>> =
        request.platforms.iter().map(|platform| locked(request, *platform)?.index).collect();
    match locked.map(|indexes| indexes.into_iter().collect::<Vec<_>>()).as_deref() {
        Some([index]) => return Some(BlobDigest(*index)),
        Some(_) => return None,
        None => {}
    }
    let mut images = opened.values();
    images.next().filter(|_| images.next().is_none()).map(|image| image.root().digest)
}

/// Returns the place from which a platform's image is opened. If a lock contains the digest of the image, the digest is
/// used instead of the tag.
fn place(request: &Request, wanted: &BaseImageRequest, platform: Platform) -> Result<ImageSource, BuildError> {
    let locked = locked(request, platform);
    Ok(match (&wanted.source, locked) {
        (ImageSource::Registry(image), Some(locked)) => {
            ImageSource::Registry(image.with_digest(BlobDigest(locked.digest)))
        }
        (source, _) => source.clone(),
    })
}

fn locked(request: &Request, platform: Platform) -> Option<&LockedBase> {
    request.lock.as_ref()?.file.of_platform(platform)?.base.as_ref()
}

/// Refuses an image whose digest is not the digest in the lock.
fn refuse_other(request: &Request, platform: Platform, found: &str) -> Result<(), BuildError> {
    let Some(lock) = &request.lock else { return Ok(()) };
    let locked = locked(request, platform).map(|base| base.digest.prefixed());
    match locked.filter(|locked| locked != found) {
        Some(locked) => {
            Err(LockError::OtherBase { path: lock.file.path.clone(), locked, found: found.to_owned() }.into())
        }
        None => Ok(()),
    }
}

/// Returns the entry for the base image of `platform` that is written into a lock.
pub(super) fn to_lock(request: &Request, platform: Platform) -> Option<LockedBase> {
    let base = request.base_of(platform)?;
    let digest = base.image.digest.0;
    let index = base.request.root.map(|root| root.0).filter(|root| *root != digest);
    Some(LockedBase { source: base.request.source.to_string(), digest, index })
}

/// The tree of the base image for this machine. Its Python compiles the bytecode for a platform whose programs this
/// machine cannot run.
pub(super) enum OfBase {
    /// No tree of a base image is needed. The tree of a release may be needed instead.
    None,
    Tree(Tree),
    /// The base has no image for this machine with the same Python, so nothing is compiled.
    Unusable,
}

/// Returns the tree of the base image for this machine, which is needed to compile bytecode for another platform.
pub(super) fn workshop(platform: Platform, request: &Request, world: &World) -> Result<OfBase, BuildError> {
    let host = Architecture::of_host().map(|architecture| Platform { architecture });
    let (Some(host), Some(own)) = (host, request.base_of(platform)) else { return Ok(OfBase::None) };
    if host == platform || request.bytecode == Bytecode::None || request.python.home.is_of_release() {
        return Ok(OfBase::None);
    }
    let found = match request.base_of(host) {
        Some(of_host) => Some(of_host.image.clone()),
        None => {
            let image = images::open(&place(request, own.request, host)?, world.image_doors())?;
            match image.choose(host) {
                Ok(chosen) => Some(base(&image, &chosen, host, &world.store)?),
                Err(_) => None,
            }
        }
    };
    let program = request.python.python().program();
    let version = |image: &BaseImage| {
        let mut interpreters = image.found.interpreters.iter();
        interpreters.find(|one| one.start().as_str() == program).map(|one| one.full_version.clone())
    };
    match found.filter(|found| version(found).is_some() && version(found) == version(own.image)) {
        Some(found) => Ok(OfBase::Tree(found.tree)),
        None => {
            let text =
                format!("no bytecode is in the image for {platform}: its base has not the same Python for {host}");
            world.listener.hear(Event::Warning(text));
            Ok(OfBase::Unusable)
        }
    }
}
