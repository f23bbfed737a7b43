//! Reads the metadata of sources. The metadata comes from files of the source if these contain all of it, and otherwise
//! from a build.
//!
//! lath itself fetches sources and builds them, so uv's code for this is never used.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, PoisonError};

use futures::channel::oneshot;
use thiserror::Error;
use uv_cache::{Cache, CacheBucket};
use uv_client::RegistryClient;
use uv_configuration::NoSources;
use uv_distribution::{ArchiveMetadata, Metadata};
use uv_distribution_filename::WheelFilename;
use uv_distribution_types::{DistributionMetadata, IsBuildBackendError, Name as _, SourceDist};
use uv_git::{GIT, GitHttpSettings, GitResolver};
use uv_git_types::GitUrl;
use uv_normalize::PackageName;
use uv_pep440::Version;
use uv_pypi_types::{MetadataError, PyProjectToml, ResolutionMetadata};
use uv_redacted::DisplaySafeUrl;
use uv_resolver::{MetadataResponse, WheelMetadataResult};
use uv_types::{BuildContext as _, HashStrategy};

use crate::model::allowed_hashes::AllowedHashes;
use crate::model::digest::Digest;
use crate::model::hint::{Hint, Hints, RequestHint};
use crate::model::platform::PythonVersion;
use crate::model::secret_text::{public, without_credentials};
use crate::model::source::{Source, SourcePlace};
use crate::outside::credentials::Credentials;
use crate::outside::pypi::hashes::{self, sha256s};
use crate::outside::pypi::no_builds::NoBuilds;
use crate::outside::pypi::other_python::python_with_wheels;
use crate::outside::pypi::source_queue::{Job, SourceFailure, SourceTexts, Task};
use crate::outside::pypi::target::Target;
use crate::outside::pypi::{Cause, redacted};

#[derive(Debug, Error)]
pub(crate) enum SourceError {
    #[error("cannot fetch the repository `{url}`: this machine has no `git`")]
    NoGit { url: String },
    #[error("cannot fetch the repository `{url}`")]
    Git { url: String, source: Cause },
    #[error("cannot read `{file}` of {source_shown}")]
    Unreadable { file: &'static str, source_shown: String, source: Cause },
    #[error("cannot use {source_shown}: its metadata has the name `{found}`")]
    OtherName { source_shown: String, found: String },
    #[error("cannot use {source_shown}: its metadata has the version `{found}`")]
    OtherVersion { source_shown: String, found: String },
    #[error("cannot use `{distribution}`: it is neither a project nor a source distribution")]
    Unsupported { distribution: String },
    #[error(
        "cannot use the source of {source_shown}: its sha256 in the index is {found}, which the requirements do not allow"
    )]
    OtherDigest { source_shown: String, found: Digest },
    #[error("cannot read the source of {source_shown}: this process cannot start another thread")]
    Thread { source_shown: String },
}

impl Hints for SourceError {
    fn own_hints(&self) -> Vec<Hint> {
        match self {
            Self::NoGit { .. } => vec![Hint::Request(RequestHint::InstallGit)],
            _ => Vec::new(),
        }
    }
}

/// The error for uv if a source cannot be used. lath reports the failure itself.
#[derive(Debug)]
struct Failed(String);

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failed {}
impl uv_errors::Hint for Failed {}
impl IsBuildBackendError for Failed {
    fn is_build_backend_error(&self) -> bool {
        true
    }
}

/// Reads the metadata of sources.
pub(super) struct SourceMetadata<'a> {
    pub(super) client: &'a RegistryClient,
    pub(super) context: &'a NoBuilds,
    pub(super) credentials: &'a Credentials,
    pub(super) hashes: HashStrategy,
    pub(super) target: &'a Target,
    pub(super) queue: Sender<Job>,
    /// The first failure. The failure is kept here, because uv keeps only the text of a failure.
    pub(super) failure: Mutex<Option<SourceFailure>>,
}

/// A source, and the values that are needed to find its metadata.
struct Located {
    source: Source,
    /// The folder at which relative paths in `[tool.uv.sources]` begin.
    folder: Option<PathBuf>,
    version: Option<Version>,
}

