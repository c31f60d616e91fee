//! The log in memory, for `replay` and tests. It stores no state of its own: the overlays of its workers are the state.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tributary_proto::partition;

use super::{Assignment, Batch, BatchLimits, LogError, Routed, Session, StageLog, Transaction};
use crate::exactly_once::Inputs;
use crate::stage::{Output, Record};
use crate::state::EmptyBase;
use crate::topic::Topic;

/// Records that are still to be read, and the offset of the first of them.
#[derive(Default)]
struct Queue {
    first_offset: u64,
    records: VecDeque<Routed>,
}

type Topics = BTreeMap<Topic, Vec<Queue>>;

/// A log in memory. Clones share it. A record is forgotten once its one reader has committed past it.
#[derive(Clone)]
pub struct MemoryLog {
    topics: Arc<Mutex<Topics>>,
}

impl MemoryLog {
    /// An empty log in which every topic has `partitions` partitions.
    pub fn new(partitions: u32) -> Self {
        let queues = || (0..partitions).map(|_| Queue::default()).collect();
        Self { topics: Arc::new(Mutex::new(Topic::ALL.iter().map(|topic| (*topic, queues())).collect())) }
    }

    fn lock(&self) -> MutexGuard<'_, Topics> {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a record from outside.
    pub fn append(&self, topic: Topic, timestamp_ms: i64, key: Vec<u8>, value: Vec<u8>) {
        append(&mut self.lock(), timestamp_ms, Output { topic, key, value: Some(value) });
    }

    /// Appends records to their partitions.
    pub fn extend(&self, records: impl IntoIterator<Item = Routed>) {
        extend(&mut self.lock(), records);
    }

    /// Takes all records of a topic out, in partition order.
    pub fn take(&self, topic: Topic) -> Vec<Routed> {
        let mut topics = self.lock();
        let queues = topics.get_mut(&topic).map(Vec::as_mut_slice).unwrap_or_default();
        let mut all = Vec::new();
        for queue in queues {
            queue.first_offset += queue.records.len() as u64;
            all.extend(queue.records.drain(..));
        }
        all
    }

    /// The same without their places.
    pub fn drain(&self, topic: Topic) -> Vec<Output> {
        self.take(topic).into_iter().map(|routed| routed.output).collect()
    }

    /// The number of records of a topic that are not committed yet.
    pub fn backlog(&self, topic: Topic) -> usize {
        self.lock().get(&topic).map_or(0, |queues| queues.iter().map(|queue| queue.records.len()).sum())
    }

    /// A worker that owns every partition of its stage.
    pub fn session(&self, stage: StageLog) -> MemorySession {
        MemorySession { log: self.clone(), stage, assigned: false, position: BTreeMap::new() }
    }
}

/// Appends a record to the partition of its key.
fn append(topics: &mut Topics, timestamp_ms: i64, output: Output) {
    let partitions = topics.get(&output.topic).map_or(0, Vec::len);
    let partition = partition::of(&output.key, partitions as u32);
    extend(topics, [Routed { output, partition, timestamp_ms }]);
}

fn extend(topics: &mut Topics, records: impl IntoIterator<Item = Routed>) {
    for routed in records {
        let queues = topics.get_mut(&routed.output.topic);
        if let Some(queue) = queues.and_then(|queues| queues.get_mut(routed.partition as usize)) {
            queue.records.push_back(routed);
        }
    }
}

/// See [`MemoryLog::session`].
pub struct MemorySession {
    log: MemoryLog,
    stage: StageLog,
    assigned: bool,
    /// Offsets up to which records were polled but not committed.
    position: BTreeMap<(Topic, u32), u64>,
}

impl Session for MemorySession {
    fn partitions(&mut self, topic: Topic) -> Result<u32, LogError> {
        Ok(self.log.lock().get(&topic).map_or(0, |queues| queues.len() as u32))
    }

    fn poll(&mut self, batch: &mut Batch, limits: &BatchLimits) -> Result<Vec<Assignment>, LogError> {
        let topics = self.log.lock();
        let mut changes = Vec::new();
        for topic in self.stage.inputs {
            for (at, queue) in topics.get(topic).into_iter().flatten().enumerate() {
                let at = at as u32;
                if !self.assigned && Some(topic) == self.stage.inputs.first() {
                    changes.push(Assignment::Assigned { partition: at, base: Box::new(EmptyBase), inputs: Inputs::default() });
                }
                let next = self.position.entry((*topic, at)).or_insert(queue.first_offset);
                let skip = next.saturating_sub(queue.first_offset) as usize;
                for routed in queue.records.iter().skip(skip) {
                    if batch.len() >= limits.records_max || batch.bytes() >= limits.bytes_max {
                        break;
                    }
                    batch.push(&Record {
                        topic: *topic,
                        partition: at,
                        offset: *next,
                        timestamp_ms: routed.timestamp_ms,
                        key: &routed.output.key,
                        value: routed.output.value.as_deref().unwrap_or_default(),
                    });
                    *next += 1;
                }
            }
        }
        self.assigned = true;
        Ok(changes)
    }

    fn commit(&mut self, transaction: Transaction) -> Result<(), LogError> {
        let mut topics = self.log.lock();
        extend(&mut topics, transaction.outputs);
        for letter in transaction.dead_letters {
            append(&mut topics, 0, Output::dead_letter(&letter, false));
        }
        for (topic, at, next) in transaction.offsets {
            let queue = topics.get_mut(&topic).and_then(|queues| queues.get_mut(at as usize));
            if let Some(queue) = queue {
                let read = next.saturating_sub(queue.first_offset) as usize;
                queue.records.drain(..read.min(queue.records.len()));
                queue.first_offset = next;
            }
        }
        Ok(())
    }

    fn recover(&mut self) -> Result<(), LogError> {
        Err(LogError::stop("recovering a log in memory", "it cannot fail, and has no state to go back to"))
    }

    fn stop_input(&mut self, topic: Topic, partition: u32) -> Result<(), LogError> {
        let why = format!(
            "partition {}/{partition} cannot be stopped: nothing limits what is refused of a log in memory",
            topic.name()
        );
        Err(LogError::stop("stopping a partition", why))
    }

    fn resume_input(&mut self, _: Topic, _: u32) -> Result<(), LogError> {
        Ok(())
    }

    fn is_stopped(&self, _: Topic, _: u32) -> bool {
        false
    }

    fn accepted(&mut self, _: Topic, _: u32) -> Option<u64> {
        None
    }

    fn close(&mut self) -> Result<(), LogError> {
        Ok(())
    }

    fn keeps_state(&self) -> bool {
        false
    }
}
