//! Replay protection: each push is accepted once while its timestamp is fresh, even if the system's clock is set meanwhile. It works within
//! this process only; a push that another process has accepted is found to be a duplicate by its event id.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use super::ReplayKey;

/// Most fingerprints that are remembered; further pushes in the time window are refused until some expire.
const REMEMBERED_MAX: usize = 200_000;

/// Identifies a push: a hash of its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a signature.
    pub fn of(signature: &[u8]) -> Self {
        Self(Sha256::digest(signature).into())
    }
}

/// Why a push is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It was accepted before, or is being accepted.
    Again,
    /// Too many fingerprints are remembered.
    Full,
}

/// When a fingerprint expires: when its push is too old by both clocks.
#[derive(Debug, Clone, Copy)]
struct Until {
    /// By its signed time, milliseconds since 1970-01-01 UTC.
    signed_ms: i64,
    /// By the monotonic clock, whatever the system's clock is set to.
    moment: Instant,
}

/// By fingerprint, when it expires; and the same sorted by signed time.
#[derive(Debug)]
struct Fingerprints {
    until: BTreeMap<Fingerprint, Until>,
    by_time: BTreeSet<(i64, Fingerprint)>,
    /// Fingerprints with signed times up to this one have expired: whether such a push was accepted is unknown. Pushes get here only if the
    /// clock was set back.
    forgotten_ms: i64,
}

impl Default for Fingerprints {
    fn default() -> Self {
        Self { until: BTreeMap::new(), by_time: BTreeSet::new(), forgotten_ms: i64::MIN }
    }
}

impl Fingerprints {
    fn remove(&mut self, fingerprint: &Fingerprint) {
        if let Some(until) = self.until.remove(fingerprint) {
            self.by_time.remove(&(until.signed_ms, *fingerprint));
        }
    }

    fn forget_stale(&mut self, now_ms: i64, now: Instant) {
        while let Some((signed_ms, fingerprint)) = self.by_time.first().copied().filter(|(signed_ms, _)| *signed_ms < now_ms) {
            if self.until.get(&fingerprint).is_some_and(|until| until.moment > now) {
                return;
            }
            self.remove(&fingerprint);
            self.forgotten_ms = self.forgotten_ms.max(signed_ms);
        }
    }
}

/// The pushes accepted by one webhook.
#[derive(Debug, Default)]
pub struct Taken {
    fingerprints: Mutex<Fingerprints>,
}

impl Taken {
    fn lock(&self) -> MutexGuard<'_, Fingerprints> {
        self.fingerprints.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to accept a push; `now_ms` is the system's clock, `now` the monotonic one. Unless it is [kept](Taking::keep), it counts as
    /// never received, and the sender may retry.
    ///
    /// # Errors
    /// Why it is not accepted.
    pub fn begin(&self, replay_key: ReplayKey, now_ms: i64, now: Instant) -> Result<Taking<'_>, Refused> {
        let mut fingerprints = self.lock();
        fingerprints.forget_stale(now_ms, now);
        let signed_ms = replay_key.sent_ms.saturating_add(replay_key.max_age_ms);
        if fingerprints.until.contains_key(&replay_key.fingerprint) || signed_ms <= fingerprints.forgotten_ms {
            return Err(Refused::Again);
        }
        if fingerprints.until.len() >= REMEMBERED_MAX {
            return Err(Refused::Full);
        }
        let fresh_ms = signed_ms.saturating_sub(now_ms).max(replay_key.max_age_ms);
        let moment = now + Duration::from_millis(fresh_ms.unsigned_abs());
        fingerprints.until.insert(replay_key.fingerprint, Until { signed_ms, moment });
        fingerprints.by_time.insert((signed_ms, replay_key.fingerprint));
        Ok(Taking { taken: self, fingerprint: Some(replay_key.fingerprint) })
    }

    /// Remembers a request that is not a push, so that its signature is not accepted for one. The request itself may be repeated.
    ///
    /// # Errors
    /// Too many fingerprints are remembered.
    pub fn note(&self, replay_key: ReplayKey, now_ms: i64, now: Instant) -> Result<(), Refused> {
        match self.begin(replay_key, now_ms, now) {
            Ok(taking) => taking.keep(),
            Err(Refused::Again) => {}
            Err(refused @ Refused::Full) => return Err(refused),
        }
        Ok(())
    }
}

/// A push that is being accepted.
#[derive(Debug)]
pub struct Taking<'a> {
    taken: &'a Taken,
    fingerprint: Option<Fingerprint>,
}

impl Taking<'_> {
    /// It is in the log: from now on it is a replay.
    pub fn keep(mut self) {
        self.fingerprint = None;
    }
}

