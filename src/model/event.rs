//! What happens during a build, for whoever shows it.

/// One thing that happened.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A step begins: a verb and its object, `resolving pre-commit`.
    Step(String),
    /// A download begins; `total` in bytes where it is known.
    DownloadStarted {
        id: u64,
        name: String,
        total: Option<u64>,
    },
    DownloadProgress {
        id: u64,
        bytes: u64,
    },
    DownloadFinished {
        id: u64,
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

/// Hears nothing: for tests, and for work that nobody watches.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Silence;

impl Listener for Silence {
    fn hear(&self, _event: Event) {}
}
