//! Work that starts before its turn, because otherwise the network or a core would be idle. The steps do not depend on
//! this work, and the image is the same without it (docs/decisions/0034-what-a-build-does-meanwhile.md).

use std::collections::BTreeMap;
use std::sync::OnceLock;

use rayon::prelude::*;

use super::{BuildError, Trimmed};
use crate::model::digest::Digest;
use crate::model::lock::Parcel;
use crate::model::part::Part;
use crate::model::request::Request;
use crate::outside::store::Store;
use crate::outside::world::World;
use crate::steps::fetch::fetch;
use crate::steps::pack::{PackError, compress};
use crate::steps::unpack::{UnpackError, unpack};

/// Fetches parcels, and opens each parcel as soon as it is in the store. Returns the parts in the order of the parcels.
pub(super) fn fetch_and_open(parcels: &[Parcel<'_>], world: &World) -> Result<Vec<Part>, BuildError> {
    let opened: Vec<OnceLock<Result<Part, UnpackError>>> = parcels.iter().map(|_| OnceLock::new()).collect();
    let open = |number: usize| {
        opened[number].get_or_init(|| unpack(parcels[number], &world.store));
    };
    rayon::in_place_scope(|scope| fetch(parcels, |number| scope.spawn(move |_| open(number)), world))?;
    let parts = parcels.par_iter().zip(opened);
    let open = |(parcel, opened): (&Parcel<'_>, OnceLock<_>)| match opened.into_inner() {
        Some(part) => part,
        // The parcel was in the store before.
        None => unpack(*parcel, &world.store),
    };
    Ok(parts.map(open).collect::<Result<_, UnpackError>>()?)
}

/// Returns the numbers of those parcels that may be fetched while wheels are built from source. `sizes` are the sizes
/// of all parcels in bytes. The total size of these parcels is limited, because if a build fails, its error is reported
/// only after their download.
pub(super) fn small(sizes: impl Iterator<Item = Option<u64>>) -> Vec<usize> {
    const MAX_BYTES: u64 = 64 << 20;
    let mut left = MAX_BYTES;
    let fits = |(number, size): (usize, Option<u64>)| {
        left = left.checked_sub(size?)?;
        Some(number)
    };
    sizes.enumerate().filter_map(fits).collect()
}

/// Parcels that were fetched and opened before their turn.
pub(super) struct Ahead(BTreeMap<Digest, Part>);

impl Ahead {
    /// Runs `work`. In parallel, fetches and opens the `parcels` that are not in the store. An error is not reported
    /// here, because [`Self::open_rest`] tries the same again, and reports its error.
    pub(super) fn open<T>(parcels: &[Parcel<'_>], world: &World, work: impl FnOnce() -> T) -> (Self, T) {
        if parcels.is_empty() {
            return (Self(BTreeMap::new()), work());
        }
        let opened: Vec<OnceLock<Part>> = parcels.iter().map(|_| OnceLock::new()).collect();
        let open = |number: usize| {
            if let Ok(part) = unpack(parcels[number], &world.store) {
                opened[number].get_or_init(|| part);
            }
        };
        let result = rayon::in_place_scope(|scope| {
            std::thread::scope(|threads| {
                let ahead = || {
                    let _ = fetch(parcels, |number| scope.spawn(move |_| open(number)), world);
                };
                // If no thread can be started, nothing is done ahead.
                let _ = std::thread::Builder::new().spawn_scoped(threads, ahead);
                work()
            })
        });
        let parts = opened.into_iter().filter_map(OnceLock::into_inner);
        (Self(parts.map(|part| (part.parcel, part)).collect()), result)
    }

    /// Adds parts that were opened elsewhere.
    pub(super) fn add(&mut self, parts: Vec<Part>) {
        self.0.extend(parts.into_iter().map(|part| (part.parcel, part)));
    }

    /// Returns the parts of `parcels` in their order. Fetches and opens those that were not opened ahead.
    pub(super) fn open_rest(mut self, parcels: &[Parcel<'_>], world: &World) -> Result<Vec<Part>, BuildError> {
        let is_new = |parcel: &&Parcel<'_>| !self.0.contains_key(&parcel.digest());
        let rest: Vec<Parcel<'_>> = parcels.iter().filter(is_new).copied().collect();
        let rest = fetch_and_open(&rest, world)?;
        self.0.extend(rest.into_iter().map(|part| (part.parcel, part)));
        Ok(parcels.iter().filter_map(|parcel| self.0.remove(&parcel.digest())).collect())
    }
}

/// Compresses the files of `tree` for the layers.
pub(super) fn compress_ahead(made: Trimmed<'_>, request: &Request, store: &Store) -> Result<(), PackError> {
    compress(made.tree, &made.lock.requested(), request.to_pack(made.lock.platform), store)
}

#[cfg(test)]
mod tests {
    use super::small;

    #[test]
    fn only_small_parcels_are_fetched_while_wheels_are_built() {
        let mega = |size: u64| Some(size << 20);
        assert_eq!(small([mega(60), mega(5), mega(4), None, Some(1)].into_iter()), [0, 2]);
        assert_eq!(small([mega(900), mega(64)].into_iter()), [1]);
    }
}
