//! The tail behind the states: records of the inboxes that a stage had not read when its state was read.
//!
//! Their content is not in the states yet, and is not missing. An event is in identity's inbox until identity has processed it, a touch in
//! the attributor's until its unit has it. An erasure travels to the identifiers it names, and touches move from one unit to another,
//! through the inboxes.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::{Message as _, Offset, TopicPartitionList};
use tributary_pipeline::settings::Settings;
use tributary_pipeline::stages::StageName;
use tributary_proto::event::Body as Said;
use tributary_proto::{AttributorMessage, Event, Hash128, IdentityMessage, Message, attributor_message, identity_message};
use tributary_runtime::embedded::EmbeddedLog;
use tributary_runtime::topic::Topic;

use crate::source::{METADATA_TIMEOUT, WAIT, outsider};
use crate::state::KEEPERS;

/// How long an open transaction may hold up reading.
const OPEN_MAX: Duration = Duration::from_secs(60);
/// Without a record or an end for this long, the brokers count as away.
const SILENT_MAX: Duration = Duration::from_secs(60);

/// By inbox and partition, the offset from which records are newer than the state; `None` if it has read nothing.
pub type Behind = BTreeMap<(Topic, u32), Option<u64>>;

/// See the module.
#[derive(Default)]
pub struct Tail {
    /// Hashes of events.
    events: HashSet<Hash128>,
    /// Hashes of identifiers with an erasure in the inboxes.
    erased: HashSet<Hash128>,
    /// Hashes of identifiers with other messages in the inboxes.
    moving: HashSet<[u8; 16]>,
    /// Whether identity's state may be older than the states of the attributor.
    units_are_old: bool,
}

impl Tail {
    /// Reads the inboxes of an embedded log.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn of_log(log: &EmbeddedLog) -> anyhow::Result<Self> {
        let mut tail = Self::default();
        for stage in KEEPERS.map(StageName::log) {
            for (topic, at) in stage.inputs.iter().flat_map(|topic| (0..log.partitions()).map(move |at| (*topic, at))) {
                for (_, _, record) in log.read(topic, at, log.committed(&stage, topic, at)?, usize::MAX)? {
                    tail.add(topic, record.value.as_deref().unwrap_or_default())?;
                }
            }
        }
        Ok(tail)
    }

    /// Reads the inboxes on Kafka up to their current ends, after all transactions now open have ended. `disk` are the partitions of
    /// identity that were read from disk, each as of its own time.
    ///
    /// # Errors
    /// When they cannot be read, have lost records that are needed, or a transaction does not end.
    pub fn of_kafka(settings: &Settings, behind: &Behind, disk: &BTreeSet<u32>) -> anyhow::Result<Self> {
        let mut tail = Self::default();
        for stage in KEEPERS.map(StageName::log) {
            for topic in stage.inputs {
                let places = behind.iter().filter(|((of, _), _)| of == topic).map(|((_, at), next)| (*at, *next));
                let read = tail.read(settings, *topic, &places.collect())?;
                tail.units_are_old |= *topic == Topic::IdentityInbox && !read.is_disjoint(disk);
            }
        }
        Ok(tail)
    }

    /// Returns the partitions that had records.
    fn read(&mut self, settings: &Settings, topic: Topic, from: &BTreeMap<u32, Option<u64>>) -> anyhow::Result<BTreeSet<u32>> {
        let mut read = BTreeSet::new();
        let name = settings.topics.name(topic);
        let (committed, all) =
            (outsider(settings, "read_committed", "error")?, outsider(settings, "read_uncommitted", "error")?);
        let mut list = TopicPartitionList::new();
        for (partition, next) in from {
            let at = i32::try_from(*partition)?;
            let (first, end) = all.fetch_watermarks(&name, at, METADATA_TIMEOUT).with_context(|| name.clone())?;
            let next = next.map_or(Ok(first), i64::try_from)?;
            if next < first {
                bail!(
                    "the state of partition {partition} includes the records of {name} before offset {next}, and the topic begins at \
                     {first}: records between them cannot be distinguished from missing ones; ask the process that holds it, or start it"
                );
            }
            let begun = Instant::now();
            while committed.fetch_watermarks(&name, at, METADATA_TIMEOUT).with_context(|| name.clone())?.1 < end {
                if begun.elapsed() > OPEN_MAX {
                    bail!(
                        "a transaction in {name}/{partition} does not end: records that it hides cannot be distinguished from missing ones"
                    );
                }
                std::thread::sleep(Duration::from_millis(20));
            }
            list.add_partition_offset(&name, at, Offset::Offset(next))?;
        }
        let mut open: HashSet<i32> = list.elements().iter().map(|element| element.partition()).collect();
        committed.assign(&list)?;
        let mut heard = Instant::now();
        while !open.is_empty() {
            match committed.poll(WAIT) {
                None if heard.elapsed() > SILENT_MAX => bail!("the brokers do not answer about {name}"),
                None => continue,
                Some(Err(KafkaError::PartitionEOF(at))) => drop(open.remove(&at)),
                Some(Err(error)) => return Err(error).with_context(|| name.clone()),
                Some(Ok(record)) => {
                    let place = || format!("{name}/{} at offset {}", record.partition(), record.offset());
                    self.add(topic, record.payload().unwrap_or_default()).with_context(place)?;
                    read.insert(record.partition().unsigned_abs());
                }
            }
            heard = Instant::now();
        }
        Ok(read)
    }

    fn add(&mut self, topic: Topic, value: &[u8]) -> anyhow::Result<()> {
        if topic == Topic::IdentityInbox {
            match IdentityMessage::decode(value)?.body {
                Some(identity_message::Body::Event(event)) => drop(self.events.insert(hash(&event))),
                Some(identity_message::Body::Erased(erased)) => {
                    self.erased.extend(erased.about.map(|identifier| identifier.hash()));
                }
                _ => {}
            }
            return Ok(());
        }
        use attributor_message::Body;
        let identifier = match AttributorMessage::decode(value)?.body {
            Some(Body::Item(item)) => item.identifier_hash,
            Some(Body::Arrive(arrive)) => arrive.identifier_hash,
            Some(Body::Move(moved)) => moved.identifier_hash,
            Some(Body::HandOver(part)) => part.identifier_hash,
            Some(Body::CreditRows(_) | Body::ResumeUnit(_) | Body::Remodel(_)) | None => return Ok(()),
        };
        self.moving.extend(<[u8; 16]>::try_from(identifier.as_slice()));
        Ok(())
    }

    /// Whether an event that is not in the states may still be in the inboxes; `by` is the identifier that brought a touch.
    pub fn may_hold(&self, event: &Event, by: Option<&[u8; 16]>) -> bool {
        let erasure = matches!(event.body, Some(Said::Erase(_)));
        self.events.contains(&hash(event))
            || by.is_some_and(|by| self.units_are_old || self.moving.contains(by))
            || (erasure && event.identifiers.iter().any(|identifier| self.erased.contains(&identifier.hash())))
    }
}

