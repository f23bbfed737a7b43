//! Resolves Python requirements with uv's crates. Other modules do not use these crates, except to read netrc. The host
//! needs no Python.
//!
//! This module returns only lath's own types: the wheels for a request on one platform.

mod ahead;
mod bounded;
mod checkout;
mod explain;
mod foreign;
mod hashes;
mod indexes;
mod inputs;
mod installed;
mod lookahead;
mod metadata_entry;
mod newer;
mod no_builds;
mod other_python;
mod own_inputs;
mod project;
pub(crate) mod pythons;
mod ranges;
mod refusals;
mod remote_wheel;
mod requirement_files;
mod requirements;
mod script;
mod source_queue;
mod sources;
mod target;
mod wheel_metadata;
mod wheels;

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::Either;
use thiserror::Error;
use tokio::runtime::Runtime;
use uv_cache::Cache;
use uv_client::{
    BaseClientBuilder, Connectivity, FlatIndexClient, RegistryClient, RegistryClientBuilder, WrappedReqwestError,
};
use uv_configuration::{BuildOptions, Constraints, Excludes, HashCheckingMode, Overrides};
use uv_distribution::DistributionDatabase;
use uv_distribution_types::{Index, IndexLocations, Requirement, RequiresPython, Resolution};
use uv_pypi_types::{Conflicts, ResolverMarkerEnvironment};
use uv_requirements::RequirementsSpecification;
use uv_requirements_txt::{RequirementEntry, RequirementsTxtRequirement};
use uv_resolver::{
    AllowedYanks, DefaultResolverProvider, Exclusions, FlatIndex, InMemoryIndex, Manifest, Options, OptionsBuilder,
    Preference, Preferences, Prerelease, PrereleaseMode, PythonRequirement, ResolveError, Resolver,
    ResolverEnvironment, ResolverOutput,
};
use uv_types::{BuildContext as _, HashStrategy, RequestedRequirements};

use crate::model::all_indexes::AllIndexes;
use crate::model::digest::Digest;
use crate::model::hint::{Hint, Hints, NetworkHint, RequestHint};
use crate::model::indexes::IndexStrategy;
use crate::model::platform::PythonVersion;
use crate::model::request::{Pin, Prereleases, PythonRequest};
use crate::model::world_settings::Variables;
use crate::outside::credentials::Credentials;
use crate::outside::http::{BodyError, Clients};
use crate::outside::pypi::ahead::Ahead;
use crate::outside::pypi::explain::{Asked, explain};
use crate::outside::pypi::foreign::UnfitLock;
use crate::outside::pypi::newer::Search;
use crate::outside::pypi::no_builds::NoBuilds;
use crate::outside::pypi::own_inputs::OwnInputs;
use crate::outside::pypi::project::Wanted;
use crate::outside::pypi::refusals::Refusals;
use crate::outside::pypi::requirements::{Requirements, Source};
use crate::outside::pypi::source_queue::{Job, with_queue};
use crate::outside::pypi::sources::SourceMetadata;
use crate::outside::pypi::target::Target;
use crate::outside::pypi::wheel_metadata::WheelMetadata;

pub(crate) use crate::outside::pypi::ahead::Expected;
pub(crate) use crate::outside::pypi::inputs::Inputs;
pub(crate) use crate::outside::pypi::installed::InstalledWheel;
pub(crate) use crate::outside::pypi::project::{member_folder, read_project};
pub(crate) use crate::outside::pypi::source_queue::{SourceFailure, SourceTexts, Sources};
pub(crate) use crate::outside::pypi::sources::is_same_version;
pub(crate) use crate::outside::pypi::target::{System, SystemLibc};
pub(crate) use crate::outside::pypi::wheels::{Answer, ChosenSource, DirectWheel, Place};

/// The number of index pages and metadata files that are requested at once.
const REQUESTS: usize = 50;
const READ_TIMEOUT: Duration = Duration::from_secs(30);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
const RETRIES: u32 = 3;

/// The settings of the resolver, and values that it shares with other parts of lath.
#[derive(Debug, Clone)]
pub(crate) struct Pypi {
    /// The directory in which uv caches index pages and metadata.
    pub(crate) cache_dir: PathBuf,
    pub(crate) offline: bool,
    /// The known credentials. The credentials in the URLs of the request are added to these.
    pub(crate) credentials: Arc<Credentials>,
    pub(crate) clients: Clients,
    /// The environment variables, because requirements files may contain their names.
    pub(crate) variables: Variables,
}

