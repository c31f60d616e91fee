//! Journeys and models by their definitions.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

#[path = "models/drawn.rs"]
mod drawn;
#[path = "models/learnt.rs"]
mod learnt;

use tributary_attributor::journey::{Cast, Journey, Timeline, Touchpoint};
use tributary_attributor::plan::Plan;
use tributary_attributor::rates::Rates;
use tributary_attributor::settings::{AnchorSettings, CurrencySettings, ModelSettings, MultiplierSettings, Settings, Window};
use tributary_attributor::{credit, view::TouchView};
use tributary_proto::kind::Kinds;
use tributary_proto::{Message, Milestone, StoredTouch, Touch, WHOLE_NANO};
use tributary_runtime::config::{Given, Problems, Section};

const MINUTE_MS: i64 = 60_000;
const DAY_MS: i64 = 86_400_000;

fn model(name: &str, rule: &str) -> ModelSettings {
    ModelSettings { name: name.into(), rule: rule.into(), ..ModelSettings::default() }
}

fn staged(name: &str, anchors: &[(&str, f64)], middle: f64) -> ModelSettings {
    let anchors = anchors.iter().map(|(at, percent)| AnchorSettings { at: (*at).into(), percent: *percent }).collect();
    ModelSettings { anchors, middle: Some(middle), ..model(name, "custom") }
}

/// The default models and odd ones.
fn many_models() -> Settings {
    let mut settings = Settings::default();
    let multipliers = MultiplierSettings {
        role: [("boss".to_owned(), 2.5)].into(),
        channel: [("direct".to_owned(), 0.0), ("email".to_owned(), 999.999_999)].into(),
        touch_type: [("form".to_owned(), 0.000_001)].into(),
        ..MultiplierSettings::default()
    };
    settings.models.extend([
        staged("u_lead", &[("first", 50.0), ("lead", 50.0)], 0.0),
        staged("all_middle", &[("meeting", 0.0), ("last", 0.0)], 100.0),
        staged("thirds", &[("meeting", 33.3333), ("close", 33.3333), ("sal", 33.3333)], 0.0),
        ModelSettings { first: Some(0.0), middle: Some(100.0), last: Some(0.0), ..model("inside", "position") },
        ModelSettings { half_life_days: Some(0.0), ..model("no_half_life", "time_decay") },
        ModelSettings { half_life_days: Some(0.001), ..model("steep", "time_decay") },
        ModelSettings { alpha: Some(10.0), beta: Some(10.0), ..model("hump", "time_weighted") },
        ModelSettings { multipliers: multipliers.clone(), ..model("linear_by_role", "linear") },
        ModelSettings { multipliers: multipliers.clone(), ..model("decay_by_role", "time_decay") },
        ModelSettings { multipliers, ..model("first_by_role", "first_touch") },
    ]);
    settings
}

/// Rates to yuan as of months of five years, which no share comes out even at. They are left out for two months of five, so that some
/// milestones have none.
fn rates() -> Rates {
    fn file(_: &str) -> std::io::Result<String> {
        let months = (0..60).filter(|month| month % 5 < 3);
        let lines = months.map(|month| {
            let (day, odd) = (format!("{}-{:02}-01", 1970 + month / 12, month % 12 + 1), month * 37 + 13);
            format!("{day},USD,7.{odd:04}1\n{day},JPY,0.0{odd:04}7\n{day},KWD,23.{odd:04}3\n")
        });
        Ok("date,currency,rate\n".to_owned() + &lines.collect::<String>())
    }
    let (kinds, mut problems) = (Kinds::default(), Problems::default());
    let given = Given { read: file, ..Given::new(&kinds) };
    let settings = CurrencySettings { reporting: "CNY".into(), rates: "rates.csv".into() };
    settings.compile(&given, &mut problems).flatten().unwrap()
}

#[derive(Debug, Clone)]
struct Raw {
    raw: Vec<u8>,
    profile: &'static str,
    role: &'static str,
}

