//! Lock -> parcels in the store: every wheel and .deb of every platform, in parallel, every byte checked.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::model::digest::Digest;
use crate::model::hint::Hints;
use crate::model::lock::{Lock, LockedDeb, LockedWheel};
use crate::outside::http::{Download, HttpError};
use crate::outside::world::World;

#[derive(Debug, Error)]
pub(crate) enum FetchError {
    #[error("cannot fetch all wheels and packages")]
    Download(#[from] HttpError),
    #[error("cannot fetch the wheels")]
    Wheels(#[source] HttpError),
}

impl Hints for FetchError {
    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Download(error) | Self::Wheels(error) => Some(error),
        }
    }
}

/// Fetches the parcels of `lock` that are not in the store.
pub(crate) fn fetch(lock: &Lock, world: &World) -> Result<(), FetchError> {
    // Platforms share parcels; each is fetched once.
    let mut downloads: BTreeMap<Digest, Download> = BTreeMap::new();
    for platform in &lock.platforms {
        downloads.extend(platform.wheels.iter().map(|wheel| (wheel.digest, Download::of_wheel(wheel))));
        downloads.extend(platform.debs.iter().map(|deb| (deb.digest, Download::of_deb(deb))));
    }
    let downloads: Vec<Download> = downloads.into_values().collect();
    Ok(world.http.download_all(&downloads, &world.store)?)
}

/// Fetches wheels, and calls `arrived` with the number of each that was not in the store before, as soon as it is there.
pub(crate) fn fetch_wheels(wheels: &[LockedWheel], arrived: impl Fn(usize), world: &World) -> Result<(), FetchError> {
    let downloads: Vec<Download> = wheels.iter().map(Download::of_wheel).collect();
    world.http.download_each(&downloads, &world.store, arrived).map_err(FetchError::Wheels)
}

/// Fetches packages before all of them are known, and calls `arrived` like [`fetch_wheels`]. If that fails, [`fetch`]
/// fetches them again and reports the error.
pub(crate) fn fetch_ahead(debs: &[LockedDeb], arrived: impl Fn(usize), world: &World) {
    let downloads: Vec<Download> = debs.iter().map(Download::of_deb).collect();
    let _ = world.http.download_each(&downloads, &world.store, arrived);
}
