//! Request -> lock. Wheels are fetched and opened on the way, because their files determine which packages the image
//! needs.

use std::sync::OnceLock;

use rayon::prelude::*;

use super::BuildError;
use crate::model::lock::{Lock, LockedDeb, LockedWheel, PlatformLock};
use crate::model::part::Part;
use crate::model::platform::Platform;
use crate::model::request::Request;
use crate::outside::world::World;
use crate::steps::fetch::{fetch_ahead, fetch_wheels};
use crate::steps::resolve::choose;
use crate::steps::unpack::{UnpackError, unpack_ahead, unpack_wheel};

/// A callback for each package that is fetched while the wheels are not known yet, as soon as it is in the store.
type Arrived<'a> = &'a (dyn Fn(LockedDeb) + Sync);

/// Resolves both halves of `request`, for each platform.
pub(crate) fn resolve(request: &Request, world: &World) -> Result<Lock, BuildError> {
    resolve_each(request, &|_| (), world)
}

/// The same. In parallel it opens the packages that have arrived, because the network leaves the cores idle.
pub(crate) fn resolve_and_unpack(request: &Request, world: &World) -> Result<Lock, BuildError> {
    rayon::in_place_scope(|scope| resolve_each(request, &|deb| scope.spawn(move |_| unpack_ahead(&deb, world)), world))
}

fn resolve_each(request: &Request, arrived: Arrived<'_>, world: &World) -> Result<Lock, BuildError> {
    let mut platforms = Vec::new();
    for platform in &request.platforms {
        platforms.push(resolve_platform(request, *platform, arrived, world)?);
    }
    Ok(Lock { python: request.python.version, base: request.base.clone(), platforms })
}

fn resolve_platform(
    request: &Request,
    platform: Platform,
    arrived: Arrived<'_>,
    world: &World,
) -> Result<PlatformLock, BuildError> {
    let choice = choose(request, platform, world).map_err(Box::new)?;
    let base = choice.base.clone();
    std::thread::scope(|scope| {
        // The base's packages are fetched in parallel with the wheels. If there is no thread, they are fetched with all
        // others.
        let ahead = || fetch_ahead(&base, |number| arrived(base[number].clone()), world);
        let _ = std::thread::Builder::new().spawn_scoped(scope, ahead);
        let wheels = choice.wheels().map_err(Box::new)?;
        let parts = fetch_and_open(&wheels, world)?;
        Ok(choice.lock(wheels, &parts, request).map_err(Box::new)?)
    })
}

/// Fetches the wheels, and opens each as soon as it is in the store.
fn fetch_and_open(wheels: &[LockedWheel], world: &World) -> Result<Vec<Part>, BuildError> {
    let opened: Vec<OnceLock<Result<Part, UnpackError>>> = wheels.iter().map(|_| OnceLock::new()).collect();
    rayon::in_place_scope(|scope| {
        let open = |number: usize| {
            let (wheel, opened) = (&wheels[number], &opened[number]);
            scope.spawn(move |_| {
                opened.get_or_init(|| unpack_wheel(wheel, world));
            });
        };
        fetch_wheels(wheels, open, world)
    })?;
    let rest = wheels.par_iter().zip(opened);
    let parts: Result<Vec<Part>, UnpackError> =
        rest.map(|(wheel, opened)| opened.into_inner().unwrap_or_else(|| unpack_wheel(wheel, world))).collect();
    Ok(parts?)
}
