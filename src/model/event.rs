//! What happens during a build, for whoever shows it.

/// One thing that happened.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A step begins: a verb and its object, `resolving pre-commit`.
    Step(String),
    /// So many bytes are to be downloaded, beside what was planned before.
    DownloadsPlanned {
        bytes: u64,
    },
    /// What one plan came to.
    DownloadsFinished {
        files: usize,
        bytes: u64,
    },
    /// A download begins; `total` in bytes where it is known.
    DownloadStarted {
        id: u64,
        name: String,
        total: Option<u64>,
    },
    /// `bytes` are there so far.
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
    /// Something the user should know, and nothing failed.
    Note(String),
    /// Something may be wrong.
    Warning(String),
    /// A line of a program that works for lath, as it came.
    Output(String),
    /// Told with `--verbose` only.
    Detail(String),
}

/// Who listens.
pub(crate) trait Listener: Send + Sync {
    fn hear(&self, event: Event);
}

/// Hears nothing.
#[cfg(test)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Silence;

#[cfg(test)]
impl Listener for Silence {
    fn hear(&self, _event: Event) {}
}
