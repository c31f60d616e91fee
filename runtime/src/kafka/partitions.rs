//! The number of partitions. The keys of inboxes are distributed over it, so it must not change under a state; raw topics may grow.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::metadata::MetadataTopic;
use rdkafka::types::RDKafkaRespErr;

use super::ASK;
use super::connection_errors::explain;
use super::context::RestorerEvents;
use super::failure::{Remedy, remedy};
use super::session::KafkaSession;
use crate::exactly_once::Inputs;
use crate::log::LogError;
use crate::topic::{Role, Topic};
use crate::topics_plan::{Needed, needed, wrong_number};

const LOOKING_UP: &str = "looking up a topic";
/// How long a broker may take to know a topic that was just created.
const APPEARS: Duration = Duration::from_secs(5);
/// How often the numbers of partitions are checked again.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// Timeout of such a check; a number that is not available now is checked the next time.
const LOOK: Duration = Duration::from_secs(1);
/// Prefix of the metadata of a committed offset: the number of partitions over which the keys of the state are spread.
const SPREAD: &str = "partitions=";
/// What it says of a partition whose state it is: [`Inputs::direct`].
const DIRECT: &str = "direct=";

impl KafkaSession {
    /// Checks that every topic of the stage exists with a valid number of partitions, and that the group can be accessed.
    pub(super) fn check_topics(&mut self) -> Result<(), LogError> {
        let log = self.log;
        let used: BTreeSet<Topic> = log.inputs.iter().copied().chain(log.outputs()).chain(log.changelog).collect();
        for topic in &used {
            self.count(*topic)?;
        }
        self.check_group()?;
        // A writer to an inbox must spread keys over the same number of partitions as the state behind it.
        for (inbox, reader) in Topic::inboxes().filter(|(inbox, _)| used.contains(inbox)) {
            if let Some(spread) = self.ask_spread(inbox, reader)? {
                self.spread_over.insert(inbox, spread);
            }
        }
        used.into_iter().try_for_each(|topic| self.check_number("opening the log", topic))
    }

    /// Checks that this login may use the group, before it is joined.
    fn check_group(&self) -> Result<(), LogError> {
        let Some((_, input)) = self.inputs.first() else { return Ok(()) };
        match spread_of(self.consumer()?, input, 1, ASK).map_err(|error| (remedy(&error), error)) {
            Err((Remedy::Stop(advice), error)) => Err(LogError::stop("asking the group", format!("{error}: {advice}"))),
            _ => Ok(()),
        }
    }

    fn check_number(&self, operation: &'static str, topic: Topic) -> Result<(), LogError> {
        let count = |topic: Topic| self.counts.get(&topic).copied();
        let needed = needed(topic, count, |inbox| self.spread_over.get(&inbox).copied());
        match (needed, count(topic)) {
            (Some(needed), Some(count)) if !needed.is_met_by(count) => {
                Err(LogError::stop(operation, wrong_number(topic, self.options.topics.of(topic), needed, count)))
            }
            _ => Ok(()),
        }
    }

    /// The number of partitions over which the keys of an inbox are spread, from the committed offsets of the stage that reads it; `None`
    /// if nothing was read yet. For another stage's group it may be unknown.
    fn ask_spread(&self, inbox: Topic, reader: &str) -> Result<Option<u32>, LogError> {
        let (name, count) = (self.options.topics.of(inbox), self.counts.get(&inbox).copied().unwrap_or(0));
        if reader == self.log.stage {
            // If it is unknown now, it is checked when partitions are assigned.
            return Ok(spread_of(self.consumer()?, name, count, ASK).unwrap_or_default());
        }
        let mut config = self.options.restorer(&self.log).map_err(|error| LogError::stop(LOOKING_UP, error))?;
        config.set("group.id", self.options.group(reader));
        let asker: Result<BaseConsumer<RestorerEvents>, KafkaError> = config.create_with_context(RestorerEvents);
        Ok(asker.and_then(|asker| spread_of(&asker, name, count, ASK)).unwrap_or_else(|error| {
            tracing::debug!(stage = self.log.stage, %error, topic = name, "it is unknown over how many partitions its keys are spread");
            None
        }))
    }

    /// The number of partitions of a topic when it was first asked for. Waits for a topic that was just created.
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
            let why = explain(consumer, &consumer.context().connection_errors, &error);
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

    /// The partitions of an assignment. For a stage with state, none may be beyond the number that keys are spread over.
    pub(super) fn whole_partitions(&self, places: &[(String, i32)]) -> Result<BTreeSet<u32>, LogError> {
        const OPERATION: &str = "taking over partitions";
        let partitions: BTreeSet<u32> = places.iter().filter_map(|(_, number)| u32::try_from(*number).ok()).collect();
        if self.log.changelog.is_none() {
            return Ok(partitions);
        }
        if partitions.len() * self.inputs.len() != places.len() {
            let why = "the group gave us a partition of one input without the same of the others; all members must read the same topics";
            return Err(LogError::stop(OPERATION, why));
        }
        match (self.log.inputs.first(), partitions.last()) {
            (Some(inbox), Some(last)) if self.counts.get(inbox).is_some_and(|count| last >= count) => {
                Err(self.grown(OPERATION, *inbox, *last + 1))
            }
            _ => Ok(partitions),
        }
    }

