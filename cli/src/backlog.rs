//! Whether stages have a backlog, seen from the outside: independent of who owns the partitions and of open transactions.

use std::collections::BTreeSet;
use std::time::Instant;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::{Offset, TopicPartitionList};
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::StageName;
use tributary_runtime::embedded::EmbeddedLog;
use tributary_runtime::kafka::ConnectionErrors;
use tributary_runtime::log::StageLog;
use tributary_runtime::topic::Topic;

use crate::source::{METADATA_TIMEOUT, SourceError, WAIT, ask, committed, outsider};

/// What is left to process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Left {
    /// Records in an input of this stage.
    #[error("{0} has records to read")]
    Records(&'static str),
    /// An open transaction that hides the records after its first.
    #[error("a transaction is open in {topic}/{partition}")]
    OpenTransaction {
        /// The topic.
        topic: &'static str,
        /// The partition.
        partition: u32,
    },
}

/// Partitions of inputs.
pub type Places = BTreeSet<(Topic, u32)>;

/// The first thing left to process for these stages on an embedded log; `None` if they have read everything except stopped partitions.
///
/// # Errors
/// When the log cannot be read.
pub fn left_embedded(log: &EmbeddedLog, stages: &[StageName], stopped: &Places) -> anyhow::Result<Option<Left>> {
    for stage in stages.iter().map(|stage| stage.log()) {
        for (topic, at) in stage.inputs.iter().flat_map(|topic| (0..log.partitions()).map(move |at| (*topic, at))) {
            if !stopped.contains(&(topic, at)) && log.committed(&stage, topic, at)? < log.end(topic, at) {
                return Ok(Some(Left::Records(stage.stage)));
            }
        }
    }
    Ok(None)
}

/// The same on Kafka.
///
/// # Errors
/// When the brokers do not answer.
pub fn left_kafka(settings: &Settings, stages: &[StageName], stopped: &Places) -> anyhow::Result<Option<Left>> {
    let clients = Clients::new(settings)?;
    for stage in stages {
        if let Some(left) = clients.left(settings, stage.log(), stopped)? {
            return Ok(Some(left));
        }
    }
    Ok(None)
}

/// Two consumers, because they see different ends of a partition.
struct Clients {
    /// Sees the last stable offset.
    committed: BaseConsumer<ConnectionErrors>,
    /// Sees the high watermark.
    all: BaseConsumer<ConnectionErrors>,
}

impl Clients {
    fn new(settings: &Settings) -> Result<Self, SourceError> {
        let consumer = |isolation| outsider(settings, isolation, "earliest");
        Ok(Self { committed: consumer("read_committed")?, all: consumer("read_uncommitted")? })
    }

    fn left(&self, settings: &Settings, stage: StageLog, stopped: &Places) -> anyhow::Result<Option<Left>> {
        let known = committed(settings, stage)?;
        let mut unread = TopicPartitionList::new();
        for topic in stage.inputs {
            let name = settings.topics.name(*topic);
            let read = |source| SourceError::Read { topic: name.clone(), source };
            for partition in ask(&self.all, &name)?.topics().iter().flat_map(|found| found.partitions()) {
                let (at, partition) = (partition.id(), u32::try_from(partition.id())?);
                if stopped.contains(&(*topic, partition)) {
                    continue;
                }
                let (first, end) = self.all.fetch_watermarks(&name, at, METADATA_TIMEOUT).map_err(read)?;
                let (_, stable) = self.committed.fetch_watermarks(&name, at, METADATA_TIMEOUT).map_err(read)?;
                if stable < end {
                    return Ok(Some(Left::OpenTransaction { topic: topic.name(), partition }));
                }
                let next = known.get(&(*topic, partition)).map_or(Ok(first), |next| i64::try_from(*next))?;
                if next < stable {
                    unread.add_partition_offset(&name, at, Offset::Offset(next)).map_err(read)?;
                }
            }
        }
        Ok(self.has_records(&unread)?.then_some(Left::Records(stage.stage)))
    }

    /// Transaction markers have offsets, too: whether there is a record shows only on reading. If a broker does not answer, it counts as a
    /// record.
    fn has_records(&self, unread: &TopicPartitionList) -> Result<bool, KafkaError> {
        let until = Instant::now() + METADATA_TIMEOUT;
        let mut partitions = unread.count();
        self.committed.assign(unread)?;
        while partitions > 0 {
            match self.committed.poll(WAIT) {
                Some(Err(KafkaError::PartitionEOF(_))) => partitions -= 1,
                Some(Err(error)) => return Err(error),
                Some(Ok(_)) => return Ok(true),
                None if Instant::now() > until => return Ok(true),
                None => {}
            }
        }
        Ok(false)
    }
}
