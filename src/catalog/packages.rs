//! Debian packages that are known by name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;

use crate::model::reason::Why;

pub(super) static PACKAGES: LazyLock<Packages> = LazyLock::new(|| super::read(include_str!("packages.toml")));

/// For each package, a list of other packages.
pub(super) type ByPackage = BTreeMap<String, BTreeSet<String>>;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Packages {
    pub(super) always: BTreeMap<String, Why>,
    pub(super) compilers: Vec<String>,
    pub(super) helpers: ByPackage,
    pub(super) idle_programs: BTreeSet<String>,
    pub(super) idle_scripts: BTreeSet<String>,
    pub(super) in_every_base: BTreeSet<String>,
    pub(super) interpreters: ByPackage,
    pub(super) pip: BTreeSet<String>,
    pub(super) shell: BTreeSet<String>,
    pub(super) skipped: ByPackage,
    pub(super) skipped_by_trim: ByPackage,
    pub(super) tools: BTreeMap<String, String>,
    pub(super) used_by: ByPackage,
}

/// Returns the packages that every image contains in addition to the interpreter, with their reasons.
pub(crate) fn always() -> &'static BTreeMap<String, Why> {
    &PACKAGES.always
}

/// Returns the packages that are needed to build extension modules.
pub(crate) fn compilers() -> &'static [String] {
    &PACKAGES.compilers
}

/// Returns packages whose scripts run programs of other packages, although they do not depend on these. The key is the
/// package with the scripts, and the value is the set of the packages with the programs.
pub(crate) fn helpers() -> &'static BTreeMap<String, BTreeSet<String>> {
    &PACKAGES.helpers
}

/// Returns the essential packages that a script needs, if `program` is the name of the program in its first line.
/// `None` if the program is no shell and not perl.
pub(crate) fn of_interpreter(program: &str) -> Option<&'static BTreeSet<String>> {
    PACKAGES.interpreters.get(program)
}

/// Returns the essential package with the program `name`. The packages of [`of_interpreter`] are not repeated here.
pub(crate) fn of_tool(name: &str) -> Option<&'static str> {
    PACKAGES.tools.get(name).map(String::as_str)
}

/// Returns whether the scripts among the programs of `package` do not run in an image.
pub(crate) fn has_idle_programs(package: &str) -> bool {
    PACKAGES.idle_programs.contains(package)
}

/// Returns whether the script `postinst` of `package` can be skipped. lath makes the same changes, or an image does not
/// need them.
pub(crate) fn has_idle_script(package: &str) -> bool {
    PACKAGES.idle_scripts.contains(package)
}

/// Returns whether every base image with apt contains `package`.
pub(crate) fn is_in_every_base(package: &str) -> bool {
    PACKAGES.in_every_base.contains(package)
}

/// Returns whether Dockerfiles install `package` only because pip needs it.
pub(crate) fn is_of_pip(package: &str) -> bool {
    PACKAGES.pip.contains(package)
}

/// Returns whether `package` is a shell or one of its usual tools.
pub(crate) fn is_of_shell(package: &str) -> bool {
    PACKAGES.shell.contains(package)
}

/// Returns the dependencies that are skipped if the user named the packages `named`. In each pair, the first package
/// depends on the second package. `*` means any package.
pub(crate) fn skipped(named: &[String]) -> impl Iterator<Item = (&'static str, &'static str)> {
    let is_used = |package: &str| {
        PACKAGES.used_by.get(package).is_some_and(|users| named.iter().any(|name| users.contains(name)))
    };
    pairs(&PACKAGES.skipped).filter(move |(_, package)| !is_used(package))
}

/// Returns the dependencies that are skipped only if the tree is trimmed. The pairs have the same form as in
/// [`skipped`].
pub(crate) fn skipped_by_trim() -> impl Iterator<Item = (&'static str, &'static str)> {
    pairs(&PACKAGES.skipped_by_trim)
}

fn pairs(table: &'static ByPackage) -> impl Iterator<Item = (&'static str, &'static str)> {
    table.iter().flat_map(|(one, others)| others.iter().map(move |other| (one.as_str(), other.as_str())))
}
