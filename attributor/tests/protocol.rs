//! Whatever the order of messages, partitions and batches: the credit table is the one that a naive computation gives.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

mod harness;
#[path = "protocol/restated.rs"]
mod restated;

use std::collections::BTreeMap;

use harness::{Row, RowKey, World, milestone, touch};
use proptest::prelude::*;
use tributary_attributor::settings::{MultiplierSettings, Settings, Window};
use tributary_proto::{Hash128, Milestone, StoredTouch};
use tributary_simulator::oracle::credit;
use tributary_simulator::oracle::people::Home;
use tributary_simulator::oracle::placed::{Brought, Reached};

const STEP_MS: i64 = 20 * 60_000;
const MILESTONES: [(&str, &str); 6] =
    [("lead", "1"), ("mql", "1"), ("opportunity", "2"), ("closed_won", "2"), ("closed_won", "3"), ("meeting", "2")];
const CHANNELS: [&str; 3] = ["direct", "email", "events"];

fn settings(window: Window) -> Settings {
    let mut settings = Settings { window, max_journey: 12, ..Settings::default() };
    settings.models[4].multipliers = MultiplierSettings {
        role: [("boss".to_owned(), 3.0)].into(),
        channel: [("direct".to_owned(), 0.0)].into(),
        ..MultiplierSettings::default()
    };
    let more: Settings = toml::from_str(MORE).unwrap();
    settings.models.extend(more.models);
    settings
}

/// Models with sides, windows of their own, and all sorts of factors.
const MORE: &str = r#"
    [[models]]
    name = "sides"
    type = "staged"
    anchors = [{ at = "first", percent = 30 }, { at = "lead", percent = 30 }, { at = "opportunity", percent = 30 }]
    middle = 10
    split = { email = 30, "d*" = 20 }
    multipliers.stage = { lead = 2, opportunity = 0.5, before = 3 }

    [[models]]
    name = "narrow"
    type = "staged"
    anchors = [{ at = "meeting", percent = 40 }, { at = "close", percent = 40 }]
    middle = 20
    window = { lookback_days = 1 }
    multipliers.source = { "s*" = 2 }
    multipliers.deal_size = [{ from = 10, factors = { channel = { email = 5, "*" = 0.1 } } }, { from = 5000, factors = {} }]

    [[models]]
    name = "month"
    type = "lead_conversion"
    window = { calendar = "month" }
    split = { events = 100 }

    [[models]]
    name = "cycle"
    type = "linear"
    window = "lifecycle"
"#;

/// The credit table straight from what identity knows: all events in one list, no units, no messages.
fn naive(world: &World) -> BTreeMap<RowKey, Row> {
    let identity = &world.identity;
    let home = |name: &String, time_ms: i64| {
        let placement = identity.placements[name].clone();
        let (unit, account_id) = placement.at(time_ms);
        Home {
            unit: unit.to_owned(),
            account_id: account_id.to_owned(),
            profile_id: placement.profile_id.clone(),
            role: placement.role.clone(),
            revoked: placement.revoked,
        }
    };
    let brought = |(name, touches): (&String, &Vec<StoredTouch>)| {
        let device = Hash128::of(name.as_bytes()).to_bytes().first_chunk::<8>().map_or(0, |head| u64::from_be_bytes(*head));
        let device = |touch: &StoredTouch| touch.touch.as_ref().map_or(0, |touch| touch.device).max(device);
        touches
            .iter()
            .map(|touch| Brought { touch: touch.clone(), home: home(name, touch.time_ms), device: device(touch) })
            .collect::<Vec<_>>()
    };
    let touches: Vec<Brought> = identity.touches.iter().flat_map(brought).collect();
    let reached = |(anchor, _, milestone): &(String, u64, Milestone)| Reached {
        milestone: milestone.clone(),
        home: home(anchor, milestone.time_ms),
    };
    let milestones: Vec<Reached> = identity.milestones.values().map(reached).collect();
    let mut table = credit::table(&touches, &milestones, &world.settings);
    for row in table.values_mut() {
        let model = world.plan.models_of(&row.milestone_kind).find(|model| model.name == row.model);
        row.model_version = model.unwrap().version.clone();
    }
    table
}

#[derive(Debug, Clone)]
enum Act {
    Touch {
        name: usize,
        event: usize,
        step: i64,
        channel: usize,
    },
    Place {
        name: usize,
        unit: usize,
        profile: usize,
        boss: bool,
        revoked: bool,
    },
    Milestone {
        name: usize,
        which: usize,
        step: i64,
        value: i64,
        dollars: bool,
        withdrawn: bool,
    },
    /// From each of these steps on in a unit of its own.
    PlaceByTime {
        name: usize,
        units: [usize; 3],
        steps: [i64; 2],
        profile: usize,
    },
    Erase {
        name: usize,
        identifier_set: u64,
        step: i64,
    },
    Retract {
        name: usize,
        event: usize,
    },
    Deliver {
        records: usize,
    },
}

