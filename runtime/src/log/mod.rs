//! The log: where records come from and where they go, all or nothing.
//!
//! A worker owns one [`Session`]. It polls a batch, runs its stage over it, and commits one [`Transaction`]: what the stage wrote, the
//! offsets it has read, and the changes of its state. Three logs implement it: Kafka, the embedded log, and the log in memory.

mod batch;
mod memory;

use std::collections::BTreeMap;

use tributary_proto::DeadLetter;

use crate::exactly_once::{Inputs, StoreFailure};
use crate::obstacle::Obstacle;
use crate::stage::{Erasure, Output};
use crate::state::{Base, Write};
use crate::topic::Topic;
use crate::trace::TraceContext;

pub use batch::Batch;
pub use memory::{MemoryLog, MemorySession};

/// What a session reads and keeps for its stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageLog {
    /// The stage's name: part of its consumer group and of its transactional ids.
    pub stage: &'static str,
    /// The topics it reads. One instance works on the same partition of each; those of a stage with state have the same number.
    pub inputs: &'static [Topic],
    /// Where the changes of its state go; `None` for a stage without state.
    pub changelog: Option<Topic>,
}

impl StageLog {
    /// The topics that the stage writes.
    pub fn outputs(&self) -> impl Iterator<Item = Topic> + use<> {
        let stage = self.stage;
        Topic::ALL.into_iter().filter(move |topic| topic.spec().written_by.contains(&stage))
    }
}

/// When a batch ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// At most this many records.
    pub records_max: usize,
    /// At most this many bytes of keys and values; one record may exceed it.
    pub bytes_max: usize,
    /// How long to wait for a first record.
    pub wait_ms: u64,
    /// How long to gather records after the first one while more keep coming; an empty queue ends the batch at once.
    pub gather_ms: u64,
}

/// A change of what a session owns. The records of the same poll are only of partitions that are owned after all its changes.
pub enum Assignment {
    /// The partition is ours now, with its committed state.
    Assigned {
        /// The partition of every input topic.
        partition: u32,
        /// Its committed state.
        base: Box<dyn Base + Send>,
        /// The inputs that its state stands for.
        inputs: Inputs,
    },
    /// The partition is no longer ours, or has to be begun again: whatever of it is in memory is void.
    Revoked {
        /// The partition of every input topic.
        partition: u32,
    },
}

/// An output with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routed {
    /// The record.
    pub output: Output,
    /// Its partition.
    pub partition: u32,
    /// When the event that caused it was received, milliseconds since 1970-01-01 UTC.
    pub timestamp_ms: i64,
}

impl Routed {
    /// A record from outside, which has no key.
    pub fn raw(topic: Topic, partition: u32, received_ms: i64, value: Vec<u8>) -> Self {
        Self { output: Output { topic, key: Vec::new(), value: Some(value) }, partition, timestamp_ms: received_ms }
    }
}

/// What a batch leaves behind: committed whole or not at all.
#[derive(Debug, Default)]
pub struct Transaction {
    /// Records to write, in order.
    pub outputs: Vec<Routed>,
    /// Records that could not be processed.
    pub dead_letters: Vec<DeadLetter>,
    /// Per input topic and partition: the offset of the next record to read.
    pub offsets: Vec<(Topic, u32, u64)>,
    /// Per partition: the changes of its state.
    pub state: Vec<(u32, Vec<Write>)>,
    /// The partitions of which no message to another partition of the stage is unread in the log, nor in this transaction.
    pub settled: Vec<u32>,
    /// The messages from one partition of the stage to another that were handled in it.
    pub direct: DirectMessages,
    /// Who was erased. Only the embedded log forgets by itself; on Kafka topics are their operator's.
    pub erasures: Vec<Erasure>,
    /// The context of each output that follows from a traced record, by its position among the outputs. Only Kafka has headers for them.
    pub traces: BTreeMap<usize, TraceContext>,
}

/// The messages that a batch has handled without the log.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DirectMessages {
    /// How many.
    pub count: usize,
    /// Bytes of their keys and values.
    pub bytes: usize,
}

/// What a record or a change takes beside its key and value, in bytes, roughly.
const PIECE: usize = 100;

impl Transaction {
    /// Bytes of outputs, direct messages and changes of the state, roughly.
    pub fn bytes(&self) -> usize {
        let of = |key: &[u8], value: Option<&Vec<u8>>| PIECE + key.len() + value.map_or(0, Vec::len);
        let outputs: usize = self.outputs.iter().map(|routed| of(&routed.output.key, routed.output.value.as_ref())).sum();
        let changes = self.state.iter().flat_map(|(_, writes)| writes);
        let direct = self.direct.bytes + PIECE * self.direct.count;
        outputs + direct + changes.map(|write| of(&write.key, write.value.as_ref())).sum::<usize>()
    }
}

