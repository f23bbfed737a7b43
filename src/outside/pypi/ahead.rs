//! Index pages that are asked for ahead: those of the packages that the same request came to before. An index that wants
//! its pages checked each time is asked for all of them at once, and not for each once another has led to it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::StreamExt as _;
use futures::channel::oneshot::{self, Receiver, Sender};
use uv_distribution::Reporter;
use uv_distribution_types::{Dist, IndexMetadata, InstalledDist};
use uv_normalize::PackageName;
use uv_resolver::{DefaultResolverProvider, PackageVersionsResult, ResolverProvider, WheelMetadataResult};

use crate::outside::pypi::REQUESTS;
use crate::outside::pypi::no_builds::NoBuilds;

type Provider<'a> = DefaultResolverProvider<'a, NoBuilds>;

/// uv's own provider, and the pages that are under way.
pub(super) struct Ahead<'a> {
    provider: &'a Provider<'a>,
    pages: Mutex<HashMap<PackageName, Receiver<PackageVersionsResult>>>,
}

/// The pages to ask for.
pub(super) struct Pages(Vec<(PackageName, Sender<PackageVersionsResult>)>);

impl<'a> Ahead<'a> {
    pub(super) fn new(provider: &'a Provider<'a>, expected: &[PackageName]) -> (Self, Pages) {
        let (mut waiting, mut pages) = (HashMap::new(), Vec::new());
        for name in expected {
            let (sender, receiver) = oneshot::channel();
            waiting.insert(name.clone(), receiver);
            pages.push((name.clone(), sender));
        }
        (Self { provider, pages: Mutex::new(waiting) }, Pages(pages))
    }
}

impl Pages {
    /// Asks for all pages. What the resolver does not come to after all is thrown away, its errors with it.
    pub(super) async fn fetch(self, provider: &Provider<'_>) {
        let fetch = |(name, sender): (PackageName, Sender<PackageVersionsResult>)| async move {
            let _ = sender.send(provider.get_package_versions(&name, None).await);
        };
        futures::stream::iter(self.0).for_each_concurrent(REQUESTS, fetch).await;
    }
}

impl ResolverProvider for Ahead<'_> {
    async fn get_package_versions<'io>(
        &'io self,
        name: &'io PackageName,
        index: Option<&'io IndexMetadata>,
    ) -> PackageVersionsResult {
        let page = self.pages.lock().unwrap_or_else(PoisonError::into_inner).remove(name);
        if let (Some(page), None) = (page, index)
            && let Ok(answer) = page.await
        {
            return answer;
        }
        self.provider.get_package_versions(name, index).await
    }

    async fn get_or_build_wheel_metadata<'io>(&'io self, dist: &'io Dist) -> WheelMetadataResult {
        self.provider.get_or_build_wheel_metadata(dist).await
    }

    async fn get_installed_metadata<'io>(&'io self, dist: &'io InstalledDist) -> WheelMetadataResult {
        self.provider.get_installed_metadata(dist).await
    }

    /// Nobody listens: progress is told of downloads.
    fn with_reporter(self, _reporter: Arc<dyn Reporter>) -> Self {
        self
    }
}
