//! Placements by time: whatever overtakes what, everything sits in the unit of its time in the end.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

mod harness;

use harness::{World, milestone, touch};
use proptest::prelude::*;
use tributary_attributor::settings::Settings;
use tributary_proto::{Milestone, Reason};

const DAY_MS: i64 = 86_400_000;
/// In three of three partitions.
const UNITS: [&str; 3] = ["a:crm_account:001", "a:crm_account:002", "a:crm_account:005"];
const WON: &str = "closed_won:6";

/// Anna's touches of these days, all known to identity and none yet sent.
fn world(touches: &[i64]) -> World {
    let mut world = World::new(Settings::default(), 3, 1);
    world.identity.place("anna", UNITS[0], "p_anna", "", false);
    for day in touches {
        world.identity.touch("anna", touch(&format!("day{day}"), day * DAY_MS, "email"));
    }
    world
}

fn moves(world: &mut World, spans: &[(i64, usize)]) {
    let spans: Vec<_> = spans.iter().map(|(day, unit)| (day.saturating_mul(DAY_MS), UNITS[*unit])).collect();
    world.identity.place_by_time("anna", &spans, "p_anna", "", false);
}

/// Every touch and milestone of anna's is in the unit of its time, and nowhere else.
fn check_homes(world: &mut World) {
    check_homes_of(world, "anna");
}

fn check_homes_of(world: &mut World, name: &str) {
    let placement = world.identity.placements[name].clone();
    for unit in UNITS {
        let there = world.brought(unit, name);
        let touches = world.identity.touches.get(name).cloned().unwrap_or_default();
        let home = |time_ms: i64| placement.at(time_ms).0 == unit;
        assert_eq!(there.touches, touches.iter().filter(|touch| home(touch.time_ms)).count(), "touches of {unit}");
        let milestones = world.identity.milestones.values();
        let milestones = milestones.filter(|(anchor, ..)| anchor == name).map(|(_, _, milestone)| milestone);
        let mut expected: Vec<Milestone> = milestones.filter(|milestone| home(milestone.time_ms)).cloned().collect();
        expected.sort_by(|a, b| (a.time_ms, &a.milestone_id).cmp(&(b.time_ms, &b.milestone_id)));
        assert_eq!(there.milestones, expected, "milestones of {unit}");
    }
}

/// The linear credit of the deal: account, and the days of the touches.
fn linear(world: &mut World) -> (Vec<String>, Vec<String>) {
    let table = world.settled();
    let rows: Vec<_> = table.values().filter(|row| row.milestone_id == WON && row.model == "linear").collect();
    let mut accounts: Vec<String> = rows.iter().map(|row| row.account_id.clone()).collect();
    accounts.dedup();
    (accounts, rows.iter().map(|row| row.touch_id.clone()).collect())
}

/// Runs a scene once for every order in which its messages can arrive.
fn in_every_order(scene: impl Fn() -> World, check: impl Fn(&mut World)) -> usize {
    let (mut choices, mut runs): (Vec<(usize, usize)>, usize) = (Vec::new(), 0);
    loop {
        let mut world = scene();
        world.take_identity();
        for step in 0.. {
            let waiting = world.waiting();
            if waiting.is_empty() {
                break;
            }
            if step == choices.len() {
                choices.push((0, waiting.len()));
            }
            world.deliver(waiting[choices[step].0]);
        }
        world.drain();
        check(&mut world);
        runs += 1;
        while let Some((chosen, of)) = choices.pop() {
            if chosen + 1 < of {
                choices.push((chosen + 1, of));
                break;
            }
        }
        if choices.is_empty() {
            return runs;
        }
    }
}

#[test]
fn a_change_of_company_moves_what_comes_after_it() {
    // The deal was won on day 10, before, at and after the change.
    for (change, account, days) in [
        (11, "001", vec!["day1", "day9"]),
        (10, "002", vec![]),
        (9, "002", vec!["day9"]),
        (5, "002", vec!["day9"]),
        (i64::MIN, "002", vec!["day1", "day9"]),
    ] {
        let mut world = world(&[1, 9, 20]);
        world.identity.milestone("anna", milestone("closed_won", "6", 10 * DAY_MS, 1_000));
        world.drain();
        let since = world.updates.len();
        moves(&mut world, &[(i64::MIN, 0), (change, 1)]);
        let days: Vec<String> =
            if days.is_empty() { vec!["unattributed".into()] } else { days.iter().map(|day| (*day).into()).collect() };
        assert_eq!(linear(&mut world), (vec![account.to_owned()], days), "change on day {change}");
        assert!(world.updates[since..].iter().all(|update| update.reason() == Reason::Identity));
        check_homes(&mut world);
    }
}

#[test]
fn a_change_after_all_deals_publishes_nothing() {
    let mut world = world(&[1, 9, 20]);
    world.identity.milestone("anna", milestone("closed_won", "6", 10 * DAY_MS, 1_000));
    world.drain();
    let (said, journeys) = (world.updates.len(), world.counts[&("tributary_journeys_computed_total", "")]);
    moves(&mut world, &[(i64::MIN, 0), (15, 1)]);
    world.drain();
    assert_eq!((world.updates.len(), world.counts[&("tributary_journeys_computed_total", "")]), (said, journeys));
    assert_eq!(world.counts[&("tributary_hand_over_touches_total", "")], 1, "what stays is not touched");
    check_homes(&mut world);
}