fn raw(event_id: &str, time_ms: i64, channel: &str, identified: bool) -> Raw {
    let touch_type = if event_id.ends_with('3') { "form".to_owned() } else { String::new() };
    let touch = Touch { channel: channel.into(), identified, touch_type, ..Touch::default() };
    let raw = StoredTouch { event_id: event_id.into(), time_ms, touch: Some(touch), ..StoredTouch::default() }.encode_to_vec();
    Raw { raw, profile: "p_1", role: "" }
}

fn sorted(raws: &[Raw]) -> Vec<Touchpoint<'_>> {
    let mut points: Vec<_> =
        raws.iter().map(|one| Touchpoint::read(&one.raw, one.profile, one.role, &[0; 16]).unwrap()).collect();
    points.sort_by(Touchpoint::order);
    points
}

fn milestone(kind: &str, object_id: &str, time_ms: i64, value_minor: i64) -> Milestone {
    Milestone {
        milestone_id: format!("{kind}:{object_id}"),
        kind: kind.into(),
        object_id: object_id.into(),
        time_ms,
        value_minor,
        ..Milestone::default()
    }
}

/// Weights of one model by event id.
fn weights(settings: &Settings, name: &str, raws: &[Raw], of: &Milestone, others: &[Milestone]) -> Vec<(String, u64)> {
    let plan = Plan::compile(settings, &Kinds::default()).unwrap();
    let points = sorted(raws);
    let live: Vec<&Milestone> = others.iter().chain([of]).collect();
    let position = plan.models_of(&of.kind).position(|model| model.name == name).unwrap();
    let rows = credit::rows(
        &Journey::build(&Timeline::of(&points, &plan.visits), of, &live, &Cast::default(), &plan.journey(&of.kind)),
        of,
        &plan,
    );
    rows.iter()
        .filter_map(|row| {
            let share = row.credits.iter().find(|share| share.model as usize == position)?;
            Some((TouchView::parse(&row.touch).unwrap().event_id.to_owned(), share.weight_nano))
        })
        .collect()
}

fn days(list: &[(&str, i64, &str)]) -> Vec<Raw> {
    list.iter().map(|(id, day, channel)| raw(id, day * DAY_MS, channel, false)).collect()
}

fn named(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
    expected.iter().map(|(id, weight)| ((*id).to_owned(), *weight)).collect()
}

#[test]
fn positions_of_one_and_of_two_touches() {
    let j = ModelSettings { first: Some(60.0), middle: Some(20.0), last: Some(20.0), ..model("j", "position") };
    let settings = Settings { models: vec![j], ..Settings::default() };
    let won = milestone("closed_won", "1", 10 * DAY_MS, 0);
    assert_eq!(weights(&settings, "j", &days(&[("a", 1, "x")]), &won, &[]), named(&[("a", WHOLE_NANO)]));
    let two = days(&[("a", 1, "x"), ("b", 2, "x")]);
    assert_eq!(weights(&settings, "j", &two, &won, &[]), named(&[("a", 750_000_000), ("b", 250_000_000)]));
}

#[test]
fn last_non_direct_falls_back_to_the_last() {
    let won = milestone("closed_won", "1", 10 * DAY_MS, 0);
    let some = days(&[("a", 1, "email"), ("b", 2, "direct")]);
    assert_eq!(weights(&Settings::default(), "last_non_direct", &some, &won, &[]), named(&[("a", WHOLE_NANO)]));
    let none = days(&[("a", 1, "direct"), ("b", 2, "direct")]);
    assert_eq!(weights(&Settings::default(), "last_non_direct", &none, &won, &[]), named(&[("b", WHOLE_NANO)]));
}

