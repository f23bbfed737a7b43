//! Reads the requirements, constraints and hashes of a request, and refuses those that lath cannot use.

use std::fmt;
use std::path::Path;

use uv_client::BaseClientBuilder;
use uv_configuration::{BuildOptions, HashCheckingMode, NoBinary, NoBuild};
use uv_distribution_filename::{DistExtension, WheelFilename, WheelFilenameError};
use uv_distribution_types::{
    Dist, NameRequirementSpecification, RemoteSource as _, Requirement, RequirementSource, UnresolvedRequirement,
};
use uv_normalize::{InvalidNameError, PackageName};
use uv_pep440::Operator;
use uv_pep508::{UnnamedRequirement, VersionOrUrl};
use uv_pypi_types::{ParsedUrl, ResolverMarkerEnvironment, VerbatimParsedUrl};
use uv_requirements::{RequirementsSource, RequirementsSpecification};
use uv_types::HashStrategy;

use crate::model::request::{BuildsRequest, PythonRequest};
use crate::model::secret_text::public;
use crate::model::world_settings::Variables;
use crate::outside::pypi::requirement_files::{RequirementFiles, by_odd_path, merge};
use crate::outside::pypi::sources::SourceMetadata;
use crate::outside::pypi::target::Target;
use crate::outside::pypi::{Cause, PypiError, redacted};

/// The kinds of requirements that are allowed only in some places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    File,
    Repository,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::File => "a file of a project",
            Self::Repository => "a repository",
        })
    }
}

/// The requirements of a request and of its files.
pub(super) struct Requirements {
    pub(super) specification: RequirementsSpecification,
    /// Whether a file allows pre-release versions.
    pub(super) allows_prereleases: bool,
    /// Which distributions are built from source.
    pub(super) build_options: BuildOptions,
    /// Warnings about options that lath ignores in files.
    pub(super) warnings: Vec<String>,
}

/// Reads the requirements of `request` and of its files.
pub(super) async fn read(
    request: &PythonRequest,
    variables: &Variables,
    base: &BaseClientBuilder<'_>,
) -> Result<Requirements, PypiError> {
    let unreadable = |what: &str, error| PypiError::Requirement { requirement: public(what), source: redacted(error) };
    let mut specification = RequirementsSpecification::default();
    for requirement in &request.requirements {
        let requirement = requirement.exposed();
        refuse_other_files(requirement)?;
        let failed = |error: Cause| unreadable(requirement, error);
        if let Some(entry) = by_odd_path(requirement) {
            specification.requirements.push(entry);
            continue;
        }
        let source = RequirementsSource::from_package(requirement).map_err(|error| failed(error.into()))?;
        let read = RequirementsSpecification::from_source(&source, base).await.map_err(|error| failed(error.into()))?;
        merge(&mut specification, read).map_err(failed)?;
    }
    let mut files = RequirementFiles::new(variables);
    let named = request.requirement_files.iter().map(|path| (path, false));
    for (path, is_constraints) in named.chain(request.constraint_files.iter().map(|path| (path, true))) {
        let failed = |error: Cause| unreadable(&path.display().to_string(), error);
        let read = files.read(path, is_constraints, base).await.map_err(failed)?;
        merge(&mut specification, read).map_err(failed)?;
    }
    let (allows_prereleases, warnings) = (files.allows_prereleases(), files.warnings());
    let (no_binary, no_build) = files.build_options().map_err(|error| unreadable("-r", error))?;
    let build_options = build_options(&request.builds).map_err(|error| unreadable("--no-build-package", error))?;
    let build_options = build_options.combine(no_binary, no_build);
    Ok(Requirements { specification, allows_prereleases, build_options, warnings })
}

/// Returns the options of the command line that decide which distributions are built.
fn build_options(builds: &BuildsRequest) -> Result<BuildOptions, Cause> {
    let names = |names: &[String]| names.iter().map(|name| name.parse()).collect::<Result<Vec<PackageName>, _>>();
    let no_binary = NoBinary::from_args(None, names(&builds.no_binary_packages)?);
    let no_build = NoBuild::from_args(builds.no_build.then_some(true), names(&builds.no_build_packages)?);
    Ok(BuildOptions::new(no_binary, no_build))
}

