//! Events of a build, reported to the code that displays them.

/// One event.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A step begins: a verb and its object, `resolving pre-commit`.
    Step(String),
    /// This many bytes will be downloaded, in addition to those planned before.
    DownloadsPlanned {
        bytes: u64,
    },
    /// All downloads of one plan are finished: their totals.
    DownloadsFinished {
        files: usize,
        bytes: u64,
    },
    /// A download begins. `total` is in bytes, if known.
    DownloadStarted {
        id: u64,
        name: String,
        total: Option<u64>,
    },
    /// An upload begins. Its progress and its end are reported as those of downloads.
    UploadStarted {
        id: u64,
        name: String,
        total: Option<u64>,
    },
    /// The number of bytes transferred so far.
    DownloadProgress {
        id: u64,
        bytes: u64,
    },
    DownloadFinished {
        id: u64,
    },
    /// So many of the checks have ended; `limit_secs` is 0 if there is no limit.
    ProofProgress {
        ended: usize,
        checks: usize,
        elapsed_secs: u64,
        limit_secs: u64,
    },
    /// A message for the user although nothing failed.
    Note(String),
    /// Something may be wrong.
    Warning(String),
    /// One unchanged line of output from a program that lath runs.
    Output(String),
    /// Shown only with `--verbose`.
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
