//! The Docker side: writes a Dockerfile for a request, builds it with an engine, and compares its image with lath's. The
//! builder does not use any of it.

mod build_by_engine;
mod compare;
mod dockerfile;
mod engine;
mod failure;
mod measure;
pub(crate) mod model;

use std::path::Path;

pub(crate) use self::failure::RivalError;
use crate::model::assembly::Assembly;
use crate::model::event::Event;
use crate::model::lock::PlatformLock;
use crate::model::request::{Entrypoint, Request};
use crate::outside::world::World;
use crate::pipeline::{BuildError, first, requested, resolve, resolve_and_unpack, tree};
use crate::rivals::build_by_engine::{build_by_engine, suit};
use crate::rivals::compare::{Own, compare as reckon};
use crate::rivals::measure::measure;
use crate::rivals::model::comparison::{AptHabits, BuildTimes, ComparedImage, Comparison, Way};
use crate::rivals::model::dockerfile::{
    Dockerfile, DockerfileRequest, EngineReceipt, EngineRequest, Ingredients, Style,
};
use crate::steps::fetch::fetch;
use crate::steps::pack::pack;
use crate::steps::prove::{Subject, prove};
use crate::steps::seal;
use crate::steps::unpack::unpack;

/// Writes the Dockerfile of `request`. Its versions are pinned by the same resolve step as in a build.
pub(crate) fn dockerfile(
    request: &Request,
    wanted: &DockerfileRequest,
    world: &World,
) -> Result<Dockerfile, RivalError> {
    let ingredients = ingredients(request, wanted, world)?;
    Ok(dockerfile::dockerfile(&ingredients, request, wanted)?)
}

/// Writes the Dockerfile for the available engine, and lets the engine build and check it.
pub(crate) fn build_dockerfile(
    request: &Request,
    wanted: &DockerfileRequest,
    how: &EngineRequest,
    world: &World,
) -> Result<EngineReceipt, RivalError> {
    let (engine, wanted) = suit(wanted, how)?;
    let dockerfile = dockerfile(request, &wanted, world)?;
    world.listener.hear(Event::Step(format!("building by {}", engine.program().name())));
    Ok(build_by_engine(&dockerfile, wanted.mounts, (&engine, how), request, world)?)
}

/// Returns the ingredients of a Dockerfile: the lock, and the start command from the wheels of its first platform.
fn ingredients(request: &Request, wanted: &DockerfileRequest, world: &World) -> Result<Ingredients, RivalError> {
    world.listener.hear(Event::Step("resolving".to_owned()));
    let mut uv = Vec::new();
    if wanted.style == Style::Uv {
        let found = resolve(&dockerfile::request_for_uv(request), world)?;
        uv = found.platforms.into_iter().flat_map(|half| half.wheels).filter(|wheel| wheel.name == "uv").collect();
    }
    let lock = match resolve(request, world) {
        Ok(lock) => lock,
        Err(BuildError::Resolve(error)) => {
            let names = error.without_wheels();
            let files = request.python.requirement_files.len() + request.python.constraint_files.len();
            // Requirements files are not part of the Dockerfile, so pip could not read them.
            if names.is_empty() || files > 0 {
                return Err(error.into());
            }
            let lock = resolve(&dockerfile::request_without_wheels(request), world)?;
            return Ok(Ingredients { uv, ..dockerfile::from_source(lock, names, request, wanted) });
        }
        Err(error) => return Err(error.into()),
    };
    let mut scripts = Vec::new();
    if let Some(first) = lock.platforms.first() {
        let wheels = PlatformLock { debs: Vec::new(), ..first.clone() };
        scripts = dockerfile::scripts(first, &unpack(&wheels, world)?);
    }
    let mut by_exec = request.clone();
    by_exec.runtime.entrypoint = Entrypoint::Exec;
    by_exec.user_base = wanted.user_base.clone();
    let program = seal::start(&Assembly { scripts: scripts.clone(), ..Assembly::default() }, &by_exec)?;
    let (entrypoint, cmd) = (program.entrypoint, program.cmd);
    Ok(Ingredients { lock, without_wheels: Vec::new(), uv, scripts, entrypoint, cmd })
}

/// Compares lath's image of the first platform with the images that Dockerfiles for the same request would produce.
/// Nothing is emitted.
pub(crate) fn compare(request: &Request, habits: AptHabits, world: &World) -> Result<Comparison, RivalError> {
    let lock = resolve_and_unpack(request, world)?;
    fetch(&lock, world)?;
    let half = first(&lock)?;
    let mut stage = world.stages.stage();
    let (assembly, tree) = tree(half, request, (&mut stage, world))?;
    let env = seal::environment(request);
    let mut subject =
        Subject { tree: &tree, stage: &mut stage, assembly: &assembly, platform: half.platform, env: &env };
    prove(&mut subject, request, world)?;
    let layers = pack(&tree, &requested(half), request, world)?;
    let own = Own { lock: half, assembly: &assembly, tree: &tree, layers: &layers };
    Ok(Comparison {
        program: program(half),
        base: format!("{}:{}", request.base.distribution, request.base.suite),
        platform: half.platform.to_string(),
        habits,
        check: None,
        images: reckon(own, request, habits, world)?,
    })
}

/// Builds the Dockerfile of `way` twice, first without the engine's build cache and then with it, and measures the
/// image.
pub(crate) fn measure_dockerfile(
    way: Way,
    request: &Request,
    wanted: &DockerfileRequest,
    how: &EngineRequest,
    world: &World,
) -> Result<ComparedImage, RivalError> {
    let (engine, wanted) = suit(wanted, how)?;
    let dockerfile = dockerfile(request, &wanted, world)?;
    world.listener.hear(Event::Step(format!("building {way} by {}", engine.program().name())));
    let mut times = [0; 2];
    for (time, uses_cache) in times.iter_mut().zip([false, true]) {
        let how = EngineRequest { uses_cache, ..how.clone() };
        let receipt = build_by_engine(&dockerfile, wanted.mounts, (&engine, &how), request, world)?;
        *time = u64::try_from(receipt.build.as_millis()).unwrap_or(u64::MAX);
    }
    let build = BuildTimes { uncached_ms: times[0], cached_ms: times[1] };
    let user_base = wanted.user_base.to_string();
    let measured = measure(way, (&engine, &request.name), dockerfile.checks.first(), build, &user_base);
    engine.forget(&request.name);
    Ok(measured?)
}

/// Loads lath's own image from `archive` into the engine and times its check there. Returns the name of the check and
/// the time.
pub(crate) fn time_own(
    request: &Request,
    wanted: &DockerfileRequest,
    (how, archive): (&EngineRequest, &Path),
    world: &World,
) -> Result<Option<(String, u64)>, RivalError> {
    let (engine, wanted) = suit(wanted, how)?;
    let Some(check) = dockerfile(request, &wanted, world)?.checks.into_iter().next() else { return Ok(None) };
    engine.load(archive)?;
    let time = measure::start(&engine, &request.name, &check);
    engine.forget(&request.name);
    Ok(Some((check.name, time?)))
}

/// Returns the requested distributions with their versions.
fn program(lock: &PlatformLock) -> String {
    let requested = lock.wheels.iter().filter(|wheel| wheel.is_requested);
    requested.map(|wheel| format!("{} {}", wheel.name, wheel.version)).collect::<Vec<_>>().join(", ")
}
