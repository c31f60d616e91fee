//! The destination of raw records: Kafka's raw topics, or the embedded log.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use tributary_pipeline::settings::Settings;
use tributary_pipeline::time::now_ms;
use tributary_runtime::embedded::EmbeddedLog;
use tributary_runtime::kafka::ConnectionErrors;
use tributary_runtime::stage::Output;
use tributary_runtime::topic::Topic;

use crate::state;

/// Longest wait for the brokers to store what was sent.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(60);
/// Pause between two attempts while the producer's queue is full.
const QUEUE_FULL_WAIT: Duration = Duration::from_millis(5);

/// Why raw records cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// The producer refused its configuration.
    #[error("the Kafka producer cannot be configured: {0}; see [kafka] in the configuration")]
    Configure(#[source] KafkaError),
    /// A record was refused.
    #[error("topic {topic}: a record was refused: {source}")]
    Refused {
        /// The topic's name.
        topic: String,
        /// The error of the client.
        source: KafkaError,
    },
    /// Records were accepted by the producer but not by the brokers.
    #[error("{count} records were not delivered; the first because: {first}")]
    Undelivered {
        /// Their number.
        count: u64,
        /// The error of the first.
        first: String,
    },
    /// The brokers did not store everything in time.
    #[error("the brokers did not take all records within {} s: {why}; check kafka.brokers and [kafka.security]", FLUSH_TIMEOUT.as_secs())]
    Flush {
        /// The error of the client.
        why: String,
    },
    /// A transaction failed, or its outcome is unknown.
    #[error(
        "the transaction {name} failed: {why}; the same command goes on where it was. It takes Write and Describe on this transactional id, \
         and Read on the group of the same name"
    )]
    Transaction {
        /// The transactional id, and the group's name.
        name: String,
        /// The error of the client.
        why: String,
    },
    /// The embedded log failed.
    #[error("{0}")]
    Embedded(String),
}

/// A target for raw records.
///
/// ```
/// use tributary_cli::sink::{RawSink, SinkError};
/// use tributary_runtime::topic::Topic;
///
/// /// Counts records instead of sending them.
/// #[derive(Default)]
/// struct Count(usize);
///
/// impl RawSink for Count {
///     fn send(&mut self, _: Topic, _: &[u8], _: &[u8], _: i64) -> Result<(), SinkError> { self.0 += 1; Ok(()) }
///     fn unpublish(&mut self, _: Topic, _: &[u8]) -> Result<(), SinkError> { self.0 += 1; Ok(()) }
///     fn flush(&mut self) -> Result<(), SinkError> { Ok(()) }
/// }
///
/// let mut sink = Count::default();
/// sink.send(Topic::Offline, b"", br#"{"kind": "touch"}"#, 0)?;
/// sink.flush()?;
/// assert_eq!(sink.0, 1);
/// # Ok::<(), SinkError>(())
/// ```
pub trait RawSink {
    /// Sends a record; waits if there is no space. An empty key means no key.
    ///
    /// # Errors
    /// When the record is refused, or an earlier one was not delivered.
    fn send(&mut self, topic: Topic, key: &[u8], value: &[u8], timestamp_ms: i64) -> Result<(), SinkError>;

    /// Writes a tombstone for a key of a compacted topic.
    ///
    /// # Errors
    /// As [`Self::send`].
    fn unpublish(&mut self, topic: Topic, key: &[u8]) -> Result<(), SinkError>;

    /// Waits until everything sent is stored.
    ///
    /// # Errors
    /// When something was not stored.
    fn flush(&mut self) -> Result<(), SinkError>;
}

/// Opens the sink that the settings choose.
///
/// # Errors
/// When it cannot be opened.
pub fn open(settings: &Settings) -> Result<Box<dyn RawSink>, SinkError> {
    if settings.kafka.is_embedded() {
        let log = state::open_embedded(settings).map_err(|error| SinkError::Embedded(error.to_string()))?;
        return Ok(Box::new(EmbeddedSink::new(log)));
    }
    Ok(Box::new(KafkaSink::open(settings)?))
}

/// Counts records that the brokers did not store.
#[derive(Default)]
pub(crate) struct Deliveries {
    failed: AtomicU64,
    first: Mutex<Option<String>>,
    connection_errors: ConnectionErrors,
}

impl Deliveries {
    pub fn of(config: &ClientConfig) -> Self {
        Self { connection_errors: ConnectionErrors::of(config), ..Self::default() }
    }

    /// An error, with the client's last connection error.
    pub fn explain(&self, error: &KafkaError) -> String {
        self.connection_errors.explain(error)
    }

    /// Whether everything was delivered so far.
    pub fn check(&self) -> Result<(), SinkError> {
        match self.failed.load(Ordering::Acquire) {
            0 => Ok(()),
            count => {
                let first = self.first.lock().ok().and_then(|first| first.clone()).unwrap_or_default();
                Err(SinkError::Undelivered { count, first })
            }
        }
    }
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        self.connection_errors.log(level, facility, message);
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            if let Ok(mut first) = self.first.lock() {
                first.get_or_insert_with(|| error.to_string());
            }
            self.failed.fetch_add(1, Ordering::Release);
        }
    }
}

