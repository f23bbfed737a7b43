//! The order of the steps, on one page. No other module contains it.

mod failure;
mod receipt;
mod resolving;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::model::assembly::Assembly;
use crate::model::event::{Event, Listener};
use crate::model::lock::{Lock, PlatformLock};
use crate::model::platform::Platform;
use crate::model::receipt::Receipt;
use crate::model::request::{Request, Volume};
use crate::model::tree::Tree;
use crate::outside::stage::{self, Stage};
use crate::outside::store::{self, Amount, StoreError};
use crate::present::json;
use crate::steps::assemble::assemble;
use crate::steps::compile::compile;
use crate::steps::emit::{self, EmitError, emit, named, refuse_hopeless};
use crate::steps::fetch::fetch;
use crate::steps::pack::{pack, pack_ahead};
use crate::steps::prove::{Subject, execute, prove};
use crate::steps::seal::{self, Share, seal};
use crate::steps::trim::trim;
use crate::steps::unpack::unpack;

pub(crate) use self::failure::BuildError;
pub(crate) use self::resolving::{resolve, resolve_and_unpack};
use crate::model::world_settings::WorldSettings;
use crate::outside::world::{World, WorldError};

/// Opens all doors to the outside.
pub(crate) fn open(settings: WorldSettings, listener: Arc<dyn Listener>) -> Result<World, WorldError> {
    World::open(settings, listener)
}

/// Builds the image of `request` and writes it to every destination.
pub(crate) fn build(request: &Request, world: &World) -> Result<Receipt, BuildError> {
    let say = |text: &str| world.listener.hear(Event::Step(text.to_owned()));
    refuse_hopeless(request, world)?;
    say("resolving");
    let lock = resolve_and_unpack(request, world)?;
    first(&lock)?;
    say("fetching");
    fetch(&lock, world)?;
    let mut assemblies = Vec::new();
    let mut trees = Vec::new();
    let mut layers = Vec::new();
    let mut proofs = Vec::new();
    say("assembling and proving");
    for platform in &lock.platforms {
        let mut stage = world.stages.stage();
        let (assembly, tree) = tree(platform, request, (&mut stage, world))?;
        let env = seal::environment(request);
        let mut subject =
            Subject { tree: &tree, stage: &mut stage, assembly: &assembly, platform: platform.platform, env: &env };
        // An image that fails its proof is not emitted. Layers that are packed at the same time only go to the store.
        let (proof, packed) =
            rayon::join(|| prove(&mut subject, request, world), || pack(&tree, &requested(platform), request, world));
        proofs.push(proof?);
        layers.push(packed?);
        assemblies.push(assembly);
        trees.push(tree);
    }
    let shares = lock.platforms.iter().zip(&assemblies).zip(layers);
    let shares = shares.map(|((lock, assembly), layers)| Share { platform: lock.platform, layers, assembly });
    let image = seal(shares.collect(), request)?;
    let mut receipt = Receipt {
        name: request.name.clone(),
        digest: image.digest().0.prefixed(),
        destinations: named(&image, request),
        platforms: Vec::new(),
    };
    for (index, (lock, checks)) in lock.platforms.iter().zip(proofs).enumerate() {
        let start = seal::start(&assemblies[index], request)?;
        let mut hints: Vec<String> = lock.hints.iter().map(ToString::to_string).collect();
        hints.extend(assemblies[index].notes.clone());
        let entrypoint = [start.entrypoint, start.cmd].concat();
        receipt.platforms.push(receipt::of_platform(
            &image.platforms[index],
            &assemblies[index].tree,
            &trees[index],
            checks,
            entrypoint,
            hints,
        ));
    }
    say("writing");
    let metadata = json::receipt(&receipt).map_err(EmitError::from)?;
    emit(&image, &trees, &metadata, request, world)?;
    Ok(receipt)
}

