//! What the attributor costs: `cargo run --release -p tributary-attributor --example attributor_cost`.
//!
//! State in memory; records are handled in batches of 5,000 as the runtime does it. What an actor sends to the inbox comes with the next
//! batch.

#![allow(clippy::disallowed_methods, reason = "a measurement reads the clock")]
#![allow(clippy::expect_used, reason = "a measurement stops where something is wrong")]

use std::sync::Arc;
use std::time::Instant;

use tributary_attributor::{plan::Plan, settings::Settings, stage::AttributorStage};
use tributary_proto::attributor_message::Body;
use tributary_proto::kind::Kinds;
use tributary_proto::{
    Arrive, AttributorMessage, Identifier, Item, Message, Milestone, Placement, StoredTouch, StoredTrack, Touch, item,
};
use tributary_runtime::stage::{Context, Outbox, PartitionSlice, Record, Stage};
use tributary_runtime::state::{EmptyBase, Overlay};
use tributary_runtime::topic::Topic;

const BATCH: usize = 5_000;
const HOUR_MS: i64 = 3_600_000;

struct Bench {
    stage: AttributorStage,
    state: Overlay<EmptyBase>,
    outbox: Outbox,
    /// What the stage has sent to its own inbox.
    inbox: Vec<(String, Vec<u8>)>,
}

impl Bench {
    fn new() -> Self {
        let plan = Arc::new(Plan::compile(&Settings::default(), &Kinds::default()).expect("the default settings compile"));
        let stage = AttributorStage::new(plan, PartitionSlice { partition: 0, partitions: 1 });
        Self { stage, state: Overlay::new(EmptyBase), outbox: Outbox::default(), inbox: Vec::new() }
    }

    /// Handles the records as one batch; returns nanoseconds and the number of credit updates.
    fn batch(&mut self, records: &[(String, Vec<u8>)]) -> (u128, usize) {
        let start = Instant::now();
        let mut context = Context { state: &mut self.state, outbox: &mut self.outbox };
        let own = std::mem::take(&mut self.inbox);
        for (key, value) in records.iter().chain(&own) {
            let record =
                Record { topic: Topic::AttributorInbox, partition: 0, offset: 0, timestamp_ms: 0, key: key.as_bytes(), value };
            self.stage.handle(&record, &mut context).expect("a record of this program");
        }
        self.stage.end_batch(&mut context).expect("a state in memory");
        let spent = start.elapsed().as_nanos();
        let (own, outputs): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.outbox).outputs.into_iter().partition(|output| output.topic == Topic::AttributorInbox);
        let text = |key: Vec<u8>| String::from_utf8(key).expect("a unit's key is text");
        self.inbox.extend(own.into_iter().map(|output| (text(output.key), output.value.unwrap_or_default())));
        let updates = outputs.len();
        self.state.settle(usize::MAX);
        (spent, updates)
    }
}

fn message(unit: &str, body: Body) -> (String, Vec<u8>) {
    (unit.to_owned(), AttributorMessage { body: Some(body) }.encode_to_vec())
}

fn person(number: usize) -> Identifier {
    Identifier::new("email", "", format!("person{number}@example.com"))
}

fn unit(number: usize) -> String {
    format!("a:crm_account:{number:08}")
}

fn arrive(number: usize, unit_number: usize) -> (String, Vec<u8>) {
    let placement = Placement {
        profile_id: format!("p_{number:032x}"),
        unit: unit(unit_number),
        account_id: format!("{unit_number:08}"),
        epoch: 1,
        ..Placement::default()
    };
    let identifier_hash = person(number).hash().to_bytes().to_vec();
    let (identifier, placement) = (Some(person(number)), Some(placement));
    message(&unit(unit_number), Body::Arrive(Arrive { identifier, placement, identifier_hash, ..Arrive::default() }))
}

fn item(number: usize, unit_number: usize, what: item::What) -> (String, Vec<u8>) {
    let identifier_hash = person(number).hash().to_bytes().to_vec();
    message(&unit(unit_number), Body::Item(Item { identifier_hash, epoch: 1, what: Some(what) }))
}

fn touch(event: usize) -> item::What {
    let channels = ["paid_search", "email", "wechat", "direct", "offline_event"];
    let touch = Touch {
        channel: channels.get(event % channels.len()).copied().unwrap_or_default().to_owned(),
        source: format!("source{}", event % 11),
        medium: "cpc".to_owned(),
        campaign: format!("campaign{}", event % 17),
        touch_type: "page".to_owned(),
        identified: true,
        ..Touch::default()
    };
    let event_id = format!("7f3a9c00-0000-4000-8000-{event:012x}");
    item::What::Touch(StoredTouch {
        event_id,
        time_ms: event as i64 % 10_000 * HOUR_MS,
        touch: Some(touch),
        ..StoredTouch::default()
    })
}

fn deal(object: usize, value_minor: i64, stamp: u64, time_ms: i64) -> item::What {
    let milestone = Milestone {
        milestone_id: format!("closed_won:{object}"),
        kind: "closed_won".to_owned(),
        object_id: object.to_string(),
        time_ms,
        value_minor,
        currency: "CNY".to_owned(),
        ..Milestone::default()
    };
    item::What::Track(StoredTrack {
        milestone_id: milestone.milestone_id.clone(),
        stamp,
        milestone: Some(milestone),
        ..StoredTrack::default()
    })
}