#[derive(Debug, Error)]
pub(crate) enum PypiError {
    #[error("cannot read the requirement `{requirement}`")]
    Requirement { requirement: String, source: Cause },
    #[error("cannot use `{requirement}`: {what} cannot be installed")]
    FromSource { requirement: String, what: Source },
    #[error("cannot use `{wheel}`: it requires `{requirement}`, {what} that it does not contain")]
    RequiresSource { wheel: String, requirement: String, what: Source },
    #[error("cannot use `{requirement}`: `{folder}` is not a project: it has neither a pyproject.toml nor a setup.py")]
    NoProject { requirement: String, folder: String },
    #[error(transparent)]
    Build(SourceFailure),
    #[error(
        "cannot use `{wheel}`: a URL in its requirements contains the variable `{variable}`, whose value could be a secret"
    )]
    RequiresVariable { wheel: String, variable: String },
    #[error("cannot use `{wheel}`: it requires `{requirement}`, a file on this machine")]
    RequiresLocal { wheel: String, requirement: String },
    #[error("cannot use the wheel `{wheel}`: it requires python {pythons}, and the image has {python}")]
    OtherPython { wheel: String, name: String, pythons: String, python: String, other: Option<PythonVersion> },
    #[error("cannot resolve the wheels that require one another by path or URL: there are more than {max}")]
    TooManyWheels { max: usize },
    #[error("cannot use `{path}` as a requirement: it is a file of requirements")]
    RequirementsFile { path: String },
    #[error("cannot use `{requirement}`: there is no file `{path}`")]
    NoSuchFile { requirement: String, path: String },
    #[error("cannot read the hashes of the requirements")]
    Hashes(#[source] Cause),
    #[error("cannot use the index `{index}`")]
    Index { index: String, source: Cause },
    #[error("cannot use the index `{index}`: there is no such folder, and a URL begins with `https://`")]
    NoIndexFolder { index: String },
    #[error("cannot use the index `{index}`: it is neither a path nor a plain URL of http, https or file")]
    IndexUrl { index: String },
    #[error("cannot use the backend `{backend}` of PyTorch")]
    TorchBackend { backend: String, source: Cause },
    #[error("cannot read `{specifiers}` as a requirement on Python")]
    RequiresPython { specifiers: String, source: Cause },
    #[error("cannot read `{date}` as the date after which files are excluded")]
    ExcludeNewer { date: String, source: Cause },
    #[error("cannot set up the Python resolver")]
    Setup(#[source] Cause),
    #[error("cannot resolve {what} for python {python} on {platform}")]
    Resolve { what: String, python: String, platform: String, source: Cause, advice: Box<Advice> },
    #[error("cannot install {what} for python {python} on {platform}: its markers exclude it there")]
    Excluded { what: String, python: String, platform: String },
    #[error("cannot use the lock `{path}` for python {python} on {platform}")]
    Lock { path: PathBuf, python: String, platform: String, source: Box<UnfitLock> },
    #[error("cannot use `{distribution}`: it is not a wheel from an index, a URL or a file")]
    NotAWheel { distribution: String },
    #[error("cannot read the project `{}`", folder.display())]
    Project { folder: PathBuf, source: Cause },
    #[error("cannot read the metadata of the script `{}`", path.display())]
    Script { path: PathBuf, source: Cause },
    #[error("cannot read the lock `{}`", path.display())]
    ForeignLock { path: PathBuf, source: Cause },
    #[error("the lock `{}` does not match its project:\n{}", path.display(), differences.join("\n"))]
    LockDiffers { path: PathBuf, differences: Vec<String>, update: &'static str },
    #[error("cannot use `{file}`: its sha256 in the index is {found}, which the requirements do not allow")]
    OtherDigest { file: String, found: Digest },
}

impl Hints for PypiError {
    fn own_hints(&self) -> Vec<Hint> {
        let hint = match self {
            Self::Resolve { advice, .. } => return advice.hints.clone(),
            Self::Requirement { source, .. } | Self::Setup(source) => {
                return source.downcast_ref::<Message>().map(|message| message.hints.clone()).unwrap_or_default();
            }
            Self::FromSource { .. } => RequestHint::NameProject,
            Self::IndexUrl { .. } => RequestHint::PercentEncode,
            Self::OtherPython { name, other: Some(python), .. } => {
                RequestHint::OtherPython { name: name.clone(), python: python.to_string() }
            }
            Self::RequiresSource { .. } => RequestHint::PlainDependencies,
            Self::RequiresLocal { .. } => RequestHint::NameRequiredFile,
            Self::RequiresVariable { .. } => RequestHint::NameRequiredUrl,
            Self::LockDiffers { update, .. } => RequestHint::UpdateLock { command: (*update).to_owned() },
            Self::RequirementsFile { path } => RequestHint::RequirementsFile { path: path.clone() },
            _ => return Vec::new(),
        };
        vec![Hint::Request(hint)]
    }

    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Build(failure) => Some(failure.hints()),
            _ => None,
        }
    }
}

