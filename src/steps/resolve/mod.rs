//! Request -> lock: chooses all wheels and all .debs for each platform.

mod calls;
mod debian;
mod direct;
mod graphics;
mod needs;
mod on_base;
mod scripts;
mod source;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::debian::{DebianError, Rules, Skip, Wanted};
use self::direct::DirectError;
use self::needs::{Needs, NeedsError};
use self::on_base::lacking;
pub(crate) use self::scripts::{Helpers, helpers};
use crate::catalog::packages;
use crate::catalog::releases::{self, Release};
use crate::catalog::sonames;
use crate::formats::relation;
use crate::model::digest::Digest;
use crate::model::event::Event;
use crate::model::hint::{Hint, Hints, RequestHint};
use crate::model::lock::{LockedDeb, LockedWheel, PlatformLock};
use crate::model::part::{Part, PartContents};
use crate::model::platform::{Platform, PythonVersion};
use crate::model::reason::Why;
use crate::model::request::{Distribution, OnBase, ReleaseRequest, ResolveRequest, TrimLevel};
use crate::model::secret_text::SecretText;
use crate::outside::archive::index::PackageIndex;
use crate::outside::archive::{ArchiveError, Snapshot};
use crate::outside::pypi::{Answer, Expected, PypiError, SourceFailure, Sources, System, SystemLibc};
use crate::outside::store::{Bucket, StoreError};
use crate::outside::world::World;

#[derive(Debug, Error)]
pub(crate) enum ResolveError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Debian(#[from] DebianError),
    #[error(transparent)]
    Pypi(#[from] PypiError),
    #[error(transparent)]
    Direct(#[from] DirectError),
    #[error(transparent)]
    Build(SourceFailure),
    #[error(transparent)]
    Needs(#[from] NeedsError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot find python {version} in {distribution}'s `{suite}`: it has no package `python{version}-minimal`")]
    NoPython { version: PythonVersion, distribution: Distribution, suite: String, own: Option<PythonVersion> },
    #[error("cannot add the Debian package `{package}`: the base image is no Debian or Ubuntu")]
    NoPackages { package: String },
    #[error("cannot find the Python of {distribution}'s `{suite}`: it has no package `python3`")]
    NoOwnPython { distribution: Distribution, suite: String },
}

impl ResolveError {
    /// Returns the distributions that have no fitting wheel but could be built from source.
    pub(crate) fn without_wheels(&self) -> Vec<String> {
        match self {
            Self::Pypi(PypiError::Resolve { advice, .. }) => advice.without_wheels.clone(),
            _ => Vec::new(),
        }
    }
}

impl Hints for ResolveError {
    fn own_hints(&self) -> Vec<Hint> {
        match self {
            Self::NoPython { version, distribution, suite, own } => {
                let base = format!("{distribution}:{suite}");
                let own = own.map(|own| RequestHint::OwnPython { base, python: own.to_string() });
                let other = releases::for_python().into_iter().find(|release| release.python == *version);
                let other = other.map(|Release { distribution, suite, .. }| RequestHint::ReleaseOfPython {
                    base: format!("{distribution}:{suite}"),
                    python: version.to_string(),
                });
                own.into_iter().chain(other).map(Hint::Request).collect()
            }
            Self::NoOwnPython { .. } => vec![Hint::Request(RequestHint::NameRelease)],
            _ => Vec::new(),
        }
    }

    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Archive(error) => Some(error),
            Self::Debian(error) => Some(error),
            Self::Pypi(error) => Some(error),
            Self::Direct(error) => Some(error),
            Self::Build(failure) => Some(failure.hints()),
            Self::Needs(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::NoPython { .. } | Self::NoPackages { .. } | Self::NoOwnPython { .. } => None,
        }
    }
}

/// The package with the descriptions of common terminals (`xterm`, `linux`, `screen`). Every Debian system has it, so
/// no package declares a dependency on it.
const TERMINALS: &str = "ncurses-base";

/// The package with the certificates of authorities.
const CERTIFICATES: &str = "ca-certificates";

/// The facts about the base that must be known before wheels are chosen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct BaseFacts {
    /// The full version of Python, such as `3.13.5`.
    python: String,
    glibc: (u16, u16),
}

/// The resolved Debian half.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct DebianHalf {
    debs: Vec<LockedDeb>,
    /// The libraries for which no package was found, each with a wheel that needs the library.
    missing: BTreeMap<String, String>,
}

