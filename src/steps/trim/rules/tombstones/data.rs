//! Adds the reason to the errors of programs that read removed data through `importlib.resources`.
//!
//! lath adds some lines to the file of the standard library that makes the paths of data. The names of the removed
//! files are in a second file, which Python reads only after an error. So if a program opens no removed file, Python
//! does not read the second file.

use std::collections::{BTreeMap, BTreeSet};

use super::{Proposal, Scene};
use crate::model::facts::is_extension_module;
use crate::model::image_path::ImagePath;
use crate::model::reason::{Kept, KeptBy, Removed};
use crate::model::tree::{Kind, Node, Origin};
use crate::outside::store::StoreError;

/// The lines that are added.
const ADDED: &str = include_str!("resources.py");
/// The file with the names.
const NAMES: &str = include_str!("removed_data.py");
/// The text in the file with the names after which the names are inserted.
const LINES: &str = "REMOVED = \"\"\"\n";
/// The names of the file that makes the paths. The second one is that of Python 3.10.
const FILES: [&str; 2] = ["resources/_common.py", "_common.py"];
/// The beginnings of lines that the file must have, because the added lines use the names that they define.
const USED: [&str; 2] = ["import pathlib", "def from_package("];
/// The maximum size of all names. A longer list would make the image larger than the better errors are worth.
const MOST_BYTES: usize = 128 << 10;

/// Proposes the added lines, and the file that names the removed data.
pub(in crate::steps::trim::rules) fn data(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    let lines = lines(scene);
    let Some((path, text)) = place(scene)?.filter(|_| !lines.is_empty()) else { return Ok(Vec::new()) };
    let names = format!("{}/importlib/_lath.py", scene.request().python.stdlib());
    let Ok(names) = ImagePath::parse(&names) else { return Ok(Vec::new()) };
    let put = |text: String| Ok((scene.store().put(text.as_bytes())?, text.len() as u64));
    let (digest, size_bytes) = put(text + ADDED)?;
    let rewrite = Proposal::Rewrite { path, digest, size_bytes };
    let (digest, size_bytes) = put(NAMES.replacen(LINES, &format!("{LINES}{lines}"), 1))?;
    let node = Node { kept: Some(Kept::RemovedNames), ..Node::file(digest, size_bytes, 0o644, Origin::Lath) };
    let add = Proposal::Substitute { paths: Vec::new(), reason: Removed::UntracedData, by: (names, node) };
    Ok(vec![rewrite, add])
}

/// Returns the path and the text of the file that makes the paths. `None` if the image does not contain this file, or
/// if the file must stay as it is.
fn place(scene: &Scene<'_>) -> Result<Option<(ImagePath, String)>, StoreError> {
    let stdlib = scene.request().python.stdlib();
    let found = FILES.iter().find_map(|file| scene.tree.find(&format!("{stdlib}/importlib/{file}")));
    let Some((path, node)) = found.filter(|(path, _)| !scene.is_held(path)) else { return Ok(None) };
    let Some(digest) = node.digest().filter(|_| matches!(node.origin, Origin::Deb { .. })) else { return Ok(None) };
    let text = String::from_utf8_lossy(&scene.store().read(digest)?).into_owned();
    let has_line = |begin: &&str| text.lines().any(|line| line.starts_with(*begin));
    Ok(USED.iter().all(has_line).then_some((path, text)))
}

/// Returns one line per removed data file: its path, the rule, and the option that keeps it. If nothing of a folder is
/// left and one rule removed all of its data, the folder has a line, and the files have none.
fn lines(scene: &Scene<'_>) -> String {
    let request = scene.request();
    let site = request.user_base.site(request.python.version);
    let removed = scene.tree.removed.iter().filter(|(path, _)| path.is_within(&site) && is_data(path));
    let gone: BTreeMap<&ImagePath, Removed> = removed.map(|(path, removal)| (path, removal.reason)).collect();
    let left = scene.tree.nodes.iter().filter(|(path, node)| node.kind != Kind::Directory && path.is_within(&site));
    let left: BTreeSet<ImagePath> = left.flat_map(|(path, _)| folders(path, &site)).collect();
    let mut rules: BTreeMap<ImagePath, BTreeSet<Removed>> = BTreeMap::new();
    for (path, rule) in &gone {
        for folder in folders(path, &site).filter(|folder| !left.contains(folder)) {
            rules.entry(folder).or_default().insert(*rule);
        }
    }
    let mut lines: BTreeMap<String, String> = BTreeMap::new();
    for (path, rule) in &gone {
        let has_one_rule = |folder: &ImagePath| rules.get(folder).is_some_and(|rules| rules.len() == 1);
        let (name, kept) = match folders(path, &site).filter(has_one_rule).last() {
            Some(folder) => (folder.to_string(), ImagePath::parse(&format!("{folder}/**")).ok()),
            None => (path.to_string(), Some((*path).clone())),
        };
        let option = KeptBy::Path { path: kept.unwrap_or_else(|| (*path).clone()) };
        lines.insert(name, format!("{} {option}", rule.id()));
    }
    let mut text = String::new();
    let is_plain = |name: &str| name.is_ascii() && !name.contains(['"', '\\', ' ', '\n', '\r']);
    for (name, line) in lines.iter().filter(|(name, _)| is_plain(name)) {
        if text.len() + name.len() + line.len() + 2 <= MOST_BYTES {
            text += &format!("{name} {line}\n");
        }
    }
    text
}

/// Returns the folders that contain the path, below `site`, from the innermost one.
fn folders(path: &ImagePath, site: &str) -> impl Iterator<Item = ImagePath> {
    std::iter::successors(path.parent(), ImagePath::parent)
        .take_while(move |folder| folder.as_str() != site && folder.is_within(site))
}

/// Whether `importlib.resources` would read the file as data. It cannot read metadata of distributions.
fn is_data(path: &ImagePath) -> bool {
    let name = path.file_name();
    let is_module = name.ends_with(".py") || path.is_bytecode() || is_extension_module(name);
    !is_module && !path.components().any(|folder| folder.ends_with(".dist-info") || folder == "__pycache__")
}