fn act() -> impl Strategy<Value = Act> {
    let name = 0..5usize;
    prop_oneof![
        5 => (name.clone(), 0..30usize, 0..216i64, 0..3usize)
            .prop_map(|(name, event, step, channel)| Act::Touch { name, event, step, channel }),
        2 => (name.clone(), 0..4usize, 0..3usize, any::<bool>(), prop::bool::weighted(0.2))
            .prop_map(|(name, unit, profile, boss, revoked)| Act::Place { name, unit, profile, boss, revoked }),
        2 => (name.clone(), 0..MILESTONES.len(), 0..216i64, prop_oneof![Just(0), 1..1_000_000i64, Just(i64::MAX)], any::<bool>(), prop::bool::weighted(0.15))
            .prop_map(|(name, which, step, value, dollars, withdrawn)| Act::Milestone { name, which, step, value, dollars, withdrawn }),
        3 => (name.clone(), [0..4usize, 0..4, 0..4], [0..216i64, 0..216], 0..3usize)
            .prop_map(|(name, units, steps, profile)| Act::PlaceByTime { name, units, steps, profile }),
        1 => (name.clone(), 0..3u64, 0..216i64).prop_map(|(name, identifier_set, step)| Act::Erase { name, identifier_set, step }),
        1 => (name, 0..30usize).prop_map(|(name, event)| Act::Retract { name, event }),
        2 => (1..12usize).prop_map(|records| Act::Deliver { records }),
    ]
}

fn units(unit: usize) -> &'static str {
    ["a:crm_account:001", "a:crm_account:002", "a:domain:x.example", "p:p_0"][unit]
}

fn perform(world: &mut World, act: &Act) {
    let identity = &mut world.identity;
    match *act {
        Act::Touch { name, event, step, channel } => {
            let identifier_set = event as u64 % 3;
            let mut touch = StoredTouch { identifier_set, ..touch(&format!("e{event}"), step * STEP_MS, CHANNELS[channel]) };
            touch.touch.as_mut().unwrap().public = step % 3 == 0;
            identity.touch(&format!("x{name}"), touch);
        }
        Act::Place { name, unit, profile, boss, revoked } => {
            let role = if boss { "boss" } else { "" };
            identity.place(&format!("x{name}"), units(unit), &format!("p_{profile}"), role, revoked);
        }
        Act::Milestone { name, which, step, value, dollars, withdrawn } => {
            let (kind, object) = MILESTONES[which];
            let mut said = Milestone { withdrawn, public: step % 2 == 0, ..milestone(kind, object, step * STEP_MS, value) };
            if dollars {
                said.currency = "USD".into();
            }
            identity.milestone(&format!("x{name}"), said);
        }
        Act::PlaceByTime { name, units: at, mut steps, profile } => {
            steps.sort_unstable();
            let spans = [(i64::MIN, units(at[0])), (steps[0] * STEP_MS, units(at[1])), (steps[1] * STEP_MS, units(at[2]))];
            // Identity of old knows no spans.
            let spans = if identity.moves { &spans[..1] } else { &spans[..] };
            identity.place_by_time(&format!("x{name}"), spans, &format!("p_{profile}"), "", false);
        }
        Act::Retract { name, event } => identity.retract(&format!("x{name}"), &format!("e{event}")),
        Act::Erase { name, identifier_set, step } => identity.erase(&format!("x{name}"), identifier_set, step * STEP_MS),
        Act::Deliver { records } => {
            world.take_identity();
            for _ in 0..records {
                world.step();
                if world.below(5) == 0 {
                    world.end_batch(0);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, ..ProptestConfig::default() })]

    #[test]
    fn any_interleaving_gives_the_naive_table(
        acts in prop::collection::vec(act(), 1..90),
        partitions in prop_oneof![Just(1u32), Just(2), Just(3), Just(8)],
        lifecycle in prop::bool::weighted(0.3),
        rest_after in prop::option::of(0u64..40),
        moves in prop::bool::weighted(0.2),
        seed in any::<u64>(),
    ) {
        let window = if lifecycle { Window::Lifecycle } else { Window::LookbackDays(1) };
        let mut world = World::resting(settings(window), partitions, seed, rest_after);
        world.identity.moves = moves;
        for name in 0..5 {
            world.identity.place(&format!("x{name}"), &format!("p:x{name}"), &format!("p_{name}"), "", false);
        }
        for act in &acts {
            perform(&mut world, act);
        }
        let (table, expected) = (world.settled(), naive(&world));
        let differs = |key: &&RowKey| table.get(*key) != expected.get(*key);
        let differing: Vec<_> = table.keys().chain(expected.keys()).filter(differs).map(|key| (key, table.get(key), expected.get(key))).collect();
        prop_assert!(differing.is_empty(), "{differing:#?}");
    }
}