impl DebianHalf {
    /// Returns a hint for each wheel with libraries for which no package was found. `suite` is the release from which
    /// packages can be added, or `None` if no packages can be added.
    fn uncarried(&self, suite: Option<&str>) -> Vec<Hint> {
        let mut by_wheel: BTreeMap<(&str, bool), Vec<String>> = BTreeMap::new();
        for (library, wheel) in &self.missing {
            by_wheel.entry((wheel, sonames::is_of_cuda(library))).or_default().push(library.clone());
        }
        let hints = by_wheel.into_iter().map(|((wheel, is_of_cuda), sonames)| {
            let wheel = wheel.to_owned();
            match (is_of_cuda, suite) {
                (true, _) => Hint::CudaLibraries { wheel, sonames },
                (false, Some(suite)) => Hint::Libraries { wheel, sonames, suite: suite.to_owned() },
                (false, None) => Hint::BaseLibraries { wheel, sonames },
            }
        });
        hints.collect()
    }
}

/// The chosen wheels of one platform, and the archive from which the packages are chosen. The needed packages depend on
/// the files of the wheels, so [`Choice::lock`] chooses the packages after the wheels were opened.
pub(crate) struct Choice<'a> {
    request: ResolveRequest<'a>,
    platform: Platform,
    packages: Packages<'a>,
    sources: &'a dyn Sources,
    answer: Answer,
    /// The packages that do not depend on the wheels of the image.
    pub(crate) base: Vec<LockedDeb>,
}

/// Chooses the wheels, and the packages that do not depend on the wheels. A request that cannot be met is refused here,
/// before any wheel or package is fetched.
pub(crate) fn choose<'a>(
    request: ResolveRequest<'a>,
    platform: Platform,
    sources: &'a dyn Sources,
    world: &'a World,
) -> Result<Choice<'a>, ResolveError> {
    let (mut packages, answer) = match request.base {
        None => both_halves(&request, platform, sources, world)?,
        Some(base) => half_on_base(&request, base, platform, sources, world)?,
    };
    let needs = Needs { libraries: &BTreeMap::new(), scripts: &Helpers::new() };
    let base = packages.half(&request, &needs)?.debs;
    Ok(Choice { request, platform, packages, sources, answer, base })
}

