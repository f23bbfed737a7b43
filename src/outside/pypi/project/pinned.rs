//! The locks of Poetry, PDM and Pipenv. Their pins are used as limits for the versions, and then lath checks that no
//! other distribution or version was chosen.

use std::path::Path;

use fs_err as fs;
use uv_distribution_types::{Index, IndexUrl, NameRequirementSpecification, Requirement};
use uv_pep508::VerbatimUrl;
use uv_pypi_types::VerbatimParsedUrl;
use uv_redacted::DisplaySafeUrl;

use crate::formats::pins::{Pin, PinSource, Pins, PinsError};
use crate::formats::pyproject::{PoetryGroup, Pyproject};
use crate::model::project::{FoundLock, LockKind, ProjectRequest};
use crate::outside::pypi::wheels::Answer;
use crate::outside::pypi::{Cause, PypiError, redacted};

/// A lock of Poetry, PDM or Pipenv, and the requirements that are in the files of these tools but not in a standard
/// form.
pub(in crate::outside::pypi) struct Pinned<'a> {
    lock: &'a FoundLock,
    pins: Pins,
    /// The requirements of a project without a standard `[project]` table.
    pub(in crate::outside::pypi) requirements: Vec<Requirement>,
}

impl<'a> Pinned<'a> {
    /// Reads the lock of a project. Returns `None` if the lock is not one of Poetry, PDM or Pipenv. Also reads the
    /// requirements that only Poetry or Pipenv can read.
    pub(in crate::outside::pypi) fn read(request: &'a ProjectRequest) -> Result<Option<Self>, PypiError> {
        let Some(lock) = request.lock.as_ref().filter(|lock| lock.kind != LockKind::Uv) else { return Ok(None) };
        let failed = |error: Cause| PypiError::ForeignLock { path: lock.path.clone(), source: redacted(error) };
        let text = fs::read_to_string(&lock.path).map_err(|error| failed(error.into()))?;
        let pins = parse(lock.kind, &text, &request.groups).map_err(|error| failed(error.into()))?;
        let requirements = match lock.kind {
            LockKind::Pipenv => of_pipenv(&pins, request),
            _ => Ok(Vec::new()),
        };
        Ok(Some(Self { lock, requirements: requirements.map_err(failed)?, pins }))
    }

    /// Returns the pins as limits, with the digests of their files.
    pub(in crate::outside::pypi) fn constraints(&self) -> Result<Vec<NameRequirementSpecification>, PypiError> {
        let several = |pin: &&Pin| pin.marker.is_some() || self.pins.versions(&pin.name).len() < 2;
        let of_index = self.pins.pins.iter().filter(|pin| pin.source == PinSource::Index && !pin.version.is_empty());
        let limit = |pin: &Pin| {
            let requirement = requirement(pin, &self.folder())?;
            Ok(NameRequirementSpecification { requirement, hashes: pin.hashes.clone() })
        };
        of_index.filter(several).map(limit).collect::<Result<_, Cause>>().map_err(|error| self.failed(error))
    }

    /// Returns the pins that come from a URL or a path. Such pins replace other requirements of the same name.
    pub(in crate::outside::pypi) fn replacements(&self) -> Result<Vec<Requirement>, PypiError> {
        let direct = self.pins.pins.iter().filter(|pin| pin.source != PinSource::Index);
        direct
            .map(|pin| requirement(pin, &self.folder()))
            .collect::<Result<_, Cause>>()
            .map_err(|error| self.failed(error))
    }

    /// Returns the indexes that are named in the lock.
    pub(in crate::outside::pypi) fn indexes(&self) -> Result<Vec<Index>, PypiError> {
        let index = |(number, url): (usize, &String)| {
            let url = DisplaySafeUrl::parse(url).map_err(|error| self.failed(error.into()))?;
            let url = IndexUrl::from(VerbatimUrl::from_url(url));
            let is_default = number == 0 && self.pins.has_own_default;
            Ok(if is_default { Index::from_index_url(url) } else { Index::from_extra_index_url(url) })
        };
        self.pins.indexes.iter().enumerate().map(index).collect()
    }

    /// Fails if `answer` contains a distribution that is not in the lock. The distributions in `own`, which belong
    /// to the project itself, are not checked.
    pub(in crate::outside::pypi) fn check(&self, answer: &Answer, own: &[String]) -> Result<(), PypiError> {
        let wheels = answer.wheels.iter().map(|wheel| (&wheel.name, &wheel.version));
        let direct = answer.direct.iter().map(|wheel| (&wheel.name, &wheel.version));
        let is_strange =
            |(name, version): &(&String, &String)| !own.contains(name) && !self.pins.contains(name, version);
        let differences: Vec<String> = wheels
            .chain(direct)
            .filter(is_strange)
            .map(|(name, version)| {
                let versions: Vec<&str> = self.pins.versions(name).into_iter().collect();
                if versions.is_empty() {
                    return format!("`{name}` is required, and it is not in the lock");
                }
                format!("`{name}` {version} is required, and the lock has {}", versions.join(" and "))
            })
            .collect();
        if differences.is_empty() { Ok(()) } else { Err(self.differs(differences)) }
    }

