//! Takes the Python half of a lock from a `pylock.toml` (PEP 751) that another tool has written, such as pip or uv.
//! Nothing is resolved.

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
use crate::formats::pylock::{self, Archive, Directory, File, MAX_LOCK_BYTES, Package, Pylock, PylockError, Vcs};
use crate::model::allowed_hashes::AllowedHashes;
use crate::model::lock::LockedWheel;
use crate::model::lock_file::ForeignLock;
use crate::model::platform::PythonVersion;
use crate::model::project::Extras;
use crate::model::request::{BuildsRequest, PythonRequest};
use crate::model::secret_text::{public, without_credentials};
use crate::model::source::{Source, SourcePlace};
use crate::outside::pypi::target::Target;
use crate::outside::pypi::{Answer, ChosenSource, DirectWheel, Place, Pypi, PypiError, SourceFailure, System};

/// The reason why a lock cannot be used for a platform.
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
    #[error("it has no extra `{extra}`: {}", listed(.known))]
    NoExtra { extra: String, known: Vec<String> },
    #[error("it has no group `{group}`: {}", listed(.known))]
    NoGroup { group: String, known: Vec<String> },
    #[error("`{name}` comes from a repository of the kind `{kind}`, and lath only reads those of git")]
    Repository { name: String, kind: String },
    #[error("`{0}` has neither wheels nor another source")]
    NoSource(String),
    #[error("it has no sha256, sha384 or sha512 of `{0}`")]
    NoHash(String),
    #[error("it has no URL and no path of `{0}`")]
    NoPlace(String),
    #[error("the URL `{0}` is not one of http, https or file")]
    Url(String),
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "it has none".to_owned() } else { format!("it has `{}`", names.join("`, `")) }
}

impl Pypi {
    /// Returns the distributions of a lock for `system`.
    pub(crate) fn of_lock(
        &self,
        lock: &ForeignLock,
        system: System<'_>,
        python: &PythonRequest,
    ) -> Result<Answer, PypiError> {
        let target = Target::new(system, python.version).map_err(PypiError::Setup)?;
        let ForeignLock { path, extras, groups } = lock;
        let unfit = |source| PypiError::Lock {
            path: path.clone(),
            platform: target.platform.to_string(),
            python: python.version.to_string(),
            source: Box::new(source),
        };
        let pylock::Read { lock, is_newer } = read(path).map_err(unfit)?;
        let folder = std::path::absolute(path).map_err(|error| unfit(UnfitLock::Read(error)))?;
        let folder = folder.parent().unwrap_or(Path::new("/"));
        let mut answer = Answer::default();
        let parts = Parts::of(&lock, extras, groups).map_err(unfit)?;
        for package in chosen(&lock, &target, &parts).map_err(unfit)? {
            let builds = &python.builds;
            let fetched = Chosen { package, target: &target, folder, pypi: self, builds }.fetched().map_err(unfit)?;
            match fetched {
                Fetched::Pinned(wheel) => answer.wheels.push(wheel),
                Fetched::Direct(wheel) => answer.direct.push(wheel),
                Fetched::Built(source) => {
                    let source = self.checked_out(source).map_err(PypiError::Build)?;
                    // The dependencies between distributions are found later, when all wheels are opened.
                    answer.sources.push(ChosenSource { source, is_requested: false, required_by: Vec::new() });
                }
            }
        }
        if is_newer {
            let version = &lock.lock_version;
            answer.warnings.push(format!("`{}` has the newer `lock-version` {version}", path.display()));
        }
        Ok(answer)
    }

    /// If the source is in a repository, fetches its commit.
    fn checked_out(&self, mut source: Source) -> Result<Source, SourceFailure> {
        if let SourcePlace::Commit { checkout, url, commit } = &mut source.place {
            *checkout = self.checkout(url, commit)?;
        }
        Ok(source)
    }

