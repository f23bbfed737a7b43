//! The order of the steps. No other module contains this order.

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
use std::time::{Duration, Instant};

use self::ahead::{Ahead, compress_ahead, fetch_and_open, small};
use self::bases::{OfBase, to_lock};
use self::from_source::{Attempt, FromSource, failure as build_failure};
use self::next_level::{Begun, Trimmed, begin};
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
use crate::steps::prove::{OwnRun, Proved, ROUNDS, Round, evidence, execute, known_lacks, prove};
use crate::steps::resolve::{Choice, Helpers, ResolveError, choose, helpers, own_python};
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
    if let Some((image, receipt)) = earlier.and_then(|key| again::kept(&key, request, world)) {
        return write(&image, &Tree::default(), receipt, request, world);
    }
    say("resolving and fetching");
    let request = &*with_own_python(request, world)?;
    if let Some((image, receipt)) = key.and_then(|key| again::kept(&key, request, world)) {
        return write(&image, &Tree::default(), receipt, request, world);
    }
    let chosen =
        request.platforms.as_ref().try_map(|platform| choose_all(request.to_resolve(*platform), *platform, world))?;
    let locks: Vec<&PlatformLock> = chosen.iter().map(|chosen| &chosen.lock).collect();
    let of_chosen = again::key_of_chosen(&locks, request);
    if let Some((image, receipt)) = of_chosen.and_then(|key| again::kept(&key, request, world)) {
        return write(&image, &Tree::default(), receipt, request, world);
    }
    let opened = chosen.try_map(|chosen| chosen.open(world))?;
    say("assembling and proving");
    world.messages.take();
    let shares = opened.try_map(|opened| share(opened, request, world))?;
    let image = seal(&shares, &request.to_seal())?;
    let messages = world.messages.take();
    keep_explanations(&image, &shares, request, world)?;
    let receipt = receipt::of(&image, &shares, request);
    let locks: Vec<&PlatformLock> = shares.iter().map(|share| &share.made.lock).collect();
    // The files of an application may have changed during the build.
    let of_chosen = of_chosen.filter(|key| again::key_of_chosen(&locks, request) == Some(*key));
    for key in key.into_iter().chain(of_chosen) {
        again::keep(&key, &image, &receipt, &messages, &world.store)?;
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

/// Returns the explanations of an image. The result is empty if the user wants them neither in a file nor attached to
/// the image.
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

/// The lock of one platform, and its opened wheels in the order of the lock.
pub(crate) struct Resolved {
    pub(crate) lock: PlatformLock,
    pub(crate) wheels: Vec<Part>,
}

/// The lock of one platform, and all its opened parcels: first the Debian packages, then the wheels, both in the order
/// of the lock.
pub(crate) struct Opened {
    lock: PlatformLock,
    parts: Vec<Part>,
}

/// Returns the request with the Python of its release or of its base image. If the release is not published yet, the
/// version of Python in the request is only expected. Then the real version is read from the release's archive. Refuses
/// a lock that was made for another request.
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

/// Chooses the wheels and the Debian packages of a platform. Fetches the wheels, but not the packages.
pub(crate) fn resolve(request: ResolveRequest<'_>, platform: Platform, world: &World) -> Result<Resolved, BuildError> {
    if let Some(lock) = request.lock {
        let lock = locked::of_platform(lock, request, platform, world)?;
        let wheels = fetch_and_open(&lock.wheels.iter().map(Parcel::Wheel).collect::<Vec<_>>(), world)?;
        return Ok(Resolved { lock, wheels });
    }
    with_choice(request, platform, world, |choice| choose_packages(choice, world))
}

/// Works like [`resolve`]. In addition, fetches the packages that the user named, because their scripts may need further
/// packages.
fn resolve_with_scripts(
    request: ResolveRequest<'_>,
    platform: Platform,
    world: &World,
) -> Result<PlatformLock, BuildError> {
    if let Some(lock) = request.lock {
        return locked::of_platform(lock, request, platform, world);
    }
    with_choice(request, platform, world, |choice| {
        let resolved = choose_packages(choice, world)?;
        Ok(add_interpreters(choice, resolved, world)?.0.lock)
    })
}

/// Chooses the wheels of a platform, and passes the choice to `work`.
fn with_choice<T>(
    request: ResolveRequest<'_>,
    platform: Platform,
    world: &World,
    work: impl FnOnce(&mut Choice<'_>) -> Result<T, BuildError>,
) -> Result<T, BuildError> {
    let sources = FromSource::new(request, platform, world);
    let outcome = sources.early(|| work(&mut choose(request, platform, &sources, world)?));
    sources.end();
    outcome
}

/// The lock of one platform, and those of its parcels that are already open.
pub(crate) struct Chosen {
    lock: PlatformLock,
    /// All wheels, and some packages. `None` if nothing is open.
    open: Option<(Vec<Part>, Ahead)>,
}

impl Chosen {
    /// Fetches and opens all other parcels.
    fn open(self, world: &World) -> Result<Opened, BuildError> {
        let Self { lock, open } = self;
        let Some((wheels, ahead)) = open else { return open_locked(lock, world) };
        let debs: Vec<Parcel<'_>> = lock.debs.iter().map(Parcel::Deb).collect();
        let mut parts = ahead.open_rest(&debs, world)?;
        parts.extend(wheels);
        Ok(Opened { lock, parts })
    }
}

/// Chooses the wheels and the packages of a platform. The wheels are fetched and opened, because the packages depend on
/// their files. The packages that do not depend on the wheels are fetched and opened in parallel, unless they are in
/// the store.
fn choose_all(request: ResolveRequest<'_>, platform: Platform, world: &World) -> Result<Chosen, BuildError> {
    if let Some(lock) = request.lock {
        return Ok(Chosen { lock: locked::of_platform(lock, request, platform, world)?, open: None });
    }
    let sources = FromSource::new(request, platform, world);
    let chosen = sources.early(|| choose_all_with(request, platform, &sources, world));
    sources.end();
    chosen
}

/// Works like [`choose_all`]. In addition, wheels that no index has are built with `sources`.
fn choose_all_with(
    request: ResolveRequest<'_>,
    platform: Platform,
    sources: &FromSource<'_>,
    world: &World,
) -> Result<Chosen, BuildError> {
    let mut choice = choose(request, platform, sources, world)?;
    let base = choice.base.clone();
    let base: Vec<Parcel<'_>> = base.iter().map(Parcel::Deb).collect();
    let (mut ahead, chosen) = Ahead::open(&base, world, || {
        let resolved = choose_packages(&mut choice, world)?;
        add_interpreters(&mut choice, resolved, world)
    });
    let (Resolved { lock, wheels }, debs) = chosen?;
    ahead.add(debs);
    Ok(Chosen { lock, open: Some((wheels, ahead)) })
}

/// Chooses, fetches and opens the wheels and the packages of a platform.
pub(crate) fn resolve_and_open(
    request: ResolveRequest<'_>,
    platform: Platform,
    world: &World,
) -> Result<Opened, BuildError> {
    choose_all(request, platform, world)?.open(world)
}

/// Fetches and opens all parcels of a lock.
fn open_locked(lock: PlatformLock, world: &World) -> Result<Opened, BuildError> {
    let parcels: Vec<Parcel<'_>> =
        lock.debs.iter().map(Parcel::Deb).chain(lock.wheels.iter().map(Parcel::Wheel)).collect();
    let parts = fetch_and_open(&parcels, world)?;
    Ok(Opened { lock, parts })
}

/// Fetches and opens the chosen wheels, and chooses the packages. While some wheels are built from source, small
/// wheels among the others are fetched and opened.
fn choose_packages(choice: &mut Choice<'_>, world: &World) -> Result<Resolved, BuildError> {
    let ready = choice.ready_wheels();
    let sizes = ready.iter().map(|wheel| wheel.size_bytes);
    let ready: Vec<Parcel<'_>> = small(sizes).into_iter().map(|number| Parcel::Wheel(&ready[number])).collect();
    let (ahead, locked) = Ahead::open(&ready, world, || choice.wheels());
    let locked = locked?;
    let wheels = ahead.open_rest(&locked.iter().map(Parcel::Wheel).collect::<Vec<_>>(), world)?;
    Ok(Resolved { lock: choice.lock(locked, &wheels, &Helpers::new())?, wheels })
}

/// Adds the packages that the scripts of named packages need, such as a shell. For this, fetches and opens the named
/// packages, and returns them, too.
fn add_interpreters(
    choice: &mut Choice<'_>,
    resolved: Resolved,
    world: &World,
) -> Result<(Resolved, Vec<Part>), BuildError> {
    let Resolved { lock, wheels } = resolved;
    let debs: Vec<Parcel<'_>> = choice.named_debs(&lock).into_iter().map(Parcel::Deb).collect();
    let debs = fetch_and_open(&debs, world)?;
    let helpers = helpers(&debs, &world.store).map_err(ResolveError::from)?;
    let lock = if helpers.is_empty() { lock } else { choice.lock(lock.wheels, &wheels, &helpers)? };
    Ok((Resolved { lock, wheels }, debs))
}

/// Makes the share of one platform. If the proof finds removed files that a check needs, the files are put back, and
/// the share is made again. Layers are packed while the proof runs. If the proof fails, no image uses these layers, but
/// they stay in the store.
pub(crate) fn share(opened: Opened, request: &Request, world: &World) -> Result<Share, BuildError> {
    let mut stage = world.stages.stage();
    let mut trim = request.trim.clone();
    let mut put_back = Vec::new();
    let mut spent = Duration::ZERO;
    let mut whole = whole(opened, request, world)?;
    for number in 0.. {
        let making = Making { options: &trim, computes_gain: true };
        let (made, gain) = make(whole, request, &making, &mut stage, world)?;
        let round = Round { number, spent };
        let ((proof, time), (layers, next_level)) = rayon::join(
            || timed(|| prove(&made, &mut stage, &request.to_prove(), round, world)),
            || {
                let wanted = request.to_pack(made.lock.platform);
                let base = request.base_of(made.lock.platform).map(|base| &base.image.tree);
                let layers = pack(&made.tree, base, &made.lock.requested(), wanted, &world.store);
                (layers, gain.finish(&made, request, &world.store))
            },
        );
        spent += time;
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

/// Returns the result of `work`, and the time that it took.
fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let begun = Instant::now();
    (work(), begun.elapsed())
}

/// Makes the untrimmed contents of one platform's image. The trimmed tree in the result is empty.
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

/// Trims the tree of `made`. The level `trace` first trims like `reach`, because the result determines the checks. Then
/// these checks run in the untrimmed tree, which is laid out on `stage`. Files that the checks do not use are removed.
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

/// How [`make`] makes the contents of an image.
struct Making<'a> {
    options: &'a TrimRequest,
    /// Whether the gain of the next level of trim is computed: the bytes that this level would remove.
    computes_gain: bool,
}

/// Makes the contents of one platform's image. Afterwards, its tree is laid out on `stage`. While Python compiles, the
/// files for the layers are compressed, and the gain of the next level is computed.
fn make(
    mut made: Made,
    request: &Request,
    making: &Making<'_>,
    stage: &mut Stage,
    world: &World,
) -> Result<(Made, Begun), BuildError> {
    let Making { options, computes_gain } = *making;
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
    let trimmed = Trimmed { lock: &lock, assembly: &assembly, launch: &launch, tree: &slim };
    let (tree, (compressed, gain)) = rayon::join(
        || compile(slim.clone(), &assembly, &compiled, bench, world),
        || {
            let compressed = compress_ahead(trimmed, request, &world.store);
            (compressed, if computes_gain { begin(trimmed, request, &world.store) } else { Ok(Begun::Nothing) })
        },
    );
    let tree = tree?;
    compressed?;
    let warning = zone_warning(&launch, &tree).filter(|_| is_first_round);
    warning.into_iter().for_each(|warning| world.listener.hear(Event::Warning(warning)));
    Ok((Made { lock, assembly, launch, tree, reached }, gain?))
}

/// Returns a tree with a bare Python of the same release for this machine. This Python compiles the bytecode for
/// `platform`. `None` if the platform's own Python can compile on this machine, if nothing is compiled, or if lath does
/// not support the architecture of this machine.
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

/// Makes the contents of one platform's image like [`make`]. Then puts back the files that the proofs of earlier
/// builds have put back.
fn make_as_proved(whole: Made, request: &Request, stage: &mut Stage, world: &World) -> Result<Made, BuildError> {
    let mut trim = request.trim.clone();
    let (mut made, _) = make(whole, request, &Making { options: &trim, computes_gain: false }, stage, world)?;
    for _ in 0..ROUNDS {
        let known = known_lacks(&made, &world.store);
        if known.is_empty() {
            break;
        }
        trim.put_back.extend(known.into_iter().map(|lack| lack.path));
        (made, _) = make(made, request, &Making { options: &trim, computes_gain: false }, stage, world)?;
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

/// Explains the path, the package or the module `name` of an image. `all` is whether all chains are wanted.
pub(crate) fn answers(explanation: &Explanation, name: &str, all: bool) -> Result<Vec<Answer>, BuildError> {
    Ok(explain::answers(explanation, name, all)?)
}

/// Refuses a path to which no document can be written. It is called before anything is fetched. A document is, for
/// example, a lock or a picture.
pub(crate) fn refuse_document(path: &Path) -> Result<(), BuildError> {
    Ok(emit::refuse_document(path)?)
}

/// Writes a document. If this fails, an earlier document at `path` stays as it is.
pub(crate) fn write_document(path: &Path, text: &str) -> Result<(), BuildError> {
    Ok(emit::write_document(path, text)?)
}

/// Returns the number and the size of the files in the cache `dir`.
pub(crate) fn cache_amount(dir: &Path) -> Result<Amount, StoreError> {
    store::amount(dir)
}

/// Waits until no build uses the cache in `dir`. Then removes the files that were not used for the time `unused_for`,
/// or all files if this is `None`.
pub(crate) fn prune_cache(
    dir: &Path,
    unused_for: Option<Duration>,
    on_wait: impl FnOnce(),
) -> Result<Amount, StoreError> {
    let removed = store::prune(&dir.join("store"), &[dir.join("pypi")], unused_for, on_wait)?;
    stage::sweep();
    Ok(removed)
}

/// Reads the facts about the project in `folder`, or about the member `package` of its workspace. The path of `folder`
/// is absolute.
pub(crate) fn read_project(folder: &Path, package: Option<&str>) -> Result<Project, BuildError> {
    let member = package.map(|name| pypi::member_folder(folder, name)).transpose().map_err(ResolveError::from)?;
    Ok(pypi::read_project(member.as_deref().unwrap_or(folder)).map_err(ResolveError::from)?)
}
