//! Source -> an archive in the store, and the files in it that decide how it is built.

use std::path::{Path, PathBuf};

use fs_err as fs;

use super::error::Reason;
use super::folder;
use crate::formats::pyproject::Pyproject;
use crate::formats::sdist::{self, Sdist};
use crate::model::allowed_hashes::AllowedHashes;
use crate::model::digest::Digest;
use crate::model::distribution_name::normalised;
use crate::model::lock::{LockedWheel, WheelSource};
use crate::model::source::{BuiltFrom, BuiltPlace, Source, SourcePlace};
use crate::outside::http::Download;
use crate::outside::store::Bucket;
use crate::outside::world::World;

/// A source whose archive is in the store.
#[derive(Debug, Clone)]
pub(crate) struct OpenSource {
    pub(crate) source: Source,
    /// The digest of the archive. A folder becomes an archive too.
    pub(crate) archive: Digest,
    pub(crate) sdist: Sdist,
    /// Whether the archive has the history of a repository.
    pub(crate) has_git: bool,
}

impl OpenSource {
    /// Returns this opened source with `source` instead of its own source. Both sources have the same place, but they
    /// may allow different hashes. Fails if `source` does not allow the hash of the archive.
    pub(crate) fn checked(&self, source: &Source, world: &World) -> Result<Self, Reason> {
        refuse_others(source, &self.archive, world)?;
        Ok(Self { source: source.clone(), ..self.clone() })
    }

    /// Returns the normalised name in `pyproject.toml`, if it has one.
    pub(crate) fn name(&self) -> Option<String> {
        let pyproject = Pyproject::parse(self.sdist.pyproject.as_deref()?).ok()?;
        pyproject.name.as_deref().map(normalised)
    }

    /// Returns the source in the form in which a lock contains it.
    pub(crate) fn built_from(&self) -> BuiltFrom {
        let place = match &self.source.place {
            SourcePlace::Url { url, .. } => BuiltPlace::Archive { url: url.clone() },
            SourcePlace::Path(path) => BuiltPlace::Archive { url: file_url(path) },
            SourcePlace::Folder(path) => BuiltPlace::Folder(path.clone()),
            SourcePlace::Commit { url, commit, .. } => BuiltPlace::Git { url: url.clone(), commit: commit.clone() },
        };
        let (subdirectory, archive) = (self.source.subdirectory.clone(), self.archive);
        BuiltFrom { place, subdirectory, archive, has_git: self.has_git }
    }

    /// Returns whether PKG-INFO contains the metadata of this source. In a folder, PKG-INFO may be left from an old
    /// build, so it does not count.
    pub(crate) fn is_published(&self) -> bool {
        is_published(&self.source)
    }
}

fn is_published(source: &Source) -> bool {
    matches!(source.place, SourcePlace::Url { .. } | SourcePlace::Path(_))
}

/// Fails if the source does not allow the hash of the archive.
fn refuse_others(source: &Source, archive: &Digest, world: &World) -> Result<(), Reason> {
    let allowed = &source.allowed;
    if !is_published(source) {
        return Ok(());
    }
    if !allowed.allows_sha256(archive) {
        return Err(Reason::Digest { found: *archive, allowed: allowed.sha256s.clone() });
    }
    let unreadable = |source| Reason::Take { path: world.store.parcel_path(archive), source };
    if !world.store.parcel_matches(archive, allowed).map_err(unreadable)? {
        return Err(Reason::Hash);
    }
    Ok(())
}

fn file_url(path: &Path) -> String {
    url::Url::from_file_path(path).map(String::from).unwrap_or_else(|()| format!("file://{}", path.display()))
}

/// Fetches or copies a source.
pub(crate) fn open(source: &Source, world: &World) -> Result<OpenSource, Reason> {
    let mut has_git = false;
    let archive = match &source.place {
        SourcePlace::Url { url, file_name, .. } => fetch(source, url, file_name, world)?,
        SourcePlace::Path(path) => {
            let taken = world.store.copy_parcel(path);
            taken.map_err(|source| Reason::Take { path: path.clone(), source })?.0
        }
        SourcePlace::Folder(path) => {
            has_git = folder::wants_git(path, path);
            folder::archive(path, has_git, &world.store)?
        }
        SourcePlace::Commit { checkout, .. } => {
            let project = source.subdirectory.as_ref().map_or_else(|| checkout.clone(), |inside| checkout.join(inside));
            has_git = folder::wants_git(&project, checkout);
            folder::archive(checkout, has_git, &world.store)?
        }
    };
    refuse_others(source, &archive, world)?;
    let sdist = read(source, archive, world)?;
    Ok(OpenSource { source: source.clone(), archive, sdist, has_git })
}

