//! Rate limits (token buckets) of a sender, for messages, for bytes, and for useless messages.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A burst may be as large as what may be sent in this many seconds.
const BURST_S: f64 = 10.0;
/// The share of the rate for useless messages, counted separately, so that they use up nothing of the rate for useful ones.
const USELESS: f64 = 0.1;

/// The rate per sender. Clones share it; each can change it.
#[derive(Debug, Clone, Default)]
pub struct Rate(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    messages: AtomicU32,
    kilobytes: AtomicU32,
}

impl Rate {
    /// Messages per second (0: no limits at all) and KiB per second (0: no limit of bytes), until changed.
    pub fn new(messages: u32, kilobytes: u32) -> Self {
        let rate = Self::default();
        rate.set(messages, kilobytes);
        rate
    }

    /// Sets another rate, from the next request on.
    pub fn set(&self, messages: u32, kilobytes: u32) {
        self.0.messages.store(messages, Ordering::Relaxed);
        self.0.kilobytes.store(kilobytes, Ordering::Relaxed);
    }

    /// `part` of the limits of messages, bytes and useless messages; `None` if there are no limits.
    fn get(&self, part: f64) -> Option<[f64; LANES]> {
        let messages = f64::from(self.0.messages.load(Ordering::Relaxed)) * part;
        let bytes = f64::from(self.0.kilobytes.load(Ordering::Relaxed)) * 1_024.0 * part;
        (messages > 0.0).then_some([messages, bytes, messages * USELESS])
    }
}

/// The number of separate buckets: messages, bytes, useless messages.
const LANES: usize = 3;

/// The cost of a request.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Messages that may be useful. Every request costs at least one.
    pub messages: usize,
    /// Bytes of the decompressed body.
    pub bytes: usize,
    /// Useless messages; 1 for a refused request.
    pub useless: usize,
}

/// A token bucket for messages and bytes per second, with bursts of ten times that. A request passes completely if every bucket it uses has
/// something left; what it takes too much must be waited for afterwards. So requests of any size can pass.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Levels {
    /// What may still pass; below 0 while there is something to wait for.
    left: [f64; LANES],
    at: Instant,
}

impl Levels {
    /// Takes the cost of a request, at `part` of this rate. `levels` is `None` until the first request.
    ///
    /// # Errors
    /// A bucket is empty: seconds until it is not, at least 1. Nothing was taken.
    pub(crate) fn take(levels: &mut Option<Self>, rate: &Rate, part: f64, cost: Cost, now: Instant) -> Result<(), u64> {
        let Some(rates) = rate.get(part) else { return Ok(()) };
        let before = levels.unwrap_or(Self { left: rates.map(|rate| rate * BURST_S), at: now });
        let passed = now.saturating_duration_since(before.at).as_secs_f64();
        let costs = [cost.messages.max(1), cost.bytes, cost.useless].map(|cost| cost as f64);
        let (mut after, mut wait) = (before.left, None::<f64>);
        for ((left, rate), cost) in after.iter_mut().zip(rates).zip(costs) {
            *left = (rate * BURST_S).min(*left + passed * rate);
            if rate > 0.0 && cost > 0.0 && *left <= 0.0 {
                wait = Some(wait.unwrap_or(0.0).max(-*left / rate));
            }
        }
        if wait.is_none() {
            after.iter_mut().zip(costs).for_each(|(left, cost)| *left -= cost);
            // The debt of useless messages is limited to a burst: a sender that has fixed its pages must not wait for hours.
            let [_, _, useless] = &mut after;
            let [_, _, rate] = rates;
            *useless = useless.max(-rate * BURST_S);
        }
        *levels = Some(Self { left: after, at: now.max(before.at) });
        match wait {
            None => Ok(()),
            Some(seconds) => Err(Duration::from_secs_f64(seconds.min(3_600.0)).as_secs() + 1),
        }
    }
}

/// The rate limit of a write key or a webhook: a token bucket.
#[derive(Debug)]
pub struct RateLimit {
    rate: Rate,
    levels: Mutex<Option<Levels>>,
}

impl RateLimit {
    /// Full at the beginning.
    pub fn new(rate: Rate) -> Self {
        Self { rate, levels: Mutex::new(None) }
    }

    /// Takes the cost of a request.
    ///
    /// # Errors
    /// See [`Levels::take`].
    pub fn take(&self, cost: Cost, now: Instant) -> Result<(), u64> {
        Levels::take(&mut self.levels.lock().unwrap_or_else(PoisonError::into_inner), &self.rate, 1.0, cost, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(messages: usize) -> Cost {
        Cost { messages, ..Cost::default() }
    }

    #[test]
    fn bursts_pass_and_more_has_to_wait() {
        let (limit, start) = (RateLimit::new(Rate::new(10, 0)), Instant::now());
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        assert_eq!(limit.take(messages(99), start), Ok(()));
        assert_eq!(limit.take(messages(31), start), Ok(()));
        assert_eq!(limit.take(messages(1), start), Err(4));
        assert_eq!(limit.take(messages(1), at(3_000)), Err(1));
        assert_eq!(limit.take(messages(1), at(3_100)), Ok(()));
        assert_eq!(limit.take(messages(0), at(3_100)), Err(1), "a request costs at least one");
        // It refills up to a burst and no further.
        assert_eq!(limit.take(messages(101), at(1_000_000)), Ok(()));
        assert_eq!(limit.take(messages(1), at(1_000_000)), Err(1));
    }

    #[test]
    fn bytes_are_limited_too() {
        let (limit, start) = (RateLimit::new(Rate::new(10, 1)), Instant::now());
        let large = Cost { messages: 1, bytes: 11 << 10, useless: 0 };
        assert_eq!(limit.take(large, start), Ok(()));
        assert_eq!(limit.take(large, start), Err(2));
        assert_eq!(limit.take(messages(1), start), Ok(()), "it brings no bytes");
        let unlimited = RateLimit::new(Rate::new(10, 0));
        assert!((0..10).all(|_| unlimited.take(large, start).is_ok()));
    }

    #[test]
    fn useless_messages_do_not_use_up_the_rate_of_useful_ones() {
        let (limit, start) = (RateLimit::new(Rate::new(100, 0)), Instant::now());
        let useless = Cost { useless: 1_000, ..Cost::default() };
        assert_eq!(limit.take(useless, start), Ok(()));
        assert!((0..100).all(|_| limit.take(useless, start) == Err(11)), "a burst of it is waited for, and no longer");
        assert!((0..9).all(|_| limit.take(messages(100), start).is_ok()));
    }

    #[test]
    fn no_rate_is_no_limit() {
        let limit = RateLimit::new(Rate::new(0, 1));
        let all = Cost { messages: usize::MAX, bytes: usize::MAX, useless: usize::MAX };
        assert!((0..1_000).all(|_| limit.take(all, Instant::now()).is_ok()));
    }

    #[test]
    fn another_rate_counts_from_the_next_request_on() {
        let (rate, start) = (Rate::new(10, 0), Instant::now());
        let limit = RateLimit::new(rate.clone());
        assert_eq!(limit.take(messages(110), start), Ok(()));
        assert_eq!(limit.take(messages(1), start), Err(2));
        rate.set(1_000, 0);
        assert_eq!(limit.take(messages(1), start + Duration::from_millis(20)), Ok(()));
        rate.set(0, 0);
        assert_eq!(limit.take(messages(usize::MAX), start), Ok(()));
    }
}
