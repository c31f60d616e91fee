//! The same shapes with a root's rest, which holds back what costs: clusters are computed for as many members in all as there were records,
//! times a constant. What a single event costs is in `shapes.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::sync::{Arc, Mutex};

use tributary_identity::metrics::CLUSTER_MEMBERS;
use tributary_identity::{IdentityStage, LOG, Settings};
use tributary_proto::event::Body;
use tributary_proto::kind::Kinds;
use tributary_proto::{Event, Identifier, Identify, IdentityMessage, Message, Touch, identity_message};
use tributary_runtime::config::Section;
use tributary_runtime::log::{BatchLimits, MemoryLog};
use tributary_runtime::stage::{Context, Record, Stage, StageError};
use tributary_runtime::state::StateError;
use tributary_runtime::topic::Topic;
use tributary_runtime::worker::{Worker, WorkerOptions};

/// Events of a shape.
const EVENTS: usize = 4_000;

/// The identifiers of each event.
type Shape = Box<dyn Fn(usize) -> [Identifier; 2]>;

/// How many members of clusters were looked at, and in how many records.
#[derive(Default)]
struct Work {
    members: u64,
    records: u64,
}

/// A stage that counts its work.
struct Counted {
    stage: IdentityStage,
    work: Arc<Mutex<Work>>,
}

impl Stage for Counted {
    fn handle(&mut self, record: &Record<'_>, context: &mut Context<'_>) -> Result<(), StageError> {
        self.work.lock().unwrap().records += 1;
        self.stage.handle(record, context)
    }

    fn end_batch(&mut self, context: &mut Context<'_>) -> Result<(), StateError> {
        self.stage.end_batch(context)?;
        let samples = context.outbox.observations.samples().iter();
        let members = samples.filter(|(metric, _)| std::ptr::eq(*metric, &CLUSTER_MEMBERS)).map(|(_, members)| members);
        self.work.lock().unwrap().members += members.sum::<u64>();
        Ok(())
    }

    fn discard_batch(&mut self) {
        self.stage.discard_batch();
    }
}

fn identifier(kind: &str, number: usize) -> Identifier {
    Identifier::new(kind, "", format!("{kind}-{number}"))
}

fn public(number: usize, identifiers: [Identifier; 2]) -> Event {
    // The strongest kind first, as ingest has them.
    let mut identifiers = identifiers.to_vec();
    identifiers.sort_by_key(|identifier| (identifier.kind == "anonymous_id", identifier.value.clone()));
    let (event_id, time_ms) = (format!("e{number}"), number as i64);
    Event { event_id, time_ms, identifiers, public: true, body: Some(Body::Touch(Touch::default())), ..Event::default() }
}

/// How many members were looked at for each event of a shape.
fn members_per_event(shape: impl Fn(usize) -> [Identifier; 2]) -> f64 {
    let rules = Arc::new(Settings::default().compiled(&Kinds::default()).unwrap());
    let work = Arc::new(Mutex::new(Work::default()));
    let noted = work.clone();
    let log = MemoryLog::new(1);
    let limits = BatchLimits { records_max: 20, bytes_max: usize::MAX, wait_ms: 0, gather_ms: 0 };
    let build = Box::new(move |share| {
        let stage = IdentityStage::new(rules.clone(), share);
        Box::new(Counted { stage, work: noted.clone() }) as Box<dyn Stage>
    });
    let mut worker = Worker::new(log.session(LOG), LOG, build, WorkerOptions::in_memory(limits));
    let known = Event {
        event_id: "known".into(),
        identifiers: vec![identifier("crm_contact", 0), identifier("email", 0)],
        body: Some(Body::Identify(Identify {})),
        ..Event::default()
    };
    for event in std::iter::once(known).chain((0..EVENTS).map(|number| public(number, shape(number)))) {
        let key = event.identifiers[0].key();
        let message = IdentityMessage { body: Some(identity_message::Body::Event(event)) };
        log.append(Topic::IdentityInbox, 0, key, message.encode_to_vec());
    }
    while worker.step().unwrap() > 0 {}
    let work = work.lock().unwrap();
    assert!(work.records >= EVENTS as u64);
    work.members as f64 / EVENTS as f64
}

#[test]
fn in_no_graph_an_event_costs_more_than_a_few_members() {
    let cookie = |number| identifier("anonymous_id", number);
    let shapes: [(&str, Shape); 7] = [
        ("pairs", Box::new(move |number| [cookie(2 * number), cookie(2 * number + 1)])),
        ("a chain", Box::new(move |number| [cookie(number), cookie(number + 1)])),
        ("a star on an address that the CRM knows", Box::new(move |number| [identifier("email", 0), cookie(number)])),
        ("many stars", Box::new(move |number| [identifier("email", 1 + number % 90), cookie(number)])),
        ("a grid", Box::new(move |number| [cookie(number / 2), cookie(number / 2 + if number % 2 == 0 { 1 } else { 60 })])),
        ("a clique", Box::new(move |number| [cookie(number % 63), cookie(1_000 + number / 63)])),
        (
            "two that meet again and again",
            Box::new(move |number| {
                [cookie(if number % 2 == 0 { 2 * number } else { 0 }), cookie(2 * (number / 2) + number % 2)]
            }),
        ),
    ];
    for (name, shape) in shapes {
        let members = members_per_event(shape);
        println!("{name}: {members:.1} members for each event");
        assert!(members < 40.0, "{name}: {members:.1} members for each event");
    }
}
