//! `topics`, `check`, `send` and `tail` against a real Apache Kafka.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests")]

mod support;

use std::fs;
use std::process::{Command, Output};

use serde_json::Value;
use support::broker;
use tributary_runtime::topic::Topic;

fn tributary(brokers: &str, args: &[&str]) -> Output {
    let set = format!("kafka.brokers={brokers}");
    Command::new(env!("CARGO_BIN_EXE_tributary")).args(args).args(["--set", &set]).output().unwrap()
}

fn verdicts(output: &Output) -> Vec<String> {
    let planned: Value = serde_json::from_slice(&output.stdout).unwrap();
    planned.as_array().unwrap().iter().map(|topic| topic["verdict"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn topics_are_planned_created_checked_and_used() {
    let Some(brokers) = broker() else { return };
    let folder = tempfile::tempdir().unwrap();
    let state = format!("state.path={}", folder.path().display());

    let missing = tributary(&brokers, &["topics", "plan", "--json"]);
    assert_eq!((missing.status.code(), verdicts(&missing)), (Some(0), vec!["missing".to_owned(); Topic::ALL.len()]));
    let check = tributary(&brokers, &["check", "--set", &state, "--set", "http.listen=127.0.0.1:0"]);
    assert_eq!(check.status.code(), Some(1), "{}", String::from_utf8_lossy(&check.stdout));

    let created = tributary(&brokers, &["topics", "create", "--json"]);
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    assert_eq!(verdicts(&created), vec!["fine".to_owned(); Topic::ALL.len()]);
    let check = tributary(&brokers, &["check", "--set", &state, "--set", "http.listen=127.0.0.1:0"]);
    assert_eq!(check.status.code(), Some(0), "{}", String::from_utf8_lossy(&check.stdout));

    let other = tributary(&brokers, &["topics", "plan", "--json", "--set", "topics.raw_retention_days=1"]);
    let differing = verdicts(&other).iter().filter(|verdict| *verdict == "differs").count();
    assert_eq!((other.status.code(), differing), (Some(0), 4));

    // A record of 2 MiB passes as it is: to refuse it is the pipeline's business.
    let file = folder.path().join("sdk.ndjson");
    let large = format!("{{\"x\":\"{}\"}}", "y".repeat(2 << 20));
    fs::write(&file, format!("{{}}\n{large}\n")).unwrap();
    let sent = tributary(&brokers, &["send", "--sdk", file.to_str().unwrap()]);
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    let read = tributary(&brokers, &["tail", "sdk", "--from-beginning", "--until-end"]);
    let mut lines: Vec<String> = String::from_utf8(read.stdout).unwrap().lines().map(str::to_owned).collect();
    lines.sort();
    assert!(lines == [large, "{}".to_owned()], "{} lines", lines.len());
}
