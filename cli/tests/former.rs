//! State that a former version left opens without a word from the operator: what it knew counts as if it had been read today.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use support::service::Service;
use support::{Raw, answer, golden};
use tributary_runtime::topic::Topic;

/// Weight and value, by milestone, model, touch, channel, profile and account.
type Credit = BTreeMap<[String; 6], (i64, i64)>;

const SHOWN: [&str; 6] = ["milestone_id", "model", "touch_id", "channel", "profile_id", "account_id"];

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn credit<'r>(rows: impl Iterator<Item = &'r Value>, weight: &str, value: &str) -> Credit {
    let mut credit = Credit::new();
    for row in rows {
        let (sum_of_weights, sum_of_values) =
            credit.entry(SHOWN.map(|name| row[name].as_str().unwrap().to_owned())).or_default();
        *sum_of_weights += row[weight].as_i64().unwrap();
        *sum_of_values += row[value].as_i64().unwrap();
    }
    credit.retain(|_, sums| *sums != (0, 0));
    credit
}

/// The updates in the log, those of the former version included.
fn emitted(service: &Service) -> Credit {
    let text = service.ok(&["tail", "credits", "--from-beginning", "--until-end"]);
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    credit(rows.iter(), "delta_weight_nano", "delta_value_minor")
}

/// The updates of a pipeline that has read these records today.
fn wanted(records: &[Raw]) -> Credit {
    let rows: Vec<Value> = answer(records, 2, usize::MAX).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    credit(rows.iter().filter(|row| row.get("milestone_id").is_some()), "weight_nano", "value_minor")
}

/// A touch of the buyer before his deal, which comes late, and another deal of his account.
fn later() -> [String; 2] {
    let touch = json!({"kind": "touch", "event_id": "late", "timestamp": "2022-04-01T10:00:00+08:00", "type": "webinar",
        "channel": "events", "crm_contact": "003Z"});
    let deal = json!({"kind": "milestone", "milestone": "closed_won", "event_id": "second", "timestamp": "2022-06-01T10:00:00+08:00",
        "object_id": "006Y", "value": "1000.00", "currency": "CNY", "account": "001B", "crm_contact": "003Z"});
    [touch.to_string(), deal.to_string()]
}

#[test]
fn the_state_of_a_former_version_opens_and_continues() {
    let folder = tempfile::tempdir().unwrap();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/former/2026-11-26"), &folder.path().join("state"));
    let service = Service::in_folder(folder.path(), 2);
    service.drain();
    let mut records = golden();
    assert_eq!(emitted(&service), wanted(&records));
    service.ok(&["audit"]);

    let file = folder.path().join("later.ndjson");
    fs::write(&file, later().join("\n") + "\n").unwrap();
    service.ok(&["send", "--offline", file.to_str().unwrap()]);
    service.drain();
    records.extend(later().map(|record| (Topic::Offline, record.into_bytes())));
    let now = emitted(&service);
    assert_eq!(now, wanted(&records));
    assert!(now.keys().any(|of| of[0] == "closed_won:006Y") && now.keys().any(|of| of[2] == "late"), "{now:#?}");
    service.ok(&["audit"]);
}
