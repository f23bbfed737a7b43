//! The errors about lock files.

use std::fmt;
use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::formats::pylock::PylockError;
use crate::model::hint::{Hint, Hints, LockHint};
use crate::model::platform::Platform;

#[derive(Debug, Error)]
pub(crate) enum LockError {
    #[error("cannot find the lock `{path}`")]
    Missing { path: PathBuf },
    #[error("cannot read the lock `{path}`")]
    Read { path: PathBuf, source: io::Error },
    #[error("cannot use the lock `{path}`")]
    Form { path: PathBuf, source: PylockError },
    #[error("cannot use the lock `{path}`: it has no `[tool.lath]` table, because lath did not write it")]
    NoTable { path: PathBuf },
    #[error("cannot replace `{path}`: lath did not write it")]
    Overwrite { path: PathBuf },
    #[error("cannot lock `{name}`: its build needs `{folder}`, a folder of this machine")]
    BuildFolder { name: String, folder: String },
    #[error("cannot use the lock `{path}`: {problem}")]
    Content { path: PathBuf, problem: String },
    #[error("cannot build for {platform} from the lock `{path}`: it is for {}", listed(.known))]
    Platform { path: PathBuf, platform: Platform, known: Vec<Platform> },
    #[error(
        "cannot build from the lock `{path}`: its base image has the digest `{locked}`, and the image that was found has `{found}`"
    )]
    OtherBase { path: PathBuf, locked: String, found: String },
    #[error("cannot build from the lock `{path}`: it does not match the request")]
    Differs {
        path: PathBuf,
        /// Whether the inputs were left out of the comparison.
        is_frozen: bool,
        source: Difference,
    },
}

fn listed(platforms: &[Platform]) -> String {
    platforms.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ")
}

impl Hints for LockError {
    fn own_hints(&self) -> Vec<Hint> {
        let hint = match self {
            Self::Missing { .. } => LockHint::Write,
            Self::NoTable { path } => LockHint::NameAsInput { path: path.display().to_string() },
            Self::Form { source: PylockError::Version { .. } | PylockError::TableVersion { .. }, .. } => {
                LockHint::NewerLath
            }
            Self::Platform { platform, known, .. } => {
                let platforms = known.iter().chain([platform]).map(ToString::to_string).collect();
                LockHint::Platforms { platforms }
            }
            Self::Differs { is_frozen: true, .. } => LockHint::Write,
            Self::Differs { is_frozen: false, .. } | Self::OtherBase { .. } => LockHint::Again,
            Self::Overwrite { .. } => LockHint::OtherFile,
            Self::Content { .. } | Self::Form { .. } => LockHint::Restore,
            Self::Read { .. } | Self::BuildFolder { .. } => return Vec::new(),
        };
        vec![Hint::Lock(hint)]
    }
}

/// A difference between a lock and a request. Its `source` is the next difference.
#[derive(Debug)]
pub(crate) struct Difference {
    text: String,
    next: Option<Box<Self>>,
}

impl Difference {
    /// Returns the first of `texts` as a difference, with the others as its sources. `None` if there are no texts.
    pub(super) fn chained(texts: Vec<String>) -> Option<Self> {
        let chain = |next: Option<Self>, text| Some(Self { text, next: next.map(Box::new) });
        texts.into_iter().rev().fold(None, chain)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Difference {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.next.as_deref().map(|next| next as &(dyn std::error::Error + 'static))
    }
}
