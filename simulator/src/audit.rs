//! Checks after a run has drained: inputs, log, stores and oracle must agree.

use std::collections::{BTreeMap, BTreeSet};

use tributary_attributor::unit::keys;
use tributary_pipeline::stages::StageName;
use tributary_proto::event::Body as EventBody;
use tributary_proto::{
    CreditUpdate, DeadLetter, Event, IdentityMessage, Message, StoredTouch, UNATTRIBUTED, identity_message::Body,
};
use tributary_runtime::state::ACTOR_KEY_LEN;
use tributary_runtime::topic::Topic;

use crate::check::{check, fold_credits};
use crate::cluster::{Cluster, Said};
use crate::erasures;
use crate::oracle::{self, Rules, Verdict};
use crate::outputs::Outputs;
use crate::sums::{Coverage, Reader};
use crate::world::World;

/// What was sent from outside, and what the stages must make of it.
#[derive(Debug, Default)]
pub struct Sent {
    /// Raw records.
    pub records: usize,
    /// By [`as_said`], how often each event was sent, and what ingest makes of it with the final settings.
    pub events: BTreeMap<Vec<u8>, (u64, Event)>,
    /// Expected dead letters of ingest.
    pub dead: u64,
    /// Records in the two inboxes that are not messages.
    pub garbage: u64,
}

/// The bytes of an event without what channel rules have found: the same under all rules.
pub fn as_said(event: &Event) -> Vec<u8> {
    let mut event = event.clone();
    if let Some(EventBody::Touch(touch)) = &mut event.body
        && let Some(origin) = &mut touch.origin
    {
        origin.rules = 0;
        touch.names_source = false;
        let fields = [
            &mut touch.channel,
            &mut touch.source,
            &mut touch.medium,
            &mut touch.campaign,
            &mut touch.content,
            &mut touch.term,
        ];
        for (at, field) in fields.into_iter().enumerate() {
            if origin.found >> at & 1 == 1 {
                field.clear();
            }
        }
    }
    event.encode_to_vec()
}

/// Counts of an audit.
#[derive(Debug, Clone, Default)]
pub struct Counted {
    /// Touches dropped because of their age.
    pub dropped: u64,
    /// Counts of changes of credit rows.
    pub coverage: Coverage,
}

/// Checks all promises after everything has drained.
///
/// # Errors
/// The first promise that does not hold.
pub fn audit(world: &World, sent: &Sent, verdict: &Verdict, rules: &Rules) -> Result<Counted, String> {
    let outputs_on = rules.attribution.outputs;
    let cluster = world.around.cluster.borrow();
    each_record_once(&cluster)?;
    nothing_lost_on_the_way_in(&cluster, sent)?;
    let coverage = deltas_are_the_latest_rows(&cluster)?;
    erasures::check(&cluster.said, verdict)?;
    crate::rows::revisions(&cluster)?;
    let outputs = outputs(&cluster)?;
    drop(cluster);
    nothing_is_put_off(world)?;
    check(&outputs, verdict)?;
    crate::rows::are_of_stored_touches(world, &outputs, outputs_on.touchpoints)?;
    crate::paths::check(world, &outputs, rules)?;
    stores_are_what_the_changelogs_say(world)?;
    let dropped = touches_are_there(&stored_touches(world)?, &outputs, verdict)?;
    Ok(Counted { dropped, coverage })
}

/// Partitions that are stopped do not stop the others. If only partitions of raw topics are stopped, checks that profiles, accounts and
/// credit follow from the events that came through.
///
/// # Errors
/// The first promise that does not hold.
pub fn beside_stopped(world: &World, stopped: &BTreeSet<(Topic, u32)>, sent: &Sent, rules: &Rules) -> Result<(), String> {
    if !stopped.iter().all(|(topic, _)| Topic::RAW.contains(topic)) {
        return Ok(());
    }
    let cluster = world.around.cluster.borrow();
    let mut events: BTreeMap<Vec<u8>, Event> = BTreeMap::new();
    for value in values(&cluster, Topic::IdentityInbox) {
        if let Ok(IdentityMessage { body: Some(Body::Event(event)) }) = IdentityMessage::decode(value) {
            let said = as_said(&event);
            let now = sent.events.get(&said).map_or(event, |(_, event)| event.clone());
            events.insert(said, now);
        }
    }
    let events: Vec<Event> = events.into_values().collect();
    check(&outputs(&cluster)?, &oracle::judge(&events, rules)).map_err(|why| format!("beside {stopped:?}: {why}"))
}

