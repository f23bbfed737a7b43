//! Writes a Dockerfile for a request, builds it with an engine, and compares the resulting image with lath's image.
//! `lath build` does not use this part.

mod build_by_engine;
mod compare;
mod content;
mod dockerfile;
mod engine;
mod failure;
mod measure;
pub(crate) mod model;

use std::collections::BTreeSet;
use std::path::Path;

pub(crate) use self::failure::RivalError;
use crate::model::event::Event;
use crate::model::hint::{Hint, Hints as _};
use crate::model::launch::Launch;
use crate::model::lock::PlatformLock;
use crate::model::made::Share;
use crate::model::non_empty::NonEmpty;
use crate::model::request::{Entrypoint, LaunchRequest, ReleaseRequest, Request, RuntimeRequest};
use crate::outside::world::World;
use crate::pipeline::{BuildError, Resolved, resolve, resolve_and_open, share, with_own_python};
use crate::rivals::build_by_engine::{Builder, build_by_engine, suit};
use crate::rivals::compare::{CompareError, Own, compare as reckon, only_own};
use crate::rivals::measure::{BuiltImage, measure};
use crate::rivals::model::comparison::{AptHabits, BuildTimes, ComparedImage, Comparison, Way};
use crate::rivals::model::dockerfile::{
    Dockerfile, DockerfileRequest, EngineReceipt, EngineRequest, Ingredients, Lock, Style,
};
use crate::steps::launch::{Programs, launch};
use crate::steps::resolve::ResolveError;

/// Writes the Dockerfile of `request`. Its versions come from the step `resolve`, like the versions of a build.
pub(crate) fn dockerfile(
    request: &Request,
    wanted: &DockerfileRequest,
    world: &World,
) -> Result<Dockerfile, RivalError> {
    dockerfile::refuse_hopeless(request)?;
    let request = &*with_own_python(request, world)?;
    dockerfile::refuse_base(request)?;
    let wanted = &dockerfile::on_its_base(wanted, request);
    let ingredients = ingredients(request, wanted, world)?;
    Ok(dockerfile::dockerfile(&ingredients, request, wanted)?)
}

/// Writes a Dockerfile that the available engine supports. Then the engine builds the image and checks it.
pub(crate) fn build_dockerfile(
    request: &Request,
    wanted: &DockerfileRequest,
    how: &EngineRequest,
    world: &World,
) -> Result<EngineReceipt, RivalError> {
    // The base image is pinned to the digest that lath has read. Otherwise, `suit` could pin it to an older image that
    // the engine has under the same name.
    let request = &*with_own_python(request, world)?;
    let (engine, wanted) = suit(&dockerfile::on_its_base(wanted, request), how)?;
    let dockerfile = dockerfile(request, &wanted, world)?;
    let builder = Builder { engine: &engine, how, mounts: wanted.mounts };
    world.listener.hear(Event::Step(format!("building with {}", engine.program().name())));
    Ok(build_by_engine(&dockerfile, &builder, request, world)?)
}

