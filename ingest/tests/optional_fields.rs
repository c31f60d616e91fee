//! A good event is never lost for a bad part: with any one optional field replaced by any JSON value the event stands, and all that other
//! fields say is as it was.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "a failing test panics")]

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use tributary_ingest::{Decoded, Decoder, Settings};
use tributary_proto::event::Body;
use tributary_proto::kind::Kinds;
use tributary_proto::{Event, Source};

const RECEIVED_MS: i64 = 1_800_000_000_000;

thread_local! {
    static DECODER: Decoder = Decoder::new(&settings(), &Kinds::default()).unwrap();
}

fn settings() -> Settings {
    Settings { dimensions: vec!["team".into()], ..Settings::default() }
}

fn decode(source: Source, record: &str) -> Decoded {
    let mut decoded = Decoded::default();
    let result = DECODER.with(|decoder| decoder.decode(source, record.as_bytes(), Some(RECEIVED_MS), &mut decoded));
    result.unwrap_or_else(|why| panic!("{record}: {why}"));
    assert_eq!(decoded.rejections, [], "{record}");
    decoded
}

fn page() -> Value {
    json!({
        "type": "page", "messageId": "m1", "anonymousId": "c1", "userId": "u1", "timestamp": "2026-03-01T08:00:00Z",
        "sentAt": "2026-03-01T08:00:00Z", "receivedAt": "2026-03-01T08:00:01Z", "originalTimestamp": "2026-03-01T08:00:00Z",
        "traits": {"name": "Li", "email": "li@b.example", "phone": "13800001111"},
        "properties": {"url": "https://www.a.example/p", "referrer": "https://www.baidu.com/"},
        "context": {
            "campaign": {"name": "brand", "source": "baidu", "medium": "cpc", "term": "k", "content": "c"},
            "page": {"url": "https://www.a.example/?x=1", "referrer": "https://www.baidu.com/", "search": "?x=1"},
            "traits": {"company": "B"}, "externalIds": [{"type": "crm_contact", "id": "003"}], "groupId": "001B", "dimensions": {"team": "a"},
            "userAgent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/100.0 Safari/537.36",
        },
    })
}

fn native() -> Value {
    json!({
        "event_id": "e1", "timestamp": "2026-03-01T08:00:00Z", "received_at": "2026-03-01T08:00:01Z", "anonymous_id": "c1",
        "email": ["li@b.example"], "phone": "13800001111", "user_id": "u1", "account": "001B", "wechat_openid": "wx1:o1",
        "source": "baidu", "medium": "cpc", "campaign": "brand", "content": "c", "term": "k", "touch_type": "page",
        "url": "https://www.a.example/?x=1", "referrer": "https://www.baidu.com/", "traits": {"name": "Li"}, "dimensions": {"team": "a"},
        "user_agent": "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/100.0 Safari/537.36",
    })
}

/// What a CRM sends of a contact, a deal and an activity, each with the fields that it needs.
fn of_crms() -> Vec<(Value, Vec<&'static str>)> {
    let salesforce = |entity: &str, fields: Value| {
        let mut body = fields;
        body["ChangeEventHeader"] = json!({
            "entityName": entity, "changeType": "CREATE", "recordIds": ["003000000000001AAA"], "transactionKey": "t1",
            "sequenceNumber": 1, "commitTimestamp": 1_700_000_000_000_i64, "nulledFields": [], "changedFields": ["X"],
        });
        json!({"provider": "salesforce", "received_at": "2026-03-01T08:00:01Z", "body": body})
    };
    let header = ["", "/entityName", "/changeType", "/recordIds", "/commitTimestamp"];
    let of_salesforce: Vec<&'static str> = header
        .iter()
        .map(|field| &*format!("/body/ChangeEventHeader{field}").leak())
        .chain(["/body", "/provider", "/received_at"])
        .collect();
    let contact = json!({
        "Email": "li@b.example", "Phone": "+8613800001111", "MobilePhone": "+8613800001112", "AccountId": "001000000000001AAA",
        "Title": "CTO", "Department": "IT", "LeadSource": "Web", "Name": {"FirstName": "Yi", "LastName": "Li"},
        "MasterRecordId": "003000000000002AAA",
    });
    let deal = json!({
        "AccountId": "001000000000001AAA", "ContactId": "003000000000002AAA", "StageName": "Closed Won", "Amount": 12.5,
        "CurrencyIsoCode": "USD", "CloseDate": "2023-11-01",
    });
    let task = json!({
        "WhoId": "003000000000001AAA", "WhatId": "001000000000001AAA", "Status": "Completed", "Subject": "Demo", "Type": "Call",
        "TaskSubtype": "Call", "CallDisposition": "reached", "ActivityDate": "2023-11-01", "CompletedDateTime": "2023-11-01",
        "AccountId": "001000000000001AAA",
    });
    let mut of_task = of_salesforce.clone();
    of_task.extend(["/body/WhoId", "/body/Status"]);
    let notice = json!({"provider": "hubspot", "received_at": "2026-03-01T08:00:01Z", "body": {
        "eventId": 1, "portalId": 2, "appId": 3, "occurredAt": 1_700_000_000_000_i64, "subscriptionType": "contact.creation",
        "objectId": 501, "attemptNumber": 0, "changeSource": "CRM", "mergedObjectIds": [7], "propertyName": "x", "propertyValue": "y",
    }});
    let of_notice = vec!["/body", "/provider", "/received_at", "/body/occurredAt", "/body/subscriptionType", "/body/objectId"];
    vec![
        (salesforce("Contact", contact), of_salesforce.clone()),
        (salesforce("Opportunity", deal), of_salesforce),
        (salesforce("Task", task), of_task),
        (notice, of_notice),
    ]
}

