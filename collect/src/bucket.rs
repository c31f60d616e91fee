//! A token bucket: how much one sender may send.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A burst may hold what may be sent in this many seconds.
const BURST_S: f64 = 10.0;

/// Messages a second that each sender may send; 0 for no limit. Clones share it, and whoever has one can change it.
#[derive(Debug, Clone, Default)]
pub struct Rate(Arc<AtomicU32>);

impl Rate {
    /// This rate, until another one is set.
    pub fn new(a_second: u32) -> Self {
        Self(Arc::new(AtomicU32::new(a_second)))
    }

    /// Sets another rate, from the next request on.
    pub fn set(&self, a_second: u32) {
        self.0.store(a_second, Ordering::Relaxed);
    }

    fn get(&self) -> f64 {
        f64::from(self.0.load(Ordering::Relaxed))
    }
}

/// Lets `rate` messages a second pass, and bursts of ten times that. A request passes whole as long as something is left, and what it
/// takes too much is waited for afterwards: so one of any size passes.
#[derive(Debug)]
pub struct Bucket {
    rate: Rate,
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
    pub fn new(rate: Rate) -> Self {
        Self { rate, level: Mutex::new(None) }
    }

    /// Takes `count` messages out.
    ///
    /// # Errors
    /// Nothing is left: how long until something is, in whole seconds of at least 1. Nothing was taken.
    pub fn take(&self, count: usize, now: Instant) -> Result<(), u64> {
        let rate = self.rate.get();
        if rate <= 0.0 {
            return Ok(());
        }
        let full = rate * BURST_S;
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let before = level.unwrap_or(Level { left: full, at: now });
        let passed = now.saturating_duration_since(before.at);
        let left = full.min(before.left + passed.as_secs_f64() * rate);
        let allowed = left > 0.0;
        *level = Some(Level { left: if allowed { left - count as f64 } else { left }, at: now.max(before.at) });
        if allowed {
            return Ok(());
        }
        Err(Duration::from_secs_f64((-left / rate).min(3_600.0)).as_secs() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bursts_pass_and_more_has_to_wait() {
        let (bucket, start) = (Bucket::new(Rate::new(10)), Instant::now());
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
        let bucket = Bucket::new(Rate::new(0));
        assert!((0..1_000).all(|_| bucket.take(usize::MAX, Instant::now()).is_ok()));
    }

    #[test]
    fn another_rate_counts_from_the_next_request_on() {
        let (rate, start) = (Rate::new(10), Instant::now());
        let bucket = Bucket::new(rate.clone());
        assert_eq!(bucket.take(110, start), Ok(()));
        assert_eq!(bucket.take(1, start), Err(2));
        rate.set(1_000);
        assert_eq!(bucket.take(1, start + Duration::from_millis(20)), Ok(()));
        rate.set(0);
        assert_eq!(bucket.take(usize::MAX, start), Ok(()));
    }
}
