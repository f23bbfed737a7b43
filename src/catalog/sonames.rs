//! Shared libraries that are known by name.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use serde::Deserialize;

pub(super) static SONAMES: LazyLock<Sonames> = LazyLock::new(|| super::read(include_str!("sonames.toml")));

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Sonames {
    pub(super) driver: BTreeSet<String>,
    pub(super) cuda: BTreeSet<String>,
    pub(super) manylinux: BTreeSet<String>,
    pub(super) packages: BTreeMap<String, String>,
}

/// Returns the Debian package of a library, if the name of the package does not follow Debian's rule. In some releases,
/// `t64` must be appended to this name.
pub(crate) fn package_of(soname: &str) -> Option<&'static str> {
    SONAMES.packages.get(soname).map(String::as_str)
}

/// Returns whether `soname` belongs to the driver of a GPU. The image needs no package for such a library, because the
/// host provides the driver.
pub(crate) fn is_of_driver(soname: &str) -> bool {
    let stem = stem(soname);
    SONAMES.driver.iter().any(|known| if known.ends_with('-') { stem.starts_with(known) } else { stem == known })
}

/// Returns whether `soname` belongs to NVIDIA's CUDA. The libraries of CUDA are on PyPI and not in the archives.
pub(crate) fn is_of_cuda(soname: &str) -> bool {
    SONAMES.cuda.contains(stem(soname))
}

fn stem(soname: &str) -> &str {
    soname.split_once(".so").map_or(soname, |(stem, _)| stem)
}

/// Returns whether manylinux allows a wheel to use `soname` from the system.
pub(crate) fn is_of_manylinux(soname: &str) -> bool {
    SONAMES.manylinux.contains(soname)
}
