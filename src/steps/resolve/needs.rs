//! Libraries of the system that the ELF files of wheels need. These are the libraries in `DT_NEEDED` entries that no
//! wheel contains.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use super::scripts::Helpers;
use crate::catalog::sonames;
use crate::model::facts::{FileFacts, Linkage, is_extension_module};
use crate::model::hint::Hints;
use crate::model::lock::LockedWheel;
use crate::model::part::{Part, PartContents, PartEntry};
use crate::model::platform::Platform;
use crate::model::tree::Kind;

/// Everything that the chosen wheels and packages need from other packages, although no package declares it.
#[derive(Clone, Copy)]
pub(super) struct Needs<'a> {
    /// Libraries, each with a wheel that needs it.
    pub(super) libraries: &'a BTreeMap<String, String>,
    pub(super) scripts: &'a Helpers,
}

#[derive(Debug, Error)]
#[error("cannot use `{wheel}` on {platform}: its `{file}` is made for another processor (ELF machine {machine})")]
pub(crate) struct NeedsError {
    wheel: String,
    platform: Platform,
    file: String,
    machine: u16,
}

impl Hints for NeedsError {}

/// The prefixes of Qt's library names. Most Qt libraries can be loaded only together with Qt libraries of the same
/// build, because their private symbols have versions. If the wheels contain Qt, a file may need a Qt library that the
/// wheels do not contain. No library of the system would fit, so this file cannot be loaded. So all libraries that this
/// file needs are ignored.
const QT: [&str; 2] = ["libQt5", "libQt6"];

/// Qt's plugin that imitates GTK on a GNOME desktop. The libraries that it needs are ignored, because they would add
/// GTK with all its dependencies.
const DESKTOP_THEME: &str = "/plugins/platformthemes/libqgtk3.so";

/// The path of site-packages in the user base. The version of Python is left out, because only the depth of the path
/// matters here.
const SITE: &str = "lib/python3/site-packages";

/// The libraries and requirements of a wheel.
#[derive(Debug, Clone, Default)]
struct Contents {
    libraries: Vec<Library>,
    /// Normalised names of the distributions that the wheel requires, including the requirements of its extras.
    requires: Vec<String>,
}

/// An ELF file of a wheel.
#[derive(Debug, Clone)]
struct Library {
    /// The path of the library in the user base.
    path: String,
    linkage: Linkage,
}

impl Library {
    fn directory(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(directory, _)| directory)
    }

    /// Returns the names under which other files may need the library.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.path.rsplit('/').next().into_iter().chain(self.linkage.soname.as_deref())
    }
}

/// Returns each library that the wheels need from the system, with the first wheel that needs it. `parts` are the
/// opened wheels, in the same order.
pub(super) fn needs(
    wheels: &[LockedWheel],
    parts: &[Part],
    platform: Platform,
) -> Result<BTreeMap<String, String>, NeedsError> {
    let machine = platform.architecture.elf_machine();
    let mut named = Vec::new();
    for (wheel, part) in wheels.iter().zip(parts) {
        let mut contents = contents(wheel, part);
        let foreign = |library: &Library| library.linkage.machine != machine;
        if let Some(library) = contents.libraries.iter().find(|one| foreign(one) && is_extension_module(&one.path)) {
            return Err(NeedsError {
                wheel: wheel.file_name.clone(),
                platform,
                file: library.path.clone(),
                machine: library.linkage.machine,
            });
        }
        contents.libraries.retain(|library| !foreign(library));
        named.push((wheel.name.as_str(), contents));
    }
    Ok(unmet(&named))
}

/// Returns the needed libraries that no wheel provides.
fn unmet(wheels: &[(&str, Contents)]) -> BTreeMap<String, String> {
    let files: BTreeSet<&str> =
        wheels.iter().flat_map(|(_, contents)| &contents.libraries).map(|library| library.path.as_str()).collect();
    let mut needs = BTreeMap::new();
    for (name, contents) in wheels {
        let related = related(name, wheels);
        for library in contents.libraries.iter().filter(|library| !library.path.ends_with(DESKTOP_THEME)) {
            let is_brought = |needed: &&String| {
                is_found(library, needed, &files)
                    || is_loaded_before(library, needed, &contents.libraries, &files)
                    || (!sonames::is_of_manylinux(needed) && related.iter().any(|other| carries(other, needed)))
            };
            let is_open = |needed: &&String| !sonames::is_of_driver(needed) && !is_brought(needed);
            let open: Vec<&String> = library.linkage.needed.iter().filter(is_open).collect();
            if open.iter().any(|needed| is_of_own_qt(needed, &related)) {
                continue;
            }
            for needed in open {
                needs.entry(needed.clone()).or_insert_with(|| (*name).to_owned());
            }
        }
    }
    needs
}

