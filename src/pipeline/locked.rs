//! Writes locks, and builds from locks. A build from a lock reads no pages of an index and no package lists of an
//! archive.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{BuildError, build_again, resolve_with_scripts, source_files, to_lock, with_own_python};
use crate::model::digest::Digest;
use crate::model::distribution_name::normalised;
use crate::model::lock::{LockedWheel, Parcel, PlatformLock, WheelSource};
use crate::model::lock_file::{LockFile, LockRequest, LockedBuilds, LockedRequest};
use crate::model::outdated::{Dead, Outdated};
use crate::model::platform::Platform;
use crate::model::request::{BuildsRequest, Entrypoint, Pin, Request, ResolveRequest};
use crate::outside::pypi::Inputs;
use crate::outside::world::World;
use crate::steps::emit::{self, EmitError};
use crate::steps::fetch::{fetch, write_vendor};
use crate::steps::lock::{self as lock_step, LockError, Named, Wanted};
use crate::steps::resolve::{ResolveError, known_calls};

/// Reads the lock `path`. `None` if another tool wrote it.
pub(crate) fn read_lock(path: &Path) -> Result<Option<LockFile>, BuildError> {
    match lock_step::read(path)? {
        Named::Own(file) => Ok(Some(*file)),
        Named::Foreign => Ok(None),
    }
}

/// Returns the error for a lock `path` that another tool wrote.
pub(crate) fn foreign_lock(path: &Path) -> BuildError {
    LockError::NoTable { path: path.to_owned() }.into()
}

/// The options with which a lock is written.
#[derive(Debug)]
pub(crate) struct Locking<'a> {
    pub(crate) path: &'a Path,
    pub(crate) upgrade: Upgrade,
    /// The folder for the files of the lock.
    pub(crate) vendor: Option<&'a Path>,
}

/// The Python packages whose newest versions are chosen. All others keep the versions of the existing lock.
#[derive(Debug)]
pub(crate) enum Upgrade {
    All,
    Only(Vec<String>),
}

/// Resolves the request for all its platforms, and writes the lock.
pub(crate) fn lock(request: &Request, locking: &Locking<'_>, world: &World) -> Result<(), BuildError> {
    let path = locking.path;
    emit::refuse_document(path)?;
    let existing = existing(locking)?;
    let request = &*with_own_python(request, world)?;
    let resolved = request.platforms.as_ref().try_map(|platform| {
        let mut preferring = request.clone();
        preferring.python.preferred = existing.as_ref().map(|file| pins(file, *platform, locking)).unwrap_or_default();
        let mut lock = resolve_with_scripts(preferring.to_resolve(*platform), *platform, world)?;
        lock.base = to_lock(request, *platform);
        Ok::<_, BuildError>(lock)
    })?;
    let locks: Vec<&PlatformLock> = resolved.iter().collect();
    lock_step::refuse_folders(&locks)?;
    if let Some(folder) = locking.vendor {
        vendor(&locks, request, folder, world)?;
    }
    let absolute = std::path::absolute(path);
    let absolute = absolute.map_err(|source| EmitError::Write { path: path.to_owned(), source })?;
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    let text = lock_step::write(&locks, &locked_request(request, world)?, folder);
    Ok(emit::write_document(path, &text)?)
}

