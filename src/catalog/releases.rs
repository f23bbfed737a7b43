//! The releases of Debian and Ubuntu, and their archives.

use std::sync::LazyLock;

use serde::Deserialize;

use crate::model::platform::{Architecture, PythonVersion};
use crate::model::request::Distribution;

static RELEASES: LazyLock<Releases> = LazyLock::new(|| super::read(include_str!("releases.toml")));

/// The keyrings that `releases.toml` may name. They come from the packages `debian-archive-keyring` and
/// `ubuntu-keyring`.
const KEYRINGS: [(&str, &[u8]); 2] = [
    ("debian-archive-keyring.gpg", include_bytes!("../../keyrings/debian-archive-keyring.gpg")),
    ("ubuntu-archive-keyring.gpg", include_bytes!("../../keyrings/ubuntu-archive-keyring.gpg")),
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Releases {
    default: String,
    archives: Archives,
    /// The releases of Debian and of Ubuntu, each from the oldest to the newest.
    releases: Vec<Release>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Archives {
    debian: Archive,
    ubuntu: Archive,
}

/// The archive of Debian or of Ubuntu.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Archive {
    keyring: String,
    pub(crate) components: Vec<String>,
    mirror: String,
    security_mirror: String,
    ports_mirror: Option<String>,
    snapshot: String,
    snapshot_name: String,
    security_snapshot_name: String,
}

impl Archive {
    /// Returns the keys that sign the archive.
    pub(crate) fn keyring(&self) -> &'static [u8] {
        KEYRINGS.iter().find(|(name, _)| *name == self.keyring).map_or(&[], |(_, keys)| keys)
    }

    /// Returns the URL of the server with snapshots, which are earlier states of the archives. The server has a folder
    /// for each archive, which contains a folder for each point in time.
    pub(crate) fn snapshot(&self) -> &str {
        &self.snapshot
    }

    /// Returns the name of the folder that contains the snapshots of the main archive, or of the archive of security
    /// updates.
    pub(crate) fn snapshot_name(&self, is_security: bool) -> &str {
        if is_security { &self.security_snapshot_name } else { &self.snapshot_name }
    }

    /// Returns the URLs of the main archive and of the archive of security updates.
    pub(crate) fn mirrors(&self, architecture: Architecture) -> (&str, &str) {
        match &self.ports_mirror {
            Some(ports) if architecture != Architecture::Amd64 => (ports, ports),
            _ => (&self.mirror, &self.security_mirror),
        }
    }
}

/// A release. The fields are described in `releases.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Release {
    pub(crate) distribution: Distribution,
    pub(crate) suite: String,
    pub(crate) number: Option<String>,
    pub(crate) title: String,
    codename: Option<String>,
    #[serde(default)]
    aliases: Vec<String>,
    pub(crate) python: PythonVersion,
    patch: Option<u8>,
    pub(crate) glibc: Option<(u16, u16)>,
    #[serde(default)]
    pub(crate) for_python: bool,
    #[serde(default)]
    pub(crate) is_rolling: bool,
}

impl Release {
    /// Returns the value of `VERSION_CODENAME` in the file os-release(5) of the release.
    pub(crate) fn codename(&self) -> &str {
        self.codename.as_deref().unwrap_or(&self.suite)
    }

    /// Returns every name that users may use for the release.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        [&self.suite].into_iter().chain(&self.number).chain(&self.aliases).map(String::as_str)
    }

    /// Returns the full version of the release's Python, such as `3.13.5`. `None` if its last number may still change.
    pub(crate) fn full_python(&self) -> Option<String> {
        self.patch.map(|patch| format!("{}.{patch}", self.python))
    }
}

/// Returns all releases. The releases of Debian are sorted from the oldest to the newest, and so are those of Ubuntu.
pub(crate) fn all() -> &'static [Release] {
    &RELEASES.releases
}

/// Returns the release of `distribution` whose suite, number or alias is `name`.
pub(crate) fn find(distribution: Distribution, name: &str) -> Option<&'static Release> {
    all().iter().find(|release| release.distribution == distribution && release.names().any(|known| known == name))
}

/// Returns the release that is used if the user names neither a release nor a Python.
pub(crate) fn default() -> &'static Release {
    let default = all().iter().find(|release| release.suite == RELEASES.default);
    default.unwrap_or_else(|| panic!("cannot find the default release in the catalogue"))
}

/// Returns the releases that are used if the user names only a Python, sorted by their Python.
pub(crate) fn for_python() -> Vec<&'static Release> {
    let mut releases: Vec<_> = all().iter().filter(|release| release.for_python).collect();
    releases.sort_by_key(|release| release.python);
    releases
}

/// Returns the archive of `distribution`.
pub(crate) fn archive(distribution: Distribution) -> &'static Archive {
    match distribution {
        Distribution::Debian => &RELEASES.archives.debian,
        Distribution::Ubuntu => &RELEASES.archives.ubuntu,
    }
}
