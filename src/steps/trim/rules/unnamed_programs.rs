//! Removes a program of a helper package if the program's name occurs in no file that could call the program. Helper
//! packages, such as `coreutils`, are in an image because scripts of other packages need some of their programs.

use std::collections::BTreeMap;

use super::{Proposal, Scene, any_within};
use crate::model::image_path::ImagePath;
use crate::model::reason::Removed;
use crate::model::tree::Origin;
use crate::model::vocabulary::is_program;
use crate::outside::store::StoreError;

/// The folders of programs. On a base image without the merged `/usr`, `/bin` and `/sbin` contain links to programs.
const PROGRAM_FOLDERS: [&str; 4] = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"];
/// A helper package with at most this number of programs keeps all of them, because these few programs are probably the
/// reason why the package is in the image.
const FEW: usize = 4;

/// Removes the programs of helper packages that no file in the image could call.
pub(super) fn unnamed_programs(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    let mut programs: BTreeMap<&str, Vec<&ImagePath>> = BTreeMap::new();
    for (path, package) in scene.package_files() {
        if scene.is_aide(package) && any_within(path, &PROGRAM_FOLDERS) {
            programs.entry(package).or_default().push(path);
        }
    }
    let many = programs.into_values().filter(|programs| programs.len() > FEW);
    let going = many.flatten().filter(|path| !could_be_called(scene, path.file_name()));
    Ok(going.map(|path| Proposal::Remove { path: path.clone(), reason: Removed::UnnamedPrograms }).collect())
}

/// Returns whether a file outside of the helper packages could call the program, because it contains the program's
/// name.
fn could_be_called(scene: &Scene<'_>, program: &str) -> bool {
    let mut callers = scene.surveys().iter().filter(|(origin, _)| match origin {
        Origin::Deb { name, .. } => !scene.is_aide(name),
        Origin::Wheel { .. } | Origin::Base | Origin::Lath | Origin::User | Origin::Application => true,
    });
    // If a program is not in the vocabulary, files are not searched for its name. Any file could contain the name, so
    // the program stays.
    !is_program(program.as_bytes()) || callers.any(|(_, survey)| survey.mentions.contains(program))
}
