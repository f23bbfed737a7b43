//! Libraries of the system that the ELF files of wheels need: `DT_NEEDED` entries that no wheel contains.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader, Read};

use fs_err as fs;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::formats::elf;
use crate::formats::wheel::{Scheme, Wheel, WheelError};
use crate::model::digest::DigestWriter;
use crate::model::lock::LockedWheel;
use crate::model::platform::Platform;
use crate::outside::store::{Bucket, Store, StoreError};

#[derive(Debug, Error)]
pub(crate) enum NeedsError {
    #[error("cannot read the libraries of `{wheel}`")]
    Wheel { wheel: String, source: WheelError },
    #[error("cannot read the libraries of `{wheel}`")]
    Open { wheel: String, source: std::io::Error },
    #[error("cannot use `{wheel}` on {platform}: its `{file}` is made for another processor (ELF machine {machine})")]
    Machine { wheel: String, platform: Platform, file: String, machine: u16 },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Libraries that manylinux lets a wheel use from the system (PEP 600; auditwheel's policies). If one wheel contains a
/// private copy of such a library, that does not mean that another wheel finds it.
const SYSTEM: [&str; 20] = [
    "libGL.so.1",
    "libICE.so.6",
    "libSM.so.6",
    "libX11.so.6",
    "libXext.so.6",
    "libXrender.so.1",
    "libatomic.so.1",
    "libc.so.6",
    "libdl.so.2",
    "libexpat.so.1",
    "libgcc_s.so.1",
    "libglib-2.0.so.0",
    "libgobject-2.0.so.0",
    "libgthread-2.0.so.0",
    "libm.so.6",
    "libpthread.so.0",
    "libresolv.so.2",
    "librt.so.1",
    "libstdc++.so.6",
    "libz.so.1",
];

/// The prefixes of Qt's library names. Most of these libraries load only together with others of the same build,
/// because of the versions of their private symbols. If a file needs a Qt library that the wheel with Qt does not
/// contain, the file is ignored, because no library of the system would fit.
const QT: [&str; 2] = ["libQt5", "libQt6"];

/// Qt's plugin that imitates GTK on a GNOME desktop. It would add GTK with all its dependencies.
const DESKTOP_THEME: &str = "/plugins/platformthemes/libqgtk3.so";

/// The path of site-packages in the user base. Only its depth matters here, not the digits of the version.
const SITE: &str = "lib/python3/site-packages";

/// The libraries and requirements of a wheel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Contents {
    libraries: Vec<Library>,
    /// Normalised names of the distributions that the wheel requires, with any extra.
    requires: Vec<String>,
}

/// An ELF file of a wheel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Library {
    /// Its path in the user base.
    path: String,
    machine: u16,
    soname: Option<String>,
    needed: Vec<String>,
    /// In the dynamic loader's form; `$ORIGIN` is not expanded.
    search_paths: Vec<String>,
}

impl Library {
    fn directory(&self) -> &str {
        self.path.rsplit_once('/').map_or("", |(directory, _)| directory)
    }

    /// Returns the names under which other files may need it.
    fn names(&self) -> impl Iterator<Item = &str> {
        self.path.rsplit('/').next().into_iter().chain(self.soname.as_deref())
    }
}

