//! Writes `ld.so.cache` for the libraries of the tree, like `ldconfig`.

use std::collections::{BTreeMap, BTreeSet};

use super::{AssembleError, write_bytes};
use crate::formats::ld_so_conf::{ConfFiles, LD_SO_CONF, configured};
use crate::formats::ldcache::{self, Library};
use crate::model::assembly::Assembly;
use crate::model::facts::TreeFacts;
use crate::model::image_path::{ImagePath, usr_merged};
use crate::model::platform::Architecture;
use crate::model::tree::{Kind, Node, Origin, Tree};
use crate::outside::store::{Store, StoreError};

const CACHE: &str = "/etc/ld.so.cache";

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
        // The cache contains the path as it is configured. Links in this path are followed only to list the directory.
        let Some((real, _)) = tree.find(&directory) else { continue };
        for (path, node) in tree.children(&real) {
            let is_library = path.file_name().contains(".so")
                && (path.file_name().starts_with("lib") || path.file_name().starts_with("ld-"));
            let soname = if is_library { soname(tree, facts, path, node, architecture)? } else { None };
            let Some(soname) = soname.filter(|soname| !soname.contains('/')) else { continue };
            // The loader opens a library at the path with its SONAME. If this path does not exist, ldconfig creates it
            // as a link to the library.
            let link = real.join(&soname)?;
            libraries.entry(soname).or_insert_with_key(|soname| format!("{directory}/{soname}"));
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
    write_bytes(tree, CACHE, &bytes, 0o644, store)
}

/// The files of the tree with the configuration of `ldconfig`.
struct Configuration<'a> {
    tree: &'a Tree,
    store: &'a Store,
}

impl ConfFiles for Configuration<'_> {
    type Error = StoreError;

    fn text(&self, path: &str) -> Result<Option<(ImagePath, String)>, StoreError> {
        let Some((place, node)) = self.tree.find(path) else { return Ok(None) };
        let Some(digest) = node.digest() else { return Ok(None) };
        Ok(Some((place, String::from_utf8_lossy(&self.store.read(digest)?).into_owned())))
    }

    fn children(&self, folder: &str) -> Vec<ImagePath> {
        let folder = self.tree.find(folder).map(|(folder, _)| folder);
        folder.iter().flat_map(|folder| self.tree.children(folder)).map(|(path, _)| path.clone()).collect()
    }
}

/// Returns the directories that ldconfig searches. First come the directories of `ld.so.conf` and of the files in
/// `ld.so.conf.d`, then the default directories of the loader, and then those of the cache that a base image has. If
/// `/lib` is a link into `/usr`, the corresponding directory in `/usr/lib` is returned for a directory in `/lib`.
fn directories(tree: &Tree, architecture: Architecture, store: &Store) -> Result<Vec<String>, AssembleError> {
    let configuration = Configuration { tree, store };
    let mut known = BTreeSet::new();
    let mut directories = configured(&configuration, LD_SO_CONF, &mut known)?;
    // A tree without `ld.so.conf` may have these files, too.
    for path in tree.nodes.keys() {
        if path.is_within("/etc/ld.so.conf.d") && path.as_str().ends_with(".conf") {
            directories.extend(configured(&configuration, path.as_str(), &mut known)?);
        }
    }
    let triplet = architecture.triplet();
    directories.extend([format!("/usr/local/lib/{triplet}"), format!("/lib/{triplet}"), format!("/usr/lib/{triplet}")]);
    directories.extend(["/lib", "/usr/lib"].map(str::to_owned));
    directories.extend(cached(tree, store)?);
    let mut directories: Vec<String> =
        directories.iter().map(|directory| spelled(tree, directory.trim_end_matches('/'))).collect();
    let mut seen = BTreeSet::new();
    directories.retain(|directory| !directory.is_empty() && seen.insert(directory.clone()));
    Ok(directories)
}

/// Returns the directories of the cache that is in the tree. The loader uses the libraries in `glibc-hwcaps` only on
/// certain processors, so they are left out.
fn cached(tree: &Tree, store: &Store) -> Result<BTreeSet<String>, StoreError> {
    let Some(digest) = tree.find(CACHE).and_then(|(_, node)| node.digest()) else { return Ok(BTreeSet::new()) };
    let libraries = ldcache::read(&store.read(digest)?).unwrap_or_default();
    let directories = libraries.iter().filter_map(|library| library.path.rsplit_once('/')).map(|(folder, _)| folder);
    Ok(directories.filter(|folder| !folder.contains("/glibc-hwcaps")).map(str::to_owned).collect())
}

/// Returns the path of a directory as it is written into the cache.
fn spelled(tree: &Tree, directory: &str) -> String {
    let merged = usr_merged(directory);
    let real = |path: &str| tree.find(path).map(|(path, _)| path);
    if real(directory) == real(&merged) { merged.into_owned() } else { directory.to_owned() }
}

