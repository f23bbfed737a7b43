//! The C library, the folders of libraries, and the libraries in them.

use std::collections::{BTreeMap, BTreeSet};

use memchr::memmem;

use super::Scene;
use crate::formats::ld_so_conf::{ConfFiles, LD_SO_CONF, configured};
use crate::formats::ldcache;
use crate::model::base_image::{Libc, LibcFamily};
use crate::model::image_path::ImagePath;
use crate::outside::store::StoreError;

/// Returns the existing folders in which the loader searches. Links in their paths are resolved.
///
/// Both loaders search the folders of `LD_LIBRARY_PATH` first. Then glibc's loader searches its cache and its default
/// folders (ld.so(8)). The cache contains the libraries in the folders of `ld.so.conf`. musl's loader searches the
/// folders that a file lists, or else three default folders (musl, `ldso/dynlink.c`).
pub(super) fn folders(scene: &Scene<'_>) -> Result<Vec<ImagePath>, StoreError> {
    let architecture = scene.platform.architecture;
    let mut names: Vec<String> = Vec::new();
    let listed = |text: &str| -> Vec<String> {
        text.split([':', '\n']).filter(|name| !name.is_empty()).map(str::to_owned).collect()
    };
    names.extend(scene.variable("LD_LIBRARY_PATH").map(listed).unwrap_or_default());
    names.extend(configured(scene, LD_SO_CONF, &mut BTreeSet::new())?);
    let cache = scene.bytes("/etc/ld.so.cache")?.and_then(|bytes| ldcache::read(&bytes)).unwrap_or_default();
    let cached = cache.iter().filter_map(|library| library.path.rsplit_once('/'));
    names.extend(cached.map(|(folder, _)| folder.to_owned()).collect::<BTreeSet<_>>());
    let musl = scene.text(&format!("/etc/ld-musl-{}.path", architecture.machine()))?;
    names.extend(musl.map(|text| listed(&text)).unwrap_or_default());
    let triplet = architecture.triplet();
    names.extend([format!("/lib/{triplet}"), format!("/usr/lib/{triplet}")]);
    names.extend(["/lib64", "/usr/lib64", "/lib", "/usr/local/lib", "/usr/lib"].map(str::to_owned));
    let mut known = BTreeSet::new();
    let there = names.iter().filter_map(|name| scene.directory(name));
    Ok(there.filter(|folder| known.insert(folder.clone())).collect())
}

impl ConfFiles for Scene<'_> {
    type Error = StoreError;

    fn text(&self, path: &str) -> Result<Option<(ImagePath, String)>, StoreError> {
        let Some((place, _)) = self.file(path) else { return Ok(None) };
        let text = Scene::text(self, place.as_str())?.unwrap_or_default();
        Ok(Some((place, text)))
    }

    fn children(&self, folder: &str) -> Vec<ImagePath> {
        let children = self.directory(folder).map(|folder| Scene::children(self, &folder)).unwrap_or_default();
        children.into_iter().map(|(path, _)| path.clone()).collect()
    }
}

/// Returns the path of each library in the folders, by its SONAME. If two libraries have the same SONAME, the loader
/// uses the one in the earlier folder, so this one is returned.
pub(super) fn libraries(scene: &Scene<'_>, folders: &[ImagePath]) -> BTreeMap<String, ImagePath> {
    let mut libraries = BTreeMap::new();
    for folder in folders {
        for (path, node) in scene.children(folder) {
            let Some(linkage) = scene.facts_of(node).and_then(|facts| facts.linkage()) else { continue };
            if linkage.machine != scene.platform.architecture.elf_machine() || !linkage.is_dynamic {
                continue;
            }
            let named = || path.file_name().contains(".so").then(|| path.file_name().to_owned());
            if let Some(soname) = linkage.soname.clone().or_else(named) {
                libraries.entry(soname).or_insert_with(|| path.clone());
            }
        }
    }
    libraries
}

/// Returns the C library that `programs` use. If no program uses one, returns the C library that the image contains.
pub(super) fn libc(
    scene: &Scene<'_>,
    folders: &[ImagePath],
    programs: &[&ImagePath],
) -> Result<Option<Libc>, StoreError> {
    let loaders = programs.iter().filter_map(|path| {
        let (_, node) = scene.file(path.as_str())?;
        scene.facts_of(node)?.linkage()?.interpreter.as_deref()
    });
    let uses_musl = loaders.map(|loader| loader.contains("ld-musl-")).next();
    let (glibc, musl) = (glibc(scene, folders)?, musl(scene)?);
    Ok(if uses_musl == Some(true) { musl.or(glibc) } else { glibc.or(musl) })
}

