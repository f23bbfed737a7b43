//! Finds the explanation of an image that exists. Only the documents of the image are read, not its layers.

use std::path::Path;

use fs_err as fs;

use super::encoded::{MAX_BYTES, decode};
use super::error::ExplainError;
use super::kept;
use crate::formats::oci::{self, Descriptor};
use crate::model::explanation::{Answer, ExplainRequest, ExplainSource, Explanation};
use crate::model::image::BlobDigest;
use crate::model::image_source::ImageSource;
use crate::model::platform::{Architecture, Platform};
use crate::outside::images::{self, ImageDocument, ImagesError, OpenImage, digest_of, parse};
use crate::outside::similar::similar;
use crate::outside::world::World;

/// Returns the explanation of an image, or the explanation in a file.
pub(crate) fn explanation(request: &ExplainRequest, world: &World) -> Result<Explanation, ExplainError> {
    match &request.source {
        ExplainSource::File(path) => in_file(path, request.platform),
        ExplainSource::Image(source) => {
            let image = images::open(source, world.image_doors())?;
            of_image(&image, request.platform, world)?.ok_or_else(|| unknown(source.to_string()))
        }
        ExplainSource::Archive(path) => {
            let oci = ImageSource::OciArchive { path: path.clone(), reference: None };
            let image = match images::open(&oci, world.image_doors()) {
                Err(error) if error.is_not_in_archive() => {
                    images::open(&ImageSource::DockerArchive { path: path.clone(), name: None }, world.image_doors())?
                }
                image => image?,
            };
            of_image(&image, request.platform, world)?.ok_or_else(|| unknown(path.display().to_string()))
        }
    }
}

fn unknown(image: String) -> ExplainError {
    ExplainError::Unknown { image }
}

/// Answers a question about a path, a package or a module.
pub(crate) fn answers(explanation: &Explanation, name: &str, all: bool) -> Result<Vec<Answer>, ExplainError> {
    let answers = explanation.answers(name, all);
    if !answers.is_empty() {
        return Ok(answers);
    }
    let known = explanation.names_like(name);
    let similar = similar(name, known.iter().map(String::as_str)).into_iter().map(str::to_owned).collect();
    Err(ExplainError::NoSuch { name: name.to_owned(), image: explanation.name.clone(), similar })
}

fn in_file(path: &Path, platform: Option<Platform>) -> Result<Explanation, ExplainError> {
    let file = fs::File::open(path).map_err(|source| ExplainError::Read { path: path.to_owned(), source })?;
    let mut all = decode(file).map_err(|source| ExplainError::File { path: path.to_owned(), source })?;
    let there = all.iter().map(|explanation| explanation.platform.to_string()).collect();
    let wanted = match platform {
        Some(platform) => Some(platform),
        None if all.len() > 1 => of_host(),
        None => None,
    };
    all.retain(|explanation| wanted.is_none_or(|wanted| explanation.platform == wanted));
    let path = || path.to_owned();
    match (all.pop(), wanted) {
        (Some(explanation), _) => Ok(explanation),
        (None, Some(platform)) => Err(ExplainError::Platform { path: path(), platform, there }),
        (None, None) => Err(ExplainError::Ambiguous { path: path(), there }),
    }
}

fn of_host() -> Option<Platform> {
    Architecture::of_host().map(|architecture| Platform { architecture })
}

/// Returns the explanation of an image from the store. If the store has none, returns the newest explanation that is
/// attached to the image in its registry.
fn of_image(
    image: &OpenImage<'_>,
    platform: Option<Platform>,
    world: &World,
) -> Result<Option<Explanation>, ExplainError> {
    let chosen = chosen(image, platform)?;
    if let Some(explanation) = kept::read(&chosen.config, &world.store)? {
        return Ok(Some(explanation));
    }
    let referrers = image.referrers(&chosen.manifest, Some(oci::EXPLANATION))?;
    Ok(referrers.last().map(|referrer| attached(image, referrer)).transpose()?.flatten())
}

/// Reads the explanation to which a referrer of the image refers.
fn attached(image: &OpenImage<'_>, referrer: &Descriptor) -> Result<Option<Explanation>, ExplainError> {
    let ImageDocument::Manifest(manifest) = parse(&image.document(referrer)?)? else { return Ok(None) };
    let Some(layer) = manifest.layers.first().filter(|layer| layer.size <= MAX_BYTES) else { return Ok(None) };
    let path = image.blob(layer)?;
    let file = fs::File::open(&path).map_err(|source| ExplainError::Read { path: path.clone(), source })?;
    let all = decode(file).map_err(|source| ExplainError::File { path, source })?;
    Ok(all.into_iter().next())
}

/// The digests of the image of one platform.
struct Chosen {
    manifest: BlobDigest,
    config: BlobDigest,
}

/// Returns the image of a platform. If no platform is given and the image has several, the platform of this machine is
/// chosen.
fn chosen(image: &OpenImage<'_>, platform: Option<Platform>) -> Result<Chosen, ImagesError> {
    if platform.is_none() {
        let mut document = image.root().clone();
        if let ImageDocument::Index(index) = parse(&document)?
            && let [only] = index.manifests.as_slice()
        {
            document = image.document(only)?;
        }
        if let ImageDocument::Manifest(manifest) = parse(&document)? {
            return Ok(Chosen { manifest: document.digest, config: digest_of(&manifest.config)? });
        }
    }
    let platform = platform.or_else(of_host).unwrap_or(Platform { architecture: Architecture::Amd64 });
    let chosen = image.choose(platform)?;
    Ok(Chosen { manifest: chosen.document.digest, config: chosen.config_document.digest })
}
