//! Reads the metadata of wheels, for all other modules. The metadata of sources comes from `sources`.
//!
//! uv's own code for this would also build source distributions, with the host's Python. This module never calls that
//! code.
//!
//! uv reads separate metadata files (PEP 658), which have a size limit like pages. METADATA in a wheel is compressed,
//! and uv would decompress it without a limit. Therefore, if the wheel is on a server, lath reads it itself. If the
//! wheel is a local file, lath checks it before uv reads it.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::{Arc, PoisonError};

use tokio::sync::{Mutex, Semaphore};
use uv_client::{Error, ErrorKind, RegistryClient};
use uv_distribution::ArchiveMetadata;
use uv_distribution_filename::WheelFilename;
use uv_distribution_types::{
    BuiltDist, Dist, Name as _, PathBuiltDist, RegistryBuiltDist, RegistryBuiltWheel, RequestedDist, RequiresPython,
};
use uv_pep440::{Version, VersionSpecifier, VersionSpecifiers};
use uv_pep508::VerbatimUrl;
use uv_pypi_types::ResolutionMetadata;
use uv_redacted::DisplaySafeUrl;
use uv_resolver::{MetadataResponse, ResolverProvider, WheelMetadataResult};
use uv_types::BuildContext as _;
use zip::write::SimpleFileOptions;

use crate::model::secret_text::public;
use crate::outside::http::{Bodies, BodyError};
use crate::outside::pypi::REQUESTS;
use crate::outside::pypi::metadata_entry::{self, Bound, EntryError};
use crate::outside::pypi::no_builds::NoBuilds;
use crate::outside::pypi::remote_wheel::{Failure, RemoteWheel, RemoteWheels, unreadable};
use crate::outside::pypi::sources::SourceMetadata;

/// The first number of a Python version that does not exist.
const NO_PYTHON: u64 = 9999;

/// Reads metadata of wheels by path, by URL and from indexes.
pub(super) struct WheelMetadata<'a> {
    pub(super) sources: SourceMetadata<'a>,
    client: &'a RegistryClient,
    context: &'a NoBuilds,
    bodies: &'a Bodies,
    /// The image's Python.
    python: Version,
    /// The values of `Requires-Python` that caused versions to be skipped.
    excluded: std::sync::Mutex<Vec<VersionSpecifiers>>,
    requests: Semaphore,
}

impl<'a> WheelMetadata<'a> {
    /// `python` is the exact version of the image's Python.
    pub(super) fn new(sources: SourceMetadata<'a>, bodies: &'a Bodies, python: Version) -> Self {
        let SourceMetadata { client, context, .. } = sources;
        let requests = Semaphore::new(REQUESTS);
        Self { sources, client, context, bodies, python, excluded: Default::default(), requests }
    }

    /// Returns whether `Requires-Python` excludes the image's Python, but uv would accept this Python. uv checks only
    /// the lower bound. lath also checks the rest of the specifier, like pip.
    pub(super) fn excludes(&self, pythons: &VersionSpecifiers) -> bool {
        !pythons.contains(&self.python)
            && RequiresPython::greater_than_equal_version(&self.python).is_contained_by(pythons)
    }

    /// Returns metadata that makes uv skip a version because of the image's Python. This metadata requires a Python
    /// that does not exist. [`Self::reworded`] later replaces this Python in uv's report.
    fn skipped(&self, wheel: &WheelFilename, pythons: &VersionSpecifiers) -> MetadataResponse {
        let mut excluded = self.excluded.lock().unwrap_or_else(PoisonError::into_inner);
        let known = excluded.iter().position(|known| known == pythons);
        let number = known.unwrap_or_else(|| {
            excluded.push(pythons.clone());
            excluded.len() - 1
        });
        let no_python = Version::new([NO_PYTHON, number as u64]);
        MetadataResponse::Found(ArchiveMetadata::from_metadata23(ResolutionMetadata {
            name: wheel.name.clone(),
            version: wheel.version.clone(),
            requires_dist: Box::default(),
            requires_python: Some(VersionSpecifier::greater_than_equal_version(no_python).into()),
            provides_extra: Box::default(),
            dynamic: false,
        }))
    }

