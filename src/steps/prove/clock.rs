//! The time limit for all checks of a proof together.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::model::event::{Event, Listener};
use crate::outside::deadline::Deadline;

/// The time limit for all checks together, and their progress.
pub(super) struct Clock {
    pub(super) deadline: Deadline,
    pub(super) limit_secs: u64,
    checks: AtomicUsize,
    ended: AtomicUsize,
}

impl Clock {
    /// `spent` is the part of the time that the checks of earlier rounds have used.
    pub(super) fn start(limit_secs: u64, spent: Duration) -> Self {
        let deadline = Deadline::after(limit_secs).minus(spent);
        Self { deadline, limit_secs, checks: AtomicUsize::new(0), ended: AtomicUsize::new(0) }
    }

    pub(super) fn plan(&self, checks: usize) {
        self.checks.fetch_add(checks, Ordering::Relaxed);
    }

    pub(super) fn tick(&self, listener: &dyn Listener) {
        let ended = self.ended.fetch_add(1, Ordering::Relaxed) + 1;
        listener.hear(Event::ProofProgress {
            ended,
            checks: self.checks.load(Ordering::Relaxed),
            elapsed_secs: self.deadline.elapsed_secs(),
            limit_secs: self.limit_secs,
        });
    }

    pub(super) fn is_over(&self) -> bool {
        self.deadline.left_secs() == Some(0)
    }
}
