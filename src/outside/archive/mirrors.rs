//! The default mirrors of Debian's and Ubuntu's archives.

use crate::catalog::releases;
use crate::model::digest::Digest;
use crate::model::platform::Architecture;
use crate::model::request::{Distribution, ReleaseRequest};
use crate::model::secret_text::{SecretText, without_credentials};
use crate::outside::archive::ArchiveError;
use crate::outside::credentials::Credentials;

/// One suite of one mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pocket {
    /// The URL of the mirror, without a trailing slash.
    pub(super) mirror: String,
    /// The name of the suite below `dists/`, such as `trixie-security`.
    pub(super) suite: String,
    pub(super) components: &'static [String],
}

impl Pocket {
    /// Returns the URL of the suite, for errors.
    pub(super) fn place(&self) -> String {
        format!("{}/dists/{}", self.mirror, self.suite)
    }

    /// Returns the URL of the InRelease file.
    pub(super) fn url(&self) -> String {
        format!("{}/dists/{}/InRelease", self.mirror, self.suite)
    }

    /// Returns the key of the cache entries about this pocket.
    pub(super) fn key(&self) -> Digest {
        Digest::of(self.url().as_bytes())
    }
}

/// Returns the releases of `distribution` from which lath can take Python, newest first.
pub(super) fn suites(distribution: Distribution) -> impl Iterator<Item = &'static str> {
    let releases = releases::all().iter().rev().filter(move |release| release.distribution == distribution);
    releases.filter(|release| release.for_python).map(|release| release.suite.as_str())
}

/// Returns the URL of a mirror without its credentials. The credentials are remembered, and are sent only to this
/// mirror.
fn address(mirror: &SecretText, credentials: &Credentials) -> Option<String> {
    let url = mirror.url().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    credentials.remember(mirror.exposed());
    Some(without_credentials(&url).as_str().trim_end_matches('/').to_owned())
}

/// Returns the pockets of a suite: the suite itself, its updates and its security updates. A rolling release has only
/// the suite itself.
pub(super) fn pockets(
    base: &ReleaseRequest,
    architecture: Architecture,
    credentials: &Credentials,
) -> Result<Vec<Pocket>, ArchiveError> {
    let archive = releases::archive(base.distribution);
    let (main, security) = archive.mirrors(architecture);
    let mirror = |own: &Option<SecretText>, default: &str| match own {
        Some(own) => address(own, credentials).ok_or_else(|| ArchiveError::Mirror { mirror: own.clone() }),
        None => Ok(default.to_owned()),
    };
    let main = mirror(&base.mirror, main)?;
    let security = mirror(&base.security_mirror, security)?;
    let pocket =
        |mirror: &String, suite: String| Pocket { mirror: mirror.clone(), suite, components: &archive.components };
    let mut pockets = vec![pocket(&main, base.suite.clone())];
    let is_rolling = releases::find(base.distribution, &base.suite).is_some_and(|release| release.is_rolling);
    if !is_rolling {
        pockets.push(pocket(&main, format!("{}-updates", base.suite)));
        pockets.push(pocket(&security, format!("{}-security", base.suite)));
    }
    Ok(pockets)
}
