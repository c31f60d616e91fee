//! What is refused can be seen, repaired and sent again; and a stream that is mostly refused stops the service.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Output;

use serde_json::Value;
use support::command::{err, out, tributary};

/// A service on the embedded log in a folder.
struct Service {
    sets: Vec<String>,
}

impl Service {
    fn in_folder(folder: &Path) -> Self {
        let state = format!("state.path={}", folder.join("state").display());
        Self { sets: vec![state, "http.listen=127.0.0.1:0".into(), "topics.partitions=1".into()] }
    }

    fn command(&self, args: &[&str]) -> Output {
        let sets = self.sets.iter().flat_map(|set| ["--set", set]);
        tributary(&args.iter().copied().chain(sets).collect::<Vec<_>>())
    }

    fn ok(&self, args: &[&str]) -> String {
        let found = self.command(args);
        assert!(found.status.success(), "{args:?}: {}", err(&found));
        out(&found)
    }

    fn drain(&self) {
        self.ok(&["run", "--until-idle", "1"]);
    }

    fn letters(&self, args: &[&str]) -> Vec<Value> {
        let all = [&["dead-letters", "list", "--json"], args].concat();
        self.ok(&all).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

/// A milestone of a kind that a configuration may declare.
const DEMO: &str = r#"{"kind": "milestone", "milestone": "demo", "object_id": "1", "email": "a@b.example", "timestamp": "2024-05-01T10:00:00Z"}"#;

#[test]
fn a_letter_is_sent_again_once_and_counts_when_its_cause_is_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("demo.ndjson");
    fs::write(&file, format!("{DEMO}\nnot json\n")).unwrap();
    let mut service = Service::in_folder(folder.path());
    service.ok(&["send", "--offline", file.to_str().unwrap()]);
    service.drain();
    let letters = service.letters(&["--reason", "milestone_unknown"]);
    assert_eq!((letters.len(), &letters[0]["fate"], &letters[0]["refused"]), (1, &"open".into(), &1.into()));
    assert_eq!(service.letters(&[]).len(), 2);
    let place = letters[0]["letter"].as_str().unwrap();
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
    assert_eq!(service.letters(&[]).len(), 2, "a dry run sends nothing");

    service.sets.extend([r#"ingest.milestone_kinds=["demo"]"#.into(), r#"attribution.custom_kinds=["demo"]"#.into()]);
    assert_eq!(counts(service.ok(&retry)), (1.into(), 1.into()));
    assert_eq!(counts(service.ok(&retry)), (0.into(), 0.into()), "it was sent again already");
    service.drain();
    let credits = service.ok(&["tail", "credits", "--from-beginning", "--until-end"]);
    assert!(credits.contains("\"milestone_id\":\"demo:1\""), "{credits}");
    let left: Vec<_> = service.letters(&[]).into_iter().map(|letter| letter["reason"].clone()).collect();
    assert_eq!(left, ["json_malformed"]);
    assert_eq!(service.letters(&["--all"]).len(), 2);
}

#[test]
fn what_is_refused_again_and_again_is_not_sent_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.ndjson");
    fs::write(&file, "not json\n").unwrap();
    let service = Service::in_folder(folder.path());
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
    let mut service = Service::in_folder(folder.path());
    service.sets.push("worker.dead_letters.in_a_row=20".into());
    service.ok(&["send", "--utm", file.to_str().unwrap()]);
    let run = service.command(&["run", "--until-idle", "1"]);
    assert_eq!(run.status.code(), Some(1), "{}", err(&run));
    let text = err(&run);
    assert!(text.contains("topic utm, partition 0, up to offset 19") && text.contains("json_malformed"), "{text}");
    assert_eq!(service.letters(&[]).len(), 0, "the batch was not committed");
    service.sets.push("worker.dead_letters.in_a_row=0".into());
    service.drain();
    assert_eq!(service.letters(&[]).len(), 30, "nothing was passed over");
}
