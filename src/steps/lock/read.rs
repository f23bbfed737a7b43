//! `pylock.toml` -> lock.

use std::path::Path;

use fs_err as fs;

use super::sources::{Builds, Packages};
use super::{LockError, places};
use crate::formats::pylock::lath_table::{LathTable, LockedPlatform, PlatformWheel};
use crate::formats::pylock::{self, MAX_LOCK_BYTES, Package, PylockError};
use crate::model::digest::Digest;
use crate::model::hint::Hint;
use crate::model::lock::{LockedDeb, LockedWheel, PlatformLock, WheelSource};
use crate::model::lock_file::{ForeignLock, LockFile, LockRequest};
use crate::model::platform::Platform;
use crate::model::project::Extras;
use crate::model::request::ReleaseRequest;

/// A lock file that the user named.
#[derive(Debug)]
pub(crate) enum Named {
    Own(Box<LockFile>),
    /// A lock that another tool wrote. It has no Debian half.
    Foreign,
}

/// Reads the lock `path`.
pub(crate) fn read(path: &Path) -> Result<Named, LockError> {
    let failed = |source| LockError::Read { path: path.to_owned(), source };
    let form = |source| LockError::Form { path: path.to_owned(), source };
    let size_bytes = match fs::metadata(path) {
        Ok(metadata) => metadata.len(),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(LockError::Missing { path: path.to_owned() });
        }
        Err(error) => return Err(failed(error)),
    };
    if size_bytes > MAX_LOCK_BYTES {
        return Err(form(PylockError::TooLarge { max_bytes: MAX_LOCK_BYTES }));
    }
    let bytes = fs::read(path).map_err(failed)?;
    let text = str::from_utf8(&bytes).map_err(|error| failed(std::io::Error::other(error)))?;
    let pylock = pylock::parse(text).map_err(form)?.lock;
    let Some(table) = pylock.tool.lath else { return Ok(Named::Foreign) };
    let absolute = std::path::absolute(path).map_err(failed)?;
    let packages = Packages { packages: &pylock.packages, folder: absolute.parent().unwrap_or(Path::new("/")) };
    let wrong = |problem| LockError::Content { path: path.to_owned(), problem };
    let platforms = platforms(&table, &packages).map_err(wrong)?;
    Ok(Named::Own(Box::new(LockFile {
        path: path.to_owned(),
        digest: Digest::of(&bytes),
        request: table.request,
        platforms,
    })))
}

/// Returns the requirement that represents a foreign lock in a request. It contains the file name of the lock, the
/// options that select a part of the lock, and the digest of the file. Because of the digest, lath notices if the lock
/// has changed.
pub(crate) fn as_requirement(lock: &ForeignLock) -> Result<String, LockError> {
    let ForeignLock { path, extras, groups } = lock;
    let bytes = fs::read(path).map_err(|source| LockError::Read { path: path.clone(), source })?;
    let mut text = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match extras {
        Extras::All => text.push_str(" --all-extras"),
        Extras::Named(names) => names.iter().for_each(|name| text.push_str(&format!(" --extra {name}"))),
    }
    groups.iter().for_each(|group| text.push_str(&format!(" --group {group}")));
    Ok(format!("{text} --hash={}", Digest::of(&bytes).prefixed()))
}

/// Returns the lock of a platform. Each Debian package in it has all places from which it can be fetched.
pub(crate) fn of_platform(
    request: &LockRequest,
    base: &ReleaseRequest,
    platform: Platform,
) -> Result<PlatformLock, LockError> {
    let file = &request.file;
    let missing = || LockError::Platform {
        path: file.path.clone(),
        platform,
        known: file.platforms.iter().map(|lock| lock.platform).collect(),
    };
    let mut lock = file.of_platform(platform).cloned().ok_or_else(missing)?;
    places::add(&mut lock, base, request.snapshot.as_ref());
    Ok(lock)
}

