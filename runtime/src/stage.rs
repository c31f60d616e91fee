//! What a stage is: a pure state machine, one instance per partition, fed record by record.
//!
//! A stage sees no log, no clock and no thread. It reads a record, changes the [`State`] of its partition, and puts its output into the
//! [`Outbox`]. Its driver (the worker on Kafka or the embedded log, `replay`, a simulator) commits all three together, or none.

use std::collections::BTreeSet;

use prost::Message;
use tributary_proto::{DeadLetter, Identifier, encode, partition};

use crate::metric::{Detail, Metric, Observations};
use crate::reason::Reason;
use crate::state::{State, StateError};
use crate::topic::Topic;
use crate::topic::format::Row;

/// A record as it was read from the log.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Its topic.
    pub topic: Topic,
    /// Its partition in the topic.
    pub partition: u32,
    /// Its offset.
    pub offset: u64,
    /// When the event that caused it was received, milliseconds since 1970-01-01 UTC: the record's timestamp, which every record that
    /// follows from it inherits.
    pub timestamp_ms: i64,
    /// Its key; empty if it has none.
    pub key: &'a [u8],
    /// Its value; empty for a tombstone.
    pub value: &'a [u8],
}

/// A record to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its topic.
    pub topic: Topic,
    /// Its key; decides the partition.
    pub key: Vec<u8>,
    /// Its value; `None` is a tombstone.
    pub value: Option<Vec<u8>>,
}

impl Output {
    /// The output for a dead letter; its key is that of the refused record.
    pub fn dead_letter(letter: &DeadLetter, json: bool) -> Self {
        Self { topic: DeadLetter::TOPIC, key: letter.key().to_vec(), value: Some(letter.bytes(json)) }
    }
}

/// Why a record (or one event in it) cannot be processed. It becomes a dead letter.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}{}{field}: {detail}", if .field.is_empty() { "" } else { " in field " })]
pub struct Rejection {
    /// The reason, whose code never changes.
    pub reason: Reason,
    /// The invalid field; empty if the record as a whole is refused.
    pub field: String,
    /// What was found and what to do; never contains the refused value.
    pub detail: String,
    /// Position of the event in the record, from 0.
    pub index: u32,
}

impl Rejection {
    /// A rejection of a whole record.
    pub fn new(reason: Reason, field: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { reason, field: field.into(), detail: detail.into(), index: 0 }
    }
}

/// Why a stage cannot process a record.
#[derive(Debug, thiserror::Error)]
pub enum StageError {
    /// The record is invalid: it becomes a dead letter, and processing continues. The stage has changed nothing for it.
    #[error(transparent)]
    Rejected(#[from] Rejection),
    /// The state cannot be read or is damaged: the worker stops.
    #[error(transparent)]
    State(#[from] StateError),
}

/// An identifier was erased, or a record was read that an earlier erasure has voided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// The identifier.
    pub of: Identifier,
    /// Events up to this time are void, milliseconds since 1970-01-01 UTC.
    pub until_ms: i64,
}

/// The output of a stage, in order.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Records to write.
    pub outputs: Vec<Output>,
    /// Events of the current record that were refused.
    pub rejections: Vec<Rejection>,
    /// Nothing of the current record was used, although the stage did not refuse it as a whole.
    unused: bool,
    /// The current record is public: anybody could have sent it.
    by_anybody: bool,
    /// Metrics to be published when this is committed.
    pub observations: Observations,
    /// Erasures: a log that supports it deletes the raw records that name these identifiers.
    pub erasures: Vec<Erasure>,
    /// From which output on which cause applies.
    causes: Vec<(usize, i64)>,
    /// Output topics whose rows are written as JSON instead of Protobuf.
    json: BTreeSet<Topic>,
}

impl Outbox {
    /// An outbox that writes the rows of these topics as JSON instead of Protobuf.
    pub fn with_json(json: BTreeSet<Topic>) -> Self {
        Self { json, ..Self::default() }
    }

    /// Publishes a row, in the format of its topic.
    pub fn publish<R: Row>(&mut self, row: &R) {
        let value = row.bytes(self.writes_json(R::TOPIC));
        self.outputs.push(Output { topic: R::TOPIC, key: row.key().to_vec(), value: Some(value) });
    }

