//! Chosen sources -> wheels, several at once.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::ResolveError;
use crate::model::lock::LockedWheel;
use crate::outside::pypi::{ChosenSource, Sources};

/// The stack of a thread that builds a source. It resolves and assembles a tree.
const STACK_BYTES: usize = 8 << 20;

/// Builds all sources. A build is mostly one process, so as many run at once as there are processors.
pub(super) fn build_all(chosen: &[ChosenSource], sources: &dyn Sources) -> Result<Vec<LockedWheel>, ResolveError> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<LockedWheel>, ResolveError> {
        let mut built = Vec::new();
        while let Some(one) = chosen.get(next.fetch_add(1, Ordering::Relaxed)) {
            built.push(build(one, sources)?);
        }
        Ok(built)
    };
    let at_once = std::thread::available_parallelism().map_or(1, usize::from).min(chosen.len());
    std::thread::scope(|scope| {
        // Fewer threads only make it slower, because this thread works too.
        let spawn = |_| std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, work).ok();
        let others: Vec<_> = (1..at_once).filter_map(spawn).collect();
        let mut built = work()?;
        for other in others {
            built.append(&mut other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
        }
        Ok(built)
    })
}

fn build(chosen: &ChosenSource, sources: &dyn Sources) -> Result<LockedWheel, ResolveError> {
    let wheel = sources.wheel(&chosen.source).map_err(ResolveError::Build)?;
    let required_by = chosen.required_by.clone();
    Ok(LockedWheel { is_requested: chosen.is_requested, required_by, ..wheel })
}
