//! The errors that stop a pipeline: one variant per step, with its exit code and hints.

use std::path::Path;

use thiserror::Error;

use crate::model::remedies;
use crate::outside::engine::EngineError;
use crate::outside::store::StoreError;
use crate::steps::assemble::AssembleError;
use crate::steps::compare::CompareError;
use crate::steps::compile::CompileError;
use crate::steps::dockerfile::DockerfileError;
use crate::steps::emit::EmitError;
use crate::steps::fetch::FetchError;
use crate::steps::pack::PackError;
use crate::steps::prove::ProveError;
use crate::steps::resolve::ResolveError;
use crate::steps::seal::SealError;
use crate::steps::unpack::UnpackError;

/// An error that stopped a build: one variant per step.
#[derive(Debug, Error)]
pub(crate) enum BuildError {
    #[error("cannot build an image for no platform")]
    NoPlatform,
    #[error(transparent)]
    Resolve(#[from] Box<ResolveError>),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    #[error(transparent)]
    Trim(#[from] StoreError),
    #[error(transparent)]
    Compile(#[from] CompileError),
    #[error(transparent)]
    Prove(#[from] ProveError),
    #[error(transparent)]
    Pack(#[from] PackError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Emit(#[from] EmitError),
    #[error(transparent)]
    Dockerfile(#[from] DockerfileError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Compare(#[from] CompareError),
}

impl BuildError {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Prove(ProveError::Failed(_) | ProveError::OutOfTime { .. })
            | Self::Engine(EngineError::Check { .. }) => 3,
            // Like in shells.
            Self::Prove(ProveError::NotFound { .. }) => 127,
            _ => 1,
        }
    }

    /// The place of the user's that could not be written to, if that was the cause.
    pub(crate) fn destination(&self) -> Option<&Path> {
        match self {
            Self::Emit(error) => error.destination(),
            _ => None,
        }
    }

    /// Ways out, beyond what the error says itself.
    pub(crate) fn hints(&self) -> Vec<String> {
        match self {
            Self::Resolve(error) => error.hints(),
            Self::Engine(error) => error.hints(),
            Self::Prove(ProveError::Sandbox(error)) | Self::Compile(CompileError::Sandbox(error)) => error.hints(),
            Self::Prove(ProveError::OutOfTime { .. }) => {
                vec!["`--proof-timeout SECONDS` gives them more time, and 0 all the time that they need".to_owned()]
            }
            Self::Prove(ProveError::Failed(_)) => {
                vec!["`--trim none` tells whether trimming is the cause; `--no-verify` builds all the same".to_owned()]
            }
            Self::Prove(ProveError::NotFound { program }) => {
                let name = program.rsplit_once("bin/").map_or(program.as_str(), |(_, name)| name);
                remedies::of_program(name).into_iter().collect()
            }
            Self::Fetch(FetchError::Download(error)) => error.hints(),
            Self::Unpack(error) => error.hints(),
            Self::Emit(error) => error.hints(),
            Self::Seal(SealError::Script { .. }) => vec!["name one of them with `-c NAME`".to_owned()],
            _ => Vec::new(),
        }
    }
}
