//! A time limit.

use std::time::{Duration, Instant};

#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    begun: Instant,
    /// `None` means no limit.
    limit: Option<Duration>,
}

impl Deadline {
    /// Creates a limit that ends `secs` from now. 0 means no limit.
    pub(crate) fn after(secs: u64) -> Self {
        Self { begun: Instant::now(), limit: (secs > 0).then_some(Duration::from_secs(secs)) }
    }

    /// Returns this limit, as if it had begun earlier by the time `spent`.
    pub(crate) fn minus(self, spent: Duration) -> Self {
        let begun = self.begun.checked_sub(spent).unwrap_or(self.begun);
        Self { begun, ..self }
    }

    /// Returns the remaining time in whole seconds, or 0 if the time is over. Returns `None` if there is no limit.
    pub(crate) fn left_secs(&self) -> Option<u64> {
        let left = self.limit?.saturating_sub(self.begun.elapsed());
        Some(left.as_secs() + u64::from(left.subsec_nanos() > 0))
    }

    pub(crate) fn elapsed_secs(&self) -> u64 {
        self.begun.elapsed().as_secs()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_that_is_spent_counts_and_no_limit_stays_no_limit() {
        let spent = Duration::from_secs(7);
        assert!(Deadline::after(60).minus(spent).left_secs().is_some_and(|left| (50..=53).contains(&left)));
        assert_eq!(Deadline::after(5).minus(spent).left_secs(), Some(0));
        assert_eq!(Deadline::after(0).minus(spent).left_secs(), None);
    }
}