/// Where the optional fields are: all but those without which there is no event.
fn optional(record: &Value, needed: &[&str]) -> Vec<String> {
    fn walk(object: &Map<String, Value>, at: &str, out: &mut Vec<String>) {
        for (name, value) in object {
            let path = format!("{at}/{name}");
            if let Value::Object(inner) = value {
                walk(inner, &path, out);
            }
            out.push(path);
        }
    }
    let mut out = Vec::new();
    walk(record.as_object().unwrap(), "", &mut out);
    out.retain(|path| !needed.contains(&path.as_str()));
    out
}

/// The record with a field's value written as this JSON, and without it.
fn replaced(record: &Value, path: &str, value: &str) -> (String, String) {
    let mut with = record.clone();
    *with.pointer_mut(path).unwrap() = json!("\u{1}HERE\u{1}");
    let mut without = record.clone();
    let (parent, name) = path.rsplit_once('/').unwrap();
    without.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
    (with.to_string().replace(r#""\u0001HERE\u0001""#, value), without.to_string())
}

/// JSON of any kind, also such as no library would write.
fn any_json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|flag| flag.to_string()),
        any::<i64>().prop_map(|number| number.to_string()),
        any::<f64>().prop_filter("JSON has none", |number| number.is_finite()).prop_map(|number| number.to_string()),
        prop::sample::select(vec!["1e999", "-1e999", "1.5", "1e3", "0", "-0", "123456789012345678901234567890"])
            .prop_map(str::to_owned),
        prop::sample::select(vec![r#""\ud83d""#, r#""\ude00x""#, r#""\ufdd0""#, r#""\u0000""#, r#""a\ud83d\ude00""#])
            .prop_map(str::to_owned),
        ".{0,12}".prop_map(|text| Value::from(text).to_string()),
        Just(Value::from("x".repeat(9000)).to_string()),
        Just(format!("{}7{}", "[".repeat(40), "]".repeat(40))),
        Just(Value::from(format!("https://a.example/?{}", "a=b&".repeat(70))).to_string()),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|list| format!("[{}]", list.join(","))),
            prop::collection::vec(("[a-z]{1,4}", inner), 0..4).prop_map(|pairs| {
                let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect();
                format!("{{{}}}", pairs.join(","))
            }),
        ]
    })
}

/// What an event has in addition to its touch, each thing by itself.
fn says(event: &Event) -> Vec<String> {
    let identifiers = event.identifiers.iter().chain(&event.account_identifiers);
    let mut out: Vec<String> = identifiers.map(|identifier| identifier.display()).collect();
    out.extend(event.traits.iter().map(|named| format!("{}={}", named.name, named.value)));
    if let Some(Body::Touch(touch)) = &event.body {
        let texts = [&touch.source, &touch.medium, &touch.campaign, &touch.content, &touch.term, &touch.touch_type];
        out.extend(texts.into_iter().enumerate().map(|(at, text)| format!("touch {at}: {text}")));
    }
    out
}

