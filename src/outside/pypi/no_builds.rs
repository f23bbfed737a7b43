//! uv's build context. It contains settings, and refuses every build, because lath builds sources itself (`sources`).

use std::convert::Infallible;
use std::fmt;
use std::path::{Path, PathBuf};

use uv_cache::Cache;
use uv_configuration::{BuildKind, BuildOptions, BuildOutput, NoSources};
use uv_distribution_filename::DistFilename;
use uv_distribution_types::{
    CachedDist, ConfigSettings, DependencyMetadata, ExtraBuildRequires, ExtraBuildVariables, IndexCapabilities,
    IndexLocations, IsBuildBackendError, PackageConfigSettings, Requirement, SourceDist,
};
use uv_git::GitResolver;
use uv_python::{Interpreter, PythonEnvironment};
use uv_types::{
    AnyErrorBuild, BuildArena, BuildContext, BuildIsolation, BuildStack, ResolvedRequirements, SourceBuildTrait,
};
use uv_workspace::WorkspaceCache;

/// The error if uv requests a build.
#[derive(Debug)]
pub(crate) struct BuildRefused;

impl fmt::Display for BuildRefused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("uv builds nothing here")
    }
}

impl std::error::Error for BuildRefused {}
impl uv_errors::Hint for BuildRefused {}
impl IsBuildBackendError for BuildRefused {
    fn is_build_backend_error(&self) -> bool {
        false
    }
}

/// The type for the result of a build. It has no values, because nothing is built here.
#[derive(Debug)]
pub(crate) struct NeverBuilt(Infallible);

impl SourceBuildTrait for NeverBuilt {
    async fn metadata(&mut self) -> Result<Option<PathBuf>, AnyErrorBuild> {
        match self.0 {}
    }

    async fn wheel<'a>(&'a self, _wheel_dir: &'a Path) -> Result<String, AnyErrorBuild> {
        match self.0 {}
    }
}

pub(crate) struct NoBuilds {
    pub(crate) cache: Cache,
    pub(crate) locations: IndexLocations,
    pub(crate) build_options: BuildOptions,
    arena: BuildArena<NeverBuilt>,
    capabilities: IndexCapabilities,
    config: ConfigSettings,
    config_by_package: PackageConfigSettings,
    pub(crate) dependency_metadata: DependencyMetadata,
    extra_requires: ExtraBuildRequires,
    extra_variables: ExtraBuildVariables,
    git: GitResolver,
    sources: NoSources,
    workspaces: WorkspaceCache,
}

impl NoBuilds {
    pub(crate) fn new(cache: Cache, locations: IndexLocations, build_options: BuildOptions) -> Self {
        Self {
            cache,
            locations,
            build_options,
            arena: BuildArena::default(),
            capabilities: IndexCapabilities::default(),
            config: ConfigSettings::default(),
            config_by_package: PackageConfigSettings::default(),
            dependency_metadata: DependencyMetadata::default(),
            extra_requires: ExtraBuildRequires::default(),
            extra_variables: ExtraBuildVariables::default(),
            git: GitResolver::default(),
            sources: NoSources::default(),
            workspaces: WorkspaceCache::default(),
        }
    }
}

#[expect(refining_impl_trait, reason = "nothing outside this crate sees the type")]
impl BuildContext for NoBuilds {
    type SourceDistBuilder = NeverBuilt;

    /// uv needs the interpreter only to set up a build, and lath never builds with uv.
    async fn interpreter(&self) -> &Interpreter {
        unreachable!("uv needs an interpreter only for its own builds, and it has none")
    }

    fn cache(&self) -> &Cache {
        &self.cache
    }

    fn git(&self) -> &GitResolver {
        &self.git
    }

    fn build_arena(&self) -> &BuildArena<NeverBuilt> {
        &self.arena
    }

    fn capabilities(&self) -> &IndexCapabilities {
        &self.capabilities
    }

    fn dependency_metadata(&self) -> &DependencyMetadata {
        &self.dependency_metadata
    }

    fn build_options(&self) -> &BuildOptions {
        &self.build_options
    }

    fn build_isolation(&self) -> BuildIsolation<'_> {
        BuildIsolation::Isolated
    }

    fn config_settings(&self) -> &ConfigSettings {
        &self.config
    }

    fn config_settings_package(&self) -> &PackageConfigSettings {
        &self.config_by_package
    }

    fn sources(&self) -> &NoSources {
        &self.sources
    }

    fn locations(&self) -> &IndexLocations {
        &self.locations
    }

    fn workspace_cache(&self) -> &WorkspaceCache {
        &self.workspaces
    }

    fn extra_build_requires(&self) -> &ExtraBuildRequires {
        &self.extra_requires
    }

    fn extra_build_variables(&self) -> &ExtraBuildVariables {
        &self.extra_variables
    }

    async fn resolve<'a>(
        &'a self,
        _requirements: &'a [Requirement],
        _build_stack: &'a BuildStack,
    ) -> Result<ResolvedRequirements, BuildRefused> {
        Err(BuildRefused)
    }

    async fn install<'a>(
        &'a self,
        _requirements: &'a ResolvedRequirements,
        _venv: &'a PythonEnvironment,
        _build_stack: &'a BuildStack,
    ) -> Result<Vec<CachedDist>, BuildRefused> {
        Err(BuildRefused)
    }

    async fn setup_build<'a>(
        &'a self,
        _source: &'a Path,
        _subdirectory: Option<&'a Path>,
        _install_path: &'a Path,
        _stop_discovery_at: Option<&'a Path>,
        _version_id: Option<&'a str>,
        _dist: Option<&'a SourceDist>,
        _sources: &'a NoSources,
        _build_kind: BuildKind,
        _build_output: BuildOutput,
        _build_stack: BuildStack,
    ) -> Result<NeverBuilt, BuildRefused> {
        Err(BuildRefused)
    }

    async fn direct_build<'a>(
        &'a self,
        _source: &'a Path,
        _subdirectory: Option<&'a Path>,
        _output_dir: &'a Path,
        _sources: NoSources,
        _build_kind: BuildKind,
        _version_id: Option<&'a str>,
    ) -> Result<Option<DistFilename>, BuildRefused> {
        Err(BuildRefused)
    }
}
