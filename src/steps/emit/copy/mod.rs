//! Copies an existing image to another place. If the destination can contain the manifests and indexes of the image,
//! they are copied byte by byte, so that all digests stay the same (docs/decisions/0129-copies-of-images.md).

mod packed;
mod referrers;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use thiserror::Error;

use self::packed::Packed;
use self::referrers::Referrers;
use crate::formats::oci::{self, Descriptor, Manifest};
use crate::model::copy::{Copied, CopyRequest};
use crate::model::destination::Destination;
use crate::model::digest::Digest;
use crate::model::hint::Hints;
use crate::model::image::Document;
use crate::model::image_name::is_image_name;
use crate::model::image_reference::ImageReference;
use crate::model::image_source::ImageSource;
use crate::model::platform::{Architecture, Platform};
use crate::model::request::PackRequest;
use crate::outside::images::{self, ImageDocument, ImagesError, OpenImage, digest_of, parse};
use crate::outside::world::World;
use crate::steps::emit::{self, Blob, Bytes, Contents, EmitError, OnePlatform};

/// The maximum number of levels of indexes that refer to other indexes.
const MAX_DEPTH: usize = 4;
/// The maximum number of manifests of an image. There is a limit because lath fetches all manifests and holds them in
/// memory.
const MAX_DOCUMENTS: usize = 1_000;

#[derive(Debug, Error)]
pub(crate) enum CopyError {
    #[error("cannot copy to `{0}`: an image is copied to a registry, a layout, an archive or a daemon")]
    Folder(String),
    #[error("cannot copy the referrers of `{from}` to `{to}`: both must be in a registry (`docker://`)")]
    Referrers { from: String, to: String },
    #[error(
        "cannot copy `{from}`: it has more than {MAX_DOCUMENTS} manifests, or indexes in more than {MAX_DEPTH} levels"
    )]
    TooMany { from: ImageSource },
    #[error("cannot compress a layer")]
    Compress(#[source] io::Error),
    #[error(transparent)]
    Images(#[from] ImagesError),
    #[error(transparent)]
    Emit(#[from] EmitError),
}

impl CopyError {
    /// Returns the destination that could not be written to. `None` if the error has another cause.
    pub(crate) fn destination(&self) -> Option<&Path> {
        match self {
            Self::Emit(error) => error.destination(),
            _ => None,
        }
    }
}

impl Hints for CopyError {
    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Images(error) => Some(error),
            Self::Emit(error) => Some(error),
            Self::Compress(error) => Some(error),
            Self::Folder(_) | Self::Referrers { .. } | Self::TooMany { .. } => None,
        }
    }
}

/// Copies the image. A destination that cannot be written to is refused before anything is read.
pub(crate) fn copy(request: &CopyRequest, world: &World) -> Result<Copied, CopyError> {
    let CopyRequest { source, destination, platform, .. } = request;
    if let Destination::Directory(path) = destination {
        return Err(CopyError::Folder(format!("dir:{}", path.display())));
    }
    let referrers_to = referrers_to(request)?;
    emit::refuse_copy(destination, world)?;
    let image = images::open(source, world.image_doors())?;
    let whole = image.root().digest;
    let chosen = chosen(&image, destination, *platform)?;
    let root = match chosen {
        // Without its layers, an image in a Docker archive or a daemon is useless.
        Some(platform) if has_one_platform(destination) => image.choose(platform)?.document,
        Some(platform) => image.find(platform)?.document,
        None => image.root().clone(),
    };
    let mut graph = Graph::of(&image, root)?;
    if let Some(layer) = graph.layer_elsewhere().filter(|_| has_one_platform(destination)) {
        return Err(ImagesError::Foreign { digest: layer.digest.clone() }.into());
    }
    // A Docker archive and a daemon contain no manifest, so lath makes one.
    let is_made = matches!(source, ImageSource::DockerArchive { .. } | ImageSource::Daemon(_));
    if is_made && !has_one_platform(destination) {
        graph = graph.compressed(&image, world)?;
    }
    let contents = graph.contents(&image, name_of(source))?;
    let mut copied = Copied {
        destination: emit::named_with(destination, graph.root.digest),
        digest: graph.root.digest,
        source_digest: (whole != graph.root.digest && !is_made).then_some(whole),
        images: graph.manifests.len(),
        blobs: contents.blobs.len(),
        bytes: contents.blobs.values().map(|blob| blob.size_bytes).sum(),
        platform: chosen,
        referrers: None,
    };
    emit::emit_contents(contents, destination, world)?;
    if let Some(to) = referrers_to {
        let subjects = graph.documents.iter().chain([&graph.root]).map(|document| document.digest).collect();
        copied.referrers = Some(Referrers { image: &image, to, world }.copy(subjects)?);
    }
    Ok(copied)
}

