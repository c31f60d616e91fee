//! Tests of a history as its readers see it.

use std::collections::{BTreeMap, BTreeSet};
use tributary_proto::Source;
use tributary_proto::kind::Kinds;

use serde_json::Value;

use super::*;

const SPEC: Spec = Spec { people: 400, seed: 42, days: 200, events: 8_000, messy: false, dimensions: false };

/// The source of the records of a raw topic.
fn source_of(topic: Topic) -> Source {
    match topic {
        Topic::Sdk => Source::Sdk,
        Topic::Utm => Source::Utm,
        Topic::Webhook => Source::Webhook,
        _ => Source::Offline,
    }
}

fn records(spec: Spec) -> Vec<RawRecord> {
    History::new(spec).filter_map(|item| if let Item::Record(record) = item { Some(record) } else { None }).collect()
}

fn truths(spec: Spec) -> Vec<Truth> {
    History::new(spec).filter_map(|item| if let Item::Person(truth) = item { Some(truth) } else { None }).collect()
}

/// Native records of the CRM, with lists split into their bodies.
fn pushed(spec: Spec) -> Vec<Value> {
    let webhooks = records(spec).into_iter().filter(|record| record.topic == Topic::Webhook);
    webhooks
        .flat_map(|record| {
            let push: Value = serde_json::from_slice(&record.value).unwrap();
            match &push["body"] {
                Value::Array(items) => items.clone(),
                body => vec![body.clone()],
            }
        })
        .filter(Value::is_object)
        .collect()
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_seed_others() {
    for messy in [false, true] {
        let spec = Spec { messy, ..SPEC };
        assert_eq!(History::new(spec).collect::<Vec<_>>(), History::new(spec).collect::<Vec<_>>());
        assert_ne!(records(spec), records(Spec { seed: 43, ..spec }));
    }
}

#[test]
fn there_are_as_many_people_and_records_as_wanted() {
    assert_eq!(truths(SPEC).len(), 400);
    assert_eq!(records(SPEC).len(), 8_000);
    assert_eq!(records(Spec { events: 50_000, ..SPEC }).len(), 50_000);
    assert!(records(Spec { events: 0, ..SPEC }).len() > 400, "nobody's own journey is cut off");
    assert_eq!(History::new(Spec { people: 0, ..SPEC }).count(), 0);
}

#[test]
fn every_record_is_json_and_every_topic_is_fed() {
    for messy in [false, true] {
        let mut topics = BTreeMap::new();
        for record in records(Spec { messy, ..SPEC }) {
            let value: Value = serde_json::from_slice(&record.value).unwrap();
            assert!(value.is_object());
            assert!(!record.value.contains(&b'\n'));
            *topics.entry(record.topic).or_insert(0) += 1;
        }
        assert_eq!(topics.keys().copied().collect::<Vec<_>>(), Topic::RAW);
        assert!(topics.values().all(|count| *count > 50), "{topics:?}");
    }
}

#[test]
fn arrivals_are_in_order_and_events_are_not() {
    let records = records(SPEC);
    assert!(records.is_sorted_by_key(|record| record.arrives_ms));
    assert!(records.first().unwrap().arrives_ms >= START_MS);
    let hits = records.iter().filter(|record| record.topic == Topic::Utm);
    let times: Vec<String> = hits
        .map(|record| serde_json::from_slice::<Value>(&record.value).unwrap()["timestamp"].as_str().unwrap().to_owned())
        .collect();
    assert!(!times.is_sorted(), "some arrive late");
    assert!(times.iter().all(|time| time.starts_with("2023-")));
}

#[test]
fn milestones_are_of_leads_contacts_and_accounts_that_exist() {
    let (mut contacts, mut leads, mut accounts) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for truth in truths(SPEC) {
        accounts.insert(truth.account.clone());
        for identifier in truth.identifiers {
            match identifier.split_once("||") {
                Some(("crm_contact", id)) => contacts.insert(id.to_owned()),
                Some(("crm_lead", id)) => leads.insert(id.to_owned()),
                _ => false,
            };
        }
    }
    let mut kinds = BTreeMap::new();
    for body in pushed(SPEC).into_iter().filter(|body| body["kind"] == "milestone") {
        let text = |field: &str| body[field].as_str().unwrap_or_default().to_owned();
        let known_lead = leads.contains(&text("crm_lead")) && text("object_id") == text("crm_lead");
        let known_deal = contacts.contains(&text("crm_contact")) && accounts.contains(&text("account"));
        assert!(known_lead || known_deal, "{body}");
        if body["withdrawn"].is_null() && known_deal {
            assert!(text("value").parse::<f64>().unwrap() > 0.0 && text("currency").len() == 3, "{body}");
        }
        *kinds.entry(text("milestone")).or_insert(0) += 1;
    }
    for kind in ["lead", "mql", "sal", "meeting", "opportunity", "proposal", "negotiation", "closed_won", "closed_lost"] {
        assert!(kinds.contains_key(kind), "{kind} in {kinds:?}");
    }
}

#[test]
fn milestones_are_amended_and_withdrawn_and_records_come_twice() {
    let milestones: Vec<Value> = pushed(SPEC).into_iter().filter(|body| body["kind"] == "milestone").collect();
    assert!(milestones.iter().any(|body| body["withdrawn"] == true));
    assert!(milestones.iter().any(|body| body["occurred_at"].is_string()));
    let all = records(SPEC);
    let distinct: BTreeSet<&[u8]> = all.iter().map(|record| record.value.as_slice()).collect();
    assert!(distinct.len() < all.len() && distinct.len() > all.len() * 9 / 10);
}

#[test]
fn the_truth_names_what_records_name() {
    let text: String = records(SPEC).iter().map(|record| String::from_utf8_lossy(&record.value).into_owned()).collect();
    for truth in truths(SPEC).into_iter().take(60) {
        for identifier in &truth.identifiers {
            let value = identifier.rsplit('|').next().unwrap();
            let digits = value.strip_prefix("+86").unwrap_or(value);
            let parts = [digits.get(..3), digits.get(3..7), digits.get(7..)].map(Option::unwrap_or_default);
            let spelt = [digits.to_owned(), parts.join(" "), parts.join("-")];
            assert!(spelt.iter().any(|form| text.contains(form)), "{identifier}");
        }
    }
}

#[test]
fn rows_of_the_spreadsheet_have_a_cell_for_every_column() {
    let sheet: Vec<RawRecord> = records(Spec { messy: true, ..SPEC }).into_iter().filter(|record| record.sheet).collect();
    assert!(sheet.len() > 20);
    for record in sheet {
        assert_eq!(record.topic, Topic::Offline);
        let cells = row(&record.value, header(false)).unwrap();
        assert_eq!(cells.len(), header(false).len());
        assert!(cells[..7].iter().all(|cell| !cell.is_empty()), "{cells:?}");
    }
    assert_eq!(row(b"[]", header(false)), None);
}

#[test]
fn dimensions_are_where_each_input_has_them() {
    use tributary_ingest::{Decoded, Decoder, Settings};
    let spec = Spec { dimensions: true, ..SPEC };
    let dimensions = ["region", "product", "team"].map(str::to_owned).to_vec();
    let settings = Settings { dimensions, ..Settings::default() };
    let decoder = Decoder::new(&settings, &Kinds::default()).unwrap();
    let mut found = BTreeSet::new();
    for record in records(spec) {
        let source = source_of(record.topic);
        let mut decoded = Decoded::default();
        decoder.decode(source, &record.value, Some(record.arrives_ms), &mut decoded).unwrap();
        assert!(decoded.ignored.is_empty(), "{:?}", decoded.ignored);
        for body in decoded.events.into_iter().filter_map(|event| event.body) {
            use tributary_proto::event::Body;
            let names: Vec<String> = match body {
                Body::Touch(touch) => touch.dimensions.unwrap_or_default().values.into_keys().collect(),
                Body::Milestone(version) => version.dimensions.into_keys().collect(),
                _ => continue,
            };
            found.extend(names.into_iter().map(|name| (record.topic.name(), name)));
        }
        if record.sheet {
            let region = row(&record.value, header(true)).unwrap().pop().unwrap();
            assert!(!region.is_empty());
        }
    }
    let of = |topic: &str| found.iter().filter(|(of, _)| *of == topic).map(|(_, name)| name.as_str()).collect::<Vec<_>>();
    assert_eq!((of("utm"), of("sdk")), (vec!["product"], vec!["product"]), "a page within a visit is no touch");
    assert_eq!((of("webhook"), of("offline")), (vec!["product", "region", "team"], vec!["region", "team"]));
}

#[test]
fn the_configuration_of_the_market_loads() {
    use tributary_runtime::config::{Sources, load};
    let file = tempfile::NamedTempFile::new().unwrap();
    for (configuration, dimensions) in [(CONFIGURATION, 0), (CONFIGURATION_WITH_DIMENSIONS, 3)] {
        std::fs::write(file.path(), configuration).unwrap();
        let sources = Sources { files: vec![file.path().to_owned()], ..Sources::default() };
        let settings: tributary_pipeline::settings::Settings = load(&sources).unwrap();
        assert_eq!(
            (settings.identity.free_mail, settings.ingest.dimensions.len()),
            (vec![words::FREE_MAIL.to_owned()], dimensions)
        );
    }
}

#[test]
fn ingest_accepts_every_record_of_a_clean_history_and_refuses_some_of_a_messy_one() {
    use tributary_ingest::{Decoded, Decoder, Settings};
    let decoder = Decoder::new(&Settings::default(), &Kinds::default()).unwrap();
    let refused = |spec| {
        let mut reasons = BTreeMap::new();
        for record in records(spec) {
            let source = source_of(record.topic);
            let mut decoded = Decoded::default();
            let whole = decoder.decode(source, &record.value, Some(record.arrives_ms), &mut decoded).err();
            for rejection in whole.into_iter().chain(decoded.rejections) {
                *reasons.entry(rejection.reason).or_insert(0) += 1;
            }
        }
        reasons
    };
    assert_eq!(refused(SPEC), BTreeMap::new());
    let messy = refused(Spec { messy: true, events: 40_000, ..SPEC });
    assert!(messy.len() >= 6 && messy.values().sum::<i32>() < 200, "{messy:?}");
}
