//! Reads records for people and programs: from a Kafka topic, or from the embedded log.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use anyhow::Context;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::Metadata;
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};
use tributary_pipeline::settings::Settings;
use tributary_runtime::embedded::EmbeddedLog;
use tributary_runtime::kafka::{ConnectionErrors, explain, group_name};
use tributary_runtime::log::StageLog;
use tributary_runtime::topic::Topic;

/// How long one read waits.
pub(crate) const WAIT: Duration = Duration::from_millis(200);
/// Timeout of requests for metadata.
pub(crate) const METADATA_TIMEOUT: Duration = Duration::from_secs(10);

/// Why a topic cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The consumer refused its configuration.
    #[error("the Kafka consumer cannot be configured: {0}; see [kafka] in the configuration")]
    Configure(#[source] KafkaError),
    /// The topic does not exist.
    #[error("there is no topic {0}; `tributary topics plan` shows what is missing")]
    NoTopic(String),
    /// No broker answered.
    #[error("no broker answered about topic {topic}: {why}; check kafka.brokers and [kafka.security]")]
    Unreachable {
        /// The topic's name.
        topic: String,
        /// The error of the client.
        why: String,
    },
    /// Reading failed.
    #[error("topic {topic}: {source}")]
    Read {
        /// The topic's name.
        topic: String,
        /// The error of the client.
        source: KafkaError,
    },
    /// The embedded log failed.
    #[error("{0}")]
    Embedded(String),
}

/// A record that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its partition.
    pub partition: u32,
    /// Its offset.
    pub offset: u64,
    /// Its timestamp, milliseconds since 1970-01-01 UTC; 0 if it has none.
    pub timestamp_ms: i64,
    /// Its key; empty if it has none.
    pub key: Vec<u8>,
    /// Its value; `None` for a tombstone.
    pub value: Option<Vec<u8>>,
}

/// The result of a read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// A record.
    Record(Found),
    /// Nothing yet.
    Idle,
    /// Nothing; every partition was read to its end.
    End,
}

/// Reads a topic without changing any consumer group: committed records only.
///
/// ```
/// use std::time::Duration;
/// use tributary_cli::source::{Next, SourceError, TopicReader};
///
/// /// A topic without records.
/// struct Empty;
///
/// impl TopicReader for Empty {
///     fn next(&mut self, _: Duration) -> Result<Next, SourceError> {
///         Ok(Next::End)
///     }
/// }
///
/// assert_eq!(Empty.next(Duration::ZERO)?, Next::End);
/// # Ok::<(), SourceError>(())
/// ```
pub trait TopicReader {
    /// Waits up to `wait` for a record.
    ///
    /// # Errors
    /// When reading fails.
    fn next(&mut self, wait: Duration) -> Result<Next, SourceError>;
}

/// A consumer without a group, which commits nothing.
pub(crate) fn outsider(
    settings: &Settings,
    isolation: &str,
    reset: &str,
) -> Result<BaseConsumer<ConnectionErrors>, SourceError> {
    let mut config: ClientConfig = settings.kafka.properties().into_iter().collect();
    // The client requires a group id even if no group is joined.
    config.set("group.id", format!("{}-outside", settings.kafka.group_prefix));
    config.set("enable.auto.commit", "false").set("enable.partition.eof", "true").set("allow.auto.create.topics", "false");
    config.set("isolation.level", isolation).set("auto.offset.reset", reset);
    config.create_with_context(ConnectionErrors::of(&config)).map_err(SourceError::Configure)
}

/// Opens a topic at its first record, or after its last.
///
/// # Errors
/// When it cannot be opened.
pub fn open(settings: &Settings, topic: Topic, from_beginning: bool) -> Result<Box<dyn TopicReader>, SourceError> {
    if settings.kafka.is_embedded() {
        let path = settings.state.folder_of_log();
        let log = EmbeddedLog::open_read_only(&path).map_err(|error| SourceError::Embedded(error.to_string()))?;
        return Ok(Box::new(EmbeddedReader::new(log, topic, from_beginning)));
    }
    Ok(Box::new(KafkaReader::open(settings, topic, from_beginning)?))
}

/// Opens a topic at its first record, to be read to its current end. Of a transaction, a partition gives all records or none.
///
/// # Errors
/// When it cannot be opened.
pub fn open_whole(settings: &Settings, topic: Topic) -> Result<Box<dyn TopicReader>, SourceError> {
    if settings.kafka.is_embedded() {
        return open(settings, topic, true);
    }
    Ok(Box::new(KafkaReader::open(settings, topic, true)?.to_where_it_ends_now()?))
}

/// Calls `hear` with every record now in a topic, and none that is written meanwhile.
///
/// # Errors
/// When it cannot be read; errors of `hear`.
pub fn each(settings: &Settings, topic: Topic, hear: &mut dyn FnMut(Found) -> anyhow::Result<()>) -> anyhow::Result<()> {
    read_whole(&mut *open_whole(settings, topic)?, topic, hear)
}

