//! Those fields of `Packages` that the resolution of a request does not use. lath estimates the size of an installation
//! from these fields. The fields are stored in a separate file, so that a build reads them only if it needs them.

use std::collections::BTreeMap;
use std::io;

use crate::outside::archive::index::reduce_to;

/// The fields that are kept, in the order of a reduced line.
const FIELDS: [&str; 6] = ["Package", "Version", "Installed-Size", "Section", "Priority", "Essential"];

/// The archive's data about one version of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Details<'a> {
    /// `Installed-Size` in KiB: the size of each file is rounded up, and each directory and link counts as one KiB
    /// (deb-substvars(5)).
    pub(crate) installed_kib: u64,
    /// For example `libdevel` or `universe/python`. Empty if the package has no section.
    pub(crate) section: &'a str,
    /// Whether the package has `Priority: required` (Debian Policy, section 2.5).
    pub(crate) is_required: bool,
    /// Whether the package has `Essential: yes` (section 3.8).
    pub(crate) is_essential: bool,
}

/// The details of all packages of all pockets. A pocket is a suite of the archive, such as `trixie-security`.
#[derive(Debug, Default)]
pub(crate) struct DetailIndex {
    files: Vec<String>,
    /// The positions of lines, by package name. A position is the number of a file and the offset of the line in that
    /// file.
    names: BTreeMap<String, Vec<(usize, usize)>>,
}

/// Reduces `Packages.xz`, or `Packages.gz`, to lines of tab-separated [`FIELDS`].
pub(super) fn reduce(packed: &[u8], is_gzip: bool) -> io::Result<String> {
    reduce_to(FIELDS, packed, is_gzip)
}

impl DetailIndex {
    /// Returns the details of one reduced file, for tests in other modules.
    #[cfg(test)]
    pub(crate) fn of_reduced(reduced: String) -> Self {
        let mut index = Self::default();
        index.add(reduced);
        index
    }

    pub(super) fn add(&mut self, reduced: String) {
        let mut offset = 0;
        for line in reduced.split_inclusive('\n') {
            let name = line.split('\t').next().unwrap_or_default();
            self.names.entry(name.to_owned()).or_default().push((self.files.len(), offset));
            offset += line.len();
        }
        self.files.push(reduced);
    }

    /// Returns the details of this version of the package.
    pub(crate) fn of(&self, name: &str, version: &str) -> Option<Details<'_>> {
        self.names.get(name)?.iter().find_map(|at| self.line(*at).filter(|(of, _)| *of == version).map(|(_, it)| it))
    }

    /// Returns the sorted names of the packages that every system must have: the required and the essential ones.
    pub(crate) fn indispensable(&self) -> Vec<&str> {
        let is_indispensable = |at: &(usize, usize)| {
            self.line(*at).is_some_and(|(_, details)| details.is_required || details.is_essential)
        };
        self.names
            .iter()
            .filter(|(_, places)| places.iter().any(is_indispensable))
            .map(|(name, _)| name.as_str())
            .collect()
    }

    fn line(&self, (file, offset): (usize, usize)) -> Option<(&str, Details<'_>)> {
        let mut columns = self.files[file][offset..].lines().next()?.split('\t').skip(1);
        let version = columns.next()?;
        let installed_kib = columns.next()?.parse().unwrap_or(0);
        let section = columns.next()?;
        let is_required = columns.next()? == "required";
        let is_essential = columns.next()? == "yes";
        Some((version, Details { installed_kib, section, is_required, is_essential }))
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn a_version_has_its_own_details() {
        let mut index = DetailIndex::of_reduced("a\t1\t100\tlibs\toptional\t\nb\t1\t5\tutils\trequired\t\n".to_owned());
        index.add("a\t2\t120\tlibs\toptional\tyes\nc\t1\tmany\t\t\t\n".to_owned());
        assert_eq!(index.of("a", "1").unwrap().installed_kib, 100);
        assert_eq!(index.of("a", "2").unwrap().installed_kib, 120);
        assert_eq!(index.of("a", "3"), None);
        assert_eq!(index.of("c", "1").unwrap().installed_kib, 0);
        assert_eq!(index.indispensable(), ["a", "b"]);
    }

    #[test]
    fn a_paragraph_becomes_a_line() {
        let text =
            "Package: a\nVersion: 1\nSection: libs\nInstalled-Size: 7\nEssential: yes\n\nPackage: b\nVersion: 2\n";
        let mut packed = Vec::new();
        liblzma::read::XzEncoder::new(text.as_bytes(), 6).read_to_end(&mut packed).unwrap();
        assert_eq!(reduce(&packed, false).unwrap(), "a\t1\t7\tlibs\t\tyes\nb\t2\t\t\t\t\n");
        assert!(reduce(b"no xz", false).is_err());
    }
}
