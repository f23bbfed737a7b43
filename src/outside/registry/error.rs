//! Failures of registries, and what to do about them.

use std::fmt;

use reqwest::StatusCode;
use thiserror::Error;

use crate::model::digest::Digest;
use crate::model::hint::{Hint, Hints, NetworkHint};

/// The work that a request is part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Task {
    /// To connect to a registry.
    Connect {
        registry: String,
    },
    /// To get a token for a registry from its token server.
    Authorize {
        registry: String,
    },
    FetchManifest {
        image: String,
    },
    FetchBlob {
        digest: String,
        repository: String,
    },
    PushBlob {
        digest: String,
        repository: String,
    },
    PushManifest {
        image: String,
    },
    ListTags {
        repository: String,
    },
    ListReferrers {
        digest: String,
        repository: String,
    },
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { registry } => write!(f, "connect to the registry `{registry}`"),
            Self::Authorize { registry } => write!(f, "get a token for the registry `{registry}`"),
            Self::FetchManifest { image } => write!(f, "fetch the manifest of `{image}`"),
            Self::FetchBlob { digest, repository } => write!(f, "fetch the blob `{digest}` of `{repository}`"),
            Self::PushBlob { digest, repository } => write!(f, "push the blob `{digest}` to `{repository}`"),
            Self::PushManifest { image } => write!(f, "push the manifest of `{image}`"),
            Self::ListTags { repository } => write!(f, "list the tags of `{repository}`"),
            Self::ListReferrers { digest, repository } => {
                write!(f, "list the manifests of `{repository}` that refer to `{digest}`")
            }
        }
    }
}

#[derive(Debug, Error)]
pub(crate) enum RegistryError {
    #[error("cannot set up HTTP")]
    Setup(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("cannot {task}: this build is offline")]
    Offline { task: Task },
    #[error("cannot {task}")]
    Network { task: Task, source: reqwest::Error },
    #[error("cannot {task}: the registry answers {status}")]
    Status { task: Task, status: StatusCode },
    #[error("cannot {task}: its digest is sha256:{found}")]
    Digest { task: Task, found: Digest },
}

impl Hints for RegistryError {
    fn own_hints(&self) -> Vec<Hint> {
        let hint = match self {
            Self::Network { .. } => NetworkHint::Reachable,
            _ => return Vec::new(),
        };
        vec![Hint::Network(hint)]
    }
}