impl SourceMetadata<'_> {
    /// Returns the metadata in the form that the resolver needs.
    pub(super) async fn answer(&self, dist: &SourceDist) -> WheelMetadataResult {
        match Box::pin(self.of(dist)).await {
            Ok(metadata) => Ok(MetadataResponse::Found(metadata)),
            Err(failure) => {
                let shown = failure.to_string();
                self.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(failure);
                Err(uv_distribution::Error::Build(Failed(shown).into()))
            }
        }
    }

    /// Returns the metadata of `dist`, after a check of its name and version.
    pub(super) async fn of(&self, dist: &SourceDist) -> Result<ArchiveMetadata, SourceFailure> {
        let located = self.located(dist).await?;
        let of_user = self.context.dependency_metadata().get(dist.name(), dist.version());
        let metadata = match of_user {
            Some(metadata) => metadata,
            None => self.checked(&located).await?,
        };
        self.lowered(metadata, located.folder.as_deref(), &located.source).await
    }

    /// Returns the name of a source for which the user gave only a URL or path. The name in `dist` is ignored.
    pub(super) async fn name_of(&self, dist: &SourceDist) -> Result<PackageName, SourceFailure> {
        let mut located = self.located(dist).await?;
        located.source.name = None;
        Ok(self.checked(&located).await?.name)
    }

    /// Returns the source of a resolved distribution. The source includes the digests that the requirements allow.
    pub(super) async fn chosen(&self, dist: &SourceDist, hashes: &HashStrategy) -> Result<Source, SourceFailure> {
        let allowed = allowed(dist, hashes)?;
        Ok(Source { allowed, ..self.located(dist).await?.source })
    }

    async fn located(&self, dist: &SourceDist) -> Result<Located, SourceFailure> {
        let name = Some(dist.name().to_string());
        let version = dist.version().cloned();
        let allowed = allowed(dist, &self.hashes)?;
        let place = match dist {
            SourceDist::GitDirectory(git) => self.checkout(&git.git).await?,
            other => place_of(other, self.credentials)?,
        };
        let folder = match (&place, dist) {
            (SourcePlace::Folder(folder), _) => Some(folder.clone()),
            (SourcePlace::Commit { checkout, .. }, SourceDist::GitDirectory(git)) => {
                Some(git.subdirectory.as_deref().map_or_else(|| checkout.clone(), |inside| checkout.join(inside)))
            }
            _ => None,
        };
        let subdirectory = subdirectory_of(dist);
        let version_shown = version.as_ref().map(ToString::to_string);
        let other_python = self.other_python(dist);
        let source = Source { name, version: version_shown, place, subdirectory, allowed, other_python };
        Ok(Located { source, folder, version })
    }

    /// Returns a Python for which the index has wheels of this version.
    fn other_python(&self, dist: &SourceDist) -> Option<PythonVersion> {
        let SourceDist::Registry(dist) = dist else { return None };
        let wheels: Vec<&WheelFilename> = dist.wheels.iter().map(|wheel| &wheel.filename).collect();
        // A wheel may fit although a source was chosen, because the user may have forbidden wheels. In this case,
        // another Python does not help.
        let is_usable = wheels.iter().any(|wheel| wheel.is_compatible(&self.target.tags));
        if is_usable { None } else { python_with_wheels(&wheels, self.target.markers.platform_machine()) }
    }

    /// Fetches a repository with the host's git.
    async fn checkout(&self, git: &GitUrl) -> Result<SourcePlace, SourceError> {
        checkout(git, self.context.git(), self.context.cache(), self.client.connectivity().is_offline()).await
    }

    /// Returns the metadata of a source, after the check of its name and version.
    async fn checked(&self, located: &Located) -> Result<ResolutionMetadata, SourceFailure> {
        let source = &located.source;
        let (reply, texts) = oneshot::channel();
        let texts = self.reply(source, Task::Texts(reply), texts).await?;
        if let Some(metadata) = from_texts(&texts, source, located.version.as_ref())? {
            return Ok(metadata);
        }
        let (reply, text) = oneshot::channel();
        let text = self.reply(source, Task::Metadata(reply), text).await?;
        let metadata = ResolutionMetadata::parse_metadata(text.as_bytes())
            .map_err(|error| unreadable("METADATA", source, error))?;
        check(&metadata, source, located.version.as_ref())?;
        Ok(metadata)
    }

    async fn reply<T>(
        &self,
        source: &Source,
        task: Task,
        reply: oneshot::Receiver<Result<T, SourceFailure>>,
    ) -> Result<T, SourceFailure> {
        // If the queue has ended, the job and its reply channel are dropped. In that case, the wait for the reply
        // fails.
        let _ = self.queue.send(Job { source: source.clone(), task });
        reply.await.map_err(|_| SourceError::Thread { source_shown: source.shown() })?
    }

    /// Applies `[tool.uv.sources]` of the project in `folder` to its requirements.
    async fn lowered(
        &self,
        metadata: ResolutionMetadata,
        folder: Option<&Path>,
        source: &Source,
    ) -> Result<ArchiveMetadata, SourceFailure> {
        let Some(folder) = folder else { return Ok(ArchiveMetadata::from_metadata23(metadata)) };
        let context = self.context;
        let lowered = Metadata::from_workspace(
            metadata,
            folder,
            None,
            context.locations(),
            NoSources::None,
            false,
            context.cache(),
            context.workspace_cache(),
            self.client.credentials_cache(),
        );
        let lowered = Box::pin(lowered).await.map_err(|error| SourceError::Unreadable {
            file: "pyproject.toml",
            source_shown: source.shown(),
            source: redacted(error.into()),
        })?;
        Ok(ArchiveMetadata::from(lowered))
    }
}

