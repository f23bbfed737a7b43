//! Parcels of a lock -> parcels in the store, in parallel, every byte checked.

use thiserror::Error;

use crate::model::hint::Hints;
use crate::model::lock::Parcel;
use crate::outside::http::{Download, HttpError};
use crate::outside::world::World;

#[derive(Debug, Error)]
#[error("cannot fetch all wheels and packages")]
pub(crate) struct FetchError(#[from] HttpError);

impl Hints for FetchError {
    fn wrapped(&self) -> Option<&dyn Hints> {
        Some(&self.0)
    }
}

/// Fetches the parcels that are not in the store. Calls `arrived` with the number of each of these, as soon as it is
/// there.
pub(crate) fn fetch(parcels: &[Parcel<'_>], arrived: impl Fn(usize), world: &World) -> Result<(), FetchError> {
    let downloads: Vec<Download> = parcels.iter().map(Download::of).collect();
    Ok(world.http.download_each(&downloads, &world.store, arrived)?)
}
