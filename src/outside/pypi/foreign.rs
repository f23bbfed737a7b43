//! Locks as an input: the Python half comes from a `pylock.toml` (PEP 751), which pip or uv may have written. Nothing is
//! resolved.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::str::FromStr as _;

use fs_err as fs;
use thiserror::Error;
use uv_distribution_filename::WheelFilename;
use uv_normalize::{ExtraName, GroupName, PackageName};
use uv_pep440::VersionSpecifiers;
use uv_pep508::{MarkerTree, Requirement};
use uv_platform_tags::TagCompatibility;
use uv_pypi_types::VerbatimParsedUrl;

use crate::formats::metadata;
use crate::formats::pylock::{self, File, MAX_LOCK_BYTES, Package, Pylock, PylockError};
use crate::model::digest::Digest;
use crate::model::platform::PythonVersion;
use crate::model::secret_text::{public, without_credentials};
use crate::outside::pypi::target::Target;
use crate::outside::pypi::wheels::OtherHash;
use crate::outside::pypi::{Answer, DirectWheel, Place, Pypi, PypiError, System};

/// Why a lock cannot be used for a platform.
#[derive(Debug, Error)]
pub(crate) enum UnfitLock {
    #[error("it cannot be read")]
    Read(#[source] std::io::Error),
    #[error(transparent)]
    Form(#[from] PylockError),
    #[error("it is for python `{0}`")]
    Python(String),
    #[error("it is only for environments with {0}")]
    Environment(String),
    #[error("the marker `{marker}` of {of} cannot be read")]
    Marker { of: String, marker: String },
    #[error("the name `{0}` of a package is not valid")]
    Name(String),
    #[error("it has `{name}` twice for this platform: {versions}")]
    Twice { name: String, versions: String },
    #[error("no wheel of `{name}` is for this platform: it has {files}")]
    NoWheel { name: String, files: String },
    #[error("`{name}` is {what}, and lath does not build these from a lock")]
    FromSource { name: String, what: &'static str },
    #[error("`{0}` has neither wheels nor another source")]
    NoSource(String),
    #[error("it has no sha256, sha384 or sha512 of `{0}`")]
    NoHash(String),
    #[error("it has no URL and no path of `{0}`")]
    NoPlace(String),
    #[error("the URL `{0}` is not one of http, https or file")]
    Url(String),
}

impl Pypi {
    /// Returns the wheels of the lock `path` for `system`.
    pub(crate) fn of_lock(&self, path: &Path, system: System<'_>, version: PythonVersion) -> Result<Answer, PypiError> {
        let target = Target::new(system, version).map_err(PypiError::Setup)?;
        let unfit = |source| PypiError::Lock {
            path: path.to_owned(),
            platform: target.platform.to_string(),
            python: version.to_string(),
            source: Box::new(source),
        };
        let pylock::Read { lock, is_newer } = read(path).map_err(unfit)?;
        let folder = std::path::absolute(path).map_err(|error| unfit(UnfitLock::Read(error)))?;
        let folder = folder.parent().unwrap_or(Path::new("/"));
        let mut answer = Answer::default();
        for package in chosen(&lock, &target).map_err(unfit)? {
            let wheel = Chosen { package, target: &target, folder, pypi: self }.wheel().map_err(unfit)?;
            match wheel {
                Fetched::Pinned(wheel) => answer.wheels.push(wheel.locked(wheel.allowed[0], None)),
                Fetched::Sized(wheel, size_bytes) => {
                    answer.wheels.push(wheel.locked(wheel.allowed[0], Some(size_bytes)))
                }
                Fetched::Direct(wheel) => answer.direct.push(wheel),
            }
        }
        if is_newer {
            let version = &lock.lock_version;
            answer.warnings.push(format!("`{}` has the newer `lock-version` {version}", path.display()));
        }
        Ok(answer)
    }

    /// Returns, for each distribution, the names of the others that depend on it. `metadata` are the texts of METADATA by
    /// name. A dependency of any extra counts, because a lock does not contain which extras were requested.
    pub(crate) fn edges(
        &self,
        metadata: &BTreeMap<String, &str>,
        system: System<'_>,
        version: PythonVersion,
    ) -> Result<BTreeMap<String, BTreeSet<String>>, PypiError> {
        let target = Target::new(system, version).map_err(PypiError::Setup)?;
        let mut edges: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (name, text) in metadata {
            let (requirements, extras) = metadata::requirements(text);
            let extras: Vec<ExtraName> = extras.iter().filter_map(|extra| ExtraName::from_str(extra).ok()).collect();
            let requirements =
                requirements.iter().filter_map(|text| Requirement::<VerbatimParsedUrl>::from_str(text).ok());
            for required in requirements.filter(|required| required.marker.evaluate(&target.markers, &extras)) {
                let required = required.name.to_string();
                if required != *name && metadata.contains_key(&required) {
                    edges.entry(required).or_default().insert(name.clone());
                }
            }
        }
        Ok(edges)
    }
}

fn read(path: &Path) -> Result<pylock::Read, UnfitLock> {
    let size_bytes = fs::metadata(path).map_err(UnfitLock::Read)?.len();
    if size_bytes > MAX_LOCK_BYTES {
        return Err(PylockError::TooLarge { max_bytes: MAX_LOCK_BYTES }.into());
    }
    Ok(pylock::parse(&fs::read_to_string(path).map_err(UnfitLock::Read)?)?)
}

/// Returns the packages for `target`, with the default groups and without extras (the specification, "Installation").
fn chosen<'a>(lock: &'a Pylock, target: &Target) -> Result<Vec<&'a Package>, UnfitLock> {
    let groups: Vec<GroupName> =
        lock.default_groups.iter().filter_map(|group| GroupName::from_str(group).ok()).collect();
    let holds = |of: &str, marker: &str| {
        let read = MarkerTree::from_str(marker);
        let unreadable = |_| UnfitLock::Marker { of: of.to_owned(), marker: marker.to_owned() };
        Ok::<bool, UnfitLock>(read.map_err(unreadable)?.evaluate_pep751(&target.markers, &[], &groups))
    };
    let python = &target.markers.python_full_version().version;
    let allows = |specifiers: &str| VersionSpecifiers::from_str(specifiers).is_ok_and(|all| all.contains(python));
    if let Some(specifiers) = lock.requires_python.as_deref().filter(|specifiers| !allows(specifiers)) {
        return Err(UnfitLock::Python(specifiers.to_owned()));
    }
    let mut is_for_any = lock.environments.is_empty();
    for environment in &lock.environments {
        is_for_any |= holds("the environments", environment)?;
    }
    if !is_for_any {
        return Err(UnfitLock::Environment(format!("`{}`", lock.environments.join("` or `"))));
    }
    let mut chosen: BTreeMap<String, &Package> = BTreeMap::new();
    for package in &lock.packages {
        let name = PackageName::from_str(&package.name).map_err(|_| UnfitLock::Name(package.name.clone()))?;
        if let Some(marker) = &package.marker
            && !holds(&format!("`{name}`"), marker)?
        {
            continue;
        }
        if let Some(specifiers) = package.requires_python.as_deref().filter(|specifiers| !allows(specifiers)) {
            return Err(UnfitLock::Python(specifiers.to_owned()));
        }
        if let Some(other) = chosen.insert(name.to_string(), package) {
            let versions = [other, package].map(|one| one.version.as_deref().unwrap_or("no version")).join(" and ");
            return Err(UnfitLock::Twice { name: name.to_string(), versions });
        }
    }
    Ok(chosen.into_values().collect())
}

/// A wheel, by how its bytes are known.
enum Fetched {
    /// By its sha256.
    Pinned(DirectWheel),
    /// By its sha256 and its size.
    Sized(DirectWheel, u64),
    Direct(DirectWheel),
}

/// A package that belongs to the target.
struct Chosen<'a> {
    package: &'a Package,
    target: &'a Target,
    folder: &'a Path,
    pypi: &'a Pypi,
}

