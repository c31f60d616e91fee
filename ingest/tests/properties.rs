//! What holds for any input: no panic, and nothing in an event depends on how the record was written.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a failing test panics")]

use proptest::prelude::*;
use tributary_ingest::{Decoded, Decoder, Settings, limits};
use tributary_proto::Source;
use tributary_proto::kind::Kinds;

const SOURCES: [Source; 4] = [Source::Sdk, Source::Utm, Source::Webhook, Source::Offline];

thread_local! {
    static DECODER: Decoder = Decoder::new(&Settings::default(), &Kinds::default()).unwrap();
}

fn decode(source: Source, value: &[u8]) -> Option<Decoded> {
    let mut out = Decoded::default();
    DECODER.with(|decoder| decoder.decode(source, value, Some(1_700_000_000_000), &mut out)).ok().map(|()| out)
}

/// Text that is often close to what decoders look for.
fn piece() -> impl Strategy<Value = String> {
    let known = vec![
        "{",
        "}",
        "[",
        "]",
        "\"",
        ":",
        ",",
        "null",
        "1e9",
        "-1",
        "\\u0000",
        "\\ud83d",
        "type",
        "track",
        "page",
        "context",
        "traits",
        "externalIds",
        "timestamp",
        "2022-02-28T10:00:00Z",
        "email",
        "a@b.example",
        "provider",
        "wechat",
        "native",
        "body",
        "<xml>",
        "</xml>",
        "<![CDATA[",
        "]]>",
        "&amp;",
        "<!DOCTYPE",
        "ToUserName",
        "utm_source",
        "%E5%A4",
        "%25",
        "?",
        "#",
        "&",
        "；",
        "１３",
    ];
    prop_oneof![3 => prop::sample::select(known).prop_map(str::to_owned), 1 => ".{0,6}"]
}

/// A JSON object that a decoder may well accept.
fn record() -> impl Strategy<Value = Vec<(String, serde_json::Value)>> {
    let names = vec![
        "kind",
        "event_id_",
        "email",
        "phone",
        "user_id",
        "anonymous_id",
        "account",
        "domain",
        "channel",
        "url",
        "referrer",
        "milestone",
        "object_id",
        "value",
        "currency",
        "traits",
        "x",
    ];
    let text = prop_oneof![
        Just("a@b.example".to_owned()),
        Just("13800001111".to_owned()),
        Just("touch".to_owned()),
        Just("spend".to_owned()),
        Just("mql".to_owned()),
        Just("https://a.example/?utm_source=x&utm_medium=cpc".to_owned()),
        Just("12.50".to_owned()),
        "[a-z]{0,8}",
        ".{0,12}",
    ];
    let value = prop_oneof![
        4 => text.prop_map(serde_json::Value::from),
        1 => any::<i32>().prop_map(serde_json::Value::from),
        1 => prop::collection::vec("[a-z]{1,6}@b.example", 0..3).prop_map(serde_json::Value::from),
        1 => prop::collection::btree_map("[a-z]{1,4}", "[a-z]{0,4}", 0..3).prop_map(|map| serde_json::json!(map)),
    ];
    prop::collection::btree_map(prop::sample::select(names).prop_map(str::to_owned), value, 0..8).prop_map(|map| {
        let fixed = [("timestamp".to_owned(), "2022-02-28".into()), ("device_id".to_owned(), "d1".into())];
        map.into_iter().chain(fixed).collect()
    })
}

fn json(fields: &[(String, serde_json::Value)], gap: &str) -> String {
    let fields: Vec<String> = fields.iter().map(|(name, value)| format!("{gap}\"{name}\"{gap}:{gap}{value}{gap}")).collect();
    format!("{{{}}}", fields.join(","))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_panic(value in prop::collection::vec(any::<u8>(), 0..400)) {
        for source in SOURCES {
            decode(source, &value);
        }
    }

    #[test]
    fn no_near_miss_panics(pieces in prop::collection::vec(piece(), 0..60), body in any::<bool>()) {
        let mut text = pieces.concat();
        if body {
            text = format!(r#"{{"provider":"wechat","body":{}}}"#, serde_json::Value::from(text));
        }
        for source in SOURCES {
            decode(source, text.as_bytes());
        }
    }

    #[test]
    fn order_and_white_space_do_not_matter(fields in record(), seed in any::<prop::sample::Index>()) {
        let mut turned = fields.clone();
        turned.rotate_left(seed.index(fields.len()));
        let one = decode(Source::Offline, json(&fields, "").as_bytes());
        let other = decode(Source::Offline, json(&turned, " \n").as_bytes());
        prop_assert_eq!(one.is_some(), other.is_some());
        if let (Some(one), Some(other)) = (one, other) {
            prop_assert_eq!(one.events, other.events);
        }
    }

    #[test]
    fn events_keep_the_limits(fields in record()) {
        let Some(decoded) = decode(Source::Utm, json(&fields, "").as_bytes()) else { return Ok(()) };
        for event in decoded.events {
            let all: Vec<_> = event.identifiers.iter().chain(&event.account_identifiers).collect();
            prop_assert!(!event.event_id.is_empty() && !all.is_empty() && all.len() <= limits::IDENTIFIERS_MAX);
            prop_assert!(all.iter().all(|id| !id.value.is_empty() && id.value.len() <= limits::ID_BYTES_MAX + 8));
            prop_assert!(event.traits.is_sorted_by(|a, b| a.name < b.name));
        }
    }
}
