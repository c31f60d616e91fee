//! Whatever graph somebody builds with a public write key, an event costs about what it always does: what the stage does with the state
//! is counted for each event, with all that follows from it, one event after the other and nobody else waiting.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::sync::Arc;

use tributary_identity::{IdentityStage, Settings};
use tributary_proto::event::Body;
use tributary_proto::kind::Kinds;
use tributary_proto::{Event, Identifier, Identify, IdentityMessage, Message, Touch, identity_message};
use tributary_runtime::config::Section;
use tributary_runtime::stage::{Context, Outbox, Record, Share, Stage};
use tributary_runtime::state::{ActorKey, EmptyBase, Overlay, State, StateError};
use tributary_runtime::topic::Topic;

/// Identifiers of a large event.
const MANY: usize = 19;
/// What an event may cost, in those of strangers: at the most, and on average.
const TIMES_MOST: f64 = 5.0;

/// The identifiers of each event.
type Shape = Box<dyn Fn(usize) -> Vec<Identifier>>;

/// A state that counts what is read and written.
struct Counted {
    state: Overlay<EmptyBase>,
    work: u64,
}

impl State for Counted {
    fn get(&mut self, actor: &ActorKey, sub: &[u8]) -> Result<Option<&[u8]>, StateError> {
        self.work += 1;
        self.state.get(actor, sub)
    }

    fn put(&mut self, actor: &ActorKey, sub: &[u8], value: &[u8]) {
        self.work += 1;
        self.state.put(actor, sub, value);
    }

    fn put_joined(&mut self, actor: &ActorKey, sub_len: usize, sub_and_value: Vec<u8>) {
        self.work += 1;
        self.state.put_joined(actor, sub_len, sub_and_value);
    }

    fn delete(&mut self, actor: &ActorKey, sub: &[u8]) {
        self.work += 1;
        self.state.delete(actor, sub);
    }

    fn scan(
        &mut self,
        actor: &ActorKey,
        from: &[u8],
        to: &[u8],
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StateError> {
        self.work += 1;
        let mut visited = 0;
        let done = self.state.scan(actor, from, to, &mut |sub, value| {
            visited += 1;
            visit(sub, value)
        });
        self.work += visited;
        done
    }

    fn actors(&mut self, tag: u8, after: Option<&ActorKey>, max: usize) -> Result<Vec<ActorKey>, StateError> {
        self.state.actors(tag, after, max)
    }
}

/// One partition, one event at a time.
struct World {
    stage: IdentityStage,
    state: Counted,
    outbox: Outbox,
}

impl World {
    fn new() -> Self {
        let rules = Arc::new(Settings::default().compiled(&Kinds::default()).unwrap());
        let stage = IdentityStage::new(rules, Share { partition: 0, partitions: 1 });
        Self { stage, state: Counted { state: Overlay::new(EmptyBase), work: 0 }, outbox: Outbox::default() }
    }