/// Fetches a repository.
pub(super) async fn checkout(
    git: &GitUrl,
    resolver: &GitResolver,
    cache: &Cache,
    is_offline: bool,
) -> Result<SourcePlace, SourceError> {
    let url = String::from(without_credentials(&url::Url::from(git.url().clone())));
    if GIT.is_err() {
        return Err(SourceError::NoGit { url });
    }
    let settings = GitHttpSettings::default().with_offline(is_offline);
    let fetched = resolver.fetch(git, settings, cache.bucket(CacheBucket::Git), None).await;
    let fetched = fetched.map_err(|error| SourceError::Git { url: url.clone(), source: redacted(error.into()) })?;
    let commit = fetched.git().precise().map(|commit| commit.to_string()).unwrap_or_default();
    Ok(SourcePlace::Commit { checkout: fetched.path().to_owned(), url, commit })
}

/// Returns the hashes that the archive of `dist` may have.
fn allowed(dist: &SourceDist, hashes: &HashStrategy) -> Result<AllowedHashes, SourceError> {
    let wanted = hashes::allowed(hashes.get(dist).digests());
    let SourceDist::Registry(registry) = dist else { return Ok(wanted) };
    match sha256s(registry.file.hashes.as_slice()).next() {
        Some(found) if !wanted.allows_sha256(&found) => {
            Err(SourceError::OtherDigest { source_shown: dist.version_or_url().to_string(), found })
        }
        Some(found) => Ok(AllowedHashes { sha256s: vec![found], ..wanted }),
        None => Ok(wanted),
    }
}

/// Returns the URL or path of a source that is not in a repository.
fn place_of(dist: &SourceDist, credentials: &Credentials) -> Result<SourcePlace, SourceError> {
    let unsupported = || SourceError::Unsupported { distribution: public(&dist.to_string()) };
    let on_server = |url: &DisplaySafeUrl, is_indexed: bool| {
        credentials.remember(url.as_str());
        let mut url = url::Url::from(url.clone());
        url.set_fragment(None);
        let file_name = url.path_segments().and_then(Iterator::last).unwrap_or_default().to_owned();
        SourcePlace::Url { url: without_credentials(&url).into(), file_name, is_indexed }
    };
    match dist {
        SourceDist::Registry(registry) => {
            let url = registry.file.url.to_url().map_err(|_| unsupported())?;
            if url.scheme() != "file" {
                return Ok(on_server(&url, true));
            }
            // An index on a server must not refer to a file on this machine.
            let is_local = registry.index.url().scheme() == "file";
            let path = url::Url::from(url).to_file_path().ok().filter(|_| is_local);
            path.map(SourcePlace::Path).ok_or_else(unsupported)
        }
        SourceDist::DirectUrl(direct) => Ok(on_server(&direct.location, false)),
        SourceDist::Path(path) => Ok(SourcePlace::Path(path.install_path.to_path_buf())),
        SourceDist::Directory(directory) => Ok(SourcePlace::Folder(directory.install_path.to_path_buf())),
        SourceDist::GitDirectory(_) | SourceDist::GitPath(_) => Err(unsupported()),
    }
}

fn subdirectory_of(dist: &SourceDist) -> Option<String> {
    let path = match dist {
        SourceDist::DirectUrl(direct) => direct.subdirectory.as_deref(),
        SourceDist::GitDirectory(git) => git.subdirectory.as_deref(),
        _ => None,
    };
    path.map(|path| path.to_string_lossy().into_owned())
}

