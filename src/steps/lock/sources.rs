//! The builds in `[tool.lath]` and the sources in `[[packages]]` -> wheels that are built from source.

use std::path::{Path, PathBuf};

use crate::formats::pylock::lath_table::{Build, BuildWheel, LathTable, PlatformWheel};
use crate::formats::pylock::{Directory, File, Package, Vcs};
use crate::model::digest::Digest;
use crate::model::lock::{LockedBuild, LockedDeb, LockedWheel, PlatformLock, WheelSource};
use crate::model::source::{BuiltFrom, BuiltPlace};

/// The maximum length of a chain of builds in which each build needs the next one.
const MAX_DEPTH: usize = 10;

/// The builds of a lock.
#[derive(Debug)]
pub(super) struct Builds<'a> {
    table: &'a LathTable,
    /// The number of builds in the chain so far, in which each build needs the next one.
    depth: usize,
}

impl<'a> Builds<'a> {
    pub(super) fn new(table: &'a LathTable) -> Self {
        Self { table, depth: 0 }
    }

    /// Returns a wheel that is built from its source in `[[packages]]`. `digest` is the digest of the built wheel.
    pub(super) fn wheel(
        &self,
        wheel: &PlatformWheel,
        digest: &Digest,
        packages: &Packages<'_>,
    ) -> Result<LockedWheel, String> {
        let build = self.build(digest, &wheel.file)?;
        let (place, subdirectory) = packages.source(wheel, build)?;
        let from = BuiltFrom { place, subdirectory, archive: build.source, has_git: build.history };
        Ok(LockedWheel {
            name: wheel.name.clone(),
            version: wheel.version.clone(),
            file_name: wheel.file.clone(),
            url: from.place.shown(),
            digest: *digest,
            size_bytes: Some(build.size),
            is_requested: wheel.requested,
            required_by: wheel.required_by.clone(),
            source: wheel.source,
            built: Some(Box::new(self.locked(build, from)?)),
        })
    }

    fn build(&self, digest: &Digest, file: &str) -> Result<&'a Build, String> {
        let build = self.table.builds.iter().find(|build| build.wheel == *digest && build.file == *file);
        build.ok_or_else(|| format!("its `[tool.lath]` table does not contain the build of `{file}`"))
    }

    /// Returns a build with its tree.
    fn locked(&self, build: &Build, from: BuiltFrom) -> Result<LockedBuild, String> {
        let name = &build.name;
        if self.depth == MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} builds need one another, such as that of `{name}`"));
        }
        let builder = self.table.builders.get(build.builder);
        let builder = builder.ok_or_else(|| format!("it has no builder {} for `{name}`", build.builder))?;
        let platform = builder.platform.parse().map_err(|_| format!("`{}` is not a platform", builder.platform))?;
        let inner = Self { depth: self.depth + 1, ..*self };
        let wheels = build.wheels.iter().map(|wheel| inner.tool(wheel)).collect::<Result<_, _>>()?;
        Ok(LockedBuild {
            from,
            requires: build.requires.clone(),
            packages: build.packages.clone(),
            tree: PlatformLock {
                platform,
                wheels,
                debs: builder.debs.iter().map(LockedDeb::from).collect(),
                hints: Vec::new(),
                releases: builder.releases.clone(),
                base: None,
            },
            dependencies: build.dependencies.clone(),
        })
    }

    /// Returns a wheel that is installed in the tree of a build, such as a build tool.
    fn tool(&self, wheel: &BuildWheel) -> Result<LockedWheel, String> {
        let mut locked = LockedWheel {
            name: wheel.name.clone(),
            version: wheel.version.clone(),
            file_name: wheel.file.clone(),
            url: wheel.url.clone(),
            digest: wheel.sha256,
            size_bytes: wheel.size,
            is_requested: wheel.requested,
            required_by: wheel.required_by.clone(),
            source: wheel.source,
            built: None,
        };
        if wheel.built {
            let build = self.build(&wheel.sha256, &wheel.file)?;
            let url = wheel.url.clone();
            let place = match &wheel.commit {
                Some(commit) => BuiltPlace::Git { url, commit: commit.clone() },
                None => BuiltPlace::Archive { url },
            };
            let subdirectory = wheel.subdirectory.clone();
            let from = BuiltFrom { place, subdirectory, archive: build.source, has_git: build.history };
            locked.url = from.place.shown();
            locked.built = Some(Box::new(self.locked(build, from)?));
        }
        Ok(locked)
    }
}

/// `[[packages]]`, and the folder of the lock.
#[derive(Debug)]
pub(super) struct Packages<'a> {
    pub(super) packages: &'a [Package],
    pub(super) folder: &'a Path,
}

impl Packages<'_> {
    pub(super) fn url(&self, file: &File) -> Option<String> {
        match (&file.url, &file.path) {
            (Some(url), _) => Some(url.clone()),
            (None, Some(path)) => url::Url::from_file_path(self.folder.join(path)).ok().map(String::from),
            (None, None) => None,
        }
    }

    /// Returns the place of a wheel's source, and the folder of the project within the source.
    fn source(&self, wheel: &PlatformWheel, build: &Build) -> Result<(BuiltPlace, Option<String>), String> {
        let same_name = self.packages.iter().filter(|package| package.name == wheel.name);
        let mut found = same_name.filter_map(|package| self.source_in(package, wheel, build));
        let absent = || format!("its `packages` do not contain the source of `{}`", wheel.file);
        found.next().ok_or_else(absent)
    }

    fn source_in(
        &self,
        package: &Package,
        wheel: &PlatformWheel,
        build: &Build,
    ) -> Option<(BuiltPlace, Option<String>)> {
        let is_it = |file: &File| file.hashes.get("sha256").is_some_and(|digits| *digits == build.source.to_string());
        let archive = |file: &File| Some(BuiltPlace::Archive { url: self.url(file)? });
        if wheel.source == WheelSource::Index {
            let sdist = package.sdist.as_ref().filter(|sdist| is_it(sdist))?;
            return Some((archive(sdist)?, None));
        }
        match package {
            Package { archive: Some(found), .. } if is_it(&found.file) => {
                Some((archive(&found.file)?, found.subdirectory.clone()))
            }
            Package { vcs: Some(vcs), .. } => {
                let Vcs { url, path, commit_id, subdirectory, .. } = vcs;
                let file = File { url: url.clone(), path: path.clone(), ..File::default() };
                let place = BuiltPlace::Git { url: self.url(&file)?, commit: commit_id.clone() };
                Some((place, subdirectory.clone()))
            }
            Package { directory: Some(Directory { path, subdirectory, .. }), .. } => {
                let folder = plain(&self.folder.join(path));
                Some((BuiltPlace::Folder(folder), subdirectory.clone()))
            }
            _ => None,
        }
    }
}

/// Sets the folder of the project in the lock to `folder`. The paths in the lock are relative to the lock, which may be
/// in another folder than the project. If the user requested several folders, lath does not know which of them is the
/// project, so no folder is changed.
pub(crate) fn place_project(lock: &mut PlatformLock, folder: &Path) {
    let mut folders: Vec<&mut PathBuf> = Vec::new();
    for wheel in lock.wheels.iter_mut().filter(|wheel| wheel.is_requested) {
        if let Some(BuiltPlace::Folder(path)) = wheel.built.as_mut().map(|build| &mut build.from.place) {
            folders.push(path);
        }
    }
    if let [only] = folders.as_mut_slice() {
        folder.clone_into(only);
    }
}

/// Removes `.` and `..` from a path. Links in the path are not resolved, because they may have other targets on another
/// machine.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}
