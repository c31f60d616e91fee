//! Drawn journeys: they are the defined ones, and every model adds up over them.

use proptest::prelude::*;
use tributary_attributor::credit;
use tributary_attributor::journey::{Cast, Journey, Timeline};
use tributary_attributor::plan::Plan;
use tributary_attributor::settings::Settings;
use tributary_attributor::view::TouchView;
use tributary_proto::kind::Kinds;
use tributary_proto::{Hash128, Message, Milestone, StoredTouch, Touch, UNATTRIBUTED, WHOLE_NANO};

use super::{DAY_MS, MINUTE_MS, Raw, many_models, milestone, rates, sorted};

#[derive(Debug, Clone)]
struct Made {
    event: usize,
    minute: i64,
    channel: usize,
    profile: usize,
    boss: bool,
    identified: bool,
    /// Not digital, or hits of this many devices.
    device: u64,
    names_source: bool,
}

fn made() -> impl Strategy<Value = Made> {
    let minute = prop_oneof![0..400i64, 0..2_000_000i64];
    let flags = (any::<bool>(), any::<bool>(), any::<bool>());
    (0..60usize, minute, 0..3usize, 0..3usize, 0..3u64, flags).prop_map(
        |(event, minute, channel, profile, device, (boss, identified, names_source))| Made {
            event,
            minute,
            channel,
            profile,
            boss,
            identified,
            device,
            names_source,
        },
    )
}

fn raws(made: &[Made]) -> Vec<Raw> {
    made.iter()
        .map(|one| {
            let touch_type = if one.event % 3 == 0 { "form" } else { "page" };
            let touch = Touch {
                channel: ["direct", "email", "ads"][one.channel].into(),
                touch_type: touch_type.into(),
                content: format!("c{}", one.event),
                identified: one.identified,
                digital: one.device > 0,
                device: one.device,
                names_source: one.names_source,
                ..Touch::default()
            };
            let (event_id, time_ms) = (format!("e{}", one.event), one.minute * MINUTE_MS);
            Raw {
                raw: StoredTouch { event_id, time_ms, touch: Some(touch), ..StoredTouch::default() }.encode_to_vec(),
                profile: ["p_1", "p_2", ""][one.profile],
                role: if one.boss { "boss" } else { "" },
            }
        })
        .collect()
}

/// What a journey shows of a touch: its event, its channel, its type.
type Shown = (String, String, String);

/// The journey by its definition, each rule a pass over everything.
fn naive_journey(raws: &[Raw], of: &Milestone, days: i64) -> Vec<Shown> {
    let mut all: Vec<(StoredTouch, Hash128, &Raw)> =
        raws.iter().map(|one| (StoredTouch::decode(one.raw.as_slice()).unwrap(), Hash128::of(&one.raw), one)).collect();
    let known_ms = of.time_ms - days * DAY_MS - DAY_MS - 30 * MINUTE_MS;
    all.retain(|(touch, ..)| (known_ms..=of.time_ms).contains(&touch.time_ms));
    all.sort_by_key(|(touch, content, one)| {
        (touch.time_ms, Hash128::of(touch.event_id.as_bytes()), *content, one.profile, one.role)
    });
    let mut events = std::collections::BTreeSet::new();
    all.retain(|(touch, ..)| events.insert(touch.event_id.clone()));
    let mut visits: Vec<Visited<'_>> = Vec::new();
    for (stored, _, one) in &all {
        let (hit, time_ms) = (stored.touch.clone().unwrap(), stored.time_ms);
        let named = hit.names_source.then(|| hit.channel.clone());
        let same = |visit: &&mut Visited<'_>| {
            visit.profile == one.profile && hit.digital && visit.first.digital && visit.first.device == hit.device
        };
        match visits.iter_mut().rfind(same) {
            Some(visit)
                if time_ms - visit.last_ms <= 30 * MINUTE_MS
                    && (visit.named.is_none() || named.is_none() || visit.named == named) =>
            {
                visit.last_ms = time_ms;
                if visit.named.is_none() && named.is_some() {
                    visit.shown.1.clone_from(&hit.channel);
                    visit.named = named;
                }
                if visit.shown.2 == "page" {
                    visit.shown.2.clone_from(&hit.touch_type);
                }
            }
            _ => {
                let shown = (stored.event_id.clone(), hit.channel.clone(), hit.touch_type.clone());
                visits.push(Visited { profile: one.profile, first: hit, first_ms: time_ms, last_ms: time_ms, shown, named });
            }
        }
    }
    visits.retain(|visit| visit.first_ms >= of.time_ms - days * DAY_MS);
    visits.into_iter().map(|visit| visit.shown).collect()
}

