//! The order of the steps, on one page. Nothing else knows it.

mod dockerfiles;
mod failure;
mod receipt;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::model::assembly::Assembly;
use crate::model::event::{Event, Listener};
use crate::model::lock::PlatformLock;
use crate::model::platform::Platform;
use crate::model::receipt::Receipt;
use crate::model::request::Request;
use crate::model::tree::Tree;
use crate::outside::store::{self, Amount, StoreError};
use crate::outside::world::WorldError;
use crate::steps::assemble::assemble;
use crate::steps::compile::compile;
use crate::steps::emit::{emit, refuse_hopeless};
use crate::steps::fetch::fetch;
use crate::steps::pack::pack;
use crate::steps::prove::{Subject, execute, prove};
use crate::steps::resolve::resolve;
use crate::steps::seal::{self, Share, seal};
use crate::steps::trim::trim;
use crate::steps::unpack::unpack;

pub(crate) use self::dockerfiles::{build_dockerfile, compare, dockerfile, measure_dockerfile, time_own};
pub(crate) use self::failure::BuildError;
pub(crate) use crate::outside::sandbox::SandboxSettings;
pub(crate) use crate::outside::world::{World, WorldSettings};

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
        receipt.platforms.push(receipt::of_platform(
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

fn requested(lock: &PlatformLock) -> Vec<String> {
    lock.wheels.iter().filter(|wheel| wheel.is_requested).map(|wheel| wheel.name.clone()).collect()
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
