//! What operators do with a service on real Kafka: audit, retry, check, copy, lose and restore.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde_json::Value;
use support::command::{err, out};
use support::service::Service;

const PARTITIONS: u32 = 2;

/// A messy history with its letters, processed.
fn worked(folder: &Path, brokers: String) -> Service {
    let mut service = Service::in_folder(folder, PARTITIONS);
    service.sets.push(format!("kafka.brokers={brokers}"));
    let history = folder.join("history");
    let path = |name: &str| history.join(name).to_str().unwrap().to_owned();
    service.ok(&["generate", "--out", &path(""), "--people", "60", "--seed", "5", "--messy", "--json"]);
    service.config = Some(path("market.toml"));
    service.ok(&["topics", "create"]);
    let (sdk, utm, webhook, offline) = (path("sdk.ndjson"), path("utm.ndjson"), path("webhook.ndjson"), path("offline.ndjson"));
    service.ok(&["send", "--sdk", &sdk, "--utm", &utm, "--webhook", &webhook, "--offline", &offline]);
    drain(&service);
    service
}

fn drain(service: &Service) {
    service.ok(&["run", "--until-idle", "1"]);
}

fn balanced(service: &Service) {
    let audit = service.command(&["audit", "--json"]);
    let report = out(&audit);
    assert_eq!(audit.status.code(), Some(0), "{report} {}", err(&audit));
    assert!(report.contains("\"applied\"") && report.contains("\"imbalances\":[]"), "{report}");
}

fn positions(service: &Service) -> Vec<Value> {
    let info: Value = serde_json::from_str(&service.ok(&["state", "info", "--json"])).unwrap();
    info.as_array().unwrap().iter().map(|store| store["changelog_next"].clone()).collect()
}

fn largest_table(folder: &Path) -> PathBuf {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let tables = files.filter(|file| file.extension().is_some_and(|end| end == "sst"));
    tables.max_by_key(|file| fs::metadata(file).unwrap().len()).unwrap()
}

#[test]
fn a_service_is_audited_retried_checked_copied_and_restored() {
    let Some(brokers) = support::broker() else { return };
    let folder = tempfile::tempdir().unwrap();
    let service = worked(folder.path(), brokers);
    balanced(&service);

    let retried: Value = serde_json::from_str(&service.ok(&["dead-letters", "retry", "--json"])).unwrap();
    assert!(retried["records"].as_u64().unwrap() > 0, "{retried}");
    drain(&service);
    balanced(&service);

    let before = positions(&service);
    assert_eq!(before.len(), 2 * PARTITIONS as usize);
    assert!(service.command(&["state", "verify"]).status.success());
    let backup = folder.path().join("backup");
    let backup = backup.to_str().unwrap();
    service.ok(&["state", "backup", backup]);

    // Damage is found, and the next start restores what is damaged.
    let store = folder.path().join("state/identity/0");
    let table = largest_table(&store);
    let mut bytes = fs::read(&table).unwrap();
    bytes[20] ^= 1;
    // A new file: the backup has a hard link to the old one.
    fs::remove_file(&table).unwrap();
    fs::write(&table, bytes).unwrap();
    assert_eq!(service.command(&["state", "verify"]).status.code(), Some(1));
    drain(&service);
    assert!(folder.path().join("state/identity/0.corrupt").is_dir());
    balanced(&service);

    // A lost disk, and the backup of it.
    fs::remove_dir_all(folder.path().join("state")).unwrap();
    service.ok(&["state", "restore", backup]);
    assert_eq!(positions(&service), before);
    drain(&service);
    balanced(&service);

    // What does not fit is refused.
    fs::remove_dir_all(folder.path().join("state")).unwrap();
    let refused = |change: &dyn Fn(&mut Value), why: &str| {
        let file = Path::new(backup).join("backup.json");
        let text = fs::read(&file).unwrap();
        let mut manifest: Value = serde_json::from_slice(&text).unwrap();
        // A manifest that was changed is refused for that; one of the first version has no checksum.
        manifest["version"] = 1.into();
        manifest.as_object_mut().unwrap().retain(|key, _| key != "files" && key != "sha256");
        change(&mut manifest);
        fs::write(&file, manifest.to_string()).unwrap();
        let restored = service.command(&["state", "restore", backup]);
        assert!(!restored.status.success() && err(&restored).contains(why), "{}", err(&restored));
        fs::write(&file, text).unwrap();
    };
    refused(&|manifest| manifest["group_prefix"] = "other".into(), "kafka.group_prefix is other there");
    refused(&|manifest| manifest["stores"][0]["inputs"]["identity-inbox"] = 99_999_999.into(), "another cluster");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let long_ago = (now - Duration::from_secs(3_000 * 86_400)).as_millis() as u64;
    refused(&|manifest| manifest["stores"][1]["as_of_ms"] = long_ago.into(), "older than the tombstones");
    assert!(!folder.path().join("state").join("identity").exists());
}
