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
        let transaction = match outcome? {
            Outcome::Commit(transaction) => transaction,
            Outcome::Stop(place, stop) => {
                self.stop_partition(place, stop)?;
                return Ok(0);
            }
        };
        self.pace.note(records, transaction.bytes());
        let refused = Refused::of(&transaction.dead_letters);
        let published = metrics::BatchSummary::of(self.log.stage, &self.batch, &transaction);
        let begun = Instant::now();
        self.session.commit(transaction).map_err(|source| self.log_error(source))?;
        self.traces.end(true);
        published.publish(&self.outbox.observations, begun.elapsed(), now_ms());
        self.outbox.observations.clear();
        if self.options.logs_refusals {
            self.dead_letter_lines.note(refused, Instant::now()).iter().for_each(|line| line.log(self.log.stage));
        }
        let budget = if self.session.keeps_state() { self.options.cache_bytes / self.slots.len().max(1) } else { usize::MAX };
        for slot in self.slots.values_mut() {
            if slot.newest_ms.take().is_some() {
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
            if let Some(excess) = excess {
                let place = (record.topic, record.partition);
                return Ok(Outcome::Stop(place, self.stop(&record, excess, batch, &transaction)));
            }
        }
        self.end_batch(&mut transaction)?;
        transaction.erasures = std::mem::take(&mut self.outbox.erasures);
        transaction.traces = self.traces.of_outputs();
        self.route(&mut transaction)?;
        transaction.offsets = offsets.into_iter().map(|((topic, partition), next)| (topic, partition, next)).collect();
        Ok(Outcome::Commit(transaction))
    }

    /// Runs the stage over a record; returns whether it was one refusal too many.
    fn handle(&mut self, record: &Record<'_>, transaction: &mut Transaction) -> Result<Option<LimitExceeded>, WorkerError> {
        let (stage, partition) = (self.log.stage, record.partition);
        let Some(slot) = self.slots.get_mut(&partition) else { return Err(WorkerError::Unassigned { stage, partition }) };
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
        let counts = refused && !self.stops.is_accepted((record.topic, partition), record.offset);
        Ok(slot.refusals(record.topic).and_then(|refusals| refusals.note(counts, &self.limits)))
    }

    fn end_batch(&mut self, transaction: &mut Transaction) -> Result<(), WorkerError> {
        let stage = self.log.stage;
        let owned: Vec<(u32, i64)> = self.slots.iter().filter_map(|(at, slot)| Some((*at, slot.newest_ms?))).collect();
        for (partition, newest_ms) in owned {
            let Some(slot) = self.slots.get_mut(&partition) else { continue };
            self.outbox.caused_at(newest_ms);
            let mut context = Context { state: &mut slot.state, outbox: &mut self.outbox };
            let from = context.outbox.outputs.len();
            slot.stage.end_batch(&mut context).map_err(|source| WorkerError::State { stage, partition, source })?;
            self.traces.caused_by_batch(partition, from..self.outbox.outputs.len());
            if self.session.keeps_state() {
                transaction.state.push((partition, slot.state.writes()));
            }
        }
        Ok(())
    }

    /// Moves what the stage wrote into the transaction, with its partition.
    fn route(&mut self, transaction: &mut Transaction) -> Result<(), WorkerError> {
        transaction.outputs.reserve_exact(self.outbox.outputs.len());
        for (output, timestamp_ms) in self.outbox.take_outputs() {
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
        self.outbox = Outbox::with_json(self.options.json.clone());
        for slot in self.slots.values_mut() {
            slot.stage.discard_batch();
            slot.state.discard();
            slot.newest_ms = None;
            slot.refusals.iter_mut().for_each(|(_, refusals)| *refusals = DeadLetterCount::default());
        }
    }
}
