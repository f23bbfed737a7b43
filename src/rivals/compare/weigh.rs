//! Estimates the sizes of packages and of apt's leftovers. The rules were derived from systems made by debootstrap and
//! apt (bookworm and trixie).
//!
//! The archive contains the `Installed-Size` and the list of files of each package, but not the size of each file. This
//! module contains the average size and the compression ratio of each kind of file.
//! docs/decisions/0080-reckoned-sizes.md has the measurements.

use std::collections::BTreeMap;

use crate::outside::archive::AptLists;
use crate::outside::archive::details::DetailIndex;
use crate::outside::archive::extents::Extent;
use crate::outside::archive::index::Package;
use crate::rivals::content::content;
use crate::rivals::model::comparison::{AptHabits, Content, Contents};

/// `Installed-Size` rounds the size of every file up to a KiB. On average, this adds half a KiB per file.
const ROUNDED_UP_BYTES: u64 = 512;
/// `Installed-Size` includes one KiB per directory. This KiB is subtracted, because directories do not count in the
/// size of a layer.
const DIRECTORY_BYTES: u64 = 1024;

/// The average size of a file of documentation.
const DOCUMENT_BYTES: u64 = 17_000;
/// The average size of a manual.
const MANUAL_BYTES: u64 = 3_000;
/// The average size of a translation.
const TRANSLATION_BYTES: u64 = 56_000;

/// The average size of the bytecode of a module of the standard library.
const STDLIB_BYTECODE_BYTES: u64 = 19_000;
/// The average size of the bytecode of a module in `dist-packages`.
const PACKAGE_BYTECODE_BYTES: u64 = 14_000;
/// The size of the bytecode of a wheel, in percent of the size of its Python files.
const BYTECODE_OF_SOURCE_PERCENT: u64 = 108;

/// dpkg's data contain a digest of each installed file. This is the size of one such digest. The paths, which the data
/// contain twice, are counted separately.
const DPKG_FILE_BYTES: u64 = 40;
/// The average size of the scripts and triggers of one package in dpkg's data.
const DPKG_PACKAGE_BYTES: u64 = 2_200;
/// The average number of files that dpkg's data contain for one package.
const DPKG_PACKAGE_FILES: u64 = 4;
/// The average size of the paragraph of one package in dpkg's file `status`.
const STATUS_BYTES: u64 = 1_100;

/// The size of debconf's templates and of their backup. Every installation writes the templates again, and keeps the
/// previous templates as a backup.
const DEBCONF_BYTES: u64 = 1_600_000;
/// The total size of the files that an installation generates: logs, the loader's caches, the certificate bundle,
/// `/etc/passwd` and similar files.
const GENERATED_BYTES: u64 = 350_000;
/// The number of the files whose total size is [`GENERATED_BYTES`].
const GENERATED_FILES: u64 = 100;

/// The size of each of apt's two caches, in percent of the size of the package lists. apt makes the caches from these
/// lists.
const APT_CACHE_PERCENT: u64 = 81;
/// The size of a list of packages that is compressed with LZ4, in percent of its uncompressed size.
const LZ4_PERCENT: u64 = 37;

/// Returns the compressed size (gzip) of a kind of content, in percent of its uncompressed size.
fn gzip_percent(content: Content) -> u64 {
    match content {
        Content::Program => 45,
        Content::Python => 27,
        Content::Pip => 24,
        Content::Bytecode | Content::System | Content::Shell => 37,
        Content::Documentation => 90,
        Content::Translations => 32,
        Content::PackageManager => 27,
        Content::AptLists => 24,
        Content::AptCaches => 39,
        Content::Compilers => 34,
    }
}

const ARCHIVED_PERCENT: u64 = 100;
const LZ4_GZIPPED_PERCENT: u64 = 72;

/// The sums of one image: the bytes of each kind of content, and the compressed bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Load {
    pub(super) contents: Contents,
    pub(super) compressed_bytes: u64,
    pub(super) files: u64,
    pub(super) packages: u64,
}

impl Load {
    pub(super) fn add(&mut self, content: Content, bytes: u64) {
        self.add_compressed(content, bytes, gzip_percent(content));
    }

    fn add_compressed(&mut self, content: Content, bytes: u64, percent: u64) {
        self.add_both(content, bytes, bytes * percent / 100);
    }

    /// Adds contents whose compressed size is already known.
    pub(super) fn add_both(&mut self, content: Content, bytes: u64, compressed_bytes: u64) {
        *self.contents.entry(content).or_default() += bytes;
        self.compressed_bytes += compressed_bytes;
    }

