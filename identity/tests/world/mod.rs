//! One partition of identity, one event at a time.

#![allow(dead_code, reason = "not every test needs all of it")]

use std::collections::BTreeMap;
use std::sync::Arc;

use tributary_identity::{IdentityStage, Rules, Settings, read};
use tributary_proto::event::Body;
use tributary_proto::kind::Kinds;
use tributary_proto::{ErasureRequest, Event, Identifier, IdentityMessage, Message, Profile, Touch, identity_message};
use tributary_runtime::config::Section;
use tributary_runtime::stage::{Context, Outbox, PartitionSlice, Record, Stage};
use tributary_runtime::state::{EmptyBase, Overlay, Snapshot, State, StateError};
use tributary_runtime::topic::Topic;

/// One partition, with what it has published and stored.
pub struct World {
    pub rules: Arc<Rules>,
    stage: IdentityStage,
    state: Overlay<EmptyBase>,
    outbox: Outbox,
    pub stored: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
    count: usize,
    /// Requests to erase a person that were written down.
    pub requests: Vec<ErasureRequest>,
    /// Records handled so far.
    pub records: usize,
}

/// `kind:value`.
pub fn named(name: &str) -> Identifier {
    let (kind, value) = name.split_once(':').unwrap();
    Identifier::new(kind, "", value)
}

pub fn profile_id(name: &str) -> String {
    format!("p_{}", named(name).hash())
}

impl Snapshot for World {
    fn partitions(&self, _: &str) -> u32 {
        1
    }

    fn state(&mut self, _: &'static str, _: u32) -> Result<&mut dyn State, StateError> {
        Ok(&mut self.state)
    }
}

impl World {
    pub fn new(settings: Settings) -> Self {
        let rules = Arc::new(settings.compiled(&Kinds::default()).unwrap());
        let stage = IdentityStage::new(rules.clone(), PartitionSlice { partition: 0, partitions: 1 });
        let (state, outbox) = (Overlay::new(EmptyBase), Outbox::default());
        Self { rules, stage, state, outbox, stored: BTreeMap::new(), count: 0, requests: Vec::new(), records: 0 }
    }

    /// An event in a batch of its own; returns the profiles published, tombstones as `None`.
    pub fn event(&mut self, hour: i64, names: &[&str], body: Body) -> Vec<(String, Option<Profile>)> {
        let identifiers: Vec<_> = names.iter().map(|name| named(name)).collect();
        self.say(Event { time_ms: hour * 3_600_000, identifiers, body: Some(body), ..Event::default() })
    }

    /// Handles an event in a batch of its own, and all messages that the stage sends to itself.
    pub fn say(&mut self, event: Event) -> Vec<(String, Option<Profile>)> {
        self.count += 1;
        let event_id = if event.event_id.is_empty() { format!("e{}", self.count) } else { event.event_id.clone() };
        let event = Event { event_id, ..event };
        let first = event.identifiers.first().or(event.account_identifiers.first());
        let key = match &event.body {
            Some(Body::Milestone(version)) => version.milestone_id.clone().into_bytes(),
            _ => first.unwrap().key(),
        };
        let value = IdentityMessage { body: Some(identity_message::Body::Event(event)) }.encode_to_vec();
        let mut waiting = vec![(key, value)];
        while let Some((key, value)) = waiting.pop() {
            self.records += 1;
            let record =
                Record { topic: Topic::IdentityInbox, partition: 0, offset: 0, timestamp_ms: 0, key: &key, value: &value };
            let mut context = Context { state: &mut self.state, outbox: &mut self.outbox };
            self.stage.handle(&record, &mut context).unwrap();
            self.stage.end_batch(&mut context).unwrap();
            let own = self.outbox.outputs.iter().filter(|output| output.topic == Topic::IdentityInbox);
            let own: Vec<_> = own.map(|output| (output.key.clone(), output.value.clone().unwrap())).collect();
            self.outbox.outputs.retain(|output| output.topic != Topic::IdentityInbox);
            waiting.extend(own);
        }
        for write in self.state.writes() {
            self.stored.insert(write.key, write.value);
        }
        self.state.settle(usize::MAX);
        let outbox = std::mem::take(&mut self.outbox);
        let requests = outbox.outputs.iter().filter(|output| output.topic == Topic::ErasureRequests);
        self.requests
            .extend(requests.map(|output| ErasureRequest::decode(output.value.as_deref().unwrap_or_default()).unwrap()));
        let profiles = outbox.outputs.into_iter().filter(|output| output.topic == Topic::Profiles);
        profiles
            .map(|output| {
                let profile = output.value.map(|value| Profile::decode(value.as_slice()).unwrap());
                (String::from_utf8(output.key).unwrap(), profile)
            })
            .collect()
    }

    pub fn touch(&mut self, hour: i64, names: &[&str]) -> Vec<(String, Option<Profile>)> {
        self.event(hour, names, Body::Touch(Touch::default()))
    }

    /// How many live values of the state hold these bytes.
    pub fn holds(&self, bytes: &str) -> usize {
        let live = self.stored.values().flatten();
        live.filter(|value| value.windows(bytes.len()).any(|window| window == bytes.as_bytes())).count()
    }

    /// The profile of an identifier.
    pub fn person(&mut self, name: &str) -> read::Person {
        let rules = self.rules.clone();
        let person = read::person(self, &named(name), &rules).unwrap().unwrap();
        assert!(person.is_settled());
        person
    }

    /// The identifiers of the profile of an identifier, as texts, sorted.
    pub fn joined(&mut self, name: &str) -> Vec<String> {
        let members = self.person(name).members;
        let mut all: Vec<String> = members.iter().map(|(of, _)| format!("{}:{}", of.kind, of.value)).collect();
        all.sort();
        all
    }
}
