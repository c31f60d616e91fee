//! Times in the form that people read, and the current time: no stage reads it.

use std::time::{SystemTime, UNIX_EPOCH};

/// Milliseconds since 1970-01-01 UTC.
pub fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

/// A time in milliseconds since 1970-01-01 UTC, as text in UTC, to the minute.
pub fn minute(time_ms: i64) -> String {
    jiff::Timestamp::from_millisecond(time_ms).map_or(String::new(), |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string())
}