    /// Whether rows of a topic are written as JSON.
    pub fn writes_json(&self, topic: Topic) -> bool {
        self.json.contains(&topic)
    }

    /// Publishes a row that its producer has encoded as Protobuf. Not for topics of which [`Self::writes_json`] is true.
    pub fn publish_encoded(&mut self, topic: Topic, key: &[u8], row: Vec<u8>) {
        self.outputs.push(Output { topic, key: key.to_vec(), value: Some(row) });
    }

    /// Publishes a tombstone for a key of a compacted topic.
    pub fn unpublish(&mut self, topic: Topic, key: &[u8]) {
        self.outputs.push(Output { topic, key: key.to_vec(), value: None });
    }

    /// Sends a message to the actor with this key.
    pub fn send<M: Message>(&mut self, topic: Topic, key: Vec<u8>, message: &M) {
        self.outputs.push(Output { topic, key, value: Some(encode::to_vec(message)) });
    }

    /// Sets when the event was received that causes the following outputs, milliseconds since 1970-01-01 UTC: it becomes the timestamp of
    /// the records. The driver of the stage calls it for every record, and with the newest time at the end of the batch; a stage may
    /// override it.
    pub fn caused_at(&mut self, received_ms: i64) {
        match self.causes.last_mut() {
            Some((from, cause)) if *from == self.outputs.len() => *cause = received_ms,
            _ => self.causes.push((self.outputs.len(), received_ms)),
        }
    }

    /// The last value of [`Self::caused_at`]; 0 if there was none.
    pub fn cause(&self) -> i64 {
        self.causes.last().map_or(0, |(_, cause)| *cause)
    }

    /// Takes the outputs, each with the time of receipt of the event that caused it.
    pub fn take_outputs(&mut self) -> impl Iterator<Item = (Output, i64)> {
        let mut causes = self.causes.drain(..).peekable();
        let mut cause = 0;
        self.outputs.drain(..).enumerate().map(move |(at, output)| {
            while let Some((_, next)) = causes.next_if(|(from, _)| *from <= at) {
                cause = next;
            }
            (output, cause)
        })
    }

    /// Takes out the output at this position, with when the event that caused it was received. An empty one stays in its place.
    pub(crate) fn take_output(&mut self, at: usize) -> Option<(Output, i64)> {
        let output = self.outputs.get_mut(at)?;
        let taken = Output { topic: output.topic, key: std::mem::take(&mut output.key), value: output.value.take() };
        let known = self.causes.partition_point(|(from, _)| *from <= at);
        let cause = known.checked_sub(1).and_then(|last| self.causes.get(last));
        Some((taken, cause.map_or(0, |(_, cause)| *cause)))
    }

    /// Refuses one event of the current record; the other events count.
    pub fn reject(&mut self, rejection: Rejection) {
        self.rejections.push(rejection);
    }

    /// Nothing of the current record was used: if all its parts are rejected, it counts as refused. A record of which anything was used
    /// does not.
    pub fn nothing_used(&mut self) {
        self.unused = true;
    }

    /// The current record is public: its refusal is no sign of a broken sender, so it does not count towards the limit.
    pub fn sent_by_anybody(&mut self) {
        self.by_anybody = true;
    }

    /// Takes the rejections of the current record, and whether the whole record counts as refused, for the limit. `whole` is the stage's
    /// own rejection of it.
    pub(crate) fn take_rejections(&mut self, whole: Option<Rejection>) -> (Vec<Rejection>, bool) {
        let unused = std::mem::take(&mut self.unused) || whole.is_some();
        let counts = !std::mem::take(&mut self.by_anybody);
        let mut rejections = std::mem::take(&mut self.rejections);
        rejections.extend(whole);
        let refused = unused && !rejections.is_empty();
        (rejections, refused && counts)
    }

    /// Events that name this identifier are void up to a time, and their raw data is to be deleted.
    pub fn erase(&mut self, of: &Identifier, until_ms: i64) {
        self.erasures.push(Erasure { of: of.clone(), until_ms });
    }

