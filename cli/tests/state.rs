//! The state of the embedded log is looked at, checked, copied and put back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::command::err;
use support::service::Service;

fn credits(service: &Service) -> String {
    service.ok(&["tail", "credits", "--from-beginning", "--until-end"])
}

/// A service that has processed a few records.
fn worked(folder: &Path) -> Service {
    let service = Service::in_folder(folder, 2);
    let file = folder.join("events.ndjson");
    let touch = |at: u32| format!("{{\"email\": \"a{at}@b.example\", \"timestamp\": \"2024-05-0{at}T10:00:00Z\"}}\n");
    let won = "{\"kind\": \"milestone\", \"milestone\": \"closed_won\", \"object_id\": \"1\", \"email\": \"a1@b.example\", \
               \"timestamp\": \"2024-06-01T10:00:00Z\"}\n";
    fs::write(&file, (1..9).map(touch).collect::<String>() + won).unwrap();
    service.ok(&["send", "--offline", file.to_str().unwrap()]);
    service.drain();
    service
}

#[test]
fn what_was_copied_can_be_put_back() {
    let folder = tempfile::tempdir().unwrap();
    let service = worked(folder.path());
    let before = credits(&service);
    assert!(before.lines().count() >= 10);
    let info: Value = serde_json::from_str(&service.ok(&["state", "info", "--json"])).unwrap();
    assert!(info[0]["inputs"].as_str().unwrap().contains("attributor 0 behind"), "{info}");

    let backup = folder.path().join("backup");
    let backup = backup.to_str().unwrap();
    service.ok(&["state", "backup", backup]);
    assert_eq!(service.command(&["state", "backup", backup]).status.code(), Some(1), "it exists");
    let refused = service.command(&["state", "restore", backup]);
    assert!(err(&refused).contains("--replace"), "{}", err(&refused));

    fs::remove_dir_all(folder.path().join("state")).unwrap();
    let mut other = Service::in_folder(folder.path(), 3);
    let refused = other.command(&["state", "restore", backup]);
    assert!(err(&refused).contains("topics.partitions is 2 there and 3 here"), "{}", err(&refused));
    other.sets.push("kafka.brokers=localhost:1".into());
    assert!(err(&other.command(&["state", "restore", backup])).contains("embedded there and Kafka here"));

    service.ok(&["state", "restore", backup]);
    assert_eq!(credits(&service), before);
    service.ok(&["state", "restore", backup, "--replace"]);
    assert!(folder.path().join("state/log.replaced").is_dir());
    service.drain();
    assert_eq!(credits(&service), before);
}

#[test]
fn damage_is_found() {
    let folder = tempfile::tempdir().unwrap();
    let service = worked(folder.path());
    let backup = folder.path().join("backup");
    service.ok(&["state", "backup", backup.to_str().unwrap()]);
    fs::remove_dir_all(folder.path().join("state")).unwrap();
    service.ok(&["state", "restore", backup.to_str().unwrap()]);
    assert!(service.command(&["state", "verify"]).status.success());

    let tables = || fs::read_dir(folder.path().join("state/log")).unwrap().map(|entry| entry.unwrap().path());
    let table = tables()
        .filter(|file| file.extension().is_some_and(|end| end == "sst"))
        .max_by_key(|file| fs::metadata(file).unwrap().len());
    let table = table.unwrap();
    let mut bytes = fs::read(&table).unwrap();
    bytes[20] ^= 1;
    fs::write(&table, bytes).unwrap();
    let found = service.command(&["state", "verify", "--json"]);
    let text = support::command::out(&found);
    assert_eq!((found.status.code(), text.contains("checksum")), (Some(1), true), "{text}");
}
