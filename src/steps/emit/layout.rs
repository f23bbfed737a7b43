//! An OCI layout in a folder (image-spec, image-layout.md). The image is added to the other images, and replaces the
//! one with the same name.

use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde_json::{Value, json};

use super::blobs::blobs;
use super::place::Place;
use super::staged::StagedFile;
use super::{EmitError, is_filled, try_to_write};
use crate::model::image::Image;
use crate::model::request::qualified;
use crate::outside::staging;
use crate::outside::store::Store;
use crate::outside::unfinished::NewFolders;

pub(super) const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;
/// The folder of the blobs.
const BLOBS: &str = "blobs/sha256";
const REF_NAME: &str = "org.opencontainers.image.ref.name";
/// The annotation with the image's name when containerd imports it: a name with its registry, which Docker and
/// Kubernetes look for.
const IMAGE_NAME: &str = "io.containerd.image.name";

/// The names of an image: the reference in an index, and the whole name in an engine.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) reference: String,
    pub(super) image: String,
}

impl Name {
    /// `wanted` is a whole name, or a tag for the name `own`.
    pub(super) fn of(own: &str, wanted: Option<&str>) -> Self {
        let start = own.rfind('/').map_or(0, |slash| slash + 1);
        let (repository, tag) = match own[start..].find(':') {
            Some(colon) => (&own[..start + colon], &own[start + colon + 1..]),
            None => (own, "latest"),
        };
        let whole = |tag: &str| format!("{repository}:{tag}");
        match wanted {
            None => Self { reference: tag.to_owned(), image: whole(tag) },
            Some(name) if name.contains(['/', ':']) => {
                let is_tagged = name.rsplit('/').next().is_some_and(|last| last.contains(':'));
                let image = if is_tagged { name.to_owned() } else { format!("{name}:latest") };
                Self { reference: name.to_owned(), image }
            }
            Some(tag) => Self { reference: tag.to_owned(), image: whole(tag) },
        }
    }
}

/// The files of a layout that are written before the ones that it already contains are changed.
pub(super) struct StagedLayout {
    path: PathBuf,
    blobs: Vec<StagedFile>,
    folders: NewFolders,
    entry: Value,
    reference: String,
}

pub(super) fn refuse(place: &Place) -> Result<(), EmitError> {
    let path = &place.path;
    let refused = |problem| Err(EmitError::Refused { path: path.clone(), problem });
    if path.exists() && !path.is_dir() {
        return refused("there is a file of that name");
    }
    if is_filled(path) && !path.join("oci-layout").is_file() && !is_begun(path) {
        return refused("it is a folder with something else in it than an OCI layout");
    }
    staging::sweep(path);
    staging::sweep(&path.join(BLOBS));
    others(path, "")?;
    try_to_write(path)
}

/// Whether the folder is the beginning of a layout, from a running build or from one that was killed.
fn is_begun(path: &Path) -> bool {
    let is_own = |entry: fs::DirEntry| {
        let name = entry.file_name();
        name == "blobs" || name.to_string_lossy().starts_with(staging::PREFIX)
    };
    fs::read_dir(path).is_ok_and(|mut entries| entries.all(|entry| entry.is_ok_and(is_own)))
}

/// Writes the blobs of the image that the layout does not contain. This needs as much space as a pull of the image
/// would transfer.
pub(super) fn stage(
    path: &Path,
    reference: Option<&str>,
    image: &Image,
    store: &Store,
) -> Result<StagedLayout, EmitError> {
    let failed = |source| EmitError::Write { path: path.to_owned(), source };
    let name = Name::of(&image.name, reference);
    let directory = path.join(BLOBS);
    let folders = NewFolders::make(&directory).map_err(failed)?;
    let mut staged = Vec::new();
    for (digest, blob) in blobs(image) {
        let target = directory.join(digest.to_string());
        if fs::metadata(&target).is_ok_and(|there| there.len() == blob.size_bytes()) {
            continue;
        }
        let mut file = StagedFile::new(&target)?;
        io::copy(&mut blob.reader(store), file.writer()).map_err(failed)?;
        staged.push(file);
    }
    let entry = entry(image, &name);
    Ok(StagedLayout { path: path.to_owned(), blobs: staged, folders, entry, reference: name.reference })
}

impl StagedLayout {
    /// Gives the blobs their names, and the image last, so that the layout is complete at any moment. Other builds that
    /// write to it wait.
    pub(super) fn publish(self) -> Result<(), EmitError> {
        let failed = |source| EmitError::Write { path: self.path.clone(), source };
        let folder = fs::File::open(&self.path).map_err(failed)?;
        // If a file system has no locks, the last writer wins.
        let _ = folder.file().lock();
        self.blobs.into_iter().try_for_each(StagedFile::publish)?;
        self.folders.keep();
        StagedFile::of(&self.path.join("oci-layout"), LAYOUT)?.publish()?;
        let mut manifests = others(&self.path, &self.reference)?;
        manifests.push(self.entry);
        StagedFile::of(&self.path.join("index.json"), &serde_json::to_vec(&document(manifests))?)?.publish()
    }
}

/// Returns the layout's `index.json` with `manifests` and the image.
pub(super) fn index(mut manifests: Vec<Value>, image: &Image, name: &Name) -> Value {
    manifests.push(entry(image, name));
    document(manifests)
}

fn document(manifests: Vec<Value>) -> Value {
    json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": manifests,
    })
}

fn entry(image: &Image, name: &Name) -> Value {
    let document = image.index.as_ref().unwrap_or(&image.platforms[0].manifest);
    json!({
        "mediaType": document.media_type,
        "digest": document.digest.0.prefixed(),
        "size": document.bytes.len(),
        "annotations": { REF_NAME: name.reference, IMAGE_NAME: qualified(&name.image) },
    })
}

/// Returns the entries of the layout in `path` with other names than `reference`. None if there is no layout.
fn others(path: &Path, reference: &str) -> Result<Vec<Value>, EmitError> {
    let file = path.join("index.json");
    let bytes = match fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(EmitError::Write { path: path.to_owned(), source }),
    };
    #[derive(serde::Deserialize)]
    struct Index {
        #[serde(default)]
        manifests: Vec<Value>,
    }
    let index: Index =
        serde_json::from_slice(&bytes).map_err(|source| EmitError::Index { path: path.to_owned(), source })?;
    let is_other = |entry: &Value| entry["annotations"][REF_NAME] != reference;
    Ok(index.manifests.into_iter().filter(is_other).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_a_tag_of_the_image_or_a_whole_name() {
        let name = |own, wanted| {
            let name = Name::of(own, wanted);
            format!("{} {}", name.reference, name.image)
        };
        assert_eq!(name("tool", None), "latest tool:latest");
        assert_eq!(name("host:5000/tool:1", None), "1 host:5000/tool:1");
        assert_eq!(name("host:5000/tool", Some("2")), "2 host:5000/tool:2");
        assert_eq!(name("tool", Some("other:2")), "other:2 other:2");
        assert_eq!(name("tool", Some("host:5000/other")), "host:5000/other host:5000/other:latest");
    }

    #[test]
    fn an_index_that_is_none_is_refused_and_a_missing_one_is_empty() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(others(home.path(), "x").unwrap(), Vec::<Value>::new());
        std::fs::write(home.path().join("index.json"), "{").unwrap();
        assert!(matches!(others(home.path(), "x"), Err(EmitError::Index { .. })));
    }
}
