//! One visit has one source, in whatever order its hits arrive.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

mod harness;

use std::collections::BTreeMap;

use harness::{World, milestone, touch};
use tributary_attributor::settings::Settings;
use tributary_proto::{CreditUpdate, Dimensions, Milestone, StoredTouch};

const MINUTE_MS: i64 = 60_000;
const UNIT: &str = "a:crm_account:001";
const ORDERS: u64 = 1_000;

/// A hit: its minute, the channel and the source that it shows, whether it names that itself, and the device.
type Hit = (i64, &'static str, &'static str, bool, u64);

/// Two people's afternoon: visits that go on past stale referrers and sign-ins, others that a new source ends, and a call.
const HITS: [Hit; 12] = [
    (0, "paid_search", "baidu", true, 1),
    (2, "organic_search", "bing", false, 1),
    (20, "direct", "", false, 1),
    (45, "referral", "login", false, 1),
    (50, "paid_social", "weibo", true, 1),
    (51, "direct", "", false, 1),
    (82, "direct", "", false, 1),
    (10, "direct", "", false, 2),
    (39, "email", "letter", true, 2),
    (40, "email", "letter", true, 2),
    (69, "referral", "pay", false, 2),
    (30, "sales", "call", true, 0),
];

fn hit(at: usize) -> StoredTouch {
    let (minute, channel, source, names_source, device) = HITS[at];
    let mut stored = touch(&format!("h{at}"), minute * MINUTE_MS, channel);
    let touch = stored.touch.as_mut().unwrap();
    (touch.source, touch.names_source, touch.device, touch.digital) = (source.into(), names_source, device, device > 0);
    stored
}

/// Which touches have which credit, and what they show, when the hits arrive in this order and the deal after so many of them.
fn credit(order: &[usize], deal_after: usize, partitions: u32) -> BTreeMap<(String, String), (i64, String, String)> {
    let mut world = World::new(Settings::default(), partitions, 1);
    world.identity.place("anna", UNIT, "p_anna", "", false);
    world.identity.place("bert", UNIT, "p_bert", "", false);
    for (place, at) in order.iter().enumerate() {
        if place == deal_after {
            world.identity.milestone("anna", milestone("closed_won", "6", 90 * MINUTE_MS, 1_000));
        }
        world.identity.touch(if HITS[*at].4 == 2 { "bert" } else { "anna" }, hit(*at));
        if place % 5 == deal_after % 5 {
            world.drain();
        }
    }
    let rows = world.settled().into_iter();
    rows.map(|((_, model, touch), row)| ((model, touch), (row.weight_nano, row.channel, row.source))).collect()
}

#[test]
fn a_thousand_orders_of_arrival_give_the_same_visits_and_sources() {
    let sorted: Vec<usize> = (0..HITS.len()).collect();
    let right = credit(&sorted, 0, 1);
    let linear: Vec<(&str, &str, &str)> = right
        .iter()
        .filter(|((model, _), _)| model == "linear")
        .map(|((_, touch), (_, channel, source))| (touch.as_str(), channel.as_str(), source.as_str()))
        .collect();
    let expected = [
        ("h0", "paid_search", "baidu"),
        ("h11", "sales", "call"),
        ("h4", "paid_social", "weibo"),
        ("h6", "direct", ""),
        ("h7", "email", "letter"),
    ];
    assert_eq!(linear, expected);
    let mut seed = 0x9e37_79b9_7f4a_7c15_u64;
    let mut draw = |bound: usize| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        usize::try_from(seed % bound as u64).unwrap()
    };
    for run in 0..ORDERS {
        let mut order = sorted.clone();
        for at in (1..order.len()).rev() {
            order.swap(at, draw(at + 1));
        }
        let deal_after = draw(order.len());
        assert_eq!(
            credit(&order, deal_after, 1 + u32::try_from(run % 3).unwrap()),
            right,
            "{order:?}, the deal after {deal_after}"
        );
    }
}

/// A hit of one visit, by a trusted sender or not, with dimensions.
fn told(minute: i64, public: bool, dimensions: &[(&str, &str)]) -> StoredTouch {
    let mut stored = touch(&format!("d{minute}"), minute * MINUTE_MS, "direct");
    let touch = stored.touch.as_mut().unwrap();
    (touch.device, touch.digital, touch.public) = (1, true, public);
    let values: BTreeMap<String, String> = dimensions.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    touch.dimensions = (!values.is_empty()).then_some(Dimensions { values });
    stored
}

#[test]
fn a_visit_has_the_dimensions_of_all_its_hits_and_those_of_trusted_ones_first() {
    let shown = |hits: Vec<StoredTouch>| {
        let mut world = World::new(Settings::default(), 1, 1);
        world.identity.place("anna", UNIT, "p_anna", "", false);
        hits.into_iter().for_each(|hit| world.identity.touch("anna", hit));
        world.identity.milestone("anna", milestone("closed_won", "6", 90 * MINUTE_MS, 1_000));
        let rows: Vec<_> =
            world.settled().into_iter().filter(|((_, model, _), _)| model == "linear").map(|(_, row)| row).collect();
        let [row] = rows.as_slice() else { panic!("{rows:?}") };
        row.dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>()
    };
    assert_eq!(shown(vec![told(0, false, &[])]), Vec::<String>::new());
    assert_eq!(shown(vec![told(0, false, &[("team", "a")])]), ["team=a"]);
    let (first, second) = (told(0, false, &[("team", "a")]), told(5, false, &[("team", "b"), ("product", "crm")]));
    assert_eq!(shown(vec![second, first, told(7, false, &[])]), ["product=crm", "team=a"]);
    let anybody = told(0, true, &[("team", "evil"), ("region", "x")]);
    assert_eq!(shown(vec![anybody, told(5, false, &[("team", "a")])]), ["region=x", "team=a"]);
}

#[test]
fn a_changed_dimension_of_a_deal_publishes_its_rows_again() {
    let deal = |team: &str| {
        let values = Some(("team".to_owned(), team.to_owned())).filter(|(_, team)| !team.is_empty());
        Milestone { dimensions: values.into_iter().collect(), ..milestone("closed_won", "6", 90 * MINUTE_MS, 1_000) }
    };
    let mut world = World::new(Settings::default(), 1, 1);
    world.identity.place("anna", UNIT, "p_anna", "", false);
    world.identity.touch("anna", told(0, false, &[("team", "of the touch")]));
    for (team, expected) in [("east", 1), ("west", 2), ("", 2), ("", 0)] {
        let before = world.updates.len();
        world.identity.milestone("anna", deal(team));
        // Twice: taken back under what it was, and given under what it is.
        let rows = world.settled();
        let said = world.updates[before..].iter().filter(|update| update.model == "linear").count();
        assert_eq!(said, expected, "{team}");
        let shown = |row: &CreditUpdate| (row.dimensions["team"].clone(), row.milestone_dimensions.get("team").cloned());
        let expected = ("of the touch".to_owned(), Some(team.to_owned()).filter(|team| !team.is_empty()));
        assert!(rows.values().all(|row| shown(row) == expected), "{team}");
    }
}
