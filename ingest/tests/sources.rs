//! What each source's records become, case by case.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a failing test panics")]

use std::sync::Arc;

use tributary_ingest::{CsvRows, Decoded, Decoder, IngestStage, Settings};
use tributary_proto::event::Body;
use tributary_proto::kind::Kinds;
use tributary_proto::{Event, Hash128, IdentityMessage, Message, Source, identity_message};
use tributary_runtime::stage::{Context, Outbox, Record, Stage};
use tributary_runtime::state::{EmptyBase, Overlay};
use tributary_runtime::topic::Topic;

fn decoder() -> Decoder {
    let settings = Settings {
        own_sites: vec!["a-pay.example".into()],
        milestone_events: [("Order Completed".to_owned(), "closed_won".to_owned())].into(),
        wechat_appids: [("gh_known".to_owned(), "wx12ab".to_owned())].into(),
        ..Settings::default()
    };
    Decoder::new(&settings, &Kinds::new(vec!["badge".into()], Vec::new())).unwrap()
}

fn decode(source: Source, value: &str) -> Decoded {
    let mut decoded = Decoded::default();
    decoder().decode(source, value.as_bytes(), None, &mut decoded).unwrap_or_else(|error| panic!("{value}: {error}"));
    decoded
}

fn one(source: Source, value: &str) -> Event {
    let mut decoded = decode(source, value);
    assert_eq!(decoded.events.len(), 1, "{value}");
    decoded.events.remove(0)
}

fn names(event: &Event) -> Vec<String> {
    event.identifiers.iter().chain(&event.account_identifiers).map(|identifier| identifier.display()).collect()
}