fn platforms(table: &LathTable, packages: &Packages<'_>) -> Result<Vec<PlatformLock>, String> {
    let mut platforms: Vec<PlatformLock> = Vec::new();
    for locked in &table.platforms {
        let lock = platform(locked, table, packages)?;
        if platforms.iter().any(|other| other.platform == lock.platform) {
            return Err(format!("it has the platform {} twice", lock.platform));
        }
        platforms.push(lock);
    }
    Ok(platforms)
}

fn platform(locked: &LockedPlatform, table: &LathTable, packages: &Packages<'_>) -> Result<PlatformLock, String> {
    let platform: Platform = locked.platform.parse().map_err(|_| format!("`{}` is not a platform", locked.platform))?;
    let mut wheels: Vec<LockedWheel> = Vec::new();
    for wheel in &locked.wheels {
        if wheels.iter().any(|other| other.name == wheel.name) {
            return Err(format!("it has `{}` twice for {platform}", wheel.name));
        }
        wheels.push(match &wheel.built {
            Some(digest) => Builds::new(table).wheel(wheel, digest, packages)?,
            None => packages.wheel(wheel)?,
        });
    }
    wheels.sort_by(|one, other| one.name.cmp(&other.name));
    let mut debs: Vec<LockedDeb> = locked.debs.iter().map(LockedDeb::from).collect();
    debs.sort_by(|one, other| one.name.cmp(&other.name));
    if let Some(pair) = debs.windows(2).find(|pair| pair[0].name == pair[1].name) {
        return Err(format!("it has the Debian package `{}` twice for {platform}", pair[0].name));
    }
    let (_, suite) = table.request.base.split_once(':').ok_or_else(|| unknown_base(&table.request.base))?;
    let hints = locked.missing.iter().map(|missing| Hint::Libraries {
        wheel: missing.wheel.clone(),
        sonames: missing.sonames.clone(),
        suite: suite.to_owned(),
    });
    Ok(PlatformLock {
        platform,
        wheels,
        debs,
        hints: hints.collect(),
        releases: locked.releases.clone(),
        base: locked.base.clone(),
    })
}

fn unknown_base(base: &str) -> String {
    format!("`{base}` is not a release")
}

impl Packages<'_> {
    /// Returns the locked wheel for an entry of the platform. The URL, the sha256 and the size of its file come from
    /// `[[packages]]`.
    fn wheel(&self, wheel: &PlatformWheel) -> Result<LockedWheel, String> {
        let PlatformWheel { name, version, file, .. } = wheel;
        let is_same = |package: &&Package| package.name == *name && package.version.as_deref() == Some(version);
        let files = self.packages.iter().filter(is_same).flat_map(|package| {
            package.wheels.iter().map(|file| (WheelSource::Index, file)).chain(package.archive.iter().map(|archive| {
                let source = if archive.file.path.is_some() { WheelSource::Path } else { WheelSource::Url };
                (source, &archive.file)
            }))
        });
        let mut files = files.filter(|(source, one)| {
            one.file_name().as_deref() == Some(file)
                && (*source == WheelSource::Index) == (wheel.source == WheelSource::Index)
        });
        let absent = || format!("its `packages` do not contain `{file}`, which its `[tool.lath]` table names");
        let (source, found) = files.next().ok_or_else(absent)?;
        let digest = found.hashes.get("sha256").and_then(|digest| digest.parse::<Digest>().ok());
        let digest = digest.ok_or_else(|| format!("it has no sha256 of `{file}`"))?;
        Ok(LockedWheel {
            name: name.clone(),
            version: version.clone(),
            file_name: file.clone(),
            url: self.url(found).ok_or_else(|| format!("it has no URL of `{file}`"))?,
            digest,
            size_bytes: found.size,
            is_requested: wheel.requested,
            required_by: wheel.required_by.clone(),
            source,
            built: None,
        })
    }
}
