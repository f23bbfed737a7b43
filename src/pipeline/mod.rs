//! The order of the steps, on one page. No other module contains it.

mod again;
mod ahead;
mod bases;
mod failure;
mod from_source;
mod inputs;
mod locked;
pub(crate) mod login;
mod next_level;
mod rebuild;
mod receipt;
#[cfg(feature = "strength")]
mod strength;

use std::borrow::Cow;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use self::ahead::{Ahead, fetch_and_open, while_compressing};
use self::bases::{OfBase, to_lock};
use self::from_source::{Attempt, FromSource, failure as build_failure};
use self::next_level::next_level;
use self::rebuild::{rebuild as build_again, source_files};
use crate::model::copy::{Copied, CopyRequest};
use crate::model::event::{Event, Listener};
use crate::model::explanation::{Answer, ExplainRequest, Explanation};
use crate::model::image::{Image, PlatformImage};
use crate::model::lock::{Parcel, PlatformLock};
use crate::model::made::{Made, Share};
use crate::model::non_empty::NonEmpty;
use crate::model::part::Part;
use crate::model::platform::{Architecture, Platform};
use crate::model::project::Project;
use crate::model::receipt::Receipt;
use crate::model::request::{
    AssembleRequest, Bytecode, CompileRequest, OutputRequest, Request, ResolveRequest, SlimRequest, TrimLevel,
    TrimRequest, Volume,
};
use crate::model::trace::Trace;
use crate::model::tree::Tree;
use crate::outside::pypi;
use crate::outside::stage::{self, Stage};
use crate::outside::store::{self, Amount, StoreError};
use crate::present::json;
use crate::steps::assemble::assemble;
use crate::steps::compile::{Workbench, compile};
use crate::steps::emit::copy;
use crate::steps::emit::{self, Attachment, EmitError, Extras, emit, refuse_hopeless};
use crate::steps::explain;
use crate::steps::launch::{Programs, launch, zone_warning};
use crate::steps::pack::pack;
use crate::steps::prove::{OwnRun, Proved, evidence, execute, known_lacks, prove};
use crate::steps::resolve::{Choice, ResolveError, choose, own_python};
use crate::steps::seal::seal;
use crate::steps::trim::{Slim, trim};

pub(crate) use self::failure::BuildError;
pub(crate) use self::inputs::{InputError, allows_python, application, read_trace, script_file, script_metadata};
pub(crate) use self::locked::{Locking, Upgrade, check_lock, foreign_lock, lock, read_lock};
#[cfg(feature = "strength")]
pub(crate) use self::strength::strength;
use crate::model::world_settings::WorldSettings;
use crate::outside::world::{World, WorldError};

/// Opens all doors to the outside.
pub(crate) fn open(settings: WorldSettings, listener: Arc<dyn Listener>) -> Result<World, WorldError> {
    World::open(settings, listener)
}

/// Builds the image of `request` and writes it to every destination.
pub(crate) fn build(request: &Request, world: &World) -> Result<Receipt, BuildError> {
    let say = |text: &str| world.listener.hear(Event::Step(text.to_owned()));
    refuse_hopeless(&request.output, request.platforms.len(), request.pack.compression, world)?;
    for (path, bytes) in request.app.iter().flat_map(|app| app.extent().largest) {
        world.listener.hear(Event::Detail(format!("application: {bytes} bytes of `{path}`")));
    }
    let key = again::key(request);
    let earlier = key.filter(|_| again::has_plain_inputs(request));
    if let Some((image, receipt)) = earlier.and_then(|key| again::kept(&key, request, &world.store)) {
        return write(&image, &Tree::default(), receipt, request, world);
    }
    say("resolving and fetching");
    let request = &*with_own_python(request, world)?;
    if let Some((image, receipt)) = key.and_then(|key| again::kept(&key, request, &world.store)) {
        return write(&image, &Tree::default(), receipt, request, world);
    }
    let opened = request
        .platforms
        .as_ref()
        .try_map(|platform| resolve_and_open(request.to_resolve(*platform), *platform, world))?;
    say("assembling and proving");
    let shares = opened.try_map(|opened| share(opened, request, world))?;
    let image = seal(&shares, &request.to_seal())?;
    keep_explanations(&image, &shares, request, world)?;
    let receipt = receipt::of(&image, &shares, request);
    if let Some(key) = key {
        again::keep(&key, &image, &receipt, &world.store)?;
    }
    write(&image, &shares.first().made.tree, receipt, request, world)
}