/// Calls `hear` with every record of a topic opened with [`open_whole`].
///
/// # Errors
/// When it cannot be read; errors of `hear`.
pub fn read_whole(
    reader: &mut dyn TopicReader,
    topic: Topic,
    hear: &mut dyn FnMut(Found) -> anyhow::Result<()>,
) -> anyhow::Result<()> {
    loop {
        match reader.next(WAIT)? {
            Next::Record(found) => {
                let (partition, offset) = (found.partition, found.offset);
                hear(found).with_context(|| format!("topic {}, partition {partition}, offset {offset}", topic.name()))?;
            }
            Next::Idle => {}
            Next::End => return Ok(()),
        }
    }
}

/// By input topic and partition of a stage, the offset of the next record it will read. Partitions of which it has read nothing may be
/// missing.
///
/// # Errors
/// When the log does not answer.
pub fn committed(settings: &Settings, stage: StageLog) -> anyhow::Result<BTreeMap<(Topic, u32), u64>> {
    if settings.kafka.is_embedded() {
        return committed_of_log(&EmbeddedLog::open_read_only(&settings.state.folder_of_log())?, &stage);
    }
    let mut committed = BTreeMap::new();
    let mut config: ClientConfig = settings.kafka.properties().into_iter().collect();
    config.set("group.id", group_name(&settings.kafka.group_prefix, stage.stage));
    let consumer = config.create_with_context(ConnectionErrors::of(&config)).map_err(SourceError::Configure)?;
    for topic in stage.inputs {
        let name = settings.topics.name(*topic);
        let read = |source| SourceError::Read { topic: name.clone(), source };
        let metadata = ask(&consumer, &name)?;
        let mut list = TopicPartitionList::new();
        for partition in metadata.topics().iter().flat_map(|found| found.partitions()) {
            list.add_partition(&name, partition.id());
        }
        for element in offsets_of_group(&consumer, &list).map_err(read)?.elements() {
            if let (Offset::Offset(next), Ok(at)) = (element.offset(), u32::try_from(element.partition())) {
                committed.insert((*topic, at), u64::try_from(next).unwrap_or(0));
            }
        }
    }
    Ok(committed)
}

/// The committed offsets of a group. Retries while its coordinator is unknown or moving.
pub(crate) fn offsets_of_group(
    consumer: &BaseConsumer<ConnectionErrors>,
    list: &TopicPartitionList,
) -> Result<TopicPartitionList, KafkaError> {
    use RDKafkaErrorCode::{CoordinatorLoadInProgress, CoordinatorNotAvailable, NotCoordinator};
    let begun = Instant::now();
    loop {
        let answer = consumer.committed_offsets(list.clone(), METADATA_TIMEOUT);
        let code = answer.as_ref().err().and_then(KafkaError::rdkafka_error_code);
        match code {
            Some(NotCoordinator | CoordinatorNotAvailable | CoordinatorLoadInProgress)
                if begun.elapsed() < METADATA_TIMEOUT =>
            {
                std::thread::sleep(WAIT);
            }
            _ => return answer,
        }
    }
}

/// [`committed`] for an embedded log.
///
/// # Errors
/// When it cannot be read.
pub fn committed_of_log(log: &EmbeddedLog, stage: &StageLog) -> anyhow::Result<BTreeMap<(Topic, u32), u64>> {
    let mut committed = BTreeMap::new();
    for (topic, at) in stage.inputs.iter().flat_map(|topic| (0..log.partitions()).map(move |at| (*topic, at))) {
        committed.insert((topic, at), log.committed(stage, topic, at)?);
    }
    Ok(committed)
}

/// The partitions of topics on Kafka.
///
/// # Errors
/// When the brokers do not answer.
pub(crate) fn partitions(settings: &Settings, topics: &[Topic]) -> Result<Vec<(Topic, u32)>, SourceError> {
    let consumer = outsider(settings, "read_committed", "earliest")?;
    let mut found = Vec::new();
    for topic in topics {
        let metadata = ask(&consumer, &settings.topics.name(*topic))?;
        let partitions = metadata.topics().iter().flat_map(|found| found.partitions());
        found.extend(partitions.map(|partition| (*topic, partition.id().unsigned_abs())));
    }
    Ok(found)
}

pub(crate) fn ask(consumer: &BaseConsumer<ConnectionErrors>, topic: &str) -> Result<Metadata, SourceError> {
    consumer.fetch_metadata(Some(topic), METADATA_TIMEOUT).map_err(|error| SourceError::Unreachable {
        topic: topic.to_owned(),
        why: explain(consumer, consumer.context(), &error),
    })
}

/// A Kafka topic, all partitions, `read_committed`.
pub struct KafkaReader {
    consumer: BaseConsumer<ConnectionErrors>,
    topic: String,
    /// By partition, whether its end was reached.
    ended: Vec<bool>,
    /// By partition, the offset from which records are not read.
    until: Vec<i64>,
}

impl KafkaReader {
    /// Opens a topic at its first record, or after its last.
    ///
    /// # Errors
    /// When the brokers cannot be reached or the topic does not exist.
    pub fn open(settings: &Settings, topic: Topic, from_beginning: bool) -> Result<Self, SourceError> {
        Self::open_isolated(settings, topic, from_beginning, "read_committed")
    }

