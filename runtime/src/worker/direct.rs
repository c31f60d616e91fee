//! Direct messages: from one partition of the worker's stage to another, handled in the batch that sends them, without the log.
//!
//! Messages from one partition to another must be handled in the order in which they were sent. So a worker sends them directly only while it
//! owns all partitions of its stage, and none of their messages is still unread in the log. That is so where
//!
//! - each partition was committed by a worker that has sent all its messages directly ([`Inputs::is_settled`]), or
//! - *barriers* were read back. The worker writes one to each partition. What a partition has sent lies before it. Once one batch has
//!   everything up to the barriers, the log holds no message any more.
//!
//! The worker tries barriers when it keeps up with its inputs. While it has a backlog they would lie behind it.

use std::collections::{BTreeSet, VecDeque};
use std::hash::{BuildHasher, RandomState};

use tributary_proto::partition;

use super::{Worker, WorkerError};
use crate::exactly_once::Inputs;
use crate::log::{BatchLimits, DirectMessages, LogError, Routed, Session, StageLog, Transaction};
use crate::stage::{Output, Record};
use crate::topic::{Role, Topic};
use crate::trace::TraceContext;

/// The key of a barrier begins with this; a number that no other barrier has follows. Its value is empty.
const BARRIER: &[u8] = b"barrier ";
/// How many batches are committed after barriers that were not read back, before the next ones.
const BATCHES_BETWEEN: u32 = 16;
/// How often more is polled in order to read all barriers in one batch.
const POLLS_MAX: u32 = 8;

/// How messages to other partitions of the stage travel.
#[derive(Debug)]
enum Mode {
    /// Through the log. Barriers are written after so many more batches.
    Log(u32),
    /// Through the log; these barriers were written and not read back.
    Draining { barrier: Vec<u8>, unread: BTreeSet<u32> },
    /// Directly.
    Direct,
}

/// A message on its way.
struct Message {
    to: u32,
    timestamp_ms: i64,
    context: Option<TraceContext>,
    output: Output,
}

/// The direct messages of a worker.
pub(super) struct Direct {
    /// The inbox of the stage, which it writes as well.
    inbox: Option<Topic>,
    mode: Mode,
    /// The partitions of the inbox.
    partitions: u32,
    queue: VecDeque<Message>,
    /// Which outputs of the batch were taken out as messages, by position.
    taken: Vec<usize>,
    /// Bytes of the messages of the batch.
    bytes: usize,
}

impl Direct {
    pub(super) fn of(log: &StageLog) -> Self {
        let inbox = |topic: &Topic| matches!(topic.spec().role, Role::Inbox { .. });
        let inbox = log.inputs.iter().copied().find(|topic| inbox(topic) && topic.spec().written_by.contains(&log.stage));
        Self { inbox, mode: Mode::Log(0), partitions: 0, queue: VecDeque::new(), taken: Vec::new(), bytes: 0 }
    }

    pub(super) fn inbox(&self) -> Option<Topic> {
        self.inbox
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The messages of the batch, and the positions of the outputs that they were, in order. The batch is over.
    pub(super) fn end(&mut self) -> (DirectMessages, Vec<usize>) {
        let taken = std::mem::take(&mut self.taken);
        (DirectMessages { count: taken.len(), bytes: std::mem::take(&mut self.bytes) }, taken)
    }

    /// Forgets the batch.
    pub(super) fn discard(&mut self) {
        self.queue.clear();
        self.taken.clear();
        self.bytes = 0;
        self.mode = Mode::Log(0);
    }

    /// The offset of the next record of the inbox, by the inputs of a partition.
    pub(super) fn next_of(&self, inputs: &Inputs) -> u64 {
        self.inbox.and_then(|inbox| inputs.next.get(&inbox)).copied().unwrap_or(0)
    }

    /// Whether a record is a barrier, no message of the stage.
    pub(super) fn is_barrier(&self, record: &Record<'_>) -> bool {
        Some(record.topic) == self.inbox && record.value.is_empty() && record.key.starts_with(BARRIER)
    }
}

impl<S: Session> Worker<S> {
    /// After a change of the assignment: how messages travel from now on.
    pub(super) fn review_direct(&mut self) -> Result<(), LogError> {
        let Some(inbox) = self.direct.inbox else { return Ok(()) };
        self.direct.partitions = self.session.partitions(inbox)?;
        self.direct.mode =
            if self.owns_all() && self.slots.values().all(|slot| slot.settled) { Mode::Direct } else { Mode::Log(0) };
        Ok(())
    }