impl Choice<'_> {
    /// Returns the chosen wheels that can be fetched while other wheels are built from source. Empty if nothing is
    /// built.
    pub(crate) fn ready_wheels(&self) -> &[LockedWheel] {
        if self.answer.sources.is_empty() { &[] } else { &self.answer.wheels }
    }

    /// Returns the chosen wheels, sorted by name. For this, fetches the wheels whose digest is not known, and builds
    /// wheels from the chosen sources.
    pub(crate) fn wheels(&self) -> Result<Vec<LockedWheel>, ResolveError> {
        let world = self.packages.world;
        for warning in &self.answer.warnings {
            world.listener.hear(Event::Warning(warning.clone()));
        }
        let mut wheels = self.answer.wheels.clone();
        wheels.extend(direct::bring_all(&self.answer.direct, world)?);
        wheels.extend(source::build_all(&self.answer.sources, self.sources)?);
        wheels.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(wheels)
    }

    /// Adds to each wheel the names of the wheels that require it. This is needed for wheels of a foreign lock, because
    /// such a lock does not contain the names. Wheels that no other wheel requires count as requested.
    fn add_edges(&mut self, wheels: &mut [LockedWheel], parts: &[Part]) -> Result<(), ResolveError> {
        let python = self.request.python;
        let full_version = self.packages.full_version()?;
        let libc = self.packages.libc()?;
        let system = System { platform: self.platform, python: &full_version, libc, installed: &[], is_image: false };
        let metadata = wheels.iter().zip(parts).filter_map(|(wheel, part)| match &part.contents {
            PartContents::Wheel(part) => Some((wheel.name.clone(), part.metadata.as_str())),
            PartContents::Deb(_) => None,
        });
        let mut edges = self.packages.world.pypi.edges(&metadata.collect(), system, python.version)?;
        for wheel in wheels.iter_mut() {
            wheel.required_by = edges.remove(&wheel.name).unwrap_or_default().into_iter().collect();
            wheel.is_requested = wheel.required_by.is_empty();
        }
        // If the wheels require one another in a circle, each wheel is required, and none is requested. In this case,
        // all wheels count as requested.
        if wheels.iter().all(|wheel| !wheel.is_requested) {
            wheels.iter_mut().for_each(|wheel| wheel.is_requested = true);
        }
        Ok(())
    }

    /// Chooses all packages. `parts` are the opened `wheels`, in the same order. `scripts` are the packages that scripts
    /// of chosen packages need. It is empty if these packages are not open yet.
    pub(crate) fn lock(
        &mut self,
        mut wheels: Vec<LockedWheel>,
        parts: &[Part],
        scripts: &Helpers,
    ) -> Result<PlatformLock, ResolveError> {
        if self.request.python.lock.is_some() {
            self.add_edges(&mut wheels, parts)?;
        }
        let libraries = &lacking(needs::needs(&wheels, parts, self.platform)?, self.request.base);
        let half = self.packages.half(&self.request, &Needs { libraries, scripts })?;
        let mut hints = calls::unanswered(&wheels, &half.debs);
        let suite = self.request.release.suite.as_str();
        let suite = Some(suite).filter(|_| self.request.base.is_none_or(|base| base.release().is_some()));
        hints.extend(half.uncarried(suite));
        hints.extend(self.answer.hints.iter().cloned());
        hints.extend(graphics::hint(&wheels, parts, self.request.python));
        let base = self.request.base;
        hints.retain(|hint| !base.is_some_and(|base| base.answers(hint)));
        let releases = self.packages.snapshot.as_ref().map(|snapshot| snapshot.releases.clone()).unwrap_or_default();
        Ok(PlatformLock { platform: self.platform, wheels, debs: half.debs, hints, releases, base: None })
    }
}

/// The key of the index pages that a request used last time.
#[derive(Serialize)]
struct PagesKey<'a> {
    requirements: &'a [SecretText],
    requirement_files: Vec<Cow<'a, str>>,
    platform: Platform,
    python: PythonVersion,
}

/// Returns the wheels that are chosen for a base image, and the archive's packages. The index of the packages is not
/// read yet, because the image may need no packages.
fn half_on_base<'a>(
    request: &ResolveRequest<'a>,
    base: OnBase<'_>,
    platform: Platform,
    sources: &dyn Sources,
    world: &'a World,
) -> Result<(Packages<'a>, Answer), ResolveError> {
    let python = request.python;
    let mut packages = Packages { request: *request, platform, snapshot: None, index: None, world };
    packages.refuse_packages()?;
    let installed = match base.interpreter(python) {
        Some(interpreter) => base.installed(interpreter, python, &world.store)?,
        None => Vec::new(),
    };
    let full_version = packages.full_version()?;
    let libc = packages.libc()?;
    let system = System { platform, python: &full_version, libc, installed: &installed, is_image: true };
    let answer = match &python.lock {
        Some(lock) => world.pypi.of_lock(lock, system, python)?,
        None => world.pypi.resolve(python, system, &[], sources)?,
    };
    Ok((packages, answer))
}