impl Drop for Taking<'_> {
    fn drop(&mut self) {
        if let Some(fingerprint) = self.fingerprint.take() {
            self.taken.lock().remove(&fingerprint);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE_MS: i64 = 300_000;

    fn once(name: &[u8], sent_ms: i64) -> ReplayKey {
        ReplayKey { fingerprint: Fingerprint::of(name), sent_ms, max_age_ms: AGE_MS }
    }

    /// A clock that can be set, and a monotonic one.
    struct Clocks {
        start: Instant,
        passed_ms: i64,
        set_ms: i64,
    }

    impl Clocks {
        fn new() -> Self {
            Self { start: Instant::now(), passed_ms: 0, set_ms: 0 }
        }

        fn begin<'a>(&self, taken: &'a Taken, replay_key: ReplayKey) -> Result<Taking<'a>, Refused> {
            let now = self.start + Duration::from_millis(self.passed_ms.unsigned_abs());
            taken.begin(replay_key, self.passed_ms + self.set_ms, now)
        }

        /// Whether a push is accepted; if so, it is kept.
        fn takes(&self, taken: &Taken, replay_key: ReplayKey) -> bool {
            self.begin(taken, replay_key).map(Taking::keep).is_ok()
        }
    }

    #[test]
    fn a_push_is_accepted_once_and_again_if_it_was_not_stored() {
        let (taken, mut clocks) = (Taken::default(), Clocks::new());
        let push = once(b"a", 0);
        let first = clocks.begin(&taken, push).unwrap();
        assert_eq!(clocks.begin(&taken, push).err(), Some(Refused::Again));
        drop(first);
        assert!(clocks.takes(&taken, push));
        clocks.passed_ms = AGE_MS;
        assert_eq!(clocks.begin(&taken, push).err(), Some(Refused::Again));
        assert!(clocks.takes(&taken, once(b"b", 0)));
        clocks.passed_ms = 2 * AGE_MS + 1;
        assert!(clocks.takes(&taken, once(b"c", AGE_MS + 1)));
        assert_eq!(taken.lock().until.len(), 1, "the others are forgotten");
    }

    #[test]
    fn changing_the_clock_forgets_no_push() {
        for (forward_ms, rest_ms) in [(AGE_MS + 1, 0), (3_600_000, 1_000), (3_600_000, AGE_MS - 1), (86_400_000 * 365, 10)] {
            let (taken, mut clocks) = (Taken::default(), Clocks::new());
            assert!(clocks.takes(&taken, once(b"a", 0)));
            clocks.set_ms = forward_ms;
            assert!(clocks.takes(&taken, once(b"b", forward_ms)), "it goes on meanwhile");
            clocks.passed_ms = rest_ms;
            assert!(clocks.takes(&taken, once(b"c", forward_ms + rest_ms)));
            clocks.set_ms = 0;
            assert!(!clocks.takes(&taken, once(b"a", 0)), "{forward_ms} {rest_ms}");
            assert!(clocks.takes(&taken, once(b"d", rest_ms)), "what is new is taken");
        }
    }

    #[test]
    fn a_clock_that_is_set_back_opens_no_second_window() {
        for later_ms in [AGE_MS + 1, 2 * AGE_MS + 1, 3_600_000] {
            let (taken, mut clocks) = (Taken::default(), Clocks::new());
            assert!(clocks.takes(&taken, once(b"a", 0)));
            clocks.passed_ms = later_ms;
            assert!(clocks.takes(&taken, once(b"b", later_ms)));
            // Set back to when the first one was sent.
            clocks.set_ms = -later_ms;
            assert!(!clocks.takes(&taken, once(b"a", 0)), "{later_ms}");
            assert!(!clocks.takes(&taken, once(b"b", later_ms)), "{later_ms}");
        }
    }

    #[test]
    fn a_handshake_may_be_repeated() {
        let (taken, now) = (Taken::default(), Instant::now());
        for _ in 0..2 {
            assert_eq!(taken.note(once(b"a", 0), 0, now), Ok(()));
        }
        assert_eq!(taken.begin(once(b"a", 0), 0, now).err(), Some(Refused::Again));
    }

    #[test]
    fn memory_is_bounded_and_the_stale_make_room() {
        let (taken, mut clocks) = (Taken::default(), Clocks::new());
        let numbered = |number: usize, sent_ms| once(&number.to_be_bytes(), sent_ms);
        (0..REMEMBERED_MAX).for_each(|number| assert!(clocks.takes(&taken, numbered(number, 0))));
        clocks.passed_ms = AGE_MS;
        assert_eq!(clocks.begin(&taken, numbered(REMEMBERED_MAX, AGE_MS)).err(), Some(Refused::Full));
        clocks.passed_ms = AGE_MS + 1;
        assert!(clocks.takes(&taken, numbered(REMEMBERED_MAX, AGE_MS)));
    }
}