/// Returns the image in a registry to which the referrers are copied. `None` if the user does not want to copy
/// referrers.
fn referrers_to(request: &CopyRequest) -> Result<Option<&ImageReference>, CopyError> {
    match (&request.source, &request.destination) {
        _ if !request.referrers => Ok(None),
        (ImageSource::Registry(_), Destination::Registry(to)) => Ok(Some(to)),
        (from, to) => Err(CopyError::Referrers { from: from.to_string(), to: to.to_string() }),
    }
}

/// Returns the platform that is copied. `None` if the whole image is copied. A Docker archive and a daemon can contain
/// only one platform. They get the platform of this machine, unless the user wants another one.
fn chosen(
    image: &OpenImage<'_>,
    destination: &Destination,
    wanted: Option<Platform>,
) -> Result<Option<Platform>, CopyError> {
    let is_index = matches!(parse(image.root())?, ImageDocument::Index(_));
    let of_host = || Architecture::of_host().map(|architecture| Platform { architecture });
    Ok(wanted.or_else(|| if is_index && has_one_platform(destination) { of_host() } else { None }))
}

fn has_one_platform(destination: &Destination) -> bool {
    matches!(destination, Destination::DockerArchive { .. } | Destination::Daemon(_))
}

/// Returns the name that the copy has in an archive if the destination contains no name.
fn name_of(source: &ImageSource) -> String {
    let tagged = |name: String, tag: &Option<String>| match tag {
        Some(tag) => format!("{name}:{tag}"),
        None => name,
    };
    let stem = |path: &Path| path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("image").to_lowercase();
    let name = match source {
        ImageSource::Registry(image) => tagged(image.name(), &image.tag),
        ImageSource::Daemon(name) => name.clone(),
        ImageSource::DockerArchive { name: Some(name), .. } => name.clone(),
        ImageSource::Oci { reference: Some(name), .. } | ImageSource::OciArchive { reference: Some(name), .. }
            if name.contains(['/', ':']) =>
        {
            name.clone()
        }
        ImageSource::Oci { path, reference } | ImageSource::OciArchive { path, reference } => {
            tagged(stem(path), reference)
        }
        ImageSource::DockerArchive { path, name: None } => stem(path),
    };
    if is_image_name(&name) { name } else { "image".to_owned() }
}

/// The documents of an image, and everything to which the documents refer.
struct Graph {
    root: Document,
    /// The documents below the root. Each document comes after the documents to which it refers.
    documents: Vec<Document>,
    /// All manifests of the image, in the order of the index.
    manifests: Vec<Manifest>,
    packed: Option<Packed>,
}

impl Graph {
    fn of(image: &OpenImage<'_>, root: Document) -> Result<Self, CopyError> {
        let mut graph = Self { root: root.clone(), documents: Vec::new(), manifests: Vec::new(), packed: None };
        let mut seen = BTreeSet::from([root.digest.0]);
        graph.add_children(image, &root, MAX_DEPTH, &mut seen)?;
        Ok(graph)
    }

    /// Returns a layer that is not copied.
    fn layer_elsewhere(&self) -> Option<&Descriptor> {
        self.manifests.iter().flat_map(|manifest| &manifest.layers).find(|layer| is_elsewhere(layer))
    }

    /// Returns the image with compressed layers.
    fn compressed(self, image: &OpenImage<'_>, world: &World) -> Result<Self, CopyError> {
        let [manifest] = self.manifests.as_slice() else { return Ok(self) };
        if manifest.layers.iter().all(|layer| layer.media_type != oci::LAYER) {
            return Ok(self);
        }
        let packed = packed::pack(image, manifest, &world.store)?;
        let graph = Self::of(image, packed.root.clone())?;
        Ok(Self { packed: Some(packed), ..graph })
    }

    /// Returns the file of a layer that was compressed for this copy.
    fn packed_file(&self, layer: &Descriptor) -> Result<Option<&PathBuf>, ImagesError> {
        let digest = digest_of(layer)?.0;
        Ok(self.packed.as_ref().and_then(|packed| packed.files.get(&digest)))
    }