#[test]
fn lead_conversion_is_the_lead_then_the_first_identified_then_the_first() {
    let won = milestone("closed_won", "1", 10 * DAY_MS, 0);
    let mut raws = days(&[("a", 1, "x"), ("b", 2, "x"), ("c", 3, "x")]);
    let of = |raws: &[Raw], others: &[Milestone]| weights(&Settings::default(), "lead_conversion", raws, &won, others);
    assert_eq!(of(&raws, &[]), named(&[("a", WHOLE_NANO)]));
    raws[1] = raw("b", 2 * DAY_MS, "x", true);
    assert_eq!(of(&raws, &[]), named(&[("b", WHOLE_NANO)]));
    assert_eq!(of(&raws, &[milestone("lead", "9", 3 * DAY_MS, 0)]), named(&[("c", WHOLE_NANO)]));
    assert_eq!(of(&raws, &[milestone("lead", "9", DAY_MS - 1, 0)]), named(&[("b", WHOLE_NANO)]), "no touch before the lead");
    assert_eq!(of(&raws, &[milestone("lead", "9", 11 * DAY_MS, 0)]), named(&[("b", WHOLE_NANO)]), "the lead is later");
}

#[test]
fn a_missing_stage_folds_into_the_next_one_present_else_into_the_last() {
    let raws = days(&[("a", 1, "x"), ("b", 2, "x"), ("c", 3, "x"), ("d", 4, "x")]);
    let won = milestone("closed_won", "1", 10 * DAY_MS, 0);
    let opportunity = milestone("opportunity", "1", 3 * DAY_MS, 0);
    // The lead is missing: its 30 go to the opportunity; `b` is the middle, `d` comes after the last anchor.
    let w = weights(&Settings::default(), "w_shaped", &raws, &won, &[opportunity]);
    assert_eq!(w, named(&[("a", 300_000_000), ("b", 100_000_000), ("c", 600_000_000)]));
    // All stages but the first are missing: it has everything, and nothing is before it.
    assert_eq!(weights(&Settings::default(), "w_shaped", &raws, &won, &[]), named(&[("a", WHOLE_NANO)]));
    // The opportunity of this object is later than the milestone: missing, although another one is earlier.
    let others = [milestone("opportunity", "1", 11 * DAY_MS, 0), milestone("opportunity", "2", 3 * DAY_MS, 0)];
    assert_eq!(weights(&Settings::default(), "w_shaped", &raws, &won, &others), named(&[("a", WHOLE_NANO)]));
}

#[test]
fn one_touch_may_hold_several_anchors_and_no_middle_spreads_over_them() {
    let raws = days(&[("a", 1, "x"), ("b", 2, "x")]);
    let others = [milestone("lead", "9", 2 * DAY_MS, 0), milestone("opportunity", "1", 3 * DAY_MS, 0)];
    let won = milestone("closed_won", "1", 10 * DAY_MS, 0);
    // 22.5 to a, 3 x 22.5 to b, no middle: 1/4 and 3/4.
    let full = weights(&Settings::default(), "full_path", &raws, &won, &others);
    assert_eq!(full, named(&[("a", 250_000_000), ("b", 750_000_000)]));
}

/// The reasons of one model, for its rows.
fn reasons(settings: &Settings, name: &str, raws: &[Raw], of: &Milestone, others: &[Milestone]) -> Vec<(Vec<String>, String)> {
    let plan = Plan::compile(settings, &Kinds::default()).unwrap();
    let points = sorted(raws);
    let live: Vec<&Milestone> = others.iter().chain([of]).collect();
    let journey = Journey::build(&Timeline::of(&points, &plan.visits), of, &live, &Cast::default(), &plan.journey(&of.kind));
    let model = plan.models_of(&of.kind).find(|model| model.name == name).unwrap();
    let rationale = |at| model.rationale(&journey, of, at);
    (0..journey.touches.len()).map(rationale).map(|rationale| (rationale.anchors, rationale.words)).collect()
}

