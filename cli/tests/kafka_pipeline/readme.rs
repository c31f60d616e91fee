//! The commands of the README, as they stand there, against a real broker.

use std::fs;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use super::broker;
use super::support::Running;
use super::support::pages::{block, call};

/// Longest wait for the first credit.
const PATIENCE: Duration = Duration::from_secs(120);
const EVENTS: &str = r#"{"type": "track", "event": "Demo Requested", "userId": "u1", "messageId": "m1", "timestamp": "2024-03-01T10:00:00Z", "context": {"traits": {"email": "zhang@b-corp.example"}}}"#;
const TRADE_SHOW: &str = "kind,timestamp,email,channel,milestone,object_id,value,currency\n\
    touch,2024-03-02T10:00:00Z,zhang@b-corp.example,offline_event,,,,\n\
    milestone,2024-03-09T10:00:00Z,zhang@b-corp.example,,closed_won,006X,100.00,CNY\n";

#[test]
fn the_commands_of_the_readme_give_credit() {
    let Some(brokers) = broker() else { return };
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("events.ndjson"), EVENTS).unwrap();
    fs::write(folder.path().join("trade-show.csv"), TRADE_SHOW).unwrap();
    let command = |words: &[String], more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tributary"));
        command.args(words.iter().skip(1).map(|word| word.replace("kafka:9092", brokers))).args(more);
        command.current_dir(folder.path()).env_remove("TRIBUTARY_CONFIG");
        command.env("TRIBUTARY_STATE__PATH", folder.path().join("state")).env("TRIBUTARY_TOPICS__PARTITIONS", "2");
        command.env("TRIBUTARY_HTTP__LISTEN", "127.0.0.1:0").env("TRIBUTARY_WORKER__MEMORY_MB", "256");
        command
    };
    let done = |output: &Output| output.status.success() && !output.stdout.is_empty();
    let (mut running, mut ran) = (Vec::new(), Vec::new());
    for line in block("README.md", "tributary topics create").commands() {
        let words = call(&line).unwrap();
        let begun = Instant::now();
        match words[1].as_str() {
            "run" => running.push(Running::start(command(&words, &[]))),
            // It would go on until somebody stops it.
            "tail" => {
                while !done(&command(&words, &["--until-end"]).output().unwrap()) {
                    assert!(begun.elapsed() < PATIENCE, "{line}: no credit");
                    std::thread::sleep(Duration::from_millis(500));
                }
            }
            _ => {
                let output = command(&words, &[]).output().unwrap();
                assert!(output.status.success(), "{line}\n{output:?}");
            }
        }
        ran.push(words[1].clone());
    }
    assert_eq!(ran, ["topics", "check", "run", "send", "tail"]);
    running.into_iter().for_each(Running::terminate);
}