    /// Stores which partitions of inputs the group has assigned or revoked.
    pub(super) fn note_places(&mut self, places: &[(String, i32)], given: bool) {
        for (name, number) in places {
            let topic = self.inputs.iter().find(|(_, known)| known == name).map(|(topic, _)| *topic);
            let (Some(topic), Ok(number)) = (topic, u32::try_from(*number)) else { continue };
            if given {
                self.places.insert((topic, number))
            } else {
                self.places.remove(&(topic, number))
            };
        }
    }

    /// What all offsets to be committed say.
    pub(super) fn spread(&self) -> Option<String> {
        let inbox = self.log.inputs.first().filter(|_| self.log.changelog.is_some())?;
        Some(format!("{SPREAD}{}", self.counts.get(inbox)?))
    }

    /// Checks that the state of a committed offset is spread over the current number of partitions. Offsets set by a tool have no such
    /// metadata.
    pub(super) fn check_spread(&mut self, metadata: &str) -> Result<(), LogError> {
        if let (Some(inbox), Some(spread)) =
            (self.log.inputs.first().filter(|_| self.log.changelog.is_some()), spread_in(metadata))
        {
            self.spread_over.insert(*inbox, spread);
            return self.check_number("taking over partitions", *inbox);
        }
        Ok(())
    }

    /// Checks from time to time whether a number of partitions has changed.
    pub(super) fn watch_counts(&mut self) -> Result<(), LogError> {
        if self.counted.elapsed() < LOOK_EVERY {
            return Ok(());
        }
        self.counted = Instant::now();
        for (topic, known) in self.counts.clone() {
            let name = self.options.topics.of(topic);
            let Ok(metadata) = self.consumer()?.fetch_metadata(Some(name), LOOK) else { break };
            match metadata.topics().iter().find(|found| found.name() == name).and_then(count_of) {
                Some(count) if count < known => {
                    let why = format!(
                        "topic {name} had {known} partitions and has {count}: it was deleted and made anew. If that was meant, start again: \
                         offsets that are gone are named then, with what to do"
                    );
                    return Err(LogError::stop("reading", why));
                }
                Some(count) if count > known => self.count_grew(topic, known, count)?,
                _ => {}
            }
        }
        Ok(())
    }

    fn count_grew(&mut self, topic: Topic, known: u32, count: u32) -> Result<(), LogError> {
        if matches!(topic.spec().role, Role::Inbox { .. }) {
            return Err(self.grown("reading", topic, count));
        }
        self.counts.insert(topic, count);
        let (stage, name) = (self.log.stage, self.options.topics.of(topic));
        if Topic::RAW.contains(&topic) {
            tracing::info!(
                stage,
                "topic {name} had {known} partitions and has {count}: the new ones are read from their beginning"
            );
        } else if self.log.outputs().any(|output| output == topic) {
            tracing::info!(
                stage,
                "topic {name} had {known} partitions and has {count}: the new ones are written to from the next start on"
            );
        }
        Ok(())
    }

    /// The error for an inbox with more partitions than its keys are spread over.
    fn grown(&self, operation: &'static str, inbox: Topic, count: u32) -> LogError {
        let known = self.counts.get(&inbox).copied().unwrap_or(0);
        LogError::stop(operation, wrong_number(inbox, self.options.topics.of(inbox), Needed::Exactly(known), count))
    }
}

/// The number of partitions over which the keys of an inbox are spread, from the committed offsets of the group of `asker`; `None` if
/// nothing was committed, or a tool has set the offsets.
///
/// # Errors
/// When the brokers do not answer.
pub fn spread_of<C: ConsumerContext>(
    asker: &BaseConsumer<C>,
    inbox: &str,
    partitions: u32,
    timeout: Duration,
) -> Result<Option<u32>, KafkaError> {
    let mut list = TopicPartitionList::new();
    for number in 0..i32::try_from(partitions).unwrap_or(i32::MAX) {
        list.add_partition(inbox, number);
    }
    let answer = asker.committed_offsets(list, timeout)?;
    let elements = answer.elements();
    elements.iter().try_for_each(|element| element.error())?;
    Ok(elements.iter().find_map(|element| spread_in(element.metadata())))
}

fn spread_in(metadata: &str) -> Option<u32> {
    number_in(metadata, SPREAD)
}

/// See [`Inputs::direct`].
pub(super) fn direct_in(metadata: &str) -> Option<u64> {
    number_in(metadata, DIRECT)
}

fn number_in<T: FromStr>(metadata: &str, name: &str) -> Option<T> {
    metadata.split(' ').find_map(|part| part.strip_prefix(name)?.parse().ok())
}

/// The metadata of an offset, of what all offsets say and of the inputs of its partition.
pub(super) fn metadata(spread: &str, inputs: Option<&Inputs>) -> String {
    let direct = inputs.and_then(|inputs| inputs.direct);
    direct.map_or_else(|| spread.to_owned(), |direct| format!("{spread} {DIRECT}{direct}"))
}

/// `None`: the broker does not know the topic.
fn count_of(topic: &MetadataTopic) -> Option<u32> {
    let count = if topic.error().is_none() { topic.partitions().len() } else { 0 };
    u32::try_from(count).ok().filter(|count| *count > 0)
}