    /// Returns for each distribution the names of the distributions that depend on it. `metadata` contains the text of
    /// each METADATA file, by name. Dependencies of all extras count, because a lock does not record which extras were
    /// requested.
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

/// Returns whether both names mean the same distribution.
fn is_same_name(one: &str, other: &str) -> bool {
    PackageName::from_str(one).is_ok_and(|one| PackageName::from_str(other).is_ok_and(|other| one == other))
}

fn read(path: &Path) -> Result<pylock::Read, UnfitLock> {
    let size_bytes = fs::metadata(path).map_err(UnfitLock::Read)?.len();
    if size_bytes > MAX_LOCK_BYTES {
        return Err(PylockError::TooLarge { max_bytes: MAX_LOCK_BYTES }.into());
    }
    Ok(pylock::parse(&fs::read_to_string(path).map_err(UnfitLock::Read)?)?)
}

/// The optional parts of a lock that are installed.
struct Parts {
    extras: Vec<ExtraName>,
    groups: Vec<GroupName>,
}

impl Parts {
    /// Returns the parts that the user named, and the default groups. Refuses a part that the lock does not have (the
    /// specification, "Installation").
    fn of(lock: &Pylock, extras: &Extras, groups: &[String]) -> Result<Self, UnfitLock> {
        let known: Vec<ExtraName> = lock.extras.iter().filter_map(|extra| ExtraName::from_str(extra).ok()).collect();
        let named = |extra: &String| {
            let no_extra = || UnfitLock::NoExtra { extra: extra.clone(), known: lock.extras.clone() };
            ExtraName::from_str(extra).ok().filter(|extra| known.contains(extra)).ok_or_else(no_extra)
        };
        let extras = match extras {
            Extras::All => known.clone(),
            Extras::Named(names) => names.iter().map(named).collect::<Result<_, _>>()?,
        };
        let parsed = |groups: &[String]| -> Vec<GroupName> {
            groups.iter().filter_map(|group| GroupName::from_str(group).ok()).collect()
        };
        let (known, mut all) = (parsed(&lock.dependency_groups), parsed(&lock.default_groups));
        for group in groups {
            let no_group = || UnfitLock::NoGroup { group: group.clone(), known: lock.dependency_groups.clone() };
            let named = GroupName::from_str(group).ok().filter(|group| known.contains(group));
            all.push(named.ok_or_else(no_group)?);
        }
        Ok(Self { extras, groups: all })
    }
}

/// Returns the packages for `target` (the specification, "Installation").
fn chosen<'a>(lock: &'a Pylock, target: &Target, parts: &Parts) -> Result<Vec<&'a Package>, UnfitLock> {
    let holds = |of: &str, marker: &str| {
        let read = MarkerTree::from_str(marker);
        let unreadable = |_| UnfitLock::Marker { of: of.to_owned(), marker: marker.to_owned() };
        let marker = read.map_err(unreadable)?;
        Ok::<bool, UnfitLock>(marker.evaluate_pep751(&target.markers, &parts.extras, &parts.groups))
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

/// A distribution. The variants differ in the facts that the lock contains about its bytes.
enum Fetched {
    /// The sha256 is known, and perhaps the size.
    Pinned(LockedWheel),
    /// The wheel must be fetched before it can be locked.
    Direct(DirectWheel),
    /// It must be built from source.
    Built(Source),
}

/// A package of the lock that is installed on the target.
struct Chosen<'a> {
    package: &'a Package,
    target: &'a Target,
    folder: &'a Path,
    pypi: &'a Pypi,
    builds: &'a BuildsRequest,
}

