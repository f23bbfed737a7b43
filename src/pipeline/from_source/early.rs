//! The build of the project's own wheel, which starts while the request is still being resolved
//! (docs/decisions/0168-the-project-is-built-early.md).

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::{FromSource, Made};
use crate::model::source::{Source, SourcePlace};
use crate::steps::wheel::{Goal, Reason};

/// The stack of the thread. It resolves and assembles a tree.
const STACK_BYTES: usize = 8 << 20;

/// The build of one folder.
#[derive(Default)]
pub(super) struct Early {
    /// The folder of the project, if it is a package.
    folder: Option<PathBuf>,
    state: Mutex<State>,
}

#[derive(Default)]
enum State {
    #[default]
    Waiting,
    Built {
        name: String,
        result: Result<Made, Reason>,
    },
    /// The resolver has the result, or it was faster and builds itself.
    Taken,
}

impl Early {
    pub(super) fn of(folder: Option<PathBuf>) -> Self {
        Self { folder, state: Mutex::default() }
    }

    fn source(&self) -> Option<Source> {
        let place = SourcePlace::Folder(self.folder.clone()?);
        Some(Source { name: None, version: None, place, subdirectory: None, allowed: Vec::new(), other_python: None })
    }

    /// Returns the result for `source`, once. If it is being built, waits for it.
    pub(super) fn take(&self, source: &Source) -> Option<Result<Made, Reason>> {
        let own = self.source()?;
        if own.place != source.place || own.subdirectory != source.subdirectory {
            return None;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *state, State::Taken) {
            State::Built { name, result } if source.name.as_ref() == Some(&name) => Some(result),
            _ => None,
        }
    }
}

impl FromSource<'_> {
    /// Runs `work`. In parallel, builds the wheel of the project, whose build backend does not depend on the versions that
    /// `work` chooses.
    pub(in crate::pipeline) fn early<T>(&self, work: impl FnOnce() -> T) -> T {
        let Some(source) = self.early.source() else { return work() };
        std::thread::scope(|threads| {
            let thread = std::thread::Builder::new().stack_size(STACK_BYTES);
            // Without a thread, nothing is built early.
            let _ = thread.spawn_scoped(threads, || self.build_early(source));
            work()
        })
    }

    fn build_early(&self, mut source: Source) {
        // The lock is held during the build, so that the resolver waits for the result.
        let mut state = self.early.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !matches!(*state, State::Waiting) {
            return;
        }
        // If the folder cannot be read, the resolver reports that. Without a name in the file, the build may lack
        // requirements that the user added by name.
        let Ok(open) = self.open(&source) else { return };
        let Some(name) = open.name() else { return };
        source.name = Some(name.clone());
        let Ok(open) = open.checked(&source) else { return };
        // A compiler would run for minutes, and in vain if the request cannot be resolved.
        if self.is_native(&open) {
            return;
        }
        *state = State::Built { name, result: self.make(&open, Goal::Wheel) };
    }
}
