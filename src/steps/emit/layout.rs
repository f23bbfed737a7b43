//! An OCI layout in a folder (image-spec, image-layout.md). The image is added to the images in the layout. It replaces
//! an image with the same name.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;

use super::contents::Contents;
use super::place::Place;
use super::staged::StagedFile;
use super::{EmitError, is_filled, try_to_write};
use crate::formats::oci::{self, Descriptor, ImageLayout, Index};
use crate::model::image_name::qualified;
use crate::outside::staging;
use crate::outside::store::Store;
use crate::outside::unfinished::NewFolders;

/// The directory of the blobs.
const BLOBS: &str = "blobs/sha256";

/// The names of an image: the reference in an index, and the whole name in an engine.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) reference: String,
    pub(super) image: String,
}

impl Name {
    /// Returns the names of an image whose own name is `own`. If `wanted` is given and contains `/` or `:`, it replaces
    /// the whole name. Otherwise, it replaces only the tag.
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

    /// Returns the names that an image gets in a layout or an archive. `own` are the image's own names. If the user
    /// wants a certain name, the image gets only this name. A layout has only one entry for each reference. Usually,
    /// the reference of a name is its tag. If two names have the same tag, the reference of the second name is the
    /// whole name.
    pub(super) fn all(own: &[String], wanted: Option<&str>) -> Vec<Self> {
        let own = if wanted.is_some() { &own[..own.len().min(1)] } else { own };
        let mut names: Vec<Self> = Vec::new();
        for own in own {
            let mut name = Self::of(own, wanted);
            if names.iter().any(|other| other.reference == name.reference) {
                name.reference.clone_from(&name.image);
            }
            names.push(name);
        }
        names
    }
}

/// The new files of a layout. They are written before any existing file of the layout is changed.
pub(super) struct StagedLayout {
    path: PathBuf,
    blobs: Vec<StagedFile>,
    folders: NewFolders,
    /// The entries of the image in the index, each with its reference.
    entries: BTreeMap<String, Entry>,
}

/// A new entry of an index.
struct Entry {
    descriptor: Descriptor,
    /// The whole name of the image. The entry gets it as its reference if another image has the usual reference. `None`
    /// if the user has given the reference, which then replaces any other image with this reference.
    instead: Option<String>,
}

pub(super) fn refuse(place: &Place) -> Result<(), EmitError> {
    let path = &place.path;
    let refused = |problem| Err(EmitError::Refused { path: path.clone(), problem });
    if path.exists() && !path.is_dir() {
        return refused("there is a file of that name");
    }
    if is_filled(path) && !path.join("oci-layout").is_file() && !is_begun(path) {
        return refused("it is a folder that contains other files than an OCI layout");
    }
    staging::sweep(path);
    staging::sweep(&path.join(BLOBS));
    read_index(path)?;
    try_to_write(path)
}

/// Whether the folder is an unfinished layout. Either a build is still writing it, or a build was killed while it wrote
/// it.
fn is_begun(path: &Path) -> bool {
    let is_own = |entry: fs::DirEntry| {
        let name = entry.file_name();
        name == "blobs" || name.to_string_lossy().starts_with(staging::PREFIX)
    };
    fs::read_dir(path).is_ok_and(|mut entries| entries.all(|entry| entry.is_ok_and(is_own)))
}

/// Writes to temporary files those blobs that are missing in the layout. The temporary files need at most as much space
/// as the compressed image.
pub(super) fn stage(
    path: &Path,
    reference: Option<&str>,
    contents: &Contents<'_>,
    store: &Store,
) -> Result<StagedLayout, EmitError> {
    let failed = |source| EmitError::Write { path: path.to_owned(), source };
    let directory = path.join(BLOBS);
    let folders = NewFolders::make(&directory).map_err(failed)?;
    let mut staged = Vec::new();
    for (digest, blob) in contents.files() {
        let target = directory.join(digest.to_string());
        if fs::metadata(&target).is_ok_and(|there| there.len() == blob.size_bytes) {
            continue;
        }
        let mut file = StagedFile::new(&target)?;
        io::copy(&mut blob.reader(store)?, file.writer()).map_err(failed)?;
        staged.push(file);
    }
    let names = Name::all(&contents.names, reference).into_iter();
    let entries = names.map(|name| {
        let descriptor = entry(contents, &name);
        (name.reference, Entry { descriptor, instead: reference.is_none().then_some(name.image) })
    });
    let entries = entries.collect();
    Ok(StagedLayout { path: path.to_owned(), blobs: staged, folders, entries })
}

