//! Removes headers, static libraries and files of pkg-config.

use super::{Proposal, Scene, any_within};
use crate::model::image_path::ImagePath;
use crate::model::reason::Removed;
use crate::outside::store::StoreError;

pub(super) fn compiler_files(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    if has_compiler(scene) {
        return Ok(Vec::new());
    }
    Ok(scene.remove(Removed::CompilerFiles, |path, package| {
        let is_such = any_within(path, &["/usr/include", "/usr/share/aclocal", "/usr/share/gir-1.0"])
            || path.as_str().ends_with(".a")
            || path.as_str().contains("/pkgconfig/");
        is_such && !is_for_development(package)
    }))
}

/// Returns whether the image contains a compiler. In this case, the user probably wants to compile in the image.
pub(super) fn has_compiler(scene: &Scene<'_>) -> bool {
    scene.tree.nodes.keys().any(is_compiler)
}

/// Returns whether a package is for development and contains headers. Such a package is in the image only if the user
/// named it, or named a package that depends on it.
pub(super) fn is_for_development(package: &str) -> bool {
    package.ends_with("-dev")
}

fn is_compiler(path: &ImagePath) -> bool {
    const COMPILERS: [&str; 7] = ["c++", "cc", "clang", "cpp", "g++", "gcc", "tcc"];
    let name = path.file_name();
    // The names of compilers can contain a version and a platform: `gcc-14`, `x86_64-linux-gnu-gcc-14`.
    let unversioned =
        name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '.').trim_end_matches('-');
    path.is_within("/usr/bin")
        && COMPILERS.iter().any(|compiler| {
            unversioned == *compiler || unversioned.strip_suffix(compiler).is_some_and(|before| before.ends_with('-'))
        })
}
