//! Every way in which an input can be bad: its reason code and field, that nothing of it is passed on, and that the next record is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a failing test panics")]

use std::sync::Arc;

use tributary_ingest::reason::{self, Reason};
use tributary_ingest::{Decoded, Decoder, IngestStage, Settings, decode_record};
use tributary_proto::kind::Kinds;
use tributary_runtime::stage::{Context, Outbox, Record, Rejection, Stage, StageError};
use tributary_runtime::state::{EmptyBase, Overlay};
use tributary_runtime::topic::Topic;

/// 2022-03-01T00:00:00Z.
const RECEIVED_MS: i64 = 1_646_092_800_000;
const GOOD: &str = r#"{"timestamp":"2022-02-28T10:00:00+08:00","anonymous_id":"c"}"#;

fn handle(topic: Topic, value: &[u8]) -> (Result<(), Rejection>, Outbox) {
    let mut stage = IngestStage::new(Arc::new(Decoder::new(&Settings::default(), &Kinds::default()).unwrap()));
    let mut state = Overlay::new(EmptyBase);
    let mut outbox = Outbox::default();
    let record = |value| Record { topic, partition: 0, offset: 7, timestamp_ms: RECEIVED_MS, key: b"", value };
    let mut context = Context { state: &mut state, outbox: &mut outbox };
    let result = match stage.handle(&record(value), &mut context) {
        Ok(()) => Ok(()),
        Err(StageError::Rejected(rejection)) => Err(rejection),
        Err(StageError::State(error)) => panic!("{error}"),
    };
    let sent = context.outbox.outputs.len();
    stage.handle(&record(GOOD.as_bytes()), &mut context).unwrap();
    assert_eq!(context.outbox.outputs.len(), sent + 1, "the next record is processed");
    outbox.outputs.pop();
    (result, outbox)
}

fn refused(topic: Topic, value: impl AsRef<[u8]>, reason: Reason, field: &str) {
    let value = value.as_ref();
    let (result, outbox) = handle(topic, value);
    let shown = String::from_utf8_lossy(&value[..value.len().min(200)]).into_owned();
    let rejection = result.expect_err(&shown);
    assert_eq!((rejection.reason, rejection.field.as_str()), (reason, field), "{shown}");
    assert!(reason::OF_RAW_RECORDS.contains(&rejection.reason));
    assert!(!rejection.detail.contains("SECRET"), "the refused value is repeated: {}", rejection.detail);
    assert_eq!(outbox.outputs, []);
}

/// The event of the record is kept, without a field that is left out for a reason.
fn left_out(topic: Topic, value: impl AsRef<[u8]>, reason: Reason, field: &str) {
    let value = value.as_ref();
    let shown = String::from_utf8_lossy(&value[..value.len().min(200)]).into_owned();
    let mut decoded = Decoded::default();
    let decoder = Decoder::new(&Settings::default(), &Kinds::default()).unwrap();
    decode_record(&decoder, topic, value, RECEIVED_MS, &mut decoded).unwrap_or_else(|why| panic!("{shown}: {why}"));
    assert_eq!(decoded.events.len(), 1, "{shown}");
    let found: Vec<_> = decoded.ignored.iter().map(|left| (left.why.reason, left.why.field.as_str())).collect();
    assert!(found.contains(&(reason, field)), "{shown}: {found:?}");
    for left in decoded.ignored.iter() {
        assert!(!left.why.detail.contains("SECRET"), "the value is repeated: {}", left.why.detail);
    }
    assert!(!format!("{:?}", decoded.events).contains("SECRET"), "{shown}");
    let (result, outbox) = handle(topic, value);
    assert_eq!((result, outbox.outputs.len()), (Ok(()), 1));
    assert_ne!(outbox.observations.details(), [], "it is counted");
}