/// The committed records of the output topics.
fn outputs(cluster: &Cluster) -> Result<Outputs, String> {
    let mut outputs = Outputs::default();
    for topic in Outputs::TOPICS {
        for partition in 0..cluster.partitions(topic) {
            for (_, entry) in cluster.committed(topic, partition, 0) {
                outputs.add(topic, &entry.key, entry.value.as_deref())?;
            }
        }
    }
    Ok(outputs)
}

/// After every transaction, the deltas sum to the latest rows, by every column. Returns the counts of changes.
fn deltas_are_the_latest_rows(cluster: &Cluster) -> Result<Coverage, String> {
    let mut reader = Reader::default();
    for updates in credits(cluster)? {
        reader.commit(&updates)?;
    }
    Ok(reader.coverage)
}

/// The credit updates of every transaction that has any, in the order of commits.
///
/// # Errors
/// When one cannot be read.
pub fn credits(cluster: &Cluster) -> Result<Vec<Vec<CreditUpdate>>, String> {
    let read = |transaction: &Vec<Said>| {
        let values = transaction.iter().filter(|said| said.topic == Topic::Credits).filter_map(|said| said.value.as_deref());
        values.map(CreditUpdate::decode).collect::<Result<Vec<_>, _>>()
    };
    let all = cluster.said.iter().map(read).collect::<Result<Vec<_>, _>>();
    let mut all = all.map_err(|error| format!("a credit update cannot be read: {error}"))?;
    all.retain(|updates| !updates.is_empty());
    Ok(all)
}

/// No unit is throttled once everything has drained.
fn nothing_is_put_off(world: &World) -> Result<(), String> {
    for (_, partition, store) in world.stores().into_iter().filter(|(log, ..)| log.stage == tributary_attributor::LOG.stage) {
        let rests = |key: &Vec<u8>| {
            let sub = key.get(ACTOR_KEY_LEN..).unwrap_or_default();
            let deferred = [Some(&keys::DEFERRED), Some(&keys::DEFERRED_ROWS)].contains(&sub.first());
            key.first() == Some(&keys::TAG) && (sub == keys::THROTTLED || deferred)
        };
        if store.content().values.keys().any(rests) {
            return Err(format!("a unit of attributor {partition} still rests"));
        }
    }
    Ok(())
}

/// The ids of the touches that units store.
fn stored_touches(world: &World) -> Result<BTreeSet<String>, String> {
    let mut ids = BTreeSet::new();
    for (_, _, store) in world.stores().into_iter().filter(|(log, ..)| log.stage == tributary_attributor::LOG.stage) {
        for (key, value) in store.content().values {
            if key.first() == Some(&keys::TAG) && key.get(ACTOR_KEY_LEN) == Some(&keys::TOUCH) {
                let touch = StoredTouch::decode(value.as_slice()).map_err(|error| format!("a stored touch: {error}"))?;
                ids.insert(touch.event_id);
            }
        }
    }
    Ok(ids)
}

/// Units store every touch that is neither void nor too old, and no others. Every touch with credit is stored, so that it can be explained.
fn touches_are_there(stored: &BTreeSet<String>, outputs: &Outputs, verdict: &Verdict) -> Result<u64, String> {
    if let Some(id) = verdict.kept.difference(stored).next() {
        return Err(format!("touch {id:?} is gone"));
    }
    let all: BTreeSet<String> = verdict.kept.union(&verdict.droppable).cloned().collect();
    if let Some(id) = stored.difference(&all).next() {
        return Err(format!("touch {id:?} is void, and still there"));
    }
    for (milestone, _, touch) in fold_credits(&outputs.credits)?.keys() {
        if touch != UNATTRIBUTED && !stored.contains(touch) {
            return Err(format!("touch {touch:?} has credit for {milestone}, and is gone"));
        }
    }
    Ok(verdict.droppable.difference(stored).count() as u64)
}

