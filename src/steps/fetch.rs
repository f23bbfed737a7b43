//! Lock -> parcels in the store: every wheel and .deb of every platform, in parallel, every byte checked.

use std::collections::BTreeMap;

use thiserror::Error;

use crate::model::lock::{LockedDeb, LockedWheel};
use crate::outside::http::{Download, HttpError};
use crate::outside::world::World;

#[derive(Debug, Error)]
pub(crate) enum FetchError {
    #[error("cannot fetch every parcel")]
    Download(#[from] HttpError),
}

/// Brings the parcels that the store lacks. Resolve calls it early for wheels, whose needs it reads.
pub(crate) fn fetch(wheels: &[LockedWheel], debs: &[LockedDeb], world: &World) -> Result<(), FetchError> {
    let mut downloads = BTreeMap::new();
    for wheel in wheels {
        downloads.insert(
            wheel.digest,
            Download {
                name: wheel.file_name.clone(),
                url: wheel.url.clone(),
                digest: wheel.digest,
                size_bytes: wheel.size_bytes,
            },
        );
    }
    for deb in debs {
        downloads.insert(
            deb.digest,
            Download {
                name: format!("{}_{}.deb", deb.name, deb.version),
                url: deb.url.clone(),
                digest: deb.digest,
                size_bytes: Some(deb.size_bytes),
            },
        );
    }
    let downloads: Vec<Download> = downloads.into_values().collect();
    Ok(world.http.download_all(&downloads, &world.store)?)
}
