//! A worker's session on the embedded log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rocksdb::{ReadOptions, WriteBatch};

use super::inner::{Inner, Positions};
use super::upkeep::now_ms;
use super::{EmbeddedError, OFFSETS, RECORDS, STATE, accepted, keys};
use crate::exactly_once::Inputs;
use crate::fresh::{FreshGauges, Place};
use crate::log::{Assignment, Batch, BatchLimits, LogError, Session, StageLog, Transaction};
use crate::metrics::{CONSUMER_LAG_RECORDS, StateSizes};
use crate::stage::{Output, Record};
use crate::state::{ActorKey, Base, StateError, prefix_end};
use crate::topic::Topic;

/// How often the lag is published, and how long it is valid.
const TELL_EVERY: Duration = Duration::from_secs(1);
const FRESH: Duration = Duration::from_secs(12);

/// Records of an inbox are deleted once this many have been read.
const TRIM_RECORDS: u64 = 50_000;

/// See [`EmbeddedLog::session`](super::EmbeddedLog::session).
pub struct EmbeddedSession {
    inner: Arc<Inner>,
    stage: StageLog,
    owned: Vec<u32>,
    assigned: bool,
    /// Offsets of the next records to poll.
    next: BTreeMap<(Topic, u32), u64>,
    /// Partitions of single inputs that are stopped.
    stopped: BTreeSet<(Topic, u32)>,
    sizes: StateSizes,
    gauges: FreshGauges,
    /// When the lag was last published.
    told: Option<Instant>,
}

impl EmbeddedSession {
    pub(super) fn new(inner: Arc<Inner>, stage: StageLog, owned: Vec<u32>, gauges: FreshGauges) -> Self {
        let (next, stopped, sizes) = (BTreeMap::new(), BTreeSet::new(), StateSizes::of("all"));
        Self { inner, stage, owned, assigned: false, next, stopped, sizes, gauges, told: None }
    }

    /// Publishes the lag of the inputs from time to time.
    fn tell_lag(&mut self) -> Result<(), LogError> {
        let now = Instant::now();
        if self.told.is_some_and(|told| now.saturating_duration_since(told) < TELL_EVERY) {
            return Ok(());
        }
        self.told = Some(now);
        let mut positions = self.inner.lock();
        for topic in self.stage.inputs {
            for at in &self.owned {
                let next = self.inner.next(&mut positions, self.stage.stage, *topic, *at).map_err(stop("reading offsets"))?;
                let lag = positions.end(*topic, *at).saturating_sub(next);
                let place = Place { stage: self.stage.stage, topic: *topic, partition: *at };
                self.gauges.set(&CONSUMER_LAG_RECORDS, place, Some(lag as f64), now + FRESH);
            }
        }
        Ok(())
    }

    /// Loads the committed offsets, and assigns the partitions.
    fn assign(&mut self) -> Result<Vec<Assignment>, LogError> {
        let mut positions = self.inner.lock();
        for topic in self.stage.inputs {
            for at in &self.owned {
                let next = self.inner.next(&mut positions, self.stage.stage, *topic, *at).map_err(stop("reading offsets"))?;
                self.next.insert((*topic, *at), next);
            }
        }
        self.assigned = true;
        let settled = self.is_settled(&mut positions).map_err(stop("reading offsets"))?;
        drop(positions);
        let assigned = |at: u32| {
            let read = self.stage.inputs.iter().filter_map(|topic| Some((*topic, *self.next.get(&(*topic, at))?)));
            let inputs = Inputs { next: read.filter(|(_, next)| *next > 0).collect(), direct: settled.then_some(0) };
            Assignment::Assigned { partition: at, base: base(&self.inner, self.stage.stage, at), inputs }
        };
        Ok(self.owned.iter().flat_map(|at| [Assignment::Revoked { partition: *at }, assigned(*at)]).collect())
    }