/// An idempotent producer for Kafka's raw topics, without transactions.
pub struct KafkaSink {
    producer: ThreadedProducer<Deliveries>,
    names: Vec<(Topic, String)>,
}

impl KafkaSink {
    /// A producer for the brokers in the settings.
    ///
    /// # Errors
    /// When the client refuses its configuration.
    pub fn open(settings: &Settings) -> Result<Self, SinkError> {
        let config = producer_config(settings);
        let producer = config.create_with_context(Deliveries::of(&config)).map_err(SinkError::Configure)?;
        Ok(Self { producer, names: names(settings) })
    }

    fn name(&self, topic: Topic) -> &str {
        self.names.iter().find(|(known, _)| *known == topic).map_or("", |(_, name)| name.as_str())
    }
}

/// The properties of every producer of raw records.
pub(crate) fn producer_config(settings: &Settings) -> ClientConfig {
    let mut config: ClientConfig = settings.kafka.properties().into_iter().collect();
    config.set("enable.idempotence", "true").set("partitioner", "murmur2_random");
    config.set("message.max.bytes", settings.topics.record_bytes_max.to_string());
    for (key, value) in [("linger.ms", "20"), ("compression.type", "zstd"), ("queue.buffering.max.messages", "200000")] {
        if !settings.kafka.client.contains_key(key) {
            config.set(key, value);
        }
    }
    config
}

/// The names of all topics.
pub(crate) fn names(settings: &Settings) -> Vec<(Topic, String)> {
    Topic::ALL.map(|topic| (topic, settings.topics.name(topic))).to_vec()
}

/// Gives a record to a producer; waits while its queue is full. An empty key means no key.
pub(crate) fn produce(
    producer: &ThreadedProducer<Deliveries>,
    name: &str,
    key: &[u8],
    value: Option<&[u8]>,
    timestamp_ms: i64,
) -> Result<(), SinkError> {
    loop {
        let mut record = BaseRecord::<[u8], [u8]>::to(name).timestamp(timestamp_ms);
        record = if key.is_empty() { record } else { record.key(key) };
        record = if let Some(value) = value { record.payload(value) } else { record };
        match producer.send(record) {
            Ok(()) => return producer.context().check(),
            Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), _)) => {
                producer.context().check()?;
                std::thread::sleep(QUEUE_FULL_WAIT);
            }
            Err((source, _)) => return Err(SinkError::Refused { topic: name.to_owned(), source }),
        }
    }
}

impl RawSink for KafkaSink {
    fn send(&mut self, topic: Topic, key: &[u8], value: &[u8], timestamp_ms: i64) -> Result<(), SinkError> {
        produce(&self.producer, self.name(topic), key, Some(value), timestamp_ms)
    }

    fn unpublish(&mut self, topic: Topic, key: &[u8]) -> Result<(), SinkError> {
        produce(&self.producer, self.name(topic), key, None, now_ms())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        let flushed = self.producer.flush(FLUSH_TIMEOUT);
        self.producer.context().check()?;
        flushed.map_err(|error| SinkError::Flush { why: self.producer.context().connection_errors.explain(&error) })
    }
}

/// Most records, and most bytes, per write to the embedded log.
pub(crate) const EMBEDDED_BATCH: usize = 1_000;
pub(crate) const EMBEDDED_BATCH_BYTES: usize = 8 << 20;

/// The raw topics of the embedded log.
pub struct EmbeddedSink {
    log: EmbeddedLog,
    waiting: Vec<(Output, i64)>,
    waiting_bytes: usize,
    /// Counts writes, so that records without a key go to the partitions in turn.
    writes: u32,
}

impl EmbeddedSink {
    /// Writes to this log.
    pub fn new(log: EmbeddedLog) -> Self {
        Self { log, waiting: Vec::with_capacity(EMBEDDED_BATCH), waiting_bytes: 0, writes: 0 }
    }
}

impl RawSink for EmbeddedSink {
    fn send(&mut self, topic: Topic, key: &[u8], value: &[u8], timestamp_ms: i64) -> Result<(), SinkError> {
        self.waiting.push((Output { topic, key: key.to_vec(), value: Some(value.to_vec()) }, timestamp_ms));
        self.waiting_bytes += value.len();
        if self.waiting.len() < EMBEDDED_BATCH && self.waiting_bytes < EMBEDDED_BATCH_BYTES { Ok(()) } else { self.flush() }
    }

    fn unpublish(&mut self, topic: Topic, key: &[u8]) -> Result<(), SinkError> {
        self.waiting.push((Output { topic, key: key.to_vec(), value: None }, now_ms()));
        Ok(())
    }

    fn flush(&mut self) -> Result<(), SinkError> {
        let records = std::mem::take(&mut self.waiting);
        self.waiting_bytes = 0;
        self.writes = self.writes.wrapping_add(1);
        self.log.append(records, self.writes).map_err(|error| SinkError::Embedded(error.to_string()))
    }
}
