//! Image -> destinations. There is one module for each kind of destination. First, everything is written to temporary
//! files beside its destination. When all of them are complete, the files get their names. So a build that fails
//! earlier leaves every destination unchanged.

mod already;
mod archive;
mod attach;
mod contents;
pub(crate) mod copy;
mod daemon;
mod directory;
mod document;
mod layout;
mod place;
mod pushed;
mod registry;
mod staged;

use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use thiserror::Error;

use self::archive::Form;
pub(crate) use self::attach::Attachment;
pub(crate) use self::contents::{Base, Blob, Bytes, Contents, OnePlatform};
use self::daemon::Loading;
use self::directory::StagedDirectory;
use self::document::StagedDocument;
use self::layout::StagedLayout;
use self::place::Place;
use self::registry::StagedTags;
use self::staged::StagedFile;
use crate::model::destination::Destination;
use crate::model::event::Event;
use crate::model::hint::{Hint, Hints, RequestHint};
use crate::model::image::{BlobDigest, Image};
use crate::model::request::{Compression, OutputRequest};
use crate::model::tree::Tree;
use crate::outside::daemon::DaemonError;
use crate::outside::images::ImagesError;
use crate::outside::registry::RegistryError;
use crate::outside::stage::StageError;
use crate::outside::store::{Store, StoreError};
use crate::outside::world::World;

#[derive(Debug, Error)]
pub(crate) enum EmitError {
    #[error("cannot write `{path}`")]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read the layout `{path}`")]
    Layout { path: PathBuf, source: io::Error },
    #[error("cannot write `{path}`: {problem}")]
    Refused { path: PathBuf, problem: &'static str },
    #[error("cannot write `{path}`: it is given twice")]
    Twice { path: PathBuf },
    #[error("cannot write `{path}` and `{other}`: they are the same file")]
    Same { path: PathBuf, other: PathBuf },
    #[error("cannot write `{path}`: it is in `{folder}`, which is another destination")]
    Inside { path: PathBuf, folder: PathBuf },
    #[error("cannot fill `{path}`")]
    Fill { path: PathBuf, source: StageError },
    #[error("cannot add to the layout `{path}`: its `index.json` is not the index of a layout")]
    Index { path: PathBuf, source: serde_json::Error },
    #[error("cannot load `{name}`")]
    Daemon { name: String, source: DaemonError },
    #[error("cannot load `{name}`: {engine} does not read layers that are compressed with zstd")]
    Zstd { name: String, engine: String },
    #[error("cannot push `{image}`")]
    Push { image: String, source: Box<RegistryError> },
    #[error(transparent)]
    Source(Box<ImagesError>),
    #[error("cannot read a blob of the image")]
    Blob(#[source] io::Error),
    #[error("cannot write a document of the layout")]
    Document(#[from] serde_json::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EmitError {
    /// Returns the destination that could not be written to. `None` if this was not the cause of the error.
    pub(crate) fn destination(&self) -> Option<&Path> {
        match self {
            Self::Write { path, .. } | Self::Fill { path, .. } => Some(path),
            _ => None,
        }
    }
}

impl Hints for EmitError {
    fn own_hints(&self) -> Vec<Hint> {
        let hint = match self {
            Self::Zstd { .. } => RequestHint::Gzip,
            Self::Refused { .. } | Self::Twice { .. } | Self::Same { .. } | Self::Inside { .. } => {
                RequestHint::OtherDestination
            }
            _ => return Vec::new(),
        };
        vec![Hint::Request(hint)]
    }

    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Fill { source, .. } => Some(source),
            Self::Daemon { source, .. } => Some(source),
            Self::Push { source, .. } => Some(&**source),
            Self::Source(error) => Some(&**error),
            Self::Blob(error) => Some(error),
            Self::Store(error) => Some(error),
            _ => None,
        }
    }
}

/// A destination whose contents are complete but that does not have its name yet.
enum Ready<'a> {
    File(StagedFile),
    Layout(StagedLayout),
    Directory(StagedDirectory),
    Daemon(Loading<'a>),
    Tags(StagedTags<'a>),
    Document(StagedDocument),
}

/// Returns each destination as the user would type it, with the image's digest. An image in a registry has the form
/// that engines pull: `HOST/NAME:TAG@sha256:...`.
pub(crate) fn named(image: &Image, destinations: &[Destination]) -> Vec<String> {
    destinations.iter().map(|destination| named_with(destination, image.digest())).collect()
}

/// Returns the destination with the digest of the image.
pub(crate) fn named_with(destination: &Destination, digest: BlobDigest) -> String {
    let digest = digest.0.prefixed();
    match destination {
        Destination::Registry(image) => format!("{image}@{digest}"),
        other => format!("{other}@{digest}"),
    }
}

/// The documents about an image that are written in addition to the image.
pub(crate) struct Extras<'a> {
    /// The text of the receipt. The request contains the path to which it is written.
    pub(crate) metadata: &'a [u8],
    /// The explanations, one for each platform. Their contents are in the store.
    pub(crate) explanations: &'a [Attachment<'a>],
}

