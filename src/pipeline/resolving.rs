//! Request -> lock, and the opened parcels of the lock. Wheels are fetched and opened before the packages are chosen,
//! because their files determine which packages the image needs.

use super::BuildError;
use super::ahead::{Ahead, fetch_and_open};
use crate::model::lock::{Parcel, PlatformLock};
use crate::model::part::Part;
use crate::model::platform::Platform;
use crate::model::request::ResolveRequest;
use crate::outside::world::World;
use crate::steps::resolve::{Choice, choose};

/// The lock of one platform, and its opened wheels in the same order.
pub(super) struct Resolved {
    pub(super) lock: PlatformLock,
    pub(super) wheels: Vec<Part>,
}

/// The lock of one platform, and all its opened parcels: packages first, then wheels, each in the lock's order.
pub(super) struct Opened {
    pub(super) lock: PlatformLock,
    pub(super) parts: Vec<Part>,
}

/// Resolves a platform. Only its wheels are fetched.
pub(super) fn resolve(request: ResolveRequest<'_>, platform: Platform, world: &World) -> Result<Resolved, BuildError> {
    choose_packages(choose(request, platform, world)?, world)
}

/// Resolves a platform, and fetches and opens all its parcels.
pub(super) fn resolve_and_open(
    request: ResolveRequest<'_>,
    platform: Platform,
    world: &World,
) -> Result<Opened, BuildError> {
    let choice = choose(request, platform, world)?;
    let base = choice.base.clone();
    let (ahead, resolved) = Ahead::open(&base, world, || choose_packages(choice, world));
    let Resolved { lock, wheels } = resolved?;
    let debs: Vec<Parcel<'_>> = lock.debs.iter().map(Parcel::Deb).collect();
    let mut parts = ahead.open_rest(&debs, world)?;
    parts.extend(wheels);
    Ok(Opened { lock, parts })
}

/// Fetches and opens the chosen wheels, and chooses the packages.
fn choose_packages(choice: Choice<'_>, world: &World) -> Result<Resolved, BuildError> {
    let locked = choice.wheels()?;
    let wheels = fetch_and_open(&locked.iter().map(Parcel::Wheel).collect::<Vec<_>>(), world)?;
    Ok(Resolved { lock: choice.lock(locked, &wheels)?, wheels })
}
