//! The order of the steps of a build from source. The tree in which a build runs is resolved, fetched and assembled
//! like an image. So the requirements of a build may be built from source, too.

mod early;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use self::early::{Early, Named};
use super::{BuildError, Chosen, Opened, choose_all_with};
use crate::model::allowed_hashes::AllowedHashes;
use crate::model::digest::Digest;
use crate::model::event::Event;
use crate::model::hint::{Hint, RequestHint};
use crate::model::lock::{LockedBuild, LockedWheel, PlatformLock, WheelSource};
use crate::model::platform::{Architecture, Platform};
use crate::model::request::{
    AssembleRequest, Bytecode, CompileRequest, Owner, PythonRequest, ReleaseRequest, ResolveRequest, TrimLevel,
};
use crate::model::secret_text::SecretText;
use crate::model::source::{Source, SourcePlace};
use crate::model::tree::Tree;
use crate::model::user_base::UserBase;
use crate::outside::pypi::{SourceFailure, SourceTexts, Sources};
use crate::outside::sandbox::Emulation;
use crate::outside::stage::Stage;
use crate::outside::world::World;
use crate::steps::assemble::assemble;
use crate::steps::compile::{Workbench, compile};
use crate::steps::wheel::{self, BuildFailure, BuiltWheel, Goal, OpenSource, Order, Plan, Reason, Site, Step};

/// Folders that no build reads. A tree with fewer files is laid out faster.
const UNREAD: [&str; 6] = [
    "/gconv/",
    "/etc/ssl/certs/",
    "/usr/share/ca-certificates/",
    "/usr/share/doc/",
    "/usr/share/locale/",
    "/usr/share/man/",
];

/// The error for an emulator that runs only one program, and not the programs that this program starts.
const UNREGISTERED: &str = "the emulator is not registered in binfmt_misc, so a build cannot start its compilers";

/// The stack of the thread that builds the project early. The stack is large, because the thread resolves a request
/// and assembles a tree.
const STACK_BYTES: usize = 8 << 20;

/// The maximum number of rounds of a build. The next round begins if a backend requires more distributions, or if a
/// build failed because a compiler is missing.
const ROUNDS: usize = 5;

/// Builds sources for one request on one platform.
pub(super) struct FromSource<'a> {
    request: ResolveRequest<'a>,
    platform: Platform,
    world: &'a World,
    /// The distributions that are being built. The build of each one requires the next one. The build of the last one
    /// requires the distributions of this request.
    stack: Vec<String>,
    /// The sources that are open, so that a folder is copied only once.
    open: Mutex<BTreeMap<Source, OpenSource>>,
    /// The trees that are laid out, by a digest of their parcels.
    trees: Mutex<BTreeMap<Digest, Arc<Mutex<LaidOut>>>>,
    /// The sources whose builds were shown to the user.
    shown: Mutex<BTreeSet<String>>,
    /// The wheel of the project itself.
    early: Early<Result<Made, Reason>>,
}

/// The machine on which the programs of a build run.
pub(super) struct Machine {
    platform: Platform,
    emulation: Emulation,
}

/// How a source is built.
pub(super) struct Attempt<'a> {
    pub(super) plan: &'a Plan,
    pub(super) machine: &'a Machine,
    pub(super) goal: Goal,
}

/// The tree of a build, laid out so that its programs can run in it.
struct LaidOut {
    tree: Tree,
    stage: Stage,
}

impl Sources for FromSource<'_> {
    fn texts(&self, source: &Source) -> Result<SourceTexts, SourceFailure> {
        let open = self.open(source).map_err(|reason| failure_of(source, reason))?;
        let pkg_info = open.sdist.pkg_info.clone().filter(|_| open.is_published());
        Ok(SourceTexts { pyproject: open.sdist.pyproject.clone(), pkg_info })
    }

    fn metadata(&self, source: &Source) -> Result<String, SourceFailure> {
        // For a version from an index, only the metadata is built, because the resolver may choose another version.
        // Every other source will be installed, so its wheel is built.
        let is_candidate = matches!(source.place, SourcePlace::Url { is_indexed: true, .. });
        let goal = if is_candidate { Goal::Metadata } else { Goal::Wheel };
        let made = self.made(source, goal).map(|(_, made)| made);
        match made.map_err(|reason| failure_of(source, reason))? {
            Made::Metadata(text) => Ok(text),
            Made::Wheel(finished) => Ok(finished.wheel.metadata),
        }
    }

    fn wheel(&self, source: &Source) -> Result<LockedWheel, SourceFailure> {
        let made = self.made(source, Goal::Wheel).and_then(|(open, made)| match made {
            Made::Wheel(finished) => Ok((open, finished)),
            Made::Metadata(_) => Err(Reason::NoResult { log: String::new() }),
        });
        let (open, finished) = made.map_err(|reason| failure_of(source, reason))?;
        Ok(locked(&open, *finished))
    }
}

