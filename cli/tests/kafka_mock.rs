//! `send` and `tail` against librdkafka's in-process mock cluster: the client code, not exactly-once.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

use std::fs;
use std::process::{Command, Output};

use rdkafka::mocking::MockCluster;

fn tributary(brokers: &str, args: &[&str]) -> Output {
    let set = format!("kafka.brokers={brokers}");
    Command::new(env!("CARGO_BIN_EXE_tributary")).args(args).args(["--set", &set]).output().unwrap()
}

#[test]
fn what_is_sent_can_be_read_back() {
    let cluster = MockCluster::new(1).unwrap();
    cluster.create_topic("tributary.offline", 3, 1).unwrap();
    let brokers = cluster.bootstrap_servers();
    let folder = tempfile::tempdir().unwrap();
    let (lines, sheet) = (folder.path().join("a.ndjson"), folder.path().join("b.csv"));
    let mut expected: Vec<String> = (0..500).map(|number| format!("{{\"event_id\":\"e{number}\"}}")).collect();
    fs::write(&lines, expected.join("\n")).unwrap();
    fs::write(&sheet, "timestamp,event_id\n2023-01-01,s1\n2023-01-02\n").unwrap();
    expected.push("{\"timestamp\":\"2023-01-01\",\"event_id\":\"s1\"}".to_owned());

    let args = ["send", "--offline", lines.to_str().unwrap(), "--offline", sheet.to_str().unwrap(), "--json"];
    let sent = tributary(&brokers, &args);
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    let summary: serde_json::Value = serde_json::from_slice(&sent.stdout).unwrap();
    assert_eq!(
        (&summary[0]["records"], &summary[1]["records"], &summary[1]["refused_rows"]),
        (&500.into(), &1.into(), &1.into())
    );

    let read = tributary(&brokers, &["tail", "offline", "--from-beginning", "--until-end"]);
    assert!(read.status.success(), "{}", String::from_utf8_lossy(&read.stderr));
    let mut found: Vec<String> = String::from_utf8(read.stdout).unwrap().lines().map(str::to_owned).collect();
    found.sort();
    expected.sort();
    assert_eq!(found, expected);

    let some = tributary(&brokers, &["tail", "offline", "--from-beginning", "--max", "7"]);
    assert_eq!(String::from_utf8(some.stdout).unwrap().lines().count(), 7);
}

#[test]
fn a_topic_that_does_not_exist_is_named() {
    let cluster = MockCluster::new(1).unwrap();
    let read = tributary(&cluster.bootstrap_servers(), &["tail", "credits", "--from-beginning", "--until-end"]);
    assert_eq!(read.status.code(), Some(1));
    assert!(String::from_utf8(read.stderr).unwrap().contains("tributary.credits"));
}
