//! Reads the archive's lists of all files, and counts the files of each kind in each package. The lists do not contain
//! sizes.

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use crate::outside::archive::lines::read_line;

/// The number of paths of each kind in a package.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    /// Files and links.
    pub(crate) files: u64,
    pub(crate) directories: u64,
    /// The sum of the lengths of all file paths, in bytes.
    pub(crate) path_bytes: u64,
    /// Files below `/usr/share/doc` and `/usr/share/info`.
    pub(crate) documents: u64,
    pub(crate) manuals: u64,
    /// Files below `/usr/share/locale`.
    pub(crate) translations: u64,
    /// Files that end in `.py`, except those that count as documents, manuals or translations.
    pub(crate) modules: u64,
}

const COLUMNS: usize = 7;

impl Extent {
    fn count(&mut self, path: &str, last: &str) {
        self.files += 1;
        self.path_bytes += path.len() as u64;
        // The list is sorted. So if the previous path does not contain a folder of this path, the folder is new.
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let mut known = last.rsplit_once('/').map_or("", |(directory, _)| directory).split('/');
        let mut is_shared = !last.is_empty();
        for component in directory.split('/') {
            is_shared = is_shared && known.next() == Some(component);
            self.directories += u64::from(!is_shared);
        }
        match path.strip_prefix("usr/share/") {
            Some(rest) if rest.starts_with("doc/") || rest.starts_with("info/") => self.documents += 1,
            Some(rest) if rest.starts_with("man/") => self.manuals += 1,
            Some(rest) if rest.starts_with("locale/") => self.translations += 1,
            _ => self.modules += u64::from(path.ends_with(".py")),
        }
    }

    fn columns(&self) -> [u64; COLUMNS] {
        let Self { files, directories, path_bytes, documents, manuals, translations, modules } = *self;
        [files, directories, path_bytes, documents, manuals, translations, modules]
    }
}

/// Reduces a list of all files (`Contents-amd64`) to sorted, tab-separated lines of package and [`Extent`].
pub(super) fn reduce(mut reader: impl BufRead) -> io::Result<String> {
    // The number of each package, which is its position in `found`. `found` contains the extent and the last path of
    // each package.
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    let mut found: Vec<(Extent, String)> = Vec::new();
    // Most lines have the same package as the line before, so the number of that package is remembered.
    let mut latest = (String::new(), 0);
    let mut line = Vec::new();
    while read_line(&mut reader, &mut line)? {
        let text = String::from_utf8_lossy(&line);
        let Some((path, packages)) = text.trim_end().rsplit_once([' ', '\t']) else { continue };
        let path = path.trim_end();
        for package in packages.split(',').filter_map(|place| place.rsplit('/').next()) {
            if numbers.is_empty() || package != latest.0 {
                let number = *numbers.entry(package.to_owned()).or_insert(found.len());
                found.resize_with(numbers.len(), Default::default);
                latest = (package.to_owned(), number);
            }
            let (extent, last) = &mut found[latest.1];
            extent.count(path, last);
            last.clear();
            last.push_str(path);
        }
    }
    let lines: Vec<String> = numbers
        .into_iter()
        .map(|(package, number)| {
            let columns = found[number].0.columns().map(|column| column.to_string());
            format!("{package}\t{}\n", columns.join("\t"))
        })
        .collect();
    Ok(lines.concat())
}

/// Reads the output of [`reduce`].
pub(super) fn read(reduced: &str, into: &mut BTreeMap<String, Extent>) {
    for line in reduced.lines() {
        let mut columns = line.split('\t');
        let name = columns.next().unwrap_or_default();
        let mut next = || columns.next().and_then(|text| text.parse().ok()).unwrap_or(0);
        let extent = Extent {
            files: next(),
            directories: next(),
            path_bytes: next(),
            documents: next(),
            manuals: next(),
            translations: next(),
            modules: next(),
        };
        into.entry(name.to_owned()).or_insert(extent);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &[u8] = b"usr/bin/foo      utils/foo\n\
        usr/lib/python3/dist-packages/foo.py   python/foo,universe/python/bar\n\
        usr/lib/python3/dist-packages/foo/x y.py  python/foo\n\
        usr/share/doc/foo/\xff.gz  utils/foo\n\
        usr/share/locale/de/LC_MESSAGES/foo.mo utils/foo\n\
        usr/share/man/man1/foo.1.gz\tutils/foo\n";

    #[test]
    fn files_are_counted_by_package_and_kind() {
        let reduced = reduce(io::BufReader::with_capacity(3, LIST)).unwrap();
        let mut extents = BTreeMap::new();
        read(&reduced, &mut extents);
        let foo = extents["foo"];
        assert_eq!((foo.files, foo.documents, foo.manuals, foo.translations, foo.modules), (6, 1, 1, 1, 2));
        // The 14 directories: usr, bin; lib, python3, dist-packages; foo; share, doc, foo; locale, de, LC_MESSAGES;
        // man, man1
        assert_eq!(foo.directories, 14);
        assert_eq!((extents["bar"].files, extents["bar"].modules, extents["bar"].directories), (1, 1, 4));
        assert_eq!(extents["bar"].path_bytes, 36);
    }
}
