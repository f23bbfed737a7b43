//! Fetches the parcels of a lock into the store. Several are fetched in parallel, and their digests are checked.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use thiserror::Error;

use crate::model::digest::Digest;
use crate::model::hint::{Hint, Hints, LockHint};
use crate::model::lock::{Parcel, WheelSource};
use crate::outside::http::{Download, HttpError};
use crate::outside::store::StoreError;
use crate::outside::vendor::{self, VendorError};
use crate::outside::world::World;

#[derive(Debug, Error)]
pub(crate) enum FetchError {
    #[error("cannot fetch all wheels and packages")]
    Download(#[from] HttpError),
    #[error(transparent)]
    Vendor(#[from] VendorError),
    #[error("cannot read the wheel `{path}`")]
    Copy { path: PathBuf, source: StoreError },
    #[error("cannot use `{path}`: its sha256 is {found}, and the lock has {expected}")]
    Changed { path: PathBuf, found: Digest, expected: Digest },
}

impl Hints for FetchError {
    fn own_hints(&self) -> Vec<Hint> {
        match self {
            Self::Changed { .. } => vec![Hint::Lock(LockHint::Write)],
            _ => Vec::new(),
        }
    }

    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Download(error) => Some(error),
            Self::Vendor(error) => Some(error),
            Self::Copy { source, .. } => Some(source),
            Self::Changed { .. } => None,
        }
    }
}

/// Fetches the parcels that are not in the store. As soon as one of them has arrived in the store, calls `arrived` with
/// the index of this parcel in `parcels`.
pub(crate) fn fetch(parcels: &[Parcel<'_>], arrived: impl Fn(usize), world: &World) -> Result<(), FetchError> {
    let downloads: Vec<Download> = parcels.iter().map(Download::of).collect();
    let is_missing = |number: &usize| {
        let Download { digest, size_bytes, .. } = &downloads[*number];
        !world.store.has_parcel(digest, *size_bytes)
    };
    let missing: Vec<usize> = (0..parcels.len()).filter(is_missing).collect();
    let copied = missing.par_iter().map(|number| Ok((*number, copy(&parcels[*number], world)?)));
    let copied = copied.collect::<Result<Vec<_>, FetchError>>()?;
    copied.into_iter().filter(|(_, is_copied)| *is_copied).for_each(|(number, _)| arrived(number));
    Ok(world.http.download_each(&downloads, &world.store, arrived)?)
}

/// Copies a parcel into the store if it is on this machine: in the vendor folder, or at the path in a requirement.
/// Returns whether the parcel was found on this machine.
fn copy(parcel: &Parcel<'_>, world: &World) -> Result<bool, FetchError> {
    if let Some(vendor) = &world.vendor
        && vendor.take(&parcel.digest(), &world.store)?
    {
        return Ok(true);
    }
    let Some(path) = path_of(parcel) else { return Ok(false) };
    let copied = world.store.copy_parcel(&path);
    let (found, _) = copied.map_err(|source| FetchError::Copy { path: path.clone(), source })?;
    let expected = parcel.digest();
    if found == expected { Ok(true) } else { Err(FetchError::Changed { path, found, expected }) }
}

fn path_of(parcel: &Parcel<'_>) -> Option<PathBuf> {
    let Parcel::Wheel(wheel) = parcel else { return None };
    let url = (wheel.source == WheelSource::Path).then(|| url::Url::parse(&wheel.url).ok()).flatten()?;
    url.to_file_path().ok().filter(|path| path.is_absolute() && path != Path::new("/"))
}

/// Copies parcels from the store into `folder`. `names` contains the file name of each parcel.
pub(crate) fn write_vendor(folder: &Path, names: &BTreeMap<Digest, String>, world: &World) -> Result<(), FetchError> {
    Ok(vendor::write(folder, names, &world.store)?)
}
