//! Events of a build. They are reported to the code that shows them to the user.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

/// One event.
#[derive(Debug, Clone)]
pub(crate) enum Event {
    /// A step begins. The text is a verb and an object, such as `resolving pre-commit`.
    Step(String),
    /// This number of bytes will be downloaded, in addition to all bytes that were planned before.
    DownloadsPlanned {
        bytes: u64,
    },
    /// All planned downloads are finished. The fields are the numbers of all files and of all bytes.
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
    /// An upload begins. Its progress and its end are reported by the same events as for downloads.
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

/// A message for the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Message {
    Note(String),
    Warning(String),
}

impl From<Message> for Event {
    fn from(message: Message) -> Self {
        match message {
            Message::Note(text) => Self::Note(text),
            Message::Warning(text) => Self::Warning(text),
        }
    }
}

/// A listener that passes all events on, and keeps the messages among them.
pub(crate) struct Recorder {
    listener: Arc<dyn Listener>,
    messages: Mutex<Vec<Message>>,
}

impl Recorder {
    pub(crate) fn new(listener: Arc<dyn Listener>) -> Self {
        Self { listener, messages: Mutex::default() }
    }

    /// Returns the messages that were reported since the last call of this function.
    pub(crate) fn take(&self) -> Vec<Message> {
        std::mem::take(&mut self.messages.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Listener for Recorder {
    fn hear(&self, event: Event) {
        let message = match &event {
            Event::Note(text) => Some(Message::Note(text.clone())),
            Event::Warning(text) => Some(Message::Warning(text.clone())),
            _ => None,
        };
        self.messages.lock().unwrap_or_else(PoisonError::into_inner).extend(message);
        self.listener.hear(event);
    }
}

/// A listener that ignores all events.
#[cfg(test)]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Silence;

#[cfg(test)]
impl Listener for Silence {
    fn hear(&self, _event: Event) {}
}
