//! Request -> lock: every wheel and every .deb that the request comes to, for every platform.

mod debian;
mod needs;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use self::debian::{DebianError, Wanted};
use self::needs::NeedsError;
use crate::formats::relation;
use crate::model::digest::Digest;
use crate::model::event::Event;
use crate::model::lock::{Lock, LockedDeb, LockedWheel, PlatformLock};
use crate::model::platform::{Platform, PythonVersion};
use crate::model::request::{BaseRequest, Entrypoint, Request};
use crate::outside::archive::index::PackageIndex;
use crate::outside::archive::{ArchiveError, Snapshot};
use crate::outside::http::{Download, HttpError};
use crate::outside::pypi::PypiError;
use crate::outside::store::StoreError;
use crate::outside::world::World;

/// What every image has beside the interpreter: certificates, time zones, C.UTF-8, names of ports and of media types.
const ALWAYS: [(&str, &str); 5] = [
    ("ca-certificates", "TLS"),
    ("libc-bin", "the C.UTF-8 locale"),
    ("tzdata", "time zones"),
    ("netbase", "names of ports and protocols"),
    ("media-types", "the stdlib's `mimetypes`"),
];

/// Packages that only configure others while they are installed, which lath does itself, or that carry what nobody asked for.
const SKIPPED: [&str; 12] = [
    "debconf",
    "debconf-2.0",
    "cdebconf",
    "dpkg",
    "init-system-helpers",
    "install-info",
    "mailcap",
    "openssl",
    "openssl-provider-legacy",
    "perl",
    "perl-base",
    "sensible-utils",
];

/// Programs that well-known distributions call and no wheel brings.
const CALLS: [(&str, &str); 9] = [
    ("pre-commit", "git"),
    ("gitpython", "git"),
    ("commitizen", "git"),
    ("setuptools-scm", "git"),
    ("versioneer", "git"),
    ("ansible-core", "openssh-client"),
    ("graphviz", "graphviz"),
    ("pdf2image", "poppler-utils"),
    ("pytesseract", "tesseract-ocr"),
];

