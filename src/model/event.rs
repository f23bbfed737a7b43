//! Events of a build, which are reported to the code that shows them.

/// One event.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A step begins. The text is a verb and an object, such as `resolving pre-commit`.
    Step(String),
    /// This many bytes will be downloaded, in addition to those planned before.
    DownloadsPlanned {
        bytes: u64,
    },
    /// All planned downloads are finished. These are the totals.
    DownloadsFinished {
        files: usize,
        bytes: u64,
    },
    /// A download begins. `total` is its size in bytes, or `None` if the size is unknown.
    DownloadStarted {
        id: u64,
        name: String,
        total: Option<u64>,
    },
    /// An upload begins. Its progress and end are reported like those of downloads.
    UploadStarted {
        id: u64,
        name: String,
        total: Option<u64>,
    },
    /// The number of bytes that were transferred until now.
    DownloadProgress {
        id: u64,
        bytes: u64,
    },
    DownloadFinished {
        id: u64,
    },
    /// This number of checks has ended. `limit_secs` is 0 if there is no time limit.
    ProofProgress {
        ended: usize,
        checks: usize,
        elapsed_secs: u64,
        limit_secs: u64,
    },
    /// A message for the user that is not about a problem.
    Note(String),
    /// A message about a possible problem.
    Warning(String),
    /// One unchanged line of output from a program that lath runs.
    Output(String),
    /// A message that is shown only with `--verbose`.
    Detail(String),
}

/// The receiver of events.
pub(crate) trait Listener: Send + Sync {
    fn hear(&self, event: Event);
}

/// A listener that ignores all events.
#[cfg(test)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Silence;

#[cfg(test)]
impl Listener for Silence {
    fn hear(&self, _event: Event) {}
}
