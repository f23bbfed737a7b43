//! The Python half's door: all of uv's crates live behind it, and no Python is needed on the host.
//!
//! Knows uv. Hands out only our own nouns: which wheels a request comes to on one platform.

mod no_builds;
mod target;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use uv_cache::Cache;
use uv_client::{BaseClientBuilder, Connectivity, FlatIndexClient, RegistryClient, RegistryClientBuilder};
use uv_configuration::{BuildOptions, Constraints, NoBinary, NoBuild};
use uv_distribution::DistributionDatabase;
use uv_distribution_types::{
    BuiltDist, Dist, ExcludeNewerValue, Index, IndexLocations, IndexUrl, Name, RequiresPython, Resolution,
    ResolvedDist, UnresolvedRequirement,
};
use uv_errors::Hint;
use uv_pypi_types::{Conflicts, HashAlgorithm, ResolverMarkerEnvironment};
use uv_requirements::{RequirementsSource, RequirementsSpecification};
use uv_resolver::{
    ExcludeNewer, FlatIndex, InMemoryIndex, Manifest, OptionsBuilder, PythonRequirement, ResolveError, Resolver,
    ResolverEnvironment,
};
use uv_types::{EmptyInstalledPackages, HashStrategy};

use crate::model::digest::Digest;
use crate::model::lock::LockedWheel;
use crate::model::platform::Platform;
use crate::model::request::{Indexes, PythonRequest};
use crate::outside::pypi::no_builds::NoBuilds;
use crate::outside::pypi::target::Target;

/// Everything the door needs to know of the world.
#[derive(Debug, Clone)]
pub(crate) struct Pypi {
    /// Where uv keeps index pages and metadata.
    pub(crate) cache_dir: PathBuf,
    pub(crate) offline: bool,
}

