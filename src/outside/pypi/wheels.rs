//! What uv chose, in our nouns: the wheels of an index with their digests, and those that a requirement names itself.

use std::path::PathBuf;

use uv_distribution_types::{
    BuiltDist, Diagnostic as _, Dist, HashPolicy, Name as _, RegistryBuiltDist, Resolution, ResolvedDist,
};
use uv_pypi_types::{HashAlgorithm, HashDigest};
use uv_types::HashStrategy;

use crate::model::digest::Digest;
use crate::model::lock::{LockedWheel, WheelSource};
use crate::model::secret_text::{public, without_credentials};
use crate::outside::credentials::Credentials;
use crate::outside::pypi::ahead::Expected;
use crate::outside::pypi::{PypiError, told};

/// What a request comes to on one platform.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) wheels: Vec<LockedWheel>,
    /// Wheels that no index vouches for: their bytes have to be fetched before they can be locked.
    pub(crate) direct: Vec<DirectWheel>,
    /// The same wheels, for whoever resolves the request again.
    pub(crate) expected: Vec<Expected>,
    /// What the user should know: a version that was yanked, an extra that is none.
    pub(crate) warnings: Vec<String>,
}

/// A wheel that a requirement names by path or URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DirectWheel {
    /// The normalised name (PEP 503).
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) file_name: String,
    pub(crate) place: Place,
    /// What its sha256 has to be, one of these; anything where there is none.
    pub(crate) allowed: Vec<Digest>,
    pub(crate) is_requested: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Place {
    /// Without credentials and fragment.
    Url(String),
    Path(PathBuf),
}

impl DirectWheel {
    /// The lock's entry, once the bytes are known.
    pub(crate) fn locked(&self, digest: Digest, size_bytes: Option<u64>) -> LockedWheel {
        let (url, source) = match &self.place {
            Place::Url(url) => (url.clone(), WheelSource::Url),
            Place::Path(path) => {
                let url = url::Url::from_file_path(path).map(String::from);
                (url.unwrap_or_else(|()| format!("file://{}", path.display())), WheelSource::Path)
            }
        };
        LockedWheel {
            name: self.name.clone(),
            version: self.version.clone(),
            file_name: self.file_name.clone(),
            url,
            digest,
            size_bytes,
            is_requested: self.is_requested,
            source,
        }
    }
}

/// The wheels of `resolution`, by name. `asked` are the names that the user wrote.
pub(super) fn answer(
    resolution: &Resolution,
    asked: &[String],
    hasher: &HashStrategy,
    credentials: &Credentials,
) -> Result<Answer, PypiError> {
    let mut answer = Answer::default();
    for resolved in resolution.distributions() {
        let ResolvedDist::Installable { dist, .. } = resolved else { continue };
        let is_requested = asked.contains(&dist.name().to_string());
        let policy = hasher.get(dist.as_ref());
        match dist.as_ref() {
            Dist::Built(BuiltDist::Registry(registry)) => {
                answer.wheels.push(of_index(registry, is_requested, &policy, credentials)?);
                answer.expected.extend(Expected::of(registry));
            }
            Dist::Built(BuiltDist::DirectUrl(wheel)) => {
                credentials.remember(wheel.url.to_url().as_str());
                let mut location = url::Url::from(wheel.location.as_ref().clone());
                location.set_fragment(None);
                let place = Place::Url(without_credentials(&location).into());
                answer.direct.push(direct(&wheel.filename, place, is_requested, &policy));
            }
            Dist::Built(BuiltDist::Path(wheel)) => {
                let place = Place::Path(wheel.install_path.to_path_buf());
                answer.direct.push(direct(&wheel.filename, place, is_requested, &policy));
            }
            other => return Err(PypiError::NotAWheel { distribution: public(&other.to_string()) }),
        }
    }
    answer.wheels.sort_by(|one, other| one.name.cmp(&other.name));
    answer.expected.sort();
    answer.direct.sort_by(|one, other| one.name.cmp(&other.name));
    answer.warnings = resolution.diagnostics().iter().map(|diagnostic| public(&diagnostic.message())).collect();
    answer.warnings.sort();
    Ok(answer)
}

fn of_index(
    registry: &RegistryBuiltDist,
    is_requested: bool,
    policy: &HashPolicy<'_>,
    credentials: &Credentials,
) -> Result<LockedWheel, PypiError> {
    let wheel = registry.best_wheel();
    let file_name = wheel.filename.to_string();
    let digest = sha256s(wheel.file.hashes.as_slice()).next();
    let digest = digest.ok_or_else(|| PypiError::NoDigest { file: file_name.clone() })?;
    let allowed: Vec<Digest> = sha256s(policy.digests()).collect();
    if !allowed.is_empty() && !allowed.contains(&digest) {
        return Err(PypiError::OtherDigest { file: file_name, found: digest });
    }
    let url = wheel.file.url.to_url().map_err(|error| PypiError::Setup(told(error.into())))?;
    credentials.remember(url.as_str());
    Ok(LockedWheel {
        name: wheel.filename.name.to_string(),
        version: wheel.filename.version.to_string(),
        file_name,
        url: without_credentials(&url).into(),
        digest,
        size_bytes: wheel.file.size,
        is_requested,
        source: WheelSource::Index,
    })
}

fn direct(
    file_name: &uv_distribution_filename::WheelFilename,
    place: Place,
    is_requested: bool,
    policy: &HashPolicy<'_>,
) -> DirectWheel {
    DirectWheel {
        name: file_name.name.to_string(),
        version: file_name.version.to_string(),
        file_name: file_name.to_string(),
        place,
        allowed: sha256s(policy.digests()).collect(),
        is_requested,
    }
}

fn sha256s(hashes: &[HashDigest]) -> impl Iterator<Item = Digest> {
    let sha256s = hashes.iter().filter(|hash| hash.algorithm() == HashAlgorithm::Sha256);
    sha256s.filter_map(|hash| hash.digest.parse::<Digest>().ok())
}