/// Returns the metadata that the files of a source contain. Returns `None` if a build is necessary to find it.
fn from_texts(
    texts: &SourceTexts,
    source: &Source,
    version: Option<&Version>,
) -> Result<Option<ResolutionMetadata>, SourceError> {
    if let Some(text) = &texts.pyproject {
        let pyproject = PyProjectToml::from_toml(text, "pyproject.toml");
        let pyproject = pyproject.map_err(|error| unreadable("pyproject.toml", source, error))?;
        match ResolutionMetadata::parse_pyproject_toml(pyproject, version) {
            Ok(metadata) if check(&metadata, source, version).is_ok() => return Ok(Some(metadata)),
            // The name or the version is not the expected one, so this metadata is not used. Later, PKG-INFO or a build
            // provides the metadata. If that metadata has a wrong name or version too, the source is refused.
            Ok(_) => {}
            Err(
                MetadataError::Pep508Error(_)
                | MetadataError::DynamicField(_)
                | MetadataError::FieldNotFound(_)
                | MetadataError::PoetrySyntax,
            ) => {}
            Err(error) => return Err(unreadable("pyproject.toml", source, error)),
        }
    }
    // PKG-INFO is reliable only since metadata version 2.2. Only its static fields are reliable (PEP 643).
    let Some(text) = &texts.pkg_info else { return Ok(None) };
    let metadata = ResolutionMetadata::parse_pkg_info(text.as_bytes()).ok();
    Ok(metadata.filter(|metadata| check(metadata, source, version).is_ok()))
}

/// Refuses metadata if its name or version is not the expected one.
fn check(metadata: &ResolutionMetadata, source: &Source, version: Option<&Version>) -> Result<(), SourceError> {
    if source.name.as_ref().is_some_and(|name| *name != metadata.name.to_string()) {
        return Err(SourceError::OtherName { source_shown: source.shown(), found: metadata.name.to_string() });
    }
    // The version in the index may lack the local part.
    let is_same = |wanted: &Version| *wanted == metadata.version || *wanted == metadata.version.clone().without_local();
    if version.is_some_and(|version| !is_same(version)) {
        return Err(SourceError::OtherVersion { source_shown: source.shown(), found: metadata.version.to_string() });
    }
    Ok(())
}

/// Returns whether two versions are equal according to PEP 440. The local part of `found` is compared only if `wanted`
/// has one.
pub(crate) fn is_same_version(wanted: &str, found: &str) -> bool {
    match (wanted.parse::<Version>(), found.parse::<Version>()) {
        (Ok(wanted), Ok(found)) => wanted == found || wanted == found.without_local(),
        _ => false,
    }
}

fn unreadable(file: &'static str, source: &Source, error: MetadataError) -> SourceError {
    SourceError::Unreadable { file, source_shown: source.shown(), source: redacted(error.into()) }
}

#[cfg(test)]
mod tests {
    use testkit::WheelBuilder;

    use super::*;
    use crate::model::lock::LockedWheel;
    use crate::model::request::{BuildsRequest, Indexes, PythonRequest, Request};
    use crate::outside::pypi::source_queue::Sources;
    use crate::outside::pypi::{Answer, Pypi, PypiError, System};

    /// Sources whose metadata the test defines. `Err` is the reason why a build fails.
    struct Known {
        texts: SourceTexts,
        built: Result<&'static str, &'static str>,
    }