fn values(cluster: &Cluster, topic: Topic) -> impl Iterator<Item = &[u8]> {
    let partitions = 0..cluster.partitions(topic);
    let entries = partitions.flat_map(move |partition| cluster.committed(topic, partition, 0));
    entries.filter_map(|(_, entry)| entry.value.as_deref())
}

/// Every committed record of every input was processed by exactly one committed transaction, and nothing else was processed.
fn each_record_once(cluster: &Cluster) -> Result<(), String> {
    if let Some((handed, times)) = cluster.processed.iter().find(|(_, times)| **times != 1) {
        return Err(format!("record {handed:?} was processed {times} times"));
    }
    for log in StageName::ALL.map(StageName::log) {
        for topic in log.inputs {
            for partition in 0..cluster.partitions(*topic) {
                for (offset, _) in cluster.committed(*topic, partition, 0) {
                    let handed = (log.stage, *topic, partition, offset);
                    if !cluster.processed.contains_key(&handed) {
                        return Err(format!("record {handed:?} was never processed"));
                    }
                }
            }
        }
    }
    Ok(())
}

/// In = applied + duplicate + dead: every event of a raw record is in the identity inbox as often as it was sent; every other record is a
/// dead letter.
fn nothing_lost_on_the_way_in(cluster: &Cluster, sent: &Sent) -> Result<(), String> {
    let mut applied: BTreeMap<Vec<u8>, u64> = BTreeMap::new();
    for value in values(cluster, Topic::IdentityInbox) {
        if let Ok(IdentityMessage { body: Some(Body::Event(event)) }) = IdentityMessage::decode(value) {
            // Versions of milestones are events of ingest, too, so they count as well.
            let _is_version = matches!(event.body, Some(EventBody::Milestone(_)));
            *applied.entry(as_said(&event)).or_default() += 1;
        }
    }
    let sent_times = |bytes: &Vec<u8>| sent.events.get(bytes).map_or(0, |(times, _)| *times);
    let applied_times = |bytes: &Vec<u8>| applied.get(bytes).copied().unwrap_or(0);
    let mut all = applied.keys().chain(sent.events.keys());
    if let Some(said) = all.find(|said| sent_times(said) != applied_times(said)) {
        let event = Event::decode(said.as_slice());
        return Err(format!(
            "an event was sent {} times and is applied {} times: {event:?}",
            sent_times(said),
            applied_times(said)
        ));
    }
    let mut dead: BTreeMap<String, u64> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for value in values(cluster, Topic::DeadLetters) {
        let letter = DeadLetter::decode(value).map_err(|error| format!("a dead letter cannot be read: {error}"))?;
        let place = (letter.stage.clone(), letter.topic.clone(), letter.partition, letter.offset, letter.index);
        if !seen.insert(place.clone()) {
            return Err(format!("two dead letters of {place:?}"));
        }
        *dead.entry(letter.stage).or_default() += 1;
    }
    let ingest = dead.remove("ingest").unwrap_or(0);
    let inboxes: u64 = dead.values().sum();
    if (ingest, inboxes) != (sent.dead, sent.garbage) {
        return Err(format!(
            "{} records had to be refused by ingest and {} by the other stages; dead letters are {ingest} and {inboxes} ({dead:?})",
            sent.dead, sent.garbage
        ));
    }
    Ok(())
}

/// The store of every partition that has a worker equals its changelog, read from the beginning.
fn stores_are_what_the_changelogs_say(world: &World) -> Result<(), String> {
    for (log, partition, store) in world.stores() {
        let Some(changelog) = log.changelog else { continue };
        let cluster = world.around.cluster.borrow();
        let mut values: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
        for (_, entry) in cluster.committed(changelog, partition, 0) {
            match &entry.value {
                Some(value) => values.insert(entry.key.clone(), value.clone()),
                None => values.remove(&entry.key),
            };
        }
        let held = store.content().values;
        if held != values {
            let differ = |key: &&Vec<u8>| held.get(*key) != values.get(*key);
            let first = held.keys().chain(values.keys()).find(differ);
            return Err(format!(
                "the store of {} {partition} differs from its changelog at key {first:02x?}: {:?} and {:?}",
                log.stage,
                first.and_then(|key| held.get(key)).map(Vec::len),
                first.and_then(|key| values.get(key)).map(Vec::len)
            ));
        }
    }
    Ok(())
}
