//! Changed settings take hold of everything, whether anything else happens or not.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

mod harness;

use std::collections::BTreeMap;

use harness::{Row, RowKey, World, milestone, touch};
use tributary_attributor::settings::{Settings, Window};
use tributary_proto::Reason;

const DAY_MS: i64 = 86_400_000;

/// Twenty accounts with two people, four touches and two milestones each.
fn world(settings: Settings, partitions: u32) -> World {
    let mut world = World::new(settings, partitions, 3);
    tell(&mut world);
    world.drain();
    world
}

fn tell(world: &mut World) {
    for number in 0..20 {
        let (unit, anna, bert) = (format!("a:crm_account:{number}"), format!("anna{number}"), format!("bert{number}"));
        for name in [&anna, &bert] {
            world.identity.place(name, &unit, &format!("p_{name}"), "", false);
            world.identity.touch(name, touch(&format!("{name}-1"), DAY_MS, "email"));
            world.identity.touch(name, touch(&format!("{name}-2"), 5 * DAY_MS, "events"));
        }
        world.identity.milestone(&anna, milestone("opportunity", &number.to_string(), 4 * DAY_MS, 0));
        world.identity.milestone(&bert, milestone("closed_won", &number.to_string(), 10 * DAY_MS, 1_000));
    }
}

/// The table that these settings give where there were no others.
fn expected(settings: &Settings) -> BTreeMap<RowKey, Row> {
    world(settings.clone(), 1).table()
}

fn changed() -> Settings {
    let mut settings = Settings { window: Window::LookbackDays(8), ..Settings::default() };
    settings.models.remove(0);
    settings.models[4].half_life_days = Some(5.0);
    settings
}

fn passes(world: &World) -> (u64, u64) {
    let count = |state| world.counts.get(&("tributary_remodels_total", state)).copied().unwrap_or_default();
    (count("begun"), count("finished"))
}

#[test]
fn everything_is_computed_by_changed_settings_with_nothing_else_happening() {
    for partitions in [1, 3] {
        let mut world = world(Settings::default(), partitions);
        assert_eq!(passes(&world), (0, 0), "what is new has no settings but these");
        let since = world.updates.len();
        world.replan(changed());
        assert_eq!(world.settled(), expected(&changed()));
        assert!(world.updates[since..].iter().all(|update| update.reason() == Reason::Remodelled));
        assert_eq!(passes(&world), (u64::from(partitions), u64::from(partitions)));
        assert_eq!(world.counts[&("tributary_remodelled_units_total", "")], 20);

        let said = world.updates.len();
        world.replan(changed());
        world.drain();
        assert_eq!((world.updates.len(), passes(&world).0), (said, u64::from(partitions)), "the same settings change nothing");
        world.replan(Settings::default());
        assert_eq!(world.settled(), expected(&Settings::default()));
    }
}

#[test]
fn a_kind_that_no_longer_has_models_and_one_that_has_a_window_of_its_own_are_computed_too() {
    let mut world = world(Settings::default(), 2);
    let kinds = "[milestones.opportunity]\nmodels = []\n[milestones.closed_won]\nwindow = { lookback_days = 6 }";
    let settings: Settings = toml::from_str(kinds).unwrap();
    world.replan(settings.clone());
    let table = world.settled();
    assert_eq!(table, expected(&settings));
    assert!(table.keys().all(|(milestone, ..)| milestone.starts_with("closed_won:")));
}

#[test]
fn an_interrupted_pass_continues_and_a_pass_started_twice_is_done_once() {
    let mut world = World::resting(Settings::default(), 1, 3, Some(60));
    tell(&mut world);
    world.drain();
    world.replan(changed());
    world.take_over(0);
    let units = |world: &World| world.counts.get(&("tributary_remodelled_units_total", "")).copied().unwrap_or_default();
    // Time and again somebody else takes the partition over, who knows what is committed.
    for _ in 0..6 {
        world.step();
        world.end_batch(0);
        world.take_over(0);
    }
    assert!((1..20).contains(&units(&world)), "{}", units(&world));
    let other = Settings { window: Window::Lifecycle, ..changed() };
    world.replan(other);
    for _ in 0..20 {
        world.step();
    }
    world.end_batch(0);
    let before = units(&world);
    world.replan(changed());
    assert_eq!(world.settled(), expected(&changed()));
    assert_eq!(units(&world), before + 20, "what a third plan has computed since is computed again, once");
    assert_eq!(passes(&world), (3, 1));
}

#[test]
fn new_events_are_handled_beside_it() {
    let mut world = World::resting(Settings::default(), 1, 3, Some(5));
    tell(&mut world);
    world.drain();
    world.replan(changed());
    for number in 0..20 {
        let name = format!("anna{number}");
        world.identity.touch(&name, touch(&format!("{name}-3"), 7 * DAY_MS, "social"));
        world.take_identity();
        world.step();
        world.end_batch(0);
    }
    let mut fresh = World::new(changed(), 1, 3);
    tell(&mut fresh);
    for number in 0..20 {
        let name = format!("anna{number}");
        fresh.identity.touch(&name, touch(&format!("{name}-3"), 7 * DAY_MS, "social"));
    }
    assert_eq!(world.settled(), fresh.settled());
}

#[test]
fn an_instance_with_older_settings_takes_over_no_partition() {
    let mut world = World::resting(Settings::default(), 1, 3, Some(5));
    tell(&mut world);
    world.drain();
    world.replan_as(Settings::default(), 1).unwrap();
    assert_eq!(world.settled(), expected(&Settings::default()));
    assert_eq!(passes(&world), (0, 0), "the same settings are noted, and compute nothing");
    world.replan_as(changed(), 2).unwrap();
    // In the middle of it, and after it.
    world.step();
    world.end_batch(0);
    for settle in [false, true] {
        if settle {
            assert_eq!(world.settled(), expected(&changed()));
        }
        let said = world.updates.len();
        let refused = world.replan_as(Settings::default(), 1).unwrap_err().to_string();
        assert!(refused.contains("generation 2") && refused.contains("generation 1"), "{refused}");
        assert_eq!(world.updates.len(), said);
        world.replan_as(changed(), 2).unwrap();
    }
    world.replan_as(Settings::default(), 3).unwrap();
    assert_eq!(world.settled(), expected(&Settings::default()), "who goes back has a newer generation");
    assert!(world.replan_as(changed(), 2).is_err());
}

#[test]
fn the_progress_is_reported() {
    let mut world = World::resting(Settings::default(), 1, 3, Some(1));
    tell(&mut world);
    world.drain();
    assert_eq!(world.remodelled(0), None);
    world.replan(changed());
    let mut said = vec![world.remodelled(0)];
    while world.remodelled(0).is_some() {
        world.step();
        world.end_batch(0);
        said.push(world.remodelled(0));
        if said.len() == 40 {
            world.take_over(0);
            assert_eq!(world.remodelled(0), said[39], "who takes it over goes on there");
        }
    }
    said.dedup();
    assert!(said.len() > 10 && said.is_sorted_by_key(|far| far.unwrap_or(u32::MAX)), "{said:?}");
    assert_eq!((said[0], world.settled()), (Some(0), expected(&changed())));
}
