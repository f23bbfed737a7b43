//! The messages between lath and a warden.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Job;
use crate::model::trace::Touch;

/// A job and the tree that it runs in.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub(super) root: PathBuf,
    pub(super) job: Job,
}

/// How a job ended.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Ended {
    /// The exit code of the program. If a signal ended the program, it is 128 plus the signal's number. If the program
    /// was not started, it is [`super::NOT_STARTED`].
    pub(crate) exit_code: i32,
    /// The paths that the program used, if the job is traced.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) touches: Vec<Touch>,
}
