//! Prefetches the pages of the packages and the metadata of the wheels that the same request used last time. This
//! saves time if the index requires that cached pages are revalidated, because all requests are then sent at once.
//! Without prefetching, each request would wait for an earlier response. Prefetching does not change which versions
//! are chosen, because the choice depends only on the pages.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt as _;
use futures::channel::oneshot::{self, Receiver, Sender};
use serde::{Deserialize, Serialize};
use uv_distribution::Reporter;
use uv_distribution_types::{
    BuiltDist, Dist, File, FileLocation, IndexMetadata, IndexUrl, InstalledDist, RegistryBuiltDist, RegistryBuiltWheel,
};
use uv_normalize::PackageName;
use uv_pypi_types::HashDigests;
use uv_redacted::DisplaySafeUrl;
use uv_resolver::{
    DefaultResolverProvider, MetadataResponse, PackageVersionsResult, ResolverProvider, WheelMetadataResult,
};

use crate::model::secret_text::without_credentials;
use crate::outside::pypi::REQUESTS;
use crate::outside::pypi::installed::Installed;
use crate::outside::pypi::no_builds::NoBuilds;
use crate::outside::pypi::wheel_metadata::WheelMetadata;

type Provider<'a> = DefaultResolverProvider<'a, NoBuilds>;

/// A wheel that was chosen from an index when the same request was resolved the last time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Expected {
    name: String,
    file_name: String,
    /// The URL of the wheel. Neither this URL nor the URL of the index contains credentials.
    url: String,
    index: String,
    /// Whether the index serves the metadata as a separate file (PEP 658).
    has_metadata: bool,
}

impl Expected {
    pub(super) fn of(dist: &RegistryBuiltDist) -> Option<Self> {
        let RegistryBuiltWheel { filename, file, index, .. } = dist.best_wheel();
        let url = file.url.to_url().ok()?;
        Some(Self {
            name: filename.name.to_string(),
            file_name: filename.to_string(),
            url: without_credentials(&url).into(),
            index: index.without_credentials().to_string(),
            has_metadata: file.dist_info_metadata,
        })
    }

    /// Returns uv's value for this wheel. The value has only those fields that are needed to fetch metadata. Returns
    /// `None` if uv cannot parse a field.
    fn dist(&self) -> Option<Dist> {
        let file = File {
            dist_info_metadata: self.has_metadata,
            filename: self.file_name.as_str().into(),
            hashes: HashDigests::empty(),
            requires_python: None,
            size: None,
            upload_time_utc_ms: None,
            url: FileLocation::AbsoluteUrl(DisplaySafeUrl::parse(&self.url).ok()?.into()),
            yanked: None,
            zstd: None,
        };
        let wheel = RegistryBuiltWheel {
            filename: self.file_name.parse().ok()?,
            file: Box::new(file),
            index: self.index.parse::<IndexUrl>().ok()?,
            size_is_authoritative: false,
        };
        let dist = RegistryBuiltDist { wheels: vec![wheel], best_wheel_index: 0, sdist: None };
        Some(Dist::Built(BuiltDist::Registry(dist)))
    }
}

/// Responses that are expected, by the key of their request.
type Waiting<K, V> = Mutex<BTreeMap<K, Receiver<V>>>;

/// uv's own provider of pages, lath's provider of metadata, and the expected responses.
pub(super) struct Ahead<'a> {
    provider: &'a Provider<'a>,
    wheels: &'a WheelMetadata<'a>,
    installed: &'a Installed,
    pages: Waiting<PackageName, PackageVersionsResult>,
    /// The keys are URLs.
    metadata: Waiting<String, WheelMetadataResult>,
}

/// The requests to send in advance.
pub(super) struct Questions {
    pages: Vec<(PackageName, Sender<PackageVersionsResult>)>,
    metadata: Vec<(Dist, Sender<WheelMetadataResult>)>,
}

impl<'a> Ahead<'a> {
    pub(super) fn new(
        provider: &'a Provider<'a>,
        wheels: &'a WheelMetadata<'a>,
        installed: &'a Installed,
        expected: &[Expected],
    ) -> (Self, Questions) {
        let (mut pages, mut metadata) = (BTreeMap::new(), BTreeMap::new());
        let mut questions = Questions { pages: Vec::new(), metadata: Vec::new() };
        for wheel in expected {
            if let Ok(name) = wheel.name.parse::<PackageName>() {
                let (sender, receiver) = oneshot::channel();
                pages.insert(name.clone(), receiver);
                questions.pages.push((name, sender));
            }
            if let Some(dist) = wheel.dist() {
                let (sender, receiver) = oneshot::channel();
                metadata.insert(wheel.url.clone(), receiver);
                questions.metadata.push((dist, sender));
            }
        }
        (Self { provider, wheels, installed, pages: Mutex::new(pages), metadata: Mutex::new(metadata) }, questions)
    }
}

impl Questions {
    /// Sends all requests. If the resolver does not need a response, the response is ignored, even if it is an error.
    pub(super) async fn ask(self, provider: &Provider<'_>, wheels: &WheelMetadata<'_>) {
        let page = |(name, sender): (PackageName, Sender<PackageVersionsResult>)| async move {
            let _ = sender.send(provider.get_package_versions(&name, None).await);
        };
        let metadata = |(dist, sender): (Dist, Sender<WheelMetadataResult>)| async move {
            // A failure is ignored. If the resolver needs this metadata, the resolver requests it again, with a value
            // that has all fields.
            let answer = wheels.answer(&dist, provider).await;
            if matches!(answer, Ok(MetadataResponse::Found(_))) {
                let _ = sender.send(answer);
            }
        };
        let pages = futures::stream::iter(self.pages).for_each_concurrent(REQUESTS, page);
        let metadata = futures::stream::iter(self.metadata).for_each_concurrent(REQUESTS, metadata);
        futures::future::join(pages, metadata).await;
    }
}

/// Waits for the prefetched response for `key`, and returns it. Returns `None` if there is none, or if it was taken
/// before.
async fn taken<K: Ord, V>(waiting: &Waiting<K, V>, key: &K) -> Option<V> {
    let receiver = waiting.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    receiver?.await.ok()
}

impl ResolverProvider for Ahead<'_> {
    async fn get_package_versions<'io>(
        &'io self,
        name: &'io PackageName,
        index: Option<&'io IndexMetadata>,
    ) -> PackageVersionsResult {
        if index.is_none()
            && let Some(answer) = taken(&self.pages, name).await
        {
            return answer;
        }
        self.provider.get_package_versions(name, index).await
    }

    async fn get_or_build_wheel_metadata<'io>(&'io self, dist: &'io Dist) -> WheelMetadataResult {
        if let Dist::Built(BuiltDist::Registry(registry)) = dist
            && let Ok(url) = registry.best_wheel().file.url.to_url()
            && let Some(answer) = taken(&self.metadata, &without_credentials(&url).into()).await
        {
            return answer;
        }
        self.wheels.answer(dist, self.provider).await
    }

    async fn get_installed_metadata<'io>(&'io self, dist: &'io InstalledDist) -> WheelMetadataResult {
        match self.installed.metadata(dist) {
            Some(metadata) => Ok(metadata),
            None => self.provider.get_installed_metadata(dist).await,
        }
    }

    /// The reporter is not used, because progress is reported only for downloads.
    fn with_reporter(self, _reporter: Arc<dyn Reporter>) -> Self {
        self
    }
}