    /// Counts or observes, with a label from a bounded set (empty for none).
    pub fn observe(&mut self, metric: &'static Metric, label: &'static str, value: u64) {
        self.observations.add(metric, label, value);
    }

    /// Counts with several labels, each from a bounded set.
    pub fn observe_detail(&mut self, metric: &'static Metric, labels: Detail, value: u64) {
        self.observations.add_detail(metric, labels, value);
    }
}

/// What a stage can use while it handles a record.
pub struct Context<'a> {
    /// The state of the stage's partition.
    pub state: &'a mut dyn State,
    /// Its output.
    pub outbox: &'a mut Outbox,
}

/// The part of an inbox that an instance owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionSlice {
    /// The instance's partition.
    pub partition: u32,
    /// The number of partitions of its inbox.
    pub partitions: u32,
}

impl PartitionSlice {
    /// Whether the actor with this key belongs to this partition.
    pub fn owns(&self, key: &[u8]) -> bool {
        partition::of(key, self.partitions) == self.partition
    }

    /// A key with this prefix that belongs to this partition.
    pub fn some_key(&self, prefix: &str) -> Vec<u8> {
        (0u32..).map(|number| format!("{prefix}{number}").into_bytes()).find(|key| self.owns(key)).unwrap_or_default()
    }
}

/// A stage: one instance per partition.
///
/// ```
/// use tributary_proto::Hash128;
/// use tributary_runtime::stage::{Context, Outbox, Record, Stage, StageError};
/// use tributary_runtime::state::{ActorKey, EmptyBase, Overlay, State, StateError};
/// use tributary_runtime::topic::Topic;
///
/// /// Counts the records of each key.
/// struct Count;
///
/// impl Stage for Count {
///     fn handle(&mut self, record: &Record<'_>, context: &mut Context<'_>) -> Result<(), StageError> {
///         let actor = ActorKey::new(b'c', Hash128::of(record.key));
///         let count = context.state.get(&actor, b"count")?.map_or(0, |value| value[0]);
///         context.state.put(&actor, b"count", &[count + 1]);
///         Ok(())
///     }
///
///     fn end_batch(&mut self, _: &mut Context<'_>) -> Result<(), StateError> {
///         Ok(())
///     }
///
///     fn discard_batch(&mut self) {}
/// }
///
/// let (mut state, mut outbox) = (Overlay::new(EmptyBase), Outbox::default());
/// let record = Record { topic: Topic::Offline, partition: 0, offset: 0, timestamp_ms: 0, key: b"a", value: b"" };
/// for _ in 0..2 {
///     Count.handle(&record, &mut Context { state: &mut state, outbox: &mut outbox })?;
/// }
/// assert_eq!(state.get(&ActorKey::new(b'c', Hash128::of(b"a")), b"count")?, Some(&[2][..]));
/// # Ok::<(), StageError>(())
/// ```
pub trait Stage: Send {
    /// Called when the partition was taken over, before the first record. Its output is written at once; it must not change the state. The
    /// next owner of the partition may write it again.
    ///
    /// # Errors
    /// When the state cannot be read.
    fn begin(&mut self, _context: &mut Context<'_>) -> Result<(), StateError> {
        Ok(())
    }

    /// How much of the partition was recomputed after a change of settings, in thousandths; `None` if no pass is running.
    fn remodelled(&self) -> Option<u32> {
        None
    }

    /// Handles one record.
    ///
    /// # Errors
    /// [`StageError::Rejected`] when the record is invalid and nothing was changed for it; [`StageError::State`] when the state cannot be
    /// read.
    fn handle(&mut self, record: &Record<'_>, context: &mut Context<'_>) -> Result<(), StageError>;

    /// Tells before the end of a batch whether more records wait, here or in the stages before: what they may change again can be deferred.
    fn more_waits(&mut self, _more: bool) {}

    /// Ends a batch: does deferred work, and clears what belongs to the batch.
    ///
    /// # Errors
    /// When the state cannot be read.
    fn end_batch(&mut self, context: &mut Context<'_>) -> Result<(), StateError>;

    /// Discards a batch that will not be committed.
    fn discard_batch(&mut self);
}
