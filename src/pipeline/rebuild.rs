//! Builds the wheels of a lock that are made from source. The lock contains the trees of these builds, so nothing is
//! resolved (docs/decisions/0143-locks-of-sources.md).

use super::{Attempt, BuildError, FromSource, build_failure as failure, open_locked};
use crate::model::digest::Digest;
use crate::model::event::Event;
use crate::model::lock::{LockedBuild, LockedWheel, PlatformLock};
use crate::model::lock_file::LockRequest;
use crate::model::request::ResolveRequest;
use crate::model::source::BuiltPlace;
use crate::outside::threads::at_once;
use crate::outside::world::World;
use crate::steps::lock::{self as lock_step, Changed};
use crate::steps::resolve::ResolveError;
use crate::steps::wheel::{self, BuiltWheel, Goal, OpenSource, Plan, Reason, Step};

/// Builds the wheels of a lock that are made from source. A wheel that is in the store or in the vendor folder is not
/// built again. If the source is a folder that has changed, the new wheel replaces the wheel of the lock.
pub(super) fn rebuild(
    lock: &mut PlatformLock,
    request: ResolveRequest<'_>,
    file: &LockRequest,
    world: &World,
) -> Result<(), BuildError> {
    if lock.wheels.iter().all(|wheel| wheel.built.is_none()) {
        return Ok(());
    }
    let sources = FromSource::new(request, lock.platform, world);
    let rebuilding = Rebuilding { sources, request, file, world };
    rebuilding.all(&mut lock.wheels)?;
    rebuilding.sources.end();
    Ok(())
}

/// The values that all builds of a lock need.
struct Rebuilding<'a> {
    sources: FromSource<'a>,
    request: ResolveRequest<'a>,
    file: &'a LockRequest,
    world: &'a World,
}