#[cfg(test)]
impl PypiError {
    /// Returns the error, its causes and its hints as one line.
    fn in_full(&self) -> String {
        let (Self::Resolve { source, .. } | Self::Requirement { source, .. }) = self else { panic!("{self:?}") };
        let mut said = self.to_string();
        let mut next: Option<&dyn std::error::Error> = Some(source.as_ref());
        while let Some(cause) = next {
            said.push_str(&format!("\n{cause}"));
            next = cause.source();
        }
        // Long lines were wrapped, so the line breaks are removed again.
        said.replace('\n', " ") + &self.hints().iter().map(|hint| format!(" hint: {hint}")).collect::<String>()
    }
}

/// Hints for a request that cannot be resolved.
#[derive(Debug, Default)]
pub(crate) struct Advice {
    pub(crate) hints: Vec<Hint>,
    /// Packages that have a source distribution, but no wheel that fits.
    pub(crate) without_wheels: Vec<String>,
}

/// An error of uv, with uv's message.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

/// A message with its causes, without credentials.
#[derive(Debug)]
pub(crate) struct Message {
    text: String,
    cause: Option<Box<Self>>,
    hints: Vec<Hint>,
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Message {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.cause.as_deref().map(|cause| cause as &(dyn std::error::Error + 'static))
    }
}

impl Message {
    /// Returns the first text as a message. Each text is the cause of the text before it.
    fn chained(texts: impl IntoIterator<Item = String, IntoIter: DoubleEndedIterator>) -> Self {
        let mut texts = texts.into_iter().rev();
        let last = Self { text: texts.next().unwrap_or_default(), cause: None, hints: Vec::new() };
        texts.fold(last, |cause, text| Self { text, cause: Some(Box::new(cause)), hints: Vec::new() })
    }
}

/// Returns hints for an error of uv. If the error is not a network error, there are none.
fn network_hints(error: &(dyn std::error::Error + 'static)) -> Vec<Hint> {
    let hints = BodyError::within(error).map(Hints::hints).unwrap_or_default();
    if hints.is_empty() && is_circle(error) { vec![Hint::Network(NetworkHint::RedirectLoop)] } else { hints }
}

/// Returns whether the cause of `error` is an endless chain of redirects.
fn is_circle(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(cause) = next {
        let wrapped = cause.downcast_ref::<WrappedReqwestError>().and_then(WrappedReqwestError::inner);
        if wrapped.or_else(|| cause.downcast_ref()).is_some_and(reqwest::Error::is_redirect) {
            return true;
        }
        next = cause.source();
    }
    false
}

/// Returns the messages of an error of uv and of its causes. Credentials in URLs are removed from the messages.
fn redacted(error: Cause) -> Cause {
    let mut texts = Vec::new();
    let mut next: Option<&dyn std::error::Error> = Some(error.as_ref());
    while let Some(one) = next {
        texts.push(explain::plain(&one.to_string()));
        next = one.source();
    }
    Box::new(Message { hints: network_hints(error.as_ref()), ..Message::chained(texts) })
}

impl Pypi {
    /// Resolves `request` for `system` to wheels and to sources that are built into wheels, sorted by name. `expected`
    /// are the wheels that the result will probably contain. Their pages and metadata are prefetched.
    pub(crate) fn resolve(
        &self,
        request: &PythonRequest,
        system: System<'_>,
        expected: &[Expected],
        sources: &dyn Sources,
    ) -> Result<Answer, PypiError> {
        let target = Target::new(system, request.version).map_err(PypiError::Setup)?;
        let resolved = with_queue(sources, |queue| {
            let asking = Asking { request, target: &target, expected };
            on_own_stack(|runtime| runtime.block_on(self.resolve_for(asking, queue)))
        });
        resolved.map_err(|error| PypiError::Setup(error.into()))?
    }

    /// Returns every index of `request`, including those that are named only in its requirements files or its project.
    pub(crate) fn indexes(&self, request: &PythonRequest) -> Result<AllIndexes, PypiError> {
        let read = async || {
            let base = self.base_client(&Refusals::default())?;
            let Question { request, locations, .. } = self.read(request, &base).await?;
            indexes::all(&locations, &request.indexes)
        };
        on_own_stack(|runtime| runtime.block_on(read()))
    }

    async fn resolve_for(&self, asking: Asking<'_>, queue: Sender<Job>) -> Result<Answer, PypiError> {
        let Asking { request, target, expected } = asking;
        let refusals = Refusals::default();
        let base = self.base_client(&refusals)?;
        let Question { request, specification, own, locations, cache, build_options, warnings } =
            self.read(request, &base).await?;
        let client = RegistryClientBuilder::new(base, cache.clone())
            .index_locations(locations.clone())
            .index_strategy(indexes::strategy(&request.indexes))
            .torch_backend(indexes::torch(&request.indexes)?)
            .markers(&target.markers)
            .build()
            .map_err(|error| PypiError::Setup(error.into()))?;
        indexes::authenticate(&client, &locations)?;
        let mut context = NoBuilds::new(cache, locations, build_options);
        context.dependency_metadata = own.dependency_metadata()?;
        let hashes = requirements::hashes(&specification, &own.hashes()?, target)?;
        let (credentials, failure) = (&*self.credentials, Mutex::default());

        let sources =
            SourceMetadata { client: &client, context: &context, credentials, hashes, target, queue, failure };
        let metadata = WheelMetadata::new(sources, &self.clients.bodies, target.python());
        let in_memory = InMemoryIndex::default();
        let resolve = Resolve { client: &client, context: &context, metadata, target, in_memory, expected };
        let wanted = match self.wanted(&specification, &own, &resolve).await? {
            Wants::Locked(mut answer) => {
                answer.warnings.extend(warnings);
                return Ok(*answer);
            }
            Wants::Resolved(wanted) => wanted,
        };
        let (requirements, limits) = wanted.limits(&specification)?;
        refuse_excluded(&request, &requirements, target)?;
        let hasher = resolve.metadata.sources.hashes.clone();
        let (outcome, hasher) = resolve.run(&request, limits, &requirements, hasher).await?;
        let output = match outcome {
            Ok(output) => output,
            Err(error) => {
                let refused = refusals.sentences(context.locations(), &self.credentials);
                return Err(resolve.failure(error, &request, &requirements, refused).await);
            }
        };
        let asked: Vec<String> = requirements.iter().map(|requirement| requirement.name.to_string()).collect();
        let mut answer = self.answer(&Resolution::from(output), &asked, &hasher, &resolve).await?;
        answer.warnings.extend(warnings);
        if let Some(project) = &own.project {
            project.check(&answer)?;
        }
        let search =
            Search { indexes: &request.indexes, locations: context.locations(), requirements: &requirements, target };
        answer.hints = self.newer(&search, &answer).await?;
        answer.warnings.extend(refusals.sentences(context.locations(), &self.credentials));
        Ok(answer)
    }

    /// Reads the files of a request: requirements, the project and its lock. No index is read.
    async fn read<'a>(
        &self,
        asked: &'a PythonRequest,
        base: &BaseClientBuilder<'_>,
    ) -> Result<Question<'a>, PypiError> {
        let Requirements { mut specification, allows_prereleases, build_options, warnings } =
            requirements::read(asked, &self.variables, base).await?;
        let cache = Cache::from_path(&self.cache_dir).init().await.map_err(|error| PypiError::Setup(error.into()))?;
        let mut request = asked.clone();
        let own = OwnInputs::read(asked, &cache).await?;
        let has_default = request.indexes.default_index.is_some();
        request.indexes.extra.extend(own.indexes(&self.variables, has_default));
        if let Some(project) = &own.project {
            request.preferred.extend(project.preferred());
            if project.is_for_all_indexes() && request.indexes.strategy == IndexStrategy::default() {
                request.indexes.strategy = IndexStrategy::UnsafeBestMatch;
            }
            specification.requirements.extend(project.unnamed()?);
        }
        if request.prereleases == Prereleases::IfNecessary && allows_prereleases {
            request.prereleases = Prereleases::Allow;
        }
        let locations = indexes::locations(&request.indexes, &specification, self.logins()).await?;
        Ok(Question { request, specification, own, locations, cache, build_options, warnings })
    }

    /// Returns all requirements of a request, or the distributions in the lock of the project.
    async fn wanted(
        &self,
        specification: &RequirementsSpecification,
        own: &OwnInputs<'_>,
        resolve: &Resolve<'_>,
    ) -> Result<Wants, PypiError> {
        let (build, client) = (resolve.context, resolve.client);
        let parts = project::Context { database: &resolve.database(), build, client };
        if let Some(project) = &own.project
            && let Some(locked) = project.locked(&parts, resolve.target, build.build_options()).await?
        {
            let hasher = HashStrategy::from_resolution(&locked.resolution, HashCheckingMode::Verify);
            // The files must have the digests in the lock.
            let hasher = hasher.map_err(|error| PypiError::Hashes(redacted(error.into())))?;
            let answer = self.answer(&locked.resolution, &locked.requested, &hasher, resolve).await?;
            return Ok(Wants::Locked(Box::new(answer)));
        }
        let mut wanted = own.wanted(&parts).await?;
        let mut requirements = requirements::named(specification, &resolve.metadata.sources).await?;
        requirements.append(&mut wanted.requirements);
        Ok(Wants::Resolved(Wanted { requirements, ..wanted }))
    }

    async fn answer(
        &self,
        resolution: &Resolution,
        asked: &[String],
        hasher: &HashStrategy,
        resolve: &Resolve<'_>,
    ) -> Result<Answer, PypiError> {
        let mut answer = wheels::answer(resolution, asked, hasher, &self.credentials)?;
        answer.sources = wheels::sources(resolution, asked, hasher, &resolve.metadata.sources).await?;
        Ok(answer)
    }

    fn logins(&self) -> indexes::Logins<'_> {
        let Self { variables, credentials, offline, .. } = self;
        indexes::Logins { variables, credentials, offline: *offline }
    }

