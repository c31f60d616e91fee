use serde_json::{Value, json};
use tributary_proto::kind::Kinds;

use super::*;

const MAX: usize = 1 << 20;

fn now() -> Timestamp {
    "2026-01-02T03:04:05.678Z".parse().unwrap()
}

fn records(call: Call, body: &Value) -> Vec<Value> {
    let body = body.to_string();
    let request = Request::read(call, body.as_bytes(), 100, MAX).unwrap();
    let records = request.records(now(), Trust::Public, None);
    assert_eq!(records.len(), request.cost().messages + request.cost().useless);
    let unmarked = |record: &String| {
        let mut record: Value = serde_json::from_str(record).unwrap();
        let mark = record.as_object_mut().and_then(|fields| fields.remove(TRUST_FIELD));
        assert!(mark.is_none_or(|mark| mark == "public") && !record.to_string().contains(TRUST_FIELD));
        record
    };
    records.iter().map(unmarked).collect()
}

#[test]
fn a_message_cannot_declare_itself_trusted() {
    let body =
        r#"{"batch": [{"type": "track", "_trust": "trusted", "\u005ftrust": "trusted", "context": {}}], "_trust": "trusted"}"#;
    for trust in [Trust::Public, Trust::Trusted] {
        let request = Request::read(Call::Batch, body.as_bytes(), 100, MAX).unwrap();
        let record = request.records(now(), trust, None).remove(0);
        assert_eq!(record.matches("trust\":").count(), 1, "{record}");
        assert_eq!(serde_json::from_str::<Value>(&record).unwrap()[TRUST_FIELD], trust.name());
    }
}

#[test]
fn paths() {
    assert_eq!(Call::find("track"), Some(Call::One("track")));
    assert_eq!(Call::find("t"), Some(Call::One("track")));
    assert_eq!(Call::find("p"), Some(Call::One("page")));
    assert_eq!(Call::find("import"), Some(Call::Batch));
    assert_eq!(Call::find(""), None);
    assert_eq!(Call::find("tracks"), None);
}

#[test]
fn the_path_gives_the_kind_and_the_key_is_not_kept() {
    let body = json!({"type": "identify", "writeKey": "k", "event": "E", "timestamp": "2026-01-01T00:00:00Z", "sentAt": "x",
                      "receivedAt": "1999-01-01T00:00:00Z", "properties": {"value": 1.50}});
    let expected = json!({"type": "track", "event": "E", "timestamp": "2026-01-01T00:00:00Z", "sentAt": "x",
                          "receivedAt": "2026-01-02T03:04:05.678Z", "properties": {"value": 1.50}});
    assert_eq!(records(Call::One("track"), &body), [expected]);
}

#[test]
fn the_user_agent_of_a_page_view_defaults_to_that_of_the_request() {
    let of = |call: Call, body: Value| {
        let body = body.to_string();
        let records = Request::read(call, body.as_bytes(), 100, MAX).unwrap().records(now(), Trust::Public, Some("curl/8.0"));
        serde_json::from_str::<Value>(&records[0]).unwrap()["context"].take()
    };
    let page = Call::One("page");
    assert_eq!(of(page, json!({"anonymousId": "a"})), json!({"userAgent": "curl/8.0"}));
    let own = json!({"context": {"page": {"url": "u"}, "userAgent": null}});
    assert_eq!(of(page, own), json!({"page": {"url": "u"}, "userAgent": "curl/8.0"}));
    let other = json!({"context": {"userAgent": "Mozilla/5.0"}});
    assert_eq!(of(page, other.clone()), other["context"]);
    assert_eq!(of(Call::One("track"), json!({"event": "E"})), Value::Null);
    assert_eq!(of(Call::Batch, json!({"batch": [{"type": "page"}]})), Value::Null);
}

#[test]
fn the_context_of_a_batch_applies_to_its_messages() {
    let body = json!({"sentAt": "2026-01-02T03:04:05Z", "writeKey": "k", "context": {"library": {"name": "l"}, "page": {"url": "u"}},
    "batch": [
        {"type": "track", "timestamp": "2026-01-01T00:00:00Z"},
        {"type": "page", "timestamp": null, "sentAt": "own", "context": {"page": {"title": "t"}}},
    ]});
    let received = "2026-01-02T03:04:05.678Z";
    assert_eq!(
        records(Call::Batch, &body),
        [
            json!({"type": "track", "receivedAt": received, "sentAt": "2026-01-02T03:04:05Z", "timestamp": "2026-01-01T00:00:00Z",
               "context": {"library": {"name": "l"}, "page": {"url": "u"}}}),
            json!({"type": "page", "receivedAt": received, "sentAt": "own", "timestamp": received,
               "context": {"page": {"title": "t"}, "library": {"name": "l"}}}),
        ]
    );
}

