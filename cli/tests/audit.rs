//! Everything that came in is accounted for, and what is not is noticed.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use support::service::Service;
use tributary_runtime::embedded::{EmbeddedLog, EmbeddedOptions};
use tributary_runtime::log::{Session, Transaction};
use tributary_runtime::stage::Output;
use tributary_runtime::topic::Topic;

/// A messy history, sent twice in part, with poison and an erasure.
fn service(folder: &Path) -> Service {
    let service = Service::in_folder(folder, 2);
    let history = folder.join("history");
    let path = |name: &str| history.join(name).to_str().unwrap().to_owned();
    service.ok(&["generate", "--out", history.to_str().unwrap(), "--people", "60", "--seed", "5", "--messy", "--json"]);
    let records = fs::read_to_string(history.join("sdk.ndjson")).unwrap();
    let erased = records.lines().find_map(|line| {
        let record: Value = serde_json::from_str(line).ok()?;
        record["anonymousId"].as_str().map(str::to_owned)
    });
    let erase = format!(
        "{{\"kind\": \"erase\", \"anonymous_id\": \"{}\", \"timestamp\": \"2026-01-01T00:00:00Z\"}}\nnot json\n",
        erased.unwrap()
    );
    fs::write(history.join("more.ndjson"), erase).unwrap();
    let market = path("market.toml");
    let service = Service { config: Some(market), ..service };
    let files = ["--sdk", &path("sdk.ndjson"), "--utm", &path("utm.ndjson"), "--webhook", &path("webhook.ndjson")];
    let offline = [path("offline.ndjson"), path("more.ndjson"), path("offline.ndjson")];
    let offline = offline.iter().flat_map(|file| ["--offline", file]);
    service.ok(&["send"].into_iter().chain(files).chain(offline).collect::<Vec<_>>());
    service
}

/// Audits. The printed report and the metrics must be the same.
fn audit(service: &Service, folder: &Path) -> (Option<i32>, Value) {
    let file = folder.join("audit.prom");
    let found = service.command(&["audit", "--json", "--metrics", file.to_str().unwrap()]);
    let report = serde_json::from_str(&support::command::out(&found)).unwrap();
    let metrics = fs::read_to_string(file).unwrap();
    let mut published = BTreeMap::<&str, f64>::new();
    for line in metrics.lines() {
        if let Some((outcome, count)) = line.split_once("outcome=\"").and_then(|(_, rest)| rest.split_once("\"} ")) {
            *published.entry(outcome).or_default() += count.parse::<f64>().unwrap();
        }
    }
    for (outcome, count) in published {
        assert_eq!(count, sum(&report, outcome) as f64, "{outcome}: {metrics}");
    }
    let imbalances = report["credits"]["imbalances"].as_array().unwrap().len();
    assert!(metrics.contains(&format!("tributary_audit_credit_imbalances {imbalances}\n")), "{metrics}");
    (found.status.code(), report)
}

fn sum(report: &Value, what: &str) -> u64 {
    report["records"].as_array().unwrap().iter().map(|row| row["account"][what].as_u64().unwrap()).sum()
}

#[test]
fn all_is_accounted_for_and_what_is_lost_is_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let service = service(folder.path());
    let (code, before) = audit(&service, folder.path());
    assert_eq!((code, sum(&before, "waiting") > 1_000, sum(&before, "applied")), (Some(0), true, 0), "{before}");

    service.drain();
    let (code, report) = audit(&service, folder.path());
    assert_eq!(code, Some(0), "{report}");
    assert_eq!((sum(&report, "missing"), sum(&report, "surplus"), sum(&report, "waiting")), (0, 0, 0));
    for what in ["applied", "duplicate", "dead", "erased"] {
        assert!(sum(&report, what) > 0, "{what}: {report}");
    }
    assert_eq!(report["credits"]["imbalances"], Value::Array(Vec::new()));
    assert!(report["credits"]["updates"].as_u64().unwrap() > 100);

    lose(folder.path());
    let (code, report) = audit(&service, folder.path());
    assert_eq!(code, Some(1));
    assert_eq!((sum(&report, "missing"), sum(&report, "surplus")), (2, 1), "{report}");
    assert_eq!(report["wrong"].as_array().unwrap().len(), 3);
    let imbalances = report["credits"]["imbalances"].as_array().unwrap();
    assert!(imbalances.iter().any(|found| found["what"].as_str().unwrap().contains("comes twice")), "{report}");
}

/// Passes over two records, one of them poison, and writes a dead letter and a credit update once more.
fn lose(folder: &Path) {
    let options = EmbeddedOptions {
        path: folder.join("state/log"),
        partitions: 2,
        memory_bytes: 64 << 20,
        sync: false,
        json_dead_letters: false,
    };
    let log = EmbeddedLog::open(&options).unwrap();
    let again = |topic| {
        let read = |at| log.read(topic, at, 0, usize::MAX).unwrap().pop();
        let (_, at_ms, output) = read(0).or_else(|| read(1)).unwrap();
        (output, at_ms)
    };
    let raw = |text: &str| (Output { topic: Topic::Utm, key: Vec::new(), value: Some(text.into()) }, 1_700_000_000_000);
    let touch = r#"{"anonymous_id": "lost", "timestamp": "2023-01-01T00:00:00Z", "url": "https://a.example/"}"#;
    log.append([again(Topic::Credits), again(Topic::DeadLetters), raw(touch), raw("poison")], 0).unwrap();
    let offsets = vec![(Topic::Utm, 0, log.end(Topic::Utm, 0))];
    log.session(tributary_ingest::LOG, 0, 1).commit(Transaction { offsets, ..Transaction::default() }).unwrap();
}