/// Returns the ingredients of a Dockerfile. The start command comes from the wheels of the first platform.
fn ingredients(request: &Request, wanted: &DockerfileRequest, world: &World) -> Result<Ingredients, RivalError> {
    world.listener.hear(Event::Step("resolving".to_owned()));
    let indexes = world.pypi.indexes(&request.python).map_err(ResolveError::from)?;
    let mut uv = Vec::new();
    if wanted.style == Style::Uv {
        let found = lock(resolve_all(&dockerfile::request_for_uv(request, &indexes), world)?, request);
        uv = found.platforms.into_iter().flat_map(|half| half.wheels).filter(|wheel| wheel.name == "uv").collect();
    }
    let resolved = match resolve_all(request, world) {
        Ok(resolved) => resolved,
        Err(BuildError::Resolve(error)) => {
            let (lock, names) = unbuilt(request, error, world)?;
            return Ok(Ingredients { uv, indexes, ..dockerfile::from_source(lock, names, request, wanted) });
        }
        Err(error) => return Err(error.into()),
    };
    let Resolved { lock: first, wheels } = resolved.first();
    let scripts = dockerfile::scripts(first, wheels);
    let names = resolved.iter().flat_map(|resolved| dockerfile::user_base_names(&resolved.wheels));
    let user_base_names: BTreeSet<String> = names.collect();
    // Every image of a Dockerfile has a shell, so a line of a Procfile may need one.
    let by_exec = RuntimeRequest { entrypoint: Entrypoint::Exec, shell: true, ..request.runtime.clone() };
    let requested = first.requested();
    let programs = Programs { scripts: &scripts, requested: &requested, tree: None };
    let how = LaunchRequest {
        user_base: &wanted.user_base,
        runtime: &by_exec,
        ..request.to_launch(*request.platforms.first())
    };
    let Launch { entrypoint, cmd, env, .. } = launch(&programs, &how)?;
    let entrypoint = dockerfile::with_interpreter(entrypoint, request.python.python());
    let lock = lock(resolved, request);
    Ok(Ingredients { lock, without_wheels: Vec::new(), uv, indexes, user_base_names, scripts, entrypoint, cmd, env })
}

/// Returns the Debian half of the lock, and the names of the distributions that have no fitting wheel. lath cannot
/// build them, because this machine has no sandbox, but pip may be able to do so. `error` is the failure of lath's own
/// build. If it has another reason, pip would fail for the same reason, so the error is returned.
fn unbuilt(request: &Request, error: Box<ResolveError>, world: &World) -> Result<(Lock, Vec<String>), RivalError> {
    if !lacks_sandbox(&error) {
        return Err(BuildError::Resolve(error).into());
    }
    let mut wheels = request.clone();
    wheels.python.builds.no_build = true;
    let names = match resolve_all(&wheels, world) {
        Err(BuildError::Resolve(error)) => error.without_wheels(),
        _ => Vec::new(),
    };
    let files = request.python.requirement_files.len() + request.python.constraint_files.len();
    // If pip could not build the distributions either, the error is returned. There are two such cases: the Dockerfile
    // does not contain the requirements files, projects, scripts and locks of the request, so pip could not read them;
    // and a base image may have no compilers.
    let python = &request.python;
    let has_inputs = files > 0 || python.project.is_some() || python.script.is_some() || request.lock.is_some();
    if names.is_empty() || has_inputs || request.base_image.is_some() {
        return Err(BuildError::Resolve(error).into());
    }
    Ok((lock(resolve_all(&dockerfile::request_without_wheels(request), world)?, request), names))
}

/// Returns whether lath could not build a source, because this machine cannot run the programs of the build.
fn lacks_sandbox(error: &ResolveError) -> bool {
    let is_missing = |hint: &Hint| {
        let Hint::Machine(hint) = hint else { return false };
        hint.is_about_running()
    };
    error.hints().iter().any(is_missing)
}

/// Resolves all platforms.
fn resolve_all(request: &Request, world: &World) -> Result<NonEmpty<Resolved>, BuildError> {
    request.platforms.as_ref().try_map(|platform| resolve(request.to_resolve(*platform), *platform, world))
}

fn lock(resolved: NonEmpty<Resolved>, request: &Request) -> Lock {
    let platforms = resolved.map(|resolved| resolved.lock);
    Lock { python: request.python.version, base: request.release.clone(), platforms }
}

/// Compares lath's image of the first platform with the images that Dockerfiles for the same request would produce.
/// Nothing is emitted.
pub(crate) fn compare(request: &Request, habits: AptHabits, world: &World) -> Result<Comparison, RivalError> {
    compared(request, habits, world, reckon)
}

/// Returns a comparison with only lath's own image.
pub(crate) fn compare_own(request: &Request, habits: AptHabits, world: &World) -> Result<Comparison, RivalError> {
    compared(request, habits, world, only_own)
}