impl Chosen<'_> {
    /// Returns the file that is installed, or the source from which it is built.
    fn fetched(&self) -> Result<Fetched, UnfitLock> {
        let Package { name, vcs, directory, archive, sdist, wheels, .. } = self.package;
        if let Some(Archive { file, subdirectory }) = archive {
            let Some(named) = file.file_name().and_then(|name| name.parse::<WheelFilename>().ok()) else {
                return self.archive(file, subdirectory.clone(), true);
            };
            if !named.compatibility(&self.target.tags).is_compatible() {
                return Err(self.without_wheel());
            }
            return self.wheel(file, &named, true);
        }
        if let Some(vcs) = vcs {
            return self.repository(vcs);
        }
        if let Some(Directory { path, subdirectory, .. }) = directory {
            let path = self.folder.join(path);
            let place = SourcePlace::Folder(fs::canonicalize(&path).unwrap_or(path));
            return Ok(self.built(place, subdirectory.clone(), AllowedHashes::default()));
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
        let is_always_built = self.builds.no_binary_packages.iter().any(|other| is_same_name(other, name));
        match (best, sdist) {
            (Some((_, named, file)), _) if !is_always_built => self.wheel(file, &named, false),
            (_, Some(sdist)) => self.archive(sdist, None, false),
            (Some((_, named, file)), None) => self.wheel(file, &named, false),
            (None, None) if !wheels.is_empty() => Err(self.without_wheel()),
            (None, None) => Err(UnfitLock::NoSource(name.clone())),
        }
    }

    /// Returns a source distribution.
    fn archive(&self, file: &File, subdirectory: Option<String>, is_archive: bool) -> Result<Fetched, UnfitLock> {
        let file_name = file.file_name().ok_or_else(|| UnfitLock::NoPlace(self.package.name.clone()))?;
        let allowed = AllowedHashes::of_file(&file.hashes).ok_or_else(|| UnfitLock::NoHash(file_name.clone()))?;
        let place = match self.place(file, &file_name, is_archive)? {
            Place::Path(path) => SourcePlace::Path(path),
            Place::Url(url) | Place::Index(url) => SourcePlace::Url { url, file_name, is_indexed: !is_archive },
        };
        Ok(self.built(place, subdirectory, allowed))
    }

    /// Returns a commit of a repository. The commit is checked out later.
    fn repository(&self, vcs: &Vcs) -> Result<Fetched, UnfitLock> {
        let Vcs { kind, url, path, commit_id, subdirectory, .. } = vcs;
        let name = &self.package.name;
        if kind != "git" {
            return Err(UnfitLock::Repository { name: name.clone(), kind: kind.clone() });
        }
        let of_path = || url::Url::from_file_path(self.folder.join(path.as_ref()?)).ok().map(String::from);
        let url = url.clone().or_else(of_path).ok_or_else(|| UnfitLock::NoPlace(name.clone()))?;
        let place = SourcePlace::Commit { checkout: PathBuf::new(), url, commit: commit_id.clone() };
        Ok(self.built(place, subdirectory.clone(), AllowedHashes::default()))
    }

    fn built(&self, place: SourcePlace, subdirectory: Option<String>, allowed: AllowedHashes) -> Fetched {
        let name = PackageName::from_str(&self.package.name).ok().map(|name| name.to_string());
        Fetched::Built(Source {
            name,
            version: self.package.version.clone(),
            place,
            subdirectory,
            allowed,
            other_python: None,
        })
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

    fn wheel(&self, file: &File, named: &WheelFilename, is_archive: bool) -> Result<Fetched, UnfitLock> {
        let file_name = file.file_name().unwrap_or_default();
        let allowed = AllowedHashes::of_file(&file.hashes).ok_or_else(|| UnfitLock::NoHash(file_name.clone()))?;
        let place = self.place(file, &file_name, is_archive)?;
        let known = allowed.known().filter(|_| !matches!(place, Place::Path(_)));
        let wheel = DirectWheel {
            name: named.name.to_string(),
            version: named.version.to_string(),
            file_name,
            place,
            allowed,
            is_requested: false,
            required_by: Vec::new(),
        };
        Ok(match known {
            Some(digest) => Fetched::Pinned(wheel.locked(digest, file.size)),
            None => Fetched::Direct(wheel),
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