/// Keeps the explanation of each platform's image.
fn keep_explanations(
    image: &Image,
    shares: &NonEmpty<Share>,
    request: &Request,
    world: &World,
) -> Result<(), BuildError> {
    for (platform, Share { made, .. }) in image.platforms.iter().zip(shares) {
        let explanation = Explanation::of(&image.name, made, &request.to_trim(&made.launch.started));
        explain::keep(&platform.config.digest, &explanation, &world.store)?;
    }
    Ok(())
}

/// Returns the explanations of an image, if they are written too.
fn explanations<'a>(image: &'a Image, output: &OutputRequest, world: &World) -> Vec<Attachment<'a>> {
    if output.explanation.is_none() && !output.attach_explanation {
        return Vec::new();
    }
    let attachment = |platform: &'a PlatformImage| {
        let explanation = explain::kept(&platform.config.digest, &world.store)?;
        Some(Attachment { subject: &platform.manifest, explanation })
    };
    image.platforms.iter().filter_map(attachment).collect()
}

/// Writes the image to every destination.
fn write(
    image: &Image,
    tree: &Tree,
    receipt: Receipt,
    request: &Request,
    world: &World,
) -> Result<Receipt, BuildError> {
    world.listener.hear(Event::Step("writing".to_owned()));
    let metadata = json::receipt(&receipt).map_err(EmitError::from)?;
    let extras = Extras { metadata: &metadata, explanations: &explanations(image, &request.output, world) };
    emit(image, tree, &extras, &request.output, world)?;
    Ok(receipt)
}

/// The lock of one platform, and its opened wheels in the same order.
pub(crate) struct Resolved {
    pub(crate) lock: PlatformLock,
    pub(crate) wheels: Vec<Part>,
}

/// The lock of one platform, and all its opened parcels: first the packages, then the wheels, both in the order of the
/// lock.
pub(crate) struct Opened {
    lock: PlatformLock,
    parts: Vec<Part>,
}

/// Returns the request with the Python of its release or of its base image. If this Python is only expected, it is read
/// from the release's archive. Refuses a lock that was made for another request.
pub(crate) fn with_own_python<'a>(request: &'a Request, world: &World) -> Result<Cow<'a, Request>, BuildError> {
    let request = bases::with_base(request, world)?;
    locked::refuse_other(&request, world)?;
    if !request.python.is_expected {
        return Ok(request);
    }
    let mut request = request.into_owned();
    if let Some(lock) = &request.lock {
        request.python.version = lock.file.request.python;
        request.python.is_expected = false;
        return Ok(Cow::Owned(request));
    }
    request.python.version = own_python(&request.release, *request.platforms.first(), world)?;
    request.python.is_expected = false;
    Ok(Cow::Owned(request))
}

/// Chooses the wheels and the packages of a platform. Only the wheels are fetched.
pub(crate) fn resolve(request: ResolveRequest<'_>, platform: Platform, world: &World) -> Result<Resolved, BuildError> {
    if let Some(lock) = request.lock {
        let lock = locked::of_platform(lock, request, platform, world)?;
        let wheels = fetch_and_open(&lock.wheels.iter().map(Parcel::Wheel).collect::<Vec<_>>(), world)?;
        return Ok(Resolved { lock, wheels });
    }
    let sources = FromSource::new(request, platform, world);
    let resolved = sources.early(|| choose_packages(choose(request, platform, &sources, world)?, world));
    sources.end();
    resolved
}

/// Chooses the wheels of a platform, fetches and opens them, chooses the packages, and fetches and opens these. The
/// packages that do not depend on the wheels are fetched and opened in parallel with the wheels.
pub(crate) fn resolve_and_open(
    request: ResolveRequest<'_>,
    platform: Platform,
    world: &World,
) -> Result<Opened, BuildError> {
    if let Some(lock) = request.lock {
        return open_locked(locked::of_platform(lock, request, platform, world)?, world);
    }
    let sources = FromSource::new(request, platform, world);
    let opened = sources.early(|| resolve_and_open_with(request, platform, &sources, world));
    sources.end();
    opened
}

