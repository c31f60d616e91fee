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

/// Between two looks.
const LOOK: Duration = Duration::from_secs(1);
/// How often it is compacted, and how long after an erasure forgetting begins: readers who follow the log see what was said on the way, and
/// several erasures are one piece of work.
const LAG: Duration = Duration::from_secs(15);
/// How often what was read is deleted, and what is old.
const TRIM: Duration = Duration::from_secs(5);
const EXPIRE: Duration = Duration::from_secs(60);
/// How often files are written anew for what was deleted without an erasure.
const CLEAN: Duration = Duration::from_secs(86_400);
/// Records of a partition that one step looks at, and steps in one look: bounds what it takes from others.
const STEP: usize = 1_000;
const STEPS: usize = 10;
/// An erasure has reached everybody once all inboxes were read to where they ended, so often in a row: a message to somebody causes one to
/// somebody else, and so on. Where they are read to the end it has at once.
const ROUNDS: u32 = 8;
/// What stands still may never be read: then so long.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Between two times of forgetting: at least this, and so many times as long as it took.
const REST: Duration = Duration::from_secs(10);
const REST_TIMES: u32 = 3;

/// What forgetting has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Forgotten {
    /// Identifiers that were forgotten.
    pub identifiers: u64,
    /// Raw records and dead letters that named them, and were dropped.
    pub records: u64,
}

/// How far an erasure has spread.
struct Spreading {
    since: Instant,
    rounds: u32,
    /// Where the inboxes ended when the round began.
    ends: Vec<u64>,
}

/// See the module. Of a log there is one at a time.
pub struct Upkeep {
    inner: Arc<Inner>,
    retention: Retention,
    recognise: Box<dyn Recognise + Send>,
    compacted: Instant,
    trimmed: Instant,
    expired: Option<Instant>,
    cleaned: Instant,
    spreading: Option<Spreading>,
    /// Before then nobody is forgotten.
    rest_until: Option<Instant>,
}

impl EmbeddedLog {
    /// What keeps it in order: `recognise` tells which records name whom.
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

    /// Who was erased, and is still to be forgotten.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn to_be_forgotten(&self) -> Result<Vec<Erasure>, EmbeddedError> {
        Ok(self.inner.pending()?.into_iter().map(|pending| pending.erasure).collect())
    }

    /// Notes that identifiers are to be forgotten, as if they had been erased now.
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
    /// Works until it is asked to stop. What fails is told, and tried again.
    pub fn run(&mut self, pulse: &Pulse) {
        pulse.report(Vec::new());
        let stopping = AtomicBool::new(false);
        while !pulse.stopping() {
            pulse.turn(0);
            // A file that is large takes long to be written anew: who watches is told meanwhile that this one lives.
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

    /// All that there is to be done in a log that nobody else works on. Who was erased is forgotten only once every record was read, for
    /// before that not everybody has heard of it. Returns what was done, and whether nobody is left to be forgotten.
    ///
    /// # Errors
    /// When the log cannot be read or written. What was begun is noted, and goes on the next time.
    pub fn finish(&mut self) -> Result<(Forgotten, bool), EmbeddedError> {
        let stopping = AtomicBool::new(false);
        self.catch_up(&stopping)?;
        self.expire()?;
        self.finish_forgetting(self.inner.pending()?, &stopping)
    }

    /// What is due when a service ends: as [`Self::finish`], but of erasures only those that have waited long enough.
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

    /// Writes anew what files hold bytes of something deleted, of records and of the state.
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
            tracing::info!(identifiers, records, "forgot who was erased: records that named them were dropped");
        }
        Ok(())
    }

    /// The erasures that have waited long enough; also one that was noted in the future, by a clock that was wrong.
    fn due(&self) -> Result<Vec<Pending>, EmbeddedError> {
        let (now_ms, lag_ms) = (now_ms(), i64::try_from(LAG.as_millis()).unwrap_or(0));
        let mut pending = self.inner.pending()?;
        pending.retain(|pending| !(now_ms.saturating_sub(lag_ms)..=now_ms).contains(&pending.noted_ms));
        Ok(pending)
    }

    /// Whether everybody who has to do with those who were erased has heard of it.
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

    /// Compacts and trims all that there is.
    fn catch_up(&mut self, stopping: &AtomicBool) -> Result<(), EmbeddedError> {
        while !stopping.load(Ordering::Relaxed) && self.inner.compact_some(now_ms(), STEP)? > 0 {}
        self.inner.trim_inboxes()?;
        Ok(())
    }

    /// Forgets; `None` where it was to stop before it was done.
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
