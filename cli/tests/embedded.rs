//! The pipeline on the embedded log, as a process that is killed.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod support;

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};
use support::{
    Raw, Running, finish, golden, history, send, succeed, table_of, table_text, tailed_table, tributary, write_files,
};
use tributary_runtime::topic::Topic;

#[test]
fn killed_and_restarted_it_gives_the_answer_of_replay() {
    let folder = tempfile::tempdir().unwrap();
    let sets = [format!("state.path={}", folder.path().join("state").display()), "worker.batch_records=50".to_owned()];
    let mut records = golden();
    records.extend(history(60, 3, false));
    let files = write_files(folder.path(), &records);
    let mut send = tributary(&sets);
    succeed({
        send.arg("send").args(&files);
        send
    });
    // Killed at moments that differ, in mid-stream, then left to finish.
    for round in 0..6u64 {
        let mut run = tributary(&sets);
        run.arg("run");
        let running = Running::start(run);
        sleep(Duration::from_millis(40 + 60 * round));
        running.kill();
    }
    let mut run = tributary(&sets);
    run.args(["run", "--until-idle", "1"]);
    succeed(run);
    let table = tailed_table(&sets);
    assert_eq!(table.imbalances(), []);
    assert!(table_text(&table) == table_of(&records));
}

#[test]
fn an_erased_person_has_an_erased_row_before_the_tombstone() {
    let folder = tempfile::tempdir().unwrap();
    let sets = [format!("state.path={}", folder.path().join("state").display())];
    let record = |text: &str| -> Raw { (Topic::Offline, text.as_bytes().to_vec()) };
    send(
        &sets,
        &[
            record(r#"{"timestamp": "2024-03-01T10:00:00+08:00", "email": "gone@qq.com", "traits": {"name": "Zhang"}}"#),
            record(r#"{"timestamp": "2024-03-01T10:00:00+08:00", "email": "stays@qq.com"}"#),
        ],
    );
    finish(&sets);
    send(&sets, &[record(r#"{"timestamp": "2024-03-05T10:00:00+08:00", "kind": "erase", "email": "gone@qq.com"}"#)]);
    finish(&sets);

    let mut tail = tributary(&sets);
    tail.args(["tail", "profiles", "--from-beginning", "--until-end"]);
    let output = String::from_utf8(succeed(tail).stdout).unwrap();
    let lines: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let named = |of: &str| lines.iter().find(|line| line["identifiers"][0]["value"] == of).unwrap();
    let id = named("gone@qq.com")["profile_id"].clone();
    assert_eq!((&named("gone@qq.com")["erased"], &named("stays@qq.com")["erased"]), (&json!(false), &json!(false)));
    let said: Vec<&Value> = lines.iter().filter(|line| line["profile_id"] == id || line["key"] == id).collect();
    let row = json!({
        "profile_id": id, "account_id": "", "identifiers": [], "traits": [], "revoked": false, "merged_into": "", "split_from": "",
        "quarantined": false, "erased": true, "memberships": [], "revision": said[said.len() - 2]["revision"],
    });
    let revision = |row: &Value| row["revision"].as_u64().unwrap();
    assert!(revision(&row) > revision(named("gone@qq.com")));
    assert_eq!(said[said.len() - 2..], [&row, &json!({"key": id, "value": null})]);
}

#[test]
fn the_profiles_of_a_replay_match_the_rows_of_the_topic() {
    let folder = tempfile::tempdir().unwrap();
    let sets = [format!("state.path={}", folder.path().join("state").display())];
    let mut records = golden();
    let record = |text: &str| -> Raw { (Topic::Offline, text.as_bytes().to_vec()) };
    records.push(record(
        r#"{"timestamp": "2024-03-01T10:00:00+08:00", "email": "a@qq.com", "traits": {"title": "CEO", "city": "上海"}}"#,
    ));
    records.push(record(
        r#"{"kind": "consent", "consent": "revoked", "timestamp": "2024-03-02T10:00:00+08:00", "email": "a@qq.com"}"#,
    ));
    send(&sets, &records);
    finish(&sets);
    let mut tail = tributary(&sets);
    tail.args(["tail", "profiles", "--from-beginning", "--until-end"]);
    let mut rows = std::collections::BTreeMap::new();
    for line in String::from_utf8(succeed(tail).stdout).unwrap().lines() {
        let row: Value = serde_json::from_str(line).unwrap();
        rows.insert(row["profile_id"].as_str().unwrap_or_default().to_owned(), row);
    }
    rows.retain(|_, row| row["merged_into"] == "");

    let out = folder.path().join("out");
    let mut replay = tributary(&sets);
    replay.arg("replay").args(write_files(folder.path(), &records)).args(["--out", out.to_str().unwrap()]);
    succeed(replay);
    let lines = std::fs::read_to_string(out.join("profiles.ndjson")).unwrap();
    assert_eq!((lines.lines().count(), rows.len() > 1), (rows.len(), true));
    for line in lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        let row = &rows[line["profile_id"].as_str().unwrap()];
        for name in ["account_id", "traits", "revoked", "quarantined"] {
            assert_eq!(line[name], row[name], "{name}: {line}");
        }
        let named = |of: &Value| {
            format!("{}|{}|{}", of["kind"].as_str().unwrap(), of["scope"].as_str().unwrap(), of["value"].as_str().unwrap())
        };
        let names: Vec<String> = row["identifiers"].as_array().unwrap().iter().map(named).collect();
        assert_eq!(line["identifiers"], json!(names));
    }
    assert!(lines.contains("上海") && lines.contains("\"revoked\":true"), "{lines}");
}
