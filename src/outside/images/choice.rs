//! Finds the image of one platform. The index may contain images of several platforms.

use std::collections::BTreeSet;

use super::document::{ImageDocument, is_image_manifest, is_index, parse};
use super::error::ImagesError;
use super::{OpenImage, document};
use crate::formats::oci::{self, Config, Descriptor, Manifest};
use crate::model::image::Document;
use crate::model::platform::{Architecture, Platform};

/// The maximum depth of indexes that contain indexes.
const MAX_DEPTH: usize = 4;

/// The image of one platform, with its documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ChosenImage {
    pub(crate) document: Document,
    pub(crate) manifest: Manifest,
    pub(crate) config_document: Document,
    pub(crate) config: Config,
}

/// A platform, with the names that the documents of images use.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named<'a> {
    os: &'a str,
    architecture: &'a str,
    variant: &'a str,
}

impl Named<'_> {
    /// Whether the image runs on every processor of the platform. All 64-bit processors of Arm are at least `v8`
    /// (image-index.md, "Platform Variants"), and all x86-64 processors are at least `v1`.
    fn fits(&self, platform: Platform) -> bool {
        let architecture = platform.architecture;
        let least = match architecture {
            Architecture::Amd64 => "v1",
            Architecture::Arm64 => "v8",
        };
        self.os == "linux" && self.architecture == architecture.name() && ["", least].contains(&self.variant)
    }

    fn text(&self) -> String {
        let (variant, slash) = (self.variant, if self.variant.is_empty() { "" } else { "/" });
        format!("{}/{}{slash}{variant}", self.os, self.architecture)
    }
}

/// The state of a search for the image of one platform.
#[derive(Default)]
struct Search {
    /// The platforms that were found and do not fit.
    there: Vec<String>,
    /// The digests of the documents that were read.
    seen: BTreeSet<String>,
}

impl OpenImage<'_> {
    /// Returns the image for `platform`. Refuses the image if lath cannot read the media type of one of its layers.
    pub(crate) fn choose(&self, platform: Platform) -> Result<ChosenImage, ImagesError> {
        let chosen = self.find(platform)?;
        chosen.manifest.layers.iter().try_for_each(refuse_layer)?;
        Ok(chosen)
    }

    /// Returns the image for `platform`. Its layers may have any media type, so they may be impossible to read.
    pub(crate) fn find(&self, platform: Platform) -> Result<ChosenImage, ImagesError> {
        let mut search = Search::default();
        let chosen = self.chosen_in(self.root(), platform, MAX_DEPTH, &mut search)?;
        chosen.ok_or(ImagesError::Platform { platform, there: search.there })
    }

    /// Searches a document and all documents that are named in it. Platforms that do not fit are added to `search`.
    fn chosen_in(
        &self,
        document: &Document,
        platform: Platform,
        depth: usize,
        search: &mut Search,
    ) -> Result<Option<ChosenImage>, ImagesError> {
        let index = match parse(document)? {
            ImageDocument::Index(index) => index,
            ImageDocument::Manifest(manifest) => {
                let config_document = self.document(&manifest.config)?;
                let config = document::parse_config(&config_document)?;
                let named = named_in(&config);
                if !named.fits(platform) {
                    search.there.push(named.text());
                    return Ok(None);
                }
                return Ok(Some(ChosenImage { document: document.clone(), manifest, config_document, config }));
            }
        };
        for entry in index.manifests.iter().filter(|entry| !is_attestation(entry)) {
            let named = entry.platform.as_ref().map(|own| Named {
                os: &own.os,
                architecture: &own.architecture,
                variant: own.other.get("variant").and_then(|value| value.as_str()).unwrap_or_default(),
            });
            if let Some(named) = named.filter(|named| !named.fits(platform)) {
                search.there.push(named.text());
                continue;
            }
            let is_nested = is_index(&entry.media_type);
            if !is_nested && !is_image_manifest(&entry.media_type) || is_nested && depth == 0 {
                continue;
            }
            // Each document is read once. Otherwise an index could name a document many times on several levels, and
            // the search would take very long.
            if !search.seen.insert(entry.digest.clone()) {
                continue;
            }
            let chosen = self.chosen_in(&self.document(entry)?, platform, depth.saturating_sub(1), search)?;
            if chosen.is_some() {
                return Ok(chosen);
            }
        }
        Ok(None)
    }
}

fn named_in(config: &Config) -> Named<'_> {
    let variant = config.other.get("variant").and_then(|value| value.as_str()).unwrap_or_default();
    Named { os: &config.os, architecture: &config.architecture, variant }
}

/// Whether an entry of an index is not an image. BuildKit adds manifests with attestations, and their entries have the
/// platform `unknown/unknown`.
pub(super) fn is_attestation(entry: &Descriptor) -> bool {
    entry.platform.as_ref().is_some_and(|platform| platform.os == "unknown" && platform.architecture == "unknown")
}

fn refuse_layer(layer: &Descriptor) -> Result<(), ImagesError> {
    let digest = layer.digest.clone();
    if layer.other.get("urls").is_some_and(|urls| urls.as_array().is_none_or(|urls| !urls.is_empty()))
        || layer.media_type.contains("nondistributable")
        || layer.media_type.contains(".foreign.")
    {
        return Err(ImagesError::Foreign { digest });
    }
    let is_known = matches!(
        layer.media_type.as_str(),
        oci::LAYER
            | oci::LAYER_GZIP
            | oci::LAYER_ZSTD
            | oci::DOCKER_LAYER
            | oci::DOCKER_LAYER_GZIP
            | oci::DOCKER_LAYER_ZSTD
    );
    if is_known {
        return Ok(());
    }
    Err(ImagesError::MediaType { digest, role: "layer", media_type: layer.media_type.clone() })
}
