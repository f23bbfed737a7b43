//! What builds from source need: compilers for kinds of code, and the Debian packages of programs, headers and
//! libraries.

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

/// Returns the Debian packages of a group, including those of the groups that it depends on.
pub(crate) fn packages(group: &str) -> impl Iterator<Item = &'static str> {
    let needed = BUILDS.needs.get(group).into_iter().flatten().map(String::as_str);
    let groups: Vec<&str> = std::iter::once(group).chain(needed).collect();
    let packages: Vec<&'static str> =
        groups.iter().filter_map(|group| BUILDS.groups.get(*group)).flatten().map(|package| &**package).collect();
    packages.into_iter()
}

/// Returns the build requirements that indicate a kind of code, each with the group for that code.
pub(crate) fn requirements() -> impl Iterator<Item = (&'static str, &'static str)> {
    BUILDS.requirements.iter().map(|(name, group)| (name.as_str(), group.as_str()))
}

/// Returns the group for source files with this file extension.
pub(crate) fn group_of_extension(extension: &str) -> Option<&'static str> {
    BUILDS.extensions.get(extension).map(String::as_str)
}

/// Returns the group that contains a compiler or another basic program. `program` may be a full name
/// (`x86_64-linux-gnu-gcc`).
pub(crate) fn group_of_program(program: &str) -> Option<&'static str> {
    let program = program.split("-linux-gnu-").last().unwrap_or_default();
    BUILDS.compilers.get(program).map(String::as_str)
}

/// Returns the Debian package that contains a program for builds.
pub(crate) fn package_of_program(program: &str) -> Option<&'static str> {
    BUILDS.programs.get(program).map(String::as_str)
}

/// Returns the Debian package with a header.
pub(crate) fn package_of_header(header: &str, python: PythonVersion) -> Option<String> {
    BUILDS.headers.get(header).map(|package| package.replace("{python}", &python.to_string()))
}

/// Returns the Debian package with the pkg-config file of a library.
pub(crate) fn package_of_library(library: &str) -> Option<&'static str> {
    BUILDS.pkg_config.get(library).map(String::as_str)
}
