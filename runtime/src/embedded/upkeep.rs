//! Background maintenance of the log: compaction, retention, and deletion of erased people.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::forget::{Recognise, Sought};
use super::notes::Pending;
use super::retention::Retention;
use super::{EmbeddedError, EmbeddedLog, Inner};
use crate::service::Pulse;
use crate::stage::Erasure;

/// Time between two checks.
const LOOK: Duration = Duration::from_secs(1);
/// How often the log is compacted, and how long after an erasure its raw data is deleted: so readers who follow the log see the
/// intermediate rows, and several erasures are done together.
const LAG: Duration = Duration::from_secs(15);
/// How often processed and old records are deleted.
const TRIM: Duration = Duration::from_secs(5);
const EXPIRE: Duration = Duration::from_secs(60);
/// How often files are rewritten because of deletions other than erasures.
const CLEAN: Duration = Duration::from_secs(86_400);
/// Most records of a partition per step, and most steps per check: limits the load on others.
const STEP: usize = 1_000;
const STEPS: usize = 10;
/// An erasure has reached all actors once the inboxes were read to their current ends this many times in a row, because messages cause
/// further messages. If inboxes are read to the very end, it has at once.
const ROUNDS: u32 = 8;
/// A stopped partition may never be read. Then this is the longest wait.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Pause between two passes: at least this, and this many times as long as the last pass took.
const REST: Duration = Duration::from_secs(10);
const REST_TIMES: u32 = 3;

/// The result of a pass that deletes raw data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Forgotten {
    /// Identifiers whose raw data was deleted.
    pub identifiers: u64,
    /// Raw records and dead letters that named them and were dropped.
    pub records: u64,
}

/// The progress of erasures through the inboxes.
struct Spreading {
    since: Instant,
    rounds: u32,
    /// The ends of the inboxes when the round began.
    ends: Vec<u64>,
}

/// See the module. A log has one at a time.
pub struct Upkeep {
    inner: Arc<Inner>,
    retention: Retention,
    recognise: Box<dyn Recognise + Send>,
    compacted: Instant,
    trimmed: Instant,
    expired: Option<Instant>,
    cleaned: Instant,
    spreading: Option<Spreading>,
    /// No pass begins before this time.
    rest_until: Option<Instant>,
}

impl EmbeddedLog {
    /// The upkeep of this log. `recognise` finds the records that name erased identifiers.
    pub fn upkeep(&self, retention: Retention, recognise: Box<dyn Recognise + Send>) -> Upkeep {
        Upkeep {
            inner: self.inner.clone(),
            retention,
            recognise,
            compacted: Instant::now(),
            trimmed: Instant::now(),
            expired: None,
            cleaned: Instant::now(),
            spreading: None,
            rest_until: None,
        }
    }

    /// The erasures whose raw data is not deleted yet.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn to_be_forgotten(&self) -> Result<Vec<Erasure>, EmbeddedError> {
        Ok(self.inner.pending()?.into_iter().map(|pending| pending.erasure).collect())
    }

    /// Notes erasures whose raw data is to be deleted, as if they had happened now.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn forget(&self, erasures: &[Erasure]) -> Result<(), EmbeddedError> {
        let _held = self.inner.lock();
        let mut batch = rocksdb::WriteBatch::default();
        self.inner.put_pending(&mut batch, erasures, now_ms())?;
        self.inner.write(batch)
    }
}

impl Upkeep {
    /// Runs until it is stopped. Errors are logged, and the work is tried again.
    pub fn run(&mut self, pulse: &Pulse) {
        pulse.report(Vec::new());
        let stopping = AtomicBool::new(false);
        while !pulse.stopping() {
            pulse.turn(0);
            // Rewriting a large file takes long; meanwhile another thread shows the health checks that this one is alive.
            let done = thread::scope(|scope| {
                let work = scope.spawn(|| self.look(&stopping));
                while !work.is_finished() {
                    thread::sleep(Duration::from_millis(5));
                    pulse.turn(0);
                    stopping.store(pulse.stopping(), Ordering::Relaxed);
                }
                work.join().unwrap_or(Ok(()))
            });
            if let Err(error) = done {
                tracing::warn!(%error, "the upkeep of the embedded log failed; it is tried again");
                pulse.rest(REST);
            }
            pulse.rest(LOOK);
        }
    }

    /// Does everything there is to do in a log that no worker uses. Raw data of erasures is deleted only if every record was processed,
    /// because before that the erasure has not reached all actors. Returns what was done, and whether no erasure is left.
    ///
    /// # Errors
    /// When the log cannot be read or written. What was begun is noted, and continues the next time.
    pub fn finish(&mut self) -> Result<(Forgotten, bool), EmbeddedError> {
        let stopping = AtomicBool::new(false);
        self.catch_up(&stopping)?;
        self.expire()?;
        self.finish_forgetting(self.inner.pending()?, &stopping)
    }

    /// What is due when a service ends: as [`Self::finish`], but only erasures that have waited long enough.
    ///
    /// # Errors
    /// As there.
    pub fn leave(&mut self) -> Result<(Forgotten, bool), EmbeddedError> {
        self.inner.trim_inboxes()?;
        self.finish_forgetting(self.due()?, &AtomicBool::new(false))
    }

