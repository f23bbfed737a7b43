//! Image -> files: a tar that loads everywhere, an OCI layout, a root file system. Each is whole or not there.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde_json::{Value, json};
use tempfile::{NamedTempFile, TempDir};
use thiserror::Error;

use crate::formats::tarball;
use crate::model::digest::Digest;
use crate::model::image::{Document, Image};
use crate::model::request::{Destination, Request};
use crate::model::tree::Tree;
use crate::outside::daemon::DaemonError;
use crate::outside::store::{Store, StoreError};
use crate::outside::unfinished::Unfinished;
use crate::outside::world::World;

const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
const REF_NAME: &str = "org.opencontainers.image.ref.name";
const DOCKER_NAME: &str = "io.containerd.image.name";

#[derive(Debug, Error)]
pub(crate) enum EmitError {
    #[error("cannot write `{path}`")]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot write `{path}`: {problem}")]
    Refused { path: PathBuf, problem: &'static str },
    #[error("cannot load `{name}`")]
    Daemon { name: String, source: DaemonError },
    #[error("cannot write a document of the layout")]
    Document(#[from] serde_json::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What a blob is made of.
enum Blob<'a> {
    Document(&'a [u8]),
    Segments { segments: &'a [Digest], size_bytes: u64 },
}

/// Writes the image to every destination, and returns each as the user would type it, with the image's digest.
pub(crate) fn emit(image: &Image, trees: &[Tree], request: &Request, world: &World) -> Result<Vec<String>, EmitError> {
    let mut written = Vec::new();
    for destination in &request.destinations {
        match destination {
            Destination::Archive(path) => archive(path, image, true, request, &world.store)?,
            Destination::DockerArchive(path) => archive(path, image, true, request, &world.store)?,
            Destination::OciArchive(path) => archive(path, image, false, request, &world.store)?,
            Destination::Oci(path) => layout(path, image, &world.store)?,
            Destination::Directory(path) => directory(path, trees, &world.store)?,
            Destination::Daemon(name) => load(name, image, request, world)?,
        }
        written.push(format!("{destination}@{}", image.digest().0.prefixed()));
    }
    Ok(written)
}

/// Refuses every destination that cannot be written, before anything is fetched.
pub(crate) fn refuse_hopeless(request: &Request, world: &World) -> Result<(), EmitError> {
    request.destinations.iter().try_for_each(|destination| refuse(destination, request, world))
}

fn refuse(destination: &Destination, request: &Request, world: &World) -> Result<(), EmitError> {
    let refused = |path: &Path, problem| Err(EmitError::Refused { path: path.to_owned(), problem });
    match destination {
        Destination::Archive(path) | Destination::OciArchive(path) | Destination::DockerArchive(path) => {
            if path.is_dir() {
                return refused(path, "there is a folder of that name");
            }
            if !parent(path).is_dir() {
                return refused(path, "the folder that should hold it is not there");
            }
        }
        Destination::Oci(path) if path.exists() && !path.is_dir() => {
            return refused(path, "there is a file of that name");
        }
        Destination::Oci(_) => {}
        Destination::Directory(path) => {
            let is_filled = fs::read_dir(path).is_ok_and(|mut entries| entries.next().is_some());
            if is_filled || path.is_file() {
                return refused(path, "it is there already and not an empty folder");
            }
            if request.platforms.len() > 1 {
                return refused(path, "a root file system holds one platform, and several were asked for");
            }
        }
        Destination::Daemon(name) => {
            let failed = |source| EmitError::Daemon { name: name.clone(), source };
            world.daemon.ping().map_err(failed)?;
        }
    }
    Ok(())
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

/// Every blob of the image by digest, each once.
fn blobs(image: &Image) -> BTreeMap<Digest, Blob<'_>> {
    let mut blobs = BTreeMap::new();
    let add = |document: &'_ Document| document.digest.0;
    for platform in &image.platforms {
        for document in [&platform.config, &platform.manifest] {
            blobs.insert(add(document), Blob::Document(&document.bytes));
        }
        for layer in &platform.layers {
            let blob = Blob::Segments { segments: &layer.segments, size_bytes: layer.size_bytes };
            blobs.insert(layer.digest.0, blob);
        }
    }
    if let Some(index) = &image.index {
        blobs.insert(add(index), Blob::Document(&index.bytes));
    }
    blobs
}

/// The layout's `index.json`: one entry for the image, by its name.
fn layout_index(image: &Image) -> Value {
    let document = image.index.as_ref().unwrap_or(&image.platforms[0].manifest);
    let tag = image.name.rsplit('/').next().and_then(|name| name.split_once(':')).map_or("latest", |(_, tag)| tag);
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [{
            "mediaType": document.media_type,
            "digest": document.digest.0.prefixed(),
            "size": document.bytes.len(),
            "annotations": { REF_NAME: tag, DOCKER_NAME: tagged(&image.name) },
        }],
    })
}

fn tagged(name: &str) -> String {
    let last = name.rsplit('/').next().unwrap_or_default();
    if last.contains(':') { name.to_owned() } else { format!("{name}:latest") }
}

/// `manifest.json` of `docker save`, for engines that know no OCI layout. They take one platform: the first.
fn docker_manifest(image: &Image) -> Value {
    let first = &image.platforms[0];
    let blob = |digest: &Digest| format!("blobs/sha256/{digest}");
    let layers: Vec<String> = first.layers.iter().map(|layer| blob(&layer.digest.0)).collect();
    json!([{ "Config": blob(&first.config.digest.0), "RepoTags": [tagged(&image.name)], "Layers": layers }])
}

fn archive(path: &Path, image: &Image, for_docker: bool, request: &Request, store: &Store) -> Result<(), EmitError> {
    let failed = |source| EmitError::Write { path: path.to_owned(), source };
    let mut file = NamedTempFile::new_in(parent(path)).map_err(failed)?;
    let _unfinished = Unfinished::new(file.path());
    let mut writer = io::BufWriter::with_capacity(1 << 20, file.as_file_mut());
    let mut documents =
        vec![("oci-layout", LAYOUT.to_vec()), ("index.json", serde_json::to_vec(&layout_index(image))?)];
    if for_docker {
        documents.push(("manifest.json", serde_json::to_vec(&docker_manifest(image))?));
    }
    let epoch = request.epoch_secs;
    for (name, bytes) in &documents {
        tarball::write_file(&mut writer, name, bytes.len() as u64, epoch, &mut bytes.as_slice()).map_err(failed)?;
    }
    for (digest, blob) in blobs(image) {
        let name = format!("blobs/sha256/{digest}");
        match blob {
            Blob::Document(mut bytes) => tarball::write_file(&mut writer, &name, bytes.len() as u64, epoch, &mut bytes),
            Blob::Segments { segments, size_bytes } => {
                tarball::write_file(&mut writer, &name, size_bytes, epoch, &mut Joined::new(segments, store))
            }
        }
        .map_err(failed)?;
    }
    writer.write_all(&tarball::END).map_err(failed)?;
    writer.flush().map_err(failed)?;
    drop(writer);
    publish(file, path)
}

/// Loads the image into the daemon by that name.
fn load(name: &str, image: &Image, request: &Request, world: &World) -> Result<(), EmitError> {
    let home = world.store.temporary_dir()?;
    let path = home.path().join("image.tar");
    let named = Image { name: name.to_owned(), ..image.clone() };
    archive(&path, &named, true, request, &world.store)?;
    world.daemon.load(&path).map_err(|source| EmitError::Daemon { name: name.to_owned(), source })
}

/// Gives the file an ordinary mode and its name.
fn publish(file: NamedTempFile, path: &Path) -> Result<(), EmitError> {
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |source| EmitError::Write { path: path.to_owned(), source };
    file.as_file().set_permissions(std::fs::Permissions::from_mode(0o644)).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// Adds the image's blobs to the layout in `path` and names them last, so that the layout is whole at any moment.
fn layout(path: &Path, image: &Image, store: &Store) -> Result<(), EmitError> {
    let failed = |source| EmitError::Write { path: path.to_owned(), source };
    let directory = path.join("blobs/sha256");
    fs::create_dir_all(&directory).map_err(failed)?;
    for (digest, blob) in blobs(image) {
        let target = directory.join(digest.to_string());
        if target.exists() {
            continue;
        }
        let mut file = NamedTempFile::new_in(&directory).map_err(failed)?;
        let _unfinished = Unfinished::new(file.path());
        match blob {
            Blob::Document(bytes) => file.write_all(bytes).map_err(failed)?,
            Blob::Segments { segments, .. } => {
                io::copy(&mut Joined::new(segments, store), &mut file).map_err(failed)?;
            }
        }
        publish(file, &target)?;
    }
    for (name, bytes) in [("oci-layout", LAYOUT.to_vec()), ("index.json", serde_json::to_vec(&layout_index(image))?)] {
        let mut file = NamedTempFile::new_in(path).map_err(failed)?;
        file.write_all(&bytes).map_err(failed)?;
        publish(file, &path.join(name))?;
    }
    Ok(())
}

/// A root file system of its own: nothing in it is linked to the store.
fn directory(path: &Path, trees: &[Tree], store: &Store) -> Result<(), EmitError> {
    use std::os::unix::fs::PermissionsExt as _;
    let failed = |source| EmitError::Write { path: path.to_owned(), source };
    let Some(tree) = trees.first() else { return Ok(()) };
    fs::create_dir_all(parent(path)).map_err(failed)?;
    let folder = TempDir::new_in(parent(path)).map_err(failed)?;
    let _unfinished = Unfinished::new(folder.path());
    store.copy_out(tree, folder.path())?;
    fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).map_err(failed)?;
    // An empty folder of that name is replaced.
    fs::rename(folder.path(), path).map_err(failed)
}

/// Reads segments one after the other.
struct Joined<'a> {
    segments: std::slice::Iter<'a, Digest>,
    current: Option<fs::File>,
    store: &'a Store,
}

impl<'a> Joined<'a> {
    fn new(segments: &'a [Digest], store: &'a Store) -> Self {
        Self { segments: segments.iter(), current: None, store }
    }
}

impl io::Read for Joined<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(file) = &mut self.current {
                let length = file.read(buffer)?;
                if length > 0 || buffer.is_empty() {
                    return Ok(length);
                }
            }
            let Some(next) = self.segments.next() else { return Ok(0) };
            self.current = Some(fs::File::open(self.store.segment_path(next))?);
        }
    }
}
