//! Programs that maintainer scripts run, but that need not run when an image is built.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use serde::Deserialize;

static SILENT: LazyLock<Silent> = LazyLock::new(|| super::read(include_str!("maintainer.toml")));

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Silent {
    prints_or_reads: BTreeSet<String>,
    serves_a_running_system: BTreeSet<String>,
    serves_the_package_manager: BTreeSet<String>,
    writes_needless_caches: BTreeSet<String>,
}

/// Returns whether `program` can be skipped with any arguments. Such a program either does not change the image, or
/// lath itself makes the same changes.
pub(crate) fn is_silent(program: &str) -> bool {
    let Silent { prints_or_reads, serves_a_running_system, serves_the_package_manager, writes_needless_caches } =
        &*SILENT;
    [prints_or_reads, serves_a_running_system, serves_the_package_manager, writes_needless_caches]
        .iter()
        .any(|programs| programs.contains(program))
}
