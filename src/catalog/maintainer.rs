//! The programs that maintainer scripts run but that are not needed for an image.

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

/// Returns whether `program` can be skipped, because it has no effect in an image or only effects that lath itself has.
/// Its arguments do not matter.
pub(crate) fn is_silent(program: &str) -> bool {
    let Silent { prints_or_reads, serves_a_running_system, serves_the_package_manager, writes_needless_caches } =
        &*SILENT;
    [prints_or_reads, serves_a_running_system, serves_the_package_manager, writes_needless_caches]
        .iter()
        .any(|programs| programs.contains(program))
}