    /// Returns a client. The client adds responses that report missing permission to `refusals`.
    fn base_client(&self, refusals: &Refusals) -> Result<BaseClientBuilder<'static>, PypiError> {
        let connectivity = if self.offline { Connectivity::Offline } else { Connectivity::Online };
        let preview = uv_preview::Preview::default();
        // Some code of uv reads this setting from a global variable, and panics if the variable is not set. Setting
        // the variable fails only if it was set before.
        let _ = uv_preview::set(preview);
        let client = self.clients.client(CONNECT_TIMEOUT, READ_TIMEOUT).map_err(PypiError::Setup)?;
        let builder =
            BaseClientBuilder::new(connectivity, true, Vec::new(), preview, READ_TIMEOUT, CONNECT_TIMEOUT, RETRIES);
        // Tests of retries do not wait between attempts.
        let builder = builder.no_retry_delay(cfg!(test)).custom_client(client);
        Ok(builder.extra_middleware(bounded::middleware(&self.clients.bodies, refusals)))
    }
}

/// Runs futures of uv on a thread with a large stack. These futures are large, and the stack of the main thread may be
/// too small.
fn on_own_stack<T: Send>(work: impl FnOnce(&Runtime) -> Result<T, PypiError> + Send) -> Result<T, PypiError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| PypiError::Setup(error.into()))?;
    std::thread::scope(|scope| {
        let work = std::thread::Builder::new()
            .name("resolve".to_owned())
            .stack_size(16 << 20)
            .spawn_scoped(scope, || work(&runtime))
            .map_err(|error| PypiError::Setup(error.into()))?;
        work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// The limits on the versions of distributions in a request. A limit applies to a distribution, no matter which other
/// distribution requires it.
#[derive(Default)]
struct Limits {
    constraints: Constraints,
    overrides: Overrides,
    excludes: Excludes,
}

/// A request, and the values that were read from its files.
struct Question<'a> {
    request: PythonRequest,
    specification: RequirementsSpecification,
    own: OwnInputs<'a>,
    locations: IndexLocations,
    cache: Cache,
    build_options: BuildOptions,
    /// Warnings about options that lath ignores in requirements files.
    warnings: Vec<String>,
}

/// The requirements of a request.
enum Wants {
    /// The distributions of a lock. They are not resolved.
    Locked(Box<Answer>),
    Resolved(Wanted),
}

impl Wanted {
    /// Returns the requirements and the limits. The limits in `specification` are among them.
    fn limits(self, specification: &RequirementsSpecification) -> Result<(Vec<Requirement>, Limits), PypiError> {
        let constraints = [requirements::constraints(specification), self.constraints].concat();
        let limits = Limits {
            constraints: Constraints::from_requirements(constraints.into_iter()),
            overrides: Overrides::from_entries(self.overrides).map_err(|error| PypiError::Setup(error.into()))?,
            excludes: self.excludes,
        };
        Ok((self.requirements, limits))
    }
}

/// The input of the resolver.
struct Asking<'a> {
    request: &'a PythonRequest,
    target: &'a Target,
    expected: &'a [Expected],
}