/// Refuses the path of a requirements file or of a `pyproject.toml`, which is not a requirement. Otherwise the error
/// would only be that no distribution has this name.
fn refuse_other_files(requirement: &str) -> Result<(), PypiError> {
    let path = Path::new(requirement);
    let has_extension = |wanted: &str| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(wanted));
    if path.ends_with("pyproject.toml") && path.is_file() {
        return Err(PypiError::FromSource { requirement: requirement.to_owned(), what: Source::File });
    }
    if (has_extension("txt") || has_extension("in")) && path.is_file() {
        return Err(PypiError::RequirementsFile { path: requirement.to_owned() });
    }
    Ok(())
}

/// Adds a name to a requirement without a name. The name is read from the file name of the wheel. Returns `None` if
/// the requirement is not a wheel.
pub(super) fn named_by_file(unnamed: &UnnamedRequirement<VerbatimParsedUrl>) -> Option<Requirement> {
    let wheel: WheelFilename = unnamed.url.verbatim.filename().ok()?.parse().ok()?;
    Some(with_name(unnamed, wheel.name))
}

fn with_name(unnamed: &UnnamedRequirement<VerbatimParsedUrl>, name: PackageName) -> Requirement {
    Requirement::from(uv_pep508::Requirement {
        name,
        extras: unnamed.extras.clone(),
        version_or_url: Some(VersionOrUrl::Url(unnamed.url.clone())),
        marker: unnamed.marker,
        origin: unnamed.origin.clone(),
    })
}

/// Returns the requirements, each with a name. If the user gave only a URL or path, the name of a wheel is read from
/// its file name, and the name of a source from its metadata.
pub(super) async fn named(
    specification: &RequirementsSpecification,
    sources: &SourceMetadata<'_>,
) -> Result<Vec<Requirement>, PypiError> {
    let mut requirements = Vec::new();
    for entry in &specification.requirements {
        let requirement = match &entry.requirement {
            UnresolvedRequirement::Named(requirement) => requirement.clone(),
            UnresolvedRequirement::Unnamed(unnamed) => {
                let shown = unnamed.url.verbatim.given().unwrap_or(&unnamed.to_string()).to_owned();
                refuse_unnamed(&shown, &unnamed.url.parsed_url)?;
                with_name(unnamed, Box::pin(name_of(&shown, &unnamed.url, sources)).await?)
            }
        };
        refuse_source(&requirement.to_string(), &requirement.source)?;
        requirements.push(requirement);
    }
    Ok(requirements)
}

/// Refuses a URL or path that cannot be used. This happens before the name of its distribution is searched for.
fn refuse_unnamed(requirement: &str, url: &ParsedUrl) -> Result<(), PypiError> {
    match url {
        ParsedUrl::Path(path) => refuse_file(requirement, &path.install_path),
        ParsedUrl::Directory(directory) => refuse_folder(requirement, &directory.install_path),
        ParsedUrl::Archive(_) | ParsedUrl::GitDirectory(_) => Ok(()),
        ParsedUrl::GitPath(_) => Err(from_source(requirement, Source::Repository)),
    }
}

/// Returns the name of the distribution at `url`, which the user wrote as `shown`.
async fn name_of(shown: &str, url: &VerbatimParsedUrl, sources: &SourceMetadata<'_>) -> Result<PackageName, PypiError> {
    let unreadable = |error: Cause| PypiError::Requirement { requirement: public(shown), source: redacted(error) };
    let is_wheel = match &url.parsed_url {
        ParsedUrl::Path(path) => path.ext == DistExtension::Wheel,
        ParsedUrl::Archive(archive) => archive.ext == DistExtension::Wheel,
        ParsedUrl::Directory(_) | ParsedUrl::GitDirectory(_) | ParsedUrl::GitPath(_) => false,
    };
    if is_wheel {
        let file_name = url.verbatim.filename().map_err(|error| unreadable(error.into()))?;
        let wheel: WheelFilename = file_name.parse().map_err(|error: WheelFilenameError| unreadable(error.into()))?;
        return Ok(wheel.name);
    }
    // Any name can be used here, because the source is found without it.
    let stand_in: PackageName = "unnamed".parse().map_err(|error: InvalidNameError| unreadable(error.into()))?;
    let dist = Dist::from_url(stand_in, url.clone()).map_err(|error| unreadable(error.into()))?;
    let Dist::Source(source) = dist else {
        return Err(from_source(shown, Source::Repository));
    };
    sources.name_of(&source).await.map_err(PypiError::Build)
}