fn glibc(scene: &Scene<'_>, folders: &[ImagePath]) -> Result<Option<Libc>, StoreError> {
    let paths = folders.iter().filter_map(|folder| folder.join("libc.so.6").ok());
    let Some((path, _)) = paths.into_iter().find_map(|path| scene.file(path.as_str())) else { return Ok(None) };
    let bytes = scene.bytes(path.as_str())?.unwrap_or_default();
    Ok(Some(Libc { family: LibcFamily::Glibc, version: glibc_version(&bytes), path }))
}

fn musl(scene: &Scene<'_>) -> Result<Option<Libc>, StoreError> {
    let loader = format!("/lib/ld-musl-{}.so.1", scene.platform.architecture.machine());
    let Some((path, _)) = scene.file(&loader) else { return Ok(None) };
    let bytes = scene.bytes(path.as_str())?.unwrap_or_default();
    let version = match musl_version(&bytes) {
        None => apk_version(&scene.text("/lib/apk/db/installed")?.unwrap_or_default()),
        found => found,
    };
    Ok(Some(Libc { family: LibcFamily::Musl, version, path }))
}

/// Returns the version of a glibc. It is in a text such as `GNU C Library (...) stable release version 2.36.`. If there
/// is no such text, returns the newest version of a symbol, such as `GLIBC_2.36`.
fn glibc_version(bytes: &[u8]) -> Option<String> {
    let banner = memmem::find(bytes, b"GNU C Library").map(|at| &bytes[at..(at + 256).min(bytes.len())]);
    let release = banner.and_then(|banner| {
        let at = memmem::find(banner, b"release version ")? + b"release version ".len();
        numbers(&banner[at..])
    });
    release.or_else(|| {
        let symbols = memmem::find_iter(bytes, b"GLIBC_2.").filter_map(|at| numbers(&bytes[at + b"GLIBC_".len()..]));
        symbols.max_by_key(|version| version.split('.').filter_map(|part| part.parse().ok()).collect::<Vec<u32>>())
    })
}

/// Returns the version of a musl. It is the value of `__libc_version`, a string such as `1.2.5` or `1.2.5-git-12`.
fn musl_version(bytes: &[u8]) -> Option<String> {
    let candidates = memmem::find_iter(bytes, b"\x001.").filter_map(|at| {
        let text = &bytes[at + 1..];
        let end = memchr::memchr(0, &text[..text.len().min(32)])?;
        let text = std::str::from_utf8(&text[..end]).ok()?;
        let number = text.split('-').next()?;
        let is_version = number.split('.').count() == 3 && number.split('.').all(|part| part.parse::<u16>().is_ok());
        is_version.then(|| number.to_owned())
    });
    let found: BTreeSet<String> = candidates.collect();
    found.into_iter().next()
}

/// Reads the version of `musl` in apk's database: `V:1.2.5-r0` (wiki.alpinelinux.org, "Apk spec").
fn apk_version(text: &str) -> Option<String> {
    let package = text.split("\n\n").find(|package| package.lines().any(|line| line == "P:musl"))?;
    let version = package.lines().find_map(|line| line.strip_prefix("V:"))?;
    version.split('-').next().map(str::to_owned)
}

/// Returns the digits and dots at the beginning of `bytes`, without a dot at the end.
fn numbers(bytes: &[u8]) -> Option<String> {
    let end = bytes.iter().position(|byte| !byte.is_ascii_digit() && *byte != b'.').unwrap_or(bytes.len());
    let text = std::str::from_utf8(&bytes[..end]).ok()?.trim_end_matches('.');
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_texts_of_the_libraries() {
        let banner = b"\0GNU C Library (Debian GLIBC 2.36-9+deb12u10) stable release version 2.36.\nCopyright";
        assert_eq!(glibc_version(banner).as_deref(), Some("2.36"));
        assert_eq!(glibc_version(b"\0GLIBC_2.9\0GLIBC_2.34\0GLIBC_2.3.4\0").as_deref(), Some("2.34"));
        assert_eq!(glibc_version(b"\0GLIBC_PRIVATE\0"), None);
        assert_eq!(musl_version(b"x\x001.2.5\0musl libc (x86_64)\nVersion %s\n").as_deref(), Some("1.2.5"));
        assert_eq!(musl_version(b"x\x001.2.5-git-12\0").as_deref(), Some("1.2.5"));
        assert_eq!(musl_version(b"x\x001.5\0 1.2.3 \x001.2.3.4\0"), None);
        let apk = "P:busybox\nV:1.36.1-r29\n\nC:Q1\nP:musl\nV:1.2.5-r0\nA:x86_64\n";
        assert_eq!(apk_version(apk).as_deref(), Some("1.2.5"));
    }
}
