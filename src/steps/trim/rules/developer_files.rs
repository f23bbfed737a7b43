//! Removes files of distributions that only their developers need: type stubs, and the sources of extension modules.

use super::{Proposal, Scene};
use crate::catalog::reach::reads_stubs;
use crate::model::image_path::ImagePath;
use crate::model::reason::Removed;
use crate::outside::store::StoreError;

/// The endings of files from which extension modules are made.
const SOURCES: [&str; 9] = [".c", ".cc", ".cpp", ".f", ".f90", ".h", ".hpp", ".pxd", ".pyx"];

pub(super) fn developer_files(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    let request = scene.request();
    let site = request.user_base.site(request.python.version);
    let has_stub_reader = scene.lock().wheels.iter().any(|wheel| reads_stubs(&wheel.name));
    let has_compiler = ["/usr/bin/cc", "/usr/bin/gcc"].iter().any(|path| scene.tree.find(path).is_some());
    let reason = |path: &ImagePath| match path.file_name() {
        name if name.ends_with(".pyi") => (!has_stub_reader).then_some(Removed::TypeStubs),
        name if SOURCES.iter().any(|end| name.ends_with(end)) => (!has_compiler).then_some(Removed::ExtensionSources),
        _ => None,
    };
    let files = scene.distribution_files().filter(|path| path.is_within(&site));
    Ok(files.filter_map(|path| Some(Proposal::Remove { path: path.clone(), reason: reason(path)? })).collect())
}
