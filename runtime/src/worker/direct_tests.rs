//! When messages between the partitions of a worker travel directly, and when through the log.

use std::sync::{Arc, Mutex};

use super::*;
use crate::log::{Assignment, Batch, MemoryLog, MemorySession};
use crate::stage::{Context, PartitionSlice, Stage, StageError};
use crate::state::StateError;
use crate::worker::WorkerOptions;

const INBOX: Topic = Topic::IdentityInbox;
const LOG: StageLog = StageLog { stage: "identity", inputs: &[INBOX], changelog: None };
const PARTITIONS: u32 = 3;

/// Sends each record on to the next partition, as often as its value says.
struct Relay(PartitionSlice);

impl Stage for Relay {
    fn handle(&mut self, record: &Record<'_>, context: &mut Context<'_>) -> Result<(), StageError> {
        if let [hops @ 1..=u8::MAX, ..] = record.value {
            let next = PartitionSlice { partition: (self.0.partition + 1) % PARTITIONS, ..self.0 };
            let value = Some(vec![hops - 1, 0]);
            context.outbox.outputs.push(Output { topic: INBOX, key: next.some_key("to"), value });
        }
        Ok(())
    }

    fn end_batch(&mut self, _: &mut Context<'_>) -> Result<(), StateError> {
        Ok(())
    }

    fn discard_batch(&mut self) {}
}

/// What was committed: messages through the log, barriers, direct messages, settled partitions.
type Committed = (usize, usize, usize, usize);

/// A log in memory whose partitions were committed at offset 0 with these counts.
struct Log {
    inner: MemorySession,
    direct: [Option<u64>; PARTITIONS as usize],
    committed: Arc<Mutex<Vec<Committed>>>,
}

impl Session for Log {
    fn poll(&mut self, batch: &mut Batch, limits: &BatchLimits) -> Result<Vec<Assignment>, LogError> {
        let mut changes = self.inner.poll(batch, limits)?;
        for change in &mut changes {
            if let Assignment::Assigned { partition, inputs, .. } = change {
                *inputs = Inputs { next: [(INBOX, 0)].into(), direct: self.direct[*partition as usize] };
            }
        }
        Ok(changes)
    }

    fn commit(&mut self, transaction: Transaction) -> Result<(), LogError> {
        let barriers = transaction.outputs.iter().filter(|routed| routed.output.key.starts_with(BARRIER)).count();
        let (through_log, settled) = (transaction.outputs.len() - barriers, transaction.settled.len());
        self.committed.lock().unwrap().push((through_log, barriers, transaction.direct.count, settled));
        self.inner.commit(transaction)
    }

    fn partitions(&mut self, topic: Topic) -> Result<u32, LogError> {
        self.inner.partitions(topic)
    }

    fn recover(&mut self) -> Result<(), LogError> {
        self.inner.recover()
    }

    fn stop_input(&mut self, topic: Topic, partition: u32) -> Result<(), LogError> {
        self.inner.stop_input(topic, partition)
    }

    fn resume_input(&mut self, topic: Topic, partition: u32) -> Result<(), LogError> {
        self.inner.resume_input(topic, partition)
    }

    fn is_stopped(&self, topic: Topic, partition: u32) -> bool {
        self.inner.is_stopped(topic, partition)
    }

    fn accepted(&mut self, topic: Topic, partition: u32) -> Option<u64> {
        self.inner.accepted(topic, partition)
    }

    fn close(&mut self) -> Result<(), LogError> {
        self.inner.close()
    }
}

/// A worker, its log, and what it commits.
fn worker(direct: [Option<u64>; 3], records_max: usize) -> (Worker<Log>, MemoryLog, Arc<Mutex<Vec<Committed>>>) {
    let (log, committed) = (MemoryLog::new(PARTITIONS), Arc::new(Mutex::new(Vec::new())));
    let session = Log { inner: log.session(LOG), direct, committed: committed.clone() };
    let limits = BatchLimits { records_max, bytes_max: usize::MAX, wait_ms: 0, gather_ms: 0 };
    let build = Box::new(|slice| Box::new(Relay(slice)) as Box<dyn Stage>);
    (Worker::new(session, LOG, build, WorkerOptions::in_memory(limits)), log, committed)
}

