//! Chosen sources -> wheels, several at once.

use super::ResolveError;
use crate::model::lock::LockedWheel;
use crate::outside::pypi::{ChosenSource, Sources};
use crate::outside::threads::at_once;

/// Builds all sources.
pub(super) fn build_all(chosen: &[ChosenSource], sources: &dyn Sources) -> Result<Vec<LockedWheel>, ResolveError> {
    at_once(chosen, |one| build(one, sources))
}

fn build(chosen: &ChosenSource, sources: &dyn Sources) -> Result<LockedWheel, ResolveError> {
    let wheel = sources.wheel(&chosen.source).map_err(ResolveError::Build)?;
    let required_by = chosen.required_by.clone();
    Ok(LockedWheel { is_requested: chosen.is_requested, required_by, ..wheel })
}