/// Writes the image to every destination, and `extras` to the places that the request names. If a destination is a
/// plain folder, `tree` is written there.
pub(crate) fn emit(
    image: &Image,
    tree: &Tree,
    extras: &Extras<'_>,
    request: &OutputRequest,
    world: &World,
) -> Result<(), EmitError> {
    let mut documents = Vec::new();
    if let Some(path) = &request.metadata_file {
        documents.push((path.as_path(), extras.metadata.to_vec()));
    }
    if let Some(path) = &request.explanation {
        documents.push((path.as_path(), joined(extras.explanations, &world.store)?));
    }
    let base = image.base.as_ref().map(|source| Base { source, world });
    let source = Source { contents: Contents::of(image, base), tree: Some(tree) };
    write(&source, &request.destinations, documents, world)?;
    match request.attach_explanation {
        true => attach::attach(extras.explanations, &request.destinations, world),
        false => Ok(()),
    }
}

/// Returns the bytes of all explanations, one after the other.
fn joined(explanations: &[Attachment<'_>], store: &Store) -> Result<Vec<u8>, EmitError> {
    let read = |one: &Attachment<'_>| fs::read(store.blob_path(&one.explanation.digest)).map_err(EmitError::Blob);
    Ok(explanations.iter().map(read).collect::<Result<Vec<_>, _>>()?.concat())
}

/// Writes an image that exists to a destination.
pub(crate) fn emit_contents(contents: Contents<'_>, destination: &Destination, world: &World) -> Result<(), EmitError> {
    write(&Source { contents, tree: None }, std::slice::from_ref(destination), Vec::new(), world)
}

/// An image, and its tree. The tree of a copied image is not known.
struct Source<'a> {
    contents: Contents<'a>,
    tree: Option<&'a Tree>,
}

/// Writes everything to temporary files beside its destination. Then gives everything its name: first the files and
/// folders, together with the images that are loaded into a daemon, then the tags of registries, and then the
/// documents.
fn write(
    source: &Source<'_>,
    destinations: &[Destination],
    documents: Vec<(&Path, Vec<u8>)>,
    world: &World,
) -> Result<(), EmitError> {
    let mut ready = Vec::new();
    let contents = &source.contents;
    let is_new = |destination: &&Destination| !already::is_there(destination, contents, &world.store);
    let new: Vec<&Destination> = destinations.iter().filter(is_new).collect();
    let staged = stage_all(&new, source, world, &mut ready).and_then(|()| {
        for (path, bytes) in documents {
            ready.push(Ready::Document(document::stage(&Place::of(path)?, bytes)?));
        }
        Ok(())
    });
    if let Err(error) = staged {
        // Destinations are dropped in the reverse order, because a destination may be in a folder that was created for
        // an earlier destination. This folder must be removed last.
        while ready.pop().is_some() {}
        return Err(error);
    }
    ready.into_iter().try_for_each(|ready| match ready {
        Ready::File(file) => file.publish(),
        Ready::Layout(layout) => layout.publish(),
        Ready::Directory(directory) => directory.publish(),
        Ready::Daemon(loading) => loading.load(),
        Ready::Tags(tags) => tags.publish(),
        Ready::Document(document) => document.publish(),
    })?;
    new.into_iter().try_for_each(|destination| already::record(destination, contents, &world.store))
}

/// Stages all destinations. Registries are the last ones, because a push cannot be undone.
fn stage_all<'a>(
    destinations: &[&'a Destination],
    source: &'a Source<'a>,
    world: &'a World,
    ready: &mut Vec<Ready<'a>>,
) -> Result<(), EmitError> {
    for destination in destinations {
        ready.extend(stage(destination, source, world)?);
    }
    ready.push(Ready::Tags(registry::stage(destinations, &source.contents, world)?));
    Ok(())
}

/// Stages a destination. `None` for a registry, because all registries are staged together.
fn stage<'a>(destination: &Destination, source: &Source<'_>, world: &'a World) -> Result<Option<Ready<'a>>, EmitError> {
    let contents = &source.contents;
    let file = |path: &Path, form, name: Option<&String>| {
        let form = Form { name: name.map(String::as_str), ..form };
        archive::stage(&Place::of(path)?.path, contents, &form, &world.store).map(Ready::File)
    };
    let ready = match destination {
        Destination::Archive(path) => file(path, Form::BOTH, None)?,
        Destination::DockerArchive { path, name } => file(path, Form::BOTH, name.as_ref())?,
        Destination::OciArchive { path, reference } => file(path, Form::OCI, reference.as_ref())?,
        Destination::Oci { path, reference } => {
            let place = Place::of(path)?;
            Ready::Layout(layout::stage(&place.path, reference.as_deref(), contents, &world.store)?)
        }
        Destination::Directory(path) => {
            let none = Tree::default();
            let tree = source.tree.unwrap_or(&none);
            Ready::Directory(directory::stage(&Place::of(path)?.path, tree, &world.store)?)
        }
        Destination::Daemon(name) => Ready::Daemon(daemon::stage(name, contents, world)?),
        Destination::Registry(_) => return Ok(None),
    };
    Ok(Some(ready))
}

