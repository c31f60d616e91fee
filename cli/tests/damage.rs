//! An embedded log that lost something says so, to every command and before anything is changed; what is left can be gone on with.
//!
//! Every kind of damage to every kind of file: `runtime/tests/damage`.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::command::{err, out};
use support::service::Service;
use support::{Running, run};

const EVENTS: usize = 60;

fn send(service: &Service, folder: &Path) {
    let file = folder.join("events.ndjson");
    let touch =
        |at: usize| format!("{{\"email\": \"a{at}@b.example\", \"timestamp\": \"2024-05-01T10:00:{:02}Z\"}}\n", at % 60);
    fs::write(&file, (0..EVENTS).map(touch).collect::<String>()).unwrap();
    service.ok(&["send", "--offline", file.to_str().unwrap()]);
}

/// How many records of `offline` are processed, of a service that is running.
fn processed(service: &Service) -> bool {
    let info: Value = serde_json::from_str(&service.ok(&["state", "info", "--json"])).unwrap();
    let inputs = info[0]["inputs"].as_str().unwrap();
    ["ingest 0", "identity 0", "attributor 0"].iter().all(|left| inputs.contains(left))
}

/// A service that has processed some events, and was killed: what it did is in the write-ahead log.
fn killed(folder: &Path) -> Service {
    let service = Service::in_folder(folder, 2);
    send(&service, folder);
    let running: Running = run(&service.sets, &[]);
    let begun = Instant::now();
    while !processed(&service) {
        assert!(begun.elapsed() < Duration::from_secs(60), "the records are not processed");
    }
    running.kill();
    service
}

fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder.join("state/log")).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_str().unwrap().ends_with(end) && fs::metadata(path).unwrap().len() > 0).collect()
}

/// Every command that works with the log refuses it, in these words.
fn refused(service: &Service, words: &str) {
    for command in
        [&["run", "--until-idle", "1"][..], &["state", "verify"], &["audit"], &["explain", "x"], &["tail", "credits"]]
    {
        let found = service.command(command);
        assert_eq!(found.status.code(), Some(1), "{command:?}: {}", out(&found));
        let text = out(&found) + &err(&found);
        assert!(text.contains(words), "{command:?}: {text}");
    }
}

#[test]
fn a_stopped_service_leaves_nothing_in_the_write_ahead_log() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::in_folder(folder.path(), 2);
    send(&service, folder.path());
    assert_eq!(files(folder.path(), ".log"), Vec::<PathBuf>::new(), "send has ended");
    service.drain();
    assert_eq!(files(folder.path(), ".log"), Vec::<PathBuf>::new());
}

#[test]
fn a_flipped_bit_in_the_write_ahead_log_is_reported_and_the_rest_can_be_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let service = killed(folder.path());
    let log = files(folder.path(), ".log").remove(0);
    let whole = fs::read(&log).unwrap();
    let mut bytes = whole.clone();
    let at = bytes.len() / 2;
    bytes[at] ^= 4;
    fs::write(&log, bytes).unwrap();
    refused(&service, "a file is damaged or missing");

    // Nothing was thrown away.
    fs::write(&log, &whole).unwrap();
    assert!(out(&service.command(&["audit"])).contains("adds up"));

    fs::write(&log, &whole[..at]).unwrap();
    refused(&service, "has lost data");
    let shown = service.command(&["state", "accept-loss", "--json"]);
    let lost: Value = serde_json::from_str(&out(&shown)).unwrap();
    assert_eq!((shown.status.code(), &lost["accepted"]), (Some(1), &Value::Bool(false)));
    assert!(lost["transactions"].as_u64().unwrap() > 0, "{lost}");
    refused(&service, "has lost data");

    let accepted = service.ok(&["state", "accept-loss", "--yes"]);
    assert!(accepted.contains("given up: the last "), "{accepted}");
    send(&service, folder.path());
    service.drain();
    assert!(out(&service.command(&["audit"])).contains("adds up"));
}

#[test]
fn no_log_is_created_where_there_was_one() {
    let folder = tempfile::tempdir().unwrap();
    let service = killed(folder.path());
    let kept = folder.path().join("kept");
    let log = folder.path().join("state/log");
    for name in ["CURRENT", "HIGH-WATER"] {
        fs::rename(log.join(name), &kept).unwrap();
        let words = if name == "CURRENT" { "its file CURRENT is missing" } else { "its high-water mark is gone" };
        refused(&service, words);
        fs::rename(&kept, log.join(name)).unwrap();
    }
    assert!(out(&service.command(&["audit"])).contains("adds up"));
}
