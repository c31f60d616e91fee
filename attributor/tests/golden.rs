//! One buyer's real journey, decoded, through the models: the credit table it must give.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "test code")]

use std::collections::BTreeMap;

use serde_json::Value;
use tributary_attributor::{
    credit,
    journey::{Cast, Journey, Timeline, Touchpoint},
    plan::Plan,
    settings::Settings,
    view::TouchView,
};
use tributary_proto::kind::Kinds;
use tributary_proto::{Message, Milestone, StoredTouch, Touch, WHOLE_NANO};

const EVENTS: &str = include_str!("../../cli/tests/golden/zhang/decoded.ndjson");
const TABLE: &str = include_str!("../../cli/tests/golden/zhang/credit-table.ndjson");
const PROFILE: &str = "p_9ce777b87b508996b703dd2922724c92";

fn lines(text: &str) -> impl Iterator<Item = Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap())
}

fn text(event: &Value, field: &str) -> String {
    event[field].as_str().unwrap_or_default().to_owned()
}

fn time_ms(event: &Value) -> i64 {
    text(event, "timestamp").parse::<jiff::Timestamp>().unwrap().as_millisecond()
}

fn touch(event: &Value) -> Vec<u8> {
    let identified = ["wechat_openid", "phone", "email", "crm_contact"].iter().any(|kind| event.get(kind).is_some());
    let touch = Touch {
        channel: text(event, "channel"),
        source: text(event, "source"),
        medium: text(event, "medium"),
        campaign: text(event, "campaign"),
        touch_type: text(event, "touch_type"),
        identified,
        ..Touch::default()
    };
    StoredTouch { event_id: text(event, "event_id"), time_ms: time_ms(event), touch: Some(touch), ..StoredTouch::default() }
        .encode_to_vec()
}

fn milestone(event: &Value) -> Milestone {
    let (kind, object_id) = (text(event, "milestone"), text(event, "object_id"));
    Milestone {
        milestone_id: format!("{kind}:{object_id}"),
        kind,
        object_id,
        time_ms: time_ms(event),
        value_minor: text(event, "value").replace('.', "").parse().unwrap_or(0),
        currency: text(event, "currency"),
        withdrawn: false,
        public: false,
        ..Milestone::default()
    }
}

#[test]
fn the_ten_models_give_the_golden_credit_table() {
    let plan = Plan::compile(&Settings::default(), &Kinds::default()).unwrap();
    let (milestones, touches): (Vec<Value>, Vec<Value>) = lines(EVENTS).partition(|event| event["kind"] == "milestone");
    let raw: Vec<Vec<u8>> = touches.iter().map(touch).collect();
    let mut sorted: Vec<Touchpoint<'_>> = raw.iter().map(|raw| Touchpoint::read(raw, PROFILE, "", &[0; 16]).unwrap()).collect();
    sorted.sort_by(Touchpoint::order);
    let milestones: Vec<Milestone> = milestones.iter().map(milestone).collect();
    let live: Vec<&Milestone> = milestones.iter().collect();
    assert_eq!((sorted.len(), live.len()), (7, 3));

    let mut computed = BTreeMap::new();
    for of in &milestones {
        let models: Vec<&str> = plan.models_of(&of.kind).map(|model| model.name.as_str()).collect();
        let mut sums = vec![(0, 0); models.len()];
        for row in credit::rows(
            &Journey::build(&Timeline::of(&sorted, &plan.visits), of, &live, &Cast::default(), &plan.journey(&of.kind)),
            of,
            &plan,
        ) {
            let touch = TouchView::parse(&row.touch).unwrap();
            for share in &row.credits {
                let model = share.model as usize;
                sums[model] = (sums[model].0 + share.weight_nano, sums[model].1 + share.value_minor);
                let key = (of.milestone_id.clone(), models[model].to_owned(), touch.event_id.to_owned());
                computed.insert(key, (share.weight_nano, share.value_minor, touch.channel.to_owned()));
            }
        }
        assert!(sums.iter().all(|sum| *sum == (WHOLE_NANO, of.value_minor)), "{}: {sums:?}", of.milestone_id);
    }

    let golden: Vec<Value> = lines(TABLE).collect();
    for row in &golden {
        let key = (text(row, "milestone_id"), text(row, "model"), text(row, "touch_id"));
        let (weight, value, channel) = computed.remove(&key).unwrap_or_else(|| panic!("no row {key:?}"));
        assert!(weight.abs_diff(row["weight_nano"].as_u64().unwrap()) <= 2, "{key:?}: {weight}");
        assert!(value.abs_diff(row["value_minor"].as_i64().unwrap()) <= 1, "{key:?}: {value}");
        assert_eq!((channel, PROFILE.to_owned()), (text(row, "channel"), text(row, "profile_id")));
    }
    assert_eq!(golden.len(), 119);
    assert!(computed.is_empty(), "rows that should not be: {computed:?}");
}