/// Refuses every destination that cannot be written, or that cannot contain an image of this number of platforms. This
/// function is called before anything is downloaded.
pub(crate) fn refuse_hopeless(
    request: &OutputRequest,
    platforms: usize,
    compression: Compression,
    world: &World,
) -> Result<(), EmitError> {
    let mut claims = Claims::default();
    let is_zstd = compression.is_zstd();
    for destination in &request.destinations {
        match destination {
            Destination::Archive(path)
            | Destination::OciArchive { path, .. }
            | Destination::DockerArchive { path, .. } => {
                let place = Place::of(path)?;
                archive::refuse(&place)?;
                claims.add(place, Shape::File)?;
            }
            Destination::Oci { path, .. } => {
                let place = Place::of(path)?;
                layout::refuse(&place)?;
                claims.add(place, Shape::Layout)?;
            }
            Destination::Directory(path) => {
                let place = Place::of(path)?;
                directory::refuse(&place, platforms)?;
                claims.add(place, Shape::Folder)?;
            }
            Destination::Daemon(name) => daemon::refuse(name, is_zstd, world)?,
            Destination::Registry(_) => {}
        }
        if is_zstd && matches!(destination, Destination::Archive(_) | Destination::DockerArchive { .. }) {
            let text = format!("Docker before 23.0 does not load `{destination}`: its layers are compressed with zstd");
            world.listener.hear(Event::Warning(text));
        }
    }
    for path in [&request.metadata_file, &request.explanation].into_iter().flatten() {
        let place = Place::of(path)?;
        claims.add(place.clone(), Shape::File)?;
        document::refuse(&place)?;
    }
    registry::refuse(&request.destinations, world)?;
    for Place { typed, path, .. } in claims.0.iter().map(|(place, _)| place).filter(|place| place.is_link()) {
        let text = format!("`{}` is a link: `{}` is written", typed.display(), path.display());
        world.listener.hear(Event::Note(text));
    }
    Ok(())
}

/// Refuses the destination of a copy if it cannot be written. This function is called before anything is read.
pub(crate) fn refuse_copy(destination: &Destination, world: &World) -> Result<(), EmitError> {
    let request = OutputRequest { destinations: vec![destination.clone()], ..OutputRequest::default() };
    refuse_hopeless(&request, 1, Compression::Gzip(6), world)
}

/// Refuses a path to which no document can be written. This function is called before anything is downloaded.
pub(crate) fn refuse_document(path: &Path) -> Result<(), EmitError> {
    document::refuse(&Place::of(path)?)
}

/// Writes a document completely, or not at all.
pub(crate) fn write_document(path: &Path, text: &str) -> Result<(), EmitError> {
    document::stage(&Place::of(path)?, text.as_bytes().to_vec())?.publish()
}

/// The places that a build writes to.
#[derive(Default)]
struct Claims(Vec<(Place, Shape)>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    File,
    Folder,
    Layout,
}

impl Claims {
    /// Adds a place. Fails if another destination uses the same place, or a place inside it or around it.
    fn add(&mut self, place: Place, shape: Shape) -> Result<(), EmitError> {
        for (other, other_shape) in &self.0 {
            // Two images with different names may be in the same layout.
            let is_shared = [shape, *other_shape] == [Shape::Layout; 2];
            if place.is_same(other) && !is_shared {
                return Err(match place.typed == other.typed {
                    true => EmitError::Twice { path: place.typed },
                    false => EmitError::Same { path: other.typed.clone(), other: place.typed },
                });
            }
            for (inner, folder, shape) in [(&place, other, *other_shape), (other, &place, shape)] {
                if shape != Shape::File && inner.is_in(folder) {
                    return Err(EmitError::Inside { path: inner.typed.clone(), folder: folder.typed.clone() });
                }
            }
        }
        self.0.push((place, shape));
        Ok(())
    }
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Tries to write a file in `folder`. If `folder` does not exist, uses the nearest folder above it that exists.
fn try_to_write(folder: &Path) -> Result<(), EmitError> {
    let there = folder.ancestors().find(|above| above.as_os_str().is_empty() || above.exists());
    let there = there.filter(|above| !above.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let tried = tempfile::tempfile_in(there);
    tried.map(drop).map_err(|source| EmitError::Write { path: folder.to_owned(), source })
}

/// Whether `path` is a folder that is not empty.
fn is_filled(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some())
}
