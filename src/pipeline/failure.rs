//! The errors that stop a pipeline: one variant per step, with its exit code and hints.

use std::path::Path;

use thiserror::Error;

use crate::model::hint::Hints;
use crate::outside::store::StoreError;
use crate::steps::assemble::AssembleError;
use crate::steps::compile::CompileError;
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
}

impl BuildError {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Prove(ProveError::Failed(_) | ProveError::OutOfTime { .. }) => 3,
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
}

impl Hints for BuildError {
    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoPlatform => Vec::new(),
            Self::Resolve(error) => error.hints(),
            Self::Fetch(error) => error.hints(),
            Self::Unpack(error) => error.hints(),
            Self::Assemble(error) => error.hints(),
            Self::Trim(error) => error.hints(),
            Self::Compile(error) => error.hints(),
            Self::Prove(error) => error.hints(),
            Self::Pack(error) => error.hints(),
            Self::Seal(error) => error.hints(),
            Self::Emit(error) => error.hints(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn an_error_of_any_step_keeps_the_hints_of_the_error_that_it_wraps() {
        let store = || StoreError::Open { root: "/cache".into(), source: io::ErrorKind::PermissionDenied.into() };
        let expected = store().hints();
        assert_eq!(expected.len(), 1);
        let errors: [BuildError; 7] = [
            store().into(),
            Box::new(ResolveError::from(store())).into(),
            AssembleError::from(store()).into(),
            CompileError::from(store()).into(),
            ProveError::from(store()).into(),
            PackError::from(store()).into(),
            EmitError::from(store()).into(),
        ];
        for error in errors {
            assert_eq!(error.hints(), expected, "{error:?}");
        }
    }
}
