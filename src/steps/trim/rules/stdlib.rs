//! Removes modules of the standard library: its own tests, and modules that cannot be loaded.

use std::collections::BTreeSet;

use super::{Proposal, Scene};
use crate::model::image_path::ImagePath;
use crate::model::reason::Removed;
use crate::outside::store::StoreError;

/// Packages that are not in the base stay whole, because the user named them, for example `idle`.
pub(super) fn tests(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    Ok(scene.remove(Removed::StdlibTests, |path, package| is_test(path) && scene.is_base(package)))
}

/// Whether the path belongs to the tests: an extension module for tests, or a file of `test`, `idlelib` or
/// `turtledemo`. Most files of the last three are in separate packages of Debian.
fn is_test(path: &ImagePath) -> bool {
    let mut components = path.components();
    let is_stdlib = components.next() == Some("usr")
        && components.next() == Some("lib")
        && components.next().is_some_and(|name| name.starts_with("python3."));
    let name = components.next();
    let is_module = name == Some("lib-dynload")
        && ["_test", "_ctypes_test.", "_xxtestfuzz.", "xxlimited", "xxsubtype."]
            .iter()
            .any(|prefix| path.file_name().starts_with(prefix));
    is_stdlib && (is_module || name.is_some_and(|name| ["test", "idlelib", "turtledemo"].contains(&name)))
}

/// Removes extension modules that cannot be loaded because the package with their library was left out.
pub(super) fn unmet_modules(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    let names: BTreeSet<&str> = scene.tree.nodes.keys().map(ImagePath::file_name).collect();
    let of_base = scene.surveys().iter().filter(|(origin, _)| scene.is_of_base(origin));
    let unmet = of_base
        .flat_map(|(_, survey)| &survey.elf)
        .filter(|(path, _)| path.as_str().contains("/lib-dynload/"))
        .filter(|(_, linkage)| linkage.needed.iter().any(|needed| !names.contains(needed.as_str())));
    let remove = |path: &ImagePath| Proposal::Remove { path: path.clone(), reason: Removed::UnmetModules };
    Ok(unmet.map(|(path, _)| remove(path)).collect())
}
