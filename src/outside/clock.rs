//! The time of day. No other module reads it, so nothing in an image can depend on it by mistake.

use std::time::{SystemTime, UNIX_EPOCH};

/// Returns the time of day.
#[expect(clippy::disallowed_methods, reason = "the only place that reads the clock")]
pub(crate) fn now() -> SystemTime {
    SystemTime::now()
}

/// Returns the seconds since 1970.
pub(crate) fn now_secs() -> u64 {
    now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs())
}
