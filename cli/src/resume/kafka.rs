//! Kafka: records and checkpoint are one transaction. The checkpoint is the metadata of an offset that the transaction commits for a separate
//! group. Nobody joins that group, and the brokers delete it days later (`offsets.retention.minutes`).

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerGroupMetadata};
use rdkafka::error::KafkaError;
use rdkafka::producer::{Producer, ThreadedProducer};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use tributary_pipeline::settings::Settings;
use tributary_runtime::kafka::{ConnectionErrors, group_name};
use tributary_runtime::topic::Topic;

use super::{CheckpointSink, Work};
use crate::sink::{self, Deliveries, SinkError};
use crate::source;

/// Most records and bytes of a transaction, approximately, and the longest time that it is open: readers of committed records wait for its
/// end.
const RECORDS_MAX: usize = 20_000;
const BYTES_MAX: usize = 32 << 20;
const OPEN_MAX: Duration = Duration::from_secs(1);
/// After this time, the brokers abort the transaction of a producer that has gone, milliseconds.
const TRANSACTION_TIMEOUT_MS: &str = "30000";
/// Timeout of answers.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Pause between two checks of what is in flight.
const LOOK: Duration = Duration::from_micros(300);

/// A transactional producer for Kafka's raw topics, with a checkpoint.
pub struct KafkaCheckpoints {
    producer: ThreadedProducer<Deliveries>,
    names: Vec<(Topic, String)>,
    group: String,
    consumer: BaseConsumer<ConnectionErrors>,
    group_metadata: ConsumerGroupMetadata,
    /// Since when a transaction is open.
    open: Option<Instant>,
    records: usize,
    bytes: usize,
}

impl KafkaCheckpoints {
    /// A producer for the brokers in the settings. A transaction that an interrupted run has left open is aborted first.
    ///
    /// # Errors
    /// When the client refuses its configuration, or the brokers refuse the transaction.
    pub fn open(settings: &Settings, work: &Work) -> Result<Self, SinkError> {
        let short = work.id.get(..16).unwrap_or(&work.id);
        let group = group_name(&settings.kafka.group_prefix, &format!("sends-{short}"));
        let mut config = sink::producer_config(settings);
        config.set("transactional.id", &group).set("transaction.timeout.ms", TRANSACTION_TIMEOUT_MS);
        let producer: ThreadedProducer<Deliveries> =
            config.create_with_context(Deliveries::of(&config)).map_err(SinkError::Configure)?;
        producer.init_transactions(TIMEOUT).map_err(|error| refused(&producer, &group, &error))?;

        let mut config: ClientConfig = settings.kafka.properties().into_iter().collect();
        config.set("group.id", &group).set("enable.auto.commit", "false").set("isolation.level", "read_committed");
        let consumer: BaseConsumer<ConnectionErrors> =
            config.create_with_context(ConnectionErrors::of(&config)).map_err(SinkError::Configure)?;
        let none = || SinkError::Transaction { name: group.clone(), why: "the client has no group".into() };
        let group_metadata = consumer.group_metadata().ok_or_else(none)?;
        let names = sink::names(settings);
        Ok(Self { producer, names, group, consumer, group_metadata, open: None, records: 0, bytes: 0 })
    }

    fn failed(&self, error: &KafkaError) -> SinkError {
        refused(&self.producer, &self.group, error)
    }

    /// The partition whose offset metadata holds the checkpoint: one that always exists.
    fn place(&self) -> (&str, i32) {
        (self.name(Topic::Offline), 0)
    }

    fn name(&self, topic: Topic) -> &str {
        self.names.iter().find(|(known, _)| *known == topic).map_or("", |(_, name)| name.as_str())
    }

    fn begin(&mut self) -> Result<(), SinkError> {
        if self.open.is_none() {
            self.producer.begin_transaction().map_err(|error| self.failed(&error))?;
            self.open = Some(Instant::now());
        }
        Ok(())
    }

    /// Waits until everything is delivered, because committing would wait in slices of a tenth of a second.
    fn drain(&self) -> Result<(), SinkError> {
        let begun = Instant::now();
        while self.producer.in_flight_count() > 0 {
            self.producer.context().check()?;
            if begun.elapsed() > TIMEOUT {
                return Err(SinkError::Flush { why: "they did not answer".into() });
            }
            std::thread::sleep(LOOK);
        }
        self.producer.context().check()
    }
}

fn refused(producer: &ThreadedProducer<Deliveries>, group: &str, error: &KafkaError) -> SinkError {
    SinkError::Transaction { name: group.to_owned(), why: producer.context().explain(error) }
}

impl CheckpointSink for KafkaCheckpoints {
    fn last(&mut self) -> Result<Option<Vec<u8>>, SinkError> {
        let (topic, partition) = self.place();
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, partition);
        let found = source::offsets_of_group(&self.consumer, &list).map_err(|error| self.failed(&error))?;
        let element = found.find_partition(topic, partition);
        Ok(element.filter(|element| !element.metadata().is_empty()).map(|element| element.metadata().as_bytes().to_vec()))
    }

    fn send(&mut self, topic: Topic, value: &[u8], timestamp_ms: i64) -> Result<(), SinkError> {
        self.begin()?;
        sink::produce(&self.producer, self.name(topic), &[], Some(value), timestamp_ms)?;
        self.records += 1;
        self.bytes += value.len();
        Ok(())
    }

    fn is_due(&self) -> bool {
        let long = self.open.is_some_and(|since| since.elapsed() >= OPEN_MAX);
        long || self.records >= RECORDS_MAX || self.bytes >= BYTES_MAX
    }

    fn commit(&mut self, checkpoint: &[u8]) -> Result<(), SinkError> {
        self.begin()?;
        self.drain()?;
        let (topic, partition) = self.place();
        let mut list = TopicPartitionList::new();
        let failed = |error| self.failed(&error);
        list.add_partition_offset(topic, partition, Offset::Offset(0)).map_err(failed)?;
        if let Some(mut element) = list.find_partition(topic, partition) {
            element.set_metadata(String::from_utf8_lossy(checkpoint));
        }
        self.producer.send_offsets_to_transaction(&list, &self.group_metadata, TIMEOUT).map_err(failed)?;
        self.producer.commit_transaction(TIMEOUT).map_err(failed)?;
        (self.open, self.records, self.bytes) = (None, 0, 0);
        Ok(())
    }
}

impl Drop for KafkaCheckpoints {
    fn drop(&mut self) {
        if self.open.is_some() {
            // So that readers need not wait for the transaction's timeout. If it fails, they do.
            let _ = self.producer.abort_transaction(Duration::from_secs(5));
        }
    }
}
