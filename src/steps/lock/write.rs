//! Lock -> the text of `pylock.toml`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::builds::Builds;
use crate::formats::pylock::lath_table::{
    LathTable, LockedPlatform, MissingLibraries, PlatformDeb, PlatformWheel, TABLE_VERSION,
};
use crate::formats::pylock::{self, Archive, Directory, File, Package, Pylock, Tool, Vcs};
use crate::model::hint::Hint;
use crate::model::lock::{LockedBuild, LockedWheel, PlatformLock, WheelSource};
use crate::model::lock_file::LockedRequest;
use crate::model::platform::Platform;
use crate::model::source::{BuiltFrom, BuiltPlace};

/// Returns the text of a lock file that will be in `folder`. The path of `folder` is absolute.
pub(crate) fn write(locks: &[&PlatformLock], request: &LockedRequest, folder: &Path) -> String {
    let platforms: Vec<Platform> = locks.iter().map(|lock| lock.platform).collect();
    let (builders, builds) = Builds::of(locks).into_parts();
    pylock::text(&Pylock {
        lock_version: pylock::LOCK_VERSION.to_owned(),
        environments: platforms.iter().map(|platform| environment(*platform)).collect(),
        requires_python: Some(format!("=={}.*", request.python)),
        created_by: "lath".to_owned(),
        packages: packages(locks, folder),
        tool: Tool {
            lath: Some(LathTable {
                version: TABLE_VERSION,
                lath: env!("CARGO_PKG_VERSION").to_owned(),
                request: request.clone(),
                platforms: locks.iter().map(|lock| platform(lock)).collect(),
                builders,
                builds,
            }),
        },
        ..Pylock::default()
    })
}

/// Returns the marker of the environments in which the wheels of a platform can be installed.
fn environment(platform: Platform) -> String {
    format!("sys_platform == 'linux' and {} and implementation_name == 'cpython'", machine(platform))
}

fn machine(platform: Platform) -> String {
    format!("platform_machine == '{}'", platform.architecture.machine())
}

/// The properties that all wheels of one package in the lock share: the name, the version, and also the place if a
/// requirement names a place.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key<'a> {
    name: &'a str,
    version: &'a str,
    place: Option<&'a str>,
}

#[derive(Debug, Default)]
struct Entry<'a> {
    wheels: BTreeMap<&'a str, &'a LockedWheel>,
    platforms: BTreeSet<Platform>,
}

fn packages(locks: &[&PlatformLock], folder: &Path) -> Vec<Package> {
    let mut entries: BTreeMap<Key<'_>, Entry<'_>> = BTreeMap::new();
    for lock in locks {
        for wheel in &lock.wheels {
            let place = (wheel.source != WheelSource::Index).then_some(wheel.url.as_str());
            let entry = entries.entry(Key { name: &wheel.name, version: &wheel.version, place }).or_default();
            entry.wheels.insert(&wheel.file_name, wheel);
            entry.platforms.insert(lock.platform);
        }
    }
    entries.iter().map(|(key, entry)| package(key, entry, locks.len(), folder)).collect()
}

fn package(key: &Key<'_>, entry: &Entry<'_>, all_platforms: usize, folder: &Path) -> Package {
    let is_everywhere = entry.platforms.len() == all_platforms;
    let machines = || entry.platforms.iter().map(|platform| machine(*platform)).collect::<Vec<_>>().join(" or ");
    let mut package = Package {
        name: key.name.to_owned(),
        version: Some(key.version.to_owned()),
        marker: (!is_everywhere).then(machines),
        ..Package::default()
    };
    for wheel in entry.wheels.values() {
        match (&wheel.built, wheel.source) {
            (Some(build), _) => add_source(&mut package, wheel, build, folder),
            (None, WheelSource::Index) => package.wheels.push(file(wheel, folder)),
            (None, _) => package.archive = Some(Archive { file: file(wheel, folder), subdirectory: None }),
        }
    }
    package
}

/// Adds the source of a wheel. A source tree has no version in the lock, because its version may change with its files
/// (the specification, `packages.version`).
fn add_source(package: &mut Package, wheel: &LockedWheel, build: &LockedBuild, folder: &Path) {
    let BuiltFrom { place, subdirectory, archive, .. } = &build.from;
    let subdirectory = subdirectory.clone();
    match place {
        BuiltPlace::Archive { url } => {
            let path = place.path().and_then(|_| relative(url, folder));
            let file = File {
                name: None,
                url: path.is_none().then(|| url.clone()),
                path,
                size: None,
                hashes: BTreeMap::from([("sha256".to_owned(), archive.to_string())]),
            };
            match wheel.source {
                WheelSource::Index => package.sdist = Some(file),
                _ => package.archive = Some(Archive { file, subdirectory }),
            }
        }
        BuiltPlace::Git { url, commit } => {
            let (kind, url, commit_id) = ("git".to_owned(), Some(url.clone()), commit.clone());
            package.vcs = Some(Vcs { kind, url, commit_id, subdirectory, ..Vcs::default() });
            package.version = None;
        }
        BuiltPlace::Folder(path) => {
            let path = url::Url::from_file_path(path).ok().and_then(|url| relative(url.as_str(), folder));
            let path = path.filter(|path| !path.is_empty()).unwrap_or_else(|| ".".to_owned());
            package.directory = Some(Directory { path, editable: false, subdirectory });
            package.version = None;
        }
    }
}

fn file(wheel: &LockedWheel, folder: &Path) -> File {
    let path = (wheel.source == WheelSource::Path).then(|| relative(&wheel.url, folder)).flatten();
    let file = File {
        name: None,
        url: path.is_none().then(|| wheel.url.clone()),
        path,
        size: wheel.size_bytes,
        hashes: BTreeMap::from([("sha256".to_owned(), wheel.digest.to_string())]),
    };
    let is_named = file.file_name().as_deref() == Some(&wheel.file_name);
    File { name: (!is_named).then(|| wheel.file_name.clone()), ..file }
}

/// Returns the path of a `file:` URL, relative to `folder`.
fn relative(url: &str, folder: &Path) -> Option<String> {
    let path = url::Url::parse(url).ok()?.to_file_path().ok()?;
    let (mut path, mut folder) = (path.components().peekable(), folder.components().peekable());
    while path.peek().is_some() && path.peek() == folder.peek() {
        path.next();
        folder.next();
    }
    let up = folder.map(|_| Component::ParentDir);
    up.chain(path).collect::<PathBuf>().to_str().map(str::to_owned)
}

fn platform(lock: &PlatformLock) -> LockedPlatform {
    let missing = lock.hints.iter().filter_map(|hint| match hint {
        Hint::Libraries { wheel, sonames, .. } => {
            Some(MissingLibraries { wheel: wheel.clone(), sonames: sonames.clone() })
        }
        _ => None,
    });
    let wheel = |wheel: &LockedWheel| PlatformWheel {
        name: wheel.name.clone(),
        version: wheel.version.clone(),
        file: wheel.file_name.clone(),
        source: wheel.source,
        requested: wheel.is_requested,
        required_by: wheel.required_by.clone(),
        built: wheel.built.as_ref().map(|_| wheel.digest),
    };
    LockedPlatform {
        platform: lock.platform.to_string(),
        releases: lock.releases.clone(),
        base: lock.base.clone(),
        wheels: lock.wheels.iter().map(wheel).collect(),
        debs: lock.debs.iter().map(PlatformDeb::from).collect(),
        missing: missing.collect(),
    }
}