/// Refuses a requirement that cannot be used: its file is missing, its folder is not a project, or it is a single file
/// in a repository.
pub(super) fn refuse_source(requirement: &str, source: &RequirementSource) -> Result<(), PypiError> {
    match source {
        RequirementSource::Registry { .. } => Ok(()),
        RequirementSource::Path { install_path, .. } => refuse_file(requirement, install_path),
        RequirementSource::Url { .. } | RequirementSource::GitDirectory { .. } => Ok(()),
        RequirementSource::GitPath { .. } => Err(from_source(requirement, Source::Repository)),
        RequirementSource::Directory { install_path, .. } => refuse_folder(requirement, install_path),
    }
}

fn refuse_folder(requirement: &str, folder: &Path) -> Result<(), PypiError> {
    let is_project = ["pyproject.toml", "setup.py"].iter().any(|file| folder.join(file).is_file());
    let (requirement, folder) = (public(requirement), public(&folder.display().to_string()));
    if is_project { Ok(()) } else { Err(PypiError::NoProject { requirement, folder }) }
}

fn refuse_file(requirement: &str, path: &Path) -> Result<(), PypiError> {
    if !path.is_file() {
        return Err(PypiError::NoSuchFile {
            requirement: public(requirement),
            path: public(&path.display().to_string()),
        });
    }
    Ok(())
}

fn from_source(requirement: &str, what: Source) -> PypiError {
    PypiError::FromSource { requirement: public(requirement), what }
}

pub(super) fn constraints(specification: &RequirementsSpecification) -> Vec<Requirement> {
    specification.constraints.iter().map(|constraint| constraint.requirement.clone()).collect()
}

/// Returns the hashes in the requirements, and those of a lock. Wheels must match them. With `--require-hashes`, each
/// requirement must have a hash. If a requirement has a hash but no exact version, it is refused like in pip, because
/// uv would not check the hash.
pub(super) fn hashes(
    specification: &RequirementsSpecification,
    of_lock: &[NameRequirementSpecification],
    target: &Target,
) -> Result<HashStrategy, PypiError> {
    for entry in specification.requirements.iter().filter(|entry| !entry.hashes.is_empty()) {
        if let UnresolvedRequirement::Named(requirement) = &entry.requirement
            && !is_pinned(&requirement.source)
        {
            let problem =
                format!("`{requirement}` has a hash, but no exact version: write `{}==VERSION`", requirement.name);
            return Err(PypiError::Hashes(problem.into()));
        }
    }
    refuse_weak(specification, of_lock)?;
    let mode = if specification.require_hashes { HashCheckingMode::Require } else { HashCheckingMode::Verify };
    HashStrategy::from_requirements(
        specification.requirements.iter().map(|entry| (&entry.requirement, entry.hashes.as_slice())),
        specification.constraints.iter().chain(of_lock).map(|entry| (&entry.requirement, entry.hashes.as_slice())),
        Some(&ResolverMarkerEnvironment::from(target.markers.clone())),
        mode,
    )
    .map_err(|error| PypiError::Hashes(redacted(error.into())))
}

/// Refuses a requirement or a pin all of whose hashes are md5, because anybody can make another file with the same md5.
fn refuse_weak(
    specification: &RequirementsSpecification,
    of_lock: &[NameRequirementSpecification],
) -> Result<(), PypiError> {
    let limits = specification.constraints.iter().chain(of_lock);
    let limits = limits.map(|entry| (entry.requirement.to_string(), &entry.hashes));
    let mut all =
        specification.requirements.iter().map(|entry| (entry.requirement.to_string(), &entry.hashes)).chain(limits);
    let weak = all.find(|(_, hashes)| !hashes.is_empty() && hashes.iter().all(|hash| hash.starts_with("md5:")));
    let Some((requirement, _)) = weak else { return Ok(()) };
    let problem = format!("`{}` has only an md5 hash, which is not secure: use its sha256", public(&requirement));
    Err(PypiError::Hashes(problem.into()))
}

/// Returns whether a requirement allows exactly one file or version.
fn is_pinned(source: &RequirementSource) -> bool {
    match source {
        RequirementSource::Registry { specifier, .. } => {
            specifier.iter().any(|one| matches!(one.operator(), Operator::Equal | Operator::ExactEqual))
        }
        _ => true,
    }
}