/// Returns the archive's packages and the chosen wheels. Both are requested in parallel. So when the wheels are chosen,
/// lath does not know the versions of Python and glibc in the archive yet, and uses the versions that it expects. If
/// the archive has other versions, the wheels are resolved again.
fn both_halves<'a>(
    request: &ResolveRequest<'a>,
    platform: Platform,
    sources: &dyn Sources,
    world: &'a World,
) -> Result<(Packages<'a>, Answer), ResolveError> {
    let (base, python) = (request.release, request.python);
    let expected = BaseFacts::expected(base, python.version);
    // Prefetches the pages that the same request used last time. The choice depends only on the current contents of the
    // pages.
    let key = Digest::of_key(&PagesKey {
        requirements: &python.requirements,
        requirement_files: python.requirement_files.iter().map(|path| path.to_string_lossy()).collect(),
        platform,
        python: python.version,
    });
    let before: Vec<Expected> = world.store.entry(Bucket::IndexPages, &key).unwrap_or_default();
    let resolve = |facts: &BaseFacts| {
        let system = facts.system(platform);
        match &python.lock {
            Some(lock) => world.pypi.of_lock(lock, system, python),
            None => world.pypi.resolve(python, system, &before, sources),
        }
    };
    std::thread::scope(|scope| {
        let early = std::thread::Builder::new().spawn_scoped(scope, || resolve(&expected));
        let snapshot = world.archive.snapshot(base, platform.architecture, world.access())?;
        let mut packages = Packages { request: *request, platform, snapshot: Some(snapshot), index: None, world };
        let facts = packages.facts(base, python.version)?;
        let early = early.ok().map(|early| early.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        // The wheels are chosen now if no thread could be started, or if the versions in the archive are not the
        // expected ones.
        let answer = early.filter(|_| facts == expected).unwrap_or_else(|| resolve(&facts))?;
        if python.lock.is_none() && answer.expected != before {
            world.store.write_entry(Bucket::IndexPages, &key, &answer.expected)?;
        }
        Ok((packages, answer))
    })
}

impl BaseFacts {
    /// Returns the facts that the base most likely has. They are used only to start resolving early. If a fact is
    /// wrong, lath resolves again, so the result never depends on the expected facts.
    fn expected(base: &ReleaseRequest, version: PythonVersion) -> Self {
        let release = releases::find(base.distribution, &base.suite).filter(|release| release.python == version);
        let known = release.and_then(|release| Some((release.full_python()?, release.glibc?)));
        let (python, glibc) = known.unwrap_or_else(|| (format!("{version}.0"), (2, 36)));
        Self { python, glibc }
    }

    /// Returns the system of an image with these facts, without distributions.
    fn system(&self, platform: Platform) -> System<'_> {
        let libc = SystemLibc::glibc(self.glibc);
        System { platform, python: &self.python, libc, installed: &[], is_image: false }
    }
}

/// The key of a resolved Debian half: everything on which the result depends.
#[derive(Serialize)]
struct HalfKey<'a> {
    snapshot: Digest,
    /// The packages with their reasons, because the resolved half contains the reasons.
    wanted: Vec<(&'a str, &'a Why)>,
    recommends: bool,
    needs: &'a BTreeMap<String, String>,
    skipped: Vec<(&'a str, &'a str)>,
    helpers: &'a Helpers,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    of_scripts: &'a Helpers,
    terminals: &'a str,
    /// The packages of the base image.
    #[serde(skip_serializing_if = "Option::is_none")]
    installed: Option<Vec<(&'a str, &'a str)>>,
}

/// Returns the key of the half for these packages and libraries.
fn half_key(
    snapshot: Digest,
    request: &ResolveRequest<'_>,
    wanted: &[Wanted],
    needs: &Needs<'_>,
    skipped: &[Skip],
) -> Digest {
    Digest::of_key(&HalfKey {
        snapshot,
        wanted: wanted.iter().map(|one| (one.package.as_str(), &one.why)).collect(),
        recommends: request.release.recommends,
        needs: needs.libraries,
        skipped: skipped.iter().map(|skip| (skip.asker, skip.package)).collect(),
        helpers: packages::helpers(),
        of_scripts: needs.scripts,
        terminals: TERMINALS,
        installed: request.base.map(|base| base.debs().iter().collect()),
    })
}

