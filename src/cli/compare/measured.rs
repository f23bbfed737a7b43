//! `lath compare --measure`: one engine builds the three Dockerfiles, one after the other. Then lath builds its own
//! image.

use std::time::Instant;

use crate::cli::command::Call;
use crate::cli::compare::{failed, of_way};
use crate::cli::dockerfile;
use crate::cli::failure::Failure;
use crate::cli::settings::usage;
use crate::model::destination::Destination;
use crate::model::request::Request;
use crate::outside::world::World;
use crate::pipeline;
use crate::rivals;
use crate::rivals::model::comparison::{AptHabits, BuildTimes, Comparison, Way};
use crate::rivals::model::dockerfile::{EngineProgram, EngineRequest};

pub(super) fn measure(call: &Call) -> Result<Comparison, Failure> {
    if call.settings.engine == Some(EngineProgram::Buildah) {
        return Err(usage(
            "cannot measure with buildah: it has no command that saves images; use `docker` or `podman`",
        ));
    }
    let world = call.open()?;
    let mut images = Vec::new();
    for way in [Way::Fat, Way::Recipe, Way::Lean] {
        let settings = of_way(&call.settings, way);
        let (request, wanted) = dockerfile::settle(&settings, call)?;
        let how = engine(dockerfile::engine_request(&settings, &request)?);
        images.push(
            rivals::measure_dockerfile(way, &request, &wanted, &how, &world)
                .map_err(|error| Failure::of_rival(&error))?,
        );
    }
    let settings = of_way(&call.settings, Way::Lath);
    let (mut request, wanted) = dockerfile::settle(&settings, call)?;
    let how = engine(dockerfile::engine_request(&settings, &request)?);
    let folder = tempfile::tempdir().map_err(|error| Failure::of(&error))?;
    let archive = folder.path().join("lath.tar");
    request.output.destinations = vec![Destination::Archive(archive.clone())];
    // lath gets a cache of its own that is empty. So nothing is cached in its first build, and the second build finds
    // the results of the first.
    let cold = call.open_with_cache(folder.path().join("cache"))?;
    let build = BuildTimes { uncached_ms: timed(&request, &cold)?, cached_ms: timed(&request, &cold)? };
    let started =
        rivals::time_own(&request, &wanted, &how, &archive, &cold).map_err(|error| Failure::of_rival(&error))?;
    let mut comparison =
        rivals::compare_own(&request, AptHabits::Official, &world).map_err(|error| Failure::of_rival(&error))?;
    if let Some(mut own) = comparison.images.pop() {
        own.build = Some(build);
        own.start_ms = started.as_ref().map(|(_, ms)| *ms);
        images.push(own);
    }
    comparison.check = started.map(|(check, _)| check);
    comparison.images = images;
    Ok(comparison)
}

/// Removes buildah from the engines, because it cannot export images.
fn engine(mut how: EngineRequest) -> EngineRequest {
    how.programs.retain(|program| *program != EngineProgram::Buildah);
    how
}

/// Builds lath's image, and returns the time that this took, in milliseconds.
fn timed(request: &Request, world: &World) -> Result<u64, Failure> {
    let began = Instant::now();
    pipeline::build(request, world).map_err(|error| failed(&error))?;
    Ok(u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX))
}
