//! Libraries that a failed program did not find, and the packages that contain them.

use std::collections::{BTreeMap, BTreeSet};

use super::ProveError;
use crate::catalog::sonames;
use crate::model::hint::{Addition, Hint};
use crate::model::made::Made;
use crate::model::receipt::ProofSummary;
use crate::model::request::ReleaseRequest;
use crate::outside::archive::index::PackageIndex;
use crate::outside::archive::{ArchiveError, Snapshot};
use crate::outside::world::World;

/// The beginning of the list that the driver of imports adds to an error.
const MISSED: &str = "ctypes did not find: ";

/// Returns the libraries that `line` reports as missing. Each is a SONAME (`libudev.so.1`) or a name without version.
pub(super) fn missing_libraries(line: &str) -> Vec<String> {
    if let Some((_, names)) = line.split_once(MISSED) {
        return names.trim_end_matches(')').split(", ").map(str::to_owned).collect();
    }
    let found = opened(line).or_else(|| quoted(line)).or_else(|| before_its_kind(line));
    found.into_iter().map(str::to_owned).collect()
}

/// Returns the library that the dynamic loader could not open: `libudev.so.1: cannot open shared object file`.
fn opened(line: &str) -> Option<&str> {
    let (before, _) = line.split_once(": cannot open shared object file")?;
    before.rsplit([' ', '\'', '/', '(']).next().filter(|name| !name.is_empty())
}

/// Returns the library that is named in a message. The messages are those of cffi and of similar programs.
fn quoted(line: &str) -> Option<&str> {
    /// The text on both sides of the name.
    const SAYINGS: [(&str, &str); 4] = [
        ("cannot load library '", "'"),
        ("no library called \"", "\""),
        ("No library named ", ""),
        ("The '", "' C library was not found"),
    ];
    SAYINGS.iter().find_map(|(start, end)| {
        let (_, rest) = line.split_once(start)?;
        let name = rest.split(['\'', '"', ' ']).next().filter(|name| !name.is_empty())?;
        rest[name.len()..].starts_with(end).then(|| name.trim_end_matches(['.', ',']))
    })
}

/// Returns the library in messages such as `PortAudio library not found` and `Unable to find zbar shared library`.
fn before_its_kind(line: &str) -> Option<&str> {
    const SAYINGS: [&str; 5] = ["not found", "to find ", "not find ", "Cannot find ", "to load "];
    if !SAYINGS.iter().any(|saying| line.contains(saying)) {
        return None;
    }
    let (before, _) = line.split_once(" library")?;
    let mut words = before.split_whitespace().rev().filter(|word| !["C", "dynamic", "native", "shared"].contains(word));
    words.next().map(|word| word.trim_matches(['\'', '"', '`', '(']))
}

/// Adds a hint to each failed check that lacks a library, if a package of the archive contains this library.
pub(super) fn name_packages(
    result: Result<ProofSummary, ProveError>,
    made: &Made,
    base: &ReleaseRequest,
    world: &World,
) -> Result<ProofSummary, ProveError> {
    let mut finder = Finder { made, base, world, archive: None };
    match result {
        Ok(mut summary) => {
            for failed in summary.failed_alike.iter_mut().filter(|failed| failed.hint.is_none()) {
                failed.hint = finder.hint(&missing_libraries(&failed.said));
            }
            Ok(summary)
        }
        Err(ProveError::Failed { mut differences, is_late }) => {
            for difference in &mut differences {
                difference.add_hint(finder.hint(&difference.libraries()));
            }
            Err(ProveError::Failed { differences, is_late })
        }
        Err(error) => Err(error),
    }
}

/// Finds packages of libraries. The archive is read only if a library is missing.
struct Finder<'a> {
    made: &'a Made,
    base: &'a ReleaseRequest,
    world: &'a World,
    archive: Option<(Snapshot, PackageIndex)>,
}

