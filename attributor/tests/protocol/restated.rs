//! What a deal says when something about it comes late, changes, moves or goes: its rows, its reasons and its deltas.

use std::collections::BTreeMap;
use std::sync::Arc;

use tributary_attributor::plan::Plan;
use tributary_attributor::settings::Settings;
use tributary_attributor::stage::AttributorStage;
use tributary_proto::attributor_message::Body;
use tributary_proto::kind::Kinds;
use tributary_proto::{AttributorMessage, Item, Message, Milestone, Reason, StoredTrack, item};
use tributary_runtime::stage::{Context, Outbox, PartitionSlice, Record, Stage, StageError};
use tributary_runtime::state::{EmptyBase, Overlay};
use tributary_runtime::topic::Topic;

use super::harness::{Row, RowKey, World, milestone, touch};
use super::naive;

const UNIT: &str = "a:crm_account:001B";
const DAY_MS: i64 = 86_400_000;

/// Two people of one account with two touches each, and a deal won on day 10; with the number of updates that it took.
fn deal(partitions: u32) -> (World, usize) {
    let mut world = World::new(Settings::default(), partitions, 7);
    for name in ["anna", "bert"] {
        world.identity.place(name, UNIT, &format!("p_{name}"), "", false);
        world.identity.touch(name, touch(&format!("{name}1"), DAY_MS, "email"));
        world.identity.touch(name, touch(&format!("{name}2"), 2 * DAY_MS, "events"));
    }
    world.identity.milestone("anna", milestone("closed_won", "6", 10 * DAY_MS, 1_000));
    world.take_identity();
    while world.step() {}
    (0..partitions).for_each(|at| world.end_batch(at));
    let table = world.settled();
    assert_eq!(table, naive(&world));
    assert_eq!(linear(&table).len(), 4);
    assert!(world.updates.iter().all(|update| update.reason() == Reason::Milestone && update.revision == 1));
    let since = world.updates.len();
    (world, since)
}

fn linear(table: &BTreeMap<RowKey, Row>) -> Vec<(&str, i64)> {
    table
        .iter()
        .filter(|((_, model, _), _)| model == "linear")
        .map(|((.., touch), row)| (touch.as_str(), row.value_minor))
        .collect()
}

/// The one reason of the updates since [`deal`], which lead to the naive table.
fn reason_of_change(world: &mut World, since: usize) -> Reason {
    let table = world.settled();
    assert_eq!(table, naive(world));
    let reasons: Vec<Reason> = world.updates[since..].iter().map(|update| update.reason()).collect();
    assert!(!reasons.is_empty() && reasons.iter().all(|reason| *reason == reasons[0]), "{reasons:?}");
    // What is taken back under an old face has a revision of its own.
    let most = if world.updates[since..].iter().any(|update| update.revision == 3) { 3 } else { 2 };
    assert!(world.updates[since..].iter().all(|update| (2..=most).contains(&update.revision)));
    reasons[0]
}

#[test]
fn a_late_touch_restates_the_deal() {
    let (mut world, since) = deal(3);
    world.identity.touch("bert", touch("late", 3 * DAY_MS, "social"));
    assert_eq!(reason_of_change(&mut world, since), Reason::LateTouch);
    assert_eq!(linear(&world.table()).len(), 5);
}

#[test]
fn a_touch_that_affects_nothing_publishes_nothing() {
    let (mut world, since) = deal(3);
    world.identity.touch("bert", touch("after", 11 * DAY_MS, "social"));
    world.identity.touch("bert", touch("long before", -600 * DAY_MS, "social"));
    world.identity.touch("bert", touch("bert1", DAY_MS, "email"));
    let journeys = world.counts[&("tributary_journeys_computed_total", "")];
    world.drain();
    assert_eq!(world.updates.len(), since);
    assert_eq!(world.counts[&("tributary_journeys_computed_total", "")], journeys + 1, "only the duplicate lies in the window");
}

#[test]
fn a_repeated_report_changes_no_credit_and_is_counted_in_the_milestones_row() {
    let (mut world, since) = deal(2);
    world.drain();
    let (journeys, rows) = (("tributary_journeys_computed_total", ""), ("tributary_milestone_rows_total", "said"));
    let before = (world.counts[&journeys], world.counts[&rows]);
    world.identity.milestone("anna", Milestone { versions: 2, ..milestone("closed_won", "6", 10 * DAY_MS, 1_000) });
    world.drain();
    assert_eq!(world.updates.len(), since);
    assert_eq!((world.counts[&journeys], world.counts[&rows]), (before.0 + 1, before.1 + 1), "only it is computed");
    world.identity.touch("bert", touch("late", 3 * DAY_MS, "social"));
    assert_eq!(reason_of_change(&mut world, since), Reason::LateTouch, "the repeated report has amended nothing");
}