    /// Replaces the Python versions in uv's report that do not exist and that [`Self::skipped`] made up. Each is
    /// replaced by the Python versions that the skipped version of a distribution accepts.
    pub(super) fn reworded(&self, report: &str) -> String {
        let excluded = self.excluded.lock().unwrap_or_else(PoisonError::into_inner);
        // Larger numbers are replaced first, because a larger number may begin with the digits of a smaller one.
        excluded.iter().enumerate().rev().fold(report.to_owned(), |report, (number, pythons)| {
            report.replace(&format!("Python >={NO_PYTHON}.{number}"), &format!("Python {pythons}"))
        })
    }

    /// Returns the metadata of `dist`, or `None` if it is not a wheel or comes from a repository.
    pub(super) async fn of(&self, dist: &Dist) -> Option<Result<ArchiveMetadata, Error>> {
        let wheel = wheel_of(dist)?;
        Some(self.read(wheel).await.map_err(Failure::into_error))
    }

    /// Returns the metadata that the user wrote for the wheel (`dependency-metadata`), or else the wheel's own
    /// metadata.
    async fn read(&self, wheel: &BuiltDist) -> Result<ArchiveMetadata, Failure> {
        if let Some(metadata) = self.context.dependency_metadata().get(wheel.name(), Some(wheel.version())) {
            return Ok(ArchiveMetadata::from_metadata23(metadata));
        }
        // The semaphore is never closed. If it were, the only effect would be one more request at once.
        let _permit = self.requests.acquire().await.ok();
        let metadata = match wheel {
            BuiltDist::DirectUrl(direct) => {
                let remote = RemoteWheel { file_name: &direct.filename, url: &direct.url, index: None };
                self.read_remote(&remote).await?
            }
            BuiltDist::Registry(registry) => match url_without_metadata(registry)? {
                Some(url) => {
                    let best = registry.best_wheel();
                    let remote = RemoteWheel { file_name: &best.filename, url: &url, index: Some(&best.index) };
                    self.read_remote(&remote).await?
                }
                None => self.read_by_uv(wheel).await?,
            },
            BuiltDist::Path(_) | BuiltDist::GitPath(_) => self.read_by_uv(wheel).await?,
        };
        Ok(ArchiveMetadata::from_metadata23(metadata))
    }

    async fn read_remote(&self, wheel: &RemoteWheel<'_>) -> Result<ResolutionMetadata, Failure> {
        let Self { client, context, bodies, .. } = *self;
        let metadata = Box::pin(RemoteWheels { client, context, bodies }.metadata(wheel)).await?;
        if metadata.name != wheel.file_name.name {
            let given = wheel.file_name.name.clone();
            return Err(ErrorKind::NameMismatch { given, metadata: metadata.name }.into());
        }
        Ok(metadata)
    }

    /// Reads the metadata file of a wheel in an index, or METADATA in a local wheel.
    async fn read_by_uv(&self, wheel: &BuiltDist) -> Result<ResolutionMetadata, Failure> {
        let file = match wheel {
            BuiltDist::Path(wheel) => Some((wheel.install_path.to_path_buf(), wheel.filename.clone())),
            BuiltDist::Registry(wheel) => {
                let best = wheel.best_wheel();
                let url = best.file.url.to_url().ok().filter(|url| url.scheme() == "file");
                url.and_then(|url| url.to_file_path().ok()).map(|path| (path, best.filename.clone()))
            }
            _ => None,
        };
        if let Some((path, file_name)) = file {
            let bodies = self.bodies.clone();
            let checked = tokio::task::spawn_blocking(move || check_size(&path, &file_name, &bodies)).await;
            checked.map_err(io::Error::other)??;
        }
        let read = self.client.wheel_metadata(wheel, self.context.git(), self.context.capabilities(), None);
        Box::pin(read).await.map_err(Failure::Read)
    }