/// The archive's packages. They are read only if a result that depends on them is not in the cache.
struct Packages<'a> {
    request: ResolveRequest<'a>,
    platform: Platform,
    /// `None` until the snapshot is needed. Many images on a base image need no packages.
    snapshot: Option<Snapshot>,
    index: Option<PackageIndex>,
    world: &'a World,
}

impl Packages<'_> {
    fn snapshot(&mut self) -> Result<&Snapshot, ResolveError> {
        let snapshot = match self.snapshot.take() {
            Some(snapshot) => snapshot,
            None => {
                let (release, architecture) = (self.request.release, self.platform.architecture);
                self.world.archive.snapshot(release, architecture, self.world.access())?
            }
        };
        Ok(self.snapshot.insert(snapshot))
    }

    fn index(&mut self) -> Result<&PackageIndex, ResolveError> {
        let loaded = match self.index.take() {
            Some(index) => index,
            None => {
                let world = self.world;
                world.archive.load(self.snapshot()?, world.access())?
            }
        };
        Ok(self.index.insert(loaded))
    }

    /// Refuses packages that cannot be added, because the base image is of another distribution.
    fn refuse_packages(&self) -> Result<(), ResolveError> {
        let is_possible = self.request.base.is_none_or(|base| base.release().is_some());
        match additions(&self.request).into_iter().next().filter(|_| !is_possible) {
            Some(wanted) => Err(ResolveError::NoPackages { package: wanted.package }),
            None => Ok(()),
        }
    }

    /// Returns the exact version of the image's Python.
    fn full_version(&mut self) -> Result<String, ResolveError> {
        let ResolveRequest { base, python, release, .. } = self.request;
        match base.and_then(|base| base.interpreter(python)) {
            // If the last number of the version is unknown, 0 is used.
            Some(interpreter) => {
                Ok(interpreter.full_version.clone().unwrap_or_else(|| format!("{}.0", python.version)))
            }
            None => Ok(self.facts(release, python.version)?.python),
        }
    }

    /// Returns the image's C library.
    fn libc(&mut self) -> Result<SystemLibc, ResolveError> {
        let ResolveRequest { base, python, release, .. } = self.request;
        match base {
            Some(base) => Ok(base.libc()),
            None => Ok(SystemLibc::glibc(self.facts(release, python.version)?.glibc)),
        }
    }

    fn facts(&mut self, base: &ReleaseRequest, version: PythonVersion) -> Result<BaseFacts, ResolveError> {
        let key = Digest::of_fields([self.snapshot()?.key().as_bytes().as_slice(), version.to_string().as_bytes()]);
        if let Some(facts) = self.world.store.entry(Bucket::BaseFacts, &key) {
            return Ok(facts);
        }
        let index = self.index()?;
        let missing = || ResolveError::NoPython {
            version,
            distribution: base.distribution,
            suite: base.suite.clone(),
            own: own_version(index),
        };
        let python = newest(index, &format!("python{version}-minimal")).ok_or_else(missing)?;
        let libc = newest(index, "libc6").ok_or_else(missing)?;
        // The versions are such as `3.13.5-2+deb13u1` and `2.41-12`. Debian's revision is removed, so that the upstream
        // version remains.
        let upstream = |text: &str| text.split(['-', '+', '~']).next().unwrap_or_default().to_owned();
        let libc = upstream(libc);
        let mut numbers = libc.split('.').map(|number| number.parse().unwrap_or(0));
        let glibc = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let facts = BaseFacts { python: upstream(python), glibc };
        self.world.store.write_entry(Bucket::BaseFacts, &key, &facts)?;
        Ok(facts)
    }

    /// Adds the packages that contain the libraries `needs` to `wanted`, and the libraries without a package to `half`.
    /// Returns `false` if the archive's list of contents was needed but not available. In this case, the user gets a
    /// warning and the build continues, because most packages are found without the list.
    fn add_libraries(
        &mut self,
        needs: &BTreeMap<String, String>,
        wanted: &mut Vec<Wanted>,
        half: &mut DebianHalf,
    ) -> Result<bool, ResolveError> {
        let world = self.world;
        let snapshot = self.snapshot()?.clone();
        let index = self.index()?;
        let is_unknown =
            |library: &&String| index.package_for_soname(library).is_none() && !sonames::is_of_cuda(library);
        let unknown = needs.keys().filter(is_unknown);
        let unknown: BTreeSet<String> = unknown.cloned().collect();
        let mut is_certain = true;
        let listed = if unknown.is_empty() {
            BTreeMap::new()
        } else {
            let listed = world.archive.packages_for_sonames(&snapshot, index, &unknown, world.access());
            listed.unwrap_or_else(|error| {
                is_certain = false;
                world.listener.hear(Event::Warning(unsearched(&unknown, &error)));
                BTreeMap::new()
            })
        };
        for (library, wheel) in needs {
            let guessed = || index.package_for_file(library).filter(|_| !is_certain);
            match index.package_for_soname(library).or_else(|| listed.get(library).cloned()).or_else(guessed) {
                Some(package) => {
                    let why = Why::Library { soname: library.clone(), wheel: wheel.clone() };
                    wanted.push(Wanted { package, why });
                }
                None => {
                    half.missing.insert(library.clone(), wheel.clone());
                }
            }
        }
        Ok(is_certain)
    }

    fn half(&mut self, request: &ResolveRequest<'_>, needs: &Needs<'_>) -> Result<DebianHalf, ResolveError> {
        let mut base_roots = base_roots(request);
        let mut wanted = [base_roots.clone(), additions(request)].concat();
        if let Some(base) = request.base {
            if wanted.is_empty() && needs.libraries.is_empty() {
                return Ok(DebianHalf::default());
            }
            if base.release().is_none() {
                return Ok(DebianHalf { debs: Vec::new(), missing: needs.libraries.clone() });
            }
        }
        let installed = request.base.map(OnBase::debs).unwrap_or_default();
        let skipped = skipped(request);
        let snapshot = self.snapshot()?.key();
        let key = half_key(snapshot, request, &wanted, needs, &skipped);
        if let Some(half) = self.world.store.entry(Bucket::DebianHalves, &key) {
            return Ok(half);
        }
        let mut half = DebianHalf::default();
        let is_certain = self.add_libraries(needs.libraries, &mut wanted, &mut half)?;
        let index = self.index()?;
        let components = &releases::archive(request.release.distribution).components;
        let rules =
            Rules { skipped: &skipped, recommends: request.release.recommends, installed: &installed, components };
        let close = |wanted: &[Wanted]| debian::close(index, wanted, rules);
        let mut base = close(&base_roots)?;
        let terminals = terminals(&base);
        if !terminals.is_empty() {
            wanted.extend(terminals.clone());
            base_roots.extend(terminals);
            base = close(&base_roots)?;
        }
        half.debs = close(&wanted)?;
        let essential = scripts::essential(&half.debs, needs.scripts);
        if !essential.is_empty() {
            wanted.extend(essential);
            half.debs = close(&wanted)?;
        }
        for deb in &mut half.debs {
            deb.is_base = base.iter().any(|one| one.name == deb.name) && !request.release.packages.contains(&deb.name);
        }
        // A result is not cached if the list was not available, because a later attempt may succeed.
        if is_certain {
            self.world.store.write_entry(Bucket::DebianHalves, &key, &half)?;
        }
        Ok(half)
    }
}

