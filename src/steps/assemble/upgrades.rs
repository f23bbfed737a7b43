//! Distributions of a base image that the added wheels replace. Their files are removed, like with `pip install
//! --upgrade`. Otherwise the image would contain the metadata of two versions, and modules of the old version.

use std::collections::BTreeSet;

use super::AssembleError;
use crate::formats::wheel::record_paths;
use crate::model::base_image::InstalledDistribution;
use crate::model::distribution_name::normalised;
use crate::model::image_path::ImagePath;
use crate::model::part::WheelPart;
use crate::model::request::{AssembleRequest, OnBase};
use crate::model::tree::{Kind, Origin, Tree};
use crate::outside::store::Store;

/// The files of the base image that were removed, and a note about each replaced distribution.
#[derive(Default)]
pub(super) struct Upgrades {
    pub(super) removed: BTreeSet<ImagePath>,
    pub(super) notes: Vec<String>,
}

/// Removes the distributions in the user base of the base image that have the same name as one of `wheels`. The new
/// files are not in the tree yet. Distributions in other folders stay, because the user base comes before these folders
/// on `sys.path`.
pub(super) fn remove_old(
    wheels: &[(&Origin, &WheelPart)],
    base: OnBase<'_>,
    request: &AssembleRequest<'_>,
    tree: &mut Tree,
    store: &Store,
) -> Result<Upgrades, AssembleError> {
    let mut upgrades = Upgrades::default();
    let program = request.python.program();
    let interpreter = base.image.found.interpreters.iter().find(|one| one.start().as_str() == program);
    let Some(interpreter) = interpreter else { return Ok(upgrades) };
    let site = request.user_base.site(request.python.version);
    for old in interpreter.distributions.iter().filter(|old| old.folder.as_str() == site) {
        let new = wheels.iter().find_map(|(origin, _)| match origin {
            Origin::Wheel { name, version } if normalised(name) == normalised(&old.name) => Some(version),
            _ => None,
        });
        let Some(new) = new else { continue };
        let files = files(old, request, tree, store)?;
        for path in &files {
            tree.nodes.remove(path);
        }
        remove_empty_folders(tree, &files, &[&site, &request.user_base.bin()]);
        upgrades.removed.extend(files);
        if *new != old.version {
            upgrades.notes.push(format!("{} {new} replaces version {} of the base image", old.name, old.version));
        }
    }
    Ok(upgrades)
}

/// Returns the files of a distribution in the user base: the files in its RECORD, their bytecode, and its metadata.
fn files(
    old: &InstalledDistribution,
    request: &AssembleRequest<'_>,
    tree: &Tree,
    store: &Store,
) -> Result<BTreeSet<ImagePath>, AssembleError> {
    let record = old.metadata.join("RECORD")?;
    let text = match tree.nodes.get(&record).and_then(|node| node.digest()) {
        Some(digest) => String::from_utf8_lossy(&store.read(digest)?).into_owned(),
        None => String::new(),
    };
    let is_file = |path: &ImagePath| tree.nodes.get(path).is_some_and(|node| node.kind != Kind::Directory);
    // The paths are relative to the folder that contains the metadata.
    let listed = record_paths(&text).map(|path| old.metadata.resolve_link(&path));
    let mut files: BTreeSet<ImagePath> =
        listed.filter(|path| path.is_within(request.user_base.path().as_str()) && is_file(path)).collect();
    for module in files.clone() {
        files.extend(bytecode(tree, &module));
    }
    let metadata = tree.below(&old.metadata).filter(|(_, node)| node.kind != Kind::Directory);
    files.extend(metadata.map(|(path, _)| path.clone()));
    Ok(files)
}

/// Returns the bytecode of a module for every version of Python and every level of optimization (PEP 3147). A RECORD of
/// lath does not list bytecode.
fn bytecode(tree: &Tree, module: &ImagePath) -> Vec<ImagePath> {
    let Some(stem) = module.file_name().strip_suffix(".py") else { return Vec::new() };
    let first = module.parent().and_then(|folder| folder.join(&format!("__pycache__/{stem}.")).ok());
    let Some(first) = first else { return Vec::new() };
    let paths = tree.nodes.range(&first..).map(|(path, _)| path);
    let paths = paths.take_while(|path| path.as_str().starts_with(first.as_str()));
    paths.filter(|path| path.is_bytecode()).cloned().collect()
}

/// Removes the folders of the base image that are empty since `files` were removed, except the folders `kept`.
fn remove_empty_folders(tree: &mut Tree, files: &BTreeSet<ImagePath>, kept: &[&str]) {
    for file in files {
        let mut above = file.parent();
        while let Some(folder) = above.filter(|folder| !kept.contains(&folder.as_str()) && is_empty(tree, folder)) {
            tree.nodes.remove(&folder);
            above = folder.parent();
        }
    }
}

/// Returns whether a folder exists and contains nothing.
fn is_empty(tree: &Tree, folder: &ImagePath) -> bool {
    tree.nodes.contains_key(folder) && tree.children(folder).next().is_none()
}
