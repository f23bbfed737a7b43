//! The order of the steps, on one page. Nothing else knows it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::model::assembly::Assembly;
use crate::model::comparison::{AptHabits, BuildTimes, ComparedImage, Comparison, Way};
use crate::model::dockerfile::{Dockerfile, DockerfileRequest, EngineReceipt, EngineRequest, Ingredients, Style};
use crate::model::event::{Event, Listener};
use crate::model::image::PlatformImage;
use crate::model::lock::PlatformLock;
use crate::model::platform::Platform;
use crate::model::receipt::{PlatformReceipt, ProofSummary, Receipt};
use crate::model::request::{Entrypoint, Request};
use crate::model::tree::Tree;
use crate::outside::engine::EngineError;
use crate::outside::store::{self, Amount, StoreError};
use crate::outside::world::WorldError;
use crate::steps::assemble::{AssembleError, assemble};
use crate::steps::build_by_engine::{build_by_engine, suit};
use crate::steps::compare::{CompareError, Own, compare as reckon};
use crate::steps::compile::{CompileError, compile};
use crate::steps::dockerfile::{self, DockerfileError};
use crate::steps::emit::{EmitError, emit, refuse_hopeless};
use crate::steps::fetch::{FetchError, fetch};
use crate::steps::measure::{self, measure};
use crate::steps::pack::{PackError, pack};
use crate::steps::prove::{ProveError, Subject, execute, prove};
use crate::steps::resolve::{ResolveError, resolve};
use crate::steps::seal::{self, SealError, Share, seal};
use crate::steps::trim::trim;
use crate::steps::unpack::{UnpackError, unpack};

pub(crate) use crate::outside::sandbox::SandboxSettings;
pub(crate) use crate::outside::world::{World, WorldSettings};