/// Works like [`resolve_and_open`]. In addition, `sources` build the wheels that no index has.
fn resolve_and_open_with(
    request: ResolveRequest<'_>,
    platform: Platform,
    sources: &FromSource<'_>,
    world: &World,
) -> Result<Opened, BuildError> {
    let choice = choose(request, platform, sources, world)?;
    let base = choice.base.clone();
    let base: Vec<Parcel<'_>> = base.iter().map(Parcel::Deb).collect();
    let (ahead, resolved) = Ahead::open(&base, world, || choose_packages(choice, world));
    let Resolved { lock, wheels } = resolved?;
    let debs: Vec<Parcel<'_>> = lock.debs.iter().map(Parcel::Deb).collect();
    let mut parts = ahead.open_rest(&debs, world)?;
    parts.extend(wheels);
    Ok(Opened { lock, parts })
}

/// Fetches and opens all parcels of a lock.
fn open_locked(lock: PlatformLock, world: &World) -> Result<Opened, BuildError> {
    let parcels: Vec<Parcel<'_>> =
        lock.debs.iter().map(Parcel::Deb).chain(lock.wheels.iter().map(Parcel::Wheel)).collect();
    let parts = fetch_and_open(&parcels, world)?;
    Ok(Opened { lock, parts })
}

/// Fetches and opens the chosen wheels, and chooses the packages. While wheels are built from source, the others are
/// fetched and opened.
fn choose_packages(choice: Choice<'_>, world: &World) -> Result<Resolved, BuildError> {
    let ready: Vec<Parcel<'_>> = choice.ready_wheels().iter().map(Parcel::Wheel).collect();
    let (ahead, locked) = Ahead::open(&ready, world, || choice.wheels());
    let locked = locked?;
    let wheels = ahead.open_rest(&locked.iter().map(Parcel::Wheel).collect::<Vec<_>>(), world)?;
    Ok(Resolved { lock: choice.lock(locked, &wheels)?, wheels })
}

/// The most rounds in which files are put back because a check needs them. If a difference remains after them, the
/// build fails.
const ROUNDS: usize = 4;

/// Makes the share of one platform. If its proof finds files that a check needs, they are put back, and the share is
/// made again. If its proof fails, no image uses the layers that were packed at the same time, but they stay in the
/// store.
pub(crate) fn share(opened: Opened, request: &Request, world: &World) -> Result<Share, BuildError> {
    let mut stage = world.stages.stage();
    let mut trim = request.trim.clone();
    let mut put_back = Vec::new();
    let mut whole = whole(opened, request, world)?;
    for round in 0.. {
        let made = make(whole, request, &trim, &mut stage, world)?;
        let (proof, (layers, next_level)) = rayon::join(
            || prove(&made, &mut stage, &request.to_prove(), round < ROUNDS, world),
            || {
                let wanted = request.to_pack(made.lock.platform);
                let layers = pack(&made.tree, &made.lock.requested(), wanted, &world.store);
                (layers, next_level(&made, request, &world.store))
            },
        );
        match proof? {
            Proved::Works(mut proof) => {
                let base = request.base_of(made.lock.platform);
                let of_base = base.into_iter().flat_map(|base| base.image.layers.iter().cloned());
                proof.put_back = put_back;
                let layers = of_base.chain(layers?).collect();
                return Ok(Share { proof, layers, made, next_level: next_level? });
            }
            Proved::Lacks(lacks) => {
                world.listener.hear(Event::Detail(format!("putting back {} files that checks need", lacks.len())));
                trim.put_back.extend(lacks.iter().map(|lack| lack.path.clone()));
                put_back.extend(lacks);
                whole = made;
            }
        }
    }
    unreachable!("the last proof searches for no files")
}

