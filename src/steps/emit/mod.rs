//! Image -> destinations, one file per kind. Everything is written beside its destination first; only when all of it is
//! whole do they take their names, so that a build that fails leaves every destination as it was.

mod archive;
mod blobs;
mod daemon;
mod directory;
mod layout;
mod staged;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use thiserror::Error;

use self::archive::Form;
use self::daemon::Loading;
use self::directory::StagedDirectory;
use self::layout::StagedLayout;
use self::staged::StagedFile;
use crate::model::event::Event;
use crate::model::image::Image;
use crate::model::request::{Compression, Destination, Request};
use crate::model::tree::Tree;
use crate::outside::daemon::DaemonError;
use crate::outside::store::StoreError;
use crate::outside::world::World;

#[derive(Debug, Error)]
pub(crate) enum EmitError {
    #[error("cannot write `{path}`")]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot write `{path}`: {problem}")]
    Refused { path: PathBuf, problem: &'static str },
    #[error("cannot write `{path}`: it is named twice")]
    Twice { path: PathBuf },
    #[error("cannot add to the layout `{path}`: its index.json is none")]
    Index { path: PathBuf, source: serde_json::Error },
    #[error("cannot load `{name}`")]
    Daemon { name: String, source: DaemonError },
    #[error("cannot load `{name}`: {engine} does not read layers that are compressed with zstd")]
    Zstd { name: String, engine: String },
    #[error("cannot write a document of the layout")]
    Document(#[from] serde_json::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl EmitError {
    /// Ways out, beyond what the error says itself.
    pub(crate) fn hints(&self) -> Vec<String> {
        let hint = match self {
            Self::Daemon { source: DaemonError::Load { .. } | DaemonError::Read(_), .. } => return Vec::new(),
            Self::Daemon { .. } => {
                "start Docker, or Podman's socket (`systemctl --user start podman.socket`), or name another daemon with \
                 DOCKER_HOST; without any, write a file with `-o NAME.tar` and load it where there is one"
            }
            Self::Zstd { .. } => "leave out `--compression zstd`: every engine reads gzip",
            Self::Refused { .. } | Self::Twice { .. } => "name another place with `-o DEST`",
            _ => return Vec::new(),
        };
        vec![hint.to_owned()]
    }
}

/// A destination that is written and has not got its name yet.
enum Ready<'a> {
    File(StagedFile),
    Layout(StagedLayout),
    Directory(StagedDirectory),
    Daemon(Loading<'a>),
}

/// Writes the image to every destination, and returns each as the user would type it, with the image's digest.
pub(crate) fn emit(image: &Image, trees: &[Tree], request: &Request, world: &World) -> Result<Vec<String>, EmitError> {
    let mut ready = Vec::new();
    for destination in &request.destinations {
        ready.push(stage(destination, image, trees, request, world)?);
    }
    for destination in ready {
        match destination {
            Ready::File(file) => file.publish()?,
            Ready::Layout(layout) => layout.publish()?,
            Ready::Directory(directory) => directory.publish()?,
            Ready::Daemon(loading) => loading.load()?,
        }
    }
    let digest = image.digest().0.prefixed();
    Ok(request.destinations.iter().map(|destination| format!("{destination}@{digest}")).collect())
}

fn stage<'a>(
    destination: &Destination,
    image: &Image,
    trees: &[Tree],
    request: &Request,
    world: &'a World,
) -> Result<Ready<'a>, EmitError> {
    let epoch = request.epoch_secs;
    let file = |path, form, name: Option<&String>| {
        archive::stage(path, image, &Form { name: name.map(String::as_str), ..form }, epoch, &world.store)
    };
    Ok(match destination {
        Destination::Archive(path) => Ready::File(file(path, Form::BOTH, None)?),
        Destination::DockerArchive { path, name } => Ready::File(file(path, Form::BOTH, name.as_ref())?),
        Destination::OciArchive { path, reference } => Ready::File(file(path, Form::OCI, reference.as_ref())?),
        Destination::Oci { path, reference } => {
            Ready::Layout(layout::stage(path, reference.as_deref(), image, &world.store)?)
        }
        Destination::Directory(path) => Ready::Directory(directory::stage(path, trees, &world.store)?),
        Destination::Daemon(name) => Ready::Daemon(daemon::stage(name, image, epoch, world)?),
    })
}

/// Refuses every destination that cannot be written, before anything is fetched.
pub(crate) fn refuse_hopeless(request: &Request, world: &World) -> Result<(), EmitError> {
    let mut paths: BTreeSet<&Path> = BTreeSet::new();
    let is_zstd = matches!(request.compression, Compression::Zstd(_));
    for destination in &request.destinations {
        let path = match destination {
            Destination::Archive(path)
            | Destination::OciArchive { path, .. }
            | Destination::DockerArchive { path, .. } => {
                archive::refuse(path)?;
                Some(path)
            }
            // Two images of one build under two names are well at home in one layout.
            Destination::Oci { path, .. } => {
                layout::refuse(path)?;
                None
            }
            Destination::Directory(path) => {
                directory::refuse(path, request)?;
                Some(path)
            }
            Destination::Daemon(name) => {
                daemon::refuse(name, is_zstd, world)?;
                None
            }
        };
        if let Some(path) = path
            && !paths.insert(path)
        {
            return Err(EmitError::Twice { path: path.clone() });
        }
        if is_zstd && matches!(destination, Destination::Archive(_) | Destination::DockerArchive { .. }) {
            let text = format!("Docker before 23.0 does not load `{destination}`: its layers are compressed with zstd");
            world.listener.hear(Event::Warning(text));
        }
    }
    Ok(())
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Tries whether something can be written in `folder`, or in the first folder above it that is there.
fn try_to_write(folder: &Path) -> Result<(), EmitError> {
    let there = folder.ancestors().find(|above| above.as_os_str().is_empty() || above.exists());
    let there = there.filter(|above| !above.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let tried = tempfile::tempfile_in(there);
    tried.map(drop).map_err(|source| EmitError::Write { path: folder.to_owned(), source })
}

/// Whether `path` is a folder with something in it.
fn is_filled(path: &Path) -> bool {
    fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some())
}