#[test]
fn only_a_clock_that_is_wrong_is_left_to_be_corrected() {
    let of = |sent_at: &str| {
        let message = json!({"type": "track", "originalTimestamp": "2026-01-02T03:00:00Z", "sentAt": sent_at});
        records(Call::Batch, &json!({ "batch": [message] })).remove(0)["timestamp"].clone()
    };
    assert_eq!(of("2026-01-02T03:04:00Z"), json!("2026-01-02T03:00:00Z"));
    assert_eq!(of("2026-01-02T03:09:05Z"), json!("2026-01-02T03:00:00Z"));
    assert_eq!(of("2026-01-02T03:09:06Z"), Value::Null);
    assert_eq!(of("2025-01-02T03:04:05Z"), Value::Null);
}

#[test]
fn messages_without_use_are_counted_apart() {
    let cost = |batch: &Value| {
        let body = batch.to_string();
        let Cost { messages, useless, .. } = Request::read(Call::Batch, body.as_bytes(), 100, MAX).unwrap().cost();
        (messages, useless)
    };
    let useful = [
        json!({"type": "track", "userId": "u"}),
        json!({"type": " Page ", "anonymousId": 7}),
        json!({"type": "identify", "traits": {"email": "a@b.example"}}),
        json!({"type": "group", "groupId": "g"}),
        json!({"type": "track", "context": {"externalIds": [{"type": "email", "id": "a@b.example"}]}}),
    ];
    assert_eq!(cost(&json!({ "batch": useful })), (useful.len(), 0));
    let useless = [
        json!({}),
        json!(null),
        json!([]),
        json!("x"),
        json!({"type": "track"}),
        json!({"userId": "u"}),
        json!({"type": "tracks", "userId": "u"}),
        json!({"type": "track", "userId": "", "anonymousId": null, "traits": {}}),
        json!({"type": "track", "context": {"page": {"url": "u"}}}),
    ];
    assert_eq!(cost(&json!({ "batch": useless })), (0, useless.len()));
    assert_eq!(cost(&json!({"batch": [{"type": "track"}], "context": {"traits": {"email": "e"}}})), (1, 0));
    let one = |body: &[u8]| Request::read(Call::One("track"), body, 1, MAX).unwrap().cost();
    assert_eq!(one(b"{}"), Cost { useless: 1, bytes: 2, messages: 0 });
    assert_eq!(one(b"{\"userId\": \"u\"}"), Cost { messages: 1, bytes: 15, useless: 0 });
}

#[test]
fn fields_of_a_batch_apply_to_each_message() {
    for shared in ["context", "sentAt"] {
        let of = |bytes: usize| {
            let said = if shared == "context" { json!({"x": "y".repeat(bytes)}) } else { json!("y".repeat(bytes)) };
            let batch = json!({ "batch": vec![json!({"type": "track", "userId": "u"}); 100], shared: said }).to_string();
            Request::read(Call::Batch, batch.as_bytes(), 100, 100_000).map(|request| request.cost().bytes)
        };
        assert!(of(500).is_ok_and(|bytes| bytes > 50_000));
        assert!(matches!(of(1_000), Err(Refusal::TooLarge { max: 100_000, .. })));
    }
}

#[test]
fn contexts_of_many_fields_are_merged_in_time() {
    let fields = |name: &str| -> String { (0..40_000).map(|number| format!("\"{name}{number}\":1,")).collect() };
    let body = format!(r#"{{"context":{{{}"z":1}},"batch":[{{"context":{{{}"z":2}}}}]}}"#, fields("a"), fields("b"));
    let request = Request::read(Call::Batch, body.as_bytes(), 1, 8 * MAX).unwrap();
    let record: Value = serde_json::from_str(&request.records(now(), Trust::Public, None)[0]).unwrap();
    assert_eq!((record["context"].as_object().unwrap().len(), &record["context"]["z"]), (80_001, &json!(2)));
}

#[test]
fn no_message_is_taken_for_a_native_record() {
    let erase =
        |kind: Value| json!({"type": kind, "kind": "erase", "email": "a@b.example", "timestamp": "2026-01-01T00:00:00Z"});
    let batch = [erase(Value::Null), erase(json!("")), erase(json!(" \u{200b}")), erase(json!(["track"])), json!(7)];
    let decoder = tributary_ingest::Decoder::new(&tributary_ingest::Settings::default(), &Kinds::default()).unwrap();
    let body = json!({ "batch": batch }).to_string();
    let request = Request::read(Call::Batch, body.as_bytes(), 100, MAX).unwrap();
    for record in request.records(now(), Trust::Public, None) {
        let mut decoded = tributary_ingest::Decoded::default();
        let topic = tributary_runtime::topic::Topic::Sdk;
        let found = tributary_ingest::decode_record(&decoder, topic, record.as_bytes(), 1, &mut decoded);
        assert!(found.is_err() && decoded.events.is_empty(), "{record}");
    }
}

#[test]
fn what_is_no_request_is_refused() {
    for body in ["", "[]", "{", "{}", "{\"batch\": {}}", "{\"batch\": [}", "\u{0}"] {
        assert!(Request::read(Call::Batch, body.as_bytes(), 100, MAX).is_err(), "{body}");
    }
    let many = json!({"batch": vec![json!({}); 101]}).to_string();
    let refusal = Request::read(Call::Batch, many.as_bytes(), 100, MAX).unwrap_err();
    assert_eq!(refusal, Refusal::TooLarge { what: "messages of a batch", max: 100 });
}