impl Limits {
    /// Returns everything that uv has to resolve.
    fn manifest(
        self,
        requirements: Vec<Requirement>,
        preferences: Preferences,
        lookaheads: Vec<RequestedRequirements>,
    ) -> Manifest {
        let Self { constraints, overrides, excludes } = self;
        let (members, exclusions) = (BTreeSet::new(), Exclusions::default());
        Manifest::new(
            requirements,
            constraints,
            overrides,
            excludes,
            preferences,
            None,
            members,
            exclusions,
            lookaheads,
        )
    }
}

/// Refuses a request if its markers exclude everything that the user typed, because the image would contain only
/// Python.
fn refuse_excluded(request: &PythonRequest, requirements: &[Requirement], target: &Target) -> Result<(), PypiError> {
    // Files and projects are not refused. An application may need nothing on this platform, and a file often has lines
    // for several platforms.
    let is_typed = request.requirement_files.is_empty() && request.project.is_none() && request.script.is_none();
    let applies = |requirement: &Requirement| requirement.evaluate_markers(Some(&target.markers), &[]);
    if is_typed && !requirements.is_empty() && !requirements.iter().any(applies) {
        return Err(PypiError::Excluded {
            what: what(request),
            python: request.version.to_string(),
            platform: target.shown(),
        });
    }
    Ok(())
}

