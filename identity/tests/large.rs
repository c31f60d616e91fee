//! Components whose parts do not fit into one message cross between partitions in several.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tributary_identity::{IdentityStage, LOG, Settings};
use tributary_proto::event::Body;
use tributary_proto::kind::Kinds;
use tributary_proto::{Event, Identifier, Identify, IdentityMessage, Link, Message, Profile, identity_message, partition};
use tributary_runtime::config::Section;
use tributary_runtime::log::{BatchLimits, MemoryLog};
use tributary_runtime::stage::{Context, Record, Stage, StageError};
use tributary_runtime::state::StateError;
use tributary_runtime::topic::Topic;
use tributary_runtime::worker::{Worker, WorkerOptions};

/// Identifiers in each of the two components.
const MEMBERS: usize = 2_000;
const PARTITIONS: u32 = 4;
const MESSAGE_BYTES_MAX: usize = 256 * 1024;

/// A stage that notes the sizes of the parts of components it sends.
struct Measured {
    stage: IdentityStage,
    parts: Arc<Mutex<Vec<usize>>>,
}

impl Measured {
    fn look(&self, from: usize, context: &Context<'_>) {
        for output in context.outbox.outputs[from..].iter().filter(|output| output.topic == Topic::IdentityInbox) {
            let value = output.value.as_deref().unwrap();
            if let Some(identity_message::Body::Absorb(_)) = IdentityMessage::decode(value).unwrap().body {
                self.parts.lock().unwrap().push(value.len());
            }
        }
    }
}

impl Stage for Measured {
    fn handle(&mut self, record: &Record<'_>, context: &mut Context<'_>) -> Result<(), StageError> {
        let from = context.outbox.outputs.len();
        self.stage.handle(record, context)?;
        self.look(from, context);
        Ok(())
    }

    fn end_batch(&mut self, context: &mut Context<'_>) -> Result<(), StateError> {
        let from = context.outbox.outputs.len();
        self.stage.end_batch(context)?;
        self.look(from, context);
        Ok(())
    }

    fn discard_batch(&mut self) {
        self.stage.discard_batch();
    }
}

fn identifier(component: usize, number: usize) -> Identifier {
    Identifier::new("email", "", format!("{}{component}.{number}@qq.com", "somebody.".repeat(20)))
}

/// The partition of the root of a chain: of its highest identifier.
fn root_partition(component: usize) -> u32 {
    let root = (0..MEMBERS).map(|number| identifier(component, number)).max_by_key(Identifier::hash).unwrap();
    partition::of(&root.key(), PARTITIONS)
}

/// A chain of identifiers.
fn chain(component: usize) -> impl Iterator<Item = Event> {
    (1..MEMBERS).map(move |number| Event {
        event_id: format!("e{component}.{number}"),
        time_ms: number as i64,
        identifiers: vec![identifier(component, number - 1), identifier(component, number)],
        body: Some(Body::Identify(Identify {})),
        ..Event::default()
    })
}

/// Two large components, and then a link between them; returns the profiles' records and the sizes of the parts that were sent.
fn run(partitions: u32) -> (BTreeMap<Vec<u8>, Profile>, Vec<usize>) {
    let rules = Arc::new(Settings::default().compiled(&Kinds::default()).unwrap());
    let parts = Arc::new(Mutex::new(Vec::new()));
    let noted = parts.clone();
    let log = MemoryLog::new(partitions);
    let limits = BatchLimits { records_max: 500, bytes_max: usize::MAX, wait_ms: 0, gather_ms: 0 };
    let build = Box::new(move |share| {
        let stage = IdentityStage::new(rules.clone(), share);
        Box::new(Measured { stage, parts: noted.clone() }) as Box<dyn Stage>
    });
    let mut worker = Worker::new(log.session(LOG), LOG, build, WorkerOptions::in_memory(limits));
    let mut send = |events: &mut dyn Iterator<Item = Event>| {
        for event in events {
            let key = event.identifiers[0].key();
            let message = IdentityMessage { body: Some(identity_message::Body::Event(event)) };
            log.append(Topic::IdentityInbox, 0, key, message.encode_to_vec());
        }
        while worker.step().unwrap() > 0 {}
    };
    // Within a partition no message is sent.
    let other = (1..).find(|other| root_partition(*other) != root_partition(0)).unwrap();
    send(&mut chain(0).chain(chain(other)));
    let link = Event {
        event_id: "link".into(),
        time_ms: 1,
        identifiers: vec![identifier(0, 0), identifier(other, 0)],
        body: Some(Body::Link(Link {})),
        ..Event::default()
    };
    send(&mut std::iter::once(link));
    let records = log.drain(Topic::Profiles).into_iter();
    let live = records.fold(BTreeMap::new(), |mut live, output| {
        let profile = output.value.map(|value| Profile::decode(value.as_slice()).unwrap());
        match profile.filter(|profile| profile.merged_into.is_empty()) {
            // How often a row was published depends on the batches.
            Some(profile) => live.insert(output.key, Profile { revision: 0, ..profile }),
            None => live.remove(&output.key),
        };
        live
    });
    let sizes = parts.lock().unwrap().clone();
    (live, sizes)
}

#[test]
fn a_component_larger_than_a_message_is_absorbed_in_parts() {
    let (profiles, parts) = run(PARTITIONS);
    let large = parts.iter().filter(|bytes| **bytes > MESSAGE_BYTES_MAX / 2).count();
    assert!(large >= 2, "no component was cut: {} parts, the largest of {:?} bytes", parts.len(), parts.iter().max());
    assert!(parts.iter().all(|bytes| *bytes <= MESSAGE_BYTES_MAX), "a part of {:?} bytes", parts.iter().max());
    let (alone, _) = run(1);
    assert_eq!(profiles.len(), alone.len());
    assert!(profiles == alone, "four partitions give other profiles than one");
}
