//! Log lines of the Kafka clients, converted to our own log.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;

/// Most errors of clients logged per second: while brokers are away, each of many connections reports an error every second.
const COMPLAINTS_MAX: u32 = 10;

/// Facility of the line that librdkafka logs whenever it closes a connection, for any reason.
pub(super) const CONNECTION_LOST: &str = "FAIL";

/// Logs a line of librdkafka. Its log contains no records and no credentials unless `debug` is set, which is refused. Its errors are logged
/// at debug level: where they matter, they are reported once, by [`Reach`](super::Reach) and by the errors of what fails because of them.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => tracing::warn!(facility, "{message}"),
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => {
            match SPARING.lock().unwrap_or_else(PoisonError::into_inner).admit(Instant::now()) {
                Some(0) => tracing::debug!(facility, "{message}"),
                Some(left_out) => tracing::debug!(facility, left_out, "{message}"),
                None => {}
            }
        }
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => tracing::debug!(facility, "{message}"),
    }
}

static SPARING: Mutex<Sparing> = Mutex::new(Sparing { second: None, written: 0, left_out: 0 });

/// Limits the number of lines per second.
struct Sparing {
    second: Option<Instant>,
    written: u32,
    left_out: u32,
}

impl Sparing {
    /// Whether a line may be logged; if so, how many were left out before it.
    fn admit(&mut self, now: Instant) -> Option<u32> {
        if self.second.is_none_or(|second| now.saturating_duration_since(second) >= Duration::from_secs(1)) {
            (self.second, self.written) = (Some(now), 0);
        }
        if self.written == COMPLAINTS_MAX {
            self.left_out = self.left_out.saturating_add(1);
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.left_out))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_the_client_are_bounded_and_those_left_out_are_counted() {
        let mut sparing = Sparing { second: None, written: 0, left_out: 0 };
        let now = Instant::now();
        let written = (0..576).filter(|_| sparing.admit(now).is_some()).count();
        assert_eq!(written, COMPLAINTS_MAX as usize);
        assert_eq!(sparing.admit(now + Duration::from_secs(1)), Some(576 - COMPLAINTS_MAX));
        assert_eq!(sparing.admit(now + Duration::from_secs(1)), Some(0));
    }
}
