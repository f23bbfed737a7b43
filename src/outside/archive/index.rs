//! `Packages` indexes, reduced to the fields that are needed to resolve a request. There is one line per package. A
//! line is parsed only if the package is needed.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader};

use liblzma::stream::{CONCATENATED, Stream};

use crate::formats::deb822::paragraphs;
use crate::outside::archive::lines::Bounded;
use crate::outside::archive::sonames;
use crate::outside::similar::similar;

/// The maximum unpacked size of an index. Ubuntu's largest index has 80 MB.
const MAX_INDEX_BYTES: u64 = 512 << 20;
/// The memory limit for unpacking xz. `xz -9` needs 65 MiB.
const MAX_XZ_MEMORY_BYTES: u64 = 128 << 20;

/// The fields that are kept, in the order of a reduced line.
const FIELDS: [&str; 10] = [
    "Package",
    "Version",
    "Architecture",
    "Pre-Depends",
    "Depends",
    "Recommends",
    "Provides",
    "Filename",
    "Size",
    "SHA256",
];

/// All packages of all pockets.
#[derive(Default)]
pub(crate) struct PackageIndex {
    /// The mirror and the reduced text of each file.
    files: Vec<(String, String)>,
    /// The positions of lines, by package name. A position is the number of a file and the offset of the line in that
    /// file.
    names: BTreeMap<String, Vec<(usize, usize)>>,
    /// The positions of lines, by the names that their packages provide.
    provided: BTreeMap<String, Vec<(usize, usize)>>,
}

/// One version of a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Package<'a> {
    pub(crate) name: &'a str,
    pub(crate) version: &'a str,
    pub(crate) architecture: &'a str,
    pub(crate) pre_depends: &'a str,
    pub(crate) depends: &'a str,
    pub(crate) recommends: &'a str,
    pub(crate) provides: &'a str,
    pub(crate) filename: &'a str,
    pub(crate) size: &'a str,
    pub(crate) sha256: &'a str,
    /// The URL of the mirror, without a trailing slash.
    pub(crate) mirror: &'a str,
}

/// Reduces `Packages.xz`, or `Packages.gz`, to lines of tab-separated [`FIELDS`].
pub(super) fn reduce(packed: &[u8], is_gzip: bool) -> io::Result<String> {
    reduce_to(FIELDS, packed, is_gzip)
}

/// Reduces the index like [`reduce`], but to other `fields`.
pub(super) fn reduce_to<const N: usize>(fields: [&str; N], packed: &[u8], is_gzip: bool) -> io::Result<String> {
    let mut text = String::new();
    for paragraph in paragraphs(unpacked(packed, is_gzip)?) {
        for (position, value) in paragraph?.fields(fields).into_iter().enumerate() {
            if position > 0 {
                text.push('\t');
            }
            // A field of several lines becomes one line. Line breaks and tabs mean the same as spaces in all of these
            // fields.
            let value = value.unwrap_or_default();
            let mut start = 0;
            for end in memchr::memchr3_iter(b'\t', b'\n', b'\r', value.as_bytes()) {
                text.push_str(&value[start..end]);
                text.push(' ');
                start = end + 1;
            }
            text.push_str(&value[start..]);
        }
        text.push('\n');
    }
    Ok(text)
}

/// Returns a reader for the unpacked text of `Packages.xz` or `Packages.gz`.
fn unpacked(packed: &[u8], is_gzip: bool) -> io::Result<impl BufRead> {
    let unpacked: Box<dyn io::Read> = if is_gzip {
        Box::new(flate2::read::MultiGzDecoder::new(packed))
    } else {
        let stream = Stream::new_stream_decoder(MAX_XZ_MEMORY_BYTES, CONCATENATED)?;
        Box::new(liblzma::read::XzDecoder::new_stream(packed, stream))
    };
    Ok(BufReader::with_capacity(1 << 20, Bounded::new(unpacked, MAX_INDEX_BYTES)))
}

impl PackageIndex {
    /// Returns the packages of one reduced file, for tests in other modules.
    #[cfg(test)]
    pub(crate) fn of_reduced(mirror: &str, reduced: String) -> Self {
        let mut index = Self::default();
        index.add(mirror, reduced);
        index
    }

    pub(super) fn add(&mut self, mirror: &str, reduced: String) {
        let file = self.files.len();
        let mut offset = 0;
        for line in reduced.split_inclusive('\n') {
            let mut columns = line.split('\t');
            let name = columns.next().unwrap_or_default();
            self.names.entry(name.to_owned()).or_default().push((file, offset));
            let provides = columns.nth(5).unwrap_or_default();
            for one in provides.split(',').map(str::trim).filter(|one| !one.is_empty()) {
                let virtual_name = one.split([' ', ':', '(']).next().unwrap_or_default();
                self.provided.entry(virtual_name.to_owned()).or_default().push((file, offset));
            }
            offset += line.len();
        }
        self.files.push((mirror.to_owned(), reduced));
    }