/// Identifies an event.
pub fn hash(event: &Event) -> Hash128 {
    Hash128::of(&event.encode_to_vec())
}

#[cfg(test)]
mod tests {
    use tributary_proto::attributor_message::Body as ToUnit;
    use tributary_proto::identity_message::Body as ToIdentifier;
    use tributary_proto::{Erase, Erased, Identifier, Move, Touch};

    use super::*;

    fn event(id: &str, body: Said) -> Event {
        let identifiers = vec![Identifier::new("email", "", "a@b.example")];
        Event { event_id: id.into(), identifiers, body: Some(body), ..Event::default() }
    }

    #[test]
    fn records_in_flight_are_recognised_and_no_others() {
        let (touch, erase) = (event("1", Said::Touch(Touch::default())), event("2", Said::Erase(Erase::default())));
        let mut tail = Tail::default();
        let by = [7; 16];
        assert!(!tail.may_hold(&touch, Some(&by)) && !tail.may_hold(&erase, None));

        let heard = IdentityMessage { body: Some(ToIdentifier::Event(touch.clone())) };
        tail.add(Topic::IdentityInbox, &heard.encode_to_vec()).unwrap();
        assert!(tail.may_hold(&touch, None) && !tail.may_hold(&event("3", Said::Touch(Touch::default())), None));

        let told = Erased { about: erase.identifiers.first().cloned(), ..Erased::default() };
        let told = IdentityMessage { body: Some(ToIdentifier::Erased(told)) };
        tail.add(Topic::IdentityInbox, &told.encode_to_vec()).unwrap();
        assert!(tail.may_hold(&erase, None));

        let mut tail = Tail::default();
        let moved = AttributorMessage { body: Some(ToUnit::Move(Move { identifier_hash: by.to_vec(), ..Move::default() })) };
        tail.add(Topic::AttributorInbox, &moved.encode_to_vec()).unwrap();
        assert!(tail.may_hold(&touch, Some(&by)) && !tail.may_hold(&touch, Some(&[8; 16])) && !tail.may_hold(&touch, None));
        let old = Tail { units_are_old: true, ..Tail::default() };
        assert!(old.may_hold(&touch, Some(&by)) && !old.may_hold(&touch, None));
    }
}