/// A visit as far as it has come.
struct Visited<'a> {
    profile: &'a str,
    first: Touch,
    first_ms: i64,
    last_ms: i64,
    shown: Shown,
    /// The channel that a hit named.
    named: Option<String>,
}

proptest! {
    #[test]
    fn the_journey_is_the_defined_one(made in prop::collection::vec(made(), 0..80), minute in 0..2_000_000i64) {
        let raws = raws(&made);
        let of = milestone("closed_won", "1", minute * MINUTE_MS, 0);
        let plan = Plan::compile(&Settings::default(), &Kinds::default()).unwrap();
        let points = sorted(&raws);
        let journey = Journey::build(&Timeline::of(&points, &plan.visits), &of, &[&of], &Cast::default(), &plan.journey(&of.kind));
        let shown = |view: &TouchView<'_>| (view.event_id.to_owned(), view.channel.to_owned(), view.touch_type.to_owned());
        let journey: Vec<Shown> = journey.touches.iter().map(|visit| shown(&visit.view)).collect();
        prop_assert_eq!(journey, naive_journey(&raws, &of, 540));
    }

    #[test]
    fn every_model_adds_up(
        made in prop::collection::vec(made(), 0..80),
        stages in prop::collection::vec((0..5usize, 0..3usize, 0..2_000_000i64), 0..6),
        minute in 0..2_000_000i64,
        value in prop_oneof![Just(0), 1..100i64, 100..1_000_000_000_000i64, any::<i64>().prop_map(|value| value.saturating_abs()), Just(i64::MAX)],
        currency in prop::sample::select(vec!["CNY", "USD", "JPY", "KWD", "EUR"]),
        max_journey in prop_oneof![Just(10u32), Just(2_000)],
    ) {
        let mut plan = Plan::compile(&Settings { max_journey, ..many_models() }, &Kinds::default()).unwrap();
        plan.rates = Some(rates());
        let raws = raws(&made);
        let of = Milestone { currency: currency.into(), ..milestone("closed_won", "1", minute * MINUTE_MS, value) };
        let worth = credit::reporting(&of, &plan).map_or(0, |reporting| reporting.value_minor);
        let kinds = ["lead", "mql", "opportunity", "meeting", "sal"];
        let others: Vec<Milestone> =
            stages.iter().map(|(kind, object, minute)| milestone(kinds[*kind], &object.to_string(), minute * MINUTE_MS, 0)).collect();
        let live: Vec<&Milestone> = others.iter().chain([&of]).collect();
        let points = sorted(&raws);
        let rows = credit::rows(&Journey::build(&Timeline::of(&points, &plan.visits), &of, &live, &Cast::default(), &plan.journey(&of.kind)), &of, &plan);
        for (position, model) in plan.models_of("closed_won").enumerate() {
            let shares: Vec<_> = rows.iter().flat_map(|row| &row.credits).filter(|share| share.model as usize == position).collect();
            prop_assert_eq!(shares.iter().map(|share| share.weight_nano).sum::<u64>(), WHOLE_NANO, "{}", &model.name);
            prop_assert_eq!(shares.iter().map(|share| i128::from(share.value_minor)).sum::<i128>(), i128::from(value), "{}", &model.name);
            prop_assert_eq!(shares.iter().map(|share| i128::from(share.reporting_minor)).sum::<i128>(), i128::from(worth), "{}", &model.name);
            prop_assert!(shares.iter().all(|share| share.weight_nano > 0 && share.value_minor >= 0 && share.reporting_minor >= 0));
        }
        let empty = points.iter().all(|touch| touch.view.time_ms > of.time_ms || touch.view.time_ms < of.time_ms - 540 * DAY_MS);
        prop_assert_eq!(rows.len() == 1 && TouchView::parse(&rows[0].touch).unwrap().event_id == UNATTRIBUTED, empty);
    }
}
