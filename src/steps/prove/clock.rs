//! The time limit for all checks of a proof together.

use std::sync::atomic::{AtomicUsize, Ordering};

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
    /// `deadline` is the end of the limit, which may have begun with the checks of an earlier round.
    pub(super) fn new(deadline: Deadline, limit_secs: u64) -> Self {
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