/// The values that are needed to run uv's resolver once.
struct Resolve<'a> {
    client: &'a RegistryClient,
    context: &'a NoBuilds,
    metadata: WheelMetadata<'a>,
    target: &'a Target,
    in_memory: InMemoryIndex,
    expected: &'a [Expected],
}

impl<'a> Resolve<'a> {
    fn database(&self) -> DistributionDatabase<'a, NoBuilds> {
        let downloads = Arc::new(tokio::sync::Semaphore::new(REQUESTS));
        DistributionDatabase::new(self.client, self.context, downloads)
    }

    /// Explains why the request was not resolved. `refused` has one sentence for each server that refused a request.
    async fn failure(
        &self,
        error: ResolveError,
        request: &PythonRequest,
        requirements: &[Requirement],
        refused: Vec<String>,
    ) -> PypiError {
        let failure = self.metadata.sources.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(failure) = failure.filter(|_| !matches!(error, ResolveError::NoSolution(_))) {
            return PypiError::Build(failure);
        }
        let Self { client, context, target, metadata, .. } = self;
        let explanation = explain(&error, Asked { client, context, requirements, target, metadata, refused }).await;
        PypiError::Resolve {
            what: what(request),
            python: request.version.to_string(),
            platform: target.shown(),
            source: explanation.cause,
            advice: Box::new(explanation.advice),
        }
    }

    /// Runs the resolver. Also returns the hashes, because the URLs of wheels may have added further hashes.
    async fn run(
        &self,
        request: &PythonRequest,
        limits: Limits,
        requirements: &[Requirement],
        hasher: HashStrategy,
    ) -> Result<(Result<ResolverOutput, ResolveError>, HashStrategy), PypiError> {
        let target = self.target;
        let environment = ResolverEnvironment::specific(ResolverMarkerEnvironment::from(target.markers.clone()));
        let (lookaheads, hasher) = self.lookahead(requirements, &limits, hasher).await?;
        let flat = self.flat_index(&hasher).await?;
        let options = options(request, &self.context.build_options)?;
        let preferences = preferences(&request.preferred, &environment);
        let manifest = limits.manifest(requirements.to_vec(), preferences, lookaheads);
        let at_least = RequiresPython::greater_than_equal_version(&target.markers.python_full_version().version);
        let python = PythonRequirement::from_marker_environment(&target.markers, at_least.clone());
        let context = self.context;
        let provider = DefaultResolverProvider::new(
            self.database(),
            &flat,
            Some(&target.tags),
            &at_least,
            AllowedYanks::from_manifest(&manifest, &environment, options.dependency_mode),
            &hasher,
            options.exclude_newer.clone(),
            context.locations(),
            context.build_options(),
            context.capabilities(),
        );
        let (ahead, questions) = Ahead::new(&provider, &self.metadata, &target.installed, self.expected);
        let resolver = Resolver::new_custom_io(
            manifest,
            options,
            &hasher,
            environment,
            &target.markers,
            Some(target.tags.clone()),
            &python,
            Conflicts::empty(),
            &self.in_memory,
            context.git(),
            context.capabilities(),
            context.locations(),
            ahead,
            target.installed.clone(),
        );
        let outcome = {
            let (resolving, asking) =
                (std::pin::pin!(resolver.resolve()), std::pin::pin!(questions.ask(&provider, &self.metadata)));
            match futures::future::select(resolving, asking).await {
                Either::Left((outcome, _)) => outcome,
                Either::Right(((), resolving)) => resolving.await,
            }
        };
        drop(provider);
        Ok((outcome, hasher))
    }

    async fn flat_index(&self, hasher: &HashStrategy) -> Result<FlatIndex, PypiError> {
        let context = self.context;
        let client = FlatIndexClient::new(self.client.cached_client(), self.client.connectivity(), &context.cache);
        let entries = client
            .fetch_all(context.locations.flat_indexes().map(Index::url))
            .await
            .map_err(|error| PypiError::Setup(redacted(error.into())))?;
        Ok(FlatIndex::from_entries(entries, Some(&self.target.tags), hasher, &context.build_options))
    }
}

