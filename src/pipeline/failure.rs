//! The errors that stop a pipeline: one variant per step, with its exit code and hints.

use std::path::Path;

use thiserror::Error;

use crate::model::hint::Hints;
use crate::outside::images::ImagesError;
use crate::outside::store::StoreError;
use crate::steps::assemble::AssembleError;
use crate::steps::base::BaseError;
use crate::steps::compile::CompileError;
use crate::steps::emit::EmitError;
use crate::steps::emit::copy::CopyError;
use crate::steps::explain::ExplainError;
use crate::steps::fetch::FetchError;
use crate::steps::launch::LaunchError;
use crate::steps::lock::LockError;
use crate::steps::on_base::OnBaseError;
use crate::steps::pack::PackError;
use crate::steps::prove::ProveError;
use crate::steps::resolve::ResolveError;
use crate::steps::seal::SealError;
use crate::steps::unpack::UnpackError;

/// An error that stopped a build: one variant per step.
#[derive(Debug, Error)]
pub(crate) enum BuildError {
    #[error(transparent)]
    Images(Box<ImagesError>),
    #[error(transparent)]
    Base(Box<BaseError>),
    #[error(transparent)]
    OnBase(#[from] OnBaseError),
    #[error(transparent)]
    Resolve(Box<ResolveError>),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Fetch(#[from] FetchError),
    #[error(transparent)]
    Unpack(Box<UnpackError>),
    #[error(transparent)]
    Assemble(#[from] AssembleError),
    #[error(transparent)]
    Launch(#[from] LaunchError),
    #[error(transparent)]
    Store(#[from] StoreError),
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
    Copy(#[from] CopyError),
    #[error(transparent)]
    Explain(Box<ExplainError>),
}

impl From<ExplainError> for BuildError {
    fn from(error: ExplainError) -> Self {
        Self::Explain(Box::new(error))
    }
}

impl From<BaseError> for BuildError {
    fn from(error: BaseError) -> Self {
        Self::Base(Box::new(error))
    }
}

impl From<UnpackError> for BuildError {
    fn from(error: UnpackError) -> Self {
        Self::Unpack(Box::new(error))
    }
}

impl From<ResolveError> for BuildError {
    fn from(error: ResolveError) -> Self {
        Self::Resolve(Box::new(error))
    }
}

impl From<ImagesError> for BuildError {
    fn from(error: ImagesError) -> Self {
        Self::Images(Box::new(error))
    }
}

impl BuildError {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Prove(ProveError::Failed { .. } | ProveError::OutOfTime { .. }) => 3,
            // Shells use the same exit code if they do not find a command.
            Self::Prove(ProveError::NotFound { .. }) => 127,
            _ => 1,
        }
    }

    /// Returns the path, named by the user, that could not be written to. `None` if the error has another cause.
    pub(crate) fn destination(&self) -> Option<&Path> {
        match self {
            Self::Emit(error) => error.destination(),
            Self::Copy(error) => error.destination(),
            _ => None,
        }
    }
}

impl Hints for BuildError {
    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Images(error) => Some(&**error),
            Self::Explain(error) => Some(&**error),
            Self::Base(error) => Some(&**error),
            Self::OnBase(error) => Some(error),
            Self::Resolve(error) => Some(&**error),
            Self::Lock(error) => Some(error),
            Self::Fetch(error) => Some(error),
            Self::Unpack(error) => Some(&**error),
            Self::Assemble(error) => Some(error),
            Self::Launch(error) => Some(error),
            Self::Store(error) => Some(error),
            Self::Compile(error) => Some(error),
            Self::Prove(error) => Some(error),
            Self::Pack(error) => Some(error),
            Self::Seal(error) => Some(error),
            Self::Emit(error) => Some(error),
            Self::Copy(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::model::hint::{Hint, MachineHint};
    use crate::outside::http::HttpError;
    use crate::outside::stage::StageError;
    use crate::steps::unpack::PartError;

    #[test]
    fn an_error_of_any_step_keeps_the_hints_of_the_error_that_it_wraps() {
        let store = || StoreError::Open { root: "/cache".into(), source: io::ErrorKind::PermissionDenied.into() };
        let expected = store().hints();
        assert_eq!(expected.len(), 1);
        let part = PartError::Damaged(Box::new(store().into()));
        let errors: [BuildError; 10] = [
            store().into(),
            ResolveError::from(store()).into(),
            AssembleError::from(store()).into(),
            CompileError::from(store()).into(),
            ProveError::from(store()).into(),
            PackError::from(store()).into(),
            EmitError::from(store()).into(),
            EmitError::Fill { path: "out".into(), source: StageError::from(store()) }.into(),
            CompileError::from(StageError::from(store())).into(),
            FetchError::from(HttpError::from(store())).into(),
        ];
        for error in errors {
            assert_eq!(error.hints(), expected, "{error:?}");
        }
        // Two errors with a hint: the bytes of a parcel are damaged, and the store cannot be opened.
        let error = BuildError::from(UnpackError::Parcel { parcel: "a.whl".to_owned(), source: part });
        assert_eq!(error.hints(), [vec![Hint::Machine(MachineHint::RunAgain)], expected].concat());
    }
}
