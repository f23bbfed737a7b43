//! The pauses between the attempts of a request that fails.

use std::fmt::Display;
use std::time::Duration;

use crate::model::event::{Event, Listener};

/// A request is tried this many times before its failure is reported.
pub(crate) const ATTEMPTS: u32 = 4;
/// The pause before the second attempt. Each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(300);
/// The longest pause before an attempt. The limit also applies if the server requests a longer pause (RFC 9110, section
/// 10.2.3).
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// The failure of an attempt.
pub(crate) trait Failed: Display {
    /// Returns whether another attempt may succeed.
    fn is_passing(&self) -> bool;

    /// Returns the pause that the server requests before the next attempt.
    fn asked_pause(&self) -> Option<Duration>;
}

/// The number of attempts that a request has left.
pub(crate) struct Patience {
    attempts: u32,
    tried: u32,
    pause: Duration,
}

impl Patience {
    pub(crate) fn new(attempts: u32) -> Self {
        Self { attempts, tried: 0, pause: FIRST_PAUSE }
    }

    /// Resets the number of attempts, because the last attempt made progress.
    pub(crate) fn renew(&mut self) {
        (self.tried, self.pause) = (0, FIRST_PAUSE);
    }

    /// Waits until the next attempt. If no attempt is left, returns the error.
    pub(crate) async fn wait_after<E: Failed>(&mut self, error: E, listener: &dyn Listener) -> Result<(), E> {
        self.tried += 1;
        if self.tried >= self.attempts || !error.is_passing() {
            return Err(error);
        }
        let wait = error.asked_pause().unwrap_or(self.pause).min(LONGEST_PAUSE);
        listener.hear(Event::Detail(format!("{error}; trying again in {} ms", wait.as_millis())));
        tokio::time::sleep(wait).await;
        self.pause *= 2;
        Ok(())
    }
}

/// Calls `attempt` until it succeeds, or until no attempt is left.
pub(crate) async fn with_retries<T, E: Failed, F>(listener: &dyn Listener, attempt: impl Fn() -> F) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut patience = Patience::new(ATTEMPTS);
    loop {
        match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) => patience.wait_after(error, listener).await?,
        }
    }
}
