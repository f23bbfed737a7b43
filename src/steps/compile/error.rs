//! The errors of compiling.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use crate::model::hint::Hints;
use crate::outside::sandbox::SandboxError;
use crate::outside::stage::StageError;
use crate::outside::store::StoreError;

#[derive(Debug, Error)]
pub(crate) enum CompileError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Stage(#[from] StageError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error("cannot compile Python files in the sandbox: the image's python exits with {exit_code}: {said}")]
    Python { exit_code: i32, said: String },
    #[error("cannot write bytecode to `{path}`")]
    Write { path: PathBuf, source: io::Error },
    #[error("cannot read the report of the image's python about its bytecode")]
    Report(#[from] serde_json::Error),
    #[error("cannot use a folder for the bytecode")]
    Folder(#[source] io::Error),
}

impl Hints for CompileError {
    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Store(error) => Some(error),
            Self::Stage(error) => Some(error),
            Self::Sandbox(error) => Some(error),
            Self::Python { .. } | Self::Write { .. } | Self::Report(_) | Self::Folder(_) => None,
        }
    }
}
