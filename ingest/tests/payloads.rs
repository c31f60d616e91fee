//! Payloads as vendors document them, and what they decode to: `tests/payloads/SOURCE/NAME.{json,xml}` beside `NAME.decoded.json`.
//!
//! After a wanted change, all snapshots are written anew by
//! `WRITE_SNAPSHOTS=1 cargo test --release -p tributary-ingest --test payloads`; read the difference before it is committed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "a failing test panics")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tributary_ingest::{Decoded, Decoder, PROVIDERS, as_native};
use tributary_proto::Source;
use tributary_proto::kind::Kinds;

/// 2022-05-01T00:00:00Z, after all payloads.
const RECEIVED_MS: i64 = 1_651_363_200_000;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/payloads")
}

fn decoder() -> Decoder {
    let text = fs::read_to_string(folder().join("settings.toml")).unwrap();
    Decoder::new(&toml::from_str(&text).unwrap(), &Kinds::new(vec!["badge".into()], Vec::new())).unwrap()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found
}

/// Every payload: its source, its raw record and where its snapshot is.
fn payloads() -> Vec<(Source, String, PathBuf)> {
    let mut found = Vec::new();
    for source in files(&folder()).into_iter().filter(|path| path.is_dir()) {
        for file in files(&source).into_iter().filter(|file| !file.to_string_lossy().ends_with(".decoded.json")) {
            let text = fs::read_to_string(&file).unwrap();
            let body = || if file.extension().unwrap() == "xml" { Value::from(text.as_str()) } else { read(&text) };
            let (kind, record) = match source.file_name().unwrap().to_str().unwrap() {
                "sdk" => (Source::Sdk, text.clone()),
                "utm" => (Source::Utm, text.clone()),
                "offline" => (Source::Offline, text.clone()),
                // The body as it is: a number must not be reformatted.
                provider if body().is_string() => {
                    (Source::Webhook, json!({"provider": provider, "headers": {}, "body": body()}).to_string())
                }
                provider => (Source::Webhook, format!(r#"{{"provider":"{provider}","headers":{{}},"body":{text}}}"#)),
            };
            found.push((kind, record, file.with_extension("decoded.json")));
        }
    }
    found
}

fn read(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn decode(decoder: &Decoder, source: Source, record: &str) -> Value {
    let mut decoded = Decoded::default();
    if let Err(rejection) = decoder.decode(source, record.as_bytes(), Some(RECEIVED_MS), &mut decoded) {
        assert!(decoded.events.is_empty() && decoded.rejections.is_empty(), "a refused record adds nothing");
        decoded.rejections.push(rejection);
    }
    let refused = |rejection: &tributary_runtime::stage::Rejection| json!({"reason": rejection.reason, "field": rejection.field, "index": rejection.index, "detail": rejection.detail});
    let stages = decoded.stages_without_rule.iter().map(|unknown| json!({"setting": unknown.setting, "stage": unknown.stage}));
    let mut shown = json!({
        "events": decoded.events.iter().map(as_native).collect::<Vec<_>>(),
        "refused": decoded.rejections.iter().map(refused).collect::<Vec<_>>(),
        "blocked": decoded.blocked,
        "undeclared": decoded.undeclared,
        "bots": decoded.bots,
        "without_event": decoded.without_event,
    });
    if !decoded.ignored.is_empty() {
        let left_out = |left: &tributary_ingest::IgnoredField| json!({"reason": left.why.reason, "field": left.why.field, "count": left.count});
        shown["ignored"] = decoded.ignored.iter().map(left_out).collect();
    }
    if !decoded.stages_without_rule.is_empty() {
        shown["stages_without_rule"] = stages.collect();
    }
    shown
}

#[test]
#[allow(clippy::disallowed_methods, reason = "whoever runs the test asks for new snapshots")]
fn payloads_decode_to_their_snapshots() {
    let decoder = decoder();
    let write = std::env::var("WRITE_SNAPSHOTS").is_ok();
    let payloads = payloads();
    assert!(payloads.len() > 50, "the folder is read");
    for (source, record, snapshot) in payloads {
        let found = decode(&decoder, source, &record);
        if write {
            fs::write(&snapshot, format!("{found:#}\n")).unwrap();
        }
        let wanted = fs::read_to_string(&snapshot).unwrap_or_else(|error| panic!("{}: {error}", snapshot.display()));
        assert_eq!(read(&wanted), found, "{}", snapshot.display());
    }
}

/// Providers send again what was not answered in time, and some count how often.
#[test]
fn what_is_sent_again_is_the_same_event() {
    let decoder = decoder();
    for (source, record, snapshot) in payloads() {
        let again = record.replace("\"attemptNumber\": 0", "\"attemptNumber\": 3");
        assert_eq!(again != record, snapshot.to_string_lossy().contains("hubspot"), "{}", snapshot.display());
        assert_eq!(decode(&decoder, source, &again), decode(&decoder, source, &record), "{}", snapshot.display());
    }
}

/// The ids of the events of one record differ: two events under one id would count as one.
#[test]
fn events_of_a_record_have_ids_of_their_own() {
    let decoder = decoder();
    for (source, record, snapshot) in payloads() {
        let decoded = decode(&decoder, source, &record);
        let mut ids: Vec<&str> =
            decoded["events"].as_array().unwrap().iter().map(|e| e["event_id"].as_str().unwrap()).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "{}", snapshot.display());
    }
}

/// What it means to turn away is configured.
#[test]
fn leaving_is_ignored_a_revocation_or_an_erasure() {
    let leave = |settings: &str, file: &str| {
        let decoder = Decoder::new(&toml::from_str(settings).unwrap(), &Kinds::default()).unwrap();
        let payload = payloads().into_iter().find(|(.., snapshot)| snapshot.to_string_lossy().contains(file)).unwrap();
        decode(&decoder, payload.0, &payload.1)["events"][0]["kind"].clone()
    };
    let (wechat, wecom) = ("wechat/unsubscribe.", "wecom/del_follow_user.");
    assert_eq!((leave("", wechat), leave("", wecom)), ("identify".into(), "identify".into()));
    for (word, kind) in [("ignore", "identify"), ("revoke", "consent"), ("erase", "erase")] {
        assert_eq!(leave(&format!("webhook.wechat_unsubscribe = '{word}'"), wechat), kind);
        assert_eq!(leave(&format!("webhook.wecom_unfollow = '{word}'"), wecom), kind);
    }
}

/// All documentation of a provider follows from its row, so the row must be right.
#[test]
fn every_provider_has_payloads_and_examples_that_are_events() {
    let decoder = decoder();
    for provider in PROVIDERS {
        assert!(folder().join(provider.name).is_dir(), "{} has payloads", provider.name);
        assert!(!provider.examples.is_empty(), "{} has examples", provider.name);
        for example in provider.examples {
            let body = if example.starts_with('<') { Value::from(*example).to_string() } else { (*example).to_owned() };
            let record = format!(r#"{{"provider":"{}","body":{body}}}"#, provider.name);
            let decoded = decode(&decoder, Source::Webhook, &record);
            assert!(!decoded["events"].as_array().unwrap().is_empty(), "{}: {decoded}", provider.name);
            assert_eq!(decoded["refused"], json!([]), "{}", provider.name);
        }
    }
    let mut decoded = Decoded::default();
    let unknown = decoder.decode(Source::Webhook, br#"{"provider":"nobody","body":{}}"#, None, &mut decoded).unwrap_err();
    assert!(PROVIDERS.iter().all(|provider| unknown.detail.contains(provider.name)), "{}", unknown.detail);
}