/// A native record with a time and an id, and these fields.
fn native(fields: &str) -> String {
    format!(r#"{{"timestamp":"2022-02-28T10:00:00+08:00","anonymous_id":"c",{fields}}}"#)
}

fn wechat(xml: &str) -> String {
    format!(r#"{{"provider":"wechat","body":{}}}"#, serde_json::Value::from(xml))
}

#[test]
fn unreadable_records() {
    for topic in Topic::RAW {
        refused(topic, r#"{"timestamp": "SECRET"#, reason::JSON_MALFORMED, "");
        refused(topic, format!("{GOOD} SECRET"), reason::JSON_MALFORMED, "");
        refused(topic, "", reason::JSON_MALFORMED, "");
        refused(topic, "[]", reason::JSON_MALFORMED, "");
        refused(topic, vec![b'x'; 2 << 20], reason::RECORD_TOO_LARGE, "");
        refused(topic, format!("{{\"a\":{}}}", "[".repeat(5000)), reason::JSON_MALFORMED, "");
    }
}

#[test]
fn half_a_character_costs_its_field() {
    for topic in [Topic::Utm, Topic::Offline, Topic::Webhook] {
        left_out(topic, native(r#""campaign":"\ud800SECRET""#), reason::VALUE_INVALID, "campaign");
        left_out(topic, native(r#""email":"\ud800SECRET@b.example""#), reason::IDENTIFIER_INVALID, "email");
        left_out(topic, native(r#""traits":{"name":"SECRET \ud83d"}"#), reason::VALUE_INVALID, "traits");
        left_out(topic, native(r#""traits":{"name":["SECRET \ud83d"]}"#), reason::VALUE_INVALID, "traits");
        let bytes = [native(r#""campaign":"SECRET"#).trim_end_matches('}').as_bytes(), b"\xe5\xb3\"}"].concat();
        left_out(topic, bytes, reason::VALUE_INVALID, "campaign");
        left_out(topic, native(r#""campaign":1e999"#), reason::VALUE_INVALID, "campaign");
    }
    let name = r#"{"type":"identify","userId":"u","timestamp":"2022-02-28T10:00:00Z","traits":{"name":"SECRET \ud83d"}}"#;
    left_out(Topic::Sdk, name, reason::VALUE_INVALID, "traits");
}

#[test]
fn times() {
    for topic in [Topic::Utm, Topic::Offline, Topic::Webhook] {
        refused(topic, r#"{"anonymous_id":"c"}"#, reason::TIMESTAMP_MISSING, "timestamp");
        refused(topic, r#"{"anonymous_id":"c","timestamp":" "}"#, reason::TIMESTAMP_MISSING, "timestamp");
        refused(topic, r#"{"anonymous_id":"c","timestamp":"SECRET"}"#, reason::TIMESTAMP_INVALID, "timestamp");
        refused(topic, r#"{"anonymous_id":"c","timestamp":{"$date":"SECRET"}}"#, reason::TIMESTAMP_INVALID, "timestamp");
        refused(
            topic,
            r#"{"anonymous_id":"c","timestamp":"2022-02-28","timestamp":"2022-02-27"}"#,
            reason::KEY_DUPLICATE,
            "timestamp",
        );
        refused(topic, r#"{"anonymous_id":"c","timestamp":"2022-03-02T00:00:01Z"}"#, reason::TIMESTAMP_FUTURE, "timestamp");
    }
    let later = r#"{"anonymous_id":"c","timestamp":"2022-03-02T00:00:01Z","received_at":"2022-03-02T00:00:00Z"}"#;
    assert_eq!(handle(Topic::Utm, later.as_bytes()).0, Ok(()), "the receive time inside the record goes first");
    refused(Topic::Sdk, r#"{"type":"page","anonymousId":"c"}"#, reason::TIMESTAMP_MISSING, "timestamp");
    let future = r#"{"type":"page","anonymousId":"c","originalTimestamp":"2031-01-01T00:00:00Z"}"#;
    refused(Topic::Sdk, future, reason::TIMESTAMP_FUTURE, "originalTimestamp");
}

#[test]
fn times_that_are_not_needed() {
    left_out(Topic::Utm, native(r#""received_at":"SECRET""#), reason::TIMESTAMP_INVALID, "received_at");
    let page = |fields: &str| format!(r#"{{"type":"page","anonymousId":"c",{fields}}}"#);
    let right = r#""timestamp":"2022-02-28T10:00:00Z""#;
    left_out(Topic::Sdk, page(&format!(r#"{right},"sentAt":"SECRET""#)), reason::TIMESTAMP_INVALID, "sentAt");
    left_out(Topic::Sdk, page(&format!(r#"{right},"sentAt":{{}},"receivedAt":[1]"#)), reason::TIMESTAMP_INVALID, "receivedAt");
    left_out(
        Topic::Sdk,
        page(&format!(r#"{right},"originalTimestamp":"SECRET""#)),
        reason::TIMESTAMP_INVALID,
        "originalTimestamp",
    );
    let other = r#""timestamp":"SECRET","originalTimestamp":"2022-02-28T10:00:00Z""#;
    left_out(Topic::Sdk, page(other), reason::TIMESTAMP_INVALID, "timestamp");
    refused(Topic::Sdk, page(r#""timestamp":"SECRET","originalTimestamp":"SECRET""#), reason::TIMESTAMP_INVALID, "timestamp");
}

/// Without a time of its own a message happened when it came, also where it has one that nobody can read.
#[test]
fn a_bad_time_is_replaced_by_another_one() {
    let page = |fields: &str| format!(r#"{{"type":"page","anonymousId":"c",{fields}}}"#);
    let (received, sent) = (r#""receivedAt":"2022-02-28T10:00:00Z""#, r#""sentAt":"2022-02-28T10:00:00Z""#);
    for bad in [r#""SECRET""#, r#""0000-00-00""#, r#"{"$date":"SECRET"}"#, "[]", "true", r#""03/04/2022""#, "-1", "1e400"] {
        for field in ["timestamp", "originalTimestamp"] {
            for came in [received, sent] {
                left_out(Topic::Sdk, page(&format!(r#""{field}":{bad},{came}"#)), reason::TIMESTAMP_INVALID, field);
            }
            refused(Topic::Sdk, page(&format!(r#""{field}":{bad}"#)), reason::TIMESTAMP_INVALID, field);
            refused(Topic::Sdk, page(&format!(r#""{field}":{bad},"receivedAt":{bad}"#)), reason::TIMESTAMP_INVALID, field);
        }
    }
    let (both, _) =
        handle(Topic::Sdk, page(&format!(r#""timestamp":"SECRET","originalTimestamp":"SECRET",{received}"#)).as_bytes());
    assert_eq!(both, Ok(()));
    left_out(
        Topic::Sdk,
        page(&format!(r#""timestamp":"SECRET","receivedAt":"SECRET",{sent}"#)),
        reason::TIMESTAMP_INVALID,
        "timestamp",
    );
}

#[test]
fn identifiers() {
    left_out(Topic::Offline, native(r#""wechat_openid":"SECRET""#), reason::IDENTIFIER_SCOPE_MISSING, "wechat_openid");
    let external = |ids: &str| {
        let context = format!(r#"{{"externalIds":{ids}}}"#);
        format!(
            r#"{{"type":"track","event":"Signed Up","anonymousId":"c","timestamp":"2022-02-28T10:00:00Z","context":{context}}}"#
        )
    };
    let field = "context.externalIds";
    left_out(Topic::Sdk, external(r#"[{"type":"wechat_openid","id":"SECRET"}]"#), reason::IDENTIFIER_SCOPE_MISSING, field);
    left_out(Topic::Sdk, external(r#"{"type":"user_id","id":"SECRET"}"#), reason::VALUE_INVALID, field);
    left_out(Topic::Sdk, external(r#"["SECRET"]"#), reason::VALUE_INVALID, field);
    left_out(Topic::Sdk, external(r#"[{"type":["user_id"],"id":"SECRET"}]"#), reason::VALUE_INVALID, field);
    left_out(Topic::Offline, native(r#""email":"SECRET""#), reason::IDENTIFIER_INVALID, "email");
    for phone in ["12345", "138****1111", "88886666", "1.38E+10", "010-88886666-8001", "400-820-8820"] {
        left_out(Topic::Offline, native(&format!(r#""phone":"{phone}""#)), reason::IDENTIFIER_INVALID, "phone");
    }
    left_out(Topic::Offline, native(r#""phone":1.38e10"#), reason::IDENTIFIER_INVALID, "phone");
    left_out(Topic::Offline, native(r#""crm_contact":{"id":"SECRET"}"#), reason::IDENTIFIER_INVALID, "crm_contact");
    left_out(Topic::Offline, native(&format!(r#""user_id":"{}""#, "x".repeat(257))), reason::IDENTIFIER_TOO_LONG, "user_id");
    left_out(Topic::Offline, native(r#""email":"a@b.example","email":"SECRET@d.example""#), reason::KEY_DUPLICATE, "email");
    left_out(Topic::Offline, native(r#""email":null,"email":"SECRET@d.example""#), reason::KEY_DUPLICATE, "email");
    left_out(Topic::Offline, native(r#""account":[],"\u0063rm_account":"SECRET""#), reason::KEY_DUPLICATE, "crm_account");
    let traits: Vec<String> = (0..257).map(|number| format!("\"t{number}\":1")).collect();
    left_out(Topic::Offline, native(&format!(r#""traits":{{{}}}"#, traits.join(","))), reason::FIELD_TOO_LARGE, "traits");
    let page = r#"{"type":"page","timestamp":"2022-02-28T10:00:00Z","anonymousId":"c","userId":"SECRET","userId":"b"}"#;
    left_out(Topic::Sdk, page, reason::KEY_DUPLICATE, "userId");
    let many: Vec<String> = (0..21).map(|number| format!("\"SECRET{number}\"")).collect();
    left_out(Topic::Offline, native(&format!(r#""user_id":[{}]"#, many.join(","))), reason::IDENTIFIERS_TOO_MANY, "user_id");
    refused(Topic::Utm, r#"{"timestamp":"2022-02-28","anonymous_id":"null","email":""}"#, reason::IDENTIFIER_MISSING, "");
    refused(Topic::Utm, r#"{"timestamp":"2022-02-28","phone":"138****1111"}"#, reason::IDENTIFIER_INVALID, "phone");
    refused(Topic::Offline, native(r#""kind":"link""#), reason::IDENTIFIER_MISSING, "");
    refused(Topic::Offline, native(r#""kind":"account""#), reason::IDENTIFIER_MISSING, "");
    let erase = r#"{"timestamp":"2022-02-28","kind":"erase","account":"001"}"#;
    refused(Topic::Offline, erase, reason::IDENTIFIER_MISSING, "");
}

#[test]
fn milestones_and_money() {
    let milestone = |fields: &str| native(&format!(r#""kind":"milestone",{fields}"#));
    let known = r#""milestone":"closed_won","object_id":"6""#;
    refused(Topic::Offline, milestone(r#""milestone":"SECRET","object_id":"6""#), reason::MILESTONE_UNKNOWN, "milestone");
    refused(Topic::Offline, milestone(r#""object_id":"6""#), reason::FIELD_MISSING, "milestone");
    refused(Topic::Offline, milestone(r#""milestone":"mql""#), reason::FIELD_MISSING, "object_id");
    for value in [r#""SECRET""#, "[1]", "true", "{}", r#""1e15""#, "1e300"] {
        left_out(Topic::Offline, milestone(&format!(r#"{known},"value":{value}"#)), reason::VALUE_INVALID, "value");
    }
    let with = |currency: &str| milestone(&format!(r#"{known},"value":"1","currency":{currency}"#));
    for currency in [r#""SECRET""#, r#""XXY""#] {
        left_out(Topic::Offline, with(currency), reason::CURRENCY_UNKNOWN, "currency");
        left_out(Topic::Offline, with(currency), reason::CURRENCY_UNKNOWN, "value");
    }
    let both = |value: &str, currency: &str| milestone(&format!(r#"{known},"value":"{value}","currency":"{currency}""#));
    for (value, currency) in [("3,000¥", "USD"), ("$3,000", "EUR"), ("300", "SECRET/万"), ("$3", "人民币（万元）")] {
        left_out(Topic::Offline, both(value, currency), reason::CURRENCY_UNKNOWN, "value");
    }
    left_out(Topic::Offline, both("1.500", "EUR"), reason::VALUE_INVALID, "value");
    left_out(Topic::Offline, milestone(&format!(r#"{known},"refund":"$5""#)), reason::CURRENCY_UNKNOWN, "refund");
    left_out(Topic::Offline, with("[]"), reason::VALUE_INVALID, "currency");
    left_out(Topic::Offline, with("[]"), reason::CURRENCY_UNKNOWN, "value");
    refused(Topic::Offline, milestone(&format!(r#"{known},"withdrawn":"perhaps""#)), reason::VALUE_INVALID, "withdrawn");
    left_out(
        Topic::Offline,
        milestone(&format!(r#"{known},"occurred_at":"SECRET""#)),
        reason::TIMESTAMP_INVALID,
        "occurred_at",
    );
    left_out(
        Topic::Offline,
        milestone(&format!(r#"{known},"occurred_at":"2031-01-01""#)),
        reason::TIMESTAMP_FUTURE,
        "occurred_at",
    );
}

#[test]
fn kinds_and_fields() {
    refused(Topic::Offline, native(r#""kind":"SECRET""#), reason::KIND_UNKNOWN, "kind");
    let spend = |fields: &str| format!(r#"{{"kind":"spend","day":"2022-02-28",{fields}}}"#);
    refused(Topic::Offline, spend(r#""value":"1""#), reason::FIELD_MISSING, "channel");
    refused(Topic::Offline, spend(r#""channel":"sms""#), reason::FIELD_MISSING, "value");
    refused(Topic::Offline, spend(r#""channel":"sms","value":"-many""#), reason::VALUE_INVALID, "value");
    refused(Topic::Offline, spend(r#""channel":"sms","value":"1","currency":"XXY""#), reason::CURRENCY_UNKNOWN, "currency");
    for money in [r#""value":"$5","currency":"CNY""#, r#""value":"$5""#, r#""value":"5","currency":"每万元""#] {
        let field = if money.contains('$') { "value" } else { "currency" };
        refused(Topic::Offline, spend(&format!(r#""channel":"sms",{money}"#)), reason::CURRENCY_UNKNOWN, field);
    }
    refused(Topic::Offline, r#"{"kind":"spend","channel":"sms","value":"1"}"#, reason::TIMESTAMP_MISSING, "timestamp");
    refused(Topic::Offline, r#"{"kind":"spend","channel":"sms","value":"1","day":"28.2."}"#, reason::TIMESTAMP_INVALID, "day");
    refused(Topic::Sdk, r#"{"type":"SECRET"}"#, reason::KIND_UNKNOWN, "type");
    left_out(Topic::Offline, native(r#""campaign":["SECRET"]"#), reason::VALUE_INVALID, "campaign");
    left_out(Topic::Offline, native(&format!(r#""campaign":"{}""#, "x".repeat(9000))), reason::FIELD_TOO_LARGE, "campaign");
    let url = |length| format!(r#""url":"https://a.example/?{}""#, "x".repeat(length));
    left_out(Topic::Utm, native(&url(8192)), reason::FIELD_TOO_LARGE, "url");
    let pairs = format!(r#""url":"https://a.example/?{}""#, "a=b&".repeat(65));
    left_out(Topic::Utm, native(&pairs), reason::URL_PAIRS_TOO_MANY, "url");
    let id = format!(r#""event_id":"{}""#, "x".repeat(300));
    left_out(Topic::Utm, native(&id), reason::VALUE_INVALID, "event_id");
    refused(Topic::Offline, native(r#""kind":"consent""#), reason::FIELD_MISSING, "consent");
    refused(Topic::Offline, native(r#""kind":"consent","consent":"SECRET""#), reason::VALUE_INVALID, "consent");
    left_out(Topic::Offline, native(r#""traits":{"a":"SECRET"},"traits.a":"2""#), reason::KEY_DUPLICATE, "traits");
    left_out(Topic::Offline, native(r#""traits":"SECRET""#), reason::VALUE_INVALID, "traits");
    for field in ["context", "properties", "traits"] {
        let page = format!(r#"{{"type":"page","timestamp":"2022-02-28T10:00:00Z","anonymousId":"c","{field}":"SECRET"}}"#);
        left_out(Topic::Sdk, page, reason::VALUE_INVALID, field);
    }
    for (field, value) in [("campaign", r#""SECRET""#), ("page", "[1]"), ("userAgent", r#"{"x":"SECRET"}"#), ("traits", "7")] {
        let context = format!(r#""context":{{"{field}":{value}}}"#);
        let page = format!(r#"{{"type":"page","timestamp":"2022-02-28T10:00:00Z","anonymousId":"c",{context}}}"#);
        left_out(Topic::Sdk, page, reason::VALUE_INVALID, &format!("context.{field}"));
    }
}

#[test]
fn webhooks() {
    refused(Topic::Webhook, r#"{"provider":"SECRET","body":{}}"#, reason::PROVIDER_UNKNOWN, "provider");
    refused(Topic::Webhook, r#"{"body":{}}"#, reason::FIELD_MISSING, "provider");
    refused(Topic::Webhook, r#"{"provider":"native"}"#, reason::FIELD_MISSING, "body");
    refused(Topic::Webhook, r#"{"provider":"native","body":7}"#, reason::VALUE_INVALID, "body");
    let tags = "<ToUserName>g</ToUserName><FromUserName>o</FromUserName><CreateTime>1646013960</CreateTime>";
    let push = |rest: &str| wechat(&format!("<xml>{tags}{rest}</xml>"));
    let doctype = r#"<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><xml>&e;</xml>"#;
    refused(Topic::Webhook, wechat(doctype), reason::XML_DOCTYPE, "body");
    refused(Topic::Webhook, push("<Event>&SECRET;</Event>"), reason::XML_DOCTYPE, "body");
    refused(Topic::Webhook, wechat("<xml><a></b></xml>"), reason::XML_MALFORMED, "body");
    refused(Topic::Webhook, wechat("<xml><a>"), reason::XML_MALFORMED, "body");
    refused(Topic::Webhook, wechat("SECRET"), reason::XML_MALFORMED, "body");
    refused(Topic::Webhook, wechat(&"<a>".repeat(17)), reason::XML_MALFORMED, "body");
    refused(Topic::Webhook, wechat(&format!("<xml>{}</xml>", "x".repeat(65 << 10))), reason::RECORD_TOO_LARGE, "");
    refused(Topic::Webhook, push(""), reason::FIELD_MISSING, "MsgType");
    refused(Topic::Webhook, push("<MsgType>event</MsgType>"), reason::FIELD_MISSING, "Event");
    refused(
        Topic::Webhook,
        wechat("<xml><ToUserName>g</ToUserName><Encrypt>SECRET</Encrypt></xml>"),
        reason::XML_ENCRYPTED,
        "Encrypt",
    );
    refused(Topic::Webhook, push("<MsgType>a</MsgType><MsgType>b</MsgType>"), reason::KEY_DUPLICATE, "MsgType");
    let wecom = |xml: &str| wechat(xml).replace("wechat", "wecom");
    refused(Topic::Webhook, wecom(doctype), reason::XML_DOCTYPE, "body");
    refused(
        Topic::Webhook,
        wecom("<xml><ToUserName>c</ToUserName><Encrypt>SECRET</Encrypt></xml>"),
        reason::XML_ENCRYPTED,
        "Encrypt",
    );
    let many = format!(r#"{{"provider":"hubspot","body":[{}7]}}"#, "7,".repeat(1000));
    refused(Topic::Webhook, many, reason::RECORD_TOO_LARGE, "body");
    refused(Topic::Webhook, r#"{"provider":"salesforce","body":"SECRET"}"#, reason::VALUE_INVALID, "body");
    let deep = format!(r#"{{"provider":"hubspot","body":"{}"}}"#, "[".repeat(5000));
    refused(Topic::Webhook, deep, reason::JSON_MALFORMED, "");
}

#[test]
fn the_good_events_of_an_array_are_kept() {
    let array = format!(r#"{{"provider":"native","body":[{GOOD},{{"timestamp":"SECRET"}},{GOOD},7]}}"#);
    let (result, outbox) = handle(Topic::Webhook, array.as_bytes());
    assert_eq!(result, Ok(()));
    assert_eq!(outbox.outputs.len(), 2);
    let refused: Vec<(Reason, &str, u32)> = outbox.rejections.iter().map(|r| (r.reason, r.field.as_str(), r.index)).collect();
    let expected = [(reason::TIMESTAMP_INVALID, "body[1].timestamp", 1), (reason::VALUE_INVALID, "body[3]", 3)];
    assert_eq!(refused, expected);
}
