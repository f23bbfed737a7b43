//! Locks: writing one, and building from one. A build from a lock requests no index and no archive.

use std::path::Path;

use super::ahead::fetch_and_open;
use super::{BuildError, Opened, Resolved, resolve, with_own_python};
use crate::model::lock::{Parcel, PlatformLock};
use crate::model::lock_file::{LockFile, LockRequest, LockedRequest};
use crate::model::platform::Platform;
use crate::model::request::{BaseRequest, Entrypoint, Request};
use crate::outside::pypi::Inputs;
use crate::outside::world::World;
use crate::steps::emit;
use crate::steps::lock::{self as lock_step, LockError, Named, Wanted};
use crate::steps::resolve::{ResolveError, known_calls};

/// Reads the lock `path`. `None` if another tool wrote it.
pub(crate) fn read_lock(path: &Path) -> Result<Option<LockFile>, BuildError> {
    match lock_step::read(path)? {
        Named::Own(file) => Ok(Some(*file)),
        Named::Foreign => Ok(None),
    }
}

/// The error that another tool wrote the lock `path`.
pub(crate) fn foreign_lock(path: &Path) -> BuildError {
    LockError::NoTable { path: path.to_owned() }.into()
}

/// Resolves the request for all its platforms, and writes the lock to `path`.
pub(crate) fn lock(request: &Request, path: &Path, world: &World) -> Result<(), BuildError> {
    emit::refuse_document(path)?;
    let request = &*with_own_python(request, world)?;
    let resolved = request.platforms.as_ref().try_map(|platform| resolve(request.to_resolve(), *platform, world))?;
    let locks: Vec<&PlatformLock> = resolved.iter().map(|Resolved { lock, .. }| lock).collect();
    let absolute =
        std::path::absolute(path).map_err(|source| emit::EmitError::Write { path: path.to_owned(), source })?;
    let folder = absolute.parent().unwrap_or(Path::new("/"));
    let text = lock_step::write(&locks, &locked_request(request, world)?, folder);
    Ok(emit::write_document(path, &text)?)
}

/// Refuses the lock of the request if it was made for another one.
pub(super) fn refuse_other(request: &Request, world: &World) -> Result<(), BuildError> {
    let Some(lock) = &request.lock else { return Ok(()) };
    let Request { python, base, .. } = request;
    let indexes = python.indexes.extra.iter().chain(&python.indexes.default_index);
    for url in indexes.chain(&base.mirror).chain(&base.security_mirror).chain(&lock.snapshot) {
        // The lock has no credentials.
        world.http.credentials().remember(url.exposed());
    }
    let mut wanted = if lock.compares_inputs { locked_request(request, world)? } else { without_inputs(request) };
    if request.python.is_expected {
        wanted.python = lock.file.request.python;
    }
    let wanted = Wanted { request: &wanted, compares_inputs: lock.compares_inputs };
    Ok(lock_step::refuse_other(&lock.file, &wanted)?)
}

/// Returns the lock of a platform.
pub(super) fn of_platform(
    request: &LockRequest,
    base: &BaseRequest,
    platform: Platform,
) -> Result<PlatformLock, BuildError> {
    let mut lock = lock_step::of_platform(request, base, platform)?;
    lock.hints.splice(0..0, known_calls(&lock.wheels, &lock.debs));
    Ok(lock)
}

/// Fetches and opens all parcels of a lock.
pub(super) fn open(lock: PlatformLock, world: &World) -> Result<Opened, BuildError> {
    let parcels: Vec<Parcel<'_>> =
        lock.debs.iter().map(Parcel::Deb).chain(lock.wheels.iter().map(Parcel::Wheel)).collect();
    let parts = fetch_and_open(&parcels, world)?;
    Ok(Opened { lock, parts })
}

/// Returns the bare Python for this machine that a lock contains, if it is also for this machine.
pub(super) fn workshop(request: &Request, host: Platform) -> Option<PlatformLock> {
    let lock = request.lock.as_ref()?;
    let lock = lock_step::of_platform(lock, &request.base, host).ok()?;
    let debs = lock.debs.iter().filter(|deb| deb.is_base).cloned().collect();
    Some(PlatformLock { debs, wheels: Vec::new(), hints: Vec::new(), ..lock })
}

/// Returns the parts of the request that decide the contents of a lock.
fn locked_request(request: &Request, world: &World) -> Result<LockedRequest, BuildError> {
    let Inputs { requirements, constraints, indexes } =
        world.pypi.inputs(&request.python).map_err(ResolveError::from)?;
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

/// Returns the same without the inputs.
fn without_inputs(request: &Request) -> LockedRequest {
    let Request { python, base, trim, runtime, .. } = request;
    let mut with = base.packages.clone();
    with.sort();
    with.dedup();
    LockedRequest {
        requirements: Vec::new(),
        constraints: Vec::new(),
        python: python.version,
        base: base.release(),
        with,
        recommends: base.recommends,
        shell: runtime.shell || runtime.entrypoint == Entrypoint::Shell,
        trim: trim.level,
        prerelease: python.prereleases,
        exclude_newer: python.indexes.exclude_newer.clone(),
        default_index: None,
        indexes: Vec::new(),
        find_links: Vec::new(),
        no_index: false,
    }
}
