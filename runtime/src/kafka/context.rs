//! Callbacks of the clients: rebalances, delivery reports, statistics, their log.
//!
//! All except the log are called on the thread that polls. A callback only records what happened; the session acts on it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::statistics::Statistics;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, TopicPartitionList};

use super::ConnectionErrors;
use super::client_log::{CONNECTION_LOST, log};

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
    /// Whether partitions change hands one by one: see [`KafkaOptions::is_cooperative`](super::options::KafkaOptions::is_cooperative).
    cooperative: bool,
    pending: Mutex<VecDeque<Rebalance>>,
    /// When this was made, and the client right after.
    made: Instant,
    statistics: Mutex<Option<Noted>>,
    closing: AtomicBool,
    /// Why connections failed.
    pub(super) connection_errors: ConnectionErrors,
}

impl ConsumerEvents {
    pub(super) fn new(stage: &'static str, cooperative: bool, connection_errors: ConnectionErrors) -> Self {
        let (pending, statistics, closing) = (Mutex::default(), Mutex::default(), AtomicBool::new(false));
        Self { stage, cooperative, pending, made: Instant::now(), statistics, closing, connection_errors }
    }

    /// The oldest rebalance that was not done yet.
    pub(super) fn front(&self) -> Option<Rebalance> {
        lock(&self.pending).front().cloned()
    }

    pub(super) fn pop(&self) {
        lock(&self.pending).pop_front();
    }

    /// From now on rebalances are answered at once, those that were noted before them: nobody does what they ask for any more.
    pub(super) fn close(&self, consumer: &BaseConsumer<Self>) {
        self.closing.store(true, Ordering::Relaxed);
        for noted in std::mem::take(&mut *lock(&self.pending)) {
            let (assign, places) = match noted {
                Rebalance::Assign(places) => (true, places),
                Rebalance::Revoke(places) => (false, places),
            };
            let mut list = TopicPartitionList::new();
            for (name, number) in &places {
                list.add_partition(name, *number);
            }
            self.answer(consumer, assign, &list);
        }
    }

    /// Tells the client that what a rebalance asks for is done. A client whose part in the group has ended answers no more, and whoever
    /// asks it then waits for ever: the last rebalance of a client that is closed may come behind that.
    fn answer(&self, consumer: &BaseConsumer<Self>, assign: bool, partitions: &TopicPartitionList) {
        if consumer.closed() {
            return;
        }
        let answered = if assign { self.assign(consumer, partitions) } else { self.unassign(consumer, partitions) };
        if let Err(error) = answered {
            tracing::debug!(stage = self.stage, %error, "the client is about to be gone: nothing else can be done about it");
        }
    }

    /// Takes partitions over that the group gives.
    pub(super) fn assign(&self, consumer: &BaseConsumer<Self>, partitions: &TopicPartitionList) -> KafkaResult<()> {
        if self.cooperative { consumer.incremental_assign(partitions) } else { consumer.assign(partitions) }
    }

    /// Gives partitions back that the group takes.
    pub(super) fn unassign(&self, consumer: &BaseConsumer<Self>, partitions: &TopicPartitionList) -> KafkaResult<()> {
        if self.cooperative { consumer.incremental_unassign(partitions) } else { consumer.unassign() }
    }

    /// Takes the latest statistics.
    pub(super) fn take_statistics(&self) -> Option<Noted> {
        lock(&self.statistics).take()
    }
}

/// Statistics of a client.
pub(super) struct Noted {
    pub statistics: Statistics,
    /// When they were taken, or a little earlier: they may have waited for somebody who polls.
    pub taken: Instant,
}

impl ClientContext for ConsumerEvents {
    fn log(&self, level: RDKafkaLogLevel, fac: &str, message: &str) {
        self.connection_errors.log(level, fac, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "Kafka consumer");
    }

    fn stats(&self, statistics: Statistics) {
        let age = Duration::from_micros(u64::try_from(statistics.age).unwrap_or(0));
        *lock(&self.statistics) = Some(Noted { statistics, taken: self.made + age });
    }
}

impl ConsumerContext for ConsumerEvents {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, what: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        let assign = what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        if self.closing.load(Ordering::Relaxed) {
            return self.answer(consumer, assign, partitions);
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

/// A panic of another holder leaves nothing half-done in what is locked here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
