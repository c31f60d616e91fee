//! An idempotent producer to Kafka's raw topics: a record is stored when all in-sync replicas have it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use tokio::sync::oneshot;
use tributary_runtime::config::kafka::KafkaSettings;
use tributary_runtime::config::settings::TopicsSettings;
use tributary_runtime::kafka::{ConnectionErrors, Reach};
use tributary_runtime::topic::Topic;

use super::Outcome;
use crate::budget::Room;
use crate::refusal::Refusal;
use crate::settings::Settings;

/// Timeout of requests for the topics' metadata.
const LOOK: Duration = Duration::from_secs(2);
/// The topics that the collector writes to.
pub(crate) const TOPICS: [Topic; 3] = [Topic::Sdk, Topic::Utm, Topic::Webhook];

/// Why Kafka cannot be written to.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// The producer refused its configuration.
    #[error("the collector's Kafka producer cannot be configured: {0}; see [kafka] in the configuration")]
    Configure(#[source] rdkafka::error::KafkaError),
    /// A topic does not exist.
    #[error("there is no topic {0}; `tributary topics plan` shows what is missing")]
    NoTopic(String),
    /// No broker answered.
    #[error("no broker answered: {0}; check kafka.brokers and [kafka.security]")]
    Unreachable(String),
}

/// Records of a request, in flight.
struct Sent {
    left: AtomicUsize,
    failed: AtomicBool,
    stored: Mutex<Option<oneshot::Sender<bool>>>,
    _room: Room,
}

impl Sent {
    fn delivered(&self, well: bool) {
        if !well {
            self.failed.store(true, Ordering::Relaxed);
        }
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1
            && let Some(stored) = self.stored.lock().unwrap_or_else(PoisonError::into_inner).take()
        {
            // The requester may be gone.
            let _ = stored.send(!self.failed.load(Ordering::Relaxed));
        }
    }
}

struct Deliveries {
    connection_errors: ConnectionErrors,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.connection_errors.log(level, facility, message);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Arc<Sent>;

    fn delivery(&self, result: &DeliveryResult<'_>, sent: Arc<Sent>) {
        if let Err((error, _)) = result {
            tracing::warn!(%error, "a record was not delivered");
        }
        sent.delivered(result.is_ok());
    }
}

/// See the module.
pub struct KafkaLog {
    producer: ThreadedProducer<Deliveries>,
    names: [(Topic, String); 3],
    record_bytes_max: usize,
    reach: Arc<Reach>,
}

impl KafkaLog {
    /// A producer for the brokers in the settings; `reach` knows whether they answer.
    ///
    /// # Errors
    /// When the client refuses its configuration.
    pub fn open(
        kafka: &KafkaSettings,
        topics: &TopicsSettings,
        collector: &Settings,
        reach: Arc<Reach>,
    ) -> Result<Self, KafkaError> {
        let mut config: ClientConfig = kafka.properties().into_iter().collect();
        // Idempotence implies acknowledgement by all in-sync replicas.
        config.set("enable.idempotence", "true").set("partitioner", "murmur2_random");
        config.set("allow.auto.create.topics", "false");
        config.set("message.max.bytes", topics.record_bytes_max.to_string());
        // A record is retried only as long as its request waits.
        config.set("message.timeout.ms", collector.ack_ms.to_string());
        // More than the collector's own limit, which therefore applies first.
        let queue_kb = (u64::from(collector.queue_mb) * 2 * 1_024).min(2_097_151).to_string();
        let defaults = [
            ("linger.ms", "2"),
            ("compression.type", "zstd"),
            ("queue.buffering.max.messages", "1000000"),
            ("queue.buffering.max.kbytes", queue_kb.as_str()),
        ];
        for (key, value) in defaults {
            if !kafka.client.contains_key(key) {
                config.set(key, value);
            }
        }
        let deliveries = Deliveries { connection_errors: ConnectionErrors::of(&config) };
        let producer = config.create_with_context(deliveries).map_err(KafkaError::Configure)?;
        let names = TOPICS.map(|topic| (topic, topics.name(topic)));
        Ok(Self { producer, names, record_bytes_max: topics.record_bytes_max as usize, reach })
    }

    /// Gives records to the producer. Those given before an error stay there.
    pub(super) fn send(&self, topic: Topic, records: &[String], now_ms: i64, room: Room) -> Result<Outcome, Refusal> {
        let name = self.names.iter().find(|(known, _)| *known == topic).map_or("", |(_, name)| name.as_str());
        let (stored, outcome) = oneshot::channel();
        let sent = Arc::new(Sent {
            left: AtomicUsize::new(records.len()),
            failed: AtomicBool::new(false),
            stored: Mutex::new(Some(stored)),
            _room: room,
        });
        for value in records {
            let record = BaseRecord::<'_, [u8], [u8], _>::with_opaque_to(name, sent.clone());
            if let Err((error, _)) = self.producer.send(record.payload(value.as_bytes()).timestamp(now_ms)) {
                return Err(match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::QueueFull) => Refusal::Busy,
                    Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
                        Refusal::TooLarge { what: "bytes of a message", max: self.record_bytes_max }
                    }
                    _ => {
                        tracing::warn!(%error, "a record was refused by the Kafka client");
                        Refusal::LogAway
                    }
                });
            }
        }
        Ok(outcome)
    }

    /// Checks that the brokers answer and the topics exist.
    pub(super) fn look(&self) -> Result<(), KafkaError> {
        // Avoids a timeout while the brokers are away.
        if !self.reach.answers() {
            return Err(KafkaError::Unreachable("none can be reached".to_owned()));
        }
        for (_, name) in &self.names {
            let found = self.producer.client().fetch_metadata(Some(name), LOOK);
            let metadata =
                found.map_err(|error| KafkaError::Unreachable(self.producer.context().connection_errors.explain(&error)))?;
            let exists = |topic: &rdkafka::metadata::MetadataTopic| topic.error().is_none() && !topic.partitions().is_empty();
            if !metadata.topics().first().is_some_and(exists) {
                return Err(KafkaError::NoTopic(name.clone()));
            }
        }
        Ok(())
    }

    pub(super) fn flush(&self, wait: Duration) {
        if let Err(error) = self.producer.flush(wait) {
            tracing::warn!(%error, "not everything was delivered");
        }
    }
}
