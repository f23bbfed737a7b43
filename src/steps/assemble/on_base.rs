//! Everything that lath adds to a base image. A path of the base image is changed only if an added package needs
//! another file at this path.

use std::collections::BTreeSet;

use super::AssembleError;
use super::accounts::USER;
use crate::model::assembly::Assembly;
use crate::model::image_path::{ImagePath, MERGED};
use crate::model::request::{AssembleRequest, OnBase};
use crate::model::tree::{Kind, Node, Origin, Tree};

/// The maximum number of replaced paths in a note.
const NAMED: usize = 3;

/// The files that lath writes only if an added package changes their contents.
const OWN_FILES: [&str; 3] = ["/etc/group", "/etc/ld.so.cache", "/etc/passwd"];

/// Starts with the files of the base image. Then adds the paths that every image has and that the base image lacks.
pub(super) fn lay_ground(
    assembly: &mut Assembly,
    base: OnBase<'_>,
    request: &AssembleRequest<'_>,
) -> Result<(), AssembleError> {
    assembly.tree = base.image.tree.clone();
    assembly.facts.add_all(&Origin::Base, base.image.digest.0, &base.image.facts);
    let tree = &mut assembly.tree;
    if request.python.home.is_of_release() {
        // These directories must exist, because packages are unpacked into the merged `/usr`.
        for name in MERGED {
            add(tree, name, Node::link(format!("usr/{name}"), Origin::Lath))?;
            add(tree, &format!("/usr/{name}"), Node::directory(Origin::Lath))?;
        }
    }
    for (path, mode) in [("/", 0o755), ("/dev", 0o755), ("/proc", 0o555), ("/sys", 0o555), ("/tmp", 0o1777)] {
        add(tree, path, Node { mode, ..Node::directory(Origin::Lath) })?;
    }
    add(tree, &request.user_base.bin(), Node::directory(Origin::Lath))?;
    if base.home().is_none() {
        // An engine may run the image as any user. So every user has this home directory and may write to it.
        let home = Node { mode: 0o1777, owner: USER, ..Node::directory(Origin::Lath) };
        add(tree, "/home/app", home)?;
    }
    Ok(())
}

/// Adds a path, unless it exists.
fn add(tree: &mut Tree, path: &str, node: Node) -> Result<(), AssembleError> {
    let path = ImagePath::parse(path)?;
    if !tree.nodes.contains_key(&path) {
        tree.insert(path, node);
    }
    Ok(())
}

/// Restores nodes of the base image that were replaced. A node is restored if the new node has the same contents, or if
/// both are directories. A node that lath replaced is also restored if no added package needs the new node. Returns a
/// note about the files that stay replaced, except those of replaced distributions (`upgraded`).
pub(super) fn restore(assembly: &mut Assembly, base: OnBase<'_>, upgraded: &BTreeSet<ImagePath>) -> Vec<String> {
    let tree = &mut assembly.tree;
    let added: BTreeSet<ImagePath> = folders_of_packages(tree);
    let mut replaced: Vec<String> = Vec::new();
    for (path, own) in &base.image.tree.nodes {
        let Some(node) = tree.nodes.get(path).filter(|node| node.origin != Origin::Base) else { continue };
        let is_same = node.kind == own.kind || (node.kind == Kind::Directory && own.kind == Kind::Directory);
        // Some files that lath writes list the contents of their folder. Such a file is needed only if a package has
        // added files to its folder.
        let is_of_others = || path.parent().is_none_or(|folder| !added.contains(&folder));
        let is_needless = node.origin == Origin::Lath && !OWN_FILES.contains(&path.as_str()) && is_of_others();
        if is_same || is_needless {
            tree.nodes.insert(path.clone(), own.clone());
        } else if !upgraded.contains(path) {
            replaced.push(format!("`{path}` ({})", node.origin));
            assembly.replaced.insert(path.clone());
        }
    }
    let count = replaced.len();
    replaced.truncate(NAMED);
    let more = if count > NAMED { format!(" and {} more", count - NAMED) } else { String::new() };
    match count {
        0 => Vec::new(),
        _ => vec![format!("added packages change files of the base image: {}{more}", replaced.join(", "))],
    }
}

/// Returns every folder that contains a file of an added package, directly or in a folder below it.
fn folders_of_packages(tree: &Tree) -> BTreeSet<ImagePath> {
    let mut folders = BTreeSet::new();
    let is_file = |node: &Node| matches!(node.origin, Origin::Deb { .. }) && node.kind != Kind::Directory;
    for (path, _) in tree.nodes.iter().filter(|(_, node)| is_file(node)) {
        let mut above = path.parent();
        while let Some(folder) = above {
            above = folder.parent();
            if !folders.insert(folder) {
                break;
            }
        }
    }
    folders
}

/// Returns whether `ld.so.cache` must be written again. `ctypes` finds libraries in this file. The loader needs it for
/// folders that an added package names in `ld.so.conf.d`. If the base image has no `ld.so.cache`, none of its programs
/// needs one.
pub(super) fn needs_loader_cache(tree: &Tree, base: OnBase<'_>) -> bool {
    let is_added = |node: &Node| matches!(node.origin, Origin::Deb { .. }) && node.kind != Kind::Directory;
    let is_library = |path: &ImagePath| base.image.found.has_ld_cache && path.file_name().contains(".so");
    let mut added = tree.nodes.iter().filter(|(_, node)| is_added(node));
    added.any(|(path, _)| path.is_within("/etc/ld.so.conf.d") || is_library(path))
}
