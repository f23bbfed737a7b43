//! The receipt: the results of a build, for the summary and for `--metadata-file`.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::model::image::Layer;
use crate::model::platform::Platform;
use crate::model::reason::Removed;

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Receipt {
    pub(crate) name: String,
    /// `sha256:...` of the index, or of the only manifest.
    pub(crate) digest: String,
    /// The destinations that were written, as the user would type them.
    pub(crate) destinations: Vec<String>,
    pub(crate) platforms: Vec<PlatformReceipt>,
}

#[derive(Debug, Clone, Serialize)]
pub(crate) struct PlatformReceipt {
    pub(crate) platform: Platform,
    /// Of the manifest.
    pub(crate) digest: String,
    pub(crate) files_bytes: u64,
    pub(crate) compressed_bytes: u64,
    pub(crate) layers: Vec<Layer>,
    /// Bytes of files by origin, as displayed by `Origin`.
    pub(crate) bytes_by_origin: BTreeMap<String, u64>,
    /// Bytes that trim removed, by reason. In JSON, the keys are the ids of the reasons.
    pub(crate) removed_bytes_by_reason: BTreeMap<Removed, u64>,
    pub(crate) checks: ProofSummary,
    /// The entry point in exec form.
    pub(crate) entrypoint: Vec<String>,
    pub(crate) hints: Vec<String>,
}

/// The result of the proof.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, serde::Deserialize)]
pub(crate) struct ProofSummary {
    /// Names of the checks that ran and passed.
    pub(crate) passed: Vec<String>,
    /// Checks that did not run, each with the reason.
    pub(crate) not_run: Vec<String>,
    /// Checks that failed in the same way in the untrimmed tree. `notes` contains their output.
    pub(crate) failed_alike: Vec<String>,
    /// Observations that are not a fault of the image.
    pub(crate) notes: Vec<String>,
}