    #[derive(Debug, Error)]
    #[error("{0}")]
    struct Broken(&'static str);

    impl Hints for Broken {
        fn own_hints(&self) -> Vec<Hint> {
            vec![Hint::Request(RequestHint::NameProject)]
        }
    }

    impl Sources for Known {
        fn texts(&self, _: &Source) -> Result<SourceTexts, SourceFailure> {
            Ok(self.texts.clone())
        }

        fn metadata(&self, _: &Source) -> Result<String, SourceFailure> {
            Ok(self.built.map(str::to_owned).map_err(Broken)?)
        }

        fn wheel(&self, source: &Source) -> Result<LockedWheel, SourceFailure> {
            panic!("{source:?}")
        }
    }

    /// Returns an index with a wheel of an old version of `tool`, and a source of a new version.
    fn index() -> testkit::pypi::PyPiServer {
        let (old, other) = (WheelBuilder::new("tool", "1.0"), WheelBuilder::new("other", "1.0"));
        testkit::PyPi::new().built(&old).built(&other).sdist("tool-2.0.tar.gz", b"source").serve()
    }

    /// Resolves `tool` with `builds`. Returns the chosen wheels and sources.
    fn resolved(builds: BuildsRequest, sources: &Known) -> Result<String, PypiError> {
        let (index, home) = (index(), tempfile::tempdir().unwrap());
        let pypi = Pypi {
            variables: Default::default(),
            cache_dir: home.path().to_owned(),
            offline: false,
            credentials: Default::default(),
            clients: Default::default(),
        };
        let indexes = Indexes { default_index: Some(index.url().as_str().into()), ..Indexes::default() };
        let python = Request::example().python;
        let request = PythonRequest { requirements: vec!["tool".into()], indexes, builds, ..python };
        let Answer { wheels, sources, .. } = pypi.resolve(&request, System::example(), &[], sources)?;
        let wheels = wheels.iter().map(|wheel| format!("{} {}", wheel.name, wheel.version));
        let sources = sources.iter().map(|chosen| {
            assert_eq!(chosen.source.allowed.sha256s, [Digest::of(b"source")]);
            format!("{} from source", chosen.source.shown())
        });
        Ok(wheels.chain(sources).collect::<Vec<_>>().join(", "))
    }

    const NEW: &str = "Metadata-Version: 2.2\nName: tool\nVersion: 2.0\nRequires-Dist: other\n";

    #[test]
    fn a_newer_source_is_chosen_with_its_metadata_from_its_own_files_or_from_a_build() {
        let published = SourceTexts { pkg_info: Some(NEW.to_owned()), ..SourceTexts::default() };
        let project = "[project]\nname = 'tool'\nversion = '2.0'\ndependencies = ['other']";
        let project = SourceTexts { pyproject: Some(project.to_owned()), ..SourceTexts::default() };
        for texts in [published, project] {
            let known = Known { texts, built: Err("must not be built") };
            assert_eq!(resolved(BuildsRequest::default(), &known).unwrap(), "other 1.0, tool 2.0 from source");
        }
        // If PKG-INFO is older than version 2.2 or has dynamic fields, a build is necessary.
        let old = NEW.replace("2.2", "2.1").replace("other", "wrong");
        let dynamic = "[project]\nname = 'tool'\ndynamic = ['version', 'dependencies']";
        let texts = SourceTexts { pyproject: Some(dynamic.to_owned()), pkg_info: Some(old) };
        let known = Known { texts, built: Ok(NEW) };
        assert_eq!(resolved(BuildsRequest::default(), &known).unwrap(), "other 1.0, tool 2.0 from source");
    }

    #[test]
    fn the_request_decides_which_distributions_are_built() {
        let known = |metadata| Known { texts: SourceTexts::default(), built: Ok(metadata) };
        let tool = || vec!["tool".to_owned()];
        let no_build = BuildsRequest { no_build: true, ..BuildsRequest::default() };
        assert_eq!(resolved(no_build.clone(), &known("")).unwrap(), "tool 1.0");
        let not_this = BuildsRequest { no_build_packages: tool(), ..BuildsRequest::default() };
        assert_eq!(resolved(not_this, &known("")).unwrap(), "tool 1.0");
        let only_this = BuildsRequest { no_binary_packages: tool(), ..no_build };
        assert_eq!(resolved(only_this, &known(NEW)).unwrap(), "other 1.0, tool 2.0 from source");
    }

    #[test]
    fn a_failed_build_is_reported_with_its_hints_and_so_is_other_metadata() {
        let known = |built| Known { texts: SourceTexts::default(), built };
        let error = resolved(BuildsRequest::default(), &known(Err("broken"))).unwrap_err();
        let hint = Hint::Request(RequestHint::NameProject);
        assert_eq!((error.to_string().as_str(), error.hints()), ("broken", vec![hint]));
        let told = |text| resolved(BuildsRequest::default(), &known(Ok(text))).unwrap_err().to_string();
        let name = told("Metadata-Version: 2.1\nName: evil\nVersion: 2.0\n");
        assert_eq!(name, "cannot use tool 2.0: its metadata has the name `evil`");
        let version = told("Metadata-Version: 2.1\nName: tool\nVersion: 3.0\n");
        assert_eq!(version, "cannot use tool 2.0: its metadata has the version `3.0`");
    }

    #[test]
    fn versions_are_the_same_in_any_spelling() {
        for (wanted, found) in [("1.0", "1"), ("1.0", "1.0+local"), ("2.0rc1", "2.0.rc.1"), ("1+a", "1+a")] {
            assert!(is_same_version(wanted, found), "{wanted} {found}");
        }
        for (wanted, found) in [("1.0", "1.1"), ("1.0+a", "1.0"), ("x", "x")] {
            assert!(!is_same_version(wanted, found), "{wanted} {found}");
        }
    }
}