#[test]
fn reasons_list_what_was_folded_spread_and_multiplied() {
    let raws = days(&[("a", 1, "x"), ("b", 2, "x"), ("c", 3, "x"), ("d", 4, "x")]);
    let won = milestone("closed_won", "1", 10 * DAY_MS, 0);
    let opportunity = milestone("opportunity", "1", 3 * DAY_MS, 0);
    let found = reasons(&Settings::default(), "w_shaped", &raws, &won, &[opportunity]);
    let anchors = |of: &str| vec![of.to_owned()];
    assert_eq!(found[0], (anchors("first"), "first: 30 %".to_owned()));
    assert_eq!(found[1], (vec![], "one of 1 before the last anchor that hold none: 10 % in equal parts".to_owned()));
    assert_eq!(found[2], (anchors("opportunity"), "opportunity: 60 % (with that of lead, missing)".to_owned()));

    let two = days(&[("a", 1, "x"), ("b", 2, "x")]);
    let others = [milestone("lead", "9", 2 * DAY_MS, 0), milestone("opportunity", "1", 3 * DAY_MS, 0)];
    let found = reasons(&Settings::default(), "full_path", &two, &won, &others);
    assert_eq!(found[1].0, ["lead", "opportunity", "close"]);
    assert!(found[1].1.ends_with("no touch between: the middle's 10 % goes to the anchors"), "{}", found[1].1);

    let nobody = Settings { models: vec![staged("s", &[("meeting", 100.0)], 0.0)], ..Settings::default() };
    assert_eq!(reasons(&nobody, "s", &two, &won, &[])[0].1, "the model singles out no touch of this journey: equal parts");

    let multipliers = MultiplierSettings { channel: [("x".to_owned(), 2.5)].into(), ..MultiplierSettings::default() };
    let times = Settings { models: vec![ModelSettings { multipliers, ..model("m", "linear") }], ..Settings::default() };
    assert_eq!(reasons(&times, "m", &two, &won, &[])[0].1, "one of 2 touches, in equal parts; times 2.5 for the channel x");
}

#[test]
fn half_a_life_is_half_the_credit_and_far_milestones_do_not_underflow() {
    let raws = days(&[("a", 0, "x"), ("b", 30, "x")]);
    let settings = Settings { horizon_days: 36_500, window: Window::LookbackDays(36_500), ..Settings::default() };
    for day in [30, 36_500] {
        let won = milestone("closed_won", "1", day * DAY_MS, 0);
        let decay = weights(&settings, "time_decay", &raws, &won, &[]);
        assert_eq!(decay, named(&[("a", 333_333_333), ("b", 666_666_667)]));
    }
}

#[test]
fn a_milestone_at_the_time_of_its_touches_is_shared_equally() {
    let raws = days(&[("a", 1, "x"), ("b", 1, "y")]);
    let won = milestone("closed_won", "1", DAY_MS, 0);
    assert_eq!(
        weights(&Settings::default(), "time_weighted", &raws, &won, &[]).iter().map(|(_, w)| *w).sum::<u64>(),
        WHOLE_NANO
    );
    assert!(
        weights(&Settings::default(), "time_weighted", &raws, &won, &[]).iter().all(|(_, weight)| *weight == WHOLE_NANO / 2)
    );
}

#[test]
fn multipliers_that_leave_nothing_are_left_out() {
    let multipliers = MultiplierSettings { channel: [("direct".to_owned(), 0.0)].into(), ..MultiplierSettings::default() };
    let settings = Settings { models: vec![ModelSettings { multipliers, ..model("m", "linear") }], ..Settings::default() };
    let won = milestone("closed_won", "1", 10 * DAY_MS, 0);
    let mixed = days(&[("a", 1, "direct"), ("b", 2, "x")]);
    assert_eq!(weights(&settings, "m", &mixed, &won, &[]), named(&[("b", WHOLE_NANO)]));
    let direct = days(&[("a", 1, "direct")]);
    assert_eq!(weights(&settings, "m", &direct, &won, &[]), named(&[("a", WHOLE_NANO)]));
}