impl Chosen<'_> {
    fn wheel(&self) -> Result<Fetched, UnfitLock> {
        let Package { name, vcs, directory, archive, sdist, wheels, .. } = self.package;
        let from_source = |what| UnfitLock::FromSource { name: name.clone(), what };
        if let Some(archive) = archive {
            let named = archive.file.file_name().and_then(|name| name.parse::<WheelFilename>().ok());
            let named = named.ok_or_else(|| from_source("a source distribution"))?;
            if !named.compatibility(&self.target.tags).is_compatible() {
                return Err(self.without_wheel());
            }
            return self.fetched(&archive.file, &named, true);
        }
        let fit = |file: &File| {
            let named: WheelFilename = file.file_name()?.parse().ok()?;
            match named.compatibility(&self.target.tags) {
                TagCompatibility::Compatible(priority) => Some((priority, named)),
                TagCompatibility::Incompatible(_) => None,
            }
        };
        let fitting = wheels.iter().filter_map(|file| fit(file).map(|(priority, named)| (priority, named, file)));
        let best = fitting.max_by(|(one, a, _), (other, b, _)| one.cmp(other).then(a.build_tag().cmp(&b.build_tag())));
        match best {
            Some((_, named, file)) => self.fetched(file, &named, false),
            None if !wheels.is_empty() => Err(self.without_wheel()),
            None if sdist.is_some() => Err(from_source("a source distribution")),
            None if directory.is_some() => Err(from_source("a project folder")),
            None if vcs.is_some() => Err(from_source("a repository")),
            None => Err(UnfitLock::NoSource(name.clone())),
        }
    }

    fn without_wheel(&self) -> UnfitLock {
        const SHOWN: usize = 3;
        let archive = self.package.archive.as_ref().map(|archive| &archive.file);
        let names: Vec<String> = self.package.wheels.iter().chain(archive).filter_map(File::file_name).collect();
        let shown: Vec<String> = names.iter().take(SHOWN).map(|name| format!("`{name}`")).collect();
        let more = names.len().saturating_sub(SHOWN);
        let files = shown.join(", ") + &if more > 0 { format!(" and {more} more") } else { String::new() };
        UnfitLock::NoWheel { name: self.package.name.clone(), files }
    }

    fn fetched(&self, file: &File, named: &WheelFilename, is_archive: bool) -> Result<Fetched, UnfitLock> {
        let file_name = file.file_name().unwrap_or_default();
        let sha256 = file.hashes.get("sha256").and_then(|digits| digits.parse::<Digest>().ok());
        let other_hash = OtherHash::strongest(&file.hashes);
        if sha256.is_none() && other_hash.is_none() {
            return Err(UnfitLock::NoHash(file_name));
        }
        let place = self.place(file, &file_name, is_archive)?;
        let is_remote = !matches!(place, Place::Path(_));
        let wheel = DirectWheel {
            name: named.name.to_string(),
            version: named.version.to_string(),
            file_name,
            place,
            allowed: sha256.into_iter().collect(),
            other_hash: other_hash.filter(|_| sha256.is_none()),
            is_requested: false,
            required_by: Vec::new(),
        };
        Ok(match file.size {
            Some(size_bytes) if is_remote && sha256.is_some() => Fetched::Sized(wheel, size_bytes),
            None if is_remote && sha256.is_some() => Fetched::Pinned(wheel),
            _ => Fetched::Direct(wheel),
        })
    }

    fn place(&self, file: &File, file_name: &str, is_archive: bool) -> Result<Place, UnfitLock> {
        let (Some(url), None) = (&file.url, &file.path) else {
            let path = file.path.as_ref().ok_or_else(|| UnfitLock::NoPlace(file_name.to_owned()))?;
            return Ok(Place::Path(self.folder.join(PathBuf::from(path))));
        };
        let refused = || UnfitLock::Url(public(url));
        let mut url = url::Url::parse(url).map_err(|_| refused())?;
        if url.scheme() == "file" {
            return url.to_file_path().map(Place::Path).map_err(|()| refused());
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(refused());
        }
        self.pypi.credentials.remember(url.as_str());
        url.set_fragment(None);
        let url: String = without_credentials(&url).into();
        Ok(if is_archive { Place::Url(url) } else { Place::Index(url) })
    }
}