impl StagedLayout {
    /// Gives the blobs their names, and then adds the image to the index. So the index never refers to a missing blob.
    /// If other builds write to this layout at the same time, they wait until this build has finished.
    pub(super) fn publish(self) -> Result<(), EmitError> {
        let failed = |source| EmitError::Write { path: self.path.clone(), source };
        let folder = fs::File::open(&self.path).map_err(failed)?;
        // An error is ignored, because some file systems have no locks. On them, the last writer wins.
        let _ = folder.file().lock();
        self.blobs.into_iter().try_for_each(StagedFile::publish)?;
        self.folders.keep();
        let layout = serde_json::to_vec(&ImageLayout::default())?;
        StagedFile::of(&self.path.join("oci-layout"), &layout)?.publish()?;
        let mut index = read_index(&self.path)?;
        self.entries.into_iter().for_each(|(reference, entry)| put(&mut index, entry, &reference));
        StagedFile::of(&self.path.join("index.json"), &serde_json::to_vec(&index)?)?.publish()
    }
}

/// Returns the `index.json` of a new layout with the image.
pub(super) fn index(contents: &Contents<'_>, names: &[Name]) -> Index {
    Index::new(names.iter().map(|name| entry(contents, name)).collect(), BTreeMap::new())
}

fn entry(contents: &Contents<'_>, name: &Name) -> Descriptor {
    let annotations = BTreeMap::from([
        (oci::REF_NAME.to_owned(), name.reference.clone()),
        (oci::IMAGE_NAME.to_owned(), qualified(&name.image)),
    ]);
    Descriptor { annotations, ..Descriptor::of(contents.root) }
}

/// Adds an entry to the index of a layout. The entry replaces the entries with the same reference. But if another image
/// has this reference, and the user has not given the reference, the reference of the new entry is the whole name of
/// its image. All other entries stay as they are.
fn put(index: &mut Index, entry: Entry, reference: &str) {
    let Entry { mut descriptor, instead } = entry;
    let image = descriptor.annotations.get(oci::IMAGE_NAME).cloned();
    let has = |other: &Descriptor, reference: &str| {
        other.annotations.get(oci::REF_NAME).is_some_and(|own| own.as_str() == reference)
    };
    let mut reference = reference;
    if let Some(whole) = &instead {
        // The image itself may have got its whole name as its reference earlier.
        index.manifests.retain(|other| !has(other, whole) || other.annotations.get(oci::IMAGE_NAME) != image.as_ref());
        // Entries that other programs have written may lack the name of the image.
        let is_other = |other: &Descriptor| {
            other.annotations.get(oci::IMAGE_NAME).is_some_and(|name| Some(name) != image.as_ref())
        };
        if index.manifests.iter().any(|other| has(other, reference) && is_other(other)) {
            descriptor.annotations.insert(oci::REF_NAME.to_owned(), whole.clone());
            reference = whole;
        }
    }
    index.manifests.retain(|other| !has(other, reference));
    index.manifests.push(descriptor);
}

