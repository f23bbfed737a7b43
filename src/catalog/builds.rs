//! The Debian packages that builds from source need: compilers for each kind of code, and the packages that contain
//! programs, headers and libraries. A group is the list of all packages that one kind of code needs: its compilers, and
//! other packages such as `make`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::model::platform::PythonVersion;

pub(super) static BUILDS: LazyLock<Builds> = LazyLock::new(|| super::read(include_str!("builds.toml")));

type Names = BTreeMap<String, String>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(super) struct Builds {
    pub(super) groups: BTreeMap<String, Vec<String>>,
    pub(super) needs: BTreeMap<String, Vec<String>>,
    pub(super) extensions: Names,
    pub(super) requirements: Names,
    pub(super) compilers: Names,
    pub(super) programs: Names,
    pub(super) headers: Names,
    pub(super) pkg_config: Names,
}

/// Returns the Debian packages of a group, including the packages of the groups that it needs.
pub(crate) fn packages(group: &str) -> impl Iterator<Item = &'static str> {
    let needed = BUILDS.needs.get(group).into_iter().flatten().map(String::as_str);
    let groups: Vec<&str> = std::iter::once(group).chain(needed).collect();
    let packages: Vec<&'static str> =
        groups.iter().filter_map(|group| BUILDS.groups.get(*group)).flatten().map(|package| &**package).collect();
    packages.into_iter()
}

/// Returns the build requirements that show which kind of code a source contains. Each is paired with the group for
/// this kind of code.
pub(crate) fn requirements() -> impl Iterator<Item = (&'static str, &'static str)> {
    BUILDS.requirements.iter().map(|(name, group)| (name.as_str(), group.as_str()))
}

/// Returns the group that compiles source files with the file extension `extension`.
pub(crate) fn group_of_extension(extension: &str) -> Option<&'static str> {
    BUILDS.extensions.get(extension).map(String::as_str)
}

/// Returns the group that contains `program`, which is a compiler or another basic program. The name of `program` may
/// begin with a platform (`x86_64-linux-gnu-gcc`).
pub(crate) fn group_of_program(program: &str) -> Option<&'static str> {
    let program = program.split("-linux-gnu-").last().unwrap_or_default();
    BUILDS.compilers.get(program).map(String::as_str)
}

/// Returns the Debian package that contains `program`. `None` if it is not a program that builds are known to use.
pub(crate) fn package_of_program(program: &str) -> Option<&'static str> {
    BUILDS.programs.get(program).map(String::as_str)
}

/// Returns the Debian package that contains a header.
pub(crate) fn package_of_header(header: &str, python: PythonVersion) -> Option<String> {
    BUILDS.headers.get(header).map(|package| package.replace("{python}", &python.to_string()))
}

/// Returns the Debian package that contains the pkg-config file of a library.
pub(crate) fn package_of_library(library: &str) -> Option<&'static str> {
    BUILDS.pkg_config.get(library).map(String::as_str)
}
