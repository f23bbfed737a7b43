//! Adds the reason to the errors of programs that import a removed module.
//!
//! Python runs the module `sitecustomize` at each start. Debian's file only loads a hook for Ubuntu's crash reports,
//! which no image has. lath replaces this file. So Python reads the same number of files at a start as before.

mod data;

use std::collections::{BTreeMap, BTreeSet};

pub(super) use self::data::data;
use super::{Proposal, Scene};
use crate::model::image_path::ImagePath;
use crate::model::modules::parent;
use crate::model::reach::{ModuleMap, module_of};
use crate::model::reason::{Kept, KeptBy, Removed};
use crate::model::tree::{Node, Origin, Removal};
use crate::outside::store::StoreError;

const MODULE: &str = include_str!("sitecustomize.py");
/// The text in the module after which the lines about removed modules are inserted.
const LINES: &str = "REMOVED = \"\"\"\n";
/// The module that Debian's `sitecustomize` imports. Debian's file does nothing else.
const HOOK: &str = "apport_python_hook";
/// The maximum size of a file that can be Debian's `sitecustomize`, which has 155 bytes.
const LONGEST_HOOK: u64 = 400;

/// Proposes the module that names the removed modules.
pub(super) fn tombstones(scene: &Scene<'_>) -> Result<Vec<Proposal>, StoreError> {
    let roots = scene.request().user_base.search_path(scene.request().python);
    let map = ModuleMap::new(scene.tree, &roots);
    let lines = lines(scene, &map, &roots);
    let Some(place) = place(scene, &map)?.filter(|_| !lines.is_empty()) else { return Ok(Vec::new()) };
    let text = MODULE.replacen(LINES, &format!("{LINES}{lines}"), 1);
    let digest = scene.store().put(text.as_bytes())?;
    let node = Node { kept: Some(Kept::RemovedNames), ..Node::file(digest, text.len() as u64, 0o644, Origin::Lath) };
    Ok(vec![Proposal::Substitute { paths: place.replaced, reason: Removed::CrashHook, by: (place.path, node) }])
}

/// The path of the module, and the paths that are removed.
struct Place {
    path: ImagePath,
    replaced: Vec<ImagePath>,
}

/// Returns the path of `sitecustomize`. `None` if the image has a `sitecustomize` that is not Debian's file, or if the
/// image has the hook that Debian's file loads.
fn place(scene: &Scene<'_>, map: &ModuleMap<'_>) -> Result<Option<Place>, StoreError> {
    let request = scene.request();
    let Some(files) = map.modules.get("sitecustomize") else {
        let path = format!("{}/sitecustomize.py", request.user_base.site(request.python.version));
        return Ok(ImagePath::parse(&path).ok().map(|path| Place { path, replaced: Vec::new() }));
    };
    let [file] = files.as_slice() else { return Ok(None) };
    let Some((target, node)) = scene.tree.find(file.path.as_str()) else { return Ok(None) };
    let is_short = node.size_bytes() <= LONGEST_HOOK && matches!(node.origin, Origin::Deb { .. });
    let Some(digest) = node.digest().filter(|_| is_short && !map.modules.contains_key(HOOK)) else { return Ok(None) };
    let is_hook = String::from_utf8_lossy(&scene.store().read(digest)?).contains(HOOK);
    let replaced = if target == *file.path { vec![target] } else { vec![target, file.path.clone()] };
    Ok(is_hook.then(|| Place { path: file.path.clone(), replaced }))
}

/// Returns one line per removed module: its name, the rule, and the option that keeps it. A module in a removed package
/// has no line, because Python imports the package first.
fn lines(scene: &Scene<'_>, map: &ModuleMap<'_>, roots: &[String]) -> String {
    let mut left: BTreeSet<&str> = BTreeSet::new();
    for mut name in map.modules.keys().map(String::as_str) {
        while !name.is_empty() && left.insert(name) {
            name = parent(name);
        }
    }
    let mut gone: BTreeMap<String, (&ImagePath, &Removal)> = BTreeMap::new();
    for (path, removal) in &scene.tree.removed {
        let Some(name) = module_of(path, roots).filter(|name| is_name(name) && !left.contains(name.as_str())) else {
            continue;
        };
        let above = std::iter::successors(Some(name.as_str()), |name| Some(parent(name)));
        let highest = above.take_while(|name| !name.is_empty() && !left.contains(name)).last();
        gone.entry(highest.unwrap_or(&name).to_owned()).or_insert((path, removal));
    }
    let line = |(name, (path, removal)): (&String, &(&ImagePath, &Removal))| {
        let option = match removal.reason.kept_by(path, Some(name)) {
            KeptBy::Path { path } => KeptBy::Path { path: whole(&path, name) },
            other => other,
        };
        format!("{name} {} {option}\n", removal.reason.id())
    };
    let is_plain = |line: &String| !line.contains(['"', '\\']) && line.is_ascii();
    // Modules with this reason are left out, because they could not be loaded in the untrimmed image either.
    let explained = gone.iter().filter(|(_, (_, removal))| removal.reason != Removed::UnmetModules);
    explained.map(line).filter(is_plain).collect()
}

/// Returns a pattern for all files of a package, or the path of a module in a single file.
fn whole(path: &ImagePath, name: &str) -> ImagePath {
    let last = name.rsplit('.').next().unwrap_or_default();
    let folder = std::iter::successors(path.parent(), ImagePath::parent).find(|folder| folder.file_name() == last);
    folder.and_then(|folder| ImagePath::parse(&format!("{folder}/**")).ok()).unwrap_or_else(|| path.clone())
}

fn is_name(name: &str) -> bool {
    let is_part = |part: &str| {
        !part.starts_with(|c: char| c.is_ascii_digit())
            && !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    name.split('.').all(is_part)
}
