//! The names that `--trim reach` needs, such as modules of the interpreter, and distributions that run code of the
//! user.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

pub(super) static REACH: LazyLock<Reach> = LazyLock::new(|| super::read(include_str!("reach.toml")));

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Reach {
    pub(super) core: Vec<String>,
    pub(super) whole: Vec<String>,
    pub(super) hosts: Vec<String>,
    pub(super) requested_hosts: Vec<String>,
    pub(super) stub_readers: Vec<String>,
    pub(super) source_readers: Vec<String>,
    pub(super) in_place_of: BTreeMap<String, Vec<String>>,
    pub(super) cuts: BTreeMap<String, Vec<String>>,
    pub(super) conditional: Vec<Conditional>,
}

/// An import in a module of the standard library that most programs do not need.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Conditional {
    pub(crate) module: String,
    pub(crate) import: String,
    pub(crate) names: Vec<String>,
    #[serde(default)]
    pub(crate) with: Vec<String>,
}

/// Returns the modules that every program needs. Most of them are in the standard library.
pub(crate) fn core() -> impl Iterator<Item = &'static str> {
    REACH.core.iter().map(String::as_str)
}

/// Returns Python packages that are kept as a whole: if a program needs one of their modules, all their modules are
/// kept.
pub(crate) fn whole() -> impl Iterator<Item = &'static str> {
    REACH.whole.iter().map(String::as_str)
}

/// Returns modules of the standard library, each with the modules that it names but that programs do not need. `*`
/// means all names in its texts.
pub(crate) fn cuts() -> impl Iterator<Item = (&'static str, impl Iterator<Item = &'static str>)> {
    REACH.cuts.iter().map(|(module, cuts)| (module.as_str(), cuts.iter().map(String::as_str)))
}

/// Returns the imports that are followed only if a file of the image uses certain names, or if certain modules are
/// reached.
pub(crate) fn conditional() -> &'static [Conditional] {
    &REACH.conditional
}

/// Returns modules that are replaced when a program imports them. Each is paired with the modules that the program gets
/// instead.
pub(crate) fn in_place_of() -> impl Iterator<Item = (&'static str, impl Iterator<Item = &'static str>)> {
    REACH.in_place_of.iter().map(|(module, others)| (module.as_str(), others.iter().map(String::as_str)))
}

/// Returns whether a distribution compiles sources while a program runs.
pub(crate) fn reads_sources(distribution: &str) -> bool {
    REACH.source_readers.iter().any(|reader| distribution.starts_with(reader))
}

/// Returns whether a distribution runs code of the user. `is_requested` is true if the user requested this
/// distribution. Some distributions run code of the user only in this case.
pub(crate) fn is_host(distribution: &str, is_requested: bool) -> bool {
    let is_in = |list: &[String]| list.iter().any(|host| host == distribution);
    is_in(&REACH.hosts) || is_requested && is_in(&REACH.requested_hosts)
}

/// Returns whether a distribution reads type stubs while it runs.
pub(crate) fn reads_stubs(distribution: &str) -> bool {
    REACH.stub_readers.iter().any(|reader| reader == distribution)
}
