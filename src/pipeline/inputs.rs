//! Reads the inputs of a request that are files of the user, before the request exists.

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::model::application::AppFiles;
use crate::model::hint::Hints;
use crate::model::platform::PythonVersion;
use crate::model::script::ScriptMetadata;
use crate::model::trace::Trace;
use crate::outside::app_files::{self, AppFilesError};
use crate::outside::pypi::{PypiError, pythons};
use crate::outside::script::{self, ScriptError};
use crate::outside::trace_file::{self, TraceFileError};

#[derive(Debug, Error)]
pub(crate) enum InputError {
    #[error(transparent)]
    Files(#[from] AppFilesError),
    #[error(transparent)]
    Script(#[from] ScriptError),
    #[error(transparent)]
    Trace(#[from] TraceFileError),
    #[error(transparent)]
    Python(Box<PypiError>),
}

impl Hints for InputError {
    fn wrapped(&self) -> Option<&dyn Hints> {
        match self {
            Self::Files(error) => Some(error),
            Self::Script(error) => Some(error),
            Self::Trace(error) => Some(error),
            Self::Python(error) => Some(&**error),
        }
    }
}

/// Lists the files of an application that go into the image. `outputs` are the places to which lath writes.
pub(crate) fn application(folder: &Path, outputs: &[PathBuf]) -> Result<AppFiles, InputError> {
    Ok(app_files::list(folder, outputs)?)
}

/// Returns the list of files for a script: only the script itself.
pub(crate) fn script_file(path: &Path) -> Result<AppFiles, InputError> {
    Ok(app_files::script(path)?)
}

/// Returns the metadata in a script. `None` if the script has no metadata.
pub(crate) fn script_metadata(path: &Path) -> Result<Option<ScriptMetadata>, InputError> {
    Ok(script::metadata(path)?)
}

/// Reads a record of `lath trace`.
pub(crate) fn read_trace(path: &Path) -> Result<Trace, InputError> {
    Ok(trace_file::read(path)?)
}

/// Returns whether `specifiers` allow a Python. `full` is its version with the patch number.
pub(crate) fn allows_python(specifiers: &str, python: PythonVersion, full: Option<&str>) -> Result<bool, InputError> {
    pythons::allows(specifiers, python, full).map_err(|error| InputError::Python(Box::new(error)))
}
