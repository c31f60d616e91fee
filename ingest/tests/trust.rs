//! What a public write key may say, and what only trusted sources may.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failing test panics")]

use serde_json::{Value, json};
use tributary_ingest::reason::{PUBLIC_REFUSED, Reason, TIMESTAMP_TOO_OLD};
use tributary_ingest::settings::TrustSettings;
use tributary_ingest::{Decoded, Decoder, Settings, TRUST_FIELD, Trust, decode_record};
use tributary_proto::event::Body;
use tributary_proto::kind::Kinds;
use tributary_proto::{Event, Source};
use tributary_runtime::topic::Topic;

/// 2026-03-01T10:00:00Z.
const RECEIVED_MS: i64 = 1_772_359_200_000;
const NOW: &str = "2026-03-01T10:00:00Z";

fn settings() -> Settings {
    Settings {
        milestone_events: [("Trial Started".to_owned(), "evaluation".to_owned())].into(),
        public_values: vec!["Closed_Won".into()],
        ..Settings::default()
    }
}

fn decoded(source: Source, record: &Value) -> Result<Decoded, Reason> {
    decoded_by(&settings(), source, record)
}

fn decoded_by(settings: &Settings, source: Source, record: &Value) -> Result<Decoded, Reason> {
    let decoder = Decoder::new(settings, &Kinds::default()).unwrap();
    let mut decoded = Decoded::default();
    match decoder.decode(source, record.to_string().as_bytes(), Some(RECEIVED_MS), &mut decoded) {
        Ok(()) => Ok(decoded),
        Err(refused) => {
            assert!(decoded.events.is_empty() && decoded.spends.is_empty(), "{record}");
            Err(refused.reason)
        }
    }
}

fn names(event: &Event) -> Vec<&str> {
    event.identifiers.iter().chain(&event.account_identifiers).map(|identifier| identifier.kind.as_str()).collect()
}

fn left_out(decoded: &Decoded) -> Vec<(&str, &str)> {
    decoded.ignored.iter().map(|field| (field.why.field.as_str(), field.why.reason.code())).collect()
}

fn page() -> Value {
    json!({"type": "page", "messageId": "m", "anonymousId": "c", "timestamp": NOW, TRUST_FIELD: "public",
           "context": {"groupId": "001B", "externalIds": [{"type": "crm_contact", "id": "003"}], "traits": {"email": "li@b.example"}}})
}

#[test]
fn a_public_event_names_no_record_of_the_crm_and_no_account() {
    let public = decoded(Source::Sdk, &page()).unwrap();
    let event = &public.events[0];
    assert_eq!((names(event), event.public), (vec!["email", "anonymous_id"], true));
    assert!(matches!(&event.body, Some(Body::Touch(touch)) if touch.public && touch.identified));
    assert_eq!(left_out(&public), [("crm_contact", "public_refused"), ("crm_account", "public_refused")]);

    let mut trusted = page();
    trusted[TRUST_FIELD] = json!("trusted");
    let trusted = decoded(Source::Sdk, &trusted).unwrap();
    let event = &trusted.events[0];
    assert_eq!((names(event).len(), event.public), (4, false));
    assert!(matches!(&event.body, Some(Body::Touch(touch)) if !touch.public) && trusted.ignored.is_empty());

    let hit = json!({"timestamp": NOW, "anonymous_id": "c", "crm_lead": "00Q", "domain": "b.example", "account": "001B", TRUST_FIELD: "public"});
    let hit = decoded(Source::Utm, &hit).unwrap();
    assert_eq!(names(&hit.events[0]), ["anonymous_id"]);
    assert!(matches!(&hit.events[0].body, Some(Body::Touch(touch)) if !touch.identified));
    let of_nobody = json!({"timestamp": NOW, "crm_contact": "003", TRUST_FIELD: "public"});
    assert_eq!(decoded(Source::Utm, &of_nobody).unwrap_err(), PUBLIC_REFUSED);
}

