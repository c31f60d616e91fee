//! Rate limits (token buckets) of a sender, for messages, for bytes, and for useless messages.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A burst may hold what may be sent in this many seconds.
const BURST_S: f64 = 10.0;
/// Of messages that are of no use this part of the rate may be sent: what only makes work takes nothing from what is wanted.
const USELESS: f64 = 0.1;

/// What each sender may send a second. Clones share it, and each can change it.
#[derive(Debug, Clone, Default)]
pub struct Rate(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    messages: AtomicU32,
    kilobytes: AtomicU32,
}

impl Rate {
    /// So many messages (0: no limit of anything) and KiB (0: no limit of bytes), until others are set.
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

    /// Of messages, bytes and useless messages, `part` of what is set; `None` where nothing is limited.
    fn get(&self, part: f64) -> Option<[f64; LANES]> {
        let messages = f64::from(self.0.messages.load(Ordering::Relaxed)) * part;
        let bytes = f64::from(self.0.kilobytes.load(Ordering::Relaxed)) * 1_024.0 * part;
        (messages > 0.0).then_some([messages, bytes, messages * USELESS])
    }
}

/// What is counted apart.
const LANES: usize = 3;

/// What a request costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Messages that may be of use. Any request costs at least one.
    pub messages: usize,
    /// Bytes of the body, inflated.
    pub bytes: usize,
    /// Messages of which nothing can be made, or one where the request is refused.
    pub useless: usize,
}

/// Lets so many messages and bytes a second pass, and bursts of ten times that. A request passes whole as long as something is left of all
/// that it takes of, and what it takes too much is waited for afterwards: so one of any size passes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Levels {
    /// What may still pass; below 0 while there is something to wait for.
    left: [f64; LANES],
    at: Instant,
}

impl Levels {
    /// Takes what a request costs out, at `part` of this rate. `levels` is `None` until the first request.
    ///
    /// # Errors
    /// Nothing is left of something: how long until something is, in whole seconds of at least 1. Nothing was taken.
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
            // Of what is useless no more is waited for than a burst: whoever has mended their pages is not to wait for hours.
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
    /// With a full bucket.
    pub fn new(rate: Rate) -> Self {
        Self { rate, levels: Mutex::new(None) }
    }

    /// Takes what a request costs out.
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
        // It fills up again, to the burst and no further.
        assert_eq!(limit.take(messages(101), at(1_000_000)), Ok(()));
        assert_eq!(limit.take(messages(1), at(1_000_000)), Err(1));
    }

    #[test]
    fn bytes_are_waited_for_too() {
        let (limit, start) = (RateLimit::new(Rate::new(10, 1)), Instant::now());
        let large = Cost { messages: 1, bytes: 11 << 10, useless: 0 };
        assert_eq!(limit.take(large, start), Ok(()));
        assert_eq!(limit.take(large, start), Err(2));
        assert_eq!(limit.take(messages(1), start), Ok(()), "it brings no bytes");
        let unlimited = RateLimit::new(Rate::new(10, 0));
        assert!((0..10).all(|_| unlimited.take(large, start).is_ok()));
    }

    #[test]
    fn what_is_useless_takes_nothing_from_what_is_wanted() {
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
