//! Factors, splits and windows of models, by values computed by hand.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use tributary_attributor::credit;
use tributary_attributor::journey::{Cast, Journey, Timeline, Touchpoint};
use tributary_attributor::plan::Plan;
use tributary_attributor::settings::Settings;
use tributary_attributor::view::TouchView;
use tributary_proto::kind::Kinds;
use tributary_proto::{Message, Milestone, StoredTouch, Touch};
use tributary_runtime::config::{Given, Problems, Section};

const DAY_MS: i64 = 86_400_000;

/// Id, day, channel, campaign.
type Row = (&'static str, i64, &'static str, &'static str);

const JOURNEY: [Row; 5] = [
    ("ad", 1, "paid_search", "spring"),
    ("post", 2, "organic_social", ""),
    ("call", 4, "sales", ""),
    ("mail", 6, "email", "spring-2"),
    ("visit", 8, "sales", ""),
];

fn settings(model: &str) -> Settings {
    toml::from_str(&format!("[[models]]\nname = \"m\"\n{model}")).unwrap()
}

fn milestone(kind: &str, day: i64, value_minor: i64) -> Milestone {
    Milestone {
        milestone_id: format!("{kind}:1"),
        kind: kind.into(),
        object_id: "1".into(),
        time_ms: day * DAY_MS,
        value_minor,
        currency: "CNY".into(),
        ..Milestone::default()
    }
}

fn raw((event_id, day, channel, campaign): &Row) -> Vec<u8> {
    let touch = Touch { channel: (*channel).into(), campaign: (*campaign).into(), ..Touch::default() };
    StoredTouch { event_id: (*event_id).into(), time_ms: day * DAY_MS, touch: Some(touch), ..StoredTouch::default() }
        .encode_to_vec()
}

/// The weights in millionths of the deal won on day 10, by touch, in the order of the journey; with stages.
fn shares_of(settings: &Settings, rows: &[Row], value_minor: i64, stages: &[Milestone]) -> Vec<(String, u64)> {
    let plan = settings.compiled(&Kinds::default()).unwrap_or_else(|problems| panic!("{problems}"));
    let of = milestone("closed_won", 10, value_minor);
    let raws: Vec<Vec<u8>> = rows.iter().map(raw).collect();
    let touches: Vec<_> = raws.iter().map(|raw| Touchpoint::read(raw, "p", "", &[0; 16]).unwrap()).collect();
    let live: Vec<&Milestone> = stages.iter().chain([&of]).collect();
    let journey = Journey::build(&Timeline::of(&touches, &plan.visits), &of, &live, &Cast::default(), &plan.journey(&of.kind));
    let rows = credit::rows(&journey, &of, &plan);
    assert_eq!(rows.iter().map(|row| row.credits[0].weight_nano).sum::<u64>(), 1_000_000_000);
    assert_eq!(rows.iter().map(|row| row.credits[0].value_minor).sum::<i64>(), value_minor);
    let id = |touch: &[u8]| TouchView::parse(touch).unwrap().event_id.to_owned();
    rows.iter().map(|row| (id(&row.touch), (row.credits[0].weight_nano + 500) / 1_000)).collect()
}

fn check(model: &str, expected: &[(&str, u64)]) {
    check_deal(model, 1_000, &[], expected);
}

fn check_deal(model: &str, value_minor: i64, stages: &[Milestone], expected: &[(&str, u64)]) {
    let shares = shares_of(&settings(model), &JOURNEY, value_minor, stages);
    let shares: Vec<(&str, u64)> = shares.iter().map(|(id, share)| (id.as_str(), *share)).collect();
    assert_eq!(shares, expected, "{model}");
}

#[test]
fn a_side_gets_its_part_together_and_the_model_runs_on_each_alone() {
    let (ad, post, call, mail, visit) = ("ad", "post", "call", "mail", "visit");
    let linear = "type = \"linear\"\nsplit = { sales = 30 }";
    check(linear, &[(ad, 233_333), (post, 233_333), (call, 150_000), (mail, 233_333), (visit, 150_000)]);
    check("type = \"first_touch\"\nsplit = { sales = 30 }", &[(ad, 700_000), (call, 300_000)]);
    let position = "type = \"u_shaped\"\nsplit = { sales = 30 }";
    check(position, &[(ad, 280_000), (post, 140_000), (call, 150_000), (mail, 280_000), (visit, 150_000)]);
    // Factors work within a side, and move nothing across.
    let doubled = format!("{linear}\nmultipliers.channel = {{ email = 2, sales = 5 }}");
    check(&doubled, &[(ad, 175_000), (post, 175_000), (call, 150_000), (mail, 350_000), (visit, 150_000)]);
    let three = "type = \"linear\"\nsplit = { sales = 30, \"paid_*\" = 50 }";
    check(three, &[(ad, 500_000), (post, 100_000), (call, 150_000), (mail, 100_000), (visit, 150_000)]);
    // Sides that are empty leave their parts to the others, in proportion.
    let empty = "type = \"linear\"\nsplit = { sms = 20, sales = 20 }";
    check(empty, &[(ad, 250_000), (post, 250_000), (call, 125_000), (mail, 250_000), (visit, 125_000)]);
    check("type = \"last_touch\"\nsplit = { sms = 50 }", &[(visit, 1_000_000)]);
    let only = shares_of(&settings(linear), &JOURNEY[2..3], 77, &[]);
    assert_eq!(only, [("call".to_owned(), 1_000_000)]);
}

#[test]
fn stages_are_sought_on_each_side() {
    let stages = [milestone("lead", 3, 0), milestone("opportunity", 7, 0)];
    // Others: first ad, lead post, opportunity mail. Sales: first call, no lead, opportunity call: the last up to day 7.
    let shares = [("ad", 210_000), ("post", 210_000), ("call", 300_000), ("mail", 280_000)];
    let model = "type = \"custom\"\nsplit = { sales = 30 }\nanchors = [{ at = \"first\", percent = 30 }, \
                 { at = \"lead\", percent = 30 }, { at = \"opportunity\", percent = 40 }]";
    check_deal(model, 1_000, &stages, &shares);
}

#[test]
fn factors_go_by_campaign_stage_and_pattern() {
    let campaign = "type = \"linear\"\nmultipliers.campaign = { \"spring*\" = 4, \"spring-2\" = 1 }";
    check(campaign, &[("ad", 500_000), ("post", 125_000), ("call", 125_000), ("mail", 125_000), ("visit", 125_000)]);
    let channel = "type = \"linear\"\nmultipliers.channel = { \"*_s*\" = 0, sales = 2 }";
    check(channel, &[("call", 400_000), ("mail", 200_000), ("visit", 400_000)]);
    let stages = [milestone("lead", 2, 0), milestone("opportunity", 6, 0)];
    // What brought a stage about came before it.
    let stage = "type = \"linear\"\nmultipliers.stage = { before = 2, opportunity = 3 }";
    check_deal(
        stage,
        0,
        &stages,
        &[("ad", 181_818), ("post", 181_818), ("call", 181_818), ("mail", 181_818), ("visit", 272_727)],
    );
    let stage = "type = \"linear\"\nmultipliers.stage = { lead = 0, opportunity = 3 }";
    check_deal(stage, 0, &stages, &[("ad", 200_000), ("post", 200_000), ("visit", 600_000)]);
}

#[test]
fn factors_hold_for_deals_from_a_size_on() {
    let model = "type = \"linear\"\nmultipliers.channel = { email = 2 }\n\
                 multipliers.deal_size = [{ from = 100, factors = { channel = { sales = 2 } } }, \
                 { from = 1000, currency = \"CNY\", factors = { channel = { email = 0 } } }, \
                 { from = 50, currency = \"USD\", factors = { channel = { email = 0 } } }]";
    let small = [("ad", 166_667), ("post", 166_667), ("call", 166_667), ("mail", 333_333), ("visit", 166_667)];
    check_deal(model, 9_999, &[], &small);
    let medium = [("ad", 125_000), ("post", 125_000), ("call", 250_000), ("mail", 250_000), ("visit", 250_000)];
    check_deal(model, 10_000, &[], &medium);
    let large = [("ad", 250_000), ("post", 250_000), ("call", 250_000), ("visit", 250_000)];
    check_deal(model, 100_000, &[], &large);
}

#[test]
fn a_window_of_a_models_own_narrows_that_of_the_kind() {
    check("type = \"linear\"\nwindow = { lookback_days = 6 }", &[("call", 333_333), ("mail", 333_333), ("visit", 333_333)]);
    check("type = \"first_touch\"\nwindow = { lookback_days = 3 }", &[("visit", 1_000_000)]);
    check("type = \"linear\"\nwindow = { lookback_days = 1 }", &[("unattributed", 1_000_000)]);
    let mut wide = settings("type = \"linear\"\nwindow = { lookback_days = 500 }");
    wide.milestones.insert("closed_won".into(), toml::from_str("window = { lookback_days = 5 }").unwrap());
    let ids: Vec<String> = shares_of(&wide, &JOURNEY, 0, &[]).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["mail", "visit"]);
    let before = Milestone { object_id: "0".into(), milestone_id: "closed_won:0".into(), ..milestone("closed_won", 5, 0) };
    let lifecycle = settings("type = \"linear\"\nwindow = \"lifecycle\"");
    let ids: Vec<String> = shares_of(&lifecycle, &JOURNEY, 0, &[before]).into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, ["mail", "visit"]);
}