    pub(super) fn raw_bytes(&self) -> u64 {
        self.contents.values().sum()
    }
}

/// The archive's data about its packages.
pub(super) struct Scales<'a> {
    pub(super) details: &'a DetailIndex,
    /// `None` if the archive's lists of files are not available.
    pub(super) extents: Option<&'a BTreeMap<String, Extent>>,
    pub(super) lists: &'a [AptLists],
    pub(super) habits: AptHabits,
}

impl Scales<'_> {
    pub(super) fn content(&self, name: &str, version: &str) -> Content {
        let section = self.details.of(name, version).map_or("", |details| details.section);
        content(name, section)
    }

    fn extent(&self, package: &Package<'_>) -> Extent {
        match self.extents {
            Some(extents) => extents.get(package.name).copied().unwrap_or_default(),
            None => {
                let kib = self.details.of(package.name, package.version).map_or(0, |details| details.installed_kib);
                guess(package.name, self.content(package.name, package.version), kib)
            }
        }
    }

    /// Adds an installed package, without the files that its scripts create.
    pub(super) fn put_package(&self, package: &Package<'_>, load: &mut Load) {
        let kib = self.details.of(package.name, package.version).map_or(0, |details| details.installed_kib);
        let extent = self.extent(package);
        let rounded = extent.files * ROUNDED_UP_BYTES + extent.directories * DIRECTORY_BYTES;
        let mut rest = (kib * 1024).saturating_sub(rounded);
        let kinds = [
            (Content::Documentation, extent.documents * DOCUMENT_BYTES + extent.manuals * MANUAL_BYTES),
            (Content::Translations, extent.translations * TRANSLATION_BYTES),
        ];
        // If an estimate is larger than the rest of the package, only the rest is added. For example, a package may
        // contain only documentation.
        for (content, bytes) in kinds {
            let share = bytes.min(rest);
            load.add(content, share);
            rest -= share;
        }
        load.add(self.content(package.name, package.version), rest);
        load.files += extent.files + DPKG_PACKAGE_FILES;
        load.packages += 1;
        let known = 2 * extent.path_bytes + DPKG_FILE_BYTES * extent.files + DPKG_PACKAGE_BYTES;
        load.add(Content::PackageManager, known);
    }

    /// Adds the bytecode that the maintainer scripts of `package` compile at its installation.
    pub(super) fn put_bytecode(&self, package: &Package<'_>, load: &mut Load) {
        let modules = self.extent(package).modules;
        let is_stdlib = package.name.starts_with("libpython3");
        if is_stdlib || package.name.starts_with("python3") {
            let each = if is_stdlib { STDLIB_BYTECODE_BYTES } else { PACKAGE_BYTECODE_BYTES };
            load.add(Content::Bytecode, modules * each);
            load.files += modules;
        }
    }

    /// Adds the data that every installation writes anew, into its own layer: dpkg's `status` with `packages` entries,
    /// debconf's database, logs and the loader's caches.
    pub(super) fn put_bookkeeping(&self, packages: u64, load: &mut Load) {
        load.add(Content::PackageManager, 2 * packages * STATUS_BYTES + DEBCONF_BYTES);
        load.add(Content::System, GENERATED_BYTES);
        load.files += GENERATED_FILES;
    }

    /// Adds the lists and caches that apt leaves behind.
    pub(super) fn put_leftovers<'p>(&self, packages: impl Iterator<Item = &'p Package<'p>>, load: &mut Load) {
        match self.habits {
            AptHabits::Plain => {
                let Some(lists) = self.lists.first() else { return };
                load.add(Content::AptLists, lists.release + lists.packages + lists.translations);
                load.add(Content::AptCaches, 2 * lists.packages * APT_CACHE_PERCENT / 100);
                for package in packages {
                    load.add_compressed(Content::AptCaches, package.size.parse().unwrap_or(0), ARCHIVED_PERCENT);
                    load.files += 1;
                }
                load.files += 5;
            }
            AptHabits::Official => {
                for lists in self.lists {
                    load.add(Content::AptLists, lists.release);
                    let packed = lists.packages * LZ4_PERCENT / 100;
                    load.add_compressed(Content::AptLists, packed, LZ4_GZIPPED_PERCENT);
                    load.files += 2;
                }
            }
        }
    }
}