/// Opens the source of a lock. Its archive must be the one of the lock, unless the source is the user's own folder.
pub(crate) fn open_again(wheel: &LockedWheel, from: &BuiltFrom, world: &World) -> Result<OpenSource, Reason> {
    let BuiltFrom { place, subdirectory, archive, has_git } = from;
    let is_indexed = wheel.source == WheelSource::Index;
    let mut source = Source {
        name: Some(wheel.name.clone()),
        version: None,
        place: match place {
            BuiltPlace::Archive { url } => match place.path() {
                Some(path) => SourcePlace::Path(path),
                None => SourcePlace::Url { url: url.clone(), file_name: file_name(url), is_indexed },
            },
            BuiltPlace::Git { url, commit } => {
                SourcePlace::Commit { checkout: PathBuf::new(), url: url.clone(), commit: commit.clone() }
            }
            BuiltPlace::Folder(path) => SourcePlace::Folder(path.clone()),
        },
        subdirectory: subdirectory.clone(),
        allowed: AllowedHashes::of_sha256(*archive),
        other_python: None,
    };
    if matches!(place, BuiltPlace::Archive { .. }) {
        source.version = Some(wheel.version.clone());
    }
    if !matches!(place, BuiltPlace::Folder(_)) && is_here(archive, world)? {
        let sdist = read(&source, *archive, world)?;
        return Ok(OpenSource { source, archive: *archive, sdist, has_git: *has_git });
    }
    if let SourcePlace::Commit { checkout, url, commit } = &mut source.place {
        *checkout = world.pypi.checkout(url, commit).map_err(Reason::Checkout)?;
    }
    open(&source, world)
}

/// Returns whether a file of a lock is in the store. If it is in the vendor folder, copies it into the store first.
pub(crate) fn is_here(digest: &Digest, world: &World) -> Result<bool, Reason> {
    if world.store.has_parcel(digest, None) {
        return Ok(true);
    }
    let taken = world.vendor.as_ref().map(|vendor| vendor.take(digest, &world.store)).transpose();
    Ok(taken.map_err(Reason::Vendor)?.unwrap_or(false))
}

/// Returns the last part of a URL.
fn file_name(url: &str) -> String {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    path.rsplit('/').next().unwrap_or_default().to_owned()
}

fn fetch(source: &Source, url: &str, file_name: &str, world: &World) -> Result<Digest, Reason> {
    let Some(digest) = source.allowed.known() else {
        return Ok(world.http.download_unpinned(file_name, url, &world.store).map_err(Reason::Fetch)?.0);
    };
    let (name, url) = (file_name.to_owned(), url.to_owned());
    let download = Download { name, url, other_urls: Vec::new(), digest, size_bytes: None };
    world.http.download_all(&[download], &world.store).map_err(Reason::Fetch)?;
    Ok(digest)
}

/// Returns the files of an archive in the store, from the cache if it was read before.
fn read(source: &Source, archive: Digest, world: &World) -> Result<Sdist, Reason> {
    let subdirectory = source.subdirectory.as_deref();
    let key = Digest::of_fields([archive.as_bytes().as_slice(), subdirectory.unwrap_or_default().as_bytes()]);
    if let Some(sdist) = world.store.entry(Bucket::Sdists, &key) {
        return Ok(sdist);
    }
    let path = world.store.parcel_path(&archive);
    let file = fs::File::open(&path).map_err(Reason::Work)?;
    let sdist = sdist::read(std::io::BufReader::new(file), subdirectory)
        .map_err(|error| Reason::Archive { file_name: source.place.shown(), source: error })?;
    world.store.write_entry(Bucket::Sdists, &key, &sdist)?;
    Ok(sdist)
}