/// Returns the SONAME of a library. `None` if the library has no SONAME, or is for another processor.
fn soname(
    tree: &Tree,
    facts: &TreeFacts,
    path: &ImagePath,
    node: &Node,
    architecture: Architecture,
) -> Result<Option<String>, AssembleError> {
    let is_of_base = node.origin == Origin::Base;
    let node = match node.kind {
        // A base image may have libraries outside of these directories, and links to them. In other images, only links
        // of alternatives are like this, and the loader finds them in its default directories.
        Kind::Link { .. } if is_of_base => tree.find(path.as_str()).map(|(_, node)| node),
        _ => Some(node),
    };
    let Some(elf) = node.and_then(|node| facts.of(node)?.elf.as_ref()) else { return Ok(None) };
    match &elf.linkage {
        Ok(linkage) => Ok(linkage.soname.clone().filter(|_| linkage.machine == architecture.elf_machine())),
        // The base image works without this library.
        Err(_) if is_of_base => Ok(None),
        Err(fault) => Err(AssembleError::Library { path: path.clone(), source: fault.clone() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::digest::Digest;
    use crate::model::facts::{Elf, Facts, Linkage};

    /// Returns an image with these files, links (`-> TARGET`) and libraries (`soname NAME`).
    fn image(store: &Store, origin: &Origin, paths: &[(&str, &str)]) -> Assembly {
        let mut assembly = Assembly::default();
        for (path, text) in paths {
            let path = ImagePath::parse(path).unwrap();
            if let Some(target) = text.strip_prefix("-> ") {
                assembly.tree.insert(path, Node::link(target, origin.clone()));
                continue;
            }
            let digest = store.put(text.as_bytes()).unwrap();
            assembly.tree.insert(path, Node::file(digest, text.len() as u64, 0o644, origin.clone()));
            if let Some(soname) = text.strip_prefix("soname ") {
                let machine = Architecture::Amd64.elf_machine();
                let linkage = Linkage { soname: Some(soname.to_owned()), machine, ..Linkage::default() };
                let elf = Elf { machine: Some(machine), linkage: Ok(linkage) };
                assembly.facts.add(origin, digest, Facts { elf: Some(elf), ..Facts::default() });
            }
        }
        assembly
    }

    fn cache(assembly: &mut Assembly, store: &Store) -> Vec<String> {
        write_cache(assembly, Architecture::Amd64, store).unwrap();
        let digest = *assembly.tree.find(CACHE).unwrap().1.digest().unwrap();
        let mut paths: Vec<String> =
            ldcache::read(&store.read(&digest).unwrap()).unwrap().into_iter().map(|library| library.path).collect();
        paths.sort();
        paths
    }

    #[test]
    fn the_libraries_of_a_base_image_stay_in_its_cache() {
        let (_home, store) = crate::outside::store::tests::store();
        let mut assembly = image(
            &store,
            &Origin::Base,
            &[
                ("/etc/ld.so.conf", "/opt/direct\ninclude ld.so.conf.d/*.conf\n"),
                ("/etc/ld.so.conf.d/a.conf", "/opt/linked/lib/ # a comment\n"),
                ("/opt/direct/libdirect.so.1", "soname libdirect.so.1"),
                ("/opt/linked", "-> /srv/real"),
                ("/srv/real/lib/liblinked.so.1.2", "soname liblinked.so.1"),
                ("/usr/lib/x86_64-linux-gnu/libouter.so.1", "-> /srv/more/libouter.so.1.5"),
                ("/srv/more/libouter.so.1.5", "soname libouter.so.1"),
                ("/lib/x86_64-linux-gnu/libunmerged.so.1", "soname libunmerged.so.1"),
            ],
        );
        let old = [Library { soname: "libold.so.1".to_owned(), path: "/srv/old/libold.so.1".to_owned() }];
        write_bytes(&mut assembly.tree, CACHE, &ldcache::write(&old, Architecture::Amd64), 0o644, &store).unwrap();
        let more = image(&store, &Origin::Base, &[("/srv/old/libold.so.1", "soname libold.so.1")]);
        assembly.tree.nodes.extend(more.tree.nodes);
        let digest = Digest::of(b"soname libold.so.1");
        let facts = more.facts.of(&Node::file(digest, 0, 0, Origin::Base)).unwrap().clone();
        assembly.facts.add(&Origin::Base, digest, facts);
        assert_eq!(
            cache(&mut assembly, &store),
            [
                "/lib/x86_64-linux-gnu/libunmerged.so.1",
                "/opt/direct/libdirect.so.1",
                "/opt/linked/lib/liblinked.so.1",
                "/srv/old/libold.so.1",
                "/usr/lib/x86_64-linux-gnu/libouter.so.1",
            ]
        );
        // ldconfig would create this link.
        assert!(assembly.tree.find("/srv/real/lib/liblinked.so.1").is_some());
    }

    #[test]
    fn a_directory_of_the_merged_usr_is_listed_once() {
        let (_home, store) = crate::outside::store::tests::store();
        let origin = Origin::Deb { name: "x".to_owned(), version: "1".to_owned() };
        let mut assembly = image(
            &store,
            &origin,
            &[
                ("/lib", "-> usr/lib"),
                ("/etc/ld.so.conf.d/x.conf", "/usr/local/lib\n/lib/x86_64-linux-gnu\n"),
                ("/usr/lib/x86_64-linux-gnu/liba.so.1", "soname liba.so.1"),
                ("/usr/lib/x86_64-linux-gnu/libalternative.so.1", "-> /srv/libalternative.so.1"),
                ("/srv/libalternative.so.1", "soname libalternative.so.1"),
                ("/usr/local/lib/liblocal.so.1", "soname liblocal.so.1"),
            ],
        );
        assert_eq!(
            cache(&mut assembly, &store),
            ["/usr/lib/x86_64-linux-gnu/liba.so.1", "/usr/local/lib/liblocal.so.1"]
        );
    }
}