/// Makes lath's image for the first platform. `images` computes the compared images from lath's image.
fn compared(
    request: &Request,
    habits: AptHabits,
    world: &World,
    images: impl Fn(Own<'_>, &ReleaseRequest, AptHabits, &World) -> Result<Vec<ComparedImage>, CompareError>,
) -> Result<Comparison, RivalError> {
    let request = &*with_own_python(request, world)?;
    let opened = resolve_and_open(request.to_resolve(*request.platforms.first()), *request.platforms.first(), world)?;
    let Share { made, layers, .. } = share(opened, request, world)?;
    let own = Own { lock: &made.lock, assembly: &made.assembly, tree: &made.tree, layers: &layers };
    let base = request.base_image.as_ref();
    Ok(Comparison {
        program: program(&made.lock),
        base: base.map_or_else(|| request.release.name(), |base| base.source.to_string()),
        platform: made.lock.platform.to_string(),
        habits,
        check: None,
        images: images(own, &request.release, habits, world)?,
    })
}

/// Builds the Dockerfile of `way` twice: first without and then with the engine's build cache. Then measures the image.
pub(crate) fn measure_dockerfile(
    way: Way,
    request: &Request,
    wanted: &DockerfileRequest,
    how: &EngineRequest,
    world: &World,
) -> Result<ComparedImage, RivalError> {
    let request = &*with_own_python(request, world)?;
    let (engine, wanted) = suit(&dockerfile::on_its_base(wanted, request), how)?;
    let dockerfile = dockerfile(request, &wanted, world)?;
    world.listener.hear(Event::Step(format!("building {way} with {}", engine.program().name())));
    let name = &request.output.name;
    let mut times = [0; 2];
    for (time, uses_cache) in times.iter_mut().zip([false, true]) {
        let how = EngineRequest { uses_cache, ..how.clone() };
        let builder = Builder { engine: &engine, how: &how, mounts: wanted.mounts };
        let receipt = build_by_engine(&dockerfile, &builder, request, world)?;
        *time = u64::try_from(receipt.build.as_millis()).unwrap_or(u64::MAX);
    }
    let build = BuildTimes { uncached_ms: times[0], cached_ms: times[1] };
    let user_base = wanted.user_base.to_string();
    let image = BuiltImage { engine: &engine, tag: name };
    let measured = measure(way, image, dockerfile.checks.first(), build, &user_base);
    engine.forget(name);
    Ok(measured?)
}

/// Loads lath's own image from `archive` into the engine, and measures how long the check of the program takes in the
/// engine. Returns the name of the check and the time.
pub(crate) fn time_own(
    request: &Request,
    wanted: &DockerfileRequest,
    how: &EngineRequest,
    archive: &Path,
    world: &World,
) -> Result<Option<(String, u64)>, RivalError> {
    let request = &*with_own_python(request, world)?;
    let (engine, wanted) = suit(&dockerfile::on_its_base(wanted, request), how)?;
    let Some(check) = dockerfile(request, &wanted, world)?.checks.into_iter().next() else { return Ok(None) };
    engine.load(archive)?;
    let time = measure::start(BuiltImage { engine: &engine, tag: &request.output.name }, &check);
    engine.forget(&request.output.name);
    Ok(Some((check.name, time?)))
}

/// Returns the requested distributions with their versions.
fn program(lock: &PlatformLock) -> String {
    let requested = lock.wheels.iter().filter(|wheel| wheel.is_requested);
    requested.map(|wheel| format!("{} {}", wheel.name, wheel.version)).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outside::pypi::SourceFailure;
    use crate::outside::sandbox::SandboxError;
    use crate::steps::wheel::{BuildFailure, Reason};

    #[test]
    fn only_without_a_sandbox_does_pip_build_what_lath_cannot() {
        let failed = |reason: Reason| {
            ResolveError::Build(SourceFailure::from(BuildFailure { shown: "oldie".to_owned(), hint: None, reason }))
        };
        assert!(lacks_sandbox(&failed(Reason::Sandbox(SandboxError::Unavailable { reason: "x".to_owned() }))));
        assert!(lacks_sandbox(&failed(Reason::Sandbox(SandboxError::OnlyRoot))));
        assert!(!lacks_sandbox(&failed(Reason::NoCargoLock)));
    }
}
