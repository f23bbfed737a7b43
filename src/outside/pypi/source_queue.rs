//! Questions about sources whose answers block: each is answered on a thread of its own, while uv's futures wait.

use std::fmt;
use std::sync::mpsc::{Receiver, Sender};

use futures::channel::oneshot;

use crate::model::hint::Hints;
use crate::model::lock::LockedWheel;
use crate::model::source::Source;

/// Fetches sources, and builds them into wheels. The methods block.
pub(crate) trait Sources: Send + Sync {
    /// Returns the files of the source that may contain its metadata.
    fn texts(&self, source: &Source) -> Result<SourceTexts, SourceFailure>;

    /// Returns the text of METADATA, from the source's build backend.
    fn metadata(&self, source: &Source) -> Result<String, SourceFailure>;

    /// Returns the wheel of `source`, which is then in the store.
    fn wheel(&self, source: &Source) -> Result<LockedWheel, SourceFailure>;
}

/// The files of a source that may contain its metadata.
#[derive(Debug, Clone, Default)]
pub(crate) struct SourceTexts {
    pub(crate) pyproject: Option<String>,
    /// `None` for a folder and a repository, because the file may be out of date there.
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

/// A task for a thread that may block.
pub(super) struct Job {
    pub(super) source: Source,
    pub(super) task: Task,
}

/// The question about a source, and the place for its answer.
pub(super) enum Task {
    Texts(oneshot::Sender<Result<SourceTexts, SourceFailure>>),
    Metadata(oneshot::Sender<Result<String, SourceFailure>>),
}

impl Job {
    fn run(self, sources: &dyn Sources) {
        // If the resolver has ended before, the result is not needed.
        match self.task {
            Task::Texts(reply) => drop(reply.send(sources.texts(&self.source))),
            Task::Metadata(reply) => drop(reply.send(sources.metadata(&self.source))),
        }
    }
}

/// The stack of a thread that builds a source. It resolves and assembles a tree.
const STACK_BYTES: usize = 8 << 20;

/// Runs `work` with a queue for jobs. Each job runs on a thread of its own.
pub(super) fn with_queue<T>(sources: &dyn Sources, work: impl FnOnce(Sender<Job>) -> T) -> std::io::Result<T> {
    let (sender, queue): (Sender<Job>, Receiver<Job>) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        std::thread::Builder::new().spawn_scoped(scope, move || {
            for job in queue {
                let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
                // Without a thread, the job is dropped, and so is its reply. That is reported.
                let _ = thread.spawn_scoped(scope, move || job.run(sources));
            }
        })?;
        Ok(work(sender))
    })
}

/// For tests of the resolver in which nothing is built.
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
