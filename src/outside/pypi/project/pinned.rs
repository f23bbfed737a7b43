//! The locks of Poetry, PDM and Pipenv. Their pins are used as limits for the versions, and then lath checks that no
//! other distribution or version was chosen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use fs_err as fs;
use uv_distribution_types::{NameRequirementSpecification, Requirement, RequirementSource};
use uv_normalize::ExtraName;
use uv_pep440::Version;
use uv_pep508::MarkerTree;

use super::tables::Tables;
use super::{parsed, url_of_path};
use crate::formats::pins::{Pin, PinSource, Pins, PinsError};
use crate::model::indexes::IndexEntry;
use crate::model::project::{FoundLock, LockKind, ProjectRequest};
use crate::model::request;
use crate::outside::pypi::indexes::assigned;
use crate::outside::pypi::wheels::Answer;
use crate::outside::pypi::{Cause, PypiError, redacted};

/// A lock of Poetry, PDM or Pipenv.
pub(in crate::outside::pypi) struct Pinned<'a> {
    lock: &'a FoundLock,
    pins: Pins,
    /// The requirements of a project of Pipenv, which has no standard table.
    pub(super) requirements: Vec<Requirement>,
}

impl<'a> Pinned<'a> {
    /// Reads the lock of a project. Returns `None` if the lock is not one of Poetry, PDM or Pipenv.
    pub(super) fn read(request: &'a ProjectRequest) -> Result<Option<Self>, PypiError> {
        let Some(lock) = request.lock.as_ref().filter(|lock| lock.kind != LockKind::Uv) else { return Ok(None) };
        let failed = |error: Cause| PypiError::ForeignLock { path: lock.path.clone(), source: redacted(error) };
        let text = fs::read_to_string(&lock.path).map_err(|error| failed(error.into()))?;
        let groups: Vec<String> = request.groups.iter().map(|name| Pins::pipenv_group(name)).collect();
        let pins = parse(lock.kind, &text, &groups).map_err(|error| failed(error.into()))?;
        let requirements = match lock.kind {
            LockKind::Pipenv => of_pipenv(&pins, request, &groups),
            _ => Ok(Vec::new()),
        };
        Ok(Some(Self { lock, requirements: requirements.map_err(failed)?, pins }))
    }

    /// Returns the pins as limits of versions and indexes.
    pub(super) fn constraints(&self) -> Result<Vec<Requirement>, PypiError> {
        let constraints = || {
            let clear = self.of_index().filter(|pin| !self.is_unclear(pin));
            let mut constraints = clear.map(|pin| self.requirement(pin)).collect::<Result<Vec<_>, Cause>>()?;
            for pins in self.unclear().values() {
                constraints.push(self.range(pins)?);
            }
            Ok(constraints)
        };
        constraints().map_err(|error| self.failed(error))
    }

    /// Returns the digests of the files of each pin.
    pub(super) fn hashes(&self) -> Result<Vec<NameRequirementSpecification>, PypiError> {
        let of_pin = |pin: &Pin| {
            let requirement = self.requirement(pin)?;
            Ok(NameRequirementSpecification { requirement, hashes: pin.hashes.clone() })
        };
        let direct = self.pins.pins.iter().filter(|pin| is_direct(pin));
        let hashes = self.of_index().chain(direct).filter(|pin| !pin.hashes.is_empty()).map(of_pin);
        hashes.collect::<Result<_, Cause>>().map_err(|error| self.failed(error))
    }

    /// Returns the versions that are preferred if the lock does not say which of its versions is used.
    pub(super) fn preferred(&self) -> Vec<request::Pin> {
        let of_pin = |pin: &&Pin| request::Pin { name: pin.name.clone(), version: pin.version.clone() };
        self.unclear().values().flatten().map(of_pin).collect()
    }

    /// Returns the pins that come from a URL or a path. Such pins replace other requirements of the same name, so they
    /// get the extras of these requirements. `direct` are the requirements of the project. If the lock has no marker,
    /// the marker is the one in `tables`.
    pub(super) fn replacements(
        &self,
        direct: &[Requirement],
        tables: &Tables<'_>,
    ) -> Result<Vec<Requirement>, PypiError> {
        let replacement = |pin: &Pin| {
            let mut requirement = self.requirement(pin)?;
            let named = direct.iter().filter(|other| other.name == requirement.name);
            let mut extras: BTreeSet<ExtraName> = named.flat_map(|other| other.extras.iter().cloned()).collect();
            let in_tables: Vec<_> = tables.named(&pin.name).collect();
            for extra in in_tables.iter().flat_map(|dependency| &dependency.extras) {
                extras.insert(extra.parse()?);
            }
            extras.extend(requirement.extras);
            requirement.extras = extras.into_iter().collect();
            if let ([dependency], None) = (in_tables.as_slice(), &pin.marker)
                && let Some(marker) = &dependency.marker
            {
                requirement.marker = marker.parse::<MarkerTree>()?;
            }
            Ok(requirement)
        };
        let direct = self.pins.pins.iter().filter(|pin| is_direct(pin));
        direct.map(replacement).collect::<Result<_, Cause>>().map_err(|error| self.failed(error))
    }