#[test]
fn an_amended_value_changes_values_only() {
    let (mut world, since) = deal(2);
    world.identity.milestone("anna", milestone("closed_won", "6", 10 * DAY_MS, 2_000));
    assert_eq!(reason_of_change(&mut world, since), Reason::Amended);
    assert_eq!(linear(&world.table()).iter().map(|(_, value)| value).sum::<i64>(), 2_000);
}

#[test]
fn a_withdrawn_deal_has_no_rows_and_one_that_returns_has_them_again() {
    let (mut world, since) = deal(2);
    let won = milestone("closed_won", "6", 10 * DAY_MS, 1_000);
    world.identity.milestone("anna", Milestone { withdrawn: true, ..won.clone() });
    assert_eq!(reason_of_change(&mut world, since), Reason::Withdrawn);
    assert!(world.table().is_empty());
    world.identity.milestone("anna", won);
    let table = world.settled();
    assert_eq!(table, naive(&world));
    assert_eq!(linear(&table).len(), 4);
}

#[test]
fn revoked_consent_takes_a_persons_touches_out() {
    let (mut world, since) = deal(2);
    world.identity.place("bert", UNIT, "p_bert", "", true);
    assert_eq!(reason_of_change(&mut world, since), Reason::Identity);
    assert_eq!(linear(&world.table()).iter().map(|(touch, _)| *touch).collect::<Vec<_>>(), ["anna1", "anna2"]);
}

#[test]
fn erased_touches_leave_the_state_and_their_credit_goes_to_the_others() {
    let (mut world, since) = deal(3);
    world.drain();
    assert!(world.holds(b"bert1"));
    world.identity.erase("bert", 0, DAY_MS);
    assert_eq!(reason_of_change(&mut world, since), Reason::Erased);
    assert_eq!(linear(&world.table()).iter().map(|(touch, _)| *touch).collect::<Vec<_>>(), ["anna1", "anna2", "bert2"]);
    assert_eq!(world.counts[&("tributary_touches_erased_total", "dropped")], 1);
    assert!(!world.holds(b"bert1"), "the changelog has a tombstone for every value that names it");
}

#[test]
fn an_erased_milestone_has_no_rows() {
    let (mut world, since) = deal(2);
    world.identity.erase_milestone("closed_won:6");
    assert_eq!(reason_of_change(&mut world, since), Reason::Erased);
    assert!(world.table().is_empty());
}

#[test]
fn everybody_revoked_is_unattributed() {
    let (mut world, _) = deal(2);
    world.identity.place("anna", UNIT, "p_anna", "", true);
    world.identity.place("bert", UNIT, "p_bert", "", true);
    assert_eq!(linear(&world.settled()), [("unattributed", 1_000)]);
}

#[test]
fn an_anchor_that_moves_takes_its_deal_and_its_touches_along() {
    for partitions in [1, 2, 5] {
        let (mut world, since) = deal(partitions);
        world.identity.place("anna", "a:crm_account:002C", "p_anna", "", false);
        assert_eq!(reason_of_change(&mut world, since), Reason::Identity);
        let table = world.table();
        assert_eq!(linear(&table).iter().map(|(touch, _)| *touch).collect::<Vec<_>>(), ["anna1", "anna2"]);
        assert!(table.values().all(|row| row.account_id == "002C"));
    }
}

/// The updates of one model since [`deal`]: touch, profile, weight, its change, and the revision.
fn said<'w>(world: &'w World, since: usize, model: &str) -> Vec<(&'w str, &'w str, i64, i64, u64)> {
    let of_model = world.updates[since..].iter().filter(|update| update.model == model);
    of_model
        .map(|update| {
            (
                update.touch_id.as_str(),
                update.profile_id.as_str(),
                update.weight_nano,
                update.delta_weight_nano,
                update.revision,
            )
        })
        .collect()
}

#[test]
fn a_new_profile_gets_what_the_old_one_gives_back() {
    let (mut world, since) = deal(2);
    world.identity.place("bert", UNIT, "p_older", "", false);
    world.drain();
    let quarter = 250_000_000;
    let expected = [
        ("bert1", "p_bert", 0, -quarter, 2),
        ("bert2", "p_bert", 0, -quarter, 2),
        ("bert1", "p_older", quarter, quarter, 3),
        ("bert2", "p_older", quarter, quarter, 3),
    ];
    assert_eq!(said(&world, since, "linear"), expected, "nothing is said of the two touches that stay");
}

