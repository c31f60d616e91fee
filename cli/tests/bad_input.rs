//! Bad input: every kind becomes a dead letter with its reason, its place and its bytes, and the next record is processed.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests")]

mod support;

use tributary_pipeline::replay::Replay;
use tributary_runtime::topic::Topic;

/// What is wrong: topic, record, reason and field.
fn cases() -> Vec<(Topic, Vec<u8>, &'static str, &'static str)> {
    let native = |rest: &str| {
        format!(r#"{{"timestamp": "2024-05-01T10:00:00+08:00", "email": "a@b-corp.example", {rest}}}"#).into_bytes()
    };
    let milestone = |rest: &str| native(&format!(r#""kind": "milestone", "object_id": "1", {rest}"#));
    let wechat = |body: &str| {
        serde_json::json!({"provider": "wechat", "received_at": "2024-05-01T10:00:00+08:00", "headers": {}, "body": body})
            .to_string()
            .into_bytes()
    };
    vec![
        (Topic::Offline, b"{\"timestamp\": ".to_vec(), "json_malformed", ""),
        (
            Topic::Sdk,
            b"{\"type\": \"page\", \"timestamp\": \"2024-05-01T10:00:00Z\", \"anonymousId\": \"\xff\xfe\"}".to_vec(),
            "identifier_invalid",
            "anonymousId",
        ),
        (
            Topic::Webhook,
            br#"{"provider": "nobody", "received_at": "2024-05-01T10:00:00Z", "headers": {}, "body": {}}"#.to_vec(),
            "provider_unknown",
            "provider",
        ),
        (Topic::Offline, br#"{"email": "a@b-corp.example"}"#.to_vec(), "timestamp_missing", "timestamp"),
        (
            Topic::Offline,
            br#"{"email": "a@b-corp.example", "timestamp": "2099-01-01T00:00:00Z"}"#.to_vec(),
            "timestamp_future",
            "timestamp",
        ),
        (
            Topic::Offline,
            br#"{"wechat_openid": "oZhang", "timestamp": "2024-05-01T10:00:00+08:00"}"#.to_vec(),
            "identifier_scope_missing",
            "wechat_openid",
        ),
        (Topic::Offline, milestone(r#""milestone": "promoted""#), "milestone_unknown", "milestone"),
        (Topic::Offline, milestone(r#""milestone": "closed_won", "withdrawn": "perhaps""#), "value_invalid", "withdrawn"),
        (
            Topic::Offline,
            br#"{"kind": "spend", "day": "2024-05-01", "channel": "sms", "value": "many"}"#.to_vec(),
            "value_invalid",
            "value",
        ),
        (
            Topic::Offline,
            br#"{"kind": "spend", "day": "2024-05-01", "channel": "sms", "value": "5", "currency": "XYZ"}"#.to_vec(),
            "currency_unknown",
            "currency",
        ),
        (Topic::Offline, native(&format!(r#""campaign": "{}""#, "x".repeat(2 << 20))), "record_too_large", ""),
        (
            Topic::Webhook,
            wechat("<!DOCTYPE xml [<!ENTITY a \"b\">]><xml><ToUserName>g</ToUserName></xml>"),
            "xml_doctype",
            "body",
        ),
    ]
}

#[test]
fn every_bad_record_is_a_dead_letter_and_the_next_one_is_processed() {
    let mut replay = Replay::new(&support::settings(), 1).unwrap_or_else(|problems| panic!("{problems:?}"));
    let cases = cases();
    for (at, (topic, record, ..)) in cases.iter().enumerate() {
        replay.append(*topic, support::RECEIVED_MS, record);
        let good = format!(r#"{{"timestamp": "2024-05-01T10:00:00+08:00", "user_id": "u{at}"}}"#);
        replay.append(Topic::Offline, support::RECEIVED_MS, good.as_bytes());
    }
    let results = replay.finish().unwrap();
    assert_eq!(results.profiles.len(), cases.len(), "the good records");
    assert_eq!(results.dead_letters.len(), cases.len());
    for (topic, record, reason, field) in cases {
        let letter = results
            .dead_letters
            .iter()
            .find(|letter| letter.payload == record)
            .unwrap_or_else(|| panic!("{reason}: no letter"));
        assert_eq!((letter.reason.as_str(), letter.field.as_str()), (reason, field));
        assert_eq!((letter.stage.as_str(), letter.topic.as_str(), letter.partition), ("ingest", topic.name(), 0));
        assert!(letter.offset >= 0 && !letter.detail.is_empty());
        assert!(!letter.detail.contains("a@b-corp") && !letter.detail.contains("oZhang"), "{reason} tells whom it is about");
    }
}