/// Returns the whole tree of a platform, and the tree that ships.
pub(crate) fn tree(
    lock: &PlatformLock,
    request: &Request,
    (stage, world): (&mut Stage, &World),
) -> Result<(Assembly, Tree), BuildError> {
    let parts = unpack(lock, world)?;
    let assembly = assemble(lock, &parts, request, world)?;
    // A script that is not there is refused now, because compiling and packing take long.
    seal::start(&assembly, request)?;
    let slim = trim(&assembly, lock, request.python.version, &request.trim, &world.store)?;
    let workshop = workshop(lock.platform, request, world)?;
    // While Python compiles, one core is free to pack the files that do not depend on bytecode.
    let (tree, packed) = rayon::join(
        || compile(slim.clone(), &assembly, request, workshop.as_ref(), (stage, world)),
        || pack_ahead(&slim, &requested(lock), request, world),
    );
    packed?;
    Ok((assembly, tree?))
}

/// Returns a tree with the same release's Python for this machine, if the Python of `platform` does not run here.
fn workshop(platform: Platform, request: &Request, world: &World) -> Result<Option<Tree>, BuildError> {
    let Some(request) = request.workshop(platform) else { return Ok(None) };
    let lock = resolve(&request, world)?;
    fetch(&lock, world)?;
    let Some(lock) = lock.platforms.first() else { return Ok(None) };
    Ok(Some(assemble(lock, &unpack(lock, world)?, &request, world)?.tree))
}

/// Makes the tree of the first platform, mounts `volumes` and runs `command` in it, or the image's own start command if
/// `command` is empty. Returns the exit code.
pub(crate) fn run(request: &Request, command: &[String], volumes: &[Volume], world: &World) -> Result<i32, BuildError> {
    let lock = resolve_and_unpack(request, world)?;
    fetch(&lock, world)?;
    let platform = first(&lock)?;
    let mut stage = world.stages.stage();
    let (assembly, tree) = tree(platform, request, (&mut stage, world))?;
    let start = seal::start(&assembly, request)?;
    let argv = if command.is_empty() { [start.entrypoint, start.cmd].concat() } else { command.to_vec() };
    let env = seal::environment(request);
    let mut subject =
        Subject { tree: &tree, stage: &mut stage, assembly: &assembly, platform: platform.platform, env: &env };
    Ok(execute(&mut subject, &argv, volumes, request, world)?)
}

/// Returns the first platform. The callers rely on it: without any platform, a run would succeed and run nothing.
pub(crate) fn first(lock: &Lock) -> Result<&PlatformLock, BuildError> {
    lock.platforms.first().ok_or(BuildError::NoPlatform)
}

/// Returns the names of the requested distributions.
pub(crate) fn requested(lock: &PlatformLock) -> Vec<String> {
    lock.wheels.iter().filter(|wheel| wheel.is_requested).map(|wheel| wheel.name.clone()).collect()
}

/// Refuses a document that cannot be written, such as a picture, before anything is fetched.
pub(crate) fn refuse_document(path: &Path) -> Result<(), BuildError> {
    Ok(emit::refuse_document(path)?)
}

/// Writes a document, all of it or nothing.
pub(crate) fn write_document(path: &Path, text: &str) -> Result<(), BuildError> {
    Ok(emit::write_document(path, text)?)
}

/// How much the cache in `dir` holds.
pub(crate) fn cache_amount(dir: &Path) -> Result<Amount, StoreError> {
    store::amount(dir)
}

/// Removes the entries of the cache in `dir` that were not used for `unused_for`, or all of them. It first waits until
/// no build uses the cache.
pub(crate) fn prune_cache(
    dir: &Path,
    unused_for: Option<Duration>,
    on_wait: impl FnOnce(),
) -> Result<Amount, StoreError> {
    let removed = store::prune(&dir.join("store"), &[dir.join("pypi")], unused_for, on_wait)?;
    stage::sweep();
    Ok(removed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_without_platforms_is_refused() {
        let Request { python, base, .. } = Request::example();
        let lock = Lock { python: python.version, base, platforms: Vec::new() };
        let error = first(&lock).unwrap_err();
        assert_eq!((error.to_string().as_str(), error.exit_code()), ("cannot build an image for no platform", 1));
    }
}