#[derive(Debug, Error)]
pub(crate) enum PypiError {
    #[error("cannot read the requirement `{requirement}`")]
    Requirement { requirement: String, source: Cause },
    #[error("cannot use the index `{index}`")]
    Index { index: String, source: Cause },
    #[error("cannot read `{date}` as a date for `--exclude-newer`")]
    ExcludeNewer { date: String, source: Cause },
    #[error("cannot set up the Python resolver")]
    Setup(#[source] Cause),
    #[error("cannot resolve {what} for python {python} on {platform}")]
    Resolve { what: String, python: String, platform: String, source: Cause, hints: Vec<String> },
    #[error("cannot use `{distribution}`: it is no wheel of an index or a URL")]
    NotAWheel { distribution: String },
    #[error("cannot lock `{file}`: the index tells no sha256 of it")]
    NoDigest { file: String },
}

/// What uv said, in its own words.
pub(crate) type Cause = Box<dyn std::error::Error + Send + Sync>;

impl Pypi {
    /// Resolves `request` for `platform` to wheels alone, sorted by name. The interpreter's exact version is
    /// `full_version` (`3.13.5`), as the base has it.
    pub(crate) fn resolve(
        &self,
        request: &PythonRequest,
        full_version: &str,
        platform: Platform,
        glibc: (u16, u16),
    ) -> Result<Vec<LockedWheel>, PypiError> {
        let target = Target::new(full_version, request.version, platform, glibc).map_err(PypiError::Setup)?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| PypiError::Setup(error.into()))?;
        // uv's futures are large; a thread with a stack of its own keeps them off the main one, which may be small.
        std::thread::scope(|scope| {
            let work = std::thread::Builder::new()
                .name("resolve".to_owned())
                .stack_size(16 << 20)
                .spawn_scoped(scope, || runtime.block_on(self.resolve_for(request, &target)))
                .map_err(|error| PypiError::Setup(error.into()))?;
            work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    async fn resolve_for(&self, request: &PythonRequest, target: &Target) -> Result<Vec<LockedWheel>, PypiError> {
        let connectivity = if self.offline { Connectivity::Offline } else { Connectivity::Online };
        let base = BaseClientBuilder::new(
            connectivity,
            true,
            Vec::new(),
            uv_preview::Preview::default(),
            Duration::from_secs(30),
            Duration::from_secs(10),
            3,
        );
        let specification = read_requirements(request, &base).await?;
        let locations = locations(&request.indexes, &specification)?;
        let cache = Cache::from_path(&self.cache_dir).init().await.map_err(|error| PypiError::Setup(error.into()))?;
        let client = RegistryClientBuilder::new(base.clone(), cache.clone())
            .index_locations(locations.clone())
            .markers(&target.markers)
            .build()
            .map_err(|error| PypiError::Setup(error.into()))?;
        let requirements = named(&specification)?;
        let constraints = Constraints::from_requirements(
            specification.constraints.iter().map(|constraint| constraint.requirement.clone()),
        );
        let hasher = hash_strategy(&specification, target)?;
        let context = NoBuilds::new(cache, locations);
        let flat = flat_index(&client, &context, target, &hasher).await?;
        let options = OptionsBuilder::new()
            .exclude_newer(exclude_newer(&request.indexes)?)
            .build_options(BuildOptions::new(NoBinary::None, NoBuild::All))
            .build();
        let python = PythonRequirement::from_marker_environment(
            &target.markers,
            RequiresPython::greater_than_equal_version(&target.markers.python_full_version().version),
        );
        let in_memory = InMemoryIndex::default();
        let downloads = Arc::new(tokio::sync::Semaphore::new(50));
        let resolver = Resolver::new(
            Manifest::simple(requirements.clone()).with_constraints(constraints),
            options,
            &python,
            ResolverEnvironment::specific(ResolverMarkerEnvironment::from(target.markers.clone())),
            &target.markers,
            Conflicts::empty(),
            Some(&target.tags),
            &flat,
            &in_memory,
            &hasher,
            &context,
            EmptyInstalledPackages,
            DistributionDatabase::new(&client, &context, downloads),
        );
        let failed = |error: ResolveError| resolve_failed(error, request, target);
        let output = resolver.map_err(failed)?.resolve().await.map_err(failed)?;
        let asked: Vec<String> = requirements.iter().map(|requirement| requirement.name.to_string()).collect();
        locked_wheels(&Resolution::from(output), &asked)
    }
}

fn resolve_failed(error: ResolveError, request: &PythonRequest, target: &Target) -> PypiError {
    let hints = error.hints().into_iter().map(|hint| hint.to_string()).collect();
    let what = match request.requirements.as_slice() {
        [] => "the requirements".to_owned(),
        several => several.iter().map(|one| format!("`{one}`")).collect::<Vec<_>>().join(", "),
    };
    PypiError::Resolve {
        what,
        python: request.version.to_string(),
        platform: target.platform.to_string(),
        source: Box::new(error),
        hints,
    }
}

async fn read_requirements(
    request: &PythonRequest,
    base: &BaseClientBuilder<'_>,
) -> Result<RequirementsSpecification, PypiError> {
    let mut sources = Vec::new();
    for requirement in &request.requirements {
        let source = RequirementsSource::from_package(requirement)
            .map_err(|error| PypiError::Requirement { requirement: requirement.clone(), source: error.into() })?;
        sources.push(source);
    }
    let unreadable =
        |path: &Path, error: Cause| PypiError::Requirement { requirement: path.display().to_string(), source: error };
    for path in &request.requirement_files {
        let source = RequirementsSource::from_requirements_txt(path.clone());
        sources.push(source.map_err(|error| unreadable(path, error.into()))?);
    }
    let mut constraints = Vec::new();
    for path in &request.constraint_files {
        let source = RequirementsSource::from_constraints_txt(path.clone());
        constraints.push(source.map_err(|error| unreadable(path, error.into()))?);
    }
    RequirementsSpecification::from_sources(&sources, &constraints, &[], &[], None, base).await.map_err(|error| {
        let requirement = request.requirements.join(" ");
        PypiError::Requirement { requirement, source: error.into() }
    })
}

fn named(specification: &RequirementsSpecification) -> Result<Vec<uv_distribution_types::Requirement>, PypiError> {
    let mut requirements = Vec::new();
    for entry in &specification.requirements {
        match &entry.requirement {
            UnresolvedRequirement::Named(requirement) => requirements.push(requirement.clone()),
            UnresolvedRequirement::Unnamed(unnamed) => {
                return Err(PypiError::NotAWheel { distribution: unnamed.to_string() });
            }
        }
    }
    Ok(requirements)
}

fn index_url(text: &str) -> Result<IndexUrl, PypiError> {
    IndexUrl::parse(text, None).map_err(|error| PypiError::Index { index: redacted(text), source: error.into() })
}

/// A URL without the name and password it may carry.
pub(crate) fn redacted(text: &str) -> String {
    match url::Url::parse(text) {
        Ok(mut url) => {
            // Neither fails on a URL that has a host; one that has none carries no password.
            let _ = url.set_username("");
            let _ = url.set_password(None);
            url.to_string()
        }
        Err(_) => "(not a URL)".to_owned(),
    }
}

fn locations(indexes: &Indexes, specification: &RequirementsSpecification) -> Result<IndexLocations, PypiError> {
    let mut all = Vec::new();
    for extra in &indexes.extra {
        all.push(Index::from_extra_index_url(index_url(extra)?));
    }
    all.extend(specification.extra_index_urls.iter().cloned().map(Index::from_extra_index_url));
    if let Some(default) = &indexes.default_index {
        all.push(Index::from_index_url(index_url(default)?));
    } else if let Some(default) = &specification.index_url {
        all.push(Index::from_index_url(default.clone()));
    }
    let flat = specification.find_links.iter().cloned().map(Index::from_find_links).collect();
    Ok(IndexLocations::new(all, flat, specification.no_index))
}

fn exclude_newer(indexes: &Indexes) -> Result<ExcludeNewer, PypiError> {
    let Some(date) = &indexes.exclude_newer else { return Ok(ExcludeNewer::default()) };
    let value: ExcludeNewerValue =
        date.parse().map_err(|error: String| PypiError::ExcludeNewer { date: date.clone(), source: error.into() })?;
    Ok(ExcludeNewer::global(value))
}

fn hash_strategy(specification: &RequirementsSpecification, target: &Target) -> Result<HashStrategy, PypiError> {
    if !specification.require_hashes {
        return Ok(HashStrategy::None);
    }
    HashStrategy::from_requirements(
        specification.requirements.iter().map(|entry| (&entry.requirement, entry.hashes.as_slice())),
        specification.constraints.iter().map(|entry| (&entry.requirement, entry.hashes.as_slice())),
        Some(&ResolverMarkerEnvironment::from(target.markers.clone())),
        uv_configuration::HashCheckingMode::Require,
    )
    .map_err(|error| PypiError::Setup(error.into()))
}

async fn flat_index(
    client: &RegistryClient,
    context: &NoBuilds,
    target: &Target,
    hasher: &HashStrategy,
) -> Result<FlatIndex, PypiError> {
    let entries = FlatIndexClient::new(client.cached_client(), client.connectivity(), &context.cache)
        .fetch_all(context.locations.flat_indexes().map(Index::url))
        .await
        .map_err(|error| PypiError::Setup(error.into()))?;
    Ok(FlatIndex::from_entries(entries, Some(&target.tags), hasher, &context.build_options))
}

fn locked_wheels(resolution: &Resolution, asked: &[String]) -> Result<Vec<LockedWheel>, PypiError> {
    let mut wheels = Vec::new();
    for resolved in resolution.distributions() {
        let ResolvedDist::Installable { dist, .. } = resolved else { continue };
        let Dist::Built(BuiltDist::Registry(registry)) = dist.as_ref() else {
            return Err(PypiError::NotAWheel { distribution: dist.to_string() });
        };
        let wheel = registry.best_wheel();
        let file_name = wheel.filename.to_string();
        let digest = wheel
            .file
            .hashes
            .iter()
            .find(|hash| hash.algorithm == HashAlgorithm::Sha256)
            .and_then(|hash| hash.digest.parse::<Digest>().ok())
            .ok_or_else(|| PypiError::NoDigest { file: file_name.clone() })?;
        let url = wheel.file.url.to_url().map_err(|error| PypiError::Setup(error.into()))?;
        let name = dist.name().to_string();
        wheels.push(LockedWheel {
            is_requested: asked.contains(&name),
            name,
            version: wheel.filename.version.to_string(),
            file_name,
            url: redacted(url.as_str()),
            digest,
            size_bytes: wheel.file.size,
        });
    }
    wheels.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(wheels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_never_reaches_an_error() {
        assert_eq!(redacted("https://me:secret@index.example/simple"), "https://index.example/simple");
        let error = index_url("https://me:secret@[nonsense/simple").unwrap_err();
        assert!(!error.to_string().contains("secret"), "{error}");
    }

    #[test]
    fn a_date_that_is_none_is_named() {
        let indexes = Indexes { exclude_newer: Some("yesteryear".to_owned()), ..Indexes::default() };
        let error = exclude_newer(&indexes).unwrap_err();
        assert_eq!(error.to_string(), "cannot read `yesteryear` as a date for `--exclude-newer`");
    }
}