/// Why a session failed, by what is to be done.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The transaction was aborted, or its outcome is not known. Call [`Session::recover`], then go on from the committed offsets.
    #[error("{operation}: {why}; going back to the committed offsets")]
    Recover {
        /// What was being done.
        operation: &'static str,
        /// The error of the log.
        why: String,
    },
    /// Going on could lose or double data, or cannot succeed: the worker stops.
    #[error("{operation}: {why}")]
    Stop {
        /// What was being done.
        operation: &'static str,
        /// The error of the log, and what to do.
        why: String,
    },
}

impl LogError {
    /// An error after which to recover.
    pub fn recover(operation: &'static str, why: impl ToString) -> Self {
        Self::Recover { operation, why: why.to_string() }
    }

    /// An error after which to stop.
    pub fn stop(operation: &'static str, why: impl ToString) -> Self {
        Self::Stop { operation, why: why.to_string() }
    }

    /// What follows for a session whose store failed. Where there is no room it goes back to the committed offsets and tries again until
    /// there is some: what the store has missed is in the changelog.
    pub fn of_store(operation: &'static str, error: impl StoreFailure) -> Self {
        if error.is_full() {
            Self::recover(operation, format!("{error}; waiting for room"))
        } else {
            Self::stop(operation, error)
        }
    }
}

/// One worker's connection to the log.
///
/// ```
/// use tributary_runtime::log::{Batch, BatchLimits, LogError, MemoryLog, Session, StageLog, Transaction};
/// use tributary_runtime::topic::Topic;
///
/// let log = MemoryLog::new(1);
/// log.append(Topic::Offline, 0, Vec::new(), b"a record".to_vec());
/// let mut session = log.session(StageLog { stage: "ingest", inputs: &Topic::RAW, changelog: None });
///
/// let mut batch = Batch::default();
/// let limits = BatchLimits { records_max: 100, bytes_max: 1 << 20, wait_ms: 0, gather_ms: 0 };
/// session.poll(&mut batch, &limits)?;
/// assert_eq!(batch.records().next().map(|record| record.offset), Some(0));
///
/// session.commit(Transaction { offsets: vec![(Topic::Offline, 0, 1)], ..Transaction::default() })?;
/// assert_eq!(log.backlog(Topic::Offline), 0);
/// # Ok::<(), LogError>(())
/// ```
pub trait Session {
    /// The number of partitions of a topic. Does not change while the session lives.
    ///
    /// # Errors
    /// When the topic does not exist or the log cannot be asked.
    fn partitions(&mut self, topic: Topic) -> Result<u32, LogError>;

    /// Waits for records and appends them to `batch`, in offset order within a partition; returns the changes of the assignment meanwhile.
    ///
    /// # Errors
    /// See [`LogError`].
    fn poll(&mut self, batch: &mut Batch, limits: &BatchLimits) -> Result<Vec<Assignment>, LogError>;

    /// Commits a transaction: once this returns `Ok`, it is in the log and the changes are in the committed state.
    ///
    /// # Errors
    /// After any error nothing of the transaction may be assumed, neither that it happened nor that it did not.
    fn commit(&mut self, transaction: Transaction) -> Result<(), LogError>;

    /// Starts anew after [`LogError::Recover`]: the next poll revokes and assigns every partition, from the committed offsets.
    ///
    /// # Errors
    /// See [`LogError`].
    fn recover(&mut self) -> Result<(), LogError>;

    /// Hands out no more records of a partition of one input, until [`Self::resume_input`], or until it comes back from another owner that has
    /// committed more of it. Records that were handed out and not committed are given back with [`Self::recover`].
    ///
    /// # Errors
    /// See [`LogError`].
    fn stop_input(&mut self, topic: Topic, partition: u32) -> Result<(), LogError>;

    /// Hands out records of a partition of one input again, from its committed offset.
    ///
    /// # Errors
    /// See [`LogError`].
    fn resume_input(&mut self, topic: Topic, partition: u32) -> Result<(), LogError>;

    /// Whether a partition of one input is ours and was stopped.
    fn is_stopped(&self, topic: Topic, partition: u32) -> bool;

    /// The offset below which an operator has accepted the refused records of a partition of one input. `None` if there is none, or if it is
    /// not known now.
    fn accepted(&mut self, topic: Topic, partition: u32) -> Option<u64>;

    /// Leaves: nothing is open when this returns.
    ///
    /// # Errors
    /// See [`LogError`].
    fn close(&mut self) -> Result<(), LogError>;

    /// What keeps it from handing out records: no assignment, the state of a partition, the brokers. Empty if it can.
    fn obstacles(&self) -> Vec<Obstacle> {
        Vec::new()
    }

    /// Whether changes of the state must be in the transaction. A log in memory leaves the state to the overlay.
    fn keeps_state(&self) -> bool {
        true
    }
}
