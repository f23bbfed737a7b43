//! The archive that every engine loads: a tar that is an OCI layout and also contains the documents of `docker save`.

use std::io::{self, Write};
use std::path::Path;

use super::contents::{Contents, OnePlatform};
use super::layout::{self, Name};
use super::place::Place;
use super::staged::StagedFile;
use super::{EmitError, parent, try_to_write};
use crate::formats::oci::{DockerManifest, ImageLayout};
use crate::formats::tarball;
use crate::model::digest::Digest;
use crate::outside::staging;
use crate::outside::store::Store;

/// The contents of an archive.
#[derive(Debug, Clone, Copy)]
pub(super) struct Form<'a> {
    pub(super) for_docker: bool,
    /// The name of the image in the archive. `None` if the image keeps its own names.
    pub(super) name: Option<&'a str>,
}

impl Form<'_> {
    pub(super) const BOTH: Self = Self { for_docker: true, name: None };
    pub(super) const OCI: Self = Self { for_docker: false, name: None };
}

pub(super) fn refuse(place: &Place) -> Result<(), EmitError> {
    let path = &place.path;
    let refused = |problem| Err(EmitError::Refused { path: path.clone(), problem });
    if path.is_dir() {
        return refused("there is a folder of that name");
    }
    if path.exists() && !path.is_file() {
        return refused("there is something of that name that is not a file");
    }
    if !parent(path).is_dir() {
        return refused("its folder does not exist");
    }
    staging::sweep(parent(path));
    try_to_write(parent(path)).map_err(|error| match error {
        EmitError::Write { source, .. } => EmitError::Write { path: path.clone(), source },
        other => other,
    })
}

pub(super) fn stage(
    path: &Path,
    contents: &Contents<'_>,
    form: &Form<'_>,
    store: &Store,
) -> Result<StagedFile, EmitError> {
    let failed = |source| EmitError::Write { path: path.to_owned(), source };
    let names = Name::all(&contents.names, form.name);
    let mut file = StagedFile::new(path)?;
    let mut writer = io::BufWriter::with_capacity(1 << 20, file.writer());
    let mut documents = vec![
        ("oci-layout", serde_json::to_vec(&ImageLayout::default())?),
        ("index.json", serde_json::to_vec(&layout::index(contents, &names))?),
    ];
    if let Some(first) = contents.first.as_ref().filter(|_| form.for_docker) {
        documents.push(("manifest.json", serde_json::to_vec(&docker_manifests(first, &names))?));
    }
    for (name, bytes) in &documents {
        tarball::write_file(&mut writer, name, bytes.len() as u64, contents.epoch_secs, &mut bytes.as_slice())
            .map_err(failed)?;
    }
    for (digest, blob) in contents.files() {
        let (name, size_bytes) = (format!("blobs/sha256/{digest}"), blob.size_bytes);
        tarball::write_file(&mut writer, &name, size_bytes, contents.epoch_secs, &mut blob.reader(store)?)
            .map_err(failed)?;
    }
    writer.write_all(&tarball::END).map_err(failed)?;
    writer.flush().map_err(failed)?;
    drop(writer);
    Ok(file)
}

/// Returns the `manifest.json` of `docker save`, for engines that cannot read an OCI layout. These engines read only
/// one platform, so the file lists only the first platform.
fn docker_manifests(first: &OnePlatform, names: &[Name]) -> [DockerManifest; 1] {
    let blob = |digest: &Digest| format!("blobs/sha256/{digest}");
    let layers = first.layers.iter().map(blob).collect();
    let repo_tags = names.iter().map(|name| name.image.clone()).collect();
    [DockerManifest { config: blob(&first.config), layers, repo_tags }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::image::Image;

    #[test]
    fn the_manifest_for_docker_has_these_bytes() {
        let (image, names) = (Image::example(), [Name::of("team/tool:1", None)]);
        let first = Contents::of(&image, None).first.unwrap();
        assert_eq!(
            serde_json::to_string(&docker_manifests(&first, &names)).unwrap(),
            concat!(
                r#"[{"Config":"blobs/sha256/b79606fb3afea5bd1609ed40b622142f1c98125abcfe89a76a661b0e8e343910","#,
                r#""Layers":["blobs/sha256/dac1d7cfa95021764849fd102524e141488c5e3a90f861dbb5a12d9ac8584f85"],"#,
                r#""RepoTags":["team/tool:1"]}]"#,
            )
        );
    }
}
