//! A limit for requests with a body. It is not a limit for the whole request, because the body may be large and the
//! network slow. The request ends only if nothing happens for some time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// The time at which the request last made progress.
#[derive(Clone)]
pub(super) struct Progress(Arc<Mutex<Instant>>);

/// Nothing happened for too long.
#[derive(Debug)]
pub(super) struct Idle;

impl Progress {
    pub(super) fn begin() -> Self {
        Self(Arc::new(Mutex::new(Instant::now())))
    }

    /// Reports that the network has taken a part of the body.
    pub(super) fn made(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    fn last(&self) -> Instant {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits for `work`, unless `limit` passes without progress. After the last part of a body, `limit` is the longest wait
/// for the response.
pub(super) async fn unless<T>(work: impl Future<Output = T>, progress: &Progress, limit: Duration) -> Result<T, Idle> {
    let mut work = std::pin::pin!(work);
    loop {
        let end = progress.last() + limit;
        tokio::select! {
            outcome = &mut work => return Ok(outcome),
            () = sleep_until(end) => {}
        }
        if progress.last() + limit <= Instant::now() {
            return Err(Idle);
        }
    }
}