fn check(source: Source, record: &Value, path: &str, value: &str) {
    let (with, without) = replaced(record, path, value);
    let (with_field, without_field) = (decode(source, &with), decode(source, &without));
    if with_field.bots > 0 {
        assert!(path.ends_with("/userAgent") || path.ends_with("/user_agent"), "{with}");
        return;
    }
    assert_eq!(with_field.events.len(), 1, "{with}");
    let (found, plain) = (&with_field.events[0], &without_field.events[0]);
    assert_eq!(found.time_ms, plain.time_ms, "{with}");
    // If the field cannot be read, the event is as without it; if it can, the event has it, and all other fields are kept.
    let id = path.ends_with("messageId") || path.ends_with("event_id");
    if !with_field.ignored.is_empty() && !with.contains("a=b&") {
        let (mut found, mut plain) = (found.clone(), plain.clone());
        // A field of several values has some that can be read, and the content's hash has the field in it.
        if id || !record.to_string().contains("messageId") {
            (found.event_id, plain.event_id) = Default::default();
        }
        let several = value.starts_with(['[', '{']) || value.len() > 2 && value.contains(['@', ';', ',', '/', ' ']);
        if !several {
            assert_eq!(found, plain, "{with}");
        }
    }
    let gone: Vec<String> = says(plain).into_iter().filter(|said| !says(found).contains(said)).collect();
    let touched =
        ["url", "referrer", "search", "page", "campaign", "properties", "context", "source", "medium", "content", "term"];
    let may_change = touched.iter().any(|field| path.contains(field)) || path.ends_with("touch_type");
    assert!(may_change || gone.is_empty(), "{with}: {gone:?}");
}

#[test]
fn the_records_are_whole() {
    for (source, record) in [(Source::Sdk, page()), (Source::Utm, native()), (Source::Offline, native())] {
        let decoded = decode(source, &record.to_string());
        assert!(decoded.ignored.is_empty(), "{:?}", decoded.ignored);
        assert!(matches!(&decoded.events[0].body, Some(Body::Touch(touch)) if touch.channel == "paid_search"));
    }
}

#[test]
fn the_records_of_crms_have_every_field() {
    for (record, _) in of_crms() {
        let decoded = decode(Source::Webhook, &record.to_string());
        assert!(decoded.ignored.is_empty() && !decoded.events.is_empty(), "{record}: {:?}", decoded.ignored);
    }
}

