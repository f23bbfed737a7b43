//! Finds the package of a shared library by Debian's naming rule, by the exceptions to that rule, or in the archive's
//! list of files.

use std::collections::BTreeSet;
use std::io::{self, BufRead};

use crate::catalog::sonames;
use crate::model::platform::Architecture;
use crate::outside::archive::lines::read_line;

/// Returns the possible names of a library's package, the most likely first (Debian Policy, section 8.1). If a package
/// was renamed because of 64-bit time, its name ends in `t64`.
pub(super) fn candidates(soname: &str) -> Vec<String> {
    let with_t64 = |name: String| [format!("{name}t64"), name];
    if soname.starts_with("ld-linux") {
        return vec!["libc6".to_owned()];
    }
    if let Some(package) = sonames::package_of(soname) {
        return with_t64(package.to_owned()).into();
    }
    let lower = soname.to_ascii_lowercase().replace('_', "-");
    let Some((stem, rest)) = lower.split_once(".so") else { return Vec::new() };
    let version = match rest.strip_prefix('.') {
        Some(version) => version,
        None if rest.is_empty() => "",
        None => return Vec::new(),
    };
    if stem.is_empty() {
        return Vec::new();
    }
    if stem.starts_with("libpython") && version == "1.0" {
        return vec![stem.to_owned()];
    }
    // The rule requires a hyphen if the name ends in a digit. Some packages lack this hyphen, and others have it even
    // if the name does not end in a digit.
    let names = match (version, stem.ends_with(|last: char| last.is_ascii_digit())) {
        ("", _) => vec![stem.to_owned()],
        (_, true) => vec![format!("{stem}-{version}"), format!("{stem}{version}")],
        (_, false) => vec![format!("{stem}{version}"), format!("{stem}-{version}")],
    };
    // For example, `libatk-1.0.so.0` is in the package `libatk1.0-0`. Here the stem ends in a version, and the package
    // name has no hyphen before this version.
    let joined = stem.rsplit_once('-').filter(|(_, end)| end.starts_with(|first: char| first.is_ascii_digit()));
    let joined = joined.map(|(start, end)| format!("{start}{end}-{version}")).filter(|_| !version.is_empty());
    names.into_iter().chain(joined).flat_map(with_t64).collect()
}

/// Returns whether `package` has the usual name of a package that contains the library `stem`. A stem is the name that
/// `find_library` and the linker's `-l` use: `udev` is in `libudev1`, and `enchant` in `libenchant-2-2`.
pub(super) fn is_named_after(package: &str, stem: &str) -> bool {
    let Some(version) = package.strip_prefix("lib").and_then(|rest| rest.strip_prefix(stem)) else { return false };
    let version = version.strip_suffix("t64").unwrap_or(version);
    // In `libharfbuzz0b`, the letter `b` was added because the library became incompatible, but kept its version.
    let version = version.strip_suffix(|last: char| last.is_ascii_lowercase()).unwrap_or(version);
    // `libmagickwand-7.q16-10` contains the number of bits per colour.
    let version = version.replace(".q16", "");
    let has_digit =
        version.contains(|c: char| c.is_ascii_digit()) || stem.ends_with(|last: char| last.is_ascii_digit());
    has_digit && version.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | '-'))
}

/// Returns the SONAME that a stem with a version most likely means. For example, `gobject-2.0-0` means
/// `libgobject-2.0.so.0`.
pub(super) fn soname_of_stem(stem: &str) -> Option<String> {
    let (name, version) = stem.rsplit_once('-')?;
    version.bytes().all(|byte| byte.is_ascii_digit()).then(|| format!("lib{name}.so.{version}"))
}

/// Returns the SONAME of the link that is most likely next to the file `library`. For example, it is `libgomp.so.1` for
/// `libgomp.so.1.0.0`.
pub(super) fn link_beside(library: &str) -> Option<String> {
    let (stem, version) = library.split_once(".so.")?;
    let (first, _) = version.split_once('.')?;
    Some(format!("{stem}.so.{first}"))
}

/// Reduces a list of all files (`Contents-amd64`) to sorted lines of library, rank and package, separated by tabs. Only
/// libraries that the dynamic loader finds by name are included. Only the current line of `reader` and the result are
/// in memory.
pub(super) fn reduce(mut reader: impl BufRead, architecture: Architecture) -> io::Result<String> {
    let triplet = architecture.triplet();
    let folders = [format!("usr/lib/{triplet}/"), format!("lib/{triplet}/"), "usr/lib/".to_owned(), "lib/".to_owned()];
    let mut found = BTreeSet::new();
    let mut line = Vec::new();
    while read_line(&mut reader, &mut line)? {
        // A line that is not valid UTF-8 is skipped, because the names of libraries that programs need are always
        // valid.
        let Ok(text) = str::from_utf8(&line) else { continue };
        let Some((path, packages)) = text.trim_end().rsplit_once([' ', '\t']) else { continue };
        let path = path.trim_end();
        let place = folders.iter().enumerate().find_map(|(rank, folder)| Some((rank, path.strip_prefix(folder)?)));
        let Some((rank, name)) = place else { continue };
        if name.contains(['/', '\t']) || !name.contains(".so") {
            continue;
        }
        for package in packages.split(',').filter_map(|place| place.rsplit('/').next()) {
            // These packages contain libraries only for building programs, not for running them.
            let is_for_builders = ["-dev", "-dbg", "-dbgsym", "-cross"].iter().any(|end| package.ends_with(end));
            found.insert(format!("{name}\t{}{rank}\t{package}\n", u8::from(is_for_builders)));
        }
    }
    Ok(found.into_iter().collect())
}

