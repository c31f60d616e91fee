//! `export`: from the log and from a replay come the same rows, and they are those of the topics.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use support::parquet::read;
use support::service::Service;
use support::{golden, history, write_files};

const OUTPUTS: [&str; 6] = ["credits", "touchpoints", "milestones", "profiles", "accounts", "spend"];

/// A service that has read a history with spend, and the folder of a replay of the same.
fn prepare(folder: &Path) -> (Service, PathBuf) {
    let service = Service::in_folder(folder, 3);
    let mut records = golden();
    records.extend(history(60, 5, true));
    let given = folder.join("given");
    fs::create_dir(&given).unwrap();
    let mut files = write_files(&given, &records);
    let spend = given.join("spend.ndjson").display().to_string();
    let line = r#"{"kind": "spend", "timestamp": "2022-03-01", "channel": "paid_search", "source": "baidu", "value": "12.5", "currency": "CNY"}"#;
    fs::write(&spend, line).unwrap();
    files.extend(["--offline".to_owned(), spend]);
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    service.ok(&[&["send"], &files[..]].concat());
    service.drain();
    let results = folder.join("results");
    service.ok(&[&["replay"], &files[..], &["--out", results.to_str().unwrap(), "--partitions", "2"]].concat());
    (service, results)
}

/// The rows of a topic, each under its key.
fn table(topic: &str, rows: Vec<Value>) -> BTreeMap<String, Value> {
    let names: &[&str] = match topic {
        "credits" => &["milestone_id", "model", "touch_id"],
        "touchpoints" => &["touchpoint_id"],
        "milestones" => &["milestone_id"],
        "profiles" => &["profile_id"],
        "accounts" => &["account_id"],
        _ => &["spend_id"],
    };
    let key = |row: &Value| names.iter().map(|name| row[name].as_str().unwrap()).collect::<Vec<_>>().join("|");
    rows.into_iter().map(|row| (key(&row), row)).collect()
}

/// What `tail` prints of a topic, folded: records without a value and credit of weight 0 leave no row.
fn tailed(service: &Service, topic: &str) -> BTreeMap<String, Value> {
    let said = service.ok(&["tail", topic, "--from-beginning", "--until-end"]);
    let rows: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let gone: Vec<String> =
        rows.iter().filter_map(|row| row.get("value").and(row["key"].as_str()).map(str::to_owned)).collect();
    let mut table = table(topic, rows.into_iter().filter(|row| row.get("value").is_none()).collect());
    table.retain(|key, row| !gone.contains(key) && row["weight_nano"] != 0 && row["erased"] != true);
    table
}

/// The columns that both have, as the file has them: times that are not there are empty, and what depends on the order of events is left out.
fn compared(rows: BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let plain = |(name, value): (String, Value)| {
        let later = ["revision", "reason", "delta_weight_nano", "delta_value_minor", "delta_reporting_value_minor"]
            .contains(&name.as_str());
        let zero = value == 0 && (name.ends_with("_time") || name.ends_with("_ms"));
        // JSON has no maps of nothing.
        let empty = value.as_object().is_some_and(serde_json::Map::is_empty);
        (!later && !empty).then_some((name, if zero { Value::Null } else { nested(value) }))
    };
    let row = |row: Value| match row {
        Value::Object(fields) => fields.into_iter().filter_map(plain).collect(),
        other => other,
    };
    rows.into_iter().map(|(key, value)| (key, row(value))).collect()
}

fn nested(value: Value) -> Value {
    match value {
        Value::Array(items) => items.into_iter().map(nested).collect(),
        Value::Object(fields) => {
            let plain = |(name, value): (String, Value)| {
                let zero = value == 0 && (name.ends_with("_ms") || name == "time");
                (name, if zero { Value::Null } else { value })
            };
            fields.into_iter().map(plain).collect()
        }
        other => other,
    }
}

#[test]
fn the_files_hold_the_rows_of_the_topics_wherever_they_come_from() {
    let folder = tempfile::tempdir().unwrap();
    let (service, results) = prepare(folder.path());
    let at = |name: &str| folder.path().join(name).display().to_string();
    let said: Value = serde_json::from_str(&service.ok(&["export", "--out", &at("log"), "--json"])).unwrap();
    assert_eq!((&said["rows"], said["files"].as_array().unwrap().len()), (&"latest".into(), 8));
    service.ok(&["export", "--out", &at("replayed"), "--results", results.to_str().unwrap()]);
    for topic in OUTPUTS {
        let file = |of: &str| compared(table(topic, read(&folder.path().join(of).join(format!("{topic}.parquet")))));
        let (found, expected) = (file("log"), compared(tailed(&service, topic)));
        assert!(found == expected && !found.is_empty(), "{topic}: {} rows, not {}", found.len(), expected.len());
        // A replay leaves out the ids that were merged into others.
        let (replayed, mut living) = (file("replayed"), found);
        living.retain(|_, row| row.get("merged_into").is_none_or(|into| into == ""));
        assert!(replayed == living, "{topic}: a replay has {} rows, not {}", replayed.len(), living.len());
    }
}

#[test]
fn every_update_is_there_with_all() {
    let folder = tempfile::tempdir().unwrap();
    let (service, _) = prepare(folder.path());
    let out = folder.path().join("export").display().to_string();
    service.ok(&["export", "--out", &out, "--all", "--topic", "credits"]);
    let found = read(&folder.path().join("export/credits.parquet"));
    let said = service.ok(&["tail", "credits", "--from-beginning", "--until-end"]);
    assert_eq!(found.len(), said.lines().count());
    let sum = |name: &str| found.iter().map(|row| row[name].as_i64().unwrap()).sum::<i64>();
    let latest = tailed(&service, "credits");
    let weights: i64 = latest.values().map(|row| row["weight_nano"].as_i64().unwrap()).sum();
    assert_eq!(sum("delta_weight_nano"), weights);
    assert_eq!(fs::read_dir(folder.path().join("export")).unwrap().count(), 1);
}

#[test]
fn what_cannot_be_exported_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::in_folder(folder.path(), 1);
    let at = |name: &str| folder.path().join(name).display().to_string();
    let refused = |args: &[&str], code: i32, words: &str| {
        let found = service.command(&[&["export", "--out", &at("out")], args].concat());
        let said = support::command::err(&found);
        assert!(found.status.code() == Some(code) && said.contains(words), "{args:?}: {said}");
    };
    refused(&["--results", &at("nowhere")], 2, "no results of a replay are there");
    refused(&["--topic", "identity-inbox"], 2, "expected one of credits");
    fs::create_dir(folder.path().join("results")).unwrap();
    fs::write(
        folder.path().join("results/spend.ndjson"),
        "{\"spend_id\": \"1\"}\n{\"spend_id\": \"2\", \"value_minor\": \"much\"}\n",
    )
    .unwrap();
    refused(&["--results", &at("results"), "--topic", "credits"], 2, "the results have no credits.ndjson");
    refused(
        &["--results", &at("results")],
        1,
        "spend.ndjson, line 2: a row of spend: its field value_minor should be an integer of 64 bits",
    );
    assert_eq!(fs::read_dir(folder.path().join("out")).unwrap().count(), 0, "nothing is left that is not whole");
}