/// Returns whether `needed` belongs to a Qt that the wheels contain.
fn is_of_own_qt(needed: &str, related: &[&Contents]) -> bool {
    let Some(stem) = QT.into_iter().find(|stem| needed.starts_with(stem)) else { return false };
    related.iter().flat_map(|contents| &contents.libraries).flat_map(Library::names).any(|name| name.starts_with(stem))
}

/// Returns whether the loader finds `needed` in a search path of `library`. The file may be in any wheel.
fn is_found(library: &Library, needed: &str, files: &BTreeSet<&str>) -> bool {
    if needed.contains('/') {
        return false;
    }
    library.linkage.search_paths.iter().any(|path| {
        let rest = path.strip_prefix("$ORIGIN").or_else(|| path.strip_prefix("${ORIGIN}"));
        rest.is_some_and(|rest| files.contains(joined(library.directory(), &format!("{rest}/{needed}")).as_str()))
    })
}

/// Returns whether the loader has loaded `needed` for another library of this wheel before it loads `library`. The
/// loader loads libraries breadth first, and loads each SONAME only once.
fn is_loaded_before(library: &Library, needed: &str, siblings: &[Library], files: &BTreeSet<&str>) -> bool {
    siblings.iter().any(|sibling| {
        sibling.linkage.needed.iter().any(|one| one == needed)
            && is_found(sibling, needed, files)
            && sibling.linkage.needed.iter().any(|one| library.names().any(|name| name == one))
    })
}

fn carries(contents: &Contents, needed: &str) -> bool {
    contents.libraries.iter().any(|library| library.names().any(|name| name == needed))
}

/// Returns the wheel itself and all its direct and indirect requirements. The code of the requirements runs before the
/// wheel's own libraries are loaded.
fn related<'a>(name: &str, wheels: &'a [(&str, Contents)]) -> Vec<&'a Contents> {
    let mut names = vec![name];
    let mut related: Vec<&Contents> = Vec::new();
    let mut next = 0;
    while let Some(name) = names.get(next).copied() {
        next += 1;
        let Some((_, contents)) = wheels.iter().find(|(other, _)| *other == name) else { continue };
        related.push(contents);
        for required in &contents.requires {
            if !names.contains(&required.as_str()) {
                names.push(required);
            }
        }
    }
    related
}

/// Joins `directory` and `path`, and resolves `.` and `..`.
fn joined(directory: &str, path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in directory.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}

/// Returns the wheel's libraries and requirements.
fn contents(wheel: &LockedWheel, part: &Part) -> Contents {
    let PartContents::Wheel(opened) = &part.contents else { return Contents::default() };
    let mut found = Contents { libraries: Vec::new(), requires: requires(&opened.metadata) };
    // Libraries in a wheel for all platforms are ignored, because they are only data.
    if !wheel.file_name.ends_with("-any.whl") {
        let folders = [(SITE, &opened.site), ("bin", &opened.scripts), ("", &opened.data), ("", &opened.headers)];
        for (folder, entries) in folders {
            found.libraries.extend(entries.iter().filter_map(|entry| library(folder, entry, &part.facts)));
        }
    }
    found
}

/// Returns `entry` as a library. `None` if the file is not an ELF file, or has 32 bits, because lath cannot meet the
/// needs of such a file.
fn library(folder: &str, entry: &PartEntry, facts: &FileFacts) -> Option<Library> {
    let Kind::File { digest, .. } = &entry.kind else { return None };
    let linkage = facts.get(digest)?.linkage()?.clone();
    Some(Library { path: joined(folder, &entry.path), linkage })
}

