//! Failures of registries, and hints for them.

use std::fmt;
use std::io;
use std::time::Duration;

use reqwest::StatusCode;
use thiserror::Error;

use crate::model::digest::Digest;
use crate::model::hint::{Hint, Hints, NetworkHint, RegistryHint};
use crate::outside::credentials::Tried;
use crate::outside::http::{Failed, is_about_certificate};

/// The purpose of a request.
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
    LogIn {
        registry: String,
    },
    FetchManifest {
        image: String,
    },
    FetchBlob {
        digest: String,
        repository: String,
    },
    /// To find out whether the user may write to a repository.
    CheckPush {
        repository: String,
    },
    PushBlob {
        digest: String,
        repository: String,
    },
    PushManifest {
        image: String,
    },
    /// To list the manifests that refer to another manifest.
    ListReferrers {
        image: String,
    },
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect { registry } => write!(f, "connect to the registry `{registry}`"),
            Self::Authorize { registry } => write!(f, "get a token for the registry `{registry}`"),
            Self::LogIn { registry } => write!(f, "log in to the registry `{registry}`"),
            Self::FetchManifest { image } => write!(f, "fetch the manifest of `{image}`"),
            Self::FetchBlob { digest, repository } => write!(f, "fetch the blob `{digest}` of `{repository}`"),
            Self::CheckPush { repository } => write!(f, "write to `{repository}`"),
            Self::PushBlob { digest, repository } => write!(f, "push the blob `{digest}` to `{repository}`"),
            Self::PushManifest { image } => write!(f, "push the manifest of `{image}`"),
            Self::ListReferrers { image } => write!(f, "list the manifests about `{image}`"),
        }
    }
}

/// A response that reports a failure.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) task: Task,
    /// The name of the registry, such as `docker.io`.
    pub(crate) registry: String,
    /// The host that answered. After a redirect, this is not the registry's host.
    pub(crate) host: String,
    pub(crate) status: StatusCode,
    /// The codes and messages in the response, without secrets.
    pub(crate) message: Option<String>,
    /// The pause that the server requests before the next attempt.
    pub(crate) pause: Option<Duration>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}: `{}` answers {}", self.task, self.host, self.status)?;
        self.message.as_ref().map_or(Ok(()), |message| write!(f, " ({message})"))
    }
}

/// The registry's limit on the number of requests (docs.docker.com, "Docker Hub pull usage and limits").
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RateLimit {
    pub(crate) pulls: u64,
    pub(crate) window_secs: u64,
}

impl fmt::Display for RateLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (amount, unit) = match self.window_secs {
            secs if secs >= 3600 && secs % 3600 == 0 => (secs / 3600, "hour"),
            secs if secs >= 60 && secs % 60 == 0 => (secs / 60, "minute"),
            secs => (secs, "second"),
        };
        let plural = if amount == 1 { "" } else { "s" };
        write!(f, "it allows {} pulls in {amount} {unit}{plural}", self.pulls)
    }
}

#[derive(Debug, Error)]
pub(crate) enum RegistryError {
    #[error("cannot set up HTTP")]
    Setup(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("cannot {task}: this build is offline")]
    Offline { task: Task },
    #[error("cannot {task}")]
    Network {
        task: Task,
        /// This is empty if the connection was already open.
        registry: String,
        source: reqwest::Error,
    },
    #[error("{0}")]
    Status(Box<Answer>),
    #[error("{answer}; {tried}; the requested access is `{scope}`")]
    Refused { answer: Box<Answer>, tried: Tried, scope: String },
    #[error("{answer}: too many requests{}", limit.map(|limit| format!("; {limit}")).unwrap_or_default())]
    RateLimited { answer: Box<Answer>, limit: Option<RateLimit>, is_used_up: bool },
    #[error("cannot find the image `{image}`: `{host}` does not have it")]
    Missing { image: String, host: String },
    #[error("cannot {task}: the token server `{realm}` has no TLS, and the registry has")]
    PlainRealm { task: Task, realm: String },
    #[error("cannot {task}: the answer of the token server is not of the form of tokens")]
    Token { task: Task },
    #[error("cannot {task}: its sha256 is {found}, not {expected}")]
    Digest { task: Task, expected: Digest, found: Digest },
    #[error("cannot {task}: it ends after {found} of {expected} bytes")]
    Short { task: Task, expected: u64, found: u64 },
    #[error("cannot {task}: it is larger than {max_bytes} bytes")]
    TooLarge { task: Task, max_bytes: u64 },
    #[error("cannot {task}: it arrives too slowly")]
    TooSlow { task: Task, source: io::Error },
    #[error("cannot {task}: the registry has neither taken nor sent any bytes for {} seconds", limit.as_secs())]
    Idle { task: Task, limit: Duration },
    #[error("cannot {task}: it has the old format `{media_type}`, which registries and engines no longer support")]
    OldFormat { task: Task, media_type: String },
    #[error("cannot {task}: the registry says that its type is `{header}`, but in the manifest it is `{document}`")]
    OtherType { task: Task, header: String, document: String },
    #[error("cannot {task}: it is not a manifest")]
    NoManifest { task: Task },
    #[error("cannot {task}: the answer has no usable address for the next request")]
    NoAddress { task: Task },
    #[error("cannot {task}: the registry does not accept the next bytes")]
    OutOfStep { task: Task },
    #[error("cannot {task}: the registry has lost the upload")]
    Lost { task: Task },
    #[error("cannot add an entry to `{list}`: another program writes the same list; run the command again")]
    Replaced { list: String },
    #[error(
        "cannot add an entry to `{list}`: the registry has no lists of referrers, and another manifest has this tag"
    )]
    NoReferrers { list: String },
    #[error("cannot {task}: cannot read its bytes")]
    Read { task: Task, source: io::Error },
    #[error("cannot {task}: cannot save its bytes")]
    Keep { task: Task, source: io::Error },
}

