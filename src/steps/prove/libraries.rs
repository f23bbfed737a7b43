//! Libraries that a failed program did not find, and the packages that contain them.

use std::collections::{BTreeMap, BTreeSet};

use super::ProveError;
use crate::model::hint::{Addition, Hint};
use crate::model::made::Made;
use crate::model::receipt::ProofSummary;
use crate::model::request::BaseRequest;
use crate::outside::archive::ArchiveError;
use crate::outside::archive::Snapshot;
use crate::outside::archive::index::PackageIndex;
use crate::outside::world::World;

/// The beginning of the list that the driver of imports adds to an error.
const MISSED: &str = "ctypes did not find: ";

/// Returns the libraries that `line` reports as missing: SONAMEs (`libudev.so.1`), or names without `lib` and version.
pub(super) fn missing_libraries(line: &str) -> Vec<String> {
    /// The messages of the loader, cffi and others, and the text on both sides of the name.
    const SAYINGS: [(&str, &str); 5] = [
        ("cannot load library '", "'"),
        ("no library called \"", "\""),
        ("No library named ", ""),
        ("The '", "' C library was not found"),
        ("Could not find library '", "'"),
    ];
    let owned = |names: Vec<&str>| names.into_iter().map(str::to_owned).collect();
    if let Some((before, _)) = line.split_once(": cannot open shared object file") {
        let name = before.rsplit([' ', '\'', '/']).next().unwrap_or_default();
        // cffi repeats the name that it was given, which may be none of a file.
        return owned(vec![name.trim_start_matches('(')]);
    }
    if let Some((_, rest)) = line.split_once(MISSED) {
        return owned(rest.trim_end_matches(')').split(", ").collect());
    }
    let of_saying = |(start, end): &(&str, &str)| {
        let (_, rest) = line.split_once(start)?;
        let name = rest.split(['\'', '"', ' ']).next().filter(|name| !name.is_empty())?;
        rest[name.len()..].starts_with(end).then(|| name.trim_end_matches(['.', ',']))
    };
    owned(SAYINGS.iter().find_map(of_saying).into_iter().collect())
}

/// Adds a hint to each failed check that lacks a library, if a package of the archive contains it.
pub(super) fn name_packages(
    result: Result<ProofSummary, ProveError>,
    made: &Made,
    base: &BaseRequest,
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
        Err(ProveError::Failed(mut differences)) => {
            for difference in &mut differences {
                difference.add_hint(finder.hint(&difference.libraries()));
            }
            Err(ProveError::Failed(differences))
        }
        Err(error) => Err(error),
    }
}

/// Finds packages of libraries. The archive is read only if a library is missing.
struct Finder<'a> {
    made: &'a Made,
    base: &'a BaseRequest,
    world: &'a World,
    archive: Option<(Snapshot, PackageIndex)>,
}

impl Finder<'_> {
    /// Returns a hint for the first of `libraries` whose package is known. If the archive cannot be read, there is none,
    /// because the message of the program names the library all the same.
    fn hint(&mut self, libraries: &[String]) -> Option<Hint> {
        let is_there = |package: &str| self.made.lock.debs.iter().any(|deb| deb.name == package);
        let found = self.packages(libraries).unwrap_or_default();
        let known = |library: &String| Some((library.clone(), found.get(library)?.clone()));
        let (name, package) = libraries.iter().filter_map(known).find(|(_, package)| !is_there(package))?;
        Some(Hint::Absent { name, add: Addition::Package(package) })
    }

    /// Returns the packages of `libraries`, found by the usual names of packages and then in the archive's list of files.
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
            match package {
                Some(package) => drop(found.insert(library.clone(), package)),
                None if library.contains(".so.") => drop(unknown.insert(library.clone())),
                None => {}
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
        let table: [(&str, &[&str]); 9] = [
            ("OSError: libudev.so.1: cannot open shared object file: No such file or directory", &["libudev.so.1"]),
            (
                "ImportError: /usr/lib/libx.so: libGL.so.1: cannot open shared object file: No such file",
                &["libGL.so.1"],
            ),
            (
                "OSError: cannot load library 'libgobject-2.0-0': libgobject-2.0-0: cannot open shared object file: No such",
                &["libgobject-2.0-0"],
            ),
            ("OSError: cannot load library 'cairo-2': no", &["cairo-2"]),
            ("OSError: no library called \"cairo-2\" was found", &["cairo-2"]),
            ("ImportError: No library named udev", &["udev"]),
            ("ImportError: The 'enchant' C library was not found and maybe needs to be installed.", &["enchant"]),
            (
                "ImportError: MagickWand (ctypes did not find: MagickWand-7.Q16, MagickWand)",
                &["MagickWand-7.Q16", "MagickWand"],
            ),
            ("ImportError: The 'x' module was not found", &[]),
        ];
        for (line, libraries) in table {
            assert_eq!(missing_libraries(line), libraries, "{line}");
        }
    }
}