fn sdk(fields: &str) -> String {
    format!(r#"{{"messageId":"m","timestamp":"2022-02-28T10:00:00Z",{fields}}}"#)
}

fn channel(event: &Event) -> &str {
    match &event.body {
        Some(Body::Touch(touch)) => &touch.channel,
        other => panic!("not a touch: {other:?}"),
    }
}

#[test]
fn sdk_identify_group_and_alias() {
    let identify = one(
        Source::Sdk,
        &sdk(
            r#""type":"identify","userId":7,"anonymousId":"c","traits":{"email":"Li@B.example","name":"李","n":1.50,"deep":{"a":[1]},"no":null},"context":{"traits":{"name":"old","title":"CTO"}}"#,
        ),
    );
    assert_eq!(names(&identify), ["user_id||7", "email||li@b.example", "anonymous_id||c"]);
    let traits: Vec<(&str, &str)> = identify.traits.iter().map(|t| (t.name.as_str(), t.value.as_str())).collect();
    assert_eq!(traits, [("deep", r#"{"a":[1]}"#), ("n", "1.50"), ("name", "李"), ("title", "CTO")]);
    assert!(matches!(identify.body, Some(Body::Identify(_))));

    let group = decode(
        Source::Sdk,
        &sdk(r#""type":"group","userId":"u","groupId":"001B","traits":{"name":"B Corp","email":"info@b.example"}"#),
    );
    let [account, person] = &group.events[..] else { panic!("{group:?}") };
    assert_eq!((account.event_id.as_str(), names(account)), ("m:account", vec!["crm_account||001B".to_owned()]));
    assert!(matches!(account.body, Some(Body::Account(_))));
    assert_eq!(names(person), ["user_id||u", "crm_account||001B"]);
    assert_eq!((person.event_id.as_str(), person.traits.len()), ("m", 0));
}

#[test]
fn every_part_of_a_message_is_used() {
    for (fields, time_ms) in [
        (
            r#""type":"Identify","userId":"u","receivedAt":"2022-02-28T10:00:02Z","sentAt":"2022-02-28T10:00:01Z""#,
            1_646_042_402_000,
        ),
        (r#""type":"PAGE","userId":"u","sentAt":"2022-02-28T10:00:01Z""#, 1_646_042_401_000),
        (r#""type":"page","userId":"u","timestamp":"?","receivedAt":"2022-02-28T10:00:02Z""#, 1_646_042_402_000),
        (
            r#""type":"page","userId":"u","timestamp":"?","receivedAt":"2022-02-28T10:00:02Z","sentAt":"2022-02-28T10:00:01Z""#,
            1_646_042_402_000,
        ),
        (r#""type":"group","userId":"u","traits":{"name":"B"},"timestamp":"2022-02-28T10:00:00Z""#, 1_646_042_400_000),
    ] {
        let event = one(Source::Sdk, &format!("{{{fields}}}"));
        assert_eq!((event.time_ms, names(&event)), (time_ms, vec!["user_id||u".to_owned()]), "{fields}");
        assert!(event.traits.is_empty(), "an account's");
    }
}

#[test]
fn an_alias_joins_a_cookie_or_an_old_user_id() {
    let uuid = "f3e5a2c4-8f0e-4f8e-9d61-0c2c8a3a1d11";
    for (ids, expected) in [
        (r#""userId":"u","previousId":"old-7""#.to_owned(), vec!["user_id||old-7", "user_id||u"]),
        (r#""userId":"u","anonymousId":"c","previousId":"c""#.to_owned(), vec!["user_id||u", "anonymous_id||c"]),
        (
            format!(r#""userId":"u","previousId":"{uuid}""#),
            vec!["user_id||u", "anonymous_id||f3e5a2c4-8f0e-4f8e-9d61-0c2c8a3a1d11"],
        ),
        (
            format!(r#""userId":"0{}","previousId":"{uuid}""#, &uuid[1..]),
            vec!["user_id||03e5a2c4-8f0e-4f8e-9d61-0c2c8a3a1d11", "user_id||f3e5a2c4-8f0e-4f8e-9d61-0c2c8a3a1d11"],
        ),
        (
            r#""userId":"u","previousId":"li@b.example""#.to_owned(),
            vec!["user_id||li@b.example", "user_id||u", "email||li@b.example"],
        ),
    ] {
        let alias = one(Source::Sdk, &sdk(&format!(r#""type":"alias",{ids}"#)));
        assert_eq!(names(&alias), expected);
        assert!(matches!(alias.body, Some(Body::Link(_))));
    }
}

#[test]
fn forms_and_ids_that_are_addresses_name_somebody() {
    let track = |event: &str| {
        sdk(&format!(
            r#""type":"track","event":"{event}","anonymousId":"c","properties":{{"email":"Li@Gmail.com","phone":"138 0000 1111"}}"#
        ))
    };
    let who = ["email||li@gmail.com", "phone||+8613800001111", "anonymous_id||c"];
    assert_eq!(names(&one(Source::Sdk, &track("Form Submitted"))), who);
    // An event without a name: nobody knows whose address that is.
    assert_eq!(names(&one(Source::Sdk, &track("Invite Sent"))), ["anonymous_id||c"]);
    for (id, contact) in [
        ("Wang@qq.com", Some("email||wang@qq.com")),
        ("13800001111", Some("phone||+8613800001111")),
        ("+14155552671", Some("phone||+14155552671")),
        ("4155552671", None),
        ("1088886666", None),
        ("12345678901", None),
        ("wang@local", None),
    ] {
        let event = one(Source::Sdk, &sdk(&format!(r#""type":"page","userId":"{id}""#)));
        let expected: Vec<String> =
            [Some(format!("user_id||{id}")), contact.map(str::to_owned)].into_iter().flatten().collect();
        assert_eq!(names(&event), expected);
    }
}

#[test]
fn sdk_pages_and_tracks() {
    let page = |page: &str| sdk(&format!(r#""type":"page","anonymousId":"c","context":{{"page":{page}}}"#));
    for (text, expected) in [
        (r#"{"url":"https://a.example/","referrer":"https://www.baidu.com/"}"#, "organic_search"),
        (r#"{"url":"https://a.example/"}"#, "direct"),
        (r#"{"url":"https://a.example/","search":"?utm_source=baidu&utm_medium=cpc"}"#, "paid_search"),
        (r#"{"url":"https://a.example/?utm_source=partner&utm_medium=email","referrer":"https://mail.qq.com/"}"#, "email"),
    ] {
        assert_eq!(channel(&one(Source::Sdk, &page(text))), expected, "{text}");
    }
    for own in ["https://a.example/x", "https://www.a.example/", "https://m.a-pay.example/"] {
        let event = one(Source::Sdk, &page(&format!(r#"{{"url":"https://a.example/","referrer":"{own}"}}"#)));
        assert!(matches!(event.body, Some(Body::Identify(_))), "{own}");
    }
    let nobody = decode(
        Source::Sdk,
        &sdk(r#""type":"page","properties":{"url":"https://a.example/","referrer":"https://a.example/x"}"#),
    );
    assert_eq!((nobody.events.len(), nobody.without_event), (0, 1));

    let other = one(Source::Sdk, &sdk(r#""type":"track","event":"Button Clicked","userId":"u","context":{"groupId":"001B"}"#));
    assert!(matches!(other.body, Some(Body::Identify(_))));
    assert_eq!(names(&other), ["user_id||u", "crm_account||001B"]);

    let order = sdk(
        r#""type":"track","event":"Order Completed","userId":"u","properties":{"revenue":1200.5,"currency":"USD","object_id":"O1"}"#,
    );
    let Some(Body::Milestone(won)) = one(Source::Sdk, &order).body else { panic!("not a milestone") };
    let value = won.value.map(|value| value.to_string());
    assert_eq!((won.milestone_id.as_str(), value.as_deref(), won.currency.as_str()), ("closed_won:O1", Some("1200.5"), "USD"));
}

#[test]
fn events_of_a_server_are_no_touches() {
    let agents = [("okhttp/3.14.9", 0), ("Mozilla/5.0 (iPhone) AppleWebKit/605.1.15 Mobile/15E148 MicroMessenger/8.0.20", 1)];
    for (agent, events) in agents {
        let hit = format!(r#"{{"timestamp":"2022-02-28T10:00:00Z","anonymous_id":"c","user_agent":"{agent}"}}"#);
        let page = sdk(&format!(r#""type":"page","anonymousId":"c","context":{{"userAgent":"{agent}"}}"#));
        for (source, record) in [(Source::Utm, hit), (Source::Sdk, page)] {
            let decoded = decode(source, &record);
            assert_eq!((decoded.events.len(), decoded.bots), (events, 1 - events as u64), "{record}");
        }
    }
}

#[test]
fn sdk_drops_what_names_nobody() {
    let track = sdk(
        r#""type":"track","event":"Signed Up","userId":"null","anonymousId":"c","context":{"externalIds":[{"type":"ga","id":"1"},{"type":"badge","id":"B7"},{"type":"domain","id":"b.example"}]}"#,
    );
    let decoded = decode(Source::Sdk, &track);
    assert_eq!((decoded.blocked, decoded.undeclared), (1, 1));
    assert_eq!(names(&decoded.events[0]), ["badge||B7", "anonymous_id||c", "domain||b.example"]);
}

#[test]
fn native_records_on_every_topic() {
    let record = r#"{"event_id":"e","timestamp":"2022-02-28 10:00:00","user_id":"u","channel":"sales"}"#;
    for source in [Source::Sdk, Source::Utm, Source::Webhook, Source::Offline] {
        let event = one(source, record);
        assert_eq!((channel(&event), event.source()), ("sales", source));
    }
}

#[test]
fn native_kinds() {
    let native = |fields: &str| one(Source::Offline, &format!(r#"{{"timestamp":"2022-02-28",{fields}}}"#));
    let unlink = native(r#""kind":"unlink","phone":["13800001111","+8613800002222"]"#);
    assert!(matches!(unlink.body, Some(Body::Unlink(_))));
    assert_eq!(names(&unlink), ["phone||+8613800001111", "phone||+8613800002222"]);
    let account = native(r#""kind":"account","account":"001B","domain":["B.example","b.cn"],"traits":{"size":300}"#);
    assert!(matches!(account.body, Some(Body::Account(_))));
    assert_eq!(names(&account), ["crm_account||001B", "domain||b.cn", "domain||b.example"]);
    let consent = native(r#""kind":"consent","email":"a@b.example","consent":"revoked""#);
    assert_eq!(consent.body, Some(Body::Consent(tributary_proto::Consent { granted: false })));
    let erase = native(r#""kind":"erase","email":"a@b.example""#);
    assert_eq!((erase.body, erase.identifiers.len()), (Some(Body::Erase(tributary_proto::Erase::default())), 1));
    let milestone = native(
        r#""kind":"milestone","milestone":"mql","object_id":"Q","value":10,"withdrawn":"TRUE","occurred_at":"2022-02-27 08:00""#,
    );
    let Some(Body::Milestone(version)) = milestone.body else { panic!("not a milestone") };
    let value = version.value.map(|value| value.to_string());
    assert_eq!((value.as_deref(), version.currency.as_str(), version.withdrawn), (Some("10"), "", true));
    assert_eq!(version.occurred_at_ms, Some(1_645_920_000_000));
    let Some(Body::Milestone(same)) = native(r#""kind":"Milestone","milestone":" MQL","object_id":"Q""#).body else {
        panic!("not a milestone")
    };
    assert_eq!((same.milestone_id.as_str(), same.kind.as_str()), ("mql:Q", "mql"));
}

#[test]
fn a_null_clears_and_a_blank_changes_nothing() {
    let version = |fields: &str| {
        let said =
            r#""timestamp":"2022-02-28T08:00:00Z","kind":"milestone","milestone":"mql","object_id":"Q","email":"a@b.example""#;
        let record = one(Source::Offline, &format!("{{{said},{fields}}}"));
        let Some(Body::Milestone(version)) = record.body else { panic!("not a milestone") };
        (version.value.is_some(), version.value_cleared, version.currency_cleared, version.occurred_at_cleared)
    };
    assert_eq!(version(r#""value":null,"currency":null,"occurred_at":null"#), (false, true, true, true));
    assert_eq!(version(r#""value":"","currency":" ","occurred_at":"""#), (false, false, false, false));
    assert_eq!(version(r#""value":0,"amends":true"#), (true, false, false, false));
}

#[test]
fn wechat_pushes() {
    let push = |rest: &str| {
        let xml = format!(
            "<xml><ToUserName>gh_known</ToUserName><FromUserName><![CDATA[oZ]]></FromUserName><CreateTime>1646013960</CreateTime>{rest}</xml>"
        );
        one(Source::Webhook, &format!(r#"{{"provider":"wechat","body":{}}}"#, serde_json::Value::from(xml)))
    };
    let event = |name: &str, key: &str| {
        push(&format!("<MsgType>event</MsgType><Event>{name}</Event><EventKey><![CDATA[{key}]]></EventKey>"))
    };
    let touch = |event: &Event| match &event.body {
        Some(Body::Touch(touch)) => (touch.medium.clone(), touch.campaign.clone()),
        other => panic!("not a touch: {other:?}"),
    };
    let scan = event("SCAN", "aid_c&amp;1");
    assert_eq!(scan.event_id, "wechat:gh_known:oZ:1646013960:SCAN");
    assert_eq!(names(&scan), ["wechat_openid|wx12ab|oZ", "anonymous_id||c&amp;1"]);
    assert_eq!(touch(&scan), ("scan".into(), "aid_c&amp;1".into()));
    assert_eq!(touch(&event("subscribe", "")), ("subscribe".into(), String::new()));
    assert_eq!(touch(&event("subscribe", "qrscene_booth7")), ("qr_subscribe".into(), "booth7".into()));
    assert_eq!(names(&event("subscribe", "qrscene_booth7")), ["wechat_openid|wx12ab|oZ"]);
    let text = push("<MsgType>text</MsgType><Content>a &lt; b</Content>");
    assert_eq!(text.event_id, "wechat:gh_known:oZ:1646013960:text");
    assert!(matches!(text.body, Some(Body::Identify(_))));
}

#[test]
fn a_csv_row_and_its_json_form_have_one_event_id() {
    let decoder = decoder();
    let rows = CsvRows::new(&decoder, ["timestamp", "email", "value", "traits.name", "note"]).unwrap();
    let row = rows.record(["2022-02-28", "a@b.example;c@b.example", "10.50", "李", ""]).unwrap();
    let json =
        r#"{ "traits": {"name": "李"}, "value": "10.50", "email": ["c@b.example", "a@b.example"], "timestamp": "2022-02-28" }"#;
    let (row, json) = (one(Source::Offline, &row), one(Source::Offline, json));
    assert_eq!(row, json);
    assert_eq!(row.event_id.len(), 32);
}

#[test]
fn a_message_sent_again_without_id_has_the_same_event_id() {
    let message = |sent: &str, received: &str| {
        let text = format!(
            r#"{{"type":"page","anonymousId":"c","timestamp":"2022-02-28T10:00:00Z","sentAt":"{sent}","receivedAt":"{received}"}}"#
        );
        one(Source::Sdk, &text)
    };
    let first = message("2022-02-28T10:00:01Z", "2022-02-28T10:00:01Z");
    assert_eq!(first, message("2022-02-28T10:05:01Z", "2022-02-28T10:05:01Z"));
    assert_eq!(first, message("2022-02-28T10:05:01Z", "2022-02-28T10:05:01.157Z"), "what the network took is no skew");
}

#[test]
fn the_stage_sends_events_to_their_actors() {
    let mut stage = IngestStage::new(Arc::new(decoder()));
    let mut state = Overlay::new(EmptyBase);
    let mut outbox = Outbox::default();
    let mut context = Context { state: &mut state, outbox: &mut outbox };
    for value in [
        r#"{"event_id":"1","timestamp":"2022-02-28","anonymous_id":"c","email":"a@b.example","user_id":"null"}"#,
        r#"{"event_id":"2","timestamp":"2022-02-28","account":"001B"}"#,
        r#"{"event_id":"3","timestamp":"2022-02-28","kind":"milestone","milestone":"mql","object_id":"Q1","email":"a@b.example"}"#,
    ] {
        let record =
            Record { topic: Topic::Offline, partition: 0, offset: 0, timestamp_ms: -1, key: b"x", value: value.as_bytes() };
        stage.handle(&record, &mut context).unwrap();
    }
    stage.end_batch(&mut context).unwrap();
    let keys: Vec<&[u8]> = outbox.outputs.iter().map(|output| &*output.key).collect();
    assert_eq!(keys, [&b"email\x1f\x1fa@b.example"[..], b"crm_account\x1f\x1f001B", b"mql:Q1"]);
    assert!(outbox.outputs.iter().all(|output| output.topic == Topic::IdentityInbox));
    let message = IdentityMessage::decode(outbox.outputs[0].value.as_deref().unwrap()).unwrap();
    let Some(identity_message::Body::Event(event)) = message.body else { panic!("not an event") };
    assert_eq!(event.identifiers[0].hash(), Hash128::of(keys[0]));
    let counted: Vec<(&str, &str, u64)> =
        outbox.observations.counts().iter().map(|(m, label, n)| (m.name, *label, *n)).collect();
    assert_eq!(
        counted,
        [("tributary_ingest_events_total", "offline", 3), ("tributary_ingest_identifiers_blocked_total", "offline", 1)]
    );
}