/// A column, as text.
type Column = fn(&Row) -> String;

/// Sums of a model's deltas by one column; those that are nothing are left out.
fn value_by(world: &World, model: &str, column: Column) -> BTreeMap<String, i64> {
    let mut sums: BTreeMap<String, i64> = BTreeMap::new();
    for update in world.updates.iter().filter(|update| update.model == model) {
        *sums.entry(column(update)).or_default() += update.delta_value_minor;
    }
    sums.retain(|_, sum| *sum != 0);
    sums
}

#[test]
fn the_columns_of_a_milestone_change_by_retraction_and_new_row() {
    let won = milestone("closed_won", "6", 10 * DAY_MS, 1_000);
    let currency = Milestone { currency: "USD".into(), ..won.clone() };
    let month = Milestone { time_ms: 40 * DAY_MS, ..won.clone() };
    let all = Milestone { time_ms: 40 * DAY_MS, value_minor: 3_000, currency: "USD".into(), ..won.clone() };
    let time: Column = |row| (row.milestone_time / DAY_MS).to_string();
    let in_what: Column = |row| row.currency.clone();
    let before = won.currency.as_str();
    let cases: [(Milestone, Column, &str, &str, i64); 4] = [
        (currency, in_what, before, "USD", 1_000),
        (month, time, "10", "40", 1_000),
        (all.clone(), time, "10", "40", 3_000),
        (all, in_what, before, "USD", 3_000),
    ];
    for (amended, column, from, to, value) in cases {
        let (mut world, since) = deal(2);
        assert_eq!(value_by(&world, "u_shaped", column), [(from.to_owned(), 1_000)].into());
        world.identity.milestone("anna", amended);
        assert_eq!(reason_of_change(&mut world, since), Reason::Amended);
        assert_eq!(value_by(&world, "u_shaped", column), [(to.to_owned(), value)].into());
    }
}

#[test]
fn a_deal_that_moves_to_another_account_leaves_nothing_at_the_first() {
    let (mut world, since) = deal(2);
    let account: Column = |row| row.account_id.clone();
    world.identity.place("anna", "a:crm_account:002C", "p_anna", "", false);
    world.drain();
    assert_eq!(value_by(&world, "linear", account), [("002C".to_owned(), 1_000)].into());
    let retracted: Vec<_> = said(&world, since, "linear").into_iter().filter(|(_, _, weight, ..)| *weight == 0).collect();
    assert_eq!(retracted.len(), 4, "each row once, also those of the touches that stay behind");
}

#[test]
fn a_milestone_withdrawn_and_amended_at_once_is_retracted_once_and_returns_with_new_columns() {
    let (mut world, since) = deal(2);
    let amended = Milestone { currency: "USD".into(), ..milestone("closed_won", "6", 40 * DAY_MS, 7_000) };
    world.identity.milestone("anna", Milestone { withdrawn: true, ..amended.clone() });
    assert_eq!(reason_of_change(&mut world, since), Reason::Withdrawn);
    let month: Column = |row| (row.milestone_time / DAY_MS).to_string();
    assert_eq!(said(&world, since, "linear").len(), 4);
    assert!(world.updates[since..].iter().all(|update| month(update) == "10" && update.currency != "USD"));
    assert_eq!(value_by(&world, "linear", month), BTreeMap::new());

    let since = world.updates.len();
    world.identity.milestone("anna", amended);
    world.drain();
    assert!(said(&world, since, "linear").iter().all(|(.., weight, delta, _)| weight == delta && *weight > 0));
    assert_eq!(value_by(&world, "linear", month), [("40".to_owned(), 7_000)].into());
    world.table();
}

#[test]
fn a_milestone_of_no_value_moves_its_weights() {
    let mut world = World::new(Settings::default(), 2, 7);
    world.identity.place("anna", UNIT, "p_anna", "", false);
    world.identity.milestone("anna", milestone("mql", "1", 10 * DAY_MS, 0));
    world.drain();
    assert_eq!(said(&world, 0, "linear"), [("unattributed", "", 1_000_000_000, 1_000_000_000, 1)]);
    world.identity.milestone("anna", milestone("mql", "1", 40 * DAY_MS, 0));
    let table = world.settled();
    assert_eq!(table, naive(&world));
    let whole = 1_000_000_000;
    let expected =
        [("unattributed", "", whole, whole, 1), ("unattributed", "", 0, -whole, 2), ("unattributed", "", whole, whole, 3)];
    assert_eq!(said(&world, 0, "linear"), expected);
}

