//! The early build of the project: it starts while the request is still being resolved. Its result is kept here for
//! the resolver (docs/decisions/0168-the-project-is-built-early.md).

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::model::allowed_hashes::AllowedHashes;
use crate::model::source::{Source, SourcePlace};

/// The build of one folder.
pub(super) struct Early<T> {
    /// The folder of the project, if it is a package.
    folder: Option<PathBuf>,
    state: Mutex<State<T>>,
}

enum State<T> {
    Waiting,
    Built {
        name: String,
        result: T,
    },
    /// The resolver has asked for the result. If there was no result at that time, the resolver builds the source
    /// itself.
    Taken,
}

/// A result, and the normalised name of its distribution.
pub(super) struct Named<T> {
    pub(super) name: String,
    pub(super) result: T,
}

impl<T> Early<T> {
    pub(super) fn of(folder: Option<PathBuf>) -> Self {
        Self { folder, state: Mutex::new(State::Waiting) }
    }

    /// Returns the source that is built early. `None` if the request has no project that is a package.
    pub(super) fn source(&self) -> Option<Source> {
        let place = SourcePlace::Folder(self.folder.clone()?);
        let allowed = AllowedHashes::default();
        Some(Source { name: None, version: None, place, subdirectory: None, allowed, other_python: None })
    }

    /// Takes the result for `source`. If `source` is being built, waits for the result. Later calls return `None`.
    pub(super) fn take(&self, source: &Source) -> Option<T> {
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

    /// Runs `build` and keeps its result. If the resolver has called [`Self::take`] before, does nothing. If the
    /// resolver calls [`Self::take`] while `build` runs, the resolver waits until `build` has ended.
    pub(super) fn fill(&self, build: impl FnOnce() -> Option<Named<T>>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Waiting)
            && let Some(Named { name, result }) = build()
        {
            *state = State::Built { name, result };
        }
    }
}