    fn owns_all(&self) -> bool {
        self.slots.len() == self.direct.partitions as usize
    }

    /// Where barriers were written: polls until the batch has them all, or gives up for now.
    pub(super) fn drain(&mut self, limits: &BatchLimits) -> Result<(), WorkerError> {
        for _ in 0..POLLS_MAX {
            let Mode::Draining { barrier, unread } = &mut self.direct.mode else { return Ok(()) };
            for record in self.batch.records().filter(|record| record.value.is_empty() && record.key == barrier.as_slice()) {
                unread.remove(&record.partition);
            }
            if unread.is_empty() {
                self.slots.values_mut().for_each(|slot| slot.settled = true);
                self.direct.mode = Mode::Direct;
                return Ok(());
            }
            let more = self.batch.len().saturating_add(limits.records_max);
            let polled = self.session.poll(&mut self.batch, &BatchLimits { records_max: more, ..*limits });
            polled.map_err(|source| self.log_error(source)).and_then(|changes| self.apply(changes))?;
        }
        self.direct.mode = Mode::Log(BATCHES_BETWEEN);
        Ok(())
    }

    /// Takes the messages out of what a partition has written from this output on, or notes that it has sent some through the log.
    pub(super) fn take_messages(&mut self, from: usize, sender: u32, context: Option<TraceContext>) {
        let Some(inbox) = self.direct.inbox else { return };
        let direct = matches!(self.direct.mode, Mode::Direct);
        for at in from..self.outbox.outputs.len() {
            let Some(output) = self.outbox.outputs.get(at).filter(|output| output.topic == inbox) else { continue };
            let to = partition::of(&output.key, self.direct.partitions);
            if to == sender {
                // It is to come later, behind other work.
                continue;
            }
            if !direct {
                if let Some(slot) = self.slots.get_mut(&sender) {
                    slot.settled = false;
                }
            } else if let Some((output, timestamp_ms)) = self.outbox.take_output(at) {
                self.direct.bytes += output.key.len() + output.value.as_ref().map_or(0, Vec::len);
                self.direct.queue.push_back(Message { to, timestamp_ms, context, output });
                self.direct.taken.push(at);
            }
        }
    }

    /// Handles messages until none is left.
    pub(super) fn deliver(&mut self, transaction: &mut Transaction) -> Result<(), WorkerError> {
        while let Some(Message { to, timestamp_ms, context, output }) = self.direct.queue.pop_front() {
            let value = output.value.as_deref().unwrap_or_default();
            // It has no offset: it comes before the record that is the next to be read.
            let offset = self.slots.get(&to).map_or(0, |slot| slot.next);
            let record = Record { topic: output.topic, partition: to, offset, timestamp_ms, key: &output.key, value };
            let (context, from) = (self.traces.begin(&record, || context), self.outbox.outputs.len());
            self.run_stage(&record, transaction)?;
            self.traces.caused(context, from..self.outbox.outputs.len());
            self.take_messages(from, to, context);
        }
        Ok(())
    }

    /// Appends barriers to a transaction, where it is time; returns what distinguishes them.
    pub(super) fn add_barriers(&mut self, transaction: &mut Transaction) -> Option<Vec<u8>> {
        let (Some(inbox), Mode::Log(wait)) = (self.direct.inbox, &mut self.direct.mode) else { return None };
        *wait = wait.saturating_sub(1);
        if *wait > 0 || self.more_waits || !self.owns_all() || self.slots.len() < 2 {
            return None;
        }
        let number = RandomState::new().hash_one(self.log.stage);
        let key = [BARRIER, number.to_string().as_bytes()].concat();
        let timestamp_ms = self.outbox.cause();
        let barrier = |partition: &u32| {
            let output = Output { topic: inbox, key: key.clone(), value: Some(Vec::new()) };
            Routed { output, partition: *partition, timestamp_ms }
        };
        transaction.outputs.extend(self.slots.keys().map(barrier));
        Some(key)
    }

    /// Barriers were committed.
    pub(super) fn expect_barriers(&mut self, barrier: Vec<u8>) {
        self.direct.mode = Mode::Draining { barrier, unread: self.slots.keys().copied().collect() };
    }
}

#[cfg(test)]
#[path = "direct_tests.rs"]
mod tests;
