//! Sources from which wheels are built: source distributions, repositories and folders.

use std::path::PathBuf;

use serde::Serialize;

use crate::model::allowed_hashes::AllowedHashes;
use crate::model::digest::Digest;
use crate::model::path_key;
use crate::model::platform::PythonVersion;

/// A source from which lath can build a wheel.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Source {
    /// The normalised name that its metadata must have. `None` if the user gave only a URL or path.
    pub(crate) name: Option<String>,
    /// The version that its metadata must have, if the version is known.
    pub(crate) version: Option<String>,
    pub(crate) place: SourcePlace,
    /// The folder of the project in the source.
    pub(crate) subdirectory: Option<String>,
    /// The hashes that the archive may have.
    pub(crate) allowed: AllowedHashes,
    /// Another Python, for which the index has wheels of the same version. With this Python, no build would be needed.
    pub(crate) other_python: Option<PythonVersion>,
}

impl Source {
    /// Returns the source as a text for messages.
    pub(crate) fn shown(&self) -> String {
        match (&self.name, &self.version) {
            (Some(name), Some(version)) => format!("{name} {version}"),
            (Some(name), None) => name.clone(),
            (None, _) => self.place.shown(),
        }
    }
}

/// The place of a source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SourcePlace {
    /// A source distribution on a server. Its URL has no credentials and no fragment. `is_indexed` means that the URL
    /// is from an index and not from a requirement.
    Url { url: String, file_name: String, is_indexed: bool },
    /// A source distribution on this machine.
    Path(PathBuf),
    /// A folder on this machine. lath only reads it.
    Folder(PathBuf),
    /// A commit of a repository, checked out in a folder of the cache.
    Commit { checkout: PathBuf, url: String, commit: String },
}

impl SourcePlace {
    /// Returns the place as a text for messages.
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Url { url, .. } => url.clone(),
            Self::Path(path) | Self::Folder(path) => path.display().to_string(),
            Self::Commit { url, commit, .. } => format!("{url}@{commit}"),
        }
    }
}

/// The source from which a wheel was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct BuiltFrom {
    pub(crate) place: BuiltPlace,
    /// The folder of the project in the source.
    pub(crate) subdirectory: Option<String>,
    /// The archive with the source that was built. If the source is a folder or a commit, it is packed into an archive.
    pub(crate) archive: Digest,
    /// Whether the archive contains the history of a repository (`.git`).
    pub(crate) has_git: bool,
}

/// The place of the source from which a wheel was built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) enum BuiltPlace {
    /// A source distribution. Its URL may be the URL of a file on this machine.
    Archive { url: String },
    /// A commit of a git repository.
    Git { url: String, commit: String },
    /// A folder.
    Folder(#[serde(serialize_with = "path_key::one")] PathBuf),
}

impl BuiltPlace {
    /// Returns the path of a source distribution on this machine.
    pub(crate) fn path(&self) -> Option<PathBuf> {
        let Self::Archive { url } = self else { return None };
        url::Url::parse(url).ok().filter(|url| url.scheme() == "file")?.to_file_path().ok()
    }

    /// Returns the place as a text, like [`SourcePlace::shown`].
    pub(crate) fn shown(&self) -> String {
        match self {
            Self::Archive { url } => self.path().map_or_else(|| url.clone(), |path| path.display().to_string()),
            Self::Git { url, commit } => format!("{url}@{commit}"),
            Self::Folder(path) => path.display().to_string(),
        }
    }
}