/// Returns the normalised names of the distributions in the fields `Requires-Dist` (packaging.python.org, "Core
/// metadata", "Names and normalization").
fn requires(metadata: &str) -> Vec<String> {
    let header = metadata.lines().take_while(|line| !line.is_empty());
    let mut names: Vec<String> = header
        .filter_map(|line| line.strip_prefix("Requires-Dist:"))
        .map(|requirement| {
            let is_of_name = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
            let name: String = requirement.trim().chars().take_while(is_of_name).collect();
            let parts: Vec<&str> = name.split(['-', '_', '.']).filter(|part| !part.is_empty()).collect();
            parts.join("-").to_lowercase()
        })
        .collect();
    names.sort();
    names.dedup();
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn library(path: &str, needed: &[&str], search_paths: &[&str]) -> Library {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Library {
            path: format!("{SITE}/{path}"),
            linkage: Linkage {
                machine: 62,
                soname: path.rsplit('/').next().map(str::to_owned),
                needed: owned(needed),
                search_paths: owned(search_paths),
                ..Linkage::default()
            },
        }
    }

    fn wheel(requires: &[&str], libraries: &[Library]) -> Contents {
        let requires = requires.iter().map(|name| (*name).to_owned()).collect();
        Contents { libraries: libraries.to_vec(), requires }
    }

    fn needed(wheels: &[(&str, Contents)]) -> Vec<String> {
        unmet(wheels).into_iter().map(|(library, wheel)| format!("{library} of {wheel}")).collect()
    }

    #[test]
    fn what_lies_where_a_library_looks_is_brought_in_its_own_wheel_or_another() {
        let own = [library("a/m.so", &["libx.so.1"], &["$ORIGIN/../a.libs"]), library("a.libs/libx.so.1", &[], &[])];
        let other = [library("b/m.so", &["libx.so.1", "liby.so.1"], &["$ORIGIN/../a.libs"])];
        assert_eq!(needed(&[("a", wheel(&[], &own)), ("b", wheel(&[], &other))]), ["liby.so.1 of b"]);
    }

    #[test]
    fn a_library_that_an_unrelated_wheel_carries_hides_no_need() {
        let carrier = wheel(&[], &[library("a.libs/libx.so.1", &[], &[])]);
        let asker = |requires: &[&str]| wheel(requires, &[library("b/m.so", &["libx.so.1"], &[])]);
        assert_eq!(needed(&[("a", carrier.clone()), ("b", asker(&[]))]), ["libx.so.1 of b"]);
        // `b` requires `a`, directly or through `c`, so `a` has loaded its own copy before.
        assert!(needed(&[("a", carrier.clone()), ("b", asker(&["a"]))]).is_empty());
        let between = wheel(&["a"], &[]);
        assert!(needed(&[("a", carrier), ("b", asker(&["c"])), ("c", between)]).is_empty());
    }

    #[test]
    fn a_system_library_counts_only_where_the_loader_finds_it() {
        let private = library("a.libs/libstdc++.so.6", &[], &[]);
        let knows = library("a/knows.so", &["libstdc++.so.6", "libmine.so.1"], &["$ORIGIN/../a.libs"]);
        let through = library("a.libs/libmine.so.1", &["libstdc++.so.6"], &[]);
        let alone = library("a/alone.so", &["libstdc++.so.6"], &[]);
        let wheels = |libraries: &[Library]| [("a", wheel(&[], libraries))];
        assert!(needed(&wheels(&[private.clone(), knows.clone(), through.clone()])).is_empty());
        assert_eq!(needed(&wheels(&[private.clone(), knows, through, alone.clone()])), ["libstdc++.so.6 of a"]);
        let other = wheel(&["a"], &[alone]);
        assert_eq!(needed(&[("a", wheel(&[], &[private])), ("b", other)]), ["libstdc++.so.6 of b"]);
    }

    #[test]
    fn a_part_of_qt_is_never_the_systems_where_a_wheel_brings_qt() {
        let core = library("q/lib/libQt6Core.so.6", &["libglib-2.0.so.0"], &[]);
        let dead = library("q/qml/libweb.so", &["libQt6WebEngineQuick.so.6", "libnss3.so"], &[]);
        let theme = library("q/plugins/platformthemes/libqgtk3.so", &["libgtk-3.so.0"], &[]);
        let wheels = [("q", wheel(&[], &[core, dead.clone(), theme]))];
        assert_eq!(needed(&wheels), ["libglib-2.0.so.0 of q"]);
        assert_eq!(needed(&[("d", wheel(&[], &[dead]))]), ["libQt6WebEngineQuick.so.6 of d", "libnss3.so of d"]);
    }

    #[test]
    fn a_library_of_the_hosts_driver_is_no_need() {
        let names =
            ["libcuda.so.1", "libnvidia-ml.so.1", "libnvidia-encode.so.1", "libnvcuvid.so.1", "libGLX_nvidia.so.0"];
        let of_driver = library("t/lib/libtorch_cuda.so", &names, &[]);
        assert_eq!(needed(&[("t", wheel(&[], &[of_driver]))]), Vec::<String>::new());
        let others = library("t/lib/libtorch_cuda.so", &["libcuda.so.1", "libcudart.so.12", "libnvrtc.so.12"], &[]);
        assert_eq!(needed(&[("t", wheel(&[], &[others]))]), ["libcudart.so.12 of t", "libnvrtc.so.12 of t"]);
    }

    #[test]
    fn requirements_are_read_as_normalised_names() {
        let metadata = "Name: x\nRequires-Dist: Foo_Bar.baz[x]>=1; extra == 'y'\nRequires-Dist: numpy (>=2)\n\nRequires-Dist: no\n";
        assert_eq!(requires(metadata), ["foo-bar-baz", "numpy"]);
    }
}