#[test]
fn both_ends_of_the_window_are_in_it_and_a_life_cycle_begins_after_the_deal_before() {
    let settings = Settings { window: Window::LookbackDays(2), ..Settings::default() };
    let raws = days(&[("out", 1, "a"), ("in", 2, "b"), ("end", 4, "c"), ("after", 5, "d")]);
    let won = milestone("closed_won", "1", 4 * DAY_MS, 0);
    let ids = |settings: &Settings, others: &[Milestone]| -> Vec<String> {
        weights(settings, "linear", &raws, &won, others).into_iter().map(|(id, _)| id).collect()
    };
    assert_eq!(ids(&settings, &[]), ["in", "end"]);
    let settings = Settings { window: Window::Lifecycle, ..Settings::default() };
    assert_eq!(ids(&settings, &[]), ["out", "in", "end"]);
    assert_eq!(ids(&settings, &[milestone("closed_won", "0", 2 * DAY_MS, 0)]), ["end"]);
    let settings = Settings { horizon_days: 2, ..settings };
    assert_eq!(ids(&settings, &[]), ["in", "end"], "a life cycle reaches no further back than the horizon");
    assert_eq!(ids(&settings, &[milestone("closed_won", "0", 2 * DAY_MS, 0)]), ["end"]);
}

#[test]
fn a_long_journey_keeps_its_first_its_anchors_and_its_newest() {
    let settings = Settings { max_journey: 10, ..Settings::default() };
    let list: Vec<(String, i64)> = (0..50).map(|day| (format!("t{day:02}"), day)).collect();
    let raws: Vec<Raw> = list.iter().map(|(id, day)| raw(id, day * DAY_MS, "x", false)).collect();
    let won = milestone("closed_won", "1", 60 * DAY_MS, 0);
    let lead = milestone("lead", "9", 20 * DAY_MS, 0);
    let ids: Vec<String> =
        weights(&settings, "linear", &raws, &won, std::slice::from_ref(&lead)).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["t00", "t20", "t42", "t43", "t44", "t45", "t46", "t47", "t48", "t49"]);
    assert_eq!(weights(&settings, "lead_conversion", &raws, &won, &[lead]), named(&[("t20", WHOLE_NANO)]));
}

/// The stages of the new business are over when an expansion follows: it gives no credit to touches from before the deal was won.
#[test]
fn an_expansion_shares_out_what_came_since_the_deal_was_won() {
    let won = milestone("closed_won", "1", 10 * DAY_MS, 0);
    let lead = milestone("lead", "9", 3 * DAY_MS, 0);
    let expansion = milestone("expansion", "1", 30 * DAY_MS, 0);
    let raws = days(&[("a", 1, "x"), ("b", 3, "x"), ("c", 9, "x"), ("d", 12, "x"), ("e", 15, "x"), ("f", 29, "x")]);
    let of = |model: &str, others: &[Milestone]| weights(&Settings::default(), model, &raws, &expansion, others);
    let others = [won.clone(), lead.clone()];
    for model in ["lead_conversion", "w_shaped", "full_path"] {
        assert_eq!(of(model, &others), named(&[("d", WHOLE_NANO)]), "{model}");
    }
    let again = [won, lead.clone(), milestone("opportunity", "1", 20 * DAY_MS, 0)];
    assert_eq!(of("w_shaped", &again), named(&[("d", 333_333_333), ("e", 666_666_667)]));
    assert_eq!(of("linear", &others).len(), 6, "a model without stages has the whole journey");
    // Without a deal, or without a touch since, the journey is that of all stages.
    assert_eq!(of("lead_conversion", std::slice::from_ref(&lead)), named(&[("b", WHOLE_NANO)]));
    let later = [milestone("closed_won", "1", 29 * DAY_MS, 0), lead];
    assert_eq!(of("lead_conversion", &later), named(&[("b", WHOLE_NANO)]));
}
