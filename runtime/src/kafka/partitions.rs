//! The number of partitions. Keys are spread over it, so that it must not change under a state.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::metadata::MetadataTopic;
use rdkafka::types::RDKafkaRespErr;

use super::complaints::explain;
use super::session::{ASK, KafkaSession};
use crate::log::LogError;
use crate::topic::Topic;

const LOOKING_UP: &str = "looking up a topic";
/// How long a broker may take to hear of a topic that was created.
const APPEARS: Duration = Duration::from_secs(5);
/// How often the numbers are looked at again.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Longest wait for one of them: what cannot be seen now is looked at the next time.
const LOOK: Duration = Duration::from_secs(1);
/// What a committed offset says besides, in its metadata: over how many partitions the keys of the state behind it are spread.
const SPREAD: &str = "partitions=";

impl KafkaSession {
    /// All inputs, and the changelog, have the same partitions.
    pub(super) fn check_topics(&mut self) -> Result<(), LogError> {
        let topics: Vec<Topic> = self.log.inputs.iter().copied().chain(self.log.changelog).collect();
        let mut first = None;
        for topic in topics {
            let count = self.count(topic)?;
            let (other, expected) = *first.get_or_insert((topic, count));
            if count != expected {
                let (name, other) = (self.options.topics.of(topic), self.options.topics.of(other));
                return Err(LogError::stop(
                    "opening the log",
                    format!("topic {name} has {count} partitions, {other} has {expected}; they must have the same number"),
                ));
            }
        }
        Ok(())
    }

    /// The number of partitions of a topic, as it was when it was first asked for. One that was only just created is waited for.
    pub(super) fn count(&mut self, topic: Topic) -> Result<u32, LogError> {
        if let Some(count) = self.counts.get(&topic) {
            return Ok(*count);
        }
        let begun = Instant::now();
        let count = loop {
            match self.look_up(topic)? {
                Some(count) => break count,
                None if begun.elapsed() > APPEARS => {
                    let why = format!(
                        "topic {} does not exist or may not be described; `tributary topics create` makes what is missing",
                        self.options.topics.of(topic)
                    );
                    return Err(LogError::stop(LOOKING_UP, why));
                }
                None => std::thread::sleep(Duration::from_millis(200)),
            }
        };
        self.counts.insert(topic, count);
        Ok(count)
    }

    fn look_up(&self, topic: Topic) -> Result<Option<u32>, LogError> {
        let name = self.options.topics.of(topic);
        let consumer = self.consumer()?;
        let metadata = consumer.fetch_metadata(Some(name), ASK).map_err(|error| {
            let why = explain(consumer, &consumer.context().complaints, &error);
            LogError::recover(LOOKING_UP, format!("no broker of {} answered about topic {name}: {why}", self.options.brokers))
        })?;
        let found = metadata.topics().iter().find(|found| found.name() == name);
        if found.and_then(|found| found.error()) == Some(RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED) {
            let why =
                format!("this login may not describe topic {name}: grant it Describe and Read, and Write where it writes");
            return Err(LogError::stop(LOOKING_UP, why));
        }
        Ok(found.and_then(count_of))
    }

    /// The partitions of an assignment: each of every input, none beyond the number that keys are spread over.
    pub(super) fn whole_partitions(&self, places: &[(String, i32)]) -> Result<BTreeSet<u32>, LogError> {
        const OPERATION: &str = "taking over partitions";
        let partitions: BTreeSet<u32> = places.iter().filter_map(|(_, number)| u32::try_from(*number).ok()).collect();
        if partitions.len() * self.inputs.len() != places.len() {
            let why = "the group gave us a partition of one input without the same of the others; all members must read the same topics";
            return Err(LogError::stop(OPERATION, why));
        }
        let count = self.inputs.first().and_then(|(topic, _)| self.counts.get(topic)).copied().unwrap_or(0);
        match partitions.last() {
            Some(last) if *last >= count => {
                Err(changed(OPERATION, self.inputs.first().map_or("", |(_, name)| name), count, *last + 1))
            }
            _ => Ok(partitions),
        }
    }

    /// The metadata of an offset to be committed.
    pub(super) fn spread(&self) -> Option<String> {
        let count = self.log.changelog.and_then(|changelog| self.counts.get(&changelog))?;
        Some(format!("{SPREAD}{count}"))
    }

    /// Whether the state behind a committed offset is spread over as many partitions as there are. Offsets that a tool has set do not say.
    pub(super) fn check_spread(&self, metadata: &str) -> Result<(), LogError> {
        let spread = metadata.strip_prefix(SPREAD).and_then(|count| count.parse().ok());
        let changelog = self.log.changelog.and_then(|changelog| Some((changelog, *self.counts.get(&changelog)?)));
        match (spread, changelog) {
            (Some(spread), Some((changelog, count))) if spread != count => {
                Err(changed("taking over partitions", self.options.topics.of(changelog), spread, count))
            }
            _ => Ok(()),
        }
    }

    /// Looks from time to time whether somebody has changed a number.
    pub(super) fn watch_counts(&mut self) -> Result<(), LogError> {
        if self.counted.elapsed() < LOOK_EVERY {
            return Ok(());
        }
        self.counted = Instant::now();
        for (topic, known) in &self.counts {
            let name = self.options.topics.of(*topic);
            let Ok(metadata) = self.consumer()?.fetch_metadata(Some(name), LOOK) else { break };
            match metadata.topics().iter().find(|found| found.name() == name).and_then(count_of) {
                Some(count) if count != *known => return Err(changed("reading", name, *known, count)),
                _ => {}
            }
        }
        Ok(())
    }
}

/// `None`: the broker does not know the topic.
fn count_of(topic: &MetadataTopic) -> Option<u32> {
    let count = if topic.error().is_none() { topic.partitions().len() } else { 0 };
    u32::try_from(count).ok().filter(|count| *count > 0)
}

fn changed(operation: &'static str, name: &str, was: u32, is: u32) -> LogError {
    let why = format!(
        "topic {name} had {was} partitions and has {is}: keys are spread over a fixed number. Give the topics their former number, or \
         move to the new one as the README says under \"Changing the number of partitions\""
    );
    LogError::stop(operation, why)
}
