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

/// The callback of a rebalance.
#[derive(Debug, Clone)]
pub(super) enum Rebalance {
    /// These partitions are assigned.
    Assign(Vec<(String, i32)>),
    /// These partitions are revoked.
    Revoke(Vec<(String, i32)>),
}

/// Events of the consumer of the inputs.
pub(super) struct ConsumerEvents {
    stage: &'static str,
    /// Whether rebalances are incremental: see [`KafkaOptions::is_cooperative`](super::options::KafkaOptions::is_cooperative).
    cooperative: bool,
    pending: Mutex<VecDeque<Rebalance>>,
    /// When this was created; the client follows right after.
    made: Instant,
    statistics: Mutex<Option<Noted>>,
    closing: AtomicBool,
    /// The connection errors of the client.
    pub(super) connection_errors: ConnectionErrors,
}

impl ConsumerEvents {
    pub(super) fn new(stage: &'static str, cooperative: bool, connection_errors: ConnectionErrors) -> Self {
        let (pending, statistics, closing) = (Mutex::default(), Mutex::default(), AtomicBool::new(false));
        Self { stage, cooperative, pending, made: Instant::now(), statistics, closing, connection_errors }
    }

    /// The oldest rebalance that is not done yet.
    pub(super) fn front(&self) -> Option<Rebalance> {
        lock(&self.pending).front().cloned()
    }

    pub(super) fn pop(&self) {
        lock(&self.pending).pop_front();
    }

    /// From now on, rebalances are answered at once, including those waiting: nobody will carry them out any more.
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

    /// Answers the client that a rebalance is done. A client whose membership has ended never returns from that call. So the last rebalance
    /// of a client that is being closed, which may arrive after the end of its membership, is not answered.
    fn answer(&self, consumer: &BaseConsumer<Self>, assign: bool, partitions: &TopicPartitionList) {
        if consumer.closed() {
            return;
        }
        let answered = if assign { self.assign(consumer, partitions) } else { self.unassign(consumer, partitions) };
        if let Err(error) = answered {
            tracing::debug!(stage = self.stage, %error, "the client is closing, so this has no effect");
        }
    }

    /// Assigns partitions from the group.
    pub(super) fn assign(&self, consumer: &BaseConsumer<Self>, partitions: &TopicPartitionList) -> KafkaResult<()> {
        if self.cooperative { consumer.incremental_assign(partitions) } else { consumer.assign(partitions) }
    }

    /// Unassigns partitions that the group revokes.
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
    /// When they were taken, or a little earlier: they may have waited for a poll.
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

/// Events of the consumer of the changelog.
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

/// Deliveries in the current transaction.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    /// By partition of the changelog, the offset after the last record.
    pub changelog: BTreeMap<u32, u64>,
    /// The first record whose delivery failed: its topic and the error.
    pub failed: Option<(String, KafkaError)>,
    /// Whether a connection was lost.
    pub connection_lost: bool,
}

/// The tag of a record's delivery report: 0, or for a changelog record its partition plus 1.
pub(super) type Tag = usize;

/// Events of the producer.
#[derive(Default)]
pub(super) struct ProducerEvents {
    delivered: Mutex<Delivered>,
}

impl ProducerEvents {
    /// Takes the deliveries since the last call.
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
                // Records after a failed one are purged: the error of the first one counts.
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

/// A panic while the lock was held cannot leave inconsistent data here.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