#[test]
fn a_public_group_call_only_identifies_the_visitor() {
    let group = |anonymous: Value| {
        json!({"type": "group", "messageId": "m", "anonymousId": anonymous, "groupId": "001B", "timestamp": NOW,
               "traits": {"name": "B"}, "context": {"traits": {"title": "CTO"}}, TRUST_FIELD: "public"})
    };
    let found = decoded(Source::Sdk, &group(json!("c"))).unwrap();
    assert_eq!((found.events.len(), names(&found.events[0])), (1, vec!["anonymous_id"]));
    assert!(matches!(found.events[0].body, Some(Body::Identify(_))));
    assert_eq!(found.events[0].traits[0].name, "title");
    assert_eq!(left_out(&found)[0], ("crm_account", "public_refused"));
    assert_eq!(decoded(Source::Sdk, &group(Value::Null)).unwrap_err(), PUBLIC_REFUSED);
}

#[test]
fn public_records_of_trusted_kinds_are_refused() {
    let two = json!({"user_id": "a", "email": "li@b.example", "timestamp": NOW});
    let refused = [
        json!({"kind": "link"}),
        json!({"kind": "unlink"}),
        json!({"kind": "erase"}),
        json!({"kind": "account", "account": "001B"}),
        json!({"kind": "spend", "channel": "sms", "value": 5}),
        json!({"kind": "milestone", "milestone": "mql", "object_id": "1"}),
        json!({"kind": "milestone", "milestone": "evaluation", "object_id": "1", "withdrawn": true}),
    ];
    for more in refused {
        let mut record = two.clone();
        record.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        assert!(decoded(Source::Offline, &record).is_ok(), "{record}");
        record[TRUST_FIELD] = json!("public");
        assert_eq!(decoded(Source::Offline, &record).unwrap_err(), PUBLIC_REFUSED, "{record}");
    }
    let mut alias = json!({"type": "alias", "userId": "new", "previousId": "old", "timestamp": NOW});
    assert!(decoded(Source::Sdk, &alias).is_ok());
    alias[TRUST_FIELD] = json!("public");
    assert_eq!(decoded(Source::Sdk, &alias).unwrap_err(), PUBLIC_REFUSED);
    let consent =
        json!({"kind": "consent", "consent": "revoked", "anonymous_id": "c", "timestamp": NOW, TRUST_FIELD: "public"});
    assert!(decoded(Source::Offline, &consent).unwrap().events[0].public);
}

#[test]
fn a_milestone_that_is_opened_counts_without_its_value() {
    let trial = json!({"type": "track", "event": "Trial Started", "messageId": "m", "userId": "u", "timestamp": NOW,
                       "properties": {"value": 5, "currency": "USD"}, TRUST_FIELD: "public"});
    let found = decoded(Source::Sdk, &trial).unwrap();
    let Some(Body::Milestone(version)) = &found.events[0].body else { panic!("no milestone") };
    assert_eq!((version.value.is_none(), version.currency.as_str()), (true, ""));
    assert_eq!(left_out(&found), [("value", "public_refused"), ("currency", "public_refused")]);

    let won = json!({"kind": "milestone", "milestone": "closed_won", "object_id": "1", "value": 5, "currency": "USD", "user_id": "u",
                     "timestamp": NOW, "occurred_at": "2026-01-01T00:00:00Z", TRUST_FIELD: "public"});
    let found = decoded(Source::Utm, &won).unwrap();
    let Some(Body::Milestone(version)) = &found.events[0].body else { panic!("no milestone") };
    assert_eq!((version.value.is_some(), version.currency.as_str(), version.occurred_at_ms), (true, "USD", None));
    assert_eq!(left_out(&found), [("occurred_at", "timestamp_too_old")]);
}

#[test]
fn a_public_event_lies_at_most_two_days_before_its_receipt() {
    let at = |timestamp: &str, trust: &str| {
        let record = json!({"timestamp": timestamp, "received_at": NOW, "anonymous_id": "c", TRUST_FIELD: trust});
        decoded(Source::Utm, &record).map(|found| found.events.len())
    };
    assert_eq!(at("2026-02-27T10:00:00Z", "public"), Ok(1));
    assert_eq!(at("2026-02-27T09:59:59Z", "public"), Err(TIMESTAMP_TOO_OLD));
    assert_eq!(at("2020-02-27T09:59:59Z", "trusted"), Ok(1));
    let message = json!({"type": "page", "anonymousId": "c", "timestamp": "2026-02-27T09:59:59Z", "receivedAt": NOW, TRUST_FIELD: "public"});
    assert_eq!(decoded(Source::Sdk, &message).unwrap_err(), TIMESTAMP_TOO_OLD);
}

