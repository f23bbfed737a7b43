//! The differences between the lock of a platform and the lock that would be made today.

use std::collections::BTreeMap;

use crate::model::lock::{LockedWheel, PlatformLock, WheelSource};
use crate::model::outdated::{Newer, ParcelKind};
use crate::model::source::BuiltPlace;

/// Adds an entry to `all` for each package whose version in `locked` differs from its version in `current`. If `all`
/// already has an equal entry for another platform, only adds the platform to that entry.
pub(crate) fn add_newer(all: &mut Vec<Newer>, locked: &PlatformLock, current: &PlatformLock) {
    let platform = locked.platform.to_string();
    for (kind, [locked, current]) in
        [(ParcelKind::Wheel, [locked, current].map(wheels)), (ParcelKind::Deb, [locked, current].map(debs))]
    {
        for (name, version) in locked {
            let newest = current.get(name).map(|newest| (*newest).to_owned());
            if newest.as_deref() == Some(version) {
                continue;
            }
            let newer = Newer {
                kind,
                name: name.to_owned(),
                locked: version.to_owned(),
                newest,
                platforms: vec![platform.clone()],
            };
            let is_same = |other: &&mut Newer| {
                Newer { platforms: Vec::new(), ..(*other).clone() } == Newer { platforms: Vec::new(), ..newer.clone() }
            };
            match all.iter_mut().find(is_same) {
                Some(other) => other.platforms.push(platform.clone()),
                None => all.push(newer),
            }
        }
    }
}

/// Returns the versions of the wheels. A wheel that is built from a folder is left out, because its version may change
/// with the files in the folder.
fn wheels(lock: &PlatformLock) -> BTreeMap<&str, &str> {
    let others = lock.wheels.iter().filter(|wheel| !wheel.is_of_folder());
    others.map(|wheel| (wheel.name.as_str(), wheel.version.as_str())).collect()
}

fn debs(lock: &PlatformLock) -> BTreeMap<&str, &str> {
    lock.debs.iter().map(|deb| (deb.name.as_str(), deb.version.as_str())).collect()
}

/// Returns the URLs of all files of a lock that are on servers, including the files for builds. The URLs of git
/// repositories are left out.
pub(crate) fn urls(lock: &PlatformLock) -> Vec<String> {
    let is_repository = |wheel: &LockedWheel| matches!(wheel.built_place(), Some(BuiltPlace::Git { .. }));
    let is_remote = |wheel: &&LockedWheel| wheel.source != WheelSource::Path && !is_repository(wheel);
    let wheels = lock.wheels.iter().filter(is_remote).map(|wheel| wheel.url.clone());
    let of_builds = lock.builds().flat_map(|(_, build)| urls(&build.tree));
    wheels.chain(lock.debs.iter().map(|deb| deb.url.clone())).chain(of_builds).collect()
}