impl RegistryError {
    /// Returns the failure of a request to `registry`. Its URL is left out, because it may contain a password.
    /// `registry` is empty if the connection was already open.
    pub(super) fn network(task: &Task, registry: &str, source: reqwest::Error) -> Self {
        Self::Network { task: task.clone(), registry: registry.to_owned(), source: source.without_url() }
    }

    /// Returns whether the registry refused a manifest, but not because of missing permission or too many
    /// requests. A server error counts as a refusal, because some registries respond with it if blobs of the
    /// manifest are missing.
    pub(crate) fn is_refused_document(&self) -> bool {
        let Self::Status(answer) = self else { return false };
        matches!(answer.task, Task::PushManifest { .. })
    }
}

impl Hints for RegistryError {
    fn own_hints(&self) -> Vec<Hint> {
        let hint = match self {
            Self::Offline { .. } => Hint::Network(NetworkHint::FillCache),
            Self::Network { source, .. } if source.is_redirect() => Hint::Network(NetworkHint::RedirectLoop),
            Self::Network { registry, source, .. } if !registry.is_empty() && is_about_tls(source) => {
                Hint::Registry(RegistryHint::Insecure { registry: registry.clone() })
            }
            Self::Network { .. } => Hint::Network(NetworkHint::Reachable),
            Self::Status(answer) if answer.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                Hint::Network(NetworkHint::ProxyPassword)
            }
            Self::Refused { tried: Tried::Redirected { .. } | Tried::Withheld { .. }, .. } => return Vec::new(),
            Self::Refused { answer, tried: Tried::Some { .. }, .. } => {
                Hint::Registry(RegistryHint::OtherAccount { registry: answer.registry.clone() })
            }
            Self::Refused { answer, .. } => Hint::Registry(RegistryHint::LogIn { registry: answer.registry.clone() }),
            Self::RateLimited { answer, .. } => {
                Hint::Registry(RegistryHint::RateLimit { registry: answer.registry.clone() })
            }
            Self::Missing { .. } => Hint::Registry(RegistryHint::OtherName),
            Self::OldFormat { .. } => Hint::Registry(RegistryHint::OldFormat),
            Self::Digest { .. } | Self::Short { .. } | Self::TooLarge { .. } => Hint::Network(NetworkHint::OtherBytes),
            Self::TooSlow { .. } | Self::Idle { .. } => Hint::Network(NetworkHint::Slow),
            _ => return Vec::new(),
        };
        vec![hint]
    }
}

impl Failed for RegistryError {
    fn is_passing(&self) -> bool {
        match self {
            Self::Network { source, .. } => {
                !source.is_builder() && !source.is_redirect() && !is_about_certificate(source)
            }
            Self::Status(answer) => {
                let is_lasting =
                    matches!(answer.status, StatusCode::NOT_IMPLEMENTED | StatusCode::INSUFFICIENT_STORAGE);
                answer.status.is_server_error() && !is_lasting || answer.status == StatusCode::REQUEST_TIMEOUT
            }
            Self::RateLimited { is_used_up, .. } => !is_used_up,
            Self::TooSlow { .. } | Self::Idle { .. } | Self::Short { .. } => true,
            Self::OutOfStep { .. } | Self::Lost { .. } => true,
            _ => false,
        }
    }

    fn asked_pause(&self) -> Option<Duration> {
        match self {
            Self::Status(answer) | Self::RateLimited { answer, .. } => answer.pause,
            _ => None,
        }
    }
}

/// Returns whether a connection failed because of a certificate, or because one side does not support TLS.
fn is_about_tls(error: &reqwest::Error) -> bool {
    let mut next: Option<&dyn std::error::Error> = Some(error);
    while let Some(cause) = next {
        let text = cause.to_string();
        if text.contains("certificate") || text.contains("corrupt message") || text.contains("tls") {
            return true;
        }
        next = cause.source();
    }
    false
}
