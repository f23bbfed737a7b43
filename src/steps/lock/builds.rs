//! The builds of a lock -> `[tool.lath]`. Each build is written once, even if several wheels need it.

use std::collections::BTreeMap;

use super::LockError;
use crate::formats::pylock::lath_table::{Build, BuildWheel, Builder, PlatformDeb};
use crate::model::digest::Digest;
use crate::model::lock::{LockedBuild, LockedWheel, PlatformLock};
use crate::model::source::BuiltPlace;

/// Refuses builds with a tool that is built from a folder of this machine, because `[[packages]]` has no field for such
/// a folder.
pub(crate) fn refuse_folders(locks: &[&PlatformLock]) -> Result<(), LockError> {
    for (wheel, build) in locks.iter().flat_map(|lock| lock.builds()) {
        for tool in &build.tree.wheels {
            if let Some(BuiltPlace::Folder(path)) = tool.built_place() {
                let (name, folder) = (wheel.name.clone(), path.display().to_string());
                return Err(LockError::BuildFolder { name, folder });
            }
        }
        refuse_folders(&[&build.tree])?;
    }
    Ok(())
}

/// The builds of some locks.
#[derive(Debug, Default)]
pub(super) struct Builds {
    pub(super) builders: Vec<Builder>,
    /// The builds, by the name and the sha256 of the built wheel.
    builds: BTreeMap<(String, Digest), Build>,
}

impl Builds {
    /// Collects the builds of all wheels, and the builds that these builds need.
    pub(super) fn of(locks: &[&PlatformLock]) -> Self {
        let mut builds = Self::default();
        locks.iter().for_each(|lock| builds.add_all(lock));
        builds
    }

    pub(super) fn into_parts(self) -> (Vec<Builder>, Vec<Build>) {
        (self.builders, self.builds.into_values().collect())
    }

    fn add_all(&mut self, lock: &PlatformLock) {
        lock.builds().for_each(|(wheel, build)| self.add(wheel, build));
    }

    fn add(&mut self, wheel: &LockedWheel, build: &LockedBuild) {
        let key = (wheel.name.clone(), wheel.digest);
        if self.builds.contains_key(&key) {
            return;
        }
        let LockedBuild { from, requires, packages, tree, dependencies } = build;
        let build = Build {
            name: wheel.name.clone(),
            file: wheel.file_name.clone(),
            size: wheel.size_bytes.unwrap_or_default(),
            wheel: wheel.digest,
            source: from.archive,
            history: from.has_git,
            builder: self.builder(tree),
            requires: requires.clone(),
            packages: packages.clone(),
            dependencies: dependencies.clone(),
            wheels: tree.wheels.iter().map(build_wheel).collect(),
        };
        self.builds.insert(key, build);
        self.add_all(tree);
    }

    /// Returns the number of the builder that has the packages of `tree`. If there is no such builder, adds it. A
    /// builder is an entry of the lock with the Debian packages of builds.
    fn builder(&mut self, tree: &PlatformLock) -> usize {
        let builder = Builder {
            platform: tree.platform.to_string(),
            releases: tree.releases.clone(),
            debs: tree.debs.iter().map(PlatformDeb::from).collect(),
        };
        let known = self.builders.iter().position(|known| *known == builder);
        known.unwrap_or_else(|| {
            self.builders.push(builder);
            self.builders.len() - 1
        })
    }
}

fn build_wheel(wheel: &LockedWheel) -> BuildWheel {
    let from = wheel.built.as_ref().map(|build| &build.from);
    let (url, commit) = match from.map(|from| &from.place) {
        None => (wheel.url.clone(), None),
        Some(BuiltPlace::Archive { url }) => (url.clone(), None),
        Some(BuiltPlace::Git { url, commit }) => (url.clone(), Some(commit.clone())),
        // This is never reached, because `refuse_folders` has refused such a build.
        Some(place @ BuiltPlace::Folder(_)) => (place.shown(), None),
    };
    BuildWheel {
        name: wheel.name.clone(),
        version: wheel.version.clone(),
        file: wheel.file_name.clone(),
        url,
        size: wheel.size_bytes,
        sha256: wheel.digest,
        source: wheel.source,
        requested: wheel.is_requested,
        required_by: wheel.required_by.clone(),
        built: from.is_some(),
        commit,
        subdirectory: from.and_then(|from| from.subdirectory.clone()),
    }
}