/// Returns the versions that the resolver prefers if they fit.
fn preferences(pins: &[Pin], environment: &ResolverEnvironment) -> Preferences {
    let pinned = |pin: &Pin| {
        let text = format!("{}=={}", pin.name, pin.version);
        let requirement = RequirementsTxtRequirement::Named(text.parse().ok()?);
        Preference::from_entry(RequirementEntry { requirement, hashes: Vec::new() }).ok().flatten()
    };
    Preferences::from_iter(pins.iter().filter_map(pinned), environment)
}

fn options(request: &PythonRequest, build_options: &BuildOptions) -> Result<Options, PypiError> {
    Ok(OptionsBuilder::new()
        .exclude_newer(indexes::exclude_newer(&request.indexes)?)
        .index_strategy(indexes::strategy(&request.indexes))
        .torch_backend(indexes::torch(&request.indexes)?)
        .prerelease(Prerelease { global: prereleases(request.prereleases), ..Prerelease::default() })
        .build_options(build_options.clone())
        .build())
}

fn prereleases(wanted: Prereleases) -> PrereleaseMode {
    match wanted {
        Prereleases::Disallow => PrereleaseMode::Disallow,
        Prereleases::Allow => PrereleaseMode::Allow,
        Prereleases::IfNecessary => PrereleaseMode::IfNecessary,
        Prereleases::Explicit => PrereleaseMode::Explicit,
    }
}

/// Returns the requirements of `request`, for an error.
fn what(request: &PythonRequest) -> String {
    let files = request.requirement_files.iter().chain(&request.script).map(|path| path.display().to_string());
    let all = request.requirements.iter().map(ToString::to_string).chain(files);
    all.map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", ")
}
