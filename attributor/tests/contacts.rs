//! Roles of people in deals: what they weigh, and whose touches count.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

mod harness;

use harness::{World, milestone, touch};
use tributary_attributor::settings::{Contacts, ModelSettings, MultiplierSettings, Settings};
use tributary_proto::Reason;

const DAY_MS: i64 = 86_400_000;
const UNIT: &str = "a:crm_account:001B";
const OTHER: &str = "a:crm_account:002C";

/// Three people of one account with a touch each, and a deal. A decision maker's touch weighs three times as much.
fn world(contacts: Contacts) -> World {
    let multipliers = MultiplierSettings { role: [("decision_maker".to_owned(), 3.0)].into(), ..MultiplierSettings::default() };
    let model = ModelSettings { name: "linear".into(), rule: "linear".into(), multipliers, ..ModelSettings::default() };
    let mut world = World::new(Settings { models: vec![model], contacts, ..Settings::default() }, 2, 1);
    for (name, role, day) in [("anna", "", 1), ("bert", "", 2), ("carl", "decision_maker", 3)] {
        world.identity.place(name, UNIT, &format!("p_{name}"), role, false);
        world.identity.touch(name, touch(name, day * DAY_MS, "email"));
    }
    world.identity.milestone("anna", milestone("closed_won", "6", 10 * DAY_MS, 1_000));
    world
}

fn values(world: &mut World) -> Vec<(String, i64)> {
    world.settled().values().map(|row| (row.touch_id.clone(), row.value_minor)).collect()
}

fn rows(rows: &[(&str, i64)]) -> Vec<(String, i64)> {
    rows.iter().map(|(touch, value)| ((*touch).to_owned(), *value)).collect()
}

#[test]
fn a_role_in_the_deal_comes_before_the_one_in_general() {
    let mut world = world(Contacts::Account);
    assert_eq!(values(&mut world), rows(&[("anna", 200), ("bert", 200), ("carl", 600)]));
    let since = world.updates.len();
    // Written as people and CRMs write it; what somebody is in another deal does not count.
    world.identity.cast("anna", &[("6", "Decision Maker")]);
    world.identity.cast("bert", &[("7", "决策者")]);
    world.identity.cast("carl", &[("6", "Blocker")]);
    assert_eq!(values(&mut world), rows(&[("anna", 600), ("bert", 200), ("carl", 200)]));
    assert!(world.updates[since..].iter().all(|update| update.reason() == Reason::Identity));
    world.identity.cast("carl", &[("6", "")]);
    assert_eq!(values(&mut world), rows(&[("anna", 429), ("bert", 143), ("carl", 428)]));
    world.identity.cast("carl", &[]);
    world.identity.cast("anna", &[]);
    assert_eq!(values(&mut world), rows(&[("anna", 200), ("bert", 200), ("carl", 600)]));
}

#[test]
fn only_people_named_by_the_deal_count_if_it_names_any() {
    let mut world = world(Contacts::Named);
    assert_eq!(values(&mut world).len(), 3, "it names nobody yet");
    world.identity.cast("bert", &[("6", "")]);
    assert_eq!(values(&mut world), rows(&[("bert", 1_000)]));
    // The role is the person's, whichever identifier has it.
    world.identity.place("bert_at_home", UNIT, "p_bert", "", false);
    world.identity.touch("bert_at_home", touch("bert2", 2 * DAY_MS, "email"));
    assert_eq!(values(&mut world), rows(&[("bert", 500), ("bert2", 500)]));
    world.identity.place("bert", UNIT, "p_bert_alone", "", false);
    assert_eq!(values(&mut world), rows(&[("bert", 1_000)]));
    world.identity.place("bert", OTHER, "p_bert_alone", "", false);
    assert_eq!(values(&mut world).len(), 3, "who is in another unit is not of this one");
    world.identity.place("bert", UNIT, "p_bert_alone", "", false);
    assert_eq!(values(&mut world), rows(&[("bert", 1_000)]));
}

#[test]
fn a_change_of_roles_that_nothing_weighs_computes_nothing() {
    let mut world = World::new(Settings::default(), 1, 1);
    world.identity.place("anna", UNIT, "p_anna", "", false);
    world.identity.touch("anna", touch("anna", DAY_MS, "email"));
    world.identity.milestone("anna", milestone("closed_won", "6", 10 * DAY_MS, 1_000));
    world.drain();
    let journeys = world.counts[&("tributary_journeys_computed_total", "")];
    world.identity.cast("anna", &[("6", "Decision Maker")]);
    world.drain();
    assert_eq!(world.counts[&("tributary_journeys_computed_total", "")], journeys);
}