/// Returns hints about programs and libraries that the distributions of a lock are known to use, but that no package of
/// the lock contains.
pub(crate) fn known_calls(wheels: &[LockedWheel], debs: &[LockedDeb]) -> Vec<Hint> {
    calls::unanswered(wheels, debs)
}

/// Returns the version of the release's own Python, which is the version of its package `python3`.
pub(crate) fn own_python(
    base: &ReleaseRequest,
    platform: Platform,
    world: &World,
) -> Result<PythonVersion, ResolveError> {
    let snapshot = world.archive.snapshot(base, platform.architecture, world.access())?;
    let index = world.archive.load(&snapshot, world.access())?;
    let missing = || ResolveError::NoOwnPython { distribution: base.distribution, suite: base.suite.clone() };
    own_version(&index).ok_or_else(missing)
}

fn own_version(index: &PackageIndex) -> Option<PythonVersion> {
    // The version is, for example, `3.13.5-1`.
    let mut numbers = newest(index, "python3")?.split('.');
    format!("{}.{}", numbers.next()?, numbers.next()?).parse().ok()
}

/// Returns the newest version of a package.
fn newest<'a>(index: &'a PackageIndex, name: &str) -> Option<&'a str> {
    let versions = index.versions(name).into_iter().map(|package| package.version);
    versions.max_by(|one, other| relation::compare(one, other).unwrap_or(std::cmp::Ordering::Equal))
}