/// What stopped a build: one variant a step.
#[derive(Debug, Error)]
pub(crate) enum BuildError {
    #[error(transparent)]
    Resolve(#[from] Box<ResolveError>),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    #[error(transparent)]
    Trim(#[from] StoreError),
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error(transparent)]
    Prove(#[from] ProveError),
    #[error(transparent)]
    Pack(#[from] PackError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Emit(#[from] EmitError),
    #[error(transparent)]
    Dockerfile(#[from] DockerfileError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Compare(#[from] CompareError),
}

impl BuildError {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Prove(ProveError::Failed(_)) | Self::Engine(EngineError::Check { .. }) => 3,
            // As shells have it.
            Self::Prove(ProveError::NotFound { .. }) => 127,
            _ => 1,
        }
    }

    /// Ways out, beyond what the error says itself.
    pub(crate) fn hints(&self) -> Vec<String> {
        match self {
            Self::Resolve(error) => error.hints(),
            Self::Engine(error) => error.hints(),
            Self::Prove(ProveError::Sandbox(_)) | Self::Compile(CompileError::Sandbox(_)) => vec![
                "the sandbox needs user namespaces: switch them on (`sysctl user.max_user_namespaces`), or build with \
                 `--no-verify --bytecode none` and try the image in an engine"
                    .to_owned(),
            ],
            Self::Prove(ProveError::Failed(_)) => {
                vec!["`--trim none` tells whether trimming is the cause; `--no-verify` builds all the same".to_owned()]
            }
            Self::Fetch(FetchError::Download(error)) => error.hints(),
            Self::Unpack(error) => error.hints(),
            Self::Emit(error) => error.hints(),
            Self::Seal(SealError::Script { .. }) => vec!["name one of them with `-c NAME`".to_owned()],
            _ => Vec::new(),
        }
    }
}

/// Opens the doors.
pub(crate) fn open(settings: WorldSettings, listener: Arc<dyn Listener>) -> Result<World, WorldError> {
    World::open(settings, listener)
}

/// Builds the image of `request` and writes it to every destination.
pub(crate) fn build(request: &Request, world: &World) -> Result<Receipt, BuildError> {
    let say = |text: &str| world.listener.hear(Event::Step(text.to_owned()));
    refuse_hopeless(request, world)?;
    say("resolving");
    let lock = resolve(request, world).map_err(Box::new)?;
    say("fetching");
    fetch(&lock, world)?;
    let mut assemblies = Vec::new();
    let mut trees = Vec::new();
    let mut layers = Vec::new();
    let mut proofs = Vec::new();
    say("assembling and proving");
    for platform in &lock.platforms {
        let (assembly, tree) = tree(platform, request, world)?;
        let env = seal::environment(request);
        let subject = Subject { tree: &tree, assembly: &assembly, platform: platform.platform, env: &env };
        proofs.push(prove(&subject, request, world)?);
        layers.push(pack(&tree, &requested(platform), request, world)?);
        assemblies.push(assembly);
        trees.push(tree);
    }
    let shares = lock.platforms.iter().zip(&assemblies).zip(layers);
    let shares = shares.map(|((lock, assembly), layers)| Share { platform: lock.platform, layers, assembly });
    let image = seal(shares.collect(), request)?;
    say("writing");
    let destinations = emit(&image, &trees, request, world)?;
    let mut receipt = Receipt {
        name: request.name.clone(),
        digest: image.digest().0.prefixed(),
        destinations,
        platforms: Vec::new(),
    };
    for (index, (lock, checks)) in lock.platforms.iter().zip(proofs).enumerate() {
        let start = seal::start(&assemblies[index], request)?;
        let mut hints = lock.hints.clone();
        hints.extend(assemblies[index].notes.clone());
        let entrypoint = [start.entrypoint, start.cmd].concat();
        receipt.platforms.push(platform_receipt(
            &image.platforms[index],
            &assemblies[index].tree,
            &trees[index],
            checks,
            entrypoint,
            hints,
        ));
    }
    Ok(receipt)
}

/// The whole tree of a platform, and the one that ships.
fn tree(lock: &PlatformLock, request: &Request, world: &World) -> Result<(Assembly, Tree), BuildError> {
    let parts = unpack(lock, world)?;
    let assembly = assemble(lock, &parts, request, world)?;
    let slim = trim(&assembly, lock, request, &world.store)?;
    let workshop = workshop(lock.platform, request, world)?;
    let tree = compile(slim, &assembly, request, workshop.as_ref(), world)?;
    Ok((assembly, tree))
}

/// The same release's Python for this machine, where it does not run that of `platform`.
fn workshop(platform: Platform, request: &Request, world: &World) -> Result<Option<Tree>, BuildError> {
    let Some(request) = request.workshop(platform) else { return Ok(None) };
    let lock = resolve(&request, world).map_err(Box::new)?;
    fetch(&lock, world)?;
    let Some(lock) = lock.platforms.first() else { return Ok(None) };
    Ok(Some(assemble(lock, &unpack(lock, world)?, &request, world)?.tree))
}

/// Makes the tree of the first platform and runs `command` in it, or what the image would start; returns its exit code.
pub(crate) fn run(request: &Request, command: &[String], world: &World) -> Result<i32, BuildError> {
    let lock = resolve(request, world).map_err(Box::new)?;
    fetch(&lock, world)?;
    let Some(platform) = lock.platforms.first() else { return Ok(0) };
    let (assembly, tree) = tree(platform, request, world)?;
    let start = seal::start(&assembly, request)?;
    let argv = if command.is_empty() { [start.entrypoint, start.cmd].concat() } else { command.to_vec() };
    let env = seal::environment(request);
    let subject = Subject { tree: &tree, assembly: &assembly, platform: platform.platform, env: &env };
    Ok(execute(&subject, &argv, request, world)?)
}

/// Writes the Dockerfile of `request`: pinned from the resolve that a build has.
pub(crate) fn dockerfile(
    request: &Request,
    wanted: &DockerfileRequest,
    world: &World,
) -> Result<Dockerfile, BuildError> {
    let ingredients = ingredients(request, wanted, world)?;
    Ok(dockerfile::dockerfile(&ingredients, request, wanted)?)
}

/// Writes the Dockerfile as it suits the engine that is there, and has it built and checked.
pub(crate) fn build_dockerfile(
    request: &Request,
    wanted: &DockerfileRequest,
    how: &EngineRequest,
    world: &World,
) -> Result<EngineReceipt, BuildError> {
    let (engine, wanted) = suit(wanted, how)?;
    let dockerfile = dockerfile(request, &wanted, world)?;
    world.listener.hear(Event::Step(format!("building by {}", engine.program().name())));
    Ok(build_by_engine(&dockerfile, wanted.mounts, (&engine, how), request, world)?)
}

/// What a Dockerfile is written from: the lock, and what the wheels of its first platform start.
pub(crate) fn ingredients(
    request: &Request,
    wanted: &DockerfileRequest,
    world: &World,
) -> Result<Ingredients, BuildError> {
    world.listener.hear(Event::Step("resolving".to_owned()));
    let mut uv = Vec::new();
    if wanted.style == Style::Uv {
        let found = resolve(&dockerfile::request_for_uv(request), world).map_err(Box::new)?;
        uv = found.platforms.into_iter().flat_map(|half| half.wheels).filter(|wheel| wheel.name == "uv").collect();
    }
    let lock = match resolve(request, world) {
        Ok(lock) => lock,
        Err(error) => {
            let names = error.without_wheels();
            let files = request.python.requirement_files.len() + request.python.constraint_files.len();
            // Files are not in the Dockerfile, so that pip could not read them.
            if names.is_empty() || files > 0 {
                return Err(Box::new(error).into());
            }
            let lock = resolve(&dockerfile::request_without_wheels(request), world).map_err(Box::new)?;
            return Ok(Ingredients { uv, ..dockerfile::from_source(lock, names, request, wanted) });
        }
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

/// Puts lath's image of the first platform beside what Dockerfiles would make of the same request. Nothing is emitted.
pub(crate) fn compare(request: &Request, habits: AptHabits, world: &World) -> Result<Comparison, BuildError> {
    let lock = resolve(request, world).map_err(Box::new)?;
    fetch(&lock, world)?;
    let half = &lock.platforms[0];
    let (assembly, tree) = tree(half, request, world)?;
    let env = seal::environment(request);
    prove(&Subject { tree: &tree, assembly: &assembly, platform: half.platform, env: &env }, request, world)?;
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

/// Has the Dockerfile of `way` built, without what the engine has built before and with it, and measures what came of it.
pub(crate) fn measure_dockerfile(
    way: Way,
    request: &Request,
    wanted: &DockerfileRequest,
    how: &EngineRequest,
    world: &World,
) -> Result<ComparedImage, BuildError> {
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

/// Loads lath's own image from `archive` into the engine and times its check there. What the check is goes before the time.
pub(crate) fn time_own(
    request: &Request,
    wanted: &DockerfileRequest,
    (how, archive): (&EngineRequest, &Path),
    world: &World,
) -> Result<Option<(String, u64)>, BuildError> {
    let (engine, wanted) = suit(wanted, how)?;
    let Some(check) = dockerfile(request, &wanted, world)?.checks.into_iter().next() else { return Ok(None) };
    engine.load(archive)?;
    let time = measure::start(&engine, &request.name, &check);
    engine.forget(&request.name);
    Ok(Some((check.name, time?)))
}

/// What was asked for, with versions.
fn program(lock: &PlatformLock) -> String {
    let requested = lock.wheels.iter().filter(|wheel| wheel.is_requested);
    requested.map(|wheel| format!("{} {}", wheel.name, wheel.version)).collect::<Vec<_>>().join(", ")
}

fn requested(lock: &PlatformLock) -> Vec<String> {
    lock.wheels.iter().filter(|wheel| wheel.is_requested).map(|wheel| wheel.name.clone()).collect()
}

fn platform_receipt(
    platform: &PlatformImage,
    whole: &Tree,
    tree: &Tree,
    checks: ProofSummary,
    entrypoint: Vec<String>,
    hints: Vec<String>,
) -> PlatformReceipt {
    let mut bytes_by_origin: BTreeMap<String, u64> = BTreeMap::new();
    let links = tree.hard_links();
    for (_, node) in tree.nodes.iter().filter(|(path, _)| !links.contains_key(path)) {
        *bytes_by_origin.entry(node.origin.to_string()).or_default() += node.size_bytes();
    }
    let mut removed_bytes_by_reason: BTreeMap<String, u64> = BTreeMap::new();
    for (path, node) in &whole.nodes {
        let ships = tree.nodes.get(path).map_or(node.size_bytes(), |shipped| shipped.size_bytes());
        let stripped = node.size_bytes().saturating_sub(ships);
        if stripped > 0 {
            *removed_bytes_by_reason.entry("symbols and debug information".to_owned()).or_default() += stripped;
        }
    }
    for removal in tree.removed.values() {
        *removed_bytes_by_reason.entry(removal.reason.clone()).or_default() += removal.size_bytes;
    }
    PlatformReceipt {
        platform: platform.platform,
        digest: platform.manifest.digest.0.prefixed(),
        files_bytes: tree.size_bytes(),
        compressed_bytes: platform.layers.iter().map(|layer| layer.size_bytes).sum(),
        layers: platform.layers.clone(),
        bytes_by_origin,
        removed_bytes_by_reason,
        checks,
        entrypoint,
        hints,
    }
}

/// How much the cache in `dir` holds.
pub(crate) fn cache_amount(dir: &Path) -> Result<Amount, StoreError> {
    store::amount(dir)
}

/// Removes from the cache in `dir` what was not used for `unused_for`, or all of it, once no build is at work with it.
pub(crate) fn prune_cache(
    dir: &Path,
    unused_for: Option<Duration>,
    on_wait: impl FnOnce(),
) -> Result<Amount, StoreError> {
    store::prune(&dir.join("store"), &[dir.join("pypi")], unused_for, on_wait)
}
