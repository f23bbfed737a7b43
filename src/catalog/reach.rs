//! The names that `--trim reach` needs: modules of the interpreter, and distributions that run code of the user.

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

/// An import that the standard library makes, but that most programs do not need.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Conditional {
    pub(crate) module: String,
    pub(crate) import: String,
    pub(crate) names: Vec<String>,
    #[serde(default)]
    pub(crate) with: Vec<String>,
}

/// Returns the modules of the standard library that every program needs.
pub(crate) fn core() -> impl Iterator<Item = &'static str> {
    REACH.core.iter().map(String::as_str)
}

/// Returns packages that are needed as a whole: if one of their modules is needed, all are.
pub(crate) fn whole() -> impl Iterator<Item = &'static str> {
    REACH.whole.iter().map(String::as_str)
}

/// Returns, for some modules of the standard library, the modules that they mention but do not need.
pub(crate) fn cuts() -> impl Iterator<Item = (&'static str, impl Iterator<Item = &'static str>)> {
    REACH.cuts.iter().map(|(module, cuts)| (module.as_str(), cuts.iter().map(String::as_str)))
}

/// Returns the imports that count only if the image uses certain names.
pub(crate) fn conditional() -> &'static [Conditional] {
    &REACH.conditional
}

/// Returns modules that are replaced: a program that imports one of them gets other modules.
pub(crate) fn in_place_of() -> impl Iterator<Item = (&'static str, impl Iterator<Item = &'static str>)> {
    REACH.in_place_of.iter().map(|(module, others)| (module.as_str(), others.iter().map(String::as_str)))
}

/// Returns whether a distribution compiles sources while a program runs.
pub(crate) fn reads_sources(distribution: &str) -> bool {
    REACH.source_readers.iter().any(|reader| distribution.starts_with(reader))
}

/// Returns whether a distribution runs code of the user. `is_requested` is true if the image contains the programs of
/// this distribution.
pub(crate) fn is_host(distribution: &str, is_requested: bool) -> bool {
    let is_in = |list: &[String]| list.iter().any(|host| host == distribution);
    is_in(&REACH.hosts) || is_requested && is_in(&REACH.requested_hosts)
}

/// Returns whether a distribution reads type stubs while it runs.
pub(crate) fn reads_stubs(distribution: &str) -> bool {
    REACH.stub_readers.iter().any(|reader| reader == distribution)
}