    /// Returns every version of the package, in the order of the pockets.
    pub(crate) fn versions(&self, name: &str) -> Vec<Package<'_>> {
        self.names.get(name).map_or_else(Vec::new, |places| places.iter().filter_map(|at| self.package(*at)).collect())
    }

    /// Returns every package that provides `name`.
    pub(crate) fn providers(&self, name: &str) -> Vec<Package<'_>> {
        let places = self.provided.get(name);
        places.map_or_else(Vec::new, |places| places.iter().filter_map(|at| self.package(*at)).collect())
    }

    fn package(&self, (file, offset): (usize, usize)) -> Option<Package<'_>> {
        let (mirror, text) = &self.files[file];
        let mut columns = text[offset..].lines().next()?.split('\t');
        Some(Package {
            name: columns.next()?,
            version: columns.next()?,
            architecture: columns.next()?,
            pre_depends: columns.next()?,
            depends: columns.next()?,
            recommends: columns.next()?,
            provides: columns.next()?,
            filename: columns.next()?,
            size: columns.next()?,
            sha256: columns.next()?,
            mirror,
        })
    }

    pub(crate) fn has(&self, name: &str) -> bool {
        self.names.contains_key(name)
    }

    /// Finds the package that contains a shared library, by the naming rules for such packages. If the result is
    /// `None`, a package with another name may still contain the library. The archive's list of all files shows this
    /// package.
    pub(crate) fn package_for_soname(&self, soname: &str) -> Option<String> {
        sonames::candidates(soname).into_iter().find(|name| self.has(name))
    }

    /// Returns the package that most likely contains `library`, which is a full file name such as `libgomp.so.1.0.0`.
    /// The package is found by the name of the link that is most likely next to this file: `libgomp.so.1`.
    pub(crate) fn package_for_file(&self, library: &str) -> Option<String> {
        self.package_for_soname(&sonames::link_beside(library)?)
    }

    /// Returns the package that most likely contains the library `stem`. `stem` may lack the prefix `lib` and the
    /// version. Examples are `udev` and `libenchant-2`. If there are several versions of the library, the last one is
    /// used.
    pub(crate) fn package_for_stem(&self, stem: &str) -> Option<String> {
        let lower = stem.to_ascii_lowercase().replace('_', "-");
        let stem = lower.strip_prefix("lib").unwrap_or(&lower);
        if stem.is_empty() {
            return None;
        }
        let names = self.names.range(format!("lib{stem}")..).map(|(name, _)| name.as_str());
        let near = names.take_while(|name| name.starts_with("lib") && name[3..].starts_with(stem));
        let named = near.filter(|name| sonames::is_named_after(name, stem)).last().map(str::to_owned);
        named.or_else(|| self.package_for_soname(&sonames::soname_of_stem(stem)?))
    }

    /// Returns the package names that are most similar to `name`, which is not the name of a package.
    pub(crate) fn near(&self, name: &str) -> Vec<String> {
        similar(name, self.names.keys().map(String::as_str)).into_iter().map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index() -> PackageIndex {
        let mut index = PackageIndex::default();
        let line = |name: &str, provides: &str| format!("{name}\t1\tamd64\t\tlibc6\t\t{provides}\tpool/x.deb\t3\tff\n");
        index.add("mirror", line("libfoo2", "") + &line("libpq5", "virtual (= 1), other") + &line("libssl3t64", ""));
        index
    }

    #[test]
    fn packages_are_found_by_name_and_by_what_they_provide() {
        let index = index();
        assert_eq!(index.versions("libfoo2")[0].filename, "pool/x.deb");
        assert_eq!(index.providers("virtual")[0].name, "libpq5");
        assert_eq!(index.providers("other")[0].name, "libpq5");
        assert!(index.versions("none").is_empty());
    }

    #[test]
    fn a_soname_leads_to_its_package() {
        let index = index();
        assert_eq!(index.package_for_soname("libpq.so.5").as_deref(), Some("libpq5"));
        assert_eq!(index.package_for_soname("libcrypto.so.3").as_deref(), Some("libssl3t64"));
        assert_eq!(index.package_for_soname("libnowhere.so.1"), None);
    }

    #[test]
    fn a_librarys_stem_leads_to_its_package() {
        let index = index();
        for (stem, package) in [("pq", "libpq5"), ("libfoo", "libfoo2"), ("SSL", "libssl3t64")] {
            assert_eq!(index.package_for_stem(stem).as_deref(), Some(package));
        }
        assert_eq!((index.package_for_stem("p"), index.package_for_stem("lib")), (None, None));
    }

    #[test]
    fn a_wrong_name_leads_to_the_nearest() {
        assert_eq!(index().near("lbifoo2"), ["libfoo2"]);
        assert!(index().near("postgresql").is_empty());
    }
}
