//! A token bucket: how much one sender may send.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A burst may hold what may be sent in this many seconds.
const BURST_S: f64 = 10.0;

/// Lets `rate` messages a second pass, and bursts of ten times that. A request passes whole as long as something is left, and what it
/// takes too much is waited for afterwards: so one of any size passes.
#[derive(Debug)]
pub struct Bucket {
    /// Messages a second; 0 for no limit.
    rate: f64,
    level: Mutex<Option<Level>>,
}

#[derive(Debug, Clone, Copy)]
struct Level {
    /// Messages that may still pass; below 0 while there is something to wait for.
    left: f64,
    at: Instant,
}

impl Bucket {
    /// A full bucket.
    pub fn new(rate: u32) -> Self {
        Self { rate: f64::from(rate), level: Mutex::new(None) }
    }

    /// Takes `count` messages out.
    ///
    /// # Errors
    /// Nothing is left: how long until something is, in whole seconds of at least 1. Nothing was taken.
    pub fn take(&self, count: usize, now: Instant) -> Result<(), u64> {
        if self.rate <= 0.0 {
            return Ok(());
        }
        let full = self.rate * BURST_S;
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let before = level.unwrap_or(Level { left: full, at: now });
        let passed = now.saturating_duration_since(before.at);
        let left = full.min(before.left + passed.as_secs_f64() * self.rate);
        let allowed = left > 0.0;
        *level = Some(Level { left: if allowed { left - count as f64 } else { left }, at: now.max(before.at) });
        if allowed {
            return Ok(());
        }
        Err(Duration::from_secs_f64((-left / self.rate).min(3_600.0)).as_secs() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_pass_and_more_has_to_wait() {
        let (bucket, start) = (Bucket::new(10), Instant::now());
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        assert_eq!(bucket.take(99, start), Ok(()));
        assert_eq!(bucket.take(31, start), Ok(()));
        assert_eq!(bucket.take(1, start), Err(4));
        assert_eq!(bucket.take(1, at(3_000)), Err(1));
        assert_eq!(bucket.take(1, at(3_100)), Ok(()));
        assert_eq!(bucket.take(1, at(3_100)), Err(1));
        // It fills up again, to the burst and no further.
        assert_eq!(bucket.take(101, at(1_000_000)), Ok(()));
        assert_eq!(bucket.take(1, at(1_000_000)), Err(1));
    }

    #[test]
    fn no_rate_is_no_limit() {
        let bucket = Bucket::new(0);
        assert!((0..1_000).all(|_| bucket.take(usize::MAX, Instant::now()).is_ok()));
    }
}
