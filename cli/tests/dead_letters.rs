//! What is refused can be seen, repaired and sent again; and a stream that is mostly refused stops the service.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::fs;

use serde_json::Value;
use support::command::{err, out};
use support::service::Service;

fn letters(service: &Service, args: &[&str]) -> Vec<Value> {
    let all = [&["dead-letters", "list", "--json"], args].concat();
    service.ok(&all).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A milestone of a kind that a configuration may declare.
const DEMO: &str = r#"{"kind": "milestone", "milestone": "demo", "object_id": "1", "email": "a@b.example", "timestamp": "2024-05-01T10:00:00Z"}"#;

#[test]
fn a_letter_is_sent_again_once_and_counts_when_its_cause_is_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("demo.ndjson");
    fs::write(&file, format!("{DEMO}\nnot json\n")).unwrap();
    let mut service = Service::in_folder(folder.path(), 1);
    service.ok(&["send", "--offline", file.to_str().unwrap()]);
    service.drain();
    let found = letters(&service, &["--reason", "milestone_unknown"]);
    assert_eq!((found.len(), &found[0]["fate"], &found[0]["refused"]), (1, &"open".into(), &1.into()));
    assert_eq!(letters(&service, &[]).len(), 2);
    let place = found[0]["letter"].as_str().unwrap();
    let shown: Value = serde_json::from_str(&service.ok(&["dead-letters", "show", place, "--json"])).unwrap();
    assert_eq!((&shown["reason"], &shown["topic"]), (&"milestone_unknown".into(), &"offline".into()));
    assert!(service.ok(&["dead-letters", "show", place]).contains(DEMO));

    let retry = ["dead-letters", "retry", "--reason", "milestone_unknown", "--json"];
    let counts = |text: String| -> (Value, Value) {
        let found: Value = serde_json::from_str(&text).unwrap();
        (found["records"].clone(), found["letters"].clone())
    };
    let dry = [&retry[..], &["--dry-run"]].concat();
    assert_eq!(counts(service.ok(&dry)), (1.into(), 1.into()));
    assert_eq!(letters(&service, &[]).len(), 2, "a dry run sends nothing");

    service.sets.extend([r#"ingest.milestone_kinds=["demo"]"#.into(), r#"attribution.custom_kinds=["demo"]"#.into()]);
    assert_eq!(counts(service.ok(&retry)), (1.into(), 1.into()));
    assert_eq!(counts(service.ok(&retry)), (0.into(), 0.into()), "it was sent again already");
    service.drain();
    let credits = service.ok(&["tail", "credits", "--from-beginning", "--until-end"]);
    assert!(credits.contains("\"milestone_id\":\"demo:1\""), "{credits}");
    let left: Vec<_> = letters(&service, &[]).into_iter().map(|letter| letter["reason"].clone()).collect();
    assert_eq!(left, ["json_malformed"]);
    assert_eq!(letters(&service, &["--all"]).len(), 2);
}

#[test]
fn what_is_refused_again_and_again_is_not_sent_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.ndjson");
    fs::write(&file, "not json\n").unwrap();
    let service = Service::in_folder(folder.path(), 1);
    service.ok(&["send", "--sdk", file.to_str().unwrap()]);
    service.drain();
    let mut sent = Vec::new();
    for _ in 0..5 {
        let retried = service.command(&["dead-letters", "retry", "--json"]);
        let found: Value = serde_json::from_str(&out(&retried)).unwrap();
        sent.push((found["records"].as_u64().unwrap(), found["given_up"].as_u64().unwrap(), retried.status.code()));
        service.drain();
    }
    assert_eq!(sent, [(1, 0, Some(0)), (1, 0, Some(0)), (0, 1, Some(1)), (0, 1, Some(1)), (0, 1, Some(1))]);
}

#[test]
fn a_stream_that_is_mostly_refused_stops_the_service_and_not_the_letters() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.ndjson");
    fs::write(&file, "not json\n".repeat(30)).unwrap();
    let mut service = Service::in_folder(folder.path(), 1);
    service.sets.push("worker.dead_letters.in_a_row=20".into());
    service.ok(&["send", "--utm", file.to_str().unwrap()]);
    let run = service.command(&["run", "--until-idle", "1"]);
    assert_eq!(run.status.code(), Some(1), "{}", err(&run));
    let text = err(&run);
    assert!(text.contains("topic utm, partition 0, up to offset 19") && text.contains("json_malformed"), "{text}");
    assert_eq!(letters(&service, &[]).len(), 0, "the batch was not committed");
    // Where anybody can send with a key that stands in a page, nobody can stop it.
    service.sets.push("collector.write_keys.web=a-write-key-0123".into());
    service.drain();
    assert_eq!(letters(&service, &[]).len(), 30, "nothing was passed over");
}
