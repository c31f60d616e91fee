//! What lies beyond the horizon: touches that no milestone within it can see are dropped, others never.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

mod harness;

use harness::{World, milestone, touch};
use tributary_attributor::settings::{Settings, Window};

const DAY_MS: i64 = 86_400_000;
const UNIT: &str = "a:crm_account:001B";
const OTHER: &str = "a:crm_account:002C";

/// Ten days of horizon and windows of two: what is more than twelve days older than its person's newest touch may go.
fn world(partitions: u32) -> World {
    let settings = Settings { horizon_days: 10, window: Window::LookbackDays(2), ..Settings::default() };
    let mut world = World::new(settings, partitions, 1);
    world.identity.place("anna", UNIT, "p_anna", "", false);
    world
}

fn touched(world: &mut World, touches: &[(&str, i64)]) {
    for (id, day) in touches {
        world.identity.touch("anna", touch(id, day * DAY_MS, "email"));
    }
}

fn credited(world: &mut World, milestone_id: &str) -> Vec<String> {
    let table = world.settled();
    let rows = table.into_keys().filter(|(milestone, model, _)| milestone == milestone_id && model == "linear");
    rows.map(|(_, _, touch)| touch).collect()
}

fn count(world: &World, metric: &'static str, label: &'static str) -> u64 {
    world.counts.get(&(metric, label)).copied().unwrap_or(0)
}

const DROPPED: &str = "tributary_touches_dropped_total";

#[test]
fn old_touches_are_dropped_except_those_in_the_window_of_a_milestone() {
    let mut world = world(1);
    touched(&mut world, &[("seen", 1), ("unseen", 5)]);
    world.identity.milestone("anna", milestone("closed_won", "1", 2 * DAY_MS, 100));
    touched(&mut world, &[("within", 19), ("newest", 31)]);
    world.drain();
    assert_eq!(count(&world, DROPPED, "dropped"), 1);
    assert!(!world.holds(b"unseen") && world.holds(b"seen") && world.holds(b"within"));

    world.identity.milestone("anna", milestone("closed_won", "1", 2 * DAY_MS, 200));
    assert_eq!(credited(&mut world, "closed_won:1"), ["seen"]);
    assert_eq!(count(&world, "tributary_journeys_beyond_horizon_total", ""), 1);
    world.identity.milestone("anna", milestone("closed_won", "2", 21 * DAY_MS, 300));
    assert_eq!(credited(&mut world, "closed_won:2"), ["within"]);
    assert_eq!(count(&world, "tributary_journeys_beyond_horizon_total", ""), 1, "ten days back is within");
}

#[test]
fn a_touch_beyond_the_horizon_is_refused_unless_it_is_in_the_window_of_a_milestone() {
    let mut world = world(1);
    touched(&mut world, &[("newest", 31)]);
    world.identity.milestone("anna", milestone("closed_won", "1", 2 * DAY_MS, 100));
    world.drain();
    touched(&mut world, &[("refused", 5), ("seen", 1), ("just_in_reach", 19)]);
    assert_eq!(credited(&mut world, "closed_won:1"), ["seen"]);
    assert_eq!((count(&world, DROPPED, "refused"), count(&world, DROPPED, "dropped")), (1, 0));
    assert!(!world.holds(b"refused") && world.holds(b"just_in_reach"));
}

#[test]
fn touches_in_the_window_of_a_milestone_move_along_with_it() {
    for partitions in [1, 2, 5] {
        let mut world = world(partitions);
        touched(&mut world, &[("seen", 1)]);
        world.identity.milestone("anna", milestone("closed_won", "1", 2 * DAY_MS, 100));
        touched(&mut world, &[("newest", 31)]);
        world.drain();
        world.identity.place("anna", OTHER, "p_anna", "", false);
        assert_eq!(credited(&mut world, "closed_won:1"), ["seen"]);
        touched(&mut world, &[("newer", 61), ("refused", 5)]);
        world.identity.milestone("anna", milestone("closed_won", "1", 2 * DAY_MS, 200));
        assert_eq!(credited(&mut world, "closed_won:1"), ["seen"]);
        assert_eq!(count(&world, DROPPED, "refused"), 1, "the new unit knows how far back to look");
    }
}

#[test]
fn every_identifier_has_its_own_horizon() {
    let mut world = world(1);
    world.identity.place("bert", UNIT, "p_bert", "", false);
    touched(&mut world, &[("annas", 1)]);
    world.identity.touch("bert", touch("berts", 90 * DAY_MS, "email"));
    world.drain();
    assert!(world.holds(b"annas"), "anna may be un-merged from bert, and her milestones be found within the horizon");
}

/// The row of a touch was taken back when it was dropped. A copy of it comes to the unit that its person has moved to, where a milestone
/// sees it: that row must count for whoever keeps the highest revision.
#[test]
fn a_dropped_touch_that_comes_again_elsewhere_has_a_row_above_the_one_that_ended_it() {
    for seed in 0..40 {
        let mut world = world(2);
        world.reseed(seed);
        world.identity.place("bert", OTHER, "p_bert", "", false);
        world.identity.milestone("bert", milestone("closed_won", "1", 2 * DAY_MS, 100));
        touched(&mut world, &[("again", 1), ("newest", 31)]);
        world.drain();
        assert_eq!(world.rows.iter().filter(|row| row.erased).count(), 1);
        // Nothing that is left is handed over.
        world.identity.place_by_time("anna", &[(i64::MIN, OTHER), (20 * DAY_MS, UNIT)], "p_anna", "", false);
        touched(&mut world, &[("again", 1)]);
        assert_eq!(credited(&mut world, "closed_won:1"), ["again"]);
        let key = &world.rows.iter().find(|row| row.touch_id == "again").unwrap().touchpoint_id;
        let highest = world.rows.iter().filter(|row| row.touchpoint_id == *key).max_by_key(|row| row.revision).unwrap();
        assert!(!highest.erased, "seed {seed}");
    }
}