/// A field of a mapping costs only itself, too; where the currency cannot be read the amount goes with it.
#[test]
fn of_a_mapping() {
    let settings = r#"
        [webhook.mappings.shop.order.fields]
        kind = "milestone"
        timestamp = { path = "$.time", form = "unix_seconds" }
        milestone = "closed_won"
        object_id = "$.id"
        value = "$.amount"
        currency = "$.currency"
        email = "$.buyers[*].email"
        [webhook.mappings.shop.order.traits]
        title = "$.title"
    "#;
    let decoder = Decoder::new(&toml::from_str(settings).unwrap(), &Kinds::default()).unwrap();
    let order = |fields: &str| {
        let record = format!(r#"{{"provider":"shop","body":{{"time":1700000000,"id":"7",{fields}}}}}"#);
        let mut decoded = Decoded::default();
        decoder.decode(Source::Webhook, record.as_bytes(), Some(RECEIVED_MS), &mut decoded).unwrap();
        assert_eq!(decoded.rejections, [], "{record}");
        let left_out: Vec<String> = decoded.ignored.iter().map(|left| left.why.field.clone()).collect();
        let event = &decoded.events[0];
        let Some(Body::Milestone(version)) = &event.body else { panic!("{event:?}") };
        (event.identifiers.len(), event.traits.len(), version.value.is_some(), version.currency.clone(), left_out)
    };
    let buyer = r#""buyers":[{"email":"a@b.example"}],"title":"CTO","amount":5"#;
    for (fields, expected) in [
        (format!(r#"{buyer},"currency":"USD""#), (1, 1, true, "USD", vec![])),
        (format!(r#"{buyer},"currency":{{"code":"USD"}}"#), (1, 1, false, "", vec!["currency", "value"])),
        (
            r#""amount":{"a":5},"title":{"x":1},"buyers":[{"email":["a@b.example",["x"]]}]"#.into(),
            (1, 0, false, "", vec!["email", "value", "traits"]),
        ),
    ] {
        let (people, traits, value, currency, left_out) = order(&fields);
        let expected = (expected.0, expected.1, expected.2, expected.3.to_owned(), expected.4);
        let mut left_out: Vec<&str> = left_out.iter().map(String::as_str).collect();
        let mut wanted = expected.4;
        left_out.sort_unstable();
        wanted.sort_unstable();
        assert_eq!(
            (people, traits, value, currency, left_out),
            (expected.0, expected.1, expected.2, expected.3, wanted),
            "{fields}"
        );
    }
}

/// If the only content of an event cannot be read, the event is refused: nothing disappears.
#[test]
fn an_event_without_content_but_the_bad_field_is_refused() {
    let notice = |name: &str, value: &str| {
        let record = format!(
            r#"{{"provider":"hubspot","body":[{{"eventId":1,"portalId":2,"occurredAt":1700000000000,"objectId":3,
            "subscriptionType":"deal.propertyChange","propertyName":"{name}","propertyValue":{value}}}]}}"#
        );
        let mut decoded = Decoded::default();
        DECODER.with(|decoder| decoder.decode(Source::Webhook, record.as_bytes(), Some(RECEIVED_MS), &mut decoded)).unwrap();
        (decoded.events.len(), decoded.rejections.len(), decoded.ignored.is_empty())
    };
    assert_eq!(notice("amount", "\"many\""), (0, 1, true));
    assert_eq!(notice("closedate", "\"soon\""), (0, 1, true));
    assert_eq!(notice("closedate", "{}"), (0, 1, true));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn of_an_sdk_message(value in any_json(), at in any::<prop::sample::Index>()) {
        let record = page();
        // The time is corrected if one of the other times shows that the clock was wrong: those are tested by themselves.
        let needed = ["/type", "/timestamp", "/sentAt", "/receivedAt", "/originalTimestamp"];
        let path = at.get(&optional(&record, &needed)).clone();
        check(Source::Sdk, &record, &path, &value);
    }

    #[test]
    fn of_records_of_crms(value in any_json(), which in 0usize..4, at in any::<prop::sample::Index>()) {
        let (record, needed) = of_crms().swap_remove(which);
        let path = at.get(&optional(&record, &needed)).clone();
        let (with, without) = replaced(&record, &path, &value);
        let (with_field, without_field) = (decode(Source::Webhook, &with), decode(Source::Webhook, &without));
        prop_assert!(!with_field.events.is_empty(), "{}", with);
        let several = value.starts_with(['[', '{']) || value.contains(['@', ';', ',', '/', ' ']);
        let of_id = ["transactionKey", "sequenceNumber", "eventId", "portalId"].iter().any(|field| path.ends_with(field));
        // With a currency that is none its amount goes, too.
        if !with_field.ignored.is_empty() && !several && !of_id && !path.ends_with("CurrencyIsoCode") {
            prop_assert_eq!(with_field.events, without_field.events, "{}", with);
        }
    }

    #[test]
    fn of_an_sdk_messages_times(value in any_json(), at in 0usize..4) {
        let path = ["/sentAt", "/receivedAt", "/originalTimestamp", "/timestamp"][at];
        let (with, _) = replaced(&page(), path, &value);
        let mut decoded = Decoded::default();
        let result = DECODER.with(|decoder| decoder.decode(Source::Sdk, with.as_bytes(), Some(RECEIVED_MS), &mut decoded));
        // A time that can be read may be in the future.
        prop_assert!(result.is_ok() || decoded.ignored.is_empty(), "{}", with);
        if !decoded.ignored.is_empty() {
            // The other time is the sender's: it took a second to arrive.
            let arrived_ms = if path == "/timestamp" { 1_000 } else { 0 };
            prop_assert_eq!(decoded.events[0].time_ms, 1_772_352_000_000 + arrived_ms);
        }
    }

    #[test]
    fn of_a_native_record(value in any_json(), at in any::<prop::sample::Index>(), source in 0usize..3) {
        let record = native();
        let path = at.get(&optional(&record, &["/timestamp", "/received_at"])).clone();
        check([Source::Utm, Source::Offline, Source::Webhook][source], &record, &path, &value);
    }
}