    fn finish_forgetting(&mut self, due: Vec<Pending>, stopping: &AtomicBool) -> Result<(Forgotten, bool), EmbeddedError> {
        let all_read = self.inner.inboxes()?.iter().all(|(end, read)| read >= end);
        let forgotten = if all_read && !due.is_empty() { self.forget(&due, stopping)? } else { None };
        Ok((forgotten.unwrap_or_default(), self.inner.pending()?.is_empty()))
    }

    /// Rewrites the files that contain bytes of deleted records or state.
    ///
    /// # Errors
    /// When the log cannot be read or written.
    pub fn clean(&mut self) -> Result<(), EmbeddedError> {
        self.inner.scrub(true)?;
        self.inner.settle(&[])
    }

    fn look(&mut self, stopping: &AtomicBool) -> Result<(), EmbeddedError> {
        for _ in 0..STEPS {
            if self.compacted.elapsed() < LAG || stopping.load(Ordering::Relaxed) {
                break;
            }
            if self.inner.compact_some(now_ms(), STEP)? == 0 {
                self.compacted = Instant::now();
            }
        }
        if self.trimmed.elapsed() >= TRIM {
            self.trimmed = Instant::now();
            self.inner.trim_inboxes()?;
        }
        if self.expired.is_none_or(|last| last.elapsed() >= EXPIRE) {
            self.expired = Some(Instant::now());
            self.expire()?;
        }
        if self.cleaned.elapsed() >= CLEAN {
            self.cleaned = Instant::now();
            self.inner.scrub(false)?;
        }
        self.forget_erased(stopping)
    }

    fn expire(&self) -> Result<(), EmbeddedError> {
        let now_ms = now_ms();
        while self.inner.expire(&self.retention, now_ms, STEP)? > 0 {}
        while self.inner.drop_tombstones(now_ms.saturating_sub(self.retention.tombstones_ms), STEP)? == STEP {}
        Ok(())
    }

    fn forget_erased(&mut self, stopping: &AtomicBool) -> Result<(), EmbeddedError> {
        if self.rest_until.is_some_and(|until| Instant::now() < until) {
            return Ok(());
        }
        let due = self.due()?;
        if due.is_empty() || !self.has_spread()? {
            return Ok(());
        }
        self.spreading = None;
        let begun = Instant::now();
        let forgotten = self.forget(&due, stopping)?;
        self.rest_until = Some(Instant::now() + REST.max(begun.elapsed() * REST_TIMES));
        if let Some(Forgotten { identifiers, records }) = forgotten {
            tracing::info!(identifiers, records, "deleted the raw data of erasures: records that named them were dropped");
        }
        Ok(())
    }

    /// The erasures that have waited long enough; also those noted in the future, by a clock that was wrong.
    fn due(&self) -> Result<Vec<Pending>, EmbeddedError> {
        let (now_ms, lag_ms) = (now_ms(), i64::try_from(LAG.as_millis()).unwrap_or(0));
        let mut pending = self.inner.pending()?;
        pending.retain(|pending| !(now_ms.saturating_sub(lag_ms)..=now_ms).contains(&pending.noted_ms));
        Ok(pending)
    }

    /// Whether the erasures have reached all actors.
    fn has_spread(&mut self) -> Result<bool, EmbeddedError> {
        let inboxes = self.inner.inboxes()?;
        let ends: Vec<u64> = inboxes.iter().map(|(end, _)| *end).collect();
        let spreading =
            self.spreading.get_or_insert_with(|| Spreading { since: Instant::now(), rounds: 0, ends: ends.clone() });
        if inboxes.iter().zip(&spreading.ends).all(|((_, read), end)| read >= end) {
            spreading.rounds += 1;
            spreading.ends = ends;
        }
        let all_read = inboxes.iter().all(|(end, read)| read >= end);
        Ok(all_read || spreading.rounds >= ROUNDS || spreading.since.elapsed() >= WAIT_MAX)
    }

    /// Compacts and trims everything that is due.
    fn catch_up(&mut self, stopping: &AtomicBool) -> Result<(), EmbeddedError> {
        while !stopping.load(Ordering::Relaxed) && self.inner.compact_some(now_ms(), STEP)? > 0 {}
        self.inner.trim_inboxes()?;
        Ok(())
    }

    /// Deletes the raw data of erasures; `None` if it was stopped before the end.
    fn forget(&mut self, pending: &[Pending], stopping: &AtomicBool) -> Result<Option<Forgotten>, EmbeddedError> {
        self.catch_up(stopping)?;
        let sought = |of: &Pending| Sought { erasure: of.erasure.clone(), noted_ms: of.noted_ms };
        let sought: Vec<Sought> = pending.iter().map(sought).collect();
        let go_on = || !stopping.load(Ordering::Relaxed);
        let Some(records) = self.inner.drop_named(&sought, self.recognise.as_mut(), &go_on)? else { return Ok(None) };
        self.inner.rename_touches(self.recognise.as_ref(), &go_on)?;
        if !go_on() {
            return Ok(None);
        }
        self.inner.scrub(true)?;
        self.cleaned = Instant::now();
        self.inner.settle(pending)?;
        Ok(Some(Forgotten { identifiers: pending.len() as u64, records }))
    }
}

pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
