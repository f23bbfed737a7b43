//! What is told when something failed: the error, its causes, and a way out.

use std::error::Error;
use std::fmt;

/// A failure as the user reads it.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) exit_code: u8,
    message: String,
    causes: Vec<String>,
    hints: Vec<String>,
}

impl Failure {
    /// Wrong usage: what was typed means nothing.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self { exit_code: 2, message: message.into(), causes: Vec::new(), hints: Vec::new() }
    }

    /// A request that cannot be met, or an outside that failed.
    pub(super) fn of(error: &dyn Error) -> Self {
        let mut causes: Vec<String> = Vec::new();
        let mut next = error.source();
        let message = error.to_string();
        while let Some(cause) = next {
            let text = cause.to_string();
            if text != message && causes.last() != Some(&text) {
                causes.push(text);
            }
            next = cause.source();
        }
        Self { exit_code: 1, message, causes, hints: Vec::new() }
    }

    pub(super) fn with_exit_code(mut self, exit_code: u8) -> Self {
        self.exit_code = exit_code;
        self
    }

    pub(super) fn with_hints(mut self, hints: Vec<String>) -> Self {
        self.hints.extend(hints);
        self
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.message)?;
        for cause in &self.causes {
            write!(f, "\n  cause: {}", cause.trim_end().replace('\n', "\n    "))?;
        }
        for hint in &self.hints {
            write!(f, "\n  hint: {hint}")?;
        }
        Ok(())
    }
}
