//! Operators part and erase people by commands.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::fs;

use serde_json::Value;
use support::service::Service;

fn profile(service: &Service, identifier: &str) -> Option<Vec<String>> {
    let found = service.command(&["profile", identifier, "--json"]);
    let answer: Value = serde_json::from_str(&support::command::out(&found)).ok()?;
    let names = answer["current"]["identifiers"].as_array().or(answer["identifiers"].as_array())?;
    Some(names.iter().map(ToString::to_string).collect())
}

#[test]
fn people_are_split_and_erased() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::in_folder(folder.path(), 2);
    let file = folder.path().join("events.ndjson");
    let seen = r#"{"email": "a@b.example", "phone": "13800001111", "timestamp": "2024-05-01T10:00:00Z"}"#;
    let won = r#"{"kind": "milestone", "milestone": "closed_won", "object_id": "1", "email": "a@b.example", "timestamp": "2024-06-01T10:00:00Z"}"#;
    fs::write(&file, format!("{seen}\n{won}\n")).unwrap();
    service.ok(&["send", "--offline", file.to_str().unwrap()]);
    service.drain();
    assert_eq!(profile(&service, "email:a@b.example").unwrap().len(), 2);

    service.ok(&["unlink", "email:A@B.example", "+8613800001111"]);
    service.drain();
    assert_eq!(profile(&service, "email:a@b.example").unwrap().len(), 1);

    assert!(service.ok(&["erase", "email:a@b.example"]).contains("would send"));
    service.drain();
    let weight = |service: &Service| {
        let updates = service.ok(&["tail", "credits", "--from-beginning", "--until-end"]);
        let last: Value = serde_json::from_str(updates.lines().last().unwrap()).unwrap();
        (last["reason"].as_str().unwrap().to_owned(), last["weight_nano"].as_i64().unwrap())
    };
    assert_eq!(weight(&service), ("milestone".into(), 1_000_000_000));
    service.ok(&["erase", "email||a@b.example", "--yes"]);
    service.drain();
    assert_eq!(weight(&service), ("erased".into(), 0));
    assert_eq!(service.command(&["erase", "colour:red", "--yes"]).status.code(), Some(2));
    assert_eq!(service.command(&["unlink", "email:a@b.example", "email:a@b.example"]).status.code(), Some(2));
}

#[test]
fn a_person_is_erased_by_one_of_their_identifiers() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::in_folder(folder.path(), 2);
    let file = folder.path().join("events.ndjson");
    let seen = r#"{"email": "a@b.example", "phone": "13800001111", "timestamp": "2024-05-01T10:00:00Z"}"#;
    // What is public is not older than two days.
    let now = jiff::Timestamp::now();
    let public = format!(r#"{{"email": "a@b.example", "anonymous_id": "cookie", "timestamp": "{now}", "_trust": "public"}}"#);
    fs::write(&file, format!("{seen}\n{public}\n")).unwrap();
    service.ok(&["send", "--offline", file.to_str().unwrap()]);
    service.drain();

    let shown = service.ok(&["erase", "--person", "phone:+8613800001111"]);
    let marked: Vec<&str> = shown.lines().filter(|line| line.contains("by public events alone")).collect();
    assert!(marked.len() == 1 && marked[0].contains("anonymous_id||cookie"), "{shown}");
    assert!(shown.contains("would send: the erasure of 3 identifiers"), "{shown}");
    service.ok(&["erase", "--person", "phone:+8613800001111", "--yes"]);
    service.drain();
    for identifier in ["email:a@b.example", "phone:+8613800001111", "anonymous_id:cookie"] {
        assert_eq!(profile(&service, identifier).unwrap_or_default(), Vec::<String>::new(), "{identifier}");
    }
    assert_eq!(service.command(&["erase", "--person", "email:nobody@b.example"]).status.code(), Some(1));
}