/// Makes the untrimmed contents of one platform's image. The tree that ships is still empty.
fn whole(opened: Opened, request: &Request, world: &World) -> Result<Made, BuildError> {
    let Opened { lock, parts } = opened;
    let assembly = assemble(&lock, &parts, &request.to_assemble(lock.platform), &world.store)?;
    let requested = lock.requested();
    let programs = Programs { scripts: &assembly.scripts, requested: &requested, tree: Some(&assembly.tree) };
    let launch = launch(&programs, &request.to_launch(lock.platform))?;
    Ok(Made { lock, assembly, launch, tree: Tree::default(), reached: None })
}

/// Resolves the first platform, and makes its untrimmed contents like [`whole`].
fn first(request: &Request, world: &World) -> Result<Made, BuildError> {
    let platform = *request.platforms.first();
    whole(resolve_and_open(request.to_resolve(platform), platform, world)?, request, world)
}

/// Trims the tree of `made`. The level `trace` first trims like `reach`. Then it runs the checks of the resulting tree
/// in the untrimmed tree, which is laid out on `stage`.
fn slim(
    made: &mut Made,
    request: &Request,
    options: &TrimRequest,
    stage: &mut Stage,
    world: &World,
) -> Result<Slim, BuildError> {
    let trimmed = |made: &Made, trace: Option<&Trace>| {
        let wanted = SlimRequest { trace, options, ..request.to_trim(&made.launch.started) };
        trim(&made.assembly, &made.lock, &wanted, &world.store)
    };
    let slim = trimmed(made, None)?;
    if request.trim.level < TrimLevel::Trace {
        return Ok(slim);
    }
    made.tree = slim.tree;
    let mut trace = request.trim.records.clone().unwrap_or_default();
    if request.proof.verify {
        trace.merge(evidence(made, stage, &request.to_prove(), world)?);
    }
    Ok(trimmed(made, Some(&trace))?)
}

/// Makes the contents of one platform's image. Afterwards, its tree is laid out on `stage`.
fn make(
    mut made: Made,
    request: &Request,
    options: &TrimRequest,
    stage: &mut Stage,
    world: &World,
) -> Result<Made, BuildError> {
    let Slim { tree: slim, notes, warnings, reached } = slim(&mut made, request, options, stage, world)?;
    let Made { lock, assembly, launch, .. } = made;
    // Messages are shown only in the first round, because a second round has the same messages.
    let is_first_round = options.put_back.is_empty();
    if is_first_round {
        warnings.into_iter().for_each(|warning| world.listener.hear(Event::Warning(warning)));
        notes.into_iter().for_each(|note| world.listener.hear(Event::Note(note)));
    }
    let mut compiled = CompileRequest { started: Some(&launch.started), ..request.to_compile() };
    let workshop = match bases::workshop(lock.platform, request, world)? {
        OfBase::None => workshop(lock.platform, request, world)?,
        OfBase::Tree(tree) => Some(tree),
        OfBase::Unusable => {
            compiled.bytecode = Bytecode::None;
            None
        }
    };
    let bench = Workbench { workshop: workshop.as_ref(), stage };
    let tree = while_compressing(&slim, &lock.requested(), request.to_pack(lock.platform), &world.store, || {
        compile(slim.clone(), &assembly, &compiled, bench, world)
    })??;
    let warning = zone_warning(&launch, &tree).filter(|_| is_first_round);
    warning.into_iter().for_each(|warning| world.listener.hear(Event::Warning(warning)));
    Ok(Made { lock, assembly, launch, tree, reached })
}

/// Returns a tree with a bare Python of the same release for this machine, which compiles the bytecode for `platform`.
/// `None` if the platform's own Python can do it here, if nothing is compiled, or if lath does not support this
/// machine's architecture.
fn workshop(platform: Platform, request: &Request, world: &World) -> Result<Option<Tree>, BuildError> {
    let Some(host) = Architecture::of_host().map(|architecture| Platform { architecture }) else { return Ok(None) };
    if host == platform || request.bytecode == Bytecode::None || !request.python.home.is_of_release() {
        return Ok(None);
    }
    let (python, release) = (request.python.bare(), request.release.bare());
    let wanted = ResolveRequest {
        python: &python,
        release: &release,
        has_shell: false,
        trim: request.trim.level,
        base: None,
        lock: None,
    };
    let Opened { lock, parts } = match locked::workshop(request, host) {
        Some(lock) => open_locked(lock, world)?,
        None => resolve_and_open(wanted, host, world)?,
    };
    let wanted = AssembleRequest {
        release: &release,
        app: None,
        copies: &[],
        written_scripts: &[],
        volumes: &[],
        base: None,
        ..request.to_assemble(host)
    };
    Ok(Some(assemble(&lock, &parts, &wanted, &world.store)?.tree))
}