#[test]
fn a_throttled_unit_catches_up() {
    let mut world = World::resting(Settings::default(), 1, 7, Some(0));
    world.identity.place("anna", UNIT, "p_anna", "", false);
    world.identity.touch("anna", touch("first", DAY_MS, "email"));
    world.identity.milestone("anna", milestone("closed_won", "6", 10 * DAY_MS, 1_000));
    world.take_identity();
    while world.step() {}
    world.end_batch(0);
    assert_eq!(linear(&world.table()), [("first", 1_000)], "computed at once: it has cost nothing yet");

    // The wake-up call waits behind more records than the unit has cost, and only then is what came in between computed.
    world.identity.touch("anna", touch("late", 2 * DAY_MS, "events"));
    world.take_identity();
    world.step_of(0, true);
    world.end_batch(0);
    assert_eq!(world.counts[&("tributary_journeys_put_off_total", "")], 1);
    assert_eq!(linear(&world.table()), [("first", 1_000)]);
    assert_eq!(linear(&world.settled()), [("first", 500), ("late", 500)]);
    assert_eq!(world.table(), naive(&world));
    assert_eq!(world.updates.last().unwrap().reason(), Reason::LateTouch);
}

#[test]
fn more_than_a_message_holds_travels_in_parts() {
    let mut world = World::new(Settings::default(), 4, 1);
    world.identity.place("anna", UNIT, "p_anna", "", false);
    for number in 0..300 {
        let mut big = touch(&format!("e{number}"), number * DAY_MS / 2, &format!("c{}", number % 7));
        big.touch.as_mut().unwrap().source = "s".repeat(4_000);
        world.identity.touch("anna", big);
    }
    world.identity.milestone("anna", milestone("closed_won", "6", 200 * DAY_MS, 1_000));
    world.drain();
    world.identity.place("anna", "a:crm_account:002C", "p_anna", "", false);
    let table = world.settled();
    assert_eq!(table, naive(&world));
    assert_eq!(linear(&table).len(), 300);
    assert!(world.counts[&("tributary_hand_overs_total", "")] > 4);
}

#[test]
fn another_model_is_remodelled_and_a_dropped_one_retracted() {
    let (mut world, since) = deal(2);
    let mut settings = Settings::default();
    settings.models.remove(0);
    settings.models[4].half_life_days = Some(5.0);
    world.replan(settings);
    world.identity.touch("bert", touch("late", 3 * DAY_MS, "social"));
    let table = world.settled();
    assert_eq!(table, naive(&world));
    for update in &world.updates[since..] {
        let remodelled = ["first_touch", "time_decay"].contains(&update.model.as_str());
        let expected = if remodelled { Reason::Remodelled } else { Reason::LateTouch };
        assert_eq!(update.reason(), expected, "{}", update.model);
    }
}

#[test]
fn what_is_not_a_message_of_the_inbox_is_refused_and_changes_nothing() {
    let item = |what| Some(Body::Item(Item { identifier_hash: vec![1; 16], epoch: 0, what }));
    let negative = StoredTrack {
        milestone_id: "m".into(),
        stamp: 1,
        milestone: Some(milestone("mql", "1", 0, -1)),
        erased: false,
        at_ms: 0,
    };
    let records: [(Vec<u8>, &str); 6] = [
        (b"\xff\xff".to_vec(), "protobuf_malformed"),
        (Vec::new(), "protobuf_malformed"),
        (AttributorMessage { body: item(None) }.encode_to_vec(), "protobuf_malformed"),
        (AttributorMessage { body: Some(Body::Arrive(Default::default())) }.encode_to_vec(), "protobuf_malformed"),
        (AttributorMessage { body: Some(Body::CreditRows(Default::default())) }.encode_to_vec(), "protobuf_malformed"),
        (AttributorMessage { body: item(Some(item::What::Track(negative))) }.encode_to_vec(), "value_negative"),
    ];
    let plan = Arc::new(Plan::compile(&Settings::default(), &Kinds::default()).unwrap());
    let mut stage = AttributorStage::new(plan, PartitionSlice { partition: 0, partitions: 1 });
    let (mut state, mut outbox) = (Overlay::new(EmptyBase), Outbox::default());
    for (value, reason) in &records {
        let record =
            Record { topic: Topic::AttributorInbox, partition: 0, offset: 0, timestamp_ms: 0, key: UNIT.as_bytes(), value };
        let refused = stage.handle(&record, &mut Context { state: &mut state, outbox: &mut outbox });
        assert!(matches!(refused, Err(StageError::Rejected(rejection)) if rejection.reason.code() == *reason));
    }
    stage.end_batch(&mut Context { state: &mut state, outbox: &mut outbox }).unwrap();
    assert!(!state.is_dirty() && outbox.outputs.is_empty());
}
