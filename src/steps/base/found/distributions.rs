//! The Python distributions in the folders of an interpreter.

use super::Scene;
use crate::formats::metadata;
use crate::model::base_image::InstalledDistribution;
use crate::model::distribution_name::normalised;
use crate::model::image_path::ImagePath;
use crate::model::tree::Kind;
use crate::outside::store::StoreError;

/// Returns the distributions in the order of the folders. Within a folder, they are sorted by name.
pub(super) fn distributions(
    scene: &Scene<'_>,
    folders: &[ImagePath],
) -> Result<Vec<InstalledDistribution>, StoreError> {
    let mut distributions = Vec::new();
    for folder in folders {
        let mut own = Vec::new();
        for (path, node) in scene.children(folder) {
            own.extend(distribution(scene, folder, path, &node.kind)?);
        }
        own.sort();
        distributions.extend(own);
    }
    Ok(distributions)
}

/// Reads the metadata at `path`: `NAME-VERSION.dist-info/METADATA` (packaging.python.org, "Recording installed
/// projects"), or an `.egg-info`, which is a file or a folder. If the metadata cannot be read, the name and the version
/// come from the name of the folder.
fn distribution(
    scene: &Scene<'_>,
    folder: &ImagePath,
    path: &ImagePath,
    kind: &Kind,
) -> Result<Option<InstalledDistribution>, StoreError> {
    let name = path.file_name();
    let (stem, file) = match (name.strip_suffix(".dist-info"), name.strip_suffix(".egg-info")) {
        (Some(stem), _) => (stem, format!("{path}/METADATA")),
        (_, Some(stem)) if *kind == Kind::Directory => (stem, format!("{path}/PKG-INFO")),
        (_, Some(stem)) => (stem, path.to_string()),
        _ => return Ok(None),
    };
    let text = scene.text(&file)?.unwrap_or_default();
    let mut words = stem.splitn(3, '-');
    let (own_name, own_version) = (words.next().unwrap_or_default(), words.next());
    let Some(version) = metadata::field(&text, "version").or_else(|| own_version.map(str::to_owned)) else {
        return Ok(None);
    };
    let name = metadata::field(&text, "name").unwrap_or_else(|| own_name.to_owned());
    Ok(Some(InstalledDistribution { name: normalised(&name), version, folder: folder.clone(), metadata: path.clone() }))
}
