//! `lath compare --measure`: the same engine builds every way, one after the other.

use std::sync::Arc;
use std::time::Instant;

use crate::cli::args::{Compare, EngineName, Global};
use crate::cli::compare::{failed, open, typed};
use crate::cli::failure::Failure;
use crate::cli::screen::Screen;
use crate::cli::{dockerfile, settings};
use crate::model::request::{Destination, Request};
use crate::outside::world::World;
use crate::pipeline;
use crate::rivals;
use crate::rivals::model::comparison::{AptHabits, BuildTimes, Comparison, Way};
use crate::rivals::model::dockerfile::{EngineProgram, EngineRequest};

pub(super) fn measure(compare: &Compare, global: &Global, screen: &Arc<Screen>) -> Result<Comparison, Failure> {
    if compare.engine == Some(EngineName::Buildah) {
        return Err(settings::usage(
            "cannot measure by buildah: it does not hand images out; name `docker` or `podman`",
        ));
    }
    let world = open(settings::world(&compare.build, global)?, screen)?;
    let mut images = Vec::new();
    for way in [Way::Fat, Way::Recipe, Way::Lean] {
        let typed = typed(compare, way);
        let (request, wanted) = dockerfile::settle(&typed)?;
        let how = engine(dockerfile::engine_request(&typed, &request)?);
        images.push(
            rivals::measure_dockerfile(way, &request, &wanted, &how, &world)
                .map_err(|error| Failure::of_rival(&error))?,
        );
    }
    let typed = typed(compare, Way::Lath);
    let (mut request, wanted) = dockerfile::settle(&typed)?;
    let how = engine(dockerfile::engine_request(&typed, &request)?);
    let folder = tempfile::tempdir().map_err(|error| Failure::of(&error))?;
    let archive = folder.path().join("lath.tar");
    request.destinations = vec![Destination::Archive(archive.clone())];
    // lath has an empty cache of its own, so that the first build does not find anything.
    let mut cold = settings::world(&compare.build, global)?;
    cold.cache_dir = folder.path().join("cache");
    let cold = open(cold, screen)?;
    let build = BuildTimes { uncached_ms: timed(&request, &cold)?, cached_ms: timed(&request, &cold)? };
    let started =
        rivals::time_own(&request, &wanted, (&how, &archive), &cold).map_err(|error| Failure::of_rival(&error))?;
    let mut comparison =
        rivals::compare(&request, AptHabits::Official, &world).map_err(|error| Failure::of_rival(&error))?;
    if let Some(mut own) = comparison.images.pop() {
        own.build = Some(build);
        own.start_ms = started.as_ref().map(|(_, ms)| *ms);
        images.push(own);
    }
    comparison.check = started.map(|(check, _)| check);
    comparison.images = images;
    Ok(comparison)
}

/// Keeps only the engines that can export images.
fn engine(mut how: EngineRequest) -> EngineRequest {
    how.programs.retain(|program| *program != EngineProgram::Buildah);
    how
}

/// Returns the time that lath needs for its image, in milliseconds.
fn timed(request: &Request, world: &World) -> Result<u64, Failure> {
    let began = Instant::now();
    pipeline::build(request, world).map_err(|error| failed(&error))?;
    Ok(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX))
}