/// Returns the existing lock, if some of its versions are kept. Refuses to replace a file that lath did not write.
fn existing(locking: &Locking<'_>) -> Result<Option<LockFile>, BuildError> {
    match lock_step::read(locking.path) {
        Ok(Named::Own(file)) => Ok(matches!(locking.upgrade, Upgrade::Only(_)).then_some(*file)),
        Ok(Named::Foreign) => Err(LockError::Overwrite { path: locking.path.to_owned() }.into()),
        Err(LockError::Missing { .. }) => Ok(None),
        // The path is a pipe or a device, which contains no lock.
        Err(_) if locking.path.exists() && !locking.path.is_file() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Returns the versions for `platform` in the lock `file` that the new lock keeps.
fn pins(file: &LockFile, platform: Platform, locking: &Locking<'_>) -> Vec<Pin> {
    let upgraded = match &locking.upgrade {
        Upgrade::All => return Vec::new(),
        Upgrade::Only(names) => names,
    };
    let is_kept = |wheel: &&LockedWheel| {
        wheel.source == WheelSource::Index && !upgraded.iter().any(|name| normalised(name) == wheel.name)
    };
    let lock = file.of_platform(platform).or(file.platforms.first());
    let wheels = lock.iter().flat_map(|lock| &lock.wheels).filter(is_kept);
    wheels.map(|wheel| Pin { name: wheel.name.clone(), version: wheel.version.clone() }).collect()
}

/// Fetches all files of the locks, including the files for builds from source, and writes them to `folder`.
fn vendor(locks: &[&PlatformLock], request: &Request, folder: &Path, world: &World) -> Result<(), BuildError> {
    let mut names: BTreeMap<Digest, String> = BTreeMap::new();
    let mut parcels: Vec<Parcel<'_>> = Vec::new();
    for parcel in locks.iter().flat_map(|lock| parcels_of(lock)) {
        if names.insert(parcel.digest(), parcel.file_name()).is_none() {
            parcels.push(parcel);
        }
    }
    fetch(&parcels, |_| (), world)?;
    for lock in locks {
        names.extend(source_files(lock, request.to_resolve(lock.platform), world)?);
    }
    Ok(write_vendor(folder, &names, world)?)
}

/// Returns the wheels and packages of a lock, including those that its builds need.
fn parcels_of(lock: &PlatformLock) -> Vec<Parcel<'_>> {
    let own = lock.debs.iter().map(Parcel::Deb).chain(lock.wheels.iter().map(Parcel::Wheel));
    own.chain(lock.builds().flat_map(|(_, build)| parcels_of(&build.tree))).collect()
}

/// Compares the lock of `request` with the inputs of `request`, and with the current indexes and archives.
pub(crate) fn check_lock(request: &Request, world: &World) -> Result<Outdated, BuildError> {
    let request = &*with_own_python(request, world)?;
    let Some(lock) = &request.lock else { return Ok(Outdated::default()) };
    let mut outdated = Outdated::default();
    for locked in &lock.file.platforms {
        let wanted = ResolveRequest { lock: None, ..request.to_resolve(locked.platform) };
        let current = resolve_with_scripts(wanted, locked.platform, world)?;
        lock_step::add_newer(&mut outdated.newer, locked, &current);
    }
    let urls: BTreeSet<String> = lock.file.platforms.iter().flat_map(lock_step::urls).collect();
    let urls: Vec<String> = urls.into_iter().collect();
    let answers = world.http.all_exist(&urls);
    let dead = urls.into_iter().zip(answers).filter_map(|(url, answer)| Some((url, answer.err()?)));
    outdated.dead = dead.map(|(url, error)| Dead { url, problem: error.brief() }).collect();
    Ok(outdated)
}

/// Refuses the lock of the request if the lock was made for another request.
pub(super) fn refuse_other(request: &Request, world: &World) -> Result<(), BuildError> {
    let Some(lock) = &request.lock else { return Ok(()) };
    let Request { python, release, .. } = request;
    let indexes = python.indexes.extra.iter().chain(&python.indexes.default_index).map(|index| &index.url);
    let indexes = indexes.chain(&python.indexes.find_links);
    for url in indexes.chain(&release.mirror).chain(&release.security_mirror).chain(&lock.snapshot) {
        // The credentials come from the request, because a lock contains none.
        world.http.credentials().remember(url.exposed());
    }
    let mut wanted = if lock.compares_inputs { locked_request(request, world)? } else { without_inputs(request) };
    if request.python.is_expected {
        wanted.python = lock.file.request.python;
    }
    let wanted = Wanted { request: &wanted, compares_inputs: lock.compares_inputs };
    Ok(lock_step::refuse_other(&lock.file, &wanted)?)
}

/// Returns the lock of a platform. Builds the wheels of the lock that are made from source, so that they are in the
/// store.
pub(super) fn of_platform(
    file: &LockRequest,
    request: ResolveRequest<'_>,
    platform: Platform,
    world: &World,
) -> Result<PlatformLock, BuildError> {
    let mut lock = lock_step::of_platform(file, request.release, platform)?;
    if let Some(project) = request.python.project.as_ref().filter(|project| project.is_package) {
        lock_step::place_project(&mut lock, &project.folder);
    }
    build_again(&mut lock, request, file, world)?;
    lock.hints.splice(0..0, known_calls(&lock.wheels, &lock.debs));
    Ok(lock)
}

/// Returns the lock of a bare Python, without any distributions, for the platform `host`. `None` if the lock of the
/// request does not contain this platform.
pub(super) fn workshop(request: &Request, host: Platform) -> Option<PlatformLock> {
    let lock = request.lock.as_ref()?;
    let lock = lock_step::of_platform(lock, &request.release, host).ok()?;
    let debs = lock.debs.iter().filter(|deb| deb.is_base).cloned().collect();
    Some(PlatformLock { debs, wheels: Vec::new(), hints: Vec::new(), ..lock })
}

/// Returns the parts of the request that decide the contents of a lock.
fn locked_request(request: &Request, world: &World) -> Result<LockedRequest, BuildError> {
    let Inputs { mut requirements, constraints, indexes } =
        world.pypi.inputs(&request.python).map_err(ResolveError::from)?;
    if let Some(lock) = &request.python.lock {
        requirements.push(lock_step::as_requirement(lock)?);
    }
    Ok(LockedRequest {
        requirements,
        constraints,
        default_index: indexes.default_index.map(|index| index.to_string()),
        indexes: indexes.extra.iter().map(ToString::to_string).collect(),
        find_links: indexes.find_links.iter().map(ToString::to_string).collect(),
        no_index: indexes.has_only_links,
        ..without_inputs(request)
    })
}

/// Works like [`locked_request`], but the result contains no inputs.
fn without_inputs(request: &Request) -> LockedRequest {
    let Request { python, release, base_image, trim, runtime, .. } = request;
    let mut with = release.packages.clone();
    with.sort();
    with.dedup();
    LockedRequest {
        requirements: Vec::new(),
        constraints: Vec::new(),
        has_application: request.app.is_some(),
        python: python.version,
        base: release.name(),
        base_image: base_image.as_ref().map(|base| base.source.to_string()),
        no_base_packages: base_image.as_ref().is_some_and(|base| !base.uses_packages),
        with,
        recommends: release.recommends,
        shell: runtime.shell || runtime.entrypoint == Entrypoint::Shell,
        trim: trim.level,
        prerelease: python.prereleases,
        exclude_newer: python.indexes.exclude_newer.clone(),
        default_index: None,
        indexes: Vec::new(),
        find_links: Vec::new(),
        no_index: false,
        index_strategy: python.indexes.strategy,
        torch_backend: python.indexes.torch_backend.as_ref().map(ToString::to_string),
        builds: locked_builds(&python.builds),
    }
}

fn locked_builds(builds: &BuildsRequest) -> LockedBuilds {
    let sorted = |names: &[String]| {
        let names: BTreeSet<String> = names.iter().cloned().collect();
        names.into_iter().collect()
    };
    let of_option = |(name, values): (&String, &Vec<String>)| {
        values.iter().map(|value| format!("{name}={value}")).collect::<Vec<_>>()
    };
    LockedBuilds {
        with: sorted(&builds.packages),
        no_build: builds.no_build,
        no_build_package: sorted(&builds.no_build_packages),
        no_binary_package: sorted(&builds.no_binary_packages),
        config_setting: builds.config_settings.iter().flat_map(of_option).collect(),
    }
}
