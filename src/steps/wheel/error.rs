//! The errors of builds from source.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::formats::sdist::SdistError;
use crate::formats::wheel::{PlainError, WheelError};
use crate::model::digest::Digest;
use crate::model::hint::{BuildHint, Hint, Hints, MachineHint};
use crate::outside::http::HttpError;
use crate::outside::pypi::SourceFailure;
use crate::outside::sandbox::SandboxError;
use crate::outside::stage::StageError;
use crate::outside::store::StoreError;
use crate::outside::vendor::VendorError;

/// The reason why a source cannot be built.
#[derive(Debug, Error)]
#[error("cannot build {shown} from source")]
pub(crate) struct BuildFailure {
    /// The source in words: `psycopg2 2.9.11`.
    pub(crate) shown: String,
    /// Another way to get the distribution.
    pub(crate) hint: Option<Hint>,
    #[source]
    pub(crate) reason: Reason,
}

#[derive(Debug, Error)]
pub(crate) enum Reason {
    #[error("cannot fetch the source")]
    Fetch(#[source] HttpError),
    #[error(transparent)]
    Checkout(SourceFailure),
    #[error(transparent)]
    Vendor(VendorError),
    #[error("cannot read the source `{path}`")]
    Take { path: PathBuf, source: StoreError },
    #[error("the sha256 of the source is {found}, not {}", listed(.allowed))]
    Digest { found: Digest, allowed: Vec<Digest> },
    #[error("the source does not have the hash in the requirement or the lock")]
    Hash,
    #[error("cannot use the archive `{file_name}`")]
    Archive { file_name: String, source: SdistError },
    #[error("cannot read `{path}`")]
    Folder { path: PathBuf, source: io::Error },
    #[error("the folder `{path}` has more than {limit} that git does not ignore")]
    LargeFolder { path: PathBuf, limit: &'static str },
    #[error("the link `{path}` leads outside of the folder")]
    Link { path: PathBuf },
    #[error("cannot read its pyproject.toml")]
    Pyproject(#[source] toml::de::Error),
    #[error("its `Cargo.lock` cannot be used")]
    CargoLock(#[source] toml::de::Error),
    #[error("it has Rust code but no `Cargo.lock`, so its crates are not known")]
    NoCargoLock,
    #[error("its crate `{name}` comes from `{place}`, and lath fetches crates only from crates.io")]
    ForeignCrate { name: String, place: String },
    #[error("it needs itself for its own build: {}", .names.join(" needs "))]
    Circle { names: Vec<String> },
    #[error("the build was not allowed")]
    NotAllowed,
    #[error("its build backend still requests other requirements after {rounds} rounds: {}", .requires.join(", "))]
    Restless { rounds: usize, requires: Vec<String> },
    #[error("its build backend fails with exit code {exit_code}:\n{log}")]
    Backend { exit_code: i32, log: String, hints: Vec<Hint> },
    #[error("its build backend does not finish in {limit_secs} s; its last lines are:\n{log}")]
    Timeout { limit_secs: u64, log: String },
    #[error("{0}")]
    Problem(String),
    #[error("its build backend gives no result:\n{log}")]
    NoResult { log: String },
    #[error("its build backend makes `{found}`, which is not a wheel of `{wanted}`")]
    OtherWheel { found: String, wanted: String },
    #[error("the wheel that its build backend makes cannot be used")]
    Wheel(#[source] WheelError),
    #[error("the wheel that its build backend makes cannot be used")]
    Plain(#[source] PlainError),
    #[error("its files were kept in `{path}`")]
    Kept {
        path: PathBuf,
        #[source]
        reason: Box<Reason>,
    },
    #[error("lath knows no Python for this machine's processor")]
    NoHost,
    #[error("programs of {platform} do not run here: {reason}")]
    Foreign { platform: String, reason: String },
    #[error("cannot use a folder for the build")]
    Work(#[source] io::Error),
    #[error("cannot read or write a document of the build")]
    Document(#[source] serde_json::Error),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Stage(#[from] StageError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("cannot make the tree in which it is built")]
    Tree(#[source] SourceFailure),
}

fn listed(digests: &[Digest]) -> String {
    digests.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
}

impl Hints for BuildFailure {
    fn own_hints(&self) -> Vec<Hint> {
        self.hint.iter().cloned().collect()
    }

    fn wrapped(&self) -> Option<&dyn Hints> {
        Some(&self.reason)
    }
}

impl Hints for Reason {
    fn own_hints(&self) -> Vec<Hint> {
        let hint = match self {
            Self::Backend { hints, .. } => return hints.clone(),
            Self::NoCargoLock | Self::ForeignCrate { .. } => BuildHint::OtherSource,
            Self::NotAllowed => BuildHint::Allow,
            Self::Timeout { .. } => BuildHint::MoreTime,
            Self::LargeFolder { .. } => BuildHint::IgnoreFiles,
            Self::Foreign { .. } => return vec![Hint::Machine(MachineHint::InstallEmulator)],
            _ => return Vec::new(),
        };
        vec![Hint::Build(hint)]
    }

    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Fetch(error) => Some(error),
            Self::Checkout(error) => Some(error.hints()),
            Self::Vendor(error) => Some(error),
            Self::Take { source, .. } => Some(source),
            Self::Store(error) => Some(error),
            Self::Stage(error) => Some(error),
            Self::Sandbox(error) => Some(error),
            Self::Tree(error) => Some(error.hints()),
            Self::Kept { reason, .. } => Some(&**reason),
            _ => None,
        }
    }
}
