//! Wheels whose sha256 is not in an index, such as wheels that a requirement names by path or URL. They are fetched
//! while lath resolves, because their sha256 can only be computed from their bytes. But if the requirement contains one
//! sha256, a wheel with a URL is fetched later.

use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use thiserror::Error;

use crate::model::digest::Digest;
use crate::model::hint::Hints;
use crate::model::lock::LockedWheel;
use crate::outside::http::HttpError;
use crate::outside::pypi::{DirectWheel, Place};
use crate::outside::store::StoreError;
use crate::outside::world::World;

#[derive(Debug, Error)]
pub(crate) enum DirectError {
    #[error("cannot fetch the wheel of `{name}`")]
    Fetch { name: String, source: HttpError },
    #[error("cannot read the wheel `{path}`")]
    Take { path: PathBuf, source: StoreError },
    #[error("cannot use `{file}`: its bytes do not have the hash of the lock")]
    Hash { file: String },
    #[error("cannot use `{file}`: its sha256 is {found}, which the requirements do not allow")]
    Digest { file: String, found: Digest },
}

impl Hints for DirectError {
    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Fetch { source, .. } => Some(source),
            Self::Take { source, .. } => Some(source),
            Self::Digest { .. } | Self::Hash { .. } => None,
        }
    }
}

/// Puts the wheels into the store and locks them. Several wheels are fetched in parallel, because there may be many: if
/// an index contains no digests, all wheels from this index are fetched here.
pub(super) fn bring_all(wheels: &[DirectWheel], world: &World) -> Result<Vec<LockedWheel>, DirectError> {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        while let Some(wheel) = wheels.get(next.fetch_add(1, Ordering::Relaxed)) {
            done.push(bring(wheel, world)?);
        }
        Ok(done)
    };
    std::thread::scope(|scope| {
        // If no other thread can be started, this thread does all the work.
        let spawn = |_| std::thread::Builder::new().spawn_scoped(scope, work).ok();
        let others: Vec<_> = (1..wheels.len().min(world.http.downloads_at_once())).filter_map(spawn).collect();
        let mut locked = work()?;
        for other in others {
            locked.append(&mut other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(locked)
    })
}

/// Puts one wheel into the store and locks it.
fn bring(wheel: &DirectWheel, world: &World) -> Result<LockedWheel, DirectError> {
    let (digest, size_bytes) =
        match (&wheel.place, wheel.allowed.known()) {
            // The digest is known from the requirement, so the wheel is fetched and checked later, together with all
            // other wheels.
            (Place::Url(_) | Place::Index(_), Some(promised)) => {
                return Ok(wheel.locked(promised, None));
            }
            (Place::Url(url) | Place::Index(url), _) => world
                .http
                .download_unpinned(&wheel.file_name, url, &world.store)
                .map_err(|source| DirectError::Fetch { name: wheel.name.clone(), source })?,
            (Place::Path(path), _) => {
                world.store.copy_parcel(path).map_err(|source| DirectError::Take { path: path.clone(), source })?
            }
        };
    if !wheel.allowed.allows_sha256(&digest) {
        return Err(DirectError::Digest { file: wheel.file_name.clone(), found: digest });
    }
    let unreadable = |source| DirectError::Take { path: world.store.parcel_path(&digest), source };
    if !world.store.parcel_matches(&digest, &wheel.allowed).map_err(unreadable)? {
        return Err(DirectError::Hash { file: wheel.file_name.clone() });
    }
    Ok(wheel.locked(digest, Some(size_bytes)))
}