/// Returns the packages that every image has, even if the request does not name them. If the program runs with the
/// Python of a base image, only missing certificates are added.
fn base_roots(request: &ResolveRequest<'_>) -> Vec<Wanted> {
    let always = packages::always().iter();
    let always = always.map(|(package, why)| Wanted { package: package.clone(), why: why.clone() });
    if let Some(base) = request.base.filter(|_| !request.python.home.is_of_release()) {
        // Without certificates, Python cannot open TLS connections.
        return always.filter(|wanted| wanted.package == CERTIFICATES && base.lacks_certificates()).collect();
    }
    let version = request.python.version;
    let mut roots = vec![
        Wanted { package: format!("python{version}-minimal"), why: Why::Interpreter },
        Wanted { package: format!("libpython{version}-stdlib"), why: Why::StandardLibrary },
    ];
    roots.extend(always);
    roots
}

/// Returns the packages that the user adds.
fn additions(request: &ResolveRequest<'_>) -> Vec<Wanted> {
    let mut roots = Vec::new();
    if request.has_shell && !request.base.is_some_and(OnBase::has_shell) {
        roots.extend(["dash", "coreutils"].map(|package| Wanted { package: package.to_owned(), why: Why::Shell }));
    }
    for package in &request.release.packages {
        roots.push(Wanted { package: package.clone(), why: Why::Named { package: package.clone() } });
    }
    roots
}

fn skipped(request: &ResolveRequest<'_>) -> Vec<Skip> {
    let skip = |(asker, package)| Skip { asker, package };
    let mut skipped: Vec<Skip> = packages::skipped(&request.release.packages).map(skip).collect();
    if request.trim != TrimLevel::None {
        skipped.extend(packages::skipped_by_trim().map(skip));
    }
    skipped
}

/// Returns the package with the descriptions of terminals, if the Python of the base has the `curses` module. The
/// module needs libncurses. So if `base` contains libncurses, Python has the module.
fn terminals(base: &[LockedDeb]) -> Vec<Wanted> {
    let has_curses = base.iter().any(|deb| deb.name.starts_with("libncurses"));
    let wanted = || Wanted { package: TERMINALS.to_owned(), why: Why::Terminals };
    has_curses.then(wanted).into_iter().collect()
}

/// Returns the warning that the archive's list of files could not be searched for `libraries`, with the causes.
fn unsearched(libraries: &BTreeSet<String>, error: &ArchiveError) -> String {
    let mut text = format!("cannot find out which packages contain {} libraries: {error}", libraries.len());
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_of_cuda_are_no_packages_of_the_archive() {
        let missing = [("libcublas.so.12", "cupy"), ("libnvrtc.so.12", "cupy"), ("libodd.so.1", "cupy")];
        let missing = missing.map(|(library, wheel)| (library.to_owned(), wheel.to_owned()));
        let half = DebianHalf { debs: Vec::new(), missing: BTreeMap::from(missing) };
        let names = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        let wheel = "cupy".to_owned();
        let expected = [
            Hint::Libraries { wheel: wheel.clone(), sonames: names(&["libodd.so.1"]), suite: "trixie".to_owned() },
            Hint::CudaLibraries { wheel, sonames: names(&["libcublas.so.12", "libnvrtc.so.12"]) },
        ];
        assert_eq!(half.uncarried(Some("trixie")), expected);
    }
}
