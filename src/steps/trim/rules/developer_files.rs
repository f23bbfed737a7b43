//! Removes files of distributions. Only scanners and the developers of a distribution need these files: type stubs, the
//! sources of extension modules, maps from JavaScript to its sources, and bills of materials.

use std::collections::{BTreeMap, BTreeSet};

use memchr::memmem;

use super::{Proposal, Scene};
use crate::catalog::reach::{reads_sources, reads_stubs};
use crate::model::facts::is_extension_module;
use crate::model::image_path::ImagePath;
use crate::model::reason::Removed;
use crate::model::tree::{Origin, Tree};
use crate::outside::store::StoreError;

/// The endings of files from which extension modules are made.
const SOURCES: [&str; 8] = [".c", ".cc", ".cpp", ".cu", ".cxx", ".f", ".f90", ".pyx"];
const HEADERS: [&str; 6] = [".cuh", ".h", ".hh", ".hpp", ".pxd", ".pxi"];
const SOURCE_MAPS: [&str; 4] = [".js.map", ".mjs.map", ".cjs.map", ".css.map"];

pub(super) fn developer_files(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    let request = scene.request();
    let site = request.user_base.site(request.python.version);
    let wheels = &scene.lock().wheels;
    let has_stub_reader = wheels.iter().any(|wheel| reads_stubs(&wheel.name));
    let has_compiler = ["/usr/bin/cc", "/usr/bin/gcc"].iter().any(|path| scene.tree.find(path).is_some())
        || wheels.iter().any(|wheel| reads_sources(&wheel.name));
    let compiled = compiled_distributions(scene.tree);
    let is_compiled = |path: &ImagePath| scene.tree.nodes.get(path).is_some_and(|node| compiled.contains(&node.origin));
    let reason = |path: &ImagePath| match path.file_name() {
        name if name.ends_with(".pyi") => (!has_stub_reader).then_some(Removed::TypeStubs),
        name if HEADERS.iter().any(|end| name.ends_with(end)) => {
            (!has_compiler && is_compiled(path)).then_some(Removed::ExtensionSources)
        }
        name if SOURCES.iter().any(|end| name.ends_with(end)) => {
            (!has_compiler && is_source_of_module(scene.tree, path)).then_some(Removed::ExtensionSources)
        }
        name if SOURCE_MAPS.iter().any(|end| name.ends_with(end)) => Some(Removed::SourceMaps),
        _ if is_bill(path) => Some(Removed::BillsOfMaterials),
        _ => None,
    };
    let files = scene.distribution_files().filter(|path| path.is_within(&site));
    let mut going: Vec<(&ImagePath, Removed)> = files.filter_map(|path| Some((path, reason(path)?))).collect();
    let named = Named::of(scene, going.iter().filter(|(_, reason)| is_data(*reason)).map(|(path, _)| *path))?;
    going.retain(|(path, reason)| !is_data(*reason) || !named.has(scene, path));
    Ok(going.into_iter().map(|(path, reason)| Proposal::Remove { path: path.clone(), reason }).collect())
}

/// Returns the distributions with extension modules or libraries. Headers of other distributions stay, because they may be
/// data of a program: esphome copies its headers into firmware, and clang-tidy has the headers of its compiler.
fn compiled_distributions(tree: &Tree) -> BTreeSet<&Origin> {
    let libraries = tree.nodes.iter().filter(|(path, _)| path.file_name().contains(".so"));
    libraries.map(|(_, node)| &node.origin).collect()
}

/// Whether an extension module with the same name is beside the source. Other sources stay, because they may be
/// templates that a program reads.
fn is_source_of_module(tree: &Tree, source: &ImagePath) -> bool {
    let Some((begin, _)) = source.as_str().rsplit_once('.') else { return false };
    let Ok(first) = ImagePath::parse(begin) else { return false };
    let neighbours = tree.nodes.range(first..).take_while(|(path, _)| path.as_str().starts_with(begin));
    let mut ends = neighbours.filter_map(|(path, _)| path.as_str().strip_prefix(begin));
    ends.any(|end| end.starts_with('.') && is_extension_module(&format!("module{end}")))
}

/// Whether a program could read the files that are removed for this reason as its data.
fn is_data(reason: Removed) -> bool {
    matches!(reason, Removed::ExtensionSources | Removed::SourceMaps)
}

/// Whether the file is a bill of materials. `pip` and `importlib.metadata` do not read such files.
///
/// <https://peps.python.org/pep-0770/>
fn is_bill(path: &ImagePath) -> bool {
    let folder = path.parent();
    let is_metadata = |folder: &ImagePath| folder.file_name().ends_with(".dist-info");
    folder.is_some_and(|folder| folder.file_name() == "sboms" && folder.parent().as_ref().is_some_and(is_metadata))
}

/// For each distribution with files that could be data (see [`is_data`]), the texts of its Python files.
struct Named<'a>(BTreeMap<&'a Origin, Vec<Vec<u8>>>);

impl<'a> Named<'a> {
    fn of(scene: &Scene<'a>, data: impl Iterator<Item = &'a ImagePath>) -> Result<Self, StoreError> {
        let mut files: BTreeMap<&Origin, Vec<Vec<u8>>> =
            data.filter_map(|path| Some((&scene.tree.nodes.get(path)?.origin, Vec::new()))).collect();
        for (path, node) in &scene.tree.nodes {
            let Some(texts) = files.get_mut(&node.origin).filter(|_| path.as_str().ends_with(".py")) else { continue };
            if let Some(digest) = node.digest() {
                texts.push(scene.store().read(digest)?);
            }
        }
        Ok(Self(files))
    }

    /// Whether the name of the file `path` occurs in a Python file of the same distribution.
    fn has(&self, scene: &Scene<'_>, path: &ImagePath) -> bool {
        let texts = scene.tree.nodes.get(path).and_then(|node| self.0.get(&node.origin));
        let search = memmem::Finder::new(path.file_name());
        texts.is_some_and(|texts| texts.iter().any(|text| search.find(text).is_some()))
    }
}