/// Makes the contents of the first platform's image, mounts `volumes` and runs `command` in it. If `command` is empty,
/// the image's own start command runs. If the image runs a script, `command` are its arguments. Returns the exit code.
pub(crate) fn run(request: &Request, command: &[String], volumes: &[Volume], world: &World) -> Result<i32, BuildError> {
    let request = &*with_own_python(request, world)?;
    let mut stage = world.stages.stage();
    let made = make_as_proved(first(request, world)?, request, &mut stage, world)?;
    let run = OwnRun { argv: &argv(&made, request, command), volumes, is_recorded: false };
    let (exit_code, _) = execute(&made, stage, run, world)?;
    Ok(exit_code)
}

/// Runs a command like [`run`], but in the untrimmed contents. Returns its exit code, and the paths that it used.
pub(crate) fn trace(
    request: &Request,
    command: &[String],
    volumes: &[Volume],
    world: &World,
) -> Result<(i32, Trace), BuildError> {
    let request = &*with_own_python(request, world)?;
    let mut made = first(request, world)?;
    made.tree = made.assembly.tree.clone();
    let run = OwnRun { argv: &argv(&made, request, command), volumes, is_recorded: true };
    Ok(execute(&made, world.stages.stage(), run, world)?)
}

/// Makes the contents of one platform's image like [`make`], and puts the files back that earlier proofs have put back.
fn make_as_proved(whole: Made, request: &Request, stage: &mut Stage, world: &World) -> Result<Made, BuildError> {
    let mut trim = request.trim.clone();
    let mut made = make(whole, request, &trim, stage, world)?;
    for _ in 0..ROUNDS {
        let known = known_lacks(&made, world);
        if known.is_empty() {
            break;
        }
        trim.put_back.extend(known.into_iter().map(|lack| lack.path));
        made = make(made, request, &trim, stage, world)?;
    }
    Ok(made)
}

/// Returns the words of the command that the user runs.
fn argv(made: &Made, request: &Request, command: &[String]) -> Vec<String> {
    let is_script = request.app.as_ref().is_some_and(|app| app.script.is_some());
    match (command, is_script) {
        ([], _) => made.launch.argv(),
        (arguments, true) => [made.launch.argv().as_slice(), arguments].concat(),
        (command, false) => command.to_vec(),
    }
}

/// Copies an image that exists to another place.
pub(crate) fn copy(request: &CopyRequest, world: &World) -> Result<Copied, BuildError> {
    Ok(copy::copy(request, world)?)
}

/// Finds the explanation of an image that exists.
pub(crate) fn explanation(request: &ExplainRequest, world: &World) -> Result<Explanation, BuildError> {
    Ok(explain::explanation(request, world)?)
}

/// Answers a question about a path, a package or a module of an image. `all` is whether all chains are wanted.
pub(crate) fn answers(explanation: &Explanation, name: &str, all: bool) -> Result<Vec<Answer>, BuildError> {
    Ok(explain::answers(explanation, name, all)?)
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

/// Removes the entries of the cache in `dir` that were not used for `unused_for`, or all of them. First waits until no
/// build uses the cache.
pub(crate) fn prune_cache(
    dir: &Path,
    unused_for: Option<Duration>,
    on_wait: impl FnOnce(),
) -> Result<Amount, StoreError> {
    let removed = store::prune(&dir.join("store"), &[dir.join("pypi")], unused_for, on_wait)?;
    stage::sweep();
    Ok(removed)
}

/// Reads the facts about the project in `folder`, which is absolute, or about the member `package` of its workspace.
pub(crate) fn read_project(folder: &Path, package: Option<&str>) -> Result<Project, BuildError> {
    let member = package.map(|name| pypi::member_folder(folder, name)).transpose().map_err(ResolveError::from)?;
    Ok(pypi::read_project(member.as_deref().unwrap_or(folder)).map_err(ResolveError::from)?)
}
