//! A queue of jobs about sources. A job blocks, so each job runs in its own thread, and uv's futures wait for its
//! result.

use std::fmt;
use std::sync::mpsc::{Receiver, Sender};

use futures::channel::oneshot;

use crate::model::hint::Hints;
use crate::model::lock::LockedWheel;
use crate::model::source::Source;

/// Fetches sources, and builds them into wheels. The methods block.
pub(crate) trait Sources: Send + Sync {
    /// Returns those files of the source that may contain its metadata.
    fn texts(&self, source: &Source) -> Result<SourceTexts, SourceFailure>;

    /// Returns the text of METADATA. The source's build backend creates it.
    fn metadata(&self, source: &Source) -> Result<String, SourceFailure>;

    /// Builds the wheel of `source`, and puts it into the store.
    fn wheel(&self, source: &Source) -> Result<LockedWheel, SourceFailure>;
}

/// Those files of a source that may contain its metadata.
#[derive(Debug, Clone, Default)]
pub(crate) struct SourceTexts {
    pub(crate) pyproject: Option<String>,
    /// The text of PKG-INFO. `None` for a folder or a repository, because the file may be out of date there.
    pub(crate) pkg_info: Option<String>,
}

/// The reason why a source cannot be used, with its hints.
#[derive(Debug)]
pub(crate) struct SourceFailure(pub(crate) Box<dyn Hints + Send + Sync>);

impl fmt::Display for SourceFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for SourceFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source()
    }
}

impl<T: Hints + Send + Sync + 'static> From<T> for SourceFailure {
    fn from(error: T) -> Self {
        Self(Box::new(error))
    }
}

impl SourceFailure {
    pub(crate) fn hints(&self) -> &dyn Hints {
        &*self.0
    }
}

/// A job for a thread that may block.
pub(super) struct Job {
    pub(super) source: Source,
    pub(super) task: Task,
}

/// The request about a source, and the channel for the reply.
pub(super) enum Task {
    Texts(oneshot::Sender<Result<SourceTexts, SourceFailure>>),
    Metadata(oneshot::Sender<Result<String, SourceFailure>>),
}

impl Job {
    fn run(self, sources: &dyn Sources) {
        // If the resolver has already ended, the result is not needed.
        match self.task {
            Task::Texts(reply) => drop(reply.send(sources.texts(&self.source))),
            Task::Metadata(reply) => drop(reply.send(sources.metadata(&self.source))),
        }
    }
}

/// The stack size of a thread that builds a source. It is large because the thread resolves a request and
/// assembles a tree.
const STACK_BYTES: usize = 8 << 20;

/// Runs `work`, which can send jobs to a queue. Each job runs in a thread of its own.
pub(super) fn with_queue<T>(sources: &dyn Sources, work: impl FnOnce(Sender<Job>) -> T) -> std::io::Result<T> {
    let (sender, queue): (Sender<Job>, Receiver<Job>) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        std::thread::Builder::new().spawn_scoped(scope, move || {
            for job in queue {
                let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
                // If no thread can be started, the job and its reply channel are dropped. Then the receiver of the
                // reply reports an error.
                let _ = thread.spawn_scoped(scope, move || job.run(sources));
            }
        })?;
        Ok(work(sender))
    })
}

/// Used in tests of the resolver that build nothing.
#[cfg(test)]
pub(super) struct OnlyWheels;

#[cfg(test)]
impl Sources for OnlyWheels {
    fn texts(&self, source: &Source) -> Result<SourceTexts, SourceFailure> {
        panic!("{source:?}")
    }

    fn metadata(&self, source: &Source) -> Result<String, SourceFailure> {
        panic!("{source:?}")
    }

    fn wheel(&self, source: &Source) -> Result<LockedWheel, SourceFailure> {
        panic!("{source:?}")
    }
}