/// Returns each library that the wheels need from the system, with the first wheel that needs it.
pub(super) fn needs(
    wheels: &[LockedWheel],
    platform: Platform,
    store: &Store,
) -> Result<BTreeMap<String, String>, NeedsError> {
    let read: Result<Vec<Contents>, NeedsError> = wheels.par_iter().map(|wheel| contents(wheel, store)).collect();
    let machine = platform.architecture.elf_machine();
    let mut named = Vec::new();
    for (wheel, mut contents) in wheels.iter().zip(read?) {
        let foreign = |library: &Library| library.machine != machine;
        if let Some(library) = contents.libraries.iter().find(|one| foreign(one) && is_extension_module(&one.path)) {
            return Err(NeedsError::Machine {
                wheel: wheel.file_name.clone(),
                platform,
                file: library.path.clone(),
                machine: library.machine,
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
                    || (!SYSTEM.contains(&needed.as_str()) && related.iter().any(|other| carries(other, needed)))
            };
            let open: Vec<&String> = library.needed.iter().filter(|needed| !is_brought(needed)).collect();
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

/// Returns whether the loader finds `needed` in a search path of `library`, in any wheel.
fn is_found(library: &Library, needed: &str, files: &BTreeSet<&str>) -> bool {
    if needed.contains('/') {
        return false;
    }
    library.search_paths.iter().any(|path| {
        let rest = path.strip_prefix("$ORIGIN").or_else(|| path.strip_prefix("${ORIGIN}"));
        rest.is_some_and(|rest| files.contains(joined(library.directory(), &format!("{rest}/{needed}")).as_str()))
    })
}

/// Returns whether another library of this wheel has already loaded `needed` by the time `library` is loaded. The
/// loader works breadth first and does not load a SONAME twice.
fn is_loaded_before(library: &Library, needed: &str, siblings: &[Library], files: &BTreeSet<&str>) -> bool {
    siblings.iter().any(|sibling| {
        sibling.needed.iter().any(|one| one == needed)
            && is_found(sibling, needed, files)
            && sibling.needed.iter().any(|one| library.names().any(|name| name == one))
    })
}

fn carries(contents: &Contents, needed: &str) -> bool {
    contents.libraries.iter().any(|library| library.names().any(|name| name == needed))
}

/// Returns the wheel itself and all its direct and indirect requirements. Their code runs before the wheel's own
/// libraries are loaded.
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

/// Returns whether the interpreter itself would load the file: `name.cpython-313-x86_64-linux-gnu.so`, `name.abi3.so`.
fn is_extension_module(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name.ends_with(".abi3.so") || (name.contains(".cpython-") && name.ends_with(".so"))
}

/// Returns the wheel's libraries and requirements, from the cache if the wheel was read before.
fn contents(wheel: &LockedWheel, store: &Store) -> Result<Contents, NeedsError> {
    if let Some(noted) = store.entry(Bucket::Libraries, &wheel.digest) {
        return Ok(noted);
    }
    let unreadable = |source| NeedsError::Wheel { wheel: wheel.file_name.clone(), source };
    let file = fs::File::open(store.parcel_path(&wheel.digest))
        .map_err(|source| NeedsError::Open { wheel: wheel.file_name.clone(), source })?;
    let opened = Wheel::open(BufReader::new(file)).and_then(|mut archive| Ok((archive.header()?, archive)));
    // A wheel for any platform contains no library that a platform could load. Other faults in it are reported when it
    // is unpacked.
    let is_pure = wheel.file_name.ends_with("-any.whl");
    let (header, mut archive) = match opened {
        Err(_) if is_pure => return Ok(Contents::default()),
        opened => opened.map_err(unreadable)?,
    };
    let mut found = Contents { libraries: Vec::new(), requires: requires(&header.metadata) };
    if !is_pure {
        archive
            .files(|scheme, path, _, reader| library(scheme, path, reader, store, &mut found))
            .map_err(unreadable)?;
    }
    store.write_entry(Bucket::Libraries, &wheel.digest, &found)?;
    Ok(found)
}

/// Takes one file of a wheel if it is an ELF file, and returns its sha256 then.
fn library(
    scheme: Scheme,
    path: String,
    reader: &mut dyn Read,
    store: &Store,
    found: &mut Contents,
) -> Result<Option<[u8; 32]>, WheelError> {
    let mut start = Vec::new();
    let failed = |source| WheelError::Read { file: path.clone(), source };
    reader.take(4).read_to_end(&mut start).map_err(failed)?;
    if start != b"\x7fELF" {
        return Ok(None);
    }
    let mut writer = DigestWriter::new(store.spool());
    io::copy(&mut start.chain(reader), &mut writer).map_err(failed)?;
    let (spool, digest, _) = writer.finish();
    let path = match scheme {
        Scheme::Site => format!("{SITE}/{path}"),
        Scheme::Scripts => format!("bin/{path}"),
        Scheme::Data | Scheme::Headers => path.clone(),
    };
    // One that cannot be read, or is of 32 bits, needs nothing that lath could bring.
    if let Ok(Some(file)) = elf::parse_file(spool) {
        found.libraries.push(Library {
            path,
            machine: file.machine,
            soname: file.soname,
            needed: file.needed,
            search_paths: file.search_paths,
        });
    }
    Ok(Some(*digest.as_bytes()))
}

/// Returns the names of `Requires-Dist`, normalised (packaging.python.org, "Core metadata", "Names and normalization").
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
            machine: 62,
            soname: path.rsplit('/').next().map(str::to_owned),
            needed: owned(needed),
            search_paths: owned(search_paths),
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
        let other = [library("b/m.so", &["libx.so.1", "liby.so.1"], &["/usr/lib", "${ORIGIN}/../a.libs:"])];
        let other = [Library { search_paths: vec!["$ORIGIN/../a.libs".to_owned()], ..other[0].clone() }];
        assert_eq!(needed(&[("a", wheel(&[], &own)), ("b", wheel(&[], &other))]), ["liby.so.1 of b"]);
    }

    #[test]
    fn a_library_that_an_unrelated_wheel_carries_hides_no_need() {
        let carrier = wheel(&[], &[library("a.libs/libx.so.1", &[], &[])]);
        let asker = |requires: &[&str]| wheel(requires, &[library("b/m.so", &["libx.so.1"], &[])]);
        assert_eq!(needed(&[("a", carrier.clone()), ("b", asker(&[]))]), ["libx.so.1 of b"]);
        // A distribution that it requires has loaded its own copy before, also if the requirement is indirect.
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
    fn requirements_are_read_as_normalised_names() {
        let metadata = "Name: x\nRequires-Dist: Foo_Bar.baz[x]>=1; extra == 'y'\nRequires-Dist: numpy (>=2)\n\nRequires-Dist: no\n";
        assert_eq!(requires(metadata), ["foo-bar-baz", "numpy"]);
    }
}
