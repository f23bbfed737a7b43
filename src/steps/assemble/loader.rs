//! `ld.so.cache` for the libraries of the tree, as `ldconfig` would write it.

use std::collections::BTreeMap;

use super::AssembleError;
use crate::formats::elf::{self, ElfFile};
use crate::formats::ldcache::{self, Library};
use crate::model::digest::Digest;
use crate::model::image_path::ImagePath;
use crate::model::platform::Architecture;
use crate::model::tree::{Kind, Node, Origin, Tree};
use crate::outside::store::Store;

/// Writes `/etc/ld.so.cache` for the directories that Debian's `ld.so.conf` names.
pub(super) fn write_cache(tree: &mut Tree, architecture: Architecture, store: &Store) -> Result<(), AssembleError> {
    let triplet = architecture.triplet();
    let directories = [format!("/usr/lib/{triplet}"), "/usr/lib".to_owned(), format!("/usr/local/lib/{triplet}")];
    let mut libraries: BTreeMap<String, String> = BTreeMap::new();
    for directory in directories {
        for (path, node) in &tree.nodes {
            let is_here = path.parent().is_some_and(|parent| parent.as_str() == directory);
            let is_library = path.file_name().contains(".so")
                && (path.file_name().starts_with("lib") || path.file_name().starts_with("ld-"));
            let Kind::File { digest, .. } = &node.kind else { continue };
            if !is_here || !is_library {
                continue;
            }
            let Some(soname) = soname(path, digest, architecture, store)? else { continue };
            let link = ImagePath::parse(&format!("{directory}/{soname}"))?;
            // The loader opens the SONAME's path: a library without one there is not found through the cache.
            if tree.nodes.contains_key(&link) {
                libraries.entry(soname).or_insert_with(|| link.as_str().to_owned());
            }
        }
    }
    let libraries: Vec<Library> = libraries.into_iter().map(|(soname, path)| Library { soname, path }).collect();
    let bytes = ldcache::write(&libraries, architecture);
    let digest = store.put(&bytes)?;
    let node = Node::file(digest, bytes.len() as u64, 0o644, Origin::Lath);
    tree.insert(ImagePath::parse("/etc/ld.so.cache")?, node);
    Ok(())
}

/// The SONAME of a library, from an earlier reading where there is one.
fn soname(
    path: &ImagePath,
    digest: &Digest,
    architecture: Architecture,
    store: &Store,
) -> Result<Option<String>, AssembleError> {
    const SHELF: &str = "sonames-1";
    if let Some(noted) = store.note::<Option<String>>(SHELF, digest) {
        return Ok(noted);
    }
    let parsed = elf::parse(&store.read(digest)?);
    let file: Option<ElfFile> = parsed.map_err(|source| AssembleError::Library { path: path.clone(), source })?;
    let soname = file.filter(|file| file.machine == architecture.elf_machine()).and_then(|file| file.soname);
    store.write_note(SHELF, digest, &soname)?;
    Ok(soname)
}
