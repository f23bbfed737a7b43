//! Debian packages that are known by name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;

use crate::model::comparison::Content;
use crate::model::reason::Why;

pub(super) static PACKAGES: LazyLock<Packages> = LazyLock::new(|| super::read(include_str!("packages.toml")));

/// The packages of each package, by its name.
pub(super) type ByPackage = BTreeMap<String, BTreeSet<String>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Packages {
    pub(super) always: BTreeMap<String, Why>,
    pub(super) compilers: Vec<String>,
    pub(super) helpers: ByPackage,
    pub(super) idle_scripts: BTreeSet<String>,
    pub(super) in_every_base: BTreeSet<String>,
    pub(super) pip: BTreeSet<String>,
    pub(super) shell: BTreeSet<String>,
    pub(super) skipped: ByPackage,
    pub(super) skipped_by_trim: ByPackage,
}

/// Returns the packages of every image in addition to the interpreter, with their reasons.
pub(crate) fn always() -> &'static BTreeMap<String, Why> {
    &PACKAGES.always
}

/// Returns the packages that are needed to build extension modules.
pub(crate) fn compilers() -> &'static [String] {
    &PACKAGES.compilers
}

/// Returns each package whose scripts run programs of packages that it does not depend on, with these packages.
pub(crate) fn helpers() -> &'static BTreeMap<String, BTreeSet<String>> {
    &PACKAGES.helpers
}

/// Returns whether the `postinst` of `package` does nothing that an image needs and lath does not do.
pub(crate) fn has_idle_script(package: &str) -> bool {
    PACKAGES.idle_scripts.contains(package)
}

/// Returns whether every base image with apt contains `package`.
pub(crate) fn is_in_every_base(package: &str) -> bool {
    PACKAGES.in_every_base.contains(package)
}

/// Classifies a Debian package by its name and its section (Debian Policy, section 2.4).
pub(crate) fn content(name: &str, section: &str) -> Content {
    let section = section.rsplit('/').next().unwrap_or_default();
    let is_python = name.starts_with("python3") || name.starts_with("libpython3");
    let is_compiler = matches!(section, "devel" | "libdevel")
        || name.ends_with("-dev")
        || ["gcc", "g++", "cpp", "binutils", "libbinutils"].iter().any(|start| name.starts_with(start))
        || ["libgcc-", "libasan", "libtsan", "liblsan", "libubsan", "libhwasan", "libcc1", "libgprofng", "libitm"]
            .iter()
            .any(|start| name.starts_with(start) && name != "libgcc-s1");
    // gcc's `-base` package is only a directory that every library of gcc depends on.
    let is_compiler = is_compiler && !name.ends_with("-base");
    match name {
        _ if PACKAGES.pip.contains(name) => Content::Pip,
        _ if PACKAGES.shell.contains(name) => Content::Shell,
        _ if name == "apt" || name == "dpkg" || name.starts_with("libapt-pkg") => Content::PackageManager,
        _ if is_compiler => Content::Compilers,
        _ if is_python => Content::Python,
        _ => Content::System,
    }
}

/// Returns the dependencies that are skipped: the package that has the dependency (`*` for any), and the skipped one.
pub(crate) fn skipped() -> impl Iterator<Item = (&'static str, &'static str)> {
    pairs(&PACKAGES.skipped)
}

/// Returns the dependencies that are skipped if the tree is trimmed.
pub(crate) fn skipped_by_trim() -> impl Iterator<Item = (&'static str, &'static str)> {
    pairs(&PACKAGES.skipped_by_trim)
}

fn pairs(table: &'static ByPackage) -> impl Iterator<Item = (&'static str, &'static str)> {
    table.iter().flat_map(|(one, others)| others.iter().map(move |other| (one.as_str(), other.as_str())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_are_sorted_by_what_they_are_there_for() {
        let table = [
            ("python3-pip", "python", Content::Pip),
            ("libc6-dev", "libdevel", Content::Compilers),
            ("g++-12", "devel", Content::Compilers),
            ("python3-dev", "python", Content::Compilers),
            ("libgcc-s1", "libs", Content::System),
            ("gcc-12-base", "libs", Content::System),
            ("libgcc-12-dev", "universe/libdevel", Content::Compilers),
            ("libpython3.13-stdlib", "python", Content::Python),
            ("dash", "shells", Content::Shell),
            ("libapt-pkg7.0", "libs", Content::PackageManager),
            ("zlib1g", "libs", Content::System),
        ];
        for (name, section, expected) in table {
            assert_eq!(content(name, section), expected, "{name}");
        }
    }
}
