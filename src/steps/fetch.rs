//! Lock -> parcels in the store: every wheel and .deb of every platform, in parallel, every byte checked.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::model::digest::Digest;
use crate::model::hint::Hints;
use crate::model::lock::Lock;
use crate::outside::http::{Download, HttpError};
use crate::outside::world::World;

#[derive(Debug, Error)]
pub(crate) enum FetchError {
    #[error("cannot fetch every parcel")]
    Download(#[from] HttpError),
}

impl Hints for FetchError {
    fn hints(&self) -> Vec<String> {
        let Self::Download(error) = self;
        error.hints()
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
