//! Whatever graph somebody builds with a public write key, an event costs about what it always does: what the stage does with the state
//! is counted for each event, with all that follows from it, one event after the other and nobody else waiting. Stars on an identifier that
//! trusted events know cost by their leaves until there are `identity.public_leaves`, and are held back by their root's rest: see
//! `throttled_shapes.rs`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use std::sync::Arc;

use tributary_identity::{IdentityStage, Settings};
use tributary_proto::event::Body;
use tributary_proto::kind::Kinds;
use tributary_proto::{Event, Identifier, Identify, IdentityMessage, Message, Touch, identity_message};
use tributary_runtime::config::Section;
use tributary_runtime::stage::{Context, Outbox, PartitionSlice, Record, Stage};
use tributary_runtime::state::{ActorKey, EmptyBase, Overlay, State, StateError};
use tributary_runtime::topic::Topic;

/// Identifiers of a large event.
const MANY: usize = 19;
/// What an event may cost, in those of as many strangers: once the shape is there, and on average over all that make it.
const TIMES_LATER: f64 = 5.0;
const TIMES_MEAN: f64 = 12.0;

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
        let stage = IdentityStage::new(rules, PartitionSlice { partition: 0, partitions: 1 });
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

/// What events cost, each with all that follows.
struct Costs {
    ordinary: f64,
    mean: f64,
    /// The last of them.
    later: f64,
    most: u64,
}

fn mean(costs: &[u64]) -> f64 {
    costs.iter().sum::<u64>() as f64 / costs.len() as f64
}

/// What the events of a shape cost, and what as many strangers do.
fn costs_of(shape: &dyn Fn(usize) -> Vec<Identifier>, events: usize) -> Costs {
    let mut world = World::new();
    let known = Event {
        event_id: "known".into(),
        identifiers: vec![identifier("crm_contact", 0), identifier("email", 0)],
        body: Some(Body::Identify(Identify {})),
        ..Event::default()
    };
    world.cost_of(known);
    let costs: Vec<u64> = (0..events).map(|number| world.cost_of(public(number, shape(number)))).collect();
    let (mut world, many) = (World::new(), shape(0).len());
    let strangers = |number: usize| (0..many).map(|at| identifier("anonymous_id", number * many + at)).collect();
    let ordinary: Vec<u64> = (0..20).map(|number| world.cost_of(public(number, strangers(number)))).collect();
    let most = costs.iter().copied().max().unwrap();
    Costs { ordinary: mean(&ordinary), mean: mean(&costs), later: mean(&costs[events - 20..]), most }
}

#[test]
fn in_no_graph_later_events_cost_much_more_than_those_of_new_people() {
    for (name, shape, events) in shapes() {
        let Costs { ordinary, mean, later, most } = costs_of(&shape, events);
        println!("{name}: {ordinary:.0} of strangers, {mean:.0} on average, {later:.0} in the end, {most} at the most");
        assert!(later < TIMES_LATER * ordinary, "{name}: {later:.0}, and {ordinary:.0} of strangers");
        assert!(mean < TIMES_MEAN * ordinary, "{name}: {mean:.0} on average, and {ordinary:.0} of strangers");
    }
}

/// Shapes, and how many events make one: more than a cluster may have.
fn shapes() -> Vec<(&'static str, Shape, usize)> {
    let cookie = |number| identifier("anonymous_id", number);
    let of = |kind: &'static str| move |number| identifier(kind, number);
    let (email, phone) = (of("email"), of("phone"));
    let chain = |number: usize| 18 * number..18 * number + MANY;
    vec![
        ("strangers", Box::new(move |number| (0..MANY).map(|at| cookie(number * MANY + at)).collect()), 40),
        ("a chain", Box::new(move |number| vec![cookie(number), cookie(number + 1)]), 500),
        ("a chain of many", Box::new(move |number| chain(number).map(cookie).collect()), 60),
        (
            "a chain of addresses and phones",
            Box::new(move |number| chain(number).map(|at| if at % 2 == 0 { email(at + 1) } else { phone(at) }).collect()),
            60,
        ),
        ("a chain of addresses, two at a time", Box::new(move |number| vec![email(number + 1), email(number + 2)]), 900),
        (
            "a chain that begins at it",
            Box::new(move |number| vec![if number == 0 { email(0) } else { cookie(number) }, cookie(number + 1)]),
            500,
        ),
        ("many stars", Box::new(move |number| vec![email(1 + number % 90), cookie(number)]), 1_000),
        (
            "a grid",
            Box::new(move |number| vec![cookie(number / 2), cookie(number / 2 + if number % 2 == 0 { 1 } else { 60 })]),
            500,
        ),
        ("a grid of many", Box::new(move |number| (0..MANY).map(|at| cookie(number * 6 + at * 7)).collect()), 60),
        ("a clique", Box::new(move |number| vec![cookie(number % 83), cookie(1_000 + number / 83)]), 2_000),
        ("a clique of many", Box::new(move |number| (0..MANY).map(|at| cookie((number * at) % 150)).collect()), 100),
        (
            "two that merge again and again",
            Box::new(move |number| match number % 3 {
                0 => (0..MANY).map(|at| cookie(36 * number + at)).collect(),
                1 => (0..MANY).map(|at| phone(36 * number + at)).collect(),
                _ => vec![cookie(36 * (number - 2)), phone(36 * (number - 1)), cookie(0)],
            }),
            90,
        ),
    ]
}
