//! The result of `lath lock --check`, one line for each newer version and each dead URL.

use crate::model::outdated::Outdated;

pub(crate) fn lines(outdated: &Outdated) -> Vec<String> {
    let newer = outdated.newer.iter().map(|newer| {
        let (of, version) = (&newer.locked, newer.newest.as_deref().unwrap_or("no longer needed"));
        format!("{} {}: {of} -> {version} ({})", newer.kind, newer.name, newer.platforms.join(", "))
    });
    let dead = outdated.dead.iter().map(|dead| format!("gone {}: {}", dead.url, dead.problem));
    newer.chain(dead).collect()
}