#[test]
fn two_changes_and_one_back_in_any_order_of_arrival() {
    let runs = in_every_order(
        || {
            let mut world = world(&[1, 9]);
            moves(&mut world, &[(i64::MIN, 0), (5, 1)]);
            world.identity.milestone("anna", milestone("closed_won", "6", 10 * DAY_MS, 1_000));
            moves(&mut world, &[(i64::MIN, 2), (8, 0)]);
            world
        },
        |world| {
            assert_eq!(linear(world), (vec!["001".to_owned()], vec!["day9".to_owned()]));
            check_homes(world);
        },
    );
    assert!(runs > 500, "{runs}");
}

#[test]
fn a_deal_whose_time_changes_ends_up_in_one_unit() {
    let runs = in_every_order(
        || {
            let mut world = world(&[1]);
            moves(&mut world, &[(i64::MIN, 0), (5, 1)]);
            world.identity.milestone("anna", milestone("closed_won", "6", 10 * DAY_MS, 1_000));
            world.identity.milestone("anna", milestone("closed_won", "6", 2 * DAY_MS, 1_000));
            moves(&mut world, &[(i64::MIN, 2), (9, 0)]);
            world
        },
        |world| {
            assert_eq!(linear(world), (vec!["005".to_owned()], vec!["day1".to_owned()]));
            check_homes(world);
        },
    );
    assert!(runs > 500, "{runs}");
}

#[test]
fn a_message_delivered_twice_changes_nothing() {
    let mut world = world(&[1, 9]);
    moves(&mut world, &[(i64::MIN, 0), (5, 1)]);
    world.identity.milestone("anna", milestone("closed_won", "6", 10 * DAY_MS, 1_000));
    world.drain();
    let said = world.updates.len();
    world.identity.arrive_all("anna");
    world.drain();
    assert_eq!(world.updates.len(), said);
    check_homes(&mut world);
}

#[test]
fn touches_of_merged_people_stay_in_the_unit_of_their_time() {
    let mut world = world(&[1, 9]);
    world.identity.place_by_time("bert", &[(i64::MIN, UNITS[2]), (8 * DAY_MS, UNITS[1])], "p_bert", "", false);
    world.identity.touch("bert", touch("bert1", DAY_MS, "email"));
    world.identity.touch("bert", touch("bert9", 9 * DAY_MS, "email"));
    world.identity.milestone("bert", milestone("closed_won", "6", 10 * DAY_MS, 1_000));
    assert_eq!(linear(&mut world), (vec!["002".to_owned()], vec!["bert9".to_owned()]));
    for name in ["anna", "bert"] {
        let spans = [(i64::MIN, UNITS[0]), (8 * DAY_MS, UNITS[1])];
        world.identity.place_by_time(name, &spans, "p_anna", "", false);
    }
    assert_eq!(linear(&mut world), (vec!["002".to_owned()], vec!["bert9".to_owned(), "day9".to_owned()]));
    check_homes_of(&mut world, "anna");
    check_homes_of(&mut world, "bert");
}

#[test]
fn a_retracted_row_stays_retracted_with_the_reason_amended() {
    let mut world = world(&[1, 9]);
    world.identity.milestone("anna", milestone("closed_won", "6", 10 * DAY_MS, 1_000));
    world.drain();
    let since = world.updates.len();
    world.identity.retract("anna", "day9");
    assert_eq!(linear(&mut world).1, ["day1"]);
    assert!(world.updates[since..].iter().all(|update| update.reason() == Reason::Amended));
    moves(&mut world, &[(i64::MIN, 1)]);
    assert_eq!(linear(&mut world).1, ["day1"]);
    assert!(!world.holds(b"day9"));
}

#[derive(Debug, Clone)]
enum Act {
    Move(Vec<(i64, usize)>),
    Touch(i64),
    Milestone(i64),
    Deliver(usize),
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => (0..3usize, prop::collection::btree_map(0..12i64, 0..3usize, 0..3)).prop_map(|(first, later)| {
            Act::Move([(i64::MIN, first)].into_iter().chain(later).collect())
        }),
        2 => (0..12i64).prop_map(Act::Touch),
        2 => (0..12i64).prop_map(Act::Milestone),
        3 => (1..6usize).prop_map(Act::Deliver),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]

    #[test]
    fn everything_sits_in_its_one_right_unit(acts in prop::collection::vec(act(), 1..30), seed in any::<u64>()) {
        let mut world = world(&[]);
        world.reseed(seed);
        for (act, number) in acts.iter().zip(0..) {
            match act {
                Act::Move(spans) => moves(&mut world, spans),
                Act::Touch(day) => world.identity.touch("anna", touch(&format!("e{number}"), day * DAY_MS, "email")),
                Act::Milestone(day) => world.identity.milestone("anna", milestone("closed_won", "6", day * DAY_MS, 1_000)),
                Act::Deliver(records) => {
                    world.take_identity();
                    for _ in 0..*records {
                        world.step();
                    }
                }
            }
        }
        world.drain();
        check_homes(&mut world);
        world.table();
    }
}
