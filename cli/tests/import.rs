//! Files that are imported into a running service.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::fs;

use serde_json::Value;
use support::command::out;
use support::service::Service;

fn records(service: &Service, topic: &str) -> Vec<Value> {
    let lines = service.ok(&["tail", topic, "--from-beginning", "--until-end"]);
    lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_file_that_is_imported_twice_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::in_folder(folder.path(), 1);
    let file = folder.path().join("list.csv");
    let text = "kind,timestamp,email,source,medium,milestone,object_id,value\n\
        touch,2024-05-01 10:00,a@b-corp.example,summit,booth,,,\n\
        touch,2024-05-02 10:00,a@b-corp.example,field,meeting,,,\n\
        milestone,2024-06-01 10:00,a@b-corp.example,,,closed_won,1,300\n\
        spend,2024-05-01,,baidu,cpc,,,12.50\n";
    fs::write(&file, text).unwrap();
    let credits = |service: &Service| {
        service.drain();
        let mut rows = records(service, "credits");
        rows.retain(|row| row["model"] == "linear");
        rows.iter().map(|row| (row["channel"].to_string(), row["weight_nano"].as_i64().unwrap())).collect::<Vec<_>>()
    };
    service.ok(&["import", file.to_str().unwrap()]);
    let once = credits(&service);
    assert_eq!(once.len(), 2);
    service.ok(&["import", file.to_str().unwrap()]);
    assert_eq!(credits(&service), once);
    assert!(!folder.path().join("list.csv.imported").exists());

    let spends = records(&service, "spend");
    assert_eq!(spends.len(), 2);
    let less_revision = |row: &serde_json::Value| {
        let mut row = row.clone();
        row.as_object_mut().unwrap().remove("revision").unwrap();
        row
    };
    assert_eq!(less_revision(&spends[0]), less_revision(&spends[1]), "the same key: compaction keeps one");
    let expected = serde_json::json!({
        "spend_id": spends[0]["spend_id"], "day": "2024-05-01", "channel": "paid_search", "source": "baidu", "medium": "cpc",
        "campaign": "", "value_minor": 1250, "currency": "CNY",
    });
    assert_eq!(less_revision(&spends[0]), expected);
    let audit = service.command(&["audit", "--json"]);
    assert!(audit.status.success(), "{}", out(&audit));
}

#[test]
fn rows_that_a_spreadsheet_mangled_are_named_and_the_others_sent() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::in_folder(folder.path(), 1);
    let file = folder.path().join("list.csv");
    fs::write(&file, "时间;手机\n2024-05-01 10:00;1.38E+10\n2024-05-01 10:00;13800001111\n").unwrap();
    let mapping = folder.path().join("mapping.toml");
    fs::write(&mapping, "[columns]\n'时间' = 'timestamp'\n'手机' = 'phone'\n[constants]\ntouch_type = 'booth'\n").unwrap();
    let args = ["import", file.to_str().unwrap(), "--mapping", mapping.to_str().unwrap()];
    let dry = service.command(&[&args[..], &["--dry-run"]].concat());
    let shown = out(&dry);
    assert_eq!(dry.status.code(), Some(1));
    assert!(shown.contains("offline_event") && shown.contains("手机") && shown.contains("none sent"), "{shown}");
    assert!(!shown.contains("13800001111"), "{shown}");
    let sent = service.command(&[&args[..], &["--json"]].concat());
    assert_eq!(sent.status.code(), Some(1));
    let report: Value = serde_json::from_str(&out(&sent)).unwrap();
    assert_eq!((&report["sent"], &report["refused"], &report["problems"][0]["line"]), (&1.into(), &1.into(), &2.into()));
    assert_eq!(records(&service, "offline").len(), 1);
}