#[test]
fn a_record_without_a_mark_has_the_trust_of_its_topic() {
    let public = Settings { trust: TrustSettings { sdk: Trust::Public, ..TrustSettings::default() }, ..settings() };
    for (mark, by_default, where_public) in [
        (Value::Null, false, true),
        (json!("trusted"), false, false),
        (json!("public"), true, true),
        (json!("Trusted"), true, true),
        (json!(true), true, true),
        (json!(["trusted"]), true, true),
    ] {
        let mut record = page();
        record[TRUST_FIELD] = mark.clone();
        let is_public = |settings: &Settings| decoded_by(settings, Source::Sdk, &record).unwrap().events[0].public;
        assert_eq!((is_public(&settings()), is_public(&public)), (by_default, where_public), "{mark}");
    }
    // Twice: nobody knows which is meant.
    let twice = r#"{"timestamp": "2026-03-01T10:00:00Z", "anonymous_id": "c", "_trust": "trusted", "_trust": "trusted"}"#;
    let decoder = Decoder::new(&settings(), &Kinds::default()).unwrap();
    let mut found = Decoded::default();
    decode_record(&decoder, Topic::Utm, twice.as_bytes(), RECEIVED_MS, &mut found).unwrap();
    assert!(found.events[0].public);
}

#[test]
fn what_is_inside_an_envelope_has_its_trust() {
    let envelope = |outer: &str, inner: &str| {
        json!({"provider": "native", "received_at": NOW, TRUST_FIELD: outer,
               "body": [{"timestamp": NOW, "email": "li@b.example", TRUST_FIELD: inner}]})
    };
    for (outer, inner, expected) in [("trusted", "public", false), ("public", "trusted", true), ("trusted", "trusted", false)] {
        assert_eq!(decoded(Source::Webhook, &envelope(outer, inner)).unwrap().events[0].public, expected, "{outer} {inner}");
    }
}

#[test]
fn a_copy_has_the_same_id_whoever_sent_it() {
    let mut hit = json!({"timestamp": NOW, "anonymous_id": "c", "url": "https://a.example/"});
    let id = |hit: &Value| decoded(Source::Utm, hit).unwrap().events[0].event_id.clone();
    let unmarked = id(&hit);
    hit[TRUST_FIELD] = json!("public");
    assert_eq!(id(&hit), unmarked);
    let mut message = page();
    message.as_object_mut().unwrap().remove("messageId");
    let of = |message: &Value| decoded(Source::Sdk, message).unwrap().events[0].event_id.clone();
    let marked = of(&message);
    message[TRUST_FIELD] = json!("trusted");
    assert_eq!(of(&message), marked);
}

/// With a public key nobody's event becomes the report of a CRM record, which would go when the record is deleted; and nobody deletes one.
#[test]
fn a_public_event_neither_states_nor_deletes_a_record() {
    let word = json!({"kind": "touch", "timestamp": NOW, "anonymous_id": "c", "channel": "events", "crm_record": "00T1", TRUST_FIELD: "public"});
    let found = decoded(Source::Offline, &word).unwrap();
    assert_eq!((found.events[0].record.as_str(), left_out(&found)), ("", vec![("crm_record", "public_refused")]));
    let deletion = json!({"kind": "retract", "timestamp": NOW, "crm_record": "00T1", TRUST_FIELD: "public"});
    assert_eq!(decoded(Source::Offline, &deletion).unwrap_err(), PUBLIC_REFUSED);
    let trusted = json!({"kind": "retract", "timestamp": NOW, "crm_record": "00T1"});
    let found = decoded(Source::Offline, &trusted).unwrap();
    assert!(matches!(&found.events[0].body, Some(Body::Retract(of)) if of.record == "00T1"));
}