/// The result of a build.
pub(super) enum Made {
    Metadata(String),
    Wheel(Box<Finished>),
}

/// A built wheel, and the plan and the tree of its build.
pub(super) struct Finished {
    wheel: BuiltWheel,
    plan: Plan,
    tree: PlatformLock,
}

pub(super) fn failure(shown: &str, reason: Reason) -> BuildFailure {
    BuildFailure { shown: shown.to_owned(), hint: None, reason }
}

/// Returns the failure to build `source`. If the index has a wheel of this distribution for another Python, the hint
/// names that Python.
fn failure_of(source: &Source, reason: Reason) -> BuildFailure {
    let hint = source
        .name
        .clone()
        .zip(source.other_python)
        .map(|(name, python)| Hint::Request(RequestHint::OtherPython { name, python: python.to_string() }));
    BuildFailure { hint, ..failure(&source.shown(), reason) }
}

/// Returns the entry of the lock for a built wheel. The caller adds the names of the distributions that require the
/// wheel.
fn locked(open: &OpenSource, finished: Finished) -> LockedWheel {
    let Finished { wheel, plan, tree } = finished;
    let build = LockedBuild {
        from: open.built_from(),
        requires: plan.requires,
        packages: plan.packages.into_iter().collect(),
        // The hints are removed, because hints are about images, and this tree is only for a build.
        tree: PlatformLock { hints: Vec::new(), ..tree },
        dependencies: wheel.dependencies(),
    };
    let source = match open.source.place {
        SourcePlace::Url { is_indexed: true, .. } => WheelSource::Index,
        SourcePlace::Url { .. } | SourcePlace::Commit { .. } => WheelSource::Url,
        SourcePlace::Path(_) | SourcePlace::Folder(_) => WheelSource::Path,
    };
    LockedWheel {
        name: wheel.name,
        version: open.source.version.clone().unwrap_or(wheel.version),
        file_name: wheel.file_name,
        url: open.source.place.shown(),
        digest: wheel.digest,
        size_bytes: Some(wheel.size_bytes),
        is_requested: false,
        required_by: Vec::new(),
        source,
        built: Some(Box::new(build)),
    }
}

impl<'a> FromSource<'a> {
    pub(super) fn new(request: ResolveRequest<'a>, platform: Platform, world: &'a World) -> Self {
        let (open, trees, shown) = (Mutex::default(), Mutex::default(), Mutex::default());
        let project = request.python.project.as_ref().filter(|project| project.is_package);
        let early = Early::of(project.map(|project| project.folder.clone()));
        Self { request, platform, world, stack: Vec::new(), open, trees, shown, early }
    }

    /// Runs `work`. In parallel, builds the wheel of the project. This is possible because its build does not depend on
    /// the versions that `work` chooses.
    pub(super) fn early<T>(&self, work: impl FnOnce() -> T) -> T {
        let Some(source) = self.early.source() else { return work() };
        std::thread::scope(|threads| {
            let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
            // If no thread can be started, nothing is built early.
            let _ = thread.spawn_scoped(threads, || self.early.fill(|| self.build_early(source)));
            work()
        })
    }

    /// Offers the folders of the laid-out trees to the next stage, which can change one of them into its own tree. This
    /// is faster, because the image has the same Python as most builds.
    pub(super) fn end(self) {
        for laid_out in self.trees.into_inner().unwrap_or_else(PoisonError::into_inner).into_values() {
            if let Some(laid_out) = Arc::into_inner(laid_out) {
                self.world.stages.reuse(laid_out.into_inner().unwrap_or_else(PoisonError::into_inner).stage);
            }
        }
    }

    fn build_early(&self, mut source: Source) -> Option<Named<Result<Made, Reason>>> {
        // If the folder cannot be read, the resolver reports the error later. If the project's file contains no name,
        // nothing is built early. The user gives additional build requirements for the name of a distribution, so a
        // build without a name could lack them.
        let open = self.open(&source).ok()?;
        let name = open.name()?;
        source.name = Some(name.clone());
        let open = open.checked(&source, self.world).ok()?;
        // Machine code is not compiled early. A compiler would run for minutes, which would be useless if the request
        // cannot be resolved.
        (!self.is_native(&open)).then(|| Named { name, result: self.make(&open, Goal::Wheel) })
    }

    /// Builds a source, unless it was built early.
    fn made(&self, source: &Source, goal: Goal) -> Result<(OpenSource, Made), Reason> {
        let open = self.open(source)?;
        let made = match self.early.take(source) {
            Some(made) => made?,
            None => self.make(&open, goal)?,
        };
        Ok((open, made))
    }