impl Finder<'_> {
    /// Returns a hint for the first of `libraries` whose package is known. If the archive cannot be read, there is no
    /// hint: the message of the program names the library anyway.
    fn hint(&mut self, libraries: &[String]) -> Option<Hint> {
        let is_there = |package: &str| self.made.lock.debs.iter().any(|deb| deb.name == package);
        // Libraries of a GPU's driver are left out, because a package with such a library would hide the driver of the
        // host.
        let libraries: Vec<String> = libraries.iter().filter(|name| !sonames::is_of_driver(name)).cloned().collect();
        let found = self.packages(&libraries).unwrap_or_default();
        let known = |library: &String| Some((library.clone(), found.get(library)?.clone()));
        let (name, package) = libraries.iter().filter_map(known).find(|(_, package)| !is_there(package))?;
        let name = if name.starts_with("lib") { name } else { format!("lib{name}") };
        Some(Hint::Absent { name, add: Addition::Package(package) })
    }

    /// Returns the packages of `libraries`. They are searched by the usual names of packages first, and then in the
    /// archive's list of files.
    fn packages(&mut self, libraries: &[String]) -> Result<BTreeMap<String, String>, ArchiveError> {
        if libraries.is_empty() {
            return Ok(BTreeMap::new());
        }
        let world = self.world;
        let (snapshot, index) = match self.archive.take() {
            Some(archive) => archive,
            None => {
                let architecture = self.made.lock.platform.architecture;
                let snapshot = world.archive.snapshot(self.base, architecture, world.access())?;
                let index = world.archive.load(&snapshot, world.access())?;
                (snapshot, index)
            }
        };
        let mut found = BTreeMap::new();
        let mut unknown = BTreeSet::new();
        for library in libraries {
            let package = match library.contains(".so") {
                true => index.package_for_soname(library).or_else(|| index.package_for_file(library)),
                false => index.package_for_stem(library),
            };
            if let Some(package) = package {
                found.insert(library.clone(), package);
            } else if library.contains(".so.") {
                unknown.insert(library.clone());
            }
        }
        // The list is long, so it is read only if no name fits.
        if found.is_empty() && !unknown.is_empty() {
            found = world.archive.packages_for_sonames(&snapshot, &index, &unknown, world.access())?;
        }
        self.archive = Some((snapshot, index));
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_library_is_known_by_the_words_of_the_loader_of_ctypes_and_of_cffi() {
        let table: [(&str, &[&str]); 14] = [
            ("OSError: libudev.so.1: cannot open shared object file: No such file or directory", &["libudev.so.1"]),
            (
                "ImportError: /usr/lib/libx.so: libGL.so.1: cannot open shared object file: No such file",
                &["libGL.so.1"],
            ),
            (
                "OSError: cannot load library 'libgobject-2.0-0': libgobject-2.0-0: cannot open shared object file: No such",
                &["libgobject-2.0-0"],
            ),
            ("OSError: cannot load library 'pangocairo': no", &["pangocairo"]),
            ("OSError: no library called \"cairo-2\" was found", &["cairo-2"]),
            ("ImportError: No library named udev", &["udev"]),
            ("ImportError: The 'enchant' C library was not found and maybe needs to be installed.", &["enchant"]),
            (
                "ImportError: MagickWand (ctypes did not find: MagickWand-7.Q16, MagickWand)",
                &["MagickWand-7.Q16", "MagickWand"],
            ),
            ("OSError: PortAudio library not found", &["PortAudio"]),
            ("ImportError: Unable to find zbar shared library", &["zbar"]),
            ("OSError: 'sndfile' C library not found by ctypes", &["sndfile"]),
            ("ImportError: MagickWand shared library not found.", &["MagickWand"]),
            ("TypeError: the library is closed", &[]),
            ("ImportError: The 'x' module was not found", &[]),
        ];
        for (line, libraries) in table {
            assert_eq!(missing_libraries(line), libraries, "{line}");
        }
    }
}