#[test]
fn a_calendar_window_begins_with_the_period_in_the_zone_of_the_days() {
    // Day 10 is the 11th of January 1970; touches of the days before it are in the year, the quarter and the month.
    let year = settings("type = \"linear\"\nwindow = { calendar = \"year\" }");
    let new_year: [Row; 2] = [("before", -1, "email", ""), ("after", 0, "email", "")];
    let ids = |settings: &Settings, zone: &str| -> Vec<String> {
        let (kinds, mut problems) = (Kinds::default(), Problems::default());
        let plan = settings.compile(&Given { time_zone: zone, ..Given::new(&kinds) }, &mut problems).unwrap();
        let of = milestone("closed_won", 10, 0);
        let raws: Vec<Vec<u8>> = new_year.iter().map(raw).collect();
        let touches: Vec<_> = raws.iter().map(|raw| Touchpoint::read(raw, "p", "", &[0; 16]).unwrap()).collect();
        let course = Timeline::of(&touches, &plan.visits);
        let journey = Journey::build(&course, &of, &[&of], &Cast::default(), &plan.journey(&of.kind));
        let rows = credit::rows(&journey, &of, &plan);
        rows.iter().map(|row| TouchView::parse(&row.touch).unwrap().event_id.to_owned()).collect()
    };
    assert_eq!(ids(&year, "UTC"), ["after"]);
    assert_eq!(ids(&year, "America/New_York"), ["unattributed"], "it was still 1969 there");
    let kind: Settings =
        toml::from_str("window = { calendar = \"month\" }\n[[models]]\nname = \"m\"\ntype = \"linear\"").unwrap();
    assert_eq!(ids(&kind, "UTC"), ["after"]);
    assert_ne!(
        plan_version(&year, "UTC"),
        plan_version(&settings("type = \"linear\""), "UTC"),
        "another window is another version"
    );
    assert_ne!(plan_version(&year, "UTC"), plan_version(&year, "Asia/Shanghai"));
}