    /// Returns whether the source probably contains code that a compiler has to compile.
    fn is_native(&self, open: &OpenSource) -> bool {
        let plan = wheel::plan(open, &self.request.python.builds, self.request.python.version);
        plan.is_ok_and(|plan| plan.is_native)
    }

    fn open(&self, source: &Source) -> Result<OpenSource, Reason> {
        // The key contains no name, because the names of some sources are known only after they were opened.
        let place = Source {
            name: None,
            version: None,
            allowed: AllowedHashes::default(),
            other_python: None,
            ..source.clone()
        };
        let known = self.open.lock().unwrap_or_else(PoisonError::into_inner).get(&place).cloned();
        if let Some(open) = known {
            return open.checked(source, self.world);
        }
        let open = wheel::open(source, self.world)?;
        self.open.lock().unwrap_or_else(PoisonError::into_inner).insert(place, open.clone());
        Ok(open)
    }

    /// Builds a source for the platform. If the source has no machine code, it is built for the platform of this
    /// machine, because the wheel is the same.
    fn make(&self, open: &OpenSource, goal: Goal) -> Result<Made, Reason> {
        let shown = open.source.shown();
        if self.is_forbidden(&open.source) {
            return Err(Reason::NotAllowed);
        }
        if self.stack.contains(&shown) {
            let names = self.stack.iter().cloned().chain([shown]).collect();
            return Err(Reason::Circle { names });
        }
        let host = Architecture::of_host().map(|architecture| Platform { architecture }).ok_or(Reason::NoHost)?;
        let plan = wheel::plan(open, &self.request.python.builds, self.request.python.version)?;
        if self.platform == host || (plan.is_native && goal == Goal::Wheel) {
            return self.make_on(open, plan, self.platform, goal);
        }
        match self.make_on(open, plan.clone(), host, goal)? {
            Made::Wheel(finished) if goal == Goal::Wheel && !finished.wheel.is_pure() => {
                self.make_on(open, plan, self.platform, goal)
            }
            made => Ok(made),
        }
    }

    /// Returns whether the user's options forbid to build this source.
    pub(super) fn is_forbidden(&self, source: &Source) -> bool {
        let builds = &self.request.python.builds;
        let is_in = |names: &[String]| source.name.as_ref().is_some_and(|name| names.contains(name));
        is_in(&builds.no_build_packages) || (builds.no_build && !is_in(&builds.no_binary_packages))
    }

    /// Builds a source with the programs of `platform`. Several rounds may be needed. A backend may require
    /// distributions that are not in the source's files, and a failed build may show that a compiler is missing.
    fn make_on(&self, open: &OpenSource, mut plan: Plan, platform: Platform, goal: Goal) -> Result<Made, Reason> {
        let machine = self.machine(platform)?;
        for _ in 0..ROUNDS {
            let (step, tree) = self.step_in(open, &Attempt { plan: &plan, machine: &machine, goal })?;
            match step {
                Step::Metadata(text) => return Ok(Made::Metadata(text)),
                Step::Wheel(wheel) => return Ok(Made::Wheel(Box::new(Finished { wheel, plan, tree }))),
                Step::Requires(requires) => plan.add_requires(requires, self.request.python.version),
                Step::Compilers(groups) => {
                    for group in groups {
                        plan.add(&group, self.request.python.version);
                    }
                }
            }
        }
        Err(Reason::Restless { rounds: ROUNDS, requires: plan.requires })
    }

    /// Chooses the tree of a build. Builds the source in it, or takes the result of the same build from the store.
    fn step_in(&self, open: &OpenSource, attempt: &Attempt<'_>) -> Result<(Step, PlatformLock), Reason> {
        let failed = |error: BuildError| Reason::Tree(error.into());
        let chosen = self.chosen(open, attempt.plan, attempt.machine.platform).map_err(failed)?;
        if let Some(step) = self.known(open, attempt, &chosen.lock)? {
            return Ok((step, chosen.lock));
        }
        let opened = chosen.open(self.world).map_err(failed)?;
        Ok((self.step(open, attempt, &opened)?, opened.lock))
    }

    /// Returns the machine for builds that run on `platform`.
    pub(super) fn machine(&self, platform: Platform) -> Result<Machine, Reason> {
        let emulation = match self.world.sandbox.emulation(platform.architecture) {
            Ok(Emulation::Program(_)) => Err(UNREGISTERED.to_owned()),
            found => found,
        };
        let emulation = emulation.map_err(|reason| Reason::Foreign { platform: platform.to_string(), reason })?;
        Ok(Machine { platform, emulation })
    }

    /// Returns the result of the same build in the tree of `lock`, if the result is in the store. In that case, the
    /// tree does not have to be laid out.
    pub(super) fn known(
        &self,
        open: &OpenSource,
        attempt: &Attempt<'_>,
        lock: &PlatformLock,
    ) -> Result<Option<Step>, Reason> {
        Ok(wheel::known(&self.order(open, attempt, lock, &user_base()?), self.world))
    }