#[derive(Debug, Error)]
pub(crate) enum ResolveError {
    #[error(transparent)]
    Archive(#[from] ArchiveError),
    #[error(transparent)]
    Debian(#[from] DebianError),
    #[error(transparent)]
    Pypi(#[from] PypiError),
    #[error("cannot fetch the wheels")]
    Fetch(#[from] HttpError),
    #[error(transparent)]
    Needs(#[from] NeedsError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("cannot find python {version} in {distribution}'s `{suite}`: it has no package `python{version}-minimal`")]
    NoPython { version: PythonVersion, distribution: String, suite: String },
}

impl ResolveError {
    /// Ways out, beyond what the error says itself.
    pub(crate) fn hints(&self) -> Vec<String> {
        match self {
            Self::Pypi(PypiError::Resolve { hints, .. }) => hints.clone(),
            Self::Archive(error) => error.hints(),
            Self::Fetch(error) => error.hints(),
            Self::Store(error) => error.hints(),
            _ => Vec::new(),
        }
    }
}

/// What the base says of itself before any wheel is chosen.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct BaseFacts {
    /// `3.13.5`.
    python: String,
    glibc: (u16, u16),
}

/// The Debian half, decided.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct DebianHalf {
    debs: Vec<LockedDeb>,
    /// Libraries that no package was found for, each with the wheel that asks.
    missing: BTreeMap<String, String>,
}

/// Resolves both halves for each platform. Wheels are fetched on the way, since their libraries' needs are read.
pub(crate) fn resolve(request: &Request, world: &World) -> Result<Lock, ResolveError> {
    let mut platforms = Vec::new();
    for platform in &request.platforms {
        platforms.push(resolve_platform(request, *platform, world)?);
    }
    Ok(Lock { python: request.python.version, base: request.base.clone(), platforms })
}

fn resolve_platform(request: &Request, platform: Platform, world: &World) -> Result<PlatformLock, ResolveError> {
    let base = &request.base;
    let snapshot = world.archive.snapshot(base, platform.architecture, &world.http, &world.store, world.now_secs)?;
    let mut packages = Packages { snapshot, index: None, world };
    let facts = packages.facts(base, request.python.version)?;
    let wheels = world.pypi.resolve(&request.python, &facts.python, platform, facts.glibc)?;
    let downloads: Vec<Download> = wheels.iter().map(Download::of_wheel).collect();
    world.http.download_all(&downloads, &world.store)?;
    let needs = needs::needs(&wheels, platform, &world.store)?;
    let half = packages.half(request, &needs)?;
    let mut hints = hints(&wheels, &half.debs);
    hints.extend(half.missing.iter().map(|(library, wheel)| {
        format!(
            "{wheel} needs `{library}`, which no package of `{}` is known to carry: name it with `--with PACKAGE`",
            base.suite
        )
    }));
    Ok(PlatformLock { platform, wheels, debs: half.debs, hints })
}

/// The archive's packages, read only when no note answers.
struct Packages<'a> {
    snapshot: Snapshot,
    index: Option<PackageIndex>,
    world: &'a World,
}

impl Packages<'_> {
    fn index(&mut self) -> Result<&PackageIndex, ResolveError> {
        let loaded = match self.index.take() {
            Some(index) => index,
            None => self.world.archive.load(&self.snapshot, &self.world.http, &self.world.store)?,
        };
        Ok(self.index.insert(loaded))
    }

    fn facts(&mut self, base: &BaseRequest, version: PythonVersion) -> Result<BaseFacts, ResolveError> {
        const SHELF: &str = "base-facts-1";
        let key = Digest::of_fields([self.snapshot.key().as_bytes().as_slice(), version.to_string().as_bytes()]);
        if let Some(facts) = self.world.store.note(SHELF, &key) {
            return Ok(facts);
        }
        let index = self.index()?;
        let newest = |name: &str| {
            let versions = index.versions(name).into_iter().map(|package| package.version);
            versions.max_by(|one, other| relation::compare(one, other).unwrap_or(std::cmp::Ordering::Equal))
        };
        let missing = || ResolveError::NoPython {
            version,
            distribution: base.distribution.to_string(),
            suite: base.suite.clone(),
        };
        let python = newest(&format!("python{version}-minimal")).ok_or_else(missing)?;
        let libc = newest("libc6").ok_or_else(missing)?;
        // `3.13.5-2+deb13u1` and `2.41-12`: upstream's version ends where Debian's revision begins.
        let upstream = |text: &str| text.split(['-', '+', '~']).next().unwrap_or_default().to_owned();
        let libc = upstream(libc);
        let mut numbers = libc.split('.').map(|number| number.parse().unwrap_or(0));
        let glibc = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
        let facts = BaseFacts { python: upstream(python), glibc };
        self.world.store.write_note(SHELF, &key, &facts)?;
        Ok(facts)
    }

    fn half(&mut self, request: &Request, needs: &BTreeMap<String, String>) -> Result<DebianHalf, ResolveError> {
        const SHELF: &str = "debian-half-1";
        let mut wanted = roots(request);
        let question = format!("{wanted:?} {} {needs:?}", request.base.recommends);
        let key = Digest::of_fields([self.snapshot.key().as_bytes().as_slice(), question.as_bytes()]);
        if let Some(half) = self.world.store.note(SHELF, &key) {
            return Ok(half);
        }
        let world = self.world;
        let snapshot = self.snapshot.clone();
        let index = self.index()?;
        let mut half = DebianHalf::default();
        let libraries: BTreeSet<String> = needs.keys().cloned().collect();
        let unknown: BTreeSet<String> =
            libraries.iter().filter(|library| index.package_for_soname(library).is_none()).cloned().collect();
        // The archive's list of contents is a last resort, and not vital: what it cannot tell is told to the user.
        let listed = if unknown.is_empty() {
            BTreeMap::new()
        } else {
            let listed = world.archive.packages_for_sonames((&snapshot, index), &unknown, &world.http, &world.store);
            listed.unwrap_or_else(|error| {
                world.listener.hear(Event::Detail(format!("cannot look libraries up in the archive: {error}")));
                BTreeMap::new()
            })
        };
        for (library, wheel) in needs {
            match index.package_for_soname(library).or_else(|| listed.get(library).cloned()) {
                Some(package) => {
                    let reason = format!("`{library}`, which wheel {wheel} needs");
                    wanted.push(Wanted { package, reason });
                }
                None => {
                    half.missing.insert(library.clone(), wheel.clone());
                }
            }
        }
        let asked = |name: &str| wanted.iter().any(|one| one.package == name);
        let skipped: Vec<&str> = SKIPPED.into_iter().filter(|name| !asked(name)).collect();
        half.debs = debian::close(index, &wanted, &skipped, request.base.recommends)?;
        self.world.store.write_note(SHELF, &key, &half)?;
        Ok(half)
    }
}

fn roots(request: &Request) -> Vec<Wanted> {
    let version = request.python.version;
    let wanted = |package: String, reason: &str| Wanted { package, reason: reason.to_owned() };
    let mut roots = vec![
        wanted(format!("python{version}-minimal"), "the interpreter"),
        wanted(format!("libpython{version}-stdlib"), "the standard library"),
    ];
    roots.extend(ALWAYS.iter().map(|(package, reason)| wanted((*package).to_owned(), reason)));
    if request.runtime.shell || request.runtime.entrypoint == Entrypoint::Shell {
        roots.push(wanted("dash".to_owned(), "`--shell`"));
        roots.push(wanted("coreutils".to_owned(), "`--shell`"));
    }
    for package in &request.base.packages {
        roots.push(wanted(package.clone(), &format!("`--with {package}`")));
    }
    roots
}

fn hints(wheels: &[LockedWheel], debs: &[LockedDeb]) -> Vec<String> {
    let called = CALLS.iter().filter(|(caller, program)| {
        wheels.iter().any(|wheel| wheel.name == *caller) && !debs.iter().any(|deb| deb.name == *program)
    });
    called
        .map(|(caller, program)| {
            format!("{caller} calls `{program}`, which is not in the image: add it with `--with {program}`")
        })
        .collect()
}
