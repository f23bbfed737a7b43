//! The default mirrors of Debian's and Ubuntu's archives.

use crate::model::digest::Digest;
use crate::model::platform::Architecture;
use crate::model::request::{BaseRequest, Distribution};
use crate::model::secret_text::{SecretText, without_credentials};
use crate::outside::archive::ArchiveError;
use crate::outside::credentials::Credentials;

/// The security archive is at the same URL with `-security` appended.
const DEBIAN: &str = "https://deb.debian.org/debian";
// Canonical serves these without TLS. Their integrity is protected by signatures.
const UBUNTU: &str = "http://archive.ubuntu.com/ubuntu";
const UBUNTU_SECURITY: &str = "http://security.ubuntu.com/ubuntu";
const UBUNTU_PORTS: &str = "http://ports.ubuntu.com/ubuntu-ports";

/// One suite of one mirror.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Pocket {
    /// Without a trailing slash.
    pub(super) mirror: String,
    /// Like under `dists/`: `trixie-security`.
    pub(super) suite: String,
    pub(super) components: &'static [&'static str],
}

impl Pocket {
    /// Returns its URL, for errors.
    pub(super) fn place(&self) -> String {
        format!("{}/dists/{}", self.mirror, self.suite)
    }

    /// Returns the URL of its InRelease file.
    pub(super) fn url(&self) -> String {
        format!("{}/dists/{}/InRelease", self.mirror, self.suite)
    }

    /// Returns the key of cache entries about it.
    pub(super) fn key(&self) -> Digest {
        Digest::of(self.url().as_bytes())
    }
}

/// Returns the suites that are served there and have a useful Python 3, newest first.
pub(super) fn suites(distribution: Distribution) -> &'static [&'static str] {
    match distribution {
        Distribution::Debian => &["trixie", "bookworm", "sid"],
        Distribution::Ubuntu => &["noble", "jammy"],
    }
}

/// The address of a mirror, without credentials; these are sent to its server alone.
fn address(mirror: &SecretText, credentials: &Credentials) -> Option<String> {
    let url = mirror.url().filter(|url| matches!(url.scheme(), "http" | "https"))?;
    credentials.remember(mirror.exposed());
    Some(without_credentials(&url).as_str().trim_end_matches('/').to_owned())
}

/// The suite itself, its updates and its security updates; `sid` has neither of the latter.
pub(super) fn pockets(
    base: &BaseRequest,
    architecture: Architecture,
    credentials: &Credentials,
) -> Result<Vec<Pocket>, ArchiveError> {
    let (main, security, components): (_, _, &'static [&'static str]) = match (base.distribution, architecture) {
        (Distribution::Debian, _) => (DEBIAN, format!("{DEBIAN}-security"), &["main"]),
        (Distribution::Ubuntu, Architecture::Amd64) => (UBUNTU, UBUNTU_SECURITY.to_owned(), &["main", "universe"]),
        (Distribution::Ubuntu, Architecture::Arm64) => (UBUNTU_PORTS, UBUNTU_PORTS.to_owned(), &["main", "universe"]),
    };
    let mirror = |own: &Option<SecretText>, default: &str| match own {
        Some(own) => address(own, credentials).ok_or_else(|| ArchiveError::Mirror { mirror: own.clone() }),
        None => Ok(default.to_owned()),
    };
    let main = mirror(&base.mirror, main)?;
    let security = mirror(&base.security_mirror, &security)?;
    let pocket = |mirror: &String, suite: String| Pocket { mirror: mirror.clone(), suite, components };
    let mut pockets = vec![pocket(&main, base.suite.clone())];
    if !matches!(base.suite.as_str(), "sid" | "unstable") {
        pockets.push(pocket(&main, format!("{}-updates", base.suite)));
        pockets.push(pocket(&security, format!("{}-security", base.suite)));
    }
    Ok(pockets)
}