    /// If `document` is an index, adds the documents to which the index refers, directly or through other indexes. If
    /// `document` is a manifest, adds it to `manifests`.
    fn add_children(
        &mut self,
        image: &OpenImage<'_>,
        document: &Document,
        depth: usize,
        seen: &mut BTreeSet<Digest>,
    ) -> Result<(), CopyError> {
        let index = match parse(document)? {
            ImageDocument::Manifest(manifest) => {
                self.manifests.push(manifest);
                return Ok(());
            }
            ImageDocument::Index(index) => index,
        };
        let too_many = || CopyError::TooMany { from: image.source().clone() };
        let depth = depth.checked_sub(1).ok_or_else(too_many)?;
        for entry in &index.manifests {
            if !seen.insert(digest_of(entry)?.0) {
                continue;
            }
            if seen.len() > MAX_DOCUMENTS {
                return Err(too_many());
            }
            let child = image.document(entry)?;
            self.add_children(image, &child, depth, seen)?;
            self.documents.push(child);
        }
        Ok(())
    }

    /// Returns the image in the form that destinations need. Its blobs are fetched when they are needed.
    fn contents<'a>(&'a self, image: &'a OpenImage<'_>, name: String) -> Result<Contents<'a>, CopyError> {
        let mut blobs = BTreeMap::new();
        for manifest in &self.manifests {
            blobs.insert(digest_of(&manifest.config)?.0, blob(image, &manifest.config, "config"));
            for layer in manifest.layers.iter().filter(|layer| !is_elsewhere(layer)) {
                let title = layer.annotations.get(oci::TITLE).map_or("layer", String::as_str);
                let blob = match self.packed_file(layer)? {
                    Some(file) => of_file(file, layer.size),
                    None => blob(image, layer, title),
                };
                blobs.insert(digest_of(layer)?.0, blob);
            }
        }
        let one = self.manifests.first().map(one_platform).transpose()?;
        Ok(Contents {
            names: vec![name],
            epoch_secs: PackRequest::DEFAULT_EPOCH_SECS,
            root: &self.root,
            documents: self.documents.iter().collect(),
            blobs,
            first: one,
            origin: match image.source() {
                ImageSource::Registry(image) => Some(image),
                _ => None,
            },
        })
    }
}

fn one_platform(manifest: &Manifest) -> Result<OnePlatform, ImagesError> {
    let layers = manifest.layers.iter().map(|layer| Ok(digest_of(layer)?.0)).collect::<Result<_, ImagesError>>()?;
    Ok(OnePlatform { config: digest_of(&manifest.config)?.0, layers })
}

fn blob<'a>(image: &'a OpenImage<'_>, descriptor: &Descriptor, title: &str) -> Blob<'a> {
    let size_bytes = descriptor.size;
    let descriptor = descriptor.clone();
    let fetch = move || image.blob(&descriptor).map_err(|error| EmitError::Source(Box::new(error)));
    Blob { title: title.to_owned(), size_bytes, bytes: Bytes::Fetched(Arc::new(fetch)) }
}

fn of_file(file: &Path, size_bytes: u64) -> Blob<'_> {
    let bytes = Bytes::Fetched(Arc::new(|| Ok(file.to_owned())));
    Blob { title: "layer".to_owned(), size_bytes, bytes }
}

/// Whether the publisher of a layer does not allow copies of it (image-spec, layer.md, "Non-Distributable Layers").
/// Such a layer is not copied: its manifest contains its URL.
fn is_elsewhere(layer: &Descriptor) -> bool {
    layer.media_type.contains("nondistributable") || layer.media_type.contains(".foreign.")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_has_the_name_of_its_source() {
        let table = [
            ("docker://host:5000/a/b:1", "host:5000/a/b:1"),
            ("docker://tool", "docker.io/library/tool:latest"),
            ("oci:dir/layout", "layout"),
            ("oci:layout:1", "layout:1"),
            ("oci:layout:me/tool:1", "me/tool:1"),
            ("oci-archive:My.tar:2", "my:2"),
            ("docker-archive:d.tar", "d"),
            ("docker-archive:d.tar:me/tool", "me/tool"),
            ("docker-daemon:tool:3", "tool:3"),
            ("oci:a b", "image"),
        ];
        for (source, name) in table {
            assert_eq!(name_of(&source.parse().unwrap()), name, "{source}");
        }
    }
}
