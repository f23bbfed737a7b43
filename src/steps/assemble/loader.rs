//! Writes `ld.so.cache` for the libraries of the tree, like `ldconfig`.

use std::collections::{BTreeMap, BTreeSet};

use super::{AssembleError, write_bytes};
use crate::formats::ldcache::{self, Library};
use crate::model::assembly::Assembly;
use crate::model::facts::Facts;
use crate::model::image_path::{ImagePath, usr_merged};
use crate::model::platform::Architecture;
use crate::model::tree::{Node, Origin, Tree};
use crate::outside::store::Store;

/// Writes `/etc/ld.so.cache` for the directories that `ld.so.conf` names, and creates missing links for SONAMEs.
pub(super) fn write_cache(
    assembly: &mut Assembly,
    architecture: Architecture,
    store: &Store,
) -> Result<(), AssembleError> {
    let (tree, facts) = (&mut assembly.tree, &assembly.facts);
    let mut libraries: BTreeMap<String, String> = BTreeMap::new();
    let mut links: BTreeMap<ImagePath, String> = BTreeMap::new();
    for directory in directories(tree, architecture, store)? {
        let here = tree.nodes.range(ImagePath::parse(&directory)?..);
        let here = here.take_while(|(path, _)| path.as_str().starts_with(&directory));
        for (path, node) in here.filter(|(path, _)| path.parent().is_some_and(|parent| parent.as_str() == directory)) {
            let is_library = path.file_name().contains(".so")
                && (path.file_name().starts_with("lib") || path.file_name().starts_with("ld-"));
            let soname = if is_library { soname(path, facts.of(node), architecture)? } else { None };
            let Some(soname) = soname.filter(|soname| !soname.contains('/')) else { continue };
            // The loader opens a library at the path with its SONAME. If this path does not exist, ldconfig creates it
            // as a link to the library.
            let link = ImagePath::parse(&format!("{directory}/{soname}"))?;
            libraries.entry(soname).or_insert_with(|| link.as_str().to_owned());
            if !tree.nodes.contains_key(&link) {
                links.insert(link, path.file_name().to_owned());
            }
        }
    }
    for (path, target) in links {
        tree.insert(path, Node::link(target, Origin::Lath));
    }
    let libraries: Vec<Library> = libraries.into_iter().map(|(soname, path)| Library { soname, path }).collect();
    let bytes = ldcache::write(&libraries, architecture);
    write_bytes(tree, "/etc/ld.so.cache", &bytes, 0o644, store)
}

/// Returns the directories that ldconfig searches. First come the directories in the files of `ld.so.conf.d`, in the
/// order of the files, and then the default directories of the loader. For a directory in `/lib`, the corresponding
/// directory in `/usr/lib` is returned.
fn directories(tree: &Tree, architecture: Architecture, store: &Store) -> Result<Vec<String>, AssembleError> {
    let triplet = architecture.triplet();
    let mut directories = Vec::new();
    for (path, node) in &tree.nodes {
        let is_conf = path.is_within("/etc/ld.so.conf.d") && path.as_str().ends_with(".conf");
        if let (true, Some(digest)) = (is_conf, node.digest()) {
            let text = String::from_utf8_lossy(&store.read(digest)?).into_owned();
            let lines =
                text.lines().map(|line| line.split('#').next().unwrap_or_default().trim().trim_end_matches('/'));
            directories.extend(lines.filter(|line| line.starts_with('/') && *line != "/").map(str::to_owned));
        }
    }
    directories.extend([format!("/usr/local/lib/{triplet}"), format!("/usr/lib/{triplet}"), "/usr/lib".to_owned()]);
    let mut directories: Vec<String> = directories.iter().map(|directory| usr_merged(directory).into_owned()).collect();
    let mut seen = BTreeSet::new();
    directories.retain(|directory| seen.insert(directory.clone()));
    Ok(directories)
}

/// Returns the SONAME of a library. `None` if the library has no SONAME, or is for another processor.
fn soname(
    path: &ImagePath,
    facts: Option<&Facts>,
    architecture: Architecture,
) -> Result<Option<String>, AssembleError> {
    let Some(elf) = facts.and_then(|facts| facts.elf.as_ref()) else { return Ok(None) };
    match &elf.linkage {
        Ok(linkage) => Ok(linkage.soname.clone().filter(|_| linkage.machine == architecture.elf_machine())),
        Err(fault) => Err(AssembleError::Library { path: path.clone(), source: fault.clone() }),
    }
}