/// Appends a record of so many hops to partition 0.
fn append(log: &MemoryLog, hops: u8) {
    let key = PartitionSlice { partition: 0, partitions: PARTITIONS }.some_key("to");
    log.append(INBOX, 0, key, vec![hops, 0]);
}

fn drain(worker: &mut Worker<Log>) {
    while worker.step().unwrap() > 0 {}
}

#[test]
fn settled_partitions_send_directly_from_the_beginning() {
    let (mut worker, log, committed) = worker([Some(0), Some(7), Some(0)], 100);
    append(&log, 5);
    drain(&mut worker);
    assert_eq!(*committed.lock().unwrap(), [(0, 0, 5, 3)]);
}

#[test]
fn others_once_barriers_were_read_back() {
    let (mut worker, log, committed) = worker([Some(0), None, Some(0)], 100);
    append(&log, 2);
    drain(&mut worker);
    let of_log = committed.lock().unwrap().clone();
    // The record, with barriers behind its message; then the message and the barriers, in one batch.
    assert_eq!(of_log, [(1, 3, 0, 1), (0, 0, 1, 3)]);
    append(&log, 4);
    drain(&mut worker);
    assert_eq!(committed.lock().unwrap().last(), Some(&(0, 0, 4, 3)));
}

#[test]
fn in_a_backlog_no_barriers_are_written() {
    let (mut worker, log, committed) = worker([None; 3], 4);
    (0..12).for_each(|_| append(&log, 0));
    drain(&mut worker);
    assert_eq!(committed.lock().unwrap().iter().map(|(_, barriers, ..)| barriers).sum::<usize>(), 0);
    append(&log, 0);
    drain(&mut worker);
    assert_eq!(committed.lock().unwrap().iter().map(|(_, barriers, ..)| barriers).sum::<usize>(), 3);
}

#[test]
fn barriers_that_are_not_read_in_one_batch_open_nothing() {
    let (mut worker, log, committed) = worker([None; 3], 100);
    append(&log, 1);
    worker.step().unwrap();
    assert_eq!(committed.lock().unwrap().last(), Some(&(1, 3, 0, 0)));
    // Barriers of somebody else.
    worker.expect_barriers(b"barrier of another".to_vec());
    append(&log, 1);
    drain(&mut worker);
    let after = committed.lock().unwrap().clone();
    assert!(after.iter().all(|(_, _, direct, _)| *direct == 0), "{after:?}");
}

#[test]
fn the_outbox_keeps_what_is_for_the_partition_itself() {
    let (mut worker, log, _) = worker([Some(0); 3], 100);
    append(&log, 0);
    drain(&mut worker);
    let key = PartitionSlice { partition: 1, partitions: PARTITIONS }.some_key("to");
    worker.outbox.outputs.push(Output { topic: INBOX, key, value: Some(Vec::new()) });
    worker.take_messages(0, 1, None);
    assert!(worker.direct.is_empty(), "it is to come later, through the log");
    worker.take_messages(0, 0, None);
    assert!(!worker.direct.is_empty() && worker.outbox.outputs[0].value.is_none());
}

#[test]
fn a_message_has_the_time_of_what_caused_it() {
    let (mut worker, log, _) = worker([Some(0); 3], 100);
    append(&log, 0);
    drain(&mut worker);
    let key = PartitionSlice { partition: 1, partitions: PARTITIONS }.some_key("to");
    for received_ms in [70, 50] {
        worker.outbox.caused_at(received_ms);
        worker.outbox.outputs.push(Output { topic: INBOX, key: key.clone(), value: Some(Vec::new()) });
    }
    worker.take_messages(0, 0, None);
    let times: Vec<i64> = worker.direct.queue.iter().map(|message| message.timestamp_ms).collect();
    assert_eq!(times, [70, 50]);
}
