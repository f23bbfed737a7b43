//! Work that starts before its turn, because the network or a core would be idle. The steps do not depend on it, and
//! the image is the same without it (docs/decisions/0034-what-a-build-does-meanwhile.md).

use std::collections::BTreeMap;
use std::sync::OnceLock;

use rayon::prelude::*;

use super::BuildError;
use crate::model::digest::Digest;
use crate::model::lock::Parcel;
use crate::model::part::Part;
use crate::model::request::PackRequest;
use crate::model::tree::Tree;
use crate::outside::store::Store;
use crate::outside::world::World;
use crate::steps::fetch::fetch;
use crate::steps::pack::{PackError, compress};
use crate::steps::unpack::{UnpackError, unpack};

/// Fetches parcels, and opens each as soon as it is in the store. Returns the parts in the same order.
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

/// Parcels that were fetched and opened before their turn.
pub(super) struct Ahead(BTreeMap<Digest, Part>);

impl Ahead {
    /// Runs `work`. In parallel it fetches those of `parcels` that are not in the store, and opens them. If that fails,
    /// [`Self::open_rest`] fetches and opens them again, and reports the error.
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

    /// Returns the parts of `parcels` in their order. Fetches and opens those that were not opened ahead.
    pub(super) fn open_rest(mut self, parcels: &[Parcel<'_>], world: &World) -> Result<Vec<Part>, BuildError> {
        let is_new = |parcel: &&Parcel<'_>| !self.0.contains_key(&parcel.digest());
        let rest: Vec<Parcel<'_>> = parcels.iter().filter(is_new).copied().collect();
        let rest = fetch_and_open(&rest, world)?;
        self.0.extend(rest.into_iter().map(|part| (part.parcel, part)));
        Ok(parcels.iter().filter_map(|parcel| self.0.remove(&parcel.digest())).collect())
    }
}

/// Runs `work`. In parallel it compresses the files of `tree` for the layers, if a core is free.
pub(super) fn while_compressing<T: Send>(
    tree: &Tree,
    requested: &[&str],
    request: PackRequest,
    store: &Store,
    work: impl FnOnce() -> T + Send,
) -> Result<T, PackError> {
    let (result, compressed) = rayon::join(work, || compress(tree, requested, request, store));
    compressed?;
    Ok(result)
}