impl Rebuilding<'_> {
    fn all(&self, wheels: &mut [LockedWheel]) -> Result<(), BuildError> {
        let built = wheels.iter_mut().filter(|wheel| wheel.built.is_some());
        at_once(built, |wheel| self.one(wheel)).map(drop)
    }

    fn one(&self, wheel: &mut LockedWheel) -> Result<(), BuildError> {
        let Some(build) = &wheel.built else { return Ok(()) };
        let shown = shown(wheel);
        let failed = |reason| BuildError::from(ResolveError::Build(failure(&shown, reason).into()));
        let is_folder = matches!(build.from.place, BuiltPlace::Folder(_));
        if !is_folder && wheel::is_here(&wheel.digest, self.world).map_err(failed)? {
            return Ok(());
        }
        let open = wheel::open_again(wheel, &build.from, self.world).map_err(failed)?;
        if open.archive == build.from.archive && wheel::is_here(&wheel.digest, self.world).map_err(failed)? {
            return Ok(());
        }
        let built = self.build(wheel, build, &open)?;
        if is_folder {
            self.refuse_dependencies(wheel, build, &built)?;
            wheel.version = built.version;
        } else if built.digest != wheel.digest {
            self.world.listener.hear(Event::Warning(format!(
                "the build of {shown} does not always give the same wheel, so this image may have another digest than \
                 the first one of its lock"
            )));
        }
        wheel.digest = built.digest;
        wheel.size_bytes = Some(built.size_bytes);
        wheel.file_name = built.file_name;
        Ok(())
    }

    /// Builds a wheel in the tree that the lock contains for this build.
    fn build(&self, wheel: &LockedWheel, build: &LockedBuild, open: &OpenSource) -> Result<BuiltWheel, BuildError> {
        let failed = |reason| BuildError::from(ResolveError::Build(failure(&shown(wheel), reason).into()));
        if self.sources.is_forbidden(&open.source) {
            return Err(failed(Reason::NotAllowed));
        }
        let python = self.request.python;
        let planned = wheel::plan(open, &python.builds, python.version).map_err(failed)?;
        if !self.file.is_frozen {
            self.refuse_new(wheel, build, &planned)?;
        }
        let packages = build.packages.iter().cloned().collect();
        let mut plan = Plan { requires: build.requires.clone(), packages, ..planned };
        plan.find_rust();
        let machine = self.sources.machine(build.tree.platform).map_err(failed)?;
        let mut tree = build.tree.clone();
        self.all(&mut tree.wheels)?;
        let attempt = Attempt { plan: &plan, machine: &machine, goal: Goal::Wheel };
        let step = match self.sources.known(open, &attempt, &tree).map_err(failed)? {
            Some(step) => step,
            None => {
                let opened = open_locked(tree, self.world)?;
                self.sources.step(open, &attempt, &opened).map_err(failed)?
            }
        };
        match step {
            Step::Wheel(built) => Ok(built),
            Step::Requires(requires) => Err(self.changed(Changed::Requires { name: &wheel.name, new: &requires })),
            Step::Compilers(groups) => Err(self.changed(Changed::Compilers { name: &wheel.name, groups: &groups })),
            Step::Metadata(_) => Err(failed(Reason::NoResult { log: String::new() })),
        }
    }

    /// Refuses a build if its source has changed and now needs requirements or packages that are not in the tree of
    /// the lock.
    fn refuse_new(&self, wheel: &LockedWheel, build: &LockedBuild, planned: &Plan) -> Result<(), BuildError> {
        let is_new = |requirement: &&String| !build.requires.contains(requirement);
        let new: Vec<String> = planned.requires.iter().filter(is_new).cloned().collect();
        if !new.is_empty() {
            return Err(self.changed(Changed::Requires { name: &wheel.name, new: &new }));
        }
        let is_new = |package: &&String| !build.packages.contains(package);
        let new: Vec<String> = planned.packages.iter().filter(is_new).cloned().collect();
        if new.is_empty() { Ok(()) } else { Err(self.changed(Changed::Packages { name: &wheel.name, new: &new })) }
    }

    /// Refuses a new wheel of a changed folder if its requirements differ from the requirements in the lock.
    fn refuse_dependencies(
        &self,
        wheel: &LockedWheel,
        build: &LockedBuild,
        built: &BuiltWheel,
    ) -> Result<(), BuildError> {
        let dependencies = built.dependencies();
        if self.file.is_frozen || dependencies == build.dependencies {
            return Ok(());
        }
        let [locked, found] = [&build.dependencies, &dependencies].map(Vec::as_slice);
        Err(self.changed(Changed::Dependencies { name: &wheel.name, locked, found }))
    }

    fn changed(&self, changed: Changed<'_>) -> BuildError {
        lock_step::changed(self.file, changed).into()
    }
}

/// Fetches the source archives and crates of the builds of a lock. Returns their digests and file names. Folders of the
/// user are left out.
pub(super) fn source_files(
    lock: &PlatformLock,
    request: ResolveRequest<'_>,
    world: &World,
) -> Result<Vec<(Digest, String)>, BuildError> {
    let mut files = Vec::new();
    for (wheel, build) in lock.builds() {
        files.extend(source_files(&build.tree, request, world)?);
        let failed = |reason| ResolveError::Build(failure(&shown(wheel), reason).into());
        let name = match &build.from.place {
            BuiltPlace::Archive { url } => url.rsplit('/').next().unwrap_or_default().to_owned(),
            BuiltPlace::Git { commit, .. } => format!("{}-{commit}.tar", wheel.name),
            BuiltPlace::Folder(_) => String::new(),
        };
        let open = wheel::open_again(wheel, &build.from, world).map_err(failed)?;
        let plan = wheel::plan(&open, &request.python.builds, request.python.version).map_err(failed)?;
        files.extend(wheel::crate_files(&open, &plan, world).map_err(failed)?);
        if !name.is_empty() {
            files.push((open.archive, name));
        }
    }
    Ok(files)
}

/// Returns the name and the version of a wheel, for errors about its source.
fn shown(wheel: &LockedWheel) -> String {
    format!("{} {}", wheel.name, wheel.version)
}
