//! Stopped partitions of single inputs, and their accepted positions.
//!
//! `tributary dead-letters accept` commits the offset below which records of a partition may be refused, in the name of a group that nobody
//! joins ([`accepted_group`]). So it survives processes, can be given on any machine, and is seen by every owner of the partition.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::Offset;

use super::KafkaSession;
use crate::exactly_once::Phase;
use crate::kafka::context::RestorerEvents;
use crate::kafka::options::accepted_group;
use crate::log::LogError;
use crate::topic::Topic;

/// How often accepted offsets are read, and the timeout of the request.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const LOOK: Duration = Duration::from_secs(1);

/// Reads which refused records were accepted.
#[derive(Default)]
pub(in crate::kafka) struct Accepted {
    /// Created when first needed.
    asker: Option<BaseConsumer<RestorerEvents>>,
    asked: BTreeMap<(Topic, u32), Instant>,
    /// Whether it was logged that they cannot be read.
    said: bool,
}

impl KafkaSession {
    /// Drops the producer, too: nothing is read until the session has recovered from the committed offsets and paused the stopped
    /// partitions.
    pub(in crate::kafka) fn stop_place(&mut self, topic: Topic, partition: u32) {
        self.owned.stop(topic, partition);
        self.producer = None;
    }

    /// Whether a partition of one input is owned and stopped.
    pub(in crate::kafka) fn stands_still(&self, topic: Topic, partition: u32) -> bool {
        self.places.contains(&(topic, partition)) && self.owned.is_stopped(topic, partition)
    }

    /// Pauses those inputs of these partitions that are stopped.
    pub(in crate::kafka) fn pause_stopped(&self, partitions: impl IntoIterator<Item = u32>) -> Result<(), LogError> {
        let mut list = TopicPartitionList::new();
        for partition in partitions {
            for (_, name) in self.inputs.iter().filter(|(topic, _)| self.stands_still(*topic, partition)) {
                list.add_partition(name, number(partition));
            }
        }
        if list.count() == 0 {
            return Ok(());
        }
        self.consumer()?.pause(&list).map_err(|error| LogError::recover("stopping a partition", error))
    }

    pub(in crate::kafka) fn resume_place(&mut self, topic: Topic, partition: u32) -> Result<(), LogError> {
        const OPERATION: &str = "resuming a partition";
        let read =
            self.owned.get(partition).filter(|owned| owned.phase == Phase::Ready && self.places.contains(&(topic, partition)));
        if let Some(owned) = read {
            let next = owned.committed.next.get(&topic).and_then(|next| i64::try_from(*next).ok());
            let offset = next.map_or(Offset::Beginning, Offset::Offset);
            let mut list = TopicPartitionList::new();
            list.add_partition_offset(self.options.topics.of(topic), number(partition), offset)
                .map_err(|error| LogError::recover(OPERATION, error))?;
            self.seek(list.clone())?;
            self.consumer()?.resume(&list).map_err(|error| LogError::recover(OPERATION, error))?;
        }
        // Only now: it stays stopped until the client reads it again.
        self.owned.resume(topic, partition);
        self.accepted.asked.remove(&(topic, partition));
        Ok(())
    }

    /// The accepted offset of a partition, if it is time to read it.
    pub(in crate::kafka) fn look_accepted(&mut self, topic: Topic, partition: u32) -> Option<u64> {
        let asked = self.accepted.asked.get(&(topic, partition));
        if asked.is_some_and(|asked| asked.elapsed() < LOOK_EVERY) {
            return None;
        }
        self.accepted.asked.insert((topic, partition), Instant::now());
        match self.ask_accepted(topic, partition) {
            Ok(until) => {
                self.accepted.said = false;
                until
            }
            Err(error) => {
                if !std::mem::replace(&mut self.accepted.said, true) {
                    let group = accepted_group(&self.options.group_prefix);
                    let stage = self.log.stage;
                    tracing::warn!(stage, %error, group, "accepted offsets cannot be read: this login needs Read on the group");
                }
                None
            }
        }
    }

    fn ask_accepted(&mut self, topic: Topic, partition: u32) -> Result<Option<u64>, KafkaError> {
        if self.accepted.asker.is_none() {
            let refused = |error: crate::kafka::options::RefusedSetting| KafkaError::Subscription(error.to_string());
            let mut config = self.options.restorer(&self.log).map_err(refused)?;
            config.set("group.id", accepted_group(&self.options.group_prefix));
            self.accepted.asker = Some(config.create_with_context(RestorerEvents)?);
        }
        let Some(asker) = &self.accepted.asker else { return Ok(None) };
        let mut list = TopicPartitionList::new();
        list.add_partition(self.options.topics.of(topic), number(partition));
        let answer = asker.committed_offsets(list, LOOK)?;
        let element = answer.elements().into_iter().next();
        element.map_or(Ok(None), |element| {
            element.error()?;
            Ok(match element.offset() {
                Offset::Offset(until) => u64::try_from(until).ok(),
                _ => None,
            })
        })
    }
}

fn number(partition: u32) -> i32 {
    i32::try_from(partition).unwrap_or(i32::MAX)
}