/// Reads the index of the layout in `path`. If there is no layout yet, the index is empty.
fn read_index(path: &Path) -> Result<Index, EmitError> {
    let file = path.join("index.json");
    let bytes = match fs::read(&file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Index::new(Vec::new(), BTreeMap::new())),
        Err(source) => return Err(EmitError::Layout { path: path.to_owned(), source }),
    };
    serde_json::from_slice(&bytes).map_err(|source| EmitError::Index { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::image::Image;

    /// An entry of another program, with fields that lath does not know.
    const OTHER: &str = r#"{
        "mediaType": "application/vnd.oci.image.manifest.v1+json", "size": 7, "digest": "sha512:ab",
        "artifactType": "application/x", "urls": ["https://x"], "data": "e30=", "x-own": {"z": 1, "a": [null]},
        "platform": {"os": "windows", "os.version": "10.0", "architecture": "amd64", "variant": "v8"},
        "annotations": {"org.opencontainers.image.ref.name": "other", "b": "2", "a": "1"}
    }"#;

    #[test]
    fn the_documents_of_a_layout_have_these_bytes() {
        let (image, names) = (Image::example(), [Name::of("team/tool:1", None)]);
        assert_eq!(serde_json::to_string(&ImageLayout::default()).unwrap(), r#"{"imageLayoutVersion":"1.0.0"}"#);
        assert_eq!(
            serde_json::to_string(&index(&Contents::of(&image, None), &names)).unwrap(),
            concat!(
                r#"{"manifests":[{"annotations":{"io.containerd.image.name":"docker.io/team/tool:1","#,
                r#""org.opencontainers.image.ref.name":"1"},"#,
                r#""digest":"sha256:05b3abf2579a5eb66403cd78be557fd860633a1fe2103c7642030defe32c657f","#,
                r#""mediaType":"application/vnd.oci.image.manifest.v1+json","size":8}],"#,
                r#""mediaType":"application/vnd.oci.image.index.v1+json","schemaVersion":2}"#,
            )
        );
    }

    #[test]
    fn an_image_is_added_to_the_index_of_others_without_a_change_to_their_entries() {
        let text = |entry: &str| {
            format!(r#"{{"schemaVersion":2,"manifests":[OTHER,{entry}],"annotations":{{"own":"kept"}},"x-own":1}}"#)
                .replace("OTHER", OTHER)
        };
        let home = tempfile::tempdir().unwrap();
        let old = r#"{"mediaType":"m","digest":"sha256:00","size":1,"annotations":{"org.opencontainers.image.ref.name":"1"}}"#;
        std::fs::write(home.path().join("index.json"), text(old)).unwrap();
        let (image, name) = (Image::example(), Name::of("team/tool:1", None));
        let mut index = read_index(home.path()).unwrap();
        let contents = Contents::of(&image, None);
        let given = Entry { descriptor: entry(&contents, &name), instead: Some(name.image.clone()) };
        put(&mut index, given, &name.reference);
        let new = serde_json::to_string(&entry(&contents, &name)).unwrap();
        let mut expected: serde_json::Value = text(&new).parse().unwrap();
        expected["mediaType"] = oci::INDEX.into();
        assert_eq!(serde_json::to_value(&index).unwrap(), expected);
    }

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
    fn two_names_with_the_same_tag_have_different_references() {
        let names = |own: &[&str], wanted| {
            let own: Vec<String> = own.iter().copied().map(str::to_owned).collect();
            let names = Name::all(&own, wanted).into_iter();
            names.map(|name| format!("{} {}", name.reference, name.image)).collect::<Vec<_>>()
        };
        assert_eq!(names(&["a:1", "a:2"], None), ["1 a:1", "2 a:2"]);
        assert_eq!(names(&["a:1", "h.io/b:1"], None), ["1 a:1", "h.io/b:1 h.io/b:1"]);
        assert_eq!(names(&["a:1", "a:2"], Some("3")), ["3 a:3"]);
    }

    #[test]
    fn an_index_that_is_none_is_refused_and_a_missing_one_is_empty() {
        let home = tempfile::tempdir().unwrap();
        assert_eq!(read_index(home.path()).unwrap(), Index::new(Vec::new(), BTreeMap::new()));
        for text in [
            "{",
            "[",
            "[]",
            "[[]]",
            "[[], [], \"m\", 2]",
            "null",
            "1",
            "\"\"",
            r#"{"manifests":{}}"#,
            r#"{"manifests":[[]]}"#,
        ] {
            std::fs::write(home.path().join("index.json"), text).unwrap();
            assert!(matches!(read_index(home.path()), Err(EmitError::Index { .. })), "{text}");
        }
    }
}
