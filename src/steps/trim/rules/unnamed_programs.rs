//! Removes programs of Debian's essential packages that are named in no script. These packages are in an image because
//! scripts of other packages need some of their programs.

use std::collections::BTreeMap;

use super::{Proposal, Scene, any_within};
use crate::model::image_path::ImagePath;
use crate::model::reason::Removed;
use crate::model::tree::Origin;
use crate::model::vocabulary::is_program;
use crate::outside::store::StoreError;

/// If a package has at most this many programs, it keeps all of them, because they are probably the reason for the
/// dependency.
const FEW: usize = 4;

/// Removes the programs of `coreutils` and similar packages that no script in the image could call.
pub(super) fn unnamed_programs(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    let mut programs: BTreeMap<&str, Vec<&ImagePath>> = BTreeMap::new();
    for (path, package) in scene.package_files() {
        if scene.is_aide(package) && any_within(path, &["/usr/bin", "/usr/sbin"]) {
            programs.entry(package).or_default().push(path);
        }
    }
    let many = programs.into_values().filter(|programs| programs.len() > FEW);
    let going = many.flatten().filter(|path| !could_be_called(scene, path.file_name()));
    Ok(going.map(|path| Proposal::Remove { path: path.clone(), reason: Removed::UnnamedPrograms }).collect())
}

/// Returns whether a file outside of the helper packages names the program.
fn could_be_called(scene: &Scene<'_>, program: &str) -> bool {
    let mut callers = scene.surveys().iter().filter(|(origin, _)| match origin {
        Origin::Deb { name, .. } => !scene.is_aide(name),
        Origin::Wheel { .. } | Origin::Base | Origin::Lath | Origin::User | Origin::Application => true,
    });
    // If a program is not in the vocabulary, any file could name it.
    !is_program(program.as_bytes()) || callers.any(|(_, survey)| survey.mentions.contains(program))
}