    /// Whether all of the inputs was read: then it holds no message from one partition of the stage to another.
    fn is_settled(&self, positions: &mut Positions) -> Result<bool, EmbeddedError> {
        for topic in self.stage.inputs {
            for at in 0..self.inner.partitions {
                if self.inner.next(positions, self.stage.stage, *topic, at)? < positions.end(*topic, at) {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// Appends records that can be read.
    fn gather(&mut self, batch: &mut Batch, limits: &BatchLimits) -> Result<(), LogError> {
        let ends = self.inner.lock().water.ends.clone();
        for ((topic, at), next) in &mut self.next {
            let end = ends.get(&(*topic, *at)).map_or(0, |end| end.offset);
            if *next >= end || self.stopped.contains(&(*topic, *at)) {
                continue;
            }
            let read = self.inner.visit(*topic, *at, *next, &mut |offset, timestamp_ms, key, value| {
                if offset >= end || batch.len() >= limits.records_max || batch.bytes() >= limits.bytes_max {
                    return false;
                }
                let value = value.unwrap_or_default();
                batch.push(&Record { topic: *topic, partition: *at, offset, timestamp_ms, key, value });
                *next = offset + 1;
                true
            });
            read.map_err(stop("reading records"))?;
        }
        Ok(())
    }

    /// Records of an inbox have one reader: they are deleted once enough of them are processed. Otherwise the log's upkeep deletes them.
    fn trim(
        &self,
        batch: &mut WriteBatch,
        trimmed: &mut BTreeMap<(Topic, u32), u64>,
        (topic, at, next): (Topic, u32, u64),
    ) -> Result<(), EmbeddedError> {
        let from = trimmed.entry((topic, at)).or_default();
        if matches!(topic, Topic::IdentityInbox | Topic::AttributorInbox) && next.saturating_sub(*from) >= TRIM_RECORDS {
            batch.delete_range_cf(self.inner.family(RECORDS)?, keys::record(topic, at, *from), keys::record(topic, at, next));
            self.inner.put_unclean(batch, (topic, at), (*from, next))?;
            *from = next;
        }
        Ok(())
    }

    fn write(&self, transaction: Transaction) -> Result<(), EmbeddedError> {
        let inner = &self.inner;
        let mut batch = WriteBatch::default();
        let state = inner.family(STATE)?;
        for (at, writes) in &transaction.state {
            let prefix = keys::state_prefix(self.stage.stage, *at);
            for write in writes {
                let key = [prefix.as_slice(), &write.key].concat();
                match &write.value {
                    Some(value) => batch.put_cf(state, key, value),
                    None => batch.delete_cf(state, key),
                }
            }
        }
        let mut positions = inner.lock();
        let mut ends = positions.water.ends.clone();
        let mut trimmed = positions.trimmed.clone();
        for routed in &transaction.outputs {
            inner.put_record(&mut batch, &mut ends, &routed.output, routed.partition, routed.timestamp_ms)?;
        }
        for letter in transaction.dead_letters {
            let output = Output::dead_letter(&letter, inner.json_dead_letters);
            let at = tributary_proto::partition::of(&output.key, inner.partitions);
            inner.put_record(&mut batch, &mut ends, &output, at, now_ms())?;
        }
        for (topic, at, next) in &transaction.offsets {
            batch.put_cf(inner.family(OFFSETS)?, keys::offset(self.stage.stage, *topic, *at), next.to_be_bytes());
            self.trim(&mut batch, &mut trimmed, (*topic, *at, *next))?;
        }
        if !transaction.erasures.is_empty() {
            inner.put_pending(&mut batch, &transaction.erasures, now_ms())?;
        }
        inner.commit(&mut positions, batch, ends)?;
        positions.trimmed = trimmed;
        for (topic, at, next) in transaction.offsets {
            positions.read.insert((self.stage.stage, topic, at), next);
        }
        drop(positions);
        inner.written.notify_all();
        Ok(())
    }
}

fn stop(operation: &'static str) -> impl Fn(EmbeddedError) -> LogError {
    move |error| LogError::stop(operation, error)
}

impl Session for EmbeddedSession {
    fn partitions(&mut self, _: Topic) -> Result<u32, LogError> {
        Ok(self.inner.partitions)
    }

    fn poll(&mut self, batch: &mut Batch, limits: &BatchLimits) -> Result<Vec<Assignment>, LogError> {
        self.sizes.publish(|| self.inner.sizes());
        self.tell_lag()?;
        let changes = if self.assigned { Vec::new() } else { self.assign()? };
        self.gather(batch, limits)?;
        if batch.is_empty() && limits.wait_ms > 0 {
            let positions = self.inner.lock();
            let read =
                |place: &(Topic, u32), next: &u64| self.stopped.contains(place) || *next >= positions.end(place.0, place.1);
            let nothing = self.next.iter().all(|(place, next)| read(place, next));
            if nothing {
                self.inner.wait(positions, Duration::from_millis(limits.wait_ms));
            } else {
                drop(positions);
            }
            self.gather(batch, limits)?;
        }
        Ok(changes)
    }

    fn commit(&mut self, transaction: Transaction) -> Result<(), LogError> {
        // A failed write writes nothing of the batch. If the disk is full, recovers from the committed offsets once there is space.
        self.write(transaction).map_err(|error| match error.is_full() {
            true => LogError::recover("committing", error),
            false => LogError::stop("committing", error),
        })
    }

    fn recover(&mut self) -> Result<(), LogError> {
        self.assigned = false;
        Ok(())
    }

    fn stop_input(&mut self, topic: Topic, partition: u32) -> Result<(), LogError> {
        self.stopped.insert((topic, partition));
        self.recover()
    }

    fn resume_input(&mut self, topic: Topic, partition: u32) -> Result<(), LogError> {
        self.stopped.remove(&(topic, partition));
        Ok(())
    }

    fn is_stopped(&self, topic: Topic, partition: u32) -> bool {
        self.stopped.contains(&(topic, partition))
    }

    fn accepted(&mut self, topic: Topic, partition: u32) -> Option<u64> {
        accepted::accepted(&self.inner.path, topic, partition)
    }

    fn close(&mut self) -> Result<(), LogError> {
        Ok(())
    }
}

/// The committed state of one partition of a stage.
pub(super) fn base(inner: &Arc<Inner>, stage: &str, partition: u32) -> Box<dyn Base + Send> {
    Box::new(EmbeddedState { inner: inner.clone(), prefix: keys::state_prefix(stage, partition) })
}

struct EmbeddedState {
    inner: Arc<Inner>,
    prefix: Vec<u8>,
}

impl EmbeddedState {
    fn key(&self, actor: &ActorKey, sub: &[u8]) -> Vec<u8> {
        [self.prefix.as_slice(), &actor.0, sub].concat()
    }
}

fn unreadable(why: impl ToString) -> StateError {
    StateError::Read(why.to_string())
}

impl Base for EmbeddedState {
    fn get(&self, actor: &ActorKey, sub: &[u8]) -> Result<Option<Vec<u8>>, StateError> {
        let family = self.inner.family(STATE).map_err(unreadable)?;
        self.inner.db.get_cf(family, self.key(actor, sub)).map_err(unreadable)
    }

    fn scan(&self, actor: &ActorKey, from: &[u8], to: &[u8], visit: &mut dyn FnMut(&[u8], &[u8])) -> Result<(), StateError> {
        let family = self.inner.family(STATE).map_err(unreadable)?;
        let skip = self.prefix.len() + actor.0.len();
        let upper = if to.is_empty() { prefix_end(&self.key(actor, &[])) } else { self.key(actor, to) };
        let mut options = ReadOptions::default();
        options.set_iterate_upper_bound(upper);
        let mut iterator = self.inner.db.raw_iterator_cf_opt(family, options);
        iterator.seek(self.key(actor, from));
        while let Some((key, value)) = iterator.item() {
            visit(key.get(skip..).unwrap_or_default(), value);
            iterator.next();
        }
        iterator.status().map_err(unreadable)
    }

    fn actors(&self, tag: u8, after: Option<&ActorKey>, max: usize) -> Result<Vec<ActorKey>, StateError> {
        let family = self.inner.family(STATE).map_err(unreadable)?;
        let place = |after: Option<&ActorKey>| [self.prefix.as_slice(), &ActorKey::behind(tag, after)].concat();
        let mut options = ReadOptions::default();
        options.set_total_order_seek(true);
        let mut iterator = self.inner.db.raw_iterator_cf_opt(family, options);
        let mut found = Vec::new();
        iterator.seek(place(after));
        loop {
            let own = iterator.key().and_then(|key| key.strip_prefix(self.prefix.as_slice()));
            let Some(actor) = own.and_then(ActorKey::of).filter(|actor| actor.tag() == tag && found.len() < max) else { break };
            found.push(actor);
            iterator.seek(place(Some(&actor)));
        }
        iterator.status().map_err(unreadable)?;
        Ok(found)
    }
}
