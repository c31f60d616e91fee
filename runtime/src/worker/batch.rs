//! One batch: the stage runs over its records, then all of its results are committed, or none.

use std::collections::BTreeMap;
use std::time::Instant;

use tributary_proto::partition;

use super::dead_letter::dead_letter;
use super::{Worker, WorkerError, now_ms};
use crate::dead_letter_limit::{DeadLetterCount, LimitExceeded};
use crate::dead_letter_lines::Refused;
use crate::log::{Batch, Routed, Session, Transaction};
use crate::metrics;
use crate::stage::{Context, Outbox, Record, StageError};
use crate::stopped::{Place, Stop};
use crate::topic::Topic;

/// What is to be done with a batch.
enum Outcome {
    Commit(Transaction),
    /// Too much of this partition was refused.
    Stop(Place, Stop),
}

impl<S: Session> Worker<S> {
    /// Runs the stage over the batch and commits.
    pub(super) fn work(&mut self) -> Result<usize, WorkerError> {
        let batch = std::mem::take(&mut self.batch);
        let outcome = self.transact(&batch);
        let records = batch.len();
        self.batch = batch;
        let mut transaction = match outcome? {
            Outcome::Commit(transaction) => transaction,
            Outcome::Stop(place, stop) => {
                self.stop_partition(place, stop)?;
                return Ok(0);
            }
        };
        let barriers = self.add_barriers(&mut transaction);
        self.pace.note(records, transaction.bytes());
        let refused = Refused::of(&transaction.dead_letters);
        let published = metrics::BatchSummary::of(self.log.stage, &self.batch, &transaction);
        let begun = Instant::now();
        self.session.commit(transaction).map_err(|source| self.log_error(source))?;
        self.traces.end(true);
        if let Some(barriers) = barriers {
            self.expect_barriers(barriers);
        }
        published.publish(&self.outbox.observations, begun.elapsed(), now_ms());
        self.outbox.observations.clear();
        if self.options.logs_refusals {
            self.dead_letter_lines.note(refused, Instant::now()).iter().for_each(|line| line.log(self.log.stage));
        }
        let budget = if self.session.keeps_state() { self.options.cache_bytes / self.slots.len().max(1) } else { usize::MAX };
        for slot in self.slots.values_mut() {
            if std::mem::take(&mut slot.touched) {
                slot.state.settle(budget);
            }
        }
        Ok(records)
    }

    fn transact(&mut self, batch: &Batch) -> Result<Outcome, WorkerError> {
        let mut transaction = Transaction::default();
        let mut offsets: BTreeMap<(Topic, u32), u64> = BTreeMap::new();
        for record in batch.records() {
            offsets.insert((record.topic, record.partition), record.offset + 1);
            let (context, from) = (self.traces.begin(&record, || batch.context(&record)), self.outbox.outputs.len());
            let excess = self.handle(&record, &mut transaction)?;
            self.traces.caused(context, from..self.outbox.outputs.len());
            self.take_messages(from, record.partition, context);
            if let Some(excess) = excess {
                let place = (record.topic, record.partition);
                return Ok(Outcome::Stop(place, self.stop(&record, excess, batch, &transaction)));
            }
        }
        loop {
            self.deliver(&mut transaction)?;
            self.end_batch()?;
            if self.direct.is_empty() {
                break;
            }
        }
        self.add_changes(&mut transaction, &mut offsets);
        transaction.erasures = std::mem::take(&mut self.outbox.erasures);
        self.route(&mut transaction)?;
        transaction.offsets = offsets.into_iter().map(|((topic, partition), next)| (topic, partition, next)).collect();
        Ok(Outcome::Commit(transaction))
    }

    /// Runs the stage over a record; returns whether it was one refusal too many.
    fn handle(&mut self, record: &Record<'_>, transaction: &mut Transaction) -> Result<Option<LimitExceeded>, WorkerError> {
        if self.direct.is_barrier(record) {
            return Ok(None);
        }
        let refused = self.run_stage(record, transaction)?;
        let counts = refused && !self.stops.is_accepted((record.topic, record.partition), record.offset);
        let slot = self.slots.get_mut(&record.partition);
        Ok(slot.and_then(|slot| slot.refusals(record.topic)).and_then(|refusals| refusals.note(counts, &self.limits)))
    }

