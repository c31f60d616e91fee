//! What the clients call back: rebalances, delivery reports, statistics, their log.
//!
//! All but the log is called on the thread that polls. A callback only notes what happened; the session acts on it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext, RebalanceProtocol};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::statistics::{Partition, Statistics};
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, TopicPartitionList};

use super::{Complaints, metrics};

/// How often it is said that a transaction hangs.
const SAY_AGAIN: Duration = Duration::from_mins(1);

/// What a rebalance asks for.
#[derive(Debug, Clone)]
pub(super) enum Rebalance {
    /// These are ours.
    Assign(Vec<(String, i32)>),
    /// These are to be given back.
    Revoke(Vec<(String, i32)>),
}

/// Of the consumer of the inputs.
pub(super) struct ConsumerEvents {
    stage: &'static str,
    /// A transaction that is open for longer is no worker's: the brokers would have aborted it.
    hanging: Duration,
    pending: Mutex<VecDeque<Rebalance>>,
    /// By topic name and partition.
    read: Mutex<BTreeMap<(String, i32), Reading>>,
    closing: AtomicBool,
    /// Why connections failed.
    pub(super) complaints: Complaints,
}

impl ConsumerEvents {
    pub(super) fn new(stage: &'static str, hanging: Duration, complaints: Complaints) -> Self {
        Self { stage, hanging, pending: Mutex::default(), read: Mutex::default(), closing: AtomicBool::new(false), complaints }
    }

    /// The oldest rebalance that was not done yet.
    pub(super) fn front(&self) -> Option<Rebalance> {
        lock(&self.pending).front().cloned()
    }

    pub(super) fn pop(&self) {
        lock(&self.pending).pop_front();
    }

    /// From now on partitions are given back at once: nobody polls for rebalances any more.
    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Relaxed);
    }

    pub(super) fn set_done(&self, topic: &str, partition: i32, next: u64) {
        let mut read = lock(&self.read);
        match read.iter_mut().find(|((name, number), _)| *number == partition && name == topic) {
            Some((_, known)) => known.done = next,
            None => {
                read.insert((topic.to_owned(), partition), Reading { done: next, held_up: None });
            }
        }
    }

    /// The partition is no longer ours: its series must not keep their last value.
    pub(super) fn forget(&self, topic: &str, partition: i32) {
        lock(&self.read).remove(&(topic.to_owned(), partition));
        metrics::lag(self.stage, topic, partition.unsigned_abs(), 0);
        metrics::held_up(self.stage, topic, partition.unsigned_abs(), Duration::ZERO);
    }
}

/// How far the records of a partition were read.
struct Reading {
    /// Next offset to be committed: what lag is measured from.
    done: u64,
    held_up: Option<HeldUp>,
}

/// A transaction that is open.
struct HeldUp {
    /// Where it begins.
    offset: i64,
    /// Since when it is the first.
    since: Instant,
    /// When that was said.
    said: Option<Instant>,
}

impl Reading {
    /// Readers see nothing beyond the first open transaction.
    fn watch_stable(&mut self, partition: &Partition) -> Duration {
        if partition.ls_offset >= partition.hi_offset || partition.ls_offset < 0 {
            self.held_up = None;
        } else if self.held_up.as_ref().is_none_or(|open| open.offset != partition.ls_offset) {
            self.held_up = Some(HeldUp { offset: partition.ls_offset, since: Instant::now(), said: None });
        }
        self.held_up.as_ref().map_or(Duration::ZERO, |open| open.since.elapsed())
    }

    /// The offset at which a transaction hangs, if it is to be said now.
    fn hangs(&mut self, hanging: Duration) -> Option<i64> {
        let open = self.held_up.as_mut()?;
        let due = open.since.elapsed() > hanging && open.said.is_none_or(|said| said.elapsed() > SAY_AGAIN);
        due.then(|| {
            open.said = Some(Instant::now());
            open.offset
        })
    }
}

impl ClientContext for ConsumerEvents {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        self.complaints.log(level, fac, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka consumer");
    }

