//! Removes programs for Windows that start Python scripts.

use super::{Proposal, Scene};
use crate::model::image_path::ImagePath;
use crate::model::reason::Removed;
use crate::model::tree::{Kind, Origin};
use crate::outside::store::StoreError;

pub(super) fn windows_launchers(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    let of_wheels = scene.tree.nodes.iter().filter(|(_, node)| matches!(node.origin, Origin::Wheel { .. }));
    let going = of_wheels.filter(|(path, node)| node.kind != Kind::Directory && is_launcher(path));
    let remove = |path: &ImagePath| Proposal::Remove { path: path.clone(), reason: Removed::WindowsLaunchers };
    Ok(going.map(|(path, _)| remove(path)).collect())
}

/// Whether the path is a launcher of distlib (which pip contains, too) or of setuptools. If `os.name` is `nt`, distlib
/// and setuptools install a launcher next to a script. On other systems, they do not use launchers.
fn is_launcher(path: &ImagePath) -> bool {
    const DISTLIB: [&str; 6] = ["t32.exe", "t64.exe", "t64-arm.exe", "w32.exe", "w64.exe", "w64-arm.exe"];
    const SETUPTOOLS: [&str; 8] = [
        "cli.exe",
        "cli-32.exe",
        "cli-64.exe",
        "cli-arm64.exe",
        "gui.exe",
        "gui-32.exe",
        "gui-64.exe",
        "gui-arm64.exe",
    ];
    let directory = path.parent();
    match directory.as_ref().map_or("", ImagePath::file_name) {
        "distlib" => DISTLIB.contains(&path.file_name()),
        "setuptools" => SETUPTOOLS.contains(&path.file_name()),
        _ => false,
    }
}