    /// Returns the indexes that are named in the lock.
    pub(super) fn indexes(&self) -> &[IndexEntry] {
        &self.pins.indexes
    }

    /// Returns the names of the groups in the lock that no other file contains.
    pub(super) fn groups(&self) -> &[String] {
        &self.pins.groups
    }

    /// Returns whether every index may be searched for every pin, because the lock does not name the index of a pin,
    /// but has the digests of its files.
    pub(super) fn is_for_all_indexes(&self) -> bool {
        matches!(self.lock.kind, LockKind::Pdm | LockKind::Pipenv) && self.of_index().all(|pin| !pin.hashes.is_empty())
    }

    /// Fails if `answer` contains a distribution that is not in the lock. The distributions in `own`, which belong
    /// to the project itself, are not checked.
    pub(super) fn check(&self, answer: &Answer, own: &[String]) -> Result<(), PypiError> {
        let wheels = answer.wheels.iter().map(|wheel| (&wheel.name, &wheel.version));
        let direct = answer.direct.iter().map(|wheel| (&wheel.name, &wheel.version));
        let sources = answer.sources.iter().map(|chosen| &chosen.source);
        // The name or the version of a folder may be known only after its build.
        let sources = sources.filter_map(|source| Some((source.name.as_ref()?, source.version.as_ref()?)));
        let is_strange =
            |(name, version): &(&String, &String)| !own.contains(name) && !self.pins.contains(name, version);
        let differences: Vec<String> = wheels
            .chain(direct)
            .chain(sources)
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
    fn differs(&self, differences: Vec<String>) -> PypiError {
        PypiError::LockDiffers { path: self.lock.path.clone(), differences, update: self.lock.kind.update() }
    }

    /// Returns the pins that come from an index.
    fn of_index(&self) -> impl Iterator<Item = &Pin> {
        let pins = self.pins.pins.iter();
        pins.filter(|pin| !is_direct(pin) && !pin.version.is_empty())
    }

    /// Returns whether the lock has several versions of a distribution, and does not say when this one is used.
    fn is_unclear(&self, pin: &Pin) -> bool {
        pin.marker.is_none() && self.pins.versions(&pin.name).len() > 1
    }

    /// Returns the pins of [`Self::is_unclear`] by name, and the newest version first. If the lock says when one of the
    /// other versions is used, the result does not contain this name, because no range contains the right versions.
    fn unclear(&self) -> BTreeMap<&str, Vec<&Pin>> {
        let mut all: BTreeMap<&str, Vec<&Pin>> = BTreeMap::new();
        for pin in self.of_index().filter(|pin| self.is_unclear(pin)) {
            all.entry(&pin.name).or_default().push(pin);
        }
        all.retain(|name, pins| pins.len() == self.pins.pins.iter().filter(|pin| pin.name == *name).count());
        for pins in all.values_mut() {
            pins.sort_by_key(|pin| std::cmp::Reverse(pin.version.parse::<Version>().ok()));
        }
        all
    }

    /// Returns the limit for several versions of one distribution. They are sorted, and the newest is the first.
    fn range(&self, pins: &[&Pin]) -> Result<Requirement, Cause> {
        let version = |pin: Option<&&Pin>| -> Result<Version, Cause> {
            let text = pin.map(|pin| pin.version.as_str()).unwrap_or_default();
            Ok(text.parse::<Version>()?.without_local())
        };
        let mut requirement = self.requirement(pins[0])?;
        let limits = format!(">={},<={}", version(pins.last())?, version(pins.first())?);
        let is_same = pins.iter().all(|pin| pin.source == pins[0].source);
        if let RequirementSource::Registry { specifier, index, .. } = &mut requirement.source {
            *specifier = limits.parse()?;
            *index = index.take().filter(|_| is_same);
        }
        Ok(requirement)
    }

    fn requirement(&self, pin: &Pin) -> Result<Requirement, Cause> {
        requirement(pin, &self.folder())
    }

    fn folder(&self) -> PathBuf {
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

/// Returns whether a pin comes from a URL or a path, and not from an index.
fn is_direct(pin: &Pin) -> bool {
    !matches!(pin.source, PinSource::Index(_))
}

/// Returns the pins of the distributions that the `Pipfile` names. If there is no such file, returns all pins.
fn of_pipenv(pins: &Pins, request: &ProjectRequest, groups: &[String]) -> Result<Vec<Requirement>, Cause> {
    let names = match fs::read_to_string(request.folder.join("Pipfile")) {
        Ok(text) => Some(Pins::names_of_pipfile(&text, groups)?),
        Err(_) => None,
    };
    let is_direct = |pin: &&Pin| names.as_ref().is_none_or(|names| names.contains(&pin.name));
    pins.pins.iter().filter(is_direct).map(|pin| requirement(pin, &request.folder)).collect()
}

/// Returns a pin as a requirement. Paths are relative to `folder`. The marker has no extras, because a pin also applies
/// if a requirement with an extra leads to it.
fn requirement(pin: &Pin, folder: &Path) -> Result<Requirement, Cause> {
    let source = match &pin.source {
        PinSource::Index(_) => format!("=={}", pin.version),
        PinSource::Url(url) => format!(" @ {url}"),
        PinSource::Path(path) => url_of_path(folder, path)?,
    };
    let marker = pin.marker.as_ref().map(|marker| format!(" ; {marker}")).unwrap_or_default();
    let extras = if pin.extras.is_empty() { String::new() } else { format!("[{}]", pin.extras.join(",")) };
    let mut requirement = parsed(&format!("{}{extras}{source}{marker}", pin.name))?;
    requirement.marker = requirement.marker.without_extras();
    match &pin.source {
        PinSource::Index(Some(url)) => assigned(requirement, url),
        _ => Ok(requirement),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::project::Extras;

    fn request(folder: &Path, kind: LockKind, text: &str) -> ProjectRequest {
        let path = folder.join(kind.file_name());
        fs::write(&path, text).unwrap();
        ProjectRequest {
            folder: folder.to_owned(),
            extras: Extras::Named(Vec::new()),
            groups: Vec::new(),
            is_package: false,
            lock: Some(FoundLock { kind, path }),
        }
    }

    fn shown(requirements: &[Requirement]) -> Vec<String> {
        requirements.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn pins_become_limits_with_digests_and_direct_ones_replacements() {
        let home = tempfile::tempdir().unwrap();
        let text = r#"{"_meta": {"pipfile-spec": 6, "sources": []}, "default": {
            "six": {"version": "==1.16.0", "hashes": ["sha256:aa"], "markers": "python_version >= '3.8'"},
            "mine": {"path": "./libs/mine-1-py3-none-any.whl"}
        }}"#;
        let request = request(home.path(), LockKind::Pipenv, text);
        let pinned = Pinned::read(&request).unwrap().unwrap();
        assert_eq!(pinned.requirements.len(), 2);
        assert_eq!(shown(&pinned.constraints().unwrap()), ["six==1.16.0 ; python_full_version >= '3.8'"]);
        let hashes = pinned.hashes().unwrap();
        assert_eq!((hashes.len(), &hashes[0].hashes[..]), (1, &["sha256:aa".to_owned()][..]));
        let direct = [parsed("mine[fast]>=1").unwrap()];
        let replaced = shown(&pinned.replacements(&direct, &Tables::read(&request).unwrap()).unwrap());
        assert!(replaced[0].starts_with("mine[fast] @ file:///"), "{}", replaced[0]);
        assert!(pinned.is_for_all_indexes() && pinned.check(&Answer::default(), &[]).is_ok());
    }

    #[test]
    fn a_lock_of_poetry_without_markers_limits_and_prefers_its_versions() {
        let home = tempfile::tempdir().unwrap();
        fs::write(
            home.path().join("pyproject.toml"),
            "[tool.poetry.dependencies]\ntool = { git = 'x', markers = \"os_name == 'nt'\", extras = ['a'] }",
        )
        .unwrap();
        let text = r#"
            [[package]]
            name = "numpy"
            version = "1.26.4"
            files = [{ file = "a", hash = "sha256:aa" }]
            [[package]]
            name = "numpy"
            version = "2.0.1+cpu"
            files = [{ file = "b", hash = "sha256:bb" }]
            [package.source]
            type = "legacy"
            url = "https://me:secret@index.example/simple"
            reference = "own"
            [[package]]
            name = "inner"
            version = "1"
            markers = "extra == 'x'"
            [package.source]
            type = "legacy"
            url = "https://me:secret@index.example/simple"
            [[package]]
            name = "tool"
            version = "1"
            [package.source]
            type = "git"
            url = "https://host.example/tool"
            resolved_reference = "abc"
            [metadata]
            lock-version = "2.0"
        "#;
        let request = request(home.path(), LockKind::Poetry, text);
        let pinned = Pinned::read(&request).unwrap().unwrap();
        let constraints = shown(&pinned.constraints().unwrap());
        assert_eq!(constraints[0], "inner==1 (index: https://index.example/simple)");
        assert_eq!(constraints[1], "numpy>=1.26.4, <=2.0.1");
        let versions: Vec<_> = pinned.preferred().into_iter().map(|pin| pin.version).collect();
        assert_eq!(versions, ["2.0.1+cpu", "1.26.4"]);
        assert_eq!(pinned.hashes().unwrap().len(), 2);
        let replaced = shown(&pinned.replacements(&[], &Tables::read(&request).unwrap()).unwrap());
        assert_eq!(replaced, ["tool[a] @ git+https://host.example/tool@abc ; os_name == 'nt'"]);
        assert!(!pinned.is_for_all_indexes());
    }
}