    /// What an event costs, until all that it caused is done.
    fn cost_of(&mut self, event: Event) -> u64 {
        let before = self.state.work;
        let key = event.identifiers[0].key();
        let mut waiting = vec![(key, IdentityMessage { body: Some(identity_message::Body::Event(event)) }.encode_to_vec())];
        while let Some((key, value)) = waiting.pop() {
            let record =
                Record { topic: Topic::IdentityInbox, partition: 0, offset: 0, timestamp_ms: 0, key: &key, value: &value };
            let mut context = Context { state: &mut self.state, outbox: &mut self.outbox };
            self.stage.handle(&record, &mut context).unwrap();
            self.stage.end_batch(&mut context).unwrap();
            let own = self.outbox.outputs.iter().filter(|output| output.topic == Topic::IdentityInbox);
            waiting.extend(own.map(|output| (output.key.clone(), output.value.clone().unwrap())));
            self.outbox = Outbox::default();
        }
        self.state.state.settle(usize::MAX);
        self.state.work - before
    }
}

fn identifier(kind: &str, number: usize) -> Identifier {
    Identifier::new(kind, "", format!("{kind}-{number}"))
}

fn public(number: usize, mut identifiers: Vec<Identifier>) -> Event {
    // The strongest kind first, as ingest has them.
    identifiers.sort_by_key(|of| (Kinds::default().rank(&of.kind), of.value.clone()));
    identifiers.dedup();
    let (event_id, time_ms) = (format!("e{number}"), number as i64);
    Event { event_id, time_ms, identifiers, public: true, body: Some(Body::Touch(Touch::default())), ..Event::default() }
}

#[test]
fn measure() {
    for (name, shape, events, many) in shapes() {
        let mut world = World::new();
        let known = Event {
            event_id: "known".into(),
            identifiers: vec![identifier("crm_contact", 0), identifier("email", 0)],
            body: Some(Body::Identify(Identify {})),
            ..Event::default()
        };
        world.cost_of(known);
        let begun = std::time::Instant::now();
        let costs: Vec<u64> = (0..events).map(|number| world.cost_of(public(number, shape(number)))).collect();
        let took = begun.elapsed();
        let mut strange = World::new();
        let kinds = ["anonymous_id"];
        let ordinary: u64 = (0..50).map(|number| strange.cost_of(public(number, (0..many).map(|at| identifier(kinds[0], number * many + at)).collect()))).sum::<u64>() / 50;
        let tail = &costs[events - 20..];
        println!(
            "{name:40} ordinary {ordinary:6} mean {:8.0} most {:8} tail {:8} ms/event {:.3}",
            costs.iter().sum::<u64>() as f64 / events as f64,
            costs.iter().max().unwrap(),
            tail.iter().sum::<u64>() / 20,
            took.as_secs_f64() * 1e3 / events as f64
        );
    }
}

fn shapes() -> Vec<(&'static str, Shape, usize, usize)> {
    let cookie = |number| identifier("anonymous_id", number);
    let of = |kind: &'static str| move |number| identifier(kind, number);
    let (email, phone) = (of("email"), of("phone"));
    let chain = |number: usize| 18 * number..18 * number + MANY;
    vec![
        ("strangers", Box::new(move |number| (0..MANY).map(|at| cookie(number * MANY + at)).collect()), 300, MANY),
        ("pairs", Box::new(move |number| vec![cookie(2 * number), cookie(2 * number + 1)]), 1000, 2),
        ("a chain", Box::new(move |number| vec![cookie(number), cookie(number + 1)]), 1000, 2),
        ("a chain of many", Box::new(move |number| chain(number).map(cookie).collect()), 300, MANY),
        (
            "a chain of addresses and phones",
            Box::new(move |number| chain(number).map(|at| if at % 2 == 0 { email(at) } else { phone(at) }).collect()),
            300,
            MANY,
        ),
        ("a star on an address that the CRM knows", Box::new(move |number| vec![email(0), cookie(number)]), 3000, 2),
        (
            "a star of many",
            Box::new(move |number| {
                std::iter::once(email(0)).chain((0..18).map(|at| cookie(18 * number + at))).collect()
            }),
            300,
            MANY,
        ),
        ("many stars", Box::new(move |number| vec![email(1 + number % 90), cookie(number)]), 3000, 2),
        (
            "a grid",
            Box::new(move |number| vec![cookie(number / 2), cookie(number / 2 + if number % 2 == 0 { 1 } else { 60 })]),
            2000,
            2,
        ),
        ("a clique", Box::new(move |number| vec![cookie(number % 63), cookie(1_000 + number / 63)]), 2000, 2),
        (
            "two that meet again and again",
            Box::new(move |number| {
                vec![cookie(if number % 2 == 0 { 2 * number } else { 0 }), cookie(2 * (number / 2) + number % 2)]
            }),
            2000,
            2,
        ),
    ]
}
