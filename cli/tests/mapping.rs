//! `tributary test-mapping`, and mappings that cannot be used.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failing test panics")]

mod support;

use std::fs;

use serde_json::Value;

use support::command::{err, out, tributary};

const MAPPING: &str = r#"
[ingest.webhook.mappings.mycrm.stage]
each = "$.data[*]"
[ingest.webhook.mappings.mycrm.stage.fields]
kind = "milestone"
timestamp = { path = "$.at", form = "unix_seconds" }
milestone = { path = "$.stage", map = { won = "closed_won" } }
object_id = "$.id"
value = "$.amount"
account = "$.account"
"#;

#[test]
fn events_and_refusals_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).display().to_string();
    fs::write(path("t.toml"), MAPPING).unwrap();
    let body = r#"{"data":[{"at":1646013960,"stage":"won","id":7,"amount":300000.50,"account":"001B"},
        {"at":1646013960,"stage":"new","id":8}, {"at":"soon","stage":"won","id":9}]}"#;
    fs::write(path("body.json"), body).unwrap();
    let arguments = ["test-mapping", &path("body.json"), "--provider", "mycrm", "--config", &path("t.toml")];
    let shown = tributary(&arguments);
    let text = out(&shown);
    assert_eq!(shown.status.code(), Some(1), "something is refused");
    assert!(text.contains("milestone=closed_won") && text.contains("timestamp_invalid"), "{text}");
    assert!(text.contains("1 events, 1 refused, 0 fields left out, 1 without an event"), "{text}");

    let json = tributary(&[&arguments[..], &["--json"]].concat());
    let report: Value = serde_json::from_str(&out(&json)).unwrap();
    assert_eq!(report["events"][0]["event"]["value"], "300000.5");
    assert_eq!(report["refused"][0]["field"], "timestamp");
}

#[test]
fn a_mapping_that_cannot_be_used_is_named_by_file_and_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("t.toml");
    let wrong = MAPPING.replace("\"$.id\"", "\"$.[id\"").replace("won = \"closed_won\"", "won = \"closed_one\"");
    fs::write(&path, wrong).unwrap();
    let refused = tributary(&["test-mapping", "none.json", "--config", &path.display().to_string()]);
    let text = err(&refused);
    assert_eq!(refused.status.code(), Some(2));
    for (line, field) in [(7, "milestone"), (8, "object_id")] {
        assert!(text.contains(&format!("t.toml:{line}: ingest.webhook.mappings.mycrm.stage.fields.{field}")), "{text}");
    }
}

#[test]
fn a_stage_without_a_rule_is_reported_with_the_setting_to_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("body.json");
    let body = r#"[{"eventId":4,"portalId":1,"occurredAt":1646013960000,"subscriptionType":"deal.propertyChange","objectId":9,
        "propertyName":"dealstage","propertyValue":"184736251"}]"#;
    fs::write(&path, body).unwrap();
    let arguments = ["test-mapping", &path.display().to_string(), "--provider", "hubspot"];
    let shown = tributary(&arguments);
    assert_eq!(shown.status.code(), Some(0), "nothing is refused");
    assert!(
        out(&shown).contains("184736251") && out(&shown).contains("ingest.webhook.hubspot.deals.stages"),
        "{}",
        out(&shown)
    );
}
