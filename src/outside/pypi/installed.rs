//! The distributions that the base image contains. uv prefers them to distributions of an index if they satisfy the
//! request.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use uv_distribution::ArchiveMetadata;
use uv_distribution_types::{InstalledDist, InstalledDistKind, InstalledRegistryDist, Name as _};
use uv_normalize::PackageName;
use uv_pypi_types::ResolutionMetadata;
use uv_resolver::MetadataResponse;
use uv_types::InstalledPackagesProvider;

/// A distribution of the base image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InstalledWheel {
    /// The normalised name (PEP 503).
    pub(crate) name: String,
    pub(crate) version: String,
    /// The path of its metadata in the image.
    pub(crate) path: String,
    /// Its METADATA or PKG-INFO.
    pub(crate) metadata: Vec<u8>,
}

/// Those distributions of the base image that uv can read. Their files are not on this machine.
#[derive(Debug, Clone, Default)]
pub(super) struct Installed {
    dists: Arc<BTreeMap<PackageName, InstalledDist>>,
    metadata: Arc<BTreeMap<PackageName, ResolutionMetadata>>,
}

impl Installed {
    /// If uv cannot read the name, the version or the metadata of a distribution, the distribution is left out and
    /// never used.
    pub(super) fn new(wheels: &[InstalledWheel]) -> Self {
        let (mut dists, mut all_metadata) = (BTreeMap::new(), BTreeMap::new());
        for wheel in wheels {
            let (Ok(name), Ok(version)) = (wheel.name.parse::<PackageName>(), wheel.version.parse()) else { continue };
            let Ok(metadata) = ResolutionMetadata::parse_metadata(&wheel.metadata) else { continue };
            let path = PathBuf::from(&wheel.path).into_boxed_path();
            let dist = InstalledRegistryDist { name: name.clone(), version, path, cache_info: None, build_info: None };
            dists.insert(name.clone(), InstalledDist::from(InstalledDistKind::Registry(dist)));
            all_metadata.insert(name, metadata);
        }
        Self { dists: Arc::new(dists), metadata: Arc::new(all_metadata) }
    }

    /// Returns the metadata of a distribution.
    pub(super) fn metadata(&self, dist: &InstalledDist) -> Option<MetadataResponse> {
        let metadata = self.metadata.get(dist.name())?.clone();
        Some(MetadataResponse::Found(ArchiveMetadata::from_metadata23(metadata)))
    }
}

impl InstalledPackagesProvider for Installed {
    fn iter(&self) -> impl Iterator<Item = &InstalledDist> {
        self.dists.values()
    }

    fn get_packages(&self, name: &PackageName) -> Vec<&InstalledDist> {
        self.dists.get(name).into_iter().collect()
    }
}
