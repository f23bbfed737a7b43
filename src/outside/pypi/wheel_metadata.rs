//! Metadata of wheels, and of nothing else: the only door to what a distribution says of itself.
//!
//! uv's own database would also fetch source distributions and clone repositories, with the host's git and ssh, before
//! it refuses to build them. A dependency must not start a program on the host, so nothing here can reach that code.

use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use thiserror::Error as ThisError;
use tokio::sync::Semaphore;
use uv_client::{Error, ErrorKind, RegistryClient};
use uv_distribution::ArchiveMetadata;
use uv_distribution_types::{BuiltDist, Dist, Name as _, RequestedDist};
use uv_resolver::{MetadataResponse, ResolverProvider, WheelMetadataResult};
use uv_types::BuildContext as _;

use crate::outside::http::BodyError;
use crate::outside::pypi::REQUESTS;
use crate::outside::pypi::no_builds::NoBuilds;

/// Reads metadata of wheels by path, by URL and from indexes.
pub(super) struct WheelMetadata<'a> {
    client: &'a RegistryClient,
    context: &'a NoBuilds,
    /// What a METADATA may unpack to.
    max_bytes: u64,
    requests: Semaphore,
}

impl<'a> WheelMetadata<'a> {
    pub(super) fn new(client: &'a RegistryClient, context: &'a NoBuilds, max_bytes: u64) -> Self {
        Self { client, context, max_bytes, requests: Semaphore::new(REQUESTS) }
    }

    /// The metadata of `dist`, or `None` if it is no wheel, or lies in a repository.
    pub(super) async fn of(&self, dist: &Dist) -> Option<Result<ArchiveMetadata, Error>> {
        let wheel = match dist {
            Dist::Built(wheel @ (BuiltDist::Registry(_) | BuiltDist::DirectUrl(_) | BuiltDist::Path(_))) => wheel,
            Dist::Built(BuiltDist::GitPath(_)) | Dist::Source(_) => return None,
        };
        if let BuiltDist::Path(wheel) = wheel
            && let Err(error) = check_size(&wheel.install_path, self.max_bytes)
        {
            return Some(Err(ErrorKind::Io(error).into()));
        }
        // The semaphore is never closed; without a permit the request would only be one more at a time.
        let _permit = self.requests.acquire().await.ok();
        let read = self.client.wheel_metadata(wheel, self.context.git(), self.context.capabilities(), None);
        Some(Box::pin(read).await.map(ArchiveMetadata::from_metadata23))
    }

    /// The same as the resolver takes it. `uv` answers if a version has to be passed over, because only uv can say so.
    pub(super) async fn answer(&self, dist: &Dist, uv: &impl ResolverProvider) -> WheelMetadataResult {
        let Some(read) = self.of(dist).await else {
            let refused = uv_distribution::Error::NoBuildPackage(dist.name().clone());
            let requested = Box::new(RequestedDist::Installable(dist.clone()));
            return Ok(MetadataResponse::Error(requested, Arc::new(refused)));
        };
        match read {
            Ok(metadata) => Ok(MetadataResponse::Found(metadata)),
            // A server that sends too much is no reason to pass a version over.
            Err(error) if BodyError::within(&error).is_some() => Err(error.into()),
            // uv would unpack the whole wheel into its cache, without any bound.
            Err(error) if error.is_http_streaming_unsupported() => Err(error.into()),
            Err(error) => match error.kind() {
                ErrorKind::Offline(_) | ErrorKind::MetadataParseError(..) | ErrorKind::Metadata(..) => {
                    uv.get_or_build_wheel_metadata(dist).await
                }
                _ => Err(error.into()),
            },
        }
    }
}

/// uv hands on the source of an error of input and output, and not the error itself.
#[derive(Debug, ThisError)]
#[error("cannot read the metadata of the wheel")]
struct TooLarge(#[source] BodyError);

/// Fails if a METADATA in the wheel `path` unpacks to more than `max_bytes`: uv reads it into memory, however long it is.
/// A file that is no wheel is for uv to refuse.
fn check_size(path: &Path, max_bytes: u64) -> io::Result<()> {
    let Ok(mut archive) = zip::ZipArchive::new(io::BufReader::new(fs_err::File::open(path)?)) else { return Ok(()) };
    for index in 0..archive.len() {
        let Ok(entry) = archive.by_index(index) else { continue };
        if !entry.name().is_ok_and(|name| name.ends_with(".dist-info/METADATA")) {
            continue;
        }
        let unpacked = io::copy(&mut entry.take(max_bytes.saturating_add(1)), &mut io::sink());
        if unpacked.is_ok_and(|length| length > max_bytes) {
            let url = path.join("METADATA").display().to_string();
            return Err(io::Error::other(TooLarge(BodyError::TooLarge { url, max_bytes })));
        }
    }
    Ok(())
}