    fn stats(&self, statistics: Statistics) {
        let mut read = lock(&self.read);
        for ((name, number), reading) in read.iter_mut() {
            let Some(partition) = statistics.topics.get(name).and_then(|topic| topic.partitions.get(number)) else { continue };
            metrics::held_up(self.stage, name, number.unsigned_abs(), reading.watch_stable(partition));
            if let Some(offset) = reading.hangs(self.hanging) {
                tracing::warn!(
                    stage = self.stage,
                    "a transaction is open in {name}/{number} since offset {offset} and holds up its readers: if `kafka-transactions.sh \
                     find-hanging` lists it, end it with `kafka-transactions.sh abort --topic {name} --partition {number} \
                     --start-offset {offset}`"
                );
            }
            let Ok(end) = u64::try_from(partition.ls_offset) else { continue };
            // Records that end transactions have offsets but never reach us: where all was fetched and handed out, nothing is left.
            let fetched_all = partition.next_offset >= partition.ls_offset && partition.fetchq_cnt == 0;
            let handled_all = u64::try_from(partition.app_offset).is_ok_and(|handed_out| handed_out <= reading.done);
            let lag = if fetched_all && handled_all { 0 } else { end.saturating_sub(reading.done) };
            metrics::lag(self.stage, name, number.unsigned_abs(), lag);
        }
    }
}

impl ConsumerContext for ConsumerEvents {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let assign = what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.closing.load(Ordering::Relaxed) {
            // The client waits for its answer, and is about to be gone: nothing else can be done about an error.
            let _gone = match consumer.rebalance_protocol() {
                RebalanceProtocol::Cooperative if !assign => consumer.incremental_unassign(partitions),
                _ => consumer.unassign(),
            };
            return;
        }
        let list: Vec<(String, i32)> =
            partitions.elements().iter().map(|element| (element.topic().to_owned(), element.partition())).collect();
        tracing::info!(stage = self.stage, partitions = ?list, "{}", if assign { "assigned" } else { "revoked" });
        lock(&self.pending).push_back(if assign { Rebalance::Assign(list) } else { Rebalance::Revoke(list) });
    }
}

/// Of the consumer of the changelog.
pub(super) struct RestorerEvents;

impl ClientContext for RestorerEvents {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        log(level, fac, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka consumer of the changelog");
    }
}

impl ConsumerContext for RestorerEvents {}

/// What was delivered in the current transaction.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    /// By partition of the changelog: the offset after the last record.
    pub changelog: BTreeMap<u32, u64>,
    /// The first record that was not delivered: its topic and why.
    pub failed: Option<(String, KafkaError)>,
    /// Whether a connection was lost.
    pub connection_lost: bool,
}

/// Facility of the line that librdkafka logs whenever it gives a connection up, whatever the reason.
pub(super) const CONNECTION_LOST: &str = "FAIL";

/// What a record's delivery report carries: 0, or the partition of a changelog record plus 1.
pub(super) type Tag = usize;

/// Of the producer.
#[derive(Default)]
pub(super) struct ProducerEvents {
    delivered: Mutex<Delivered>,
}

impl ProducerEvents {
    /// Takes what was delivered since the last call.
    pub(super) fn take(&self) -> Delivered {
        std::mem::take(&mut *lock(&self.delivered))
    }

    pub(super) fn has_failed(&self) -> bool {
        lock(&self.delivered).failed.is_some()
    }
}

impl ClientContext for ProducerEvents {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        if fac == CONNECTION_LOST {
            lock(&self.delivered).connection_lost = true;
        }
        log(level, fac, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka producer");
    }
}

impl ProducerContext for ProducerEvents {
    type DeliveryOpaque = Tag;

    fn delivery(&self, result: &DeliveryResult<'_>, tag: Tag) {
        match result {
            Ok(_) if tag == 0 => {}
            Ok(message) => {
                let (Ok(partition), Ok(offset)) = (u32::try_from(tag - 1), u64::try_from(message.offset())) else { return };
                let mut delivered = lock(&self.delivered);
                let next = delivered.changelog.entry(partition).or_default();
                *next = offset.saturating_add(1).max(*next);
            }
            Err((error, message)) => {
                let mut delivered = lock(&self.delivered);
                // Records behind a failed one are purged: the first one says why.
                if delivered.failed.is_none() || is_purge(delivered.failed.as_ref()) {
                    delivered.failed = Some((message.topic().to_owned(), error.clone()));
                }
            }
        }
    }
}

fn is_purge(failed: Option<&(String, KafkaError)>) -> bool {
    failed
        .and_then(|(_, error)| error.rdkafka_error_code())
        .is_some_and(|code| matches!(code, RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight))
}

/// librdkafka's log holds no records and no credentials unless `debug` is set, which is refused.
pub(super) fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical | RDKafkaLogLevel::Error => {
            tracing::warn!(facility, "{message}");
        }
        RDKafkaLogLevel::Warning => tracing::info!(facility, "{message}"),
        RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info | RDKafkaLogLevel::Debug => tracing::debug!(facility, "{message}"),
    }
}

/// A panic of another holder leaves nothing half-done in what is locked here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