    /// Returns the error that the lock does not match its project.
    pub(in crate::outside::pypi) fn differs(&self, differences: Vec<String>) -> PypiError {
        PypiError::LockDiffers { path: self.lock.path.clone(), differences, update: self.lock.kind.update() }
    }

    fn folder(&self) -> std::path::PathBuf {
        self.lock.path.parent().map(Path::to_owned).unwrap_or_default()
    }

    fn failed(&self, error: Cause) -> PypiError {
        PypiError::ForeignLock { path: self.lock.path.clone(), source: redacted(error) }
    }
}

fn parse(kind: LockKind, text: &str, groups: &[String]) -> Result<Pins, PinsError> {
    match kind {
        LockKind::Pdm => Pins::of_pdm(text),
        LockKind::Pipenv => Pins::of_pipenv(text, groups),
        LockKind::Poetry | LockKind::Uv => Pins::of_poetry(text),
    }
}

/// Returns the pins of the distributions that the `Pipfile` names. If there is no such file, returns all pins.
fn of_pipenv(pins: &Pins, request: &ProjectRequest) -> Result<Vec<Requirement>, Cause> {
    let names = match fs::read_to_string(request.folder.join("Pipfile")) {
        Ok(text) => Some(Pins::names_of_pipfile(&text, &request.groups)?),
        Err(_) => None,
    };
    let is_direct = |pin: &&Pin| names.as_ref().is_none_or(|names| names.contains(&pin.name));
    pins.pins.iter().filter(is_direct).map(|pin| requirement(pin, &request.folder)).collect()
}

/// Returns a pin as a requirement. Paths are relative to `folder`.
fn requirement(pin: &Pin, folder: &Path) -> Result<Requirement, Cause> {
    let source = match &pin.source {
        PinSource::Index => format!("=={}", pin.version),
        PinSource::Url(url) => format!(" @ {url}"),
        PinSource::Path(path) => {
            let url =
                DisplaySafeUrl::from_file_path(folder.join(path)).map_err(|()| format!("`{path}` is not a path"))?;
            format!(" @ {url}")
        }
    };
    let marker = pin.marker.as_ref().map(|marker| format!(" ; {marker}")).unwrap_or_default();
    let extras = if pin.extras.is_empty() { String::new() } else { format!("[{}]", pin.extras.join(",")) };
    parsed(&format!("{}{extras}{source}{marker}", pin.name))
}

fn parsed(text: &str) -> Result<Requirement, Cause> {
    let requirement: uv_pep508::Requirement<VerbatimParsedUrl> = text.parse()?;
    Ok(Requirement::from(requirement))
}

/// Returns the requirements in `[tool.poetry]` that are installed in addition to the project itself. These are the
/// groups that the user named, and also the main requirements if the project is not a package. Returns `None` if the
/// project does not have this table.
pub(in crate::outside::pypi) fn of_poetry(request: &ProjectRequest) -> Result<Option<Vec<Requirement>>, PypiError> {
    let failed = |error: Cause| PypiError::Project { folder: request.folder.clone(), source: redacted(error) };
    let path = request.folder.join("pyproject.toml");
    let Ok(text) = fs::read_to_string(&path) else { return Ok(None) };
    let toml = Pyproject::parse(&text).map_err(|error| failed(error.into()))?;
    if !toml.is_of_poetry {
        return Ok(None);
    }
    let mut names: Vec<&str> = request.groups.iter().map(String::as_str).collect();
    if !request.is_package {
        names.push("main");
    }
    let mut requirements = Vec::new();
    for name in names {
        let group = toml.poetry_groups.get(name);
        let group: &PoetryGroup = group.ok_or_else(|| failed(format!("it has no group `{name}`").into()))?;
        for text in &group.requirements {
            requirements.push(parsed(text).map_err(&failed)?);
        }
    }
    Ok(Some(requirements))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::project::Extras;

    #[test]
    fn pins_become_limits_with_digests_and_direct_ones_replacements() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("Pipfile.lock");
        let text = r#"{"_meta": {"pipfile-spec": 6, "sources": []}, "default": {
            "six": {"version": "==1.16.0", "hashes": ["sha256:aa"], "markers": "python_version >= '3.8'"},
            "mine": {"path": "./libs/mine-1-py3-none-any.whl"}
        }}"#;
        fs::write(&path, text).unwrap();
        let request = ProjectRequest {
            folder: home.path().to_owned(),
            extras: Extras::Named(Vec::new()),
            groups: Vec::new(),
            is_package: false,
            lock: Some(FoundLock { kind: LockKind::Pipenv, path }),
        };
        let pinned = Pinned::read(&request).unwrap().unwrap();
        assert_eq!(pinned.requirements.len(), 2);
        let limits = pinned.constraints().unwrap();
        assert_eq!((limits.len(), &limits[0].hashes[..]), (1, &["sha256:aa".to_owned()][..]));
        assert_eq!(limits[0].requirement.to_string(), "six==1.16.0 ; python_full_version >= '3.8'");
        let replaced = pinned.replacements().unwrap();
        assert!(replaced[0].to_string().starts_with("mine @ file:///"), "{}", replaced[0]);
        assert!(pinned.check(&Answer::default(), &[]).is_ok());
    }
}