    /// Runs the stage over a record or a message; returns whether it was refused.
    pub(super) fn run_stage(&mut self, record: &Record<'_>, transaction: &mut Transaction) -> Result<bool, WorkerError> {
        let (stage, partition) = (self.log.stage, record.partition);
        let Some(slot) = self.slots.get_mut(&partition) else { return Err(WorkerError::Unassigned { stage, partition }) };
        slot.touched = true;
        slot.newest_ms = slot.newest_ms.max(Some(record.timestamp_ms));
        self.outbox.caused_at(record.timestamp_ms);
        let mut context = Context { state: &mut slot.state, outbox: &mut self.outbox };
        let whole = match slot.stage.handle(record, &mut context) {
            Ok(()) => None,
            Err(StageError::Rejected(rejection)) => Some(rejection),
            Err(StageError::State(source)) => return Err(WorkerError::State { stage, partition, source }),
        };
        let (rejections, refused) = self.outbox.take_rejections(whole);
        for rejection in rejections {
            transaction.dead_letters.push(dead_letter(stage, record, rejection));
        }
        Ok(refused)
    }

    /// Has the partitions do what they have put off.
    fn end_batch(&mut self) -> Result<(), WorkerError> {
        let stage = self.log.stage;
        let owned: Vec<u32> = self.slots.keys().copied().collect();
        for partition in owned {
            let Some(slot) = self.slots.get_mut(&partition) else { continue };
            let Some(newest_ms) = slot.newest_ms.take() else { continue };
            self.outbox.caused_at(newest_ms);
            let mut context = Context { state: &mut slot.state, outbox: &mut self.outbox };
            let from = context.outbox.outputs.len();
            slot.stage.more_waits(self.more_waits);
            slot.stage.end_batch(&mut context).map_err(|source| WorkerError::State { stage, partition, source })?;
            let context = self.traces.caused_by_batch(partition, from..self.outbox.outputs.len());
            self.take_messages(from, partition, context);
        }
        Ok(())
    }

    /// Moves the changes of the partitions into the transaction. Those that only messages have changed stay where they are in their inbox.
    fn add_changes(&mut self, transaction: &mut Transaction, offsets: &mut BTreeMap<(Topic, u32), u64>) {
        for (partition, slot) in &mut self.slots {
            if let Some(inbox) = self.direct.inbox() {
                let next = offsets.get(&(inbox, *partition)).copied().unwrap_or(slot.next);
                slot.next = next;
                if slot.touched {
                    offsets.insert((inbox, *partition), next);
                }
            }
            if slot.touched && self.session.keeps_state() {
                transaction.state.push((*partition, slot.state.writes()));
            }
            if slot.settled {
                transaction.settled.push(*partition);
            }
        }
    }

    /// Moves what the stage wrote into the transaction, with its partition.
    fn route(&mut self, transaction: &mut Transaction) -> Result<(), WorkerError> {
        let (direct, taken) = self.direct.end();
        transaction.direct = direct;
        transaction.outputs.reserve_exact(self.outbox.outputs.len() - direct.count);
        let (mut contexts, mut taken) = (self.traces.of_outputs(), taken.into_iter().peekable());
        for (at, (output, timestamp_ms)) in self.outbox.take_outputs().enumerate() {
            if taken.next_if_eq(&at).is_some() {
                continue;
            }
            if let Some(context) = contexts.remove(&at) {
                transaction.traces.insert(transaction.outputs.len(), context);
            }
            let count = match self.partition_counts.get(&output.topic) {
                Some(count) => *count,
                None => {
                    let asked = self.session.partitions(output.topic);
                    let count = asked.map_err(|source| WorkerError::Log { stage: self.log.stage, source })?;
                    self.partition_counts.insert(output.topic, count);
                    count
                }
            };
            let partition = partition::of(&output.key, count);
            transaction.outputs.push(Routed { output, partition, timestamp_ms });
        }
        Ok(())
    }

    /// Forgets a batch that was not committed.
    pub(super) fn discard(&mut self) {
        self.traces.end(false);
        self.batch.clear();
        self.direct.discard();
        self.outbox = Outbox::with_json(self.options.json.clone());
        for slot in self.slots.values_mut() {
            slot.stage.discard_batch();
            slot.state.discard();
            (slot.newest_ms, slot.touched) = (None, false);
            slot.refusals.iter_mut().for_each(|(_, refusals)| *refusals = DeadLetterCount::default());
        }
    }
}