/// Returns the packages of a library in the output of [`reduce`], the most likely first.
pub(super) fn packages_of<'a>(reduced: &'a str, soname: &str) -> impl Iterator<Item = &'a str> {
    reduced.lines().filter_map(move |line| {
        let (_, package) = line.strip_prefix(soname)?.strip_prefix('\t')?.split_once('\t')?;
        Some(package)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_policy_and_its_exceptions() {
        let table = [
            ("libfoo.so.1", "libfoo1"),
            ("libfoo-1.2.so.3", "libfoo-1.2-3"),
            ("libX11.so.6", "libx11-6"),
            ("libgcc_s.so.1", "libgcc-s1"),
            ("libbz2.so.1.0", "libbz2-1.0"),
            ("libstdc++.so.6", "libstdc++6"),
            ("libpython3.13.so.1.0", "libpython3.13"),
            ("libusb-1.0.so.0", "libusb-1.0-0"),
            ("libatk-1.0.so.0", "libatk1.0-0t64"),
            ("libasound.so.2", "libasound2t64"),
            ("libz.so.1", "zlib1g"),
            ("libssl.so.3", "libssl3t64"),
            ("libcrypto.so.3", "libssl3t64"),
            ("ld-linux-x86-64.so.2", "libc6"),
        ];
        for (soname, package) in table {
            assert!(candidates(soname).iter().any(|name| name == package), "{soname}: {:?}", candidates(soname));
        }
        for odd in ["", ".so", ".so.1", "libfoo", "libfoo.sox", "libfoo.so1"] {
            assert!(candidates(odd).is_empty(), "{odd}");
        }
    }

    #[test]
    fn a_stem_belongs_to_packages_with_its_name_and_a_version() {
        let table = [
            ("udev", "libudev1"),
            ("enchant", "libenchant-2-2"),
            ("enchant-2", "libenchant-2-2"),
            ("magic", "libmagic1t64"),
            ("harfbuzz", "libharfbuzz0b"),
            ("usb-1.0", "libusb-1.0-0"),
            ("magickwand-7.q16", "libmagickwand-7.q16-10"),
            ("magickwand", "libmagickwand-7.q16-10"),
            ("pango-1.0-0", "libpango-1.0-0"),
        ];
        for (stem, package) in table {
            assert!(is_named_after(package, stem), "{stem}");
        }
        for (stem, package) in [
            ("magic", "libmagic-dev"),
            ("magic", "libmagic"),
            ("udev", "libudev-dev"),
            ("mag", "libmagic1"),
            ("x", "y1"),
        ] {
            assert!(!is_named_after(package, stem), "{stem}");
        }
        assert_eq!(soname_of_stem("gobject-2.0-0").as_deref(), Some("libgobject-2.0.so.0"));
        assert_eq!((soname_of_stem("udev"), soname_of_stem("magic-x")), (None, None));
    }

    #[test]
    fn a_file_lies_beside_the_link_of_its_first_number() {
        assert_eq!(link_beside("libgomp.so.1.0.0").as_deref(), Some("libgomp.so.1"));
        assert_eq!((link_beside("libgomp.so.1"), link_beside("libgomp.so")), (None, None));
    }

    #[test]
    fn the_list_of_files_is_reduced_to_what_the_loader_finds() {
        let list = b"usr/bin/foo      utils/foo\n\
            usr/lib/x86_64-linux-gnu/libodd.so.1   libdevel/odd-dev,libs/zodd,universe/libs/odd1\n\
            lib/libodd.so.1  libs/old-odd\n\
            usr/lib/x86_64-linux-gnu/private/libin.so.1  libs/in\n\
            usr/lib/aarch64-linux-gnu/libodd.so.1  libs/odd-cross\n\
            usr/lib/\xff.so libs/x\n\
            usr/lib/libspace name.so.2\tlibs/space\n";
        let reduced = reduce(io::BufReader::with_capacity(3, list.as_slice()), Architecture::Amd64).unwrap();
        assert_eq!(packages_of(&reduced, "libodd.so.1").collect::<Vec<_>>(), ["odd1", "zodd", "old-odd", "odd-dev"]);
        assert_eq!(packages_of(&reduced, "libspace name.so.2").collect::<Vec<_>>(), ["space"]);
        assert_eq!(packages_of(&reduced, "libin.so.1").count() + packages_of(&reduced, "libodd.so").count(), 0);
    }
}