    /// Opens a topic at its first record, including uncommitted and aborted records.
    ///
    /// # Errors
    /// When the brokers cannot be reached or the topic does not exist.
    pub fn open_all(settings: &Settings, topic: Topic) -> Result<Self, SourceError> {
        Self::open_isolated(settings, topic, true, "read_uncommitted")
    }

    fn open_isolated(settings: &Settings, topic: Topic, from_beginning: bool, isolation: &str) -> Result<Self, SourceError> {
        let topic = settings.topics.name(topic);
        let read = |source| SourceError::Read { topic: topic.clone(), source };
        let consumer = outsider(settings, isolation, "error")?;
        let metadata = ask(&consumer, &topic)?;
        let found = metadata.topics().first().filter(|found| found.error().is_none() && !found.partitions().is_empty());
        let partitions = found.map_or(0, |found| found.partitions().len());
        if partitions == 0 {
            return Err(SourceError::NoTopic(topic));
        }
        let mut list = TopicPartitionList::new();
        let offset = if from_beginning { Offset::Beginning } else { Offset::End };
        for partition in 0..i32::try_from(partitions).unwrap_or(i32::MAX) {
            list.add_partition_offset(&topic, partition, offset).map_err(read)?;
        }
        consumer.assign(&list).map_err(read)?;
        Ok(Self { consumer, topic, ended: vec![false; partitions], until: vec![i64::MAX; partitions] })
    }

    /// Reads only up to the current end of committed records.
    ///
    /// # Errors
    /// When the brokers do not answer.
    pub fn to_where_it_ends_now(mut self) -> Result<Self, SourceError> {
        for (at, (until, ended)) in (0..).zip(self.until.iter_mut().zip(&mut self.ended)) {
            let watermarks = self.consumer.fetch_watermarks(&self.topic, at, METADATA_TIMEOUT);
            let (first, end) = watermarks.map_err(|source| SourceError::Read { topic: self.topic.clone(), source })?;
            (*until, *ended) = (end, first >= end);
        }
        Ok(self)
    }

    /// Whether a record is to be read; notes whether its partition is finished.
    fn admits(&mut self, partition: i32, offset: i64) -> bool {
        let until = usize::try_from(partition).ok().and_then(|at| self.until.get(at)).copied().unwrap_or(i64::MAX);
        self.mark(partition, offset >= until.saturating_sub(1));
        offset < until
    }

    fn mark(&mut self, partition: i32, ended: bool) {
        let slot = usize::try_from(partition).ok().and_then(|partition| self.ended.get_mut(partition));
        if let Some(slot) = slot {
            *slot = ended;
        }
    }
}

impl TopicReader for KafkaReader {
    fn next(&mut self, wait: Duration) -> Result<Next, SourceError> {
        let found = match self.consumer.poll(wait) {
            None => None,
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                self.mark(partition, true);
                None
            }
            Some(Err(source)) => return Err(SourceError::Read { topic: self.topic.clone(), source }),
            Some(Ok(message)) => Some((
                message.partition(),
                message.offset(),
                Found {
                    partition: u32::try_from(message.partition()).unwrap_or(0),
                    offset: u64::try_from(message.offset()).unwrap_or(0),
                    timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
                    key: message.key().unwrap_or_default().to_vec(),
                    value: message.payload().map(<[u8]>::to_vec),
                },
            )),
        };
        match found {
            Some((partition, offset, found)) if self.admits(partition, offset) => Ok(Next::Record(found)),
            _ if self.ended.iter().all(|ended| *ended) => Ok(Next::End),
            _ => Ok(Next::Idle),
        }
    }
}

/// Records per read from the embedded log.
const EMBEDDED_BATCH: usize = 1_000;

/// A topic of the embedded log as of the opening; another process may be writing to it.
pub struct EmbeddedReader {
    log: EmbeddedLog,
    topic: Topic,
    /// By partition, the offset of the next record.
    next: Vec<u64>,
    waiting: VecDeque<Found>,
}

impl EmbeddedReader {
    /// Opens a topic at its first record, or after its last.
    pub fn new(log: EmbeddedLog, topic: Topic, from_beginning: bool) -> Self {
        let start = |partition| if from_beginning { 0 } else { log.end(topic, partition) };
        let next = (0..log.partitions()).map(start).collect();
        Self { log, topic, next, waiting: VecDeque::new() }
    }
}

impl TopicReader for EmbeddedReader {
    fn next(&mut self, _: Duration) -> Result<Next, SourceError> {
        for (partition, next) in (0..).zip(&mut self.next) {
            if !self.waiting.is_empty() {
                break;
            }
            let records = self.log.read(self.topic, partition, *next, EMBEDDED_BATCH);
            for (offset, timestamp_ms, output) in records.map_err(|error| SourceError::Embedded(error.to_string()))? {
                *next = offset + 1;
                self.waiting.push_back(Found { partition, offset, timestamp_ms, key: output.key, value: output.value });
            }
        }
        Ok(self.waiting.pop_front().map_or(Next::End, Next::Record))
    }
}
