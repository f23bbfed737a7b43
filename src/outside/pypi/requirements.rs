//! Reads the requirements, constraints and hashes of a request, and refuses those that lath cannot use.

use std::fmt;
use std::path::Path;

use uv_client::BaseClientBuilder;
use uv_configuration::HashCheckingMode;
use uv_distribution_filename::{DistExtension, WheelFilename, WheelFilenameError};
use uv_distribution_types::{RemoteSource as _, Requirement, RequirementSource, UnresolvedRequirement};
use uv_pep440::Operator;
use uv_pep508::VersionOrUrl;
use uv_pypi_types::{ParsedUrl, ResolverMarkerEnvironment};
use uv_requirements::{RequirementsSource, RequirementsSpecification};
use uv_types::HashStrategy;

use crate::model::request::PythonRequest;
use crate::model::secret_text::public;
use crate::model::world_settings::Variables;
use crate::outside::pypi::requirement_files::{RequirementFiles, by_odd_path, merge};
use crate::outside::pypi::target::Target;
use crate::outside::pypi::{Cause, PypiError, redacted};

/// The kinds of requirements that must be built before they can be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Folder,
    Archive,
    Repository,
    Script,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Folder => "a project folder",
            Self::Archive => "a source distribution",
            Self::Repository => "a repository",
            Self::Script => "a script",
        })
    }
}

/// The requirements of a request and of its files.
pub(super) struct Requirements {
    pub(super) specification: RequirementsSpecification,
    /// Whether a file allows pre-release versions.
    pub(super) allows_prereleases: bool,
    /// Options in files that are not followed.
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
    Ok(Requirements { specification, allows_prereleases, warnings })
}

/// Refuses names that are files of another kind, because as names of distributions they would only be unknown.
fn refuse_other_files(requirement: &str) -> Result<(), PypiError> {
    let path = Path::new(requirement);
    let has_extension = |wanted: &str| path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(wanted));
    if has_extension("py") && path.is_file() {
        return Err(PypiError::FromSource { requirement: requirement.to_owned(), what: Source::Script });
    }
    if path.ends_with("pyproject.toml") && path.is_file() {
        return Err(PypiError::FromSource { requirement: requirement.to_owned(), what: Source::Folder });
    }
    if (has_extension("txt") || has_extension("in")) && path.is_file() {
        return Err(PypiError::RequirementsFile { path: requirement.to_owned() });
    }
    Ok(())
}

/// Returns the requirements, each with a name. If the user gave only a wheel, the name is in its file name. Refuses
/// those that would have to be built.
pub(super) fn named(specification: &RequirementsSpecification) -> Result<Vec<Requirement>, PypiError> {
    let mut requirements = Vec::new();
    for entry in &specification.requirements {
        let requirement = match &entry.requirement {
            UnresolvedRequirement::Named(requirement) => requirement.clone(),
            UnresolvedRequirement::Unnamed(unnamed) => {
                let shown = unnamed.url.verbatim.given().unwrap_or(&unnamed.to_string()).to_owned();
                refuse_unnamed(&shown, &unnamed.url.parsed_url)?;
                let unreadable =
                    |error: Cause| PypiError::Requirement { requirement: public(&shown), source: redacted(error) };
                let file_name = unnamed.url.verbatim.filename().map_err(|error| unreadable(error.into()))?;
                let wheel: WheelFilename =
                    file_name.parse().map_err(|error: WheelFilenameError| unreadable(error.into()))?;
                Requirement::from(uv_pep508::Requirement {
                    name: wheel.name,
                    extras: unnamed.extras.clone(),
                    version_or_url: Some(VersionOrUrl::Url(unnamed.url.clone())),
                    marker: unnamed.marker,
                    origin: unnamed.origin.clone(),
                })
            }
        };
        refuse_source(&requirement.to_string(), &requirement.source)?;
        requirements.push(requirement);
    }
    Ok(requirements)
}

/// Refuses a requirement without a name if it is not a wheel, because its name would be known only after a build.
fn refuse_unnamed(requirement: &str, url: &ParsedUrl) -> Result<(), PypiError> {
    match url {
        ParsedUrl::Path(path) => refuse_file(requirement, &path.install_path, path.ext),
        ParsedUrl::Archive(archive) => refuse_extension(requirement, archive.ext),
        ParsedUrl::Directory(_) => Err(from_source(requirement, Source::Folder)),
        ParsedUrl::GitDirectory(_) | ParsedUrl::GitPath(_) => Err(from_source(requirement, Source::Repository)),
    }
}

/// Refuses a requirement that is neither a wheel nor a name.
pub(super) fn refuse_source(requirement: &str, source: &RequirementSource) -> Result<(), PypiError> {
    match source {
        RequirementSource::Registry { .. } => Ok(()),
        RequirementSource::Path { install_path, ext, .. } => refuse_file(requirement, install_path, *ext),
        RequirementSource::Url { ext, .. } => refuse_extension(requirement, *ext),
        RequirementSource::GitDirectory { .. } | RequirementSource::GitPath { .. } => {
            Err(from_source(requirement, Source::Repository))
        }
        RequirementSource::Directory { .. } => Err(from_source(requirement, Source::Folder)),
    }
}

fn refuse_file(requirement: &str, path: &Path, extension: DistExtension) -> Result<(), PypiError> {
    if !path.is_file() {
        return Err(PypiError::NoSuchFile {
            requirement: public(requirement),
            path: public(&path.display().to_string()),
        });
    }
    refuse_extension(requirement, extension)
}

fn refuse_extension(requirement: &str, extension: DistExtension) -> Result<(), PypiError> {
    match extension {
        DistExtension::Wheel => Ok(()),
        DistExtension::Source(_) => Err(from_source(requirement, Source::Archive)),
    }
}

fn from_source(requirement: &str, what: Source) -> PypiError {
    PypiError::FromSource { requirement: public(requirement), what }
}

pub(super) fn constraints(specification: &RequirementsSpecification) -> Vec<Requirement> {
    specification.constraints.iter().map(|constraint| constraint.requirement.clone()).collect()
}

/// Returns the hashes in the requirements, which wheels must match. With `--require-hashes`, each requirement must have
/// some. A hash without an exact version is refused, as by pip, because uv would not check it.
pub(super) fn hashes(specification: &RequirementsSpecification, target: &Target) -> Result<HashStrategy, PypiError> {
    for entry in specification.requirements.iter().filter(|entry| !entry.hashes.is_empty()) {
        if let UnresolvedRequirement::Named(requirement) = &entry.requirement
            && !is_pinned(&requirement.source)
        {
            let problem =
                format!("`{requirement}` has a hash, but no exact version: write `{}==VERSION`", requirement.name);
            return Err(PypiError::Hashes(problem.into()));
        }
    }
    let mode = if specification.require_hashes { HashCheckingMode::Require } else { HashCheckingMode::Verify };
    HashStrategy::from_requirements(
        specification.requirements.iter().map(|entry| (&entry.requirement, entry.hashes.as_slice())),
        specification.constraints.iter().map(|entry| (&entry.requirement, entry.hashes.as_slice())),
        Some(&ResolverMarkerEnvironment::from(target.markers.clone())),
        mode,
    )
    .map_err(|error| PypiError::Hashes(redacted(error.into())))
}

/// Returns whether a requirement names exactly one file or version.
fn is_pinned(source: &RequirementSource) -> bool {
    match source {
        RequirementSource::Registry { specifier, .. } => {
            specifier.iter().any(|one| matches!(one.operator(), Operator::Equal | Operator::ExactEqual))
        }
        _ => true,
    }
}