/// Estimates the number of files of each kind in a package from the size of the package. It is used if the archive's
/// lists of files are not available.
fn guess(name: &str, content: Content, kib: u64) -> Extent {
    const DOCUMENTS: u64 = 5;
    const PATH_BYTES: u64 = 45;
    let is_stdlib = name.starts_with("libpython3") && (name.ends_with("-stdlib") || name.ends_with("-minimal"));
    let (kib_a_file, modules) = match content {
        _ if is_stdlib => (13, kib / 22),
        Content::Pip => (18, kib / 20),
        Content::Python => (40, 0),
        Content::Compilers => (45, 0),
        _ => (30, 0),
    };
    let is_translated = matches!(content, Content::System | Content::Shell | Content::PackageManager);
    let translations = if is_translated { kib / 300 } else { 0 };
    let files = kib / kib_a_file + DOCUMENTS;
    let directories = files / 4 + DOCUMENTS;
    let manuals = if is_translated { kib / 60 } else { 0 };
    Extent { files, directories, path_bytes: files * PATH_BYTES, documents: DOCUMENTS, manuals, translations, modules }
}

/// Returns the size of the bytecode that pip compiles from `bytes` bytes of source.
pub(super) fn bytecode_of_source(bytes: u64) -> u64 {
    bytes * BYTECODE_OF_SOURCE_PERCENT / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &'static str) -> Package<'static> {
        let empty = "";
        Package {
            name,
            version: "1",
            architecture: "amd64",
            pre_depends: empty,
            depends: empty,
            recommends: empty,
            provides: empty,
            filename: "pool/x.deb",
            size: "700",
            sha256: "ff",
            mirror: "http://mirror.example/debian",
        }
    }

    fn put(name: &'static str, extent: Extent, habits: AptHabits) -> Load {
        let details = DetailIndex::of_reduced(format!("{name}\t1\t100\tutils\toptional\t\n"));
        let extents = BTreeMap::from([(name.to_owned(), extent)]);
        let lists = [
            AptLists { release: 10, packages: 1000, translations: 500 },
            AptLists { release: 10, packages: 100, translations: 0 },
        ];
        let scales = Scales { details: &details, extents: Some(&extents), lists: &lists, habits };
        let mut load = Load::default();
        scales.put_package(&package(name), &mut load);
        scales.put_leftovers([package(name)].iter(), &mut load);
        scales.put_bytecode(&package(name), &mut load);
        load
    }

    #[test]
    fn what_installed_size_rounds_up_is_taken_off() {
        let extent = Extent { files: 10, directories: 5, translations: 1, ..Extent::default() };
        let load = put("tool", extent, AptHabits::Official);
        assert_eq!(load.contents[&Content::Translations], TRANSLATION_BYTES);
        assert_eq!(load.contents[&Content::System], 100 * 1024 - 10 * 512 - 5 * 1024 - TRANSLATION_BYTES);
        assert!(!load.contents.contains_key(&Content::Bytecode));
    }

    #[test]
    fn without_lists_of_files_a_package_is_as_others_of_its_size() {
        let details = DetailIndex::of_reduced("libpython3.13-stdlib\t1\t8800\tpython\toptional\t\n".to_owned());
        let scales = Scales { details: &details, extents: None, lists: &[], habits: AptHabits::Official };
        let mut load = Load::default();
        scales.put_package(&package("libpython3.13-stdlib"), &mut load);
        scales.put_bytecode(&package("libpython3.13-stdlib"), &mut load);
        assert_eq!(load.contents[&Content::Bytecode], 400 * STDLIB_BYTECODE_BYTES);
        assert!((8_000_000..9_000_000).contains(&load.contents[&Content::Python]), "{load:?}");
    }

    #[test]
    fn documentation_is_never_more_than_there_is() {
        let extent = Extent { files: 90, documents: 90, ..Extent::default() };
        let load = put("tool-doc", extent, AptHabits::Official);
        assert_eq!(load.contents[&Content::Documentation], 100 * 1024 - 90 * 512);
        assert_eq!(load.contents[&Content::System], 0);
    }

    #[test]
    fn a_plain_base_keeps_lists_caches_and_archives_and_an_official_one_packed_lists() {
        let plain = put("tool", Extent::default(), AptHabits::Plain);
        assert_eq!(plain.contents[&Content::AptLists], 1510);
        assert_eq!(plain.contents[&Content::AptCaches], 2 * 810 + 700);
        let official = put("tool", Extent::default(), AptHabits::Official);
        assert_eq!(official.contents[&Content::AptLists], 20 + 370 + 37);
        assert!(!official.contents.contains_key(&Content::AptCaches));
    }

    #[test]
    fn modules_of_pythons_packages_are_compiled() {
        let extent = Extent { modules: 2, ..Extent::default() };
        let load = put("python3-pip", extent, AptHabits::Official);
        assert_eq!(load.contents[&Content::Bytecode], 2 * PACKAGE_BYTECODE_BYTES);
    }
}