fn plan_version(settings: &Settings, zone: &str) -> String {
    let (kinds, mut problems) = (Kinds::default(), Problems::default());
    let plan: Plan = settings.compile(&Given { time_zone: zone, ..Given::new(&kinds) }, &mut problems).unwrap();
    plan.models_of("closed_won").next().unwrap().version.clone()
}

#[test]
fn a_factor_that_can_match_nothing_is_refused_with_similar_names() {
    let refused = |model: &str| settings(model).compiled(&Kinds::default()).unwrap_err().to_string();
    let split = refused("type = \"linear\"\nsplit = { \"piad_*\" = 30 }");
    assert!(split.starts_with("models[0].split.piad_*: ") && split.contains("paid_"), "{split}");
    let sum = refused("type = \"linear\"\nsplit = { sales = 60, email = 60 }");
    assert!(sum.starts_with("models[0].split: "), "{sum}");
    let role = refused("type = \"linear\"\nmultipliers.role = { \"chmp*\" = 2 }");
    assert!(role.contains("champion"), "{role}");
    let stage = refused("type = \"linear\"\nmultipliers.stage = { oportunity = 2 }");
    assert!(stage.contains("did you mean \"opportunity\""), "{stage}");
    let nested = "type = \"linear\"\nmultipliers.deal_size = [{ from = 1, currency = \"cny\", factors = { deal_size = [{ from = 2, \
                  factors = {} }] } }]";
    let nested = refused(nested);
    assert!(nested.contains("deal_size[0].currency: ") && nested.contains("factors.deal_size: "), "{nested}");
}
