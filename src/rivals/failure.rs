//! The errors of `rivals`: one variant for each module that can fail, with its exit code and hints.

use std::path::Path;

use thiserror::Error;

use crate::model::hint::Hints;
use crate::pipeline::BuildError;
use crate::rivals::compare::CompareError;
use crate::rivals::dockerfile::DockerfileError;
use crate::rivals::engine::EngineError;

/// An error that stopped a Dockerfile or a comparison.
#[derive(Debug, Error)]
pub(crate) enum RivalError {
    /// A step of a build failed, such as resolving.
    #[error(transparent)]
    Build(BuildError),
    #[error(transparent)]
    Dockerfile(#[from] DockerfileError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error(transparent)]
    Compare(#[from] CompareError),
}

/// An error of a step of a build becomes [`RivalError::Build`].
impl<E> From<E> for RivalError
where
    BuildError: From<E>,
{
    fn from(error: E) -> Self {
        Self::Build(error.into())
    }
}

impl RivalError {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Build(error) => error.exit_code(),
            Self::Engine(EngineError::Check { .. }) => 3,
            _ => 1,
        }
    }

    /// Returns the destination that could not be written to. `None` if the error has another cause.
    pub(crate) fn destination(&self) -> Option<&Path> {
        match self {
            Self::Build(error) => error.destination(),
            _ => None,
        }
    }
}

impl Hints for RivalError {
    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Build(error) => Some(error),
            Self::Dockerfile(error) => Some(error),
            Self::Engine(error) => Some(error),
            Self::Compare(error) => Some(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::outside::archive::ArchiveError;
    use crate::outside::store::StoreError;

    #[test]
    fn an_error_keeps_the_hints_of_the_error_that_it_wraps() {
        let store = || StoreError::Open { root: "/cache".into(), source: io::ErrorKind::PermissionDenied.into() };
        let expected = store().hints();
        assert_eq!(expected.len(), 1);
        let errors: [RivalError; 2] = [store().into(), CompareError::from(ArchiveError::from(store())).into()];
        for error in errors {
            assert_eq!(error.hints(), expected, "{error:?}");
        }
    }
}