    fn order<'o>(
        &'o self,
        open: &'o OpenSource,
        attempt: &'o Attempt<'_>,
        lock: &'o PlatformLock,
        user_base: &'o UserBase,
    ) -> Order<'o> {
        let python = self.request.python;
        let Attempt { plan, goal, .. } = *attempt;
        Order { open, plan, builds: &python.builds, lock, version: python.version, user_base, goal }
    }

    /// Builds a source in the tree of `opened`.
    pub(super) fn step(&self, open: &OpenSource, attempt: &Attempt<'_>, opened: &Opened) -> Result<Step, Reason> {
        let (world, machine) = (self.world, attempt.machine);
        let user_base = user_base()?;
        let order = self.order(open, attempt, &opened.lock, &user_base);
        let shown = open.source.shown();
        if self.shown.lock().unwrap_or_else(PoisonError::into_inner).insert(shown.clone()) {
            world.listener.hear(Event::Step(format!("building {shown} from source")));
        }
        // A folder is usually built many times, so its tree gets bytecode. Without it, Python would compile the backend
        // each time.
        let is_edited = matches!(open.source.place, SourcePlace::Folder(_))
            && Architecture::of_host() == Some(machine.platform.architecture);
        let bytecode = if is_edited { Bytecode::All } else { Bytecode::None };
        let laid_out = self.laid_out(opened, &user_base, bytecode)?;
        let mut laid_out = laid_out.lock().unwrap_or_else(PoisonError::into_inner);
        let LaidOut { tree, stage } = &mut *laid_out;
        wheel::build(&order, Site { tree, stage, emulation: machine.emulation.clone() }, world)
    }

    /// Chooses the wheels and packages of a build's tree.
    fn chosen(&self, open: &OpenSource, plan: &Plan, platform: Platform) -> Result<Chosen, BuildError> {
        let python = PythonRequest {
            requirements: plan.requires.iter().map(|text| SecretText::from(text.as_str())).collect(),
            ..self.request.python.bare()
        };
        let packages = plan.packages.iter().cloned().collect();
        let base = ReleaseRequest { packages, recommends: false, ..self.request.release.bare() };
        let wanted = ResolveRequest {
            python: &python,
            release: &base,
            has_shell: true,
            trim: TrimLevel::None,
            base: None,
            lock: None,
        };
        let stack = self.stack.iter().cloned().chain([open.source.shown()]).collect();
        let inner = FromSource { stack, ..FromSource::new(wanted, platform, self.world) };
        let chosen = choose_all_with(wanted, platform, &inner, self.world);
        inner.end();
        chosen
    }

    /// Lays out the tree of a build. If the tree was laid out before, returns that one.
    fn laid_out(
        &self,
        opened: &Opened,
        user_base: &UserBase,
        bytecode: Bytecode,
    ) -> Result<Arc<Mutex<LaidOut>>, Reason> {
        let digests: Vec<Digest> = opened.parts.iter().map(|part| part.parcel).collect();
        let key = Digest::of_fields(digests.iter().map(|digest| digest.as_bytes().as_slice()));
        let mut trees = self.trees.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(laid_out) = trees.get(&key) {
            return Ok(Arc::clone(laid_out));
        }
        let wanted = AssembleRequest {
            base: None,
            python: self.request.python.bare_python(),
            release: self.request.release,
            user_base,
            app: None,
            copies: &[],
            written_scripts: &[],
            volumes: &[],
            owner: Owner::default(),
            workdir: None,
        };
        let assembly = assemble(&opened.lock, &opened.parts, &wanted, &self.world.store);
        let mut assembly = assembly.map_err(|error| Reason::Tree(error.into()))?;
        let mut stage = self.world.stages.stage();
        let python = self.request.python.bare_python();
        let wanted = CompileRequest { bytecode, python, user_base, scripts: &[], app: None, started: None };
        let bench = Workbench { workshop: None, stage: &mut stage };
        let mut tree = std::mem::take(&mut assembly.tree);
        tree.nodes.retain(|path, _| !UNREAD.iter().any(|folder| path.as_str().contains(folder)));
        let tree = compile(tree, &assembly, &wanted, bench, self.world).map_err(|error| Reason::Tree(error.into()))?;
        let laid_out = Arc::new(Mutex::new(LaidOut { tree, stage }));
        trees.insert(key, Arc::clone(&laid_out));
        Ok(laid_out)
    }
}

/// Returns the user base of every build. It is the same for all images, so that a wheel does not depend on the user
/// base of an image.
fn user_base() -> Result<UserBase, Reason> {
    UserBase::DEFAULT.parse().map_err(|error| Reason::Work(std::io::Error::other(error)))
}