/// `people` in accounts of four, with 25 touches each.
fn touches_without_milestone(people: usize) {
    let touches = people * 25;
    let mut bench = Bench::new();
    bench.batch(&(0..people).map(|number| arrive(number, number / 4)).collect::<Vec<_>>());
    let mut spent = 0;
    for first in (0..touches).step_by(BATCH) {
        let records: Vec<_> = (first..first + BATCH)
            .map(|event| {
                let number = event.wrapping_mul(7_919) % people;
                item(number, number / 4, touch(event))
            })
            .collect();
        spent += bench.batch(&records).0;
    }
    println!("touch, no milestone, {people} people: {} ns", spent / touches as u128);
}

fn recompute(count: usize) {
    const ROUNDS: u64 = 20;
    let mut bench = Bench::new();
    let people = (count / 10).max(1);
    let mut records: Vec<_> = (0..people).map(|number| arrive(number, 0)).collect();
    records.extend((0..count).map(|event| item(event % people, 0, touch(event))));
    bench.batch(&records);
    let last_ms = count as i64 * HOUR_MS;
    let (first, updates) = bench.batch(&[item(0, 0, deal(1, 1_000_000, 1, last_ms))]);
    let mut amended = 0;
    for round in 2..2 + ROUNDS {
        amended += bench.batch(&[item(0, 0, deal(1, 1_000_000 + i64::from(round as u32) * 7, round, last_ms))]).0;
    }
    let mut unchanged = 0;
    for _ in 0..ROUNDS {
        unchanged += bench.batch(&[item(0, 0, touch(0))]).0;
    }
    println!(
        "milestone of {count} touches, 10 models: first {} us ({updates} updates), amended {} us, unchanged {} us",
        first / 1_000,
        amended / u128::from(ROUNDS) / 1_000,
        unchanged / u128::from(ROUNDS) / 1_000
    );
}

/// Lets the stage finish what it has put off; returns nanoseconds and batches.
fn finish(bench: &mut Bench) -> (u128, usize) {
    let (mut spent, mut batches) = (0, 0);
    while !bench.inbox.is_empty() {
        spent += bench.batch(&[]).0;
        batches += 1;
    }
    (spent, batches)
}

/// An account of `people` with 50 touches each and 20 deals. In every batch 50 of its touches come late and a deal is amended: what is
/// left for everybody else?
fn hot_account(people: usize) {
    const TOUCHES: usize = 50;
    const DEALS: usize = 20;
    const OTHERS: usize = 2_000;
    const ROUNDS: usize = 40;
    let mut bench = Bench::new();
    for first in (0..people).step_by(BATCH) {
        bench.batch(&(first..people.min(first + BATCH)).map(|number| arrive(number, 0)).collect::<Vec<_>>());
    }
    for first in (0..people * TOUCHES).step_by(BATCH) {
        let last = (people * TOUCHES).min(first + BATCH);
        bench.batch(&(first..last).map(|event| item(event % people, 0, touch(event))).collect::<Vec<_>>());
    }
    let deal_of = |number: usize, stamp: u64| {
        let number = number % DEALS;
        item(number, 0, deal(number, stamp as i64 * 1_000, stamp, (9_000 + 50 * number as i64) * HOUR_MS))
    };
    let (first, updates) = bench.batch(&(0..DEALS).map(|number| deal_of(number, 1)).collect::<Vec<_>>());
    let (later, batches) = finish(&mut bench);
    println!(
        "account of {people} people and {} touches, {DEALS} deals come: {} ms, then {batches} batches of {} ms; {updates} updates",
        people * TOUCHES,
        first / 1_000_000,
        later / 1_000_000
    );
    bench.batch(&(0..OTHERS).map(|number| arrive(people + number, 1 + number / 4)).collect::<Vec<_>>());
    let others = |round: usize| {
        (0..BATCH).map(move |event| {
            let number = event.wrapping_mul(7_919) % OTHERS;
            item(people + number, 1 + number / 4, touch(10_000_000 + round * BATCH + event))
        })
    };
    let alone: u128 = (0..ROUNDS).map(|round| bench.batch(&others(round).collect::<Vec<_>>()).0).sum();
    let (mut beside, mut worst) = (0, 0);
    for round in 0..ROUNDS {
        let late = (0..50).map(|event| item((event * 37 + round) % people, 0, touch(20_000_000 + round * 50 + event)));
        let records: Vec<_> = others(ROUNDS + round).chain(late).chain([deal_of(round, 2 + round as u64)]).collect();
        let (spent, _) = bench.batch(&records);
        (beside, worst) = (beside + spent, worst.max(spent));
    }
    let (rest, batches) = finish(&mut bench);
    println!(
        "  others at {} % of their rate beside it; longest batch {} ms; then {batches} batches of {} ms until it has settled",
        alone * 100 / beside,
        worst / 1_000_000,
        rest / 1_000_000
    );
}

fn main() {
    for people in [100, 1_000, 10_000] {
        hot_account(people);
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    println!("peak memory: {}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or("not known here"));
    for people in [200, 2_000, 20_000] {
        touches_without_milestone(people);
    }
    for count in [10, 100, 1_000] {
        recompute(count);
    }
}
