//! The operator's own dimensions, from every source.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failing test panics")]

use serde_json::{Value, json};
use tributary_ingest::{Decoded, Decoder, Settings, as_native};
use tributary_proto::Source;
use tributary_proto::event::Body;
use tributary_proto::kind::Kinds;

const MAPPING: &str = "[webhook.mappings.mycrm.deal]\neach = '$'\n\
     [webhook.mappings.mycrm.deal.fields]\nkind = 'milestone'\ntimestamp = '$.at'\nmilestone = 'mql'\nobject_id = '$.id'\nemail = '$.email'\n\
     [webhook.mappings.mycrm.deal.dimensions]\nregion = '$.territory'\n";

fn settings(names: &[&str]) -> Settings {
    let mapping = if names.contains(&"region") { MAPPING } else { "" };
    let mut settings: Settings = toml::from_str(mapping).unwrap();
    settings.dimensions = names.iter().map(|name| (*name).to_owned()).collect();
    settings.milestone_events.insert("Deal Won".into(), "closed_won".into());
    settings
}

fn decoded(names: &[&str], source: Source, record: &Value) -> Decoded {
    let decoder = Decoder::new(&settings(names), &Kinds::default()).unwrap();
    let mut decoded = Decoded::default();
    decoder.decode(source, record.to_string().as_bytes(), None, &mut decoded).unwrap();
    decoded
}

/// What the one event of a record has, `name=value`, and how many were left out.
fn told(names: &[&str], source: Source, record: &Value) -> (String, u64) {
    let decoded = decoded(names, source, record);
    let values = match decoded.events.first().and_then(|event| event.body.clone()) {
        Some(Body::Touch(touch)) => touch.dimensions.unwrap_or_default().values,
        Some(Body::Milestone(version)) => version.dimensions,
        _ => decoded.spends.first().map(|spend| spend.dimensions.clone()).unwrap_or_default(),
    };
    let text: Vec<String> = values.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let left = decoded.ignored.iter().filter(|field| field.why.field == "dimensions").map(|field| field.count).sum();
    (text.join(" "), left)
}

fn with(record: &Value, more: &Value) -> Value {
    let mut record = record.clone();
    record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    record
}

const DECLARED: [&str; 2] = ["region", "team"];

#[test]
fn native_records_have_them_as_an_object_or_as_columns() {
    let touch = json!({"timestamp": "2026-03-01", "email": "li@b.example", "channel": "sales"});
    let offline = |more: Value| told(&DECLARED, Source::Offline, &with(&touch, &more));
    assert_eq!(offline(json!({})), (String::new(), 0));
    assert_eq!(offline(json!({"dimensions": {"team": "a", "floor": "1"}})), ("team=a".into(), 1));
    assert_eq!(
        offline(json!({"dimensions.team": "a", "Dimensions.region": "n"})),
        ("team=a".into(), 0),
        "fields are in lower case"
    );
    assert_eq!(offline(json!({"dimensions.TEAM": "a", "dimensions": {"region": 7}})), ("region=7 team=a".into(), 0));
    assert_eq!(offline(json!({"dimensions.team": "a", "dimensions": {"team": "b"}})), (String::new(), 1), "which is meant?");
    assert_eq!(offline(json!({"dimensions.team": null, "dimensions": 7})), (String::new(), 1));
    assert_eq!(told(&[], Source::Offline, &with(&touch, &json!({"dimensions.team": "a"}))), (String::new(), 1));
    let identify = with(&touch, &json!({"kind": "identify", "dimensions": {"team": "a"}}));
    assert_eq!(told(&DECLARED, Source::Offline, &identify), (String::new(), 1));
}

#[test]
fn milestones_clear_and_costs_have_them() {
    let milestone =
        json!({"timestamp": "2026-03-01", "kind": "milestone", "milestone": "mql", "object_id": "1", "email": "li@b.example"});
    let said = |more: Value| told(&DECLARED, Source::Offline, &with(&milestone, &more)).0;
    assert_eq!(said(json!({"dimensions": {"team": null, "region": "n"}})), "region=n team=");
    assert_eq!(said(json!({"dimensions.team": ""})), "", "a blank cell says nothing");
    let spend = json!({"kind": "spend", "day": "2026-03-01", "channel": "email", "value": 5, "dimensions.team": "a", "dimensions.region": null});
    assert_eq!(told(&DECLARED, Source::Offline, &spend), ("team=a".into(), 0));
}

#[test]
fn fields_of_a_message_win_over_its_context() {
    let sdk = |event: &str, names: &[&str]| {
        let message = json!({
            "type": "track", "event": event, "messageId": "m", "userId": "u", "timestamp": "2026-03-01T00:00:00Z",
            "properties": {"dimensions": {"team": "a"}}, "context": {"dimensions": {"team": "b", "region": "n", "floor": "1"}},
        });
        told(names, Source::Sdk, &message)
    };
    assert_eq!(sdk("Form Submitted", &DECLARED), ("region=n team=a".into(), 1));
    assert_eq!(sdk("Deal Won", &DECLARED), ("region=n team=a".into(), 1));
    assert_eq!(sdk("Form Submitted", &[]), (String::new(), 0), "the property may be anything then");
}

#[test]
fn a_mapping_names_declared_ones() {
    let push = json!({"provider": "mycrm", "headers": {}, "body": {"at": "2026-03-01", "id": 7, "email": "li@b.example", "territory": "east"}});
    assert_eq!(told(&DECLARED, Source::Webhook, &push), ("region=east".into(), 0));
    let undeclared = Settings { dimensions: vec!["team".into()], ..settings(&DECLARED) };
    let problems = Decoder::new(&undeclared, &Kinds::default()).unwrap_err().to_string();
    assert!(problems.contains("webhook.mappings.mycrm.deal.dimensions.region"), "{problems}");
}

#[test]
fn a_native_record_of_an_event_has_them() {
    let record = json!({
        "timestamp": "2026-03-01", "kind": "milestone", "milestone": "mql", "object_id": "1", "email": "li@b.example",
        "dimensions": {"team": null, "region": "n"},
    });
    let first = decoded(&DECLARED, Source::Offline, &record);
    let native = as_native(&first.events[0]);
    assert_eq!(native["dimensions"], record["dimensions"]);
    assert_eq!(decoded(&DECLARED, Source::Offline, &native).events, first.events);
}