    /// Returns the metadata in the form that the resolver needs. If a version must be skipped, `uv` is called, because
    /// only uv can create that result.
    pub(super) async fn answer(&self, dist: &Dist, uv: &impl ResolverProvider) -> WheelMetadataResult {
        if let Dist::Source(source) = dist {
            return self.sources.answer(source).await;
        }
        let Some(wheel) = wheel_of(dist) else {
            let refused = uv_distribution::Error::NoBuildPackage(dist.name().clone());
            let requested = Box::new(RequestedDist::Installable(dist.clone()));
            return Ok(MetadataResponse::Error(requested, Arc::new(refused)));
        };
        // A wheel that is named by path or URL was checked earlier.
        let of_index = match wheel {
            BuiltDist::Registry(registry) => Some(registry.best_wheel()),
            _ => None,
        };
        // If the index page already shows that the image's Python is excluded, the metadata is not needed.
        if let Some(RegistryBuiltWheel { filename, file, .. }) = of_index
            && let Some(pythons) = file.requires_python.as_deref().filter(|pythons| self.excludes(pythons))
        {
            return Ok(self.skipped(filename, pythons));
        }
        match self.read(wheel).await {
            Ok(metadata) => match (of_index, &metadata.metadata.requires_python) {
                (Some(wheel), Some(pythons)) if self.excludes(pythons) => Ok(self.skipped(&wheel.filename, pythons)),
                _ => Ok(MetadataResponse::Found(metadata)),
            },
            Err(Failure::Unusable { file_name, entries, .. }) => {
                let stand_in = StandIn::new(*file_name, &entries, self.context.cache().root());
                let stand_in = stand_in.map_err(|error| Error::from(ErrorKind::Io(error)))?;
                uv.get_or_build_wheel_metadata(&stand_in.dist).await
            }
            Err(failure) => {
                let error = failure.into_error();
                match error.kind() {
                    // If a server sends more than the limit, that is an error and not a reason to skip the version.
                    _ if BodyError::within(&error).is_some() => Err(error.into()),
                    // In these cases, either lath is offline, or uv reads the same document again. The size of this
                    // document is limited.
                    ErrorKind::Offline(_) | ErrorKind::MetadataParseError(..) | ErrorKind::Metadata(..) => {
                        uv.get_or_build_wheel_metadata(dist).await
                    }
                    _ => Err(error.into()),
                }
            }
        }
    }
}

fn wheel_of(dist: &Dist) -> Option<&BuiltDist> {
    match dist {
        Dist::Built(wheel @ (BuiltDist::Registry(_) | BuiltDist::DirectUrl(_) | BuiltDist::Path(_))) => Some(wheel),
        Dist::Built(BuiltDist::GitPath(_)) | Dist::Source(_) => None,
    }
}

/// Returns the URL of the best wheel. Returns `None` if the wheel is a local file, or if the index has a metadata file
/// for the wheel. Fails if an index on a server refers to a file on this machine.
fn url_without_metadata(registry: &RegistryBuiltDist) -> Result<Option<DisplaySafeUrl>, Failure> {
    let best = registry.best_wheel();
    let url = best.file.url.to_url().map_err(ErrorKind::InvalidUrl)?;
    if url.scheme() != "file" {
        return Ok(Some(url).filter(|_| !best.file.dist_info_metadata));
    }
    if best.index.url().scheme() != "file" {
        let (file, index) = (best.filename.to_string(), public(best.index.url().as_str()));
        return Err(unreadable(format!("the index `{index}` lists `{file}` with a path on this machine")).into());
    }
    Ok(None)
}

/// A small wheel that has the same fault as a wheel that lath has read. uv gets the path of the small wheel instead of
/// the other wheel. Because of the fault, uv skips the wheel and sends no further request.
struct StandIn {
    dist: Dist,
    _file: tempfile::NamedTempFile,
}

impl StandIn {
    fn new(filename: WheelFilename, entries: &[(String, Vec<u8>)], folder: &Path) -> io::Result<Self> {
        let file = tempfile::NamedTempFile::new_in(folder)?;
        let mut archive = zip::ZipWriter::new(file.as_file());
        for (name, bytes) in entries {
            archive.start_file(name.as_str(), SimpleFileOptions::default())?;
            archive.write_all(bytes)?;
        }
        archive.finish()?;
        let path = std::path::absolute(file.path())?;
        let url = VerbatimUrl::from_absolute_path(&path).map_err(io::Error::other)?;
        let wheel = PathBuiltDist { filename, install_path: path.into(), url };
        Ok(Self { dist: Dist::Built(BuiltDist::Path(wheel)), _file: file })
    }
}

/// Fails if METADATA in the wheel `path` exceeds its limit after decompression. The check is needed because uv reads
/// METADATA into memory at any size. If the file is not a wheel, nothing is checked, because uv refuses the file
/// later. This function blocks.
fn check_size(path: &Path, file_name: &WheelFilename, bodies: &Bodies) -> Result<(), Failure> {
    let reader = io::BufReader::new(fs_err::File::open(path)?);
    let shown = public(&path.display().to_string());
    let document = Mutex::new(bodies.document(&shown));
    let bound = Bound { wheel: &shown, max_bytes: bodies.metadata_bytes(), document: &document };
    match metadata_entry::read(reader, file_name, &bound) {
        Err(EntryError::Body(error)) => Err(error.into()),
        _ => Ok(()),
    }
}
