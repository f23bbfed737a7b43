//! Finds newer versions of the requested distributions that require another Python. No request is sent, because the
//! index pages are in uv's cache.

use std::collections::BTreeMap;

use tokio::sync::Semaphore;
use uv_cache::Cache;
use uv_client::{MetadataFormat, OwnedArchive, RegistryClient, RegistryClientBuilder};
use uv_distribution_filename::DistFilename;
use uv_distribution_types::{File, IndexCapabilities, IndexLocations, Requirement, RequirementSource};
use uv_normalize::PackageName;
use uv_pep440::{Operator, Version, VersionSpecifiers};
use uv_resolver::ExcludeNewer;

use crate::catalog::releases;
use crate::model::hint::{Hint, RequestHint};
use crate::model::platform::PythonVersion;
use crate::model::request::Indexes;
use crate::outside::pypi::refusals::Refusals;
use crate::outside::pypi::target::{System, Target};
use crate::outside::pypi::wheels::Answer;
use crate::outside::pypi::{Pypi, PypiError, indexes};

/// The values that decide which versions are found.
pub(super) struct Search<'a> {
    pub(super) indexes: &'a Indexes,
    pub(super) locations: &'a IndexLocations,
    pub(super) requirements: &'a [Requirement],
    pub(super) target: &'a Target,
}

/// The result of a request, and the values on which it depends.
struct Resolved<'a> {
    /// A client that does not use the network.
    client: &'a RegistryClient,
    search: &'a Search<'a>,
    exclude_newer: &'a ExcludeNewer,
    /// The chosen versions, by normalised name.
    chosen: BTreeMap<&'a str, Version>,
}

/// A version that does not support the image's Python.
struct Newer {
    version: Version,
    python: PythonVersion,
}

impl Pypi {
    /// Returns a hint for each requirement of `search` that has a newer version than the chosen one, if this newer
    /// version does not support the image's Python.
    pub(super) async fn newer(&self, search: &Search<'_>, answer: &Answer) -> Result<Vec<Hint>, PypiError> {
        let offline = Self { offline: true, ..self.clone() };
        let cache = Cache::from_path(&self.cache_dir).init().await.map_err(|error| PypiError::Setup(error.into()))?;
        let base = offline.base_client(&Refusals::default())?;
        let client = RegistryClientBuilder::new(base, cache)
            .index_locations(search.locations.clone())
            .torch_backend(indexes::torch(search.indexes)?)
            .build()
            .map_err(|error| PypiError::Setup(error.into()))?;
        let of_index = answer.wheels.iter().map(|wheel| (wheel.name.as_str(), &wheel.version));
        let chosen = of_index.chain(answer.direct.iter().map(|wheel| (wheel.name.as_str(), &wheel.version)));
        let chosen = chosen.filter_map(|(name, version)| Some((name, version.parse().ok()?))).collect();
        let exclude_newer = &indexes::exclude_newer(search.indexes)?;
        Ok(Resolved { client: &client, search, exclude_newer, chosen }.hints().await)
    }
}

impl Resolved<'_> {
    async fn hints(&self) -> Vec<Hint> {
        let mut hints = Vec::new();
        for requirement in self.search.requirements {
            let RequirementSource::Registry { specifier, index: None, .. } = &requirement.source else { continue };
            let Some(chosen) = self.chosen.get(requirement.name.as_str()) else { continue };
            if is_pinned(specifier) {
                continue;
            }
            let Some(newer) = self.newer(&requirement.name, specifier, chosen).await else { continue };
            let hint = RequestHint::NewerForPython {
                name: requirement.name.to_string(),
                chosen: chosen.to_string(),
                newer: newer.version.to_string(),
                python: newer.python.to_string(),
            };
            hints.push(Hint::Request(hint));
        }
        hints.dedup();
        hints
    }

    /// Returns the newest of those versions of `name` that `specifier` allows, that are newer than `chosen`, and that
    /// require another Python.
    async fn newer(&self, name: &PackageName, specifier: &VersionSpecifiers, chosen: &Version) -> Option<Newer> {
        let (capabilities, one) = (IndexCapabilities::default(), Semaphore::new(1));
        let pages = self.client.simple_detail(name, None, &capabilities, &one).await.ok()?;
        let (_, MetadataFormat::Simple(page)) = pages.into_iter().next()? else { return None };
        let before = self.exclude_newer.exclude_newer_package_for_index(name, None);
        let before = before.map(|time| time.as_millisecond());
        let is_usable = |file: &File| {
            let is_old = before.is_none_or(|before| file.upload_time_utc_ms.is_some_and(|time| time < before));
            is_old && !file.yanked.as_ref().is_some_and(|yanked| yanked.is_yanked())
        };
        for datum in OwnedArchive::deserialize(&page).into_iter().rev() {
            let version = datum.version;
            if version <= *chosen {
                return None;
            }
            let is_unwanted = version.any_prerelease() && !chosen.any_prerelease();
            if is_unwanted || !specifier.contains(&version) {
                continue;
            }
            let files: Vec<_> = datum.files.all(name).filter(|(_, file)| is_usable(file)).collect();
            if let Some(python) = self.other_python(&files) {
                return Some(Newer { version, python });
            }
        }
        None
    }

    /// Returns the newest Python that can use a wheel of `files`. Returns `None` if one of `files` accepts the image's
    /// Python.
    fn other_python(&self, files: &[(DistFilename, File)]) -> Option<PythonVersion> {
        let own = self.search.target.python();
        let pythons = |file: &File| file.requires_python.clone();
        let excludes = |(_, file): &(DistFilename, File)| pythons(file).is_some_and(|pythons| !pythons.contains(&own));
        if !files.iter().all(excludes) {
            return None;
        }
        let of_file = |(name, file): &(DistFilename, File)| {
            let DistFilename::WheelFilename(wheel) = name else { return None };
            newest_accepted(&*pythons(file)?, |python| {
                let full = format!("{python}.0");
                let system = System {
                    platform: self.search.target.platform,
                    python: &full,
                    libc: self.search.target.libc,
                    installed: &[],
                    is_image: false,
                };
                Target::new(system, python).is_ok_and(|target| wheel.is_compatible(&target.tags))
            })
        };
        files.iter().filter_map(of_file).max()
    }
}

/// Of the Pythons of all releases, returns the newest one that both `pythons` and `fits` accept.
pub(super) fn newest_accepted(
    pythons: &VersionSpecifiers,
    fits: impl Fn(PythonVersion) -> bool,
) -> Option<PythonVersion> {
    let accepted = |python: &PythonVersion| {
        let is_allowed = format!("{python}.99").parse::<Version>().is_ok_and(|version| pythons.contains(&version));
        is_allowed && fits(*python)
    };
    releases::for_python().into_iter().map(|release| release.python).filter(accepted).max()
}

/// Returns whether the specifier allows only one version.
fn is_pinned(specifier: &VersionSpecifiers) -> bool {
    specifier.iter().any(|one| matches!(one.operator(), Operator::Equal | Operator::ExactEqual))
}
