//! What is refused can be seen, repaired and sent again; and a partition of which most is refused
//! stands still, while everything else goes on.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::command::{err, out};
use support::service::Service;
use support::tributary;
use support::watched::{Look, Watched};

fn letters(service: &Service, args: &[&str]) -> Vec<Value> {
    let all = [&["dead-letters", "list", "--json"], args].concat();
    service.ok(&all).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A milestone of a kind that a configuration may declare.
const DEMO: &str = r#"{"kind": "milestone", "milestone": "demo", "object_id": "1", "email": "a@b.example", "timestamp": "2024-05-01T10:00:00Z"}"#;

#[test]
fn a_letter_is_sent_again_once_and_counts_when_its_cause_is_repaired() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("demo.ndjson");
    fs::write(&file, format!("{DEMO}\nnot json\n")).unwrap();
    let mut service = Service::in_folder(folder.path(), 1);
    service.ok(&["send", "--offline", file.to_str().unwrap()]);
    service.drain();
    let found = letters(&service, &["--reason", "milestone_unknown"]);
    assert_eq!((found.len(), &found[0]["fate"], &found[0]["refused"]), (1, &"open".into(), &1.into()));
    assert_eq!(letters(&service, &[]).len(), 2);
    let place = found[0]["letter"].as_str().unwrap();
    let shown: Value = serde_json::from_str(&service.ok(&["dead-letters", "show", place, "--json"])).unwrap();
    assert_eq!((&shown["reason"], &shown["topic"]), (&"milestone_unknown".into(), &"offline".into()));
    assert!(service.ok(&["dead-letters", "show", place]).contains(DEMO));

    let retry = ["dead-letters", "retry", "--reason", "milestone_unknown", "--json"];
    let counts = |text: String| -> (Value, Value) {
        let found: Value = serde_json::from_str(&text).unwrap();
        (found["records"].clone(), found["letters"].clone())
    };
    let dry = [&retry[..], &["--dry-run"]].concat();
    assert_eq!(counts(service.ok(&dry)), (1.into(), 1.into()));
    assert_eq!(letters(&service, &[]).len(), 2, "a dry run sends nothing");

    service.sets.push(r#"kinds.milestones=["demo"]"#.into());
    assert_eq!(counts(service.ok(&retry)), (1.into(), 1.into()));
    assert_eq!(counts(service.ok(&retry)), (0.into(), 0.into()), "it was sent again already");
    service.drain();
    let credits = service.ok(&["tail", "credits", "--from-beginning", "--until-end"]);
    assert!(credits.contains("\"milestone_id\":\"demo:1\""), "{credits}");
    let left: Vec<_> = letters(&service, &[]).into_iter().map(|letter| letter["reason"].clone()).collect();
    assert_eq!(left, ["json_malformed"]);
    assert_eq!(letters(&service, &["--all"]).len(), 2);
}

#[test]
fn what_is_refused_again_and_again_is_not_sent_for_ever() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.ndjson");
    fs::write(&file, "not json\n").unwrap();
    let service = Service::in_folder(folder.path(), 1);
    service.ok(&["send", "--sdk", file.to_str().unwrap()]);
    service.drain();
    let mut sent = Vec::new();
    for _ in 0..5 {
        let retried = service.command(&["dead-letters", "retry", "--json"]);
        let found: Value = serde_json::from_str(&out(&retried)).unwrap();
        sent.push((found["records"].as_u64().unwrap(), found["given_up"].as_u64().unwrap(), retried.status.code()));
        service.drain();
    }
    assert_eq!(sent, [(1, 0, Some(0)), (1, 0, Some(0)), (0, 1, Some(1)), (0, 1, Some(1)), (0, 1, Some(1))]);
}

/// What anybody could have sent stays what anybody could have sent, or a retry would be a way in; and it was received when it was.
#[test]
fn a_retry_keeps_who_could_have_sent_a_record_and_when_it_was_received() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sdk.ndjson");
    let alias = r#"{"type":"alias","messageId":"1","userId":"new","previousId":"old","timestamp":"2026-01-02T00:00:00Z","_trust":"public"}"#;
    fs::write(&file, alias).unwrap();
    let mut service = Service::in_folder(folder.path(), 1);
    // It must be refused for its content, and not for its age.
    service.sets.push("ingest.public_age_hours=100000".into());
    service.ok(&["send", "--sdk", file.to_str().unwrap()]);
    service.drain();
    let first = letters(&service, &[]);
    assert_eq!((first.len(), &first[0]["reason"]), (1, &"public_refused".into()));
    service.ok(&["dead-letters", "retry"]);
    service.drain();
    let again = letters(&service, &[]);
    assert_eq!((again.len(), &again[0]["reason"], &again[0]["refused"]), (1, &"public_refused".into(), &2.into()));
    assert_eq!((&again[0]["offset"], &again[0]["timestamp"]), (&1.into(), &first[0]["timestamp"]));
    let sent = service.ok(&["tail", "sdk", "--from-beginning", "--until-end"]);
    assert_eq!(sent, format!("{alias}\n{alias}\n"));
}

/// A service with 30 refused records in partition 0 of utm. A run of 20 stops a partition.
fn poisoned(folder: &Path) -> Service {
    let file = folder.join("bad.ndjson");
    fs::write(&file, "not json\n".repeat(30)).unwrap();
    let mut service = Service::in_folder(folder, 1);
    service.sets.push("worker.dead_letters.in_a_row=20".into());
    service.ok(&["send", "--utm", file.to_str().unwrap()]);
    service
}

fn audited(service: &Service, topic: &str) -> (u64, u64, bool) {
    let account: Value = serde_json::from_str(&service.ok(&["audit", "--json"])).unwrap();
    let records = account["records"].as_array().unwrap();
    let found = records.iter().find(|found| found["topic"] == topic).unwrap();
    let count = |what: &str| found["account"][what].as_u64().unwrap();
    (count("waiting"), count("applied"), found["balanced"].as_bool().unwrap())
}

#[test]
fn a_partition_with_mostly_refused_records_stops_and_others_continue() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = poisoned(folder.path());
    let good = folder.path().join("good.ndjson");
    let touch =
        r#"{"kind":"touch","event_id":"e1","timestamp":"2026-03-01T09:00:00Z","email":"a@b-corp.example","channel":"call"}"#;
    fs::write(&good, touch).unwrap();
    service.ok(&["send", "--offline", good.to_str().unwrap()]);
    let run = service.command(&["run", "--until-idle", "1"]);
    let text = err(&run);
    assert_eq!(run.status.code(), Some(1), "{text}");
    for part in ["utm/0", "up to offset 19", "json_malformed", "accept utm/0", "unread: the records of utm/0"] {
        assert!(text.contains(part), "{text}");
    }
    assert_eq!(letters(&service, &[]).len(), 0, "its batch was not committed");
    assert_eq!(audited(&service, "utm"), (30, 0, true), "what is left waits, and is not missing");
    assert_eq!(audited(&service, "offline"), (0, 1, true));

    let accepted: Value = serde_json::from_str(&service.ok(&["dead-letters", "accept", "utm/0", "--json"])).unwrap();
    assert_eq!(accepted, serde_json::json!({"topic": "utm", "partition": 0, "from": 0, "until": 30, "records": 30}));
    service.drain();
    assert_eq!(letters(&service, &[]).len(), 30, "nothing was passed over");
    // The records after the accepted ones are counted from zero.
    service.ok(&["send", "--utm", folder.path().join("bad.ndjson").to_str().unwrap()]);
    assert_eq!(service.command(&["run", "--until-idle", "1"]).status.code(), Some(1));
    assert_eq!(letters(&service, &[]).len(), 30);
    service.sets.push("worker.dead_letters.in_a_row=100".into());
    service.drain();
    assert_eq!(letters(&service, &[]).len(), 60, "a higher limit lets it go on, too");
}

#[test]
fn refused_records_of_a_public_key_stop_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = poisoned(folder.path());
    service.sets.push("collector.write_keys.web=a-write-key-0123".into());
    service.drain();
    assert_eq!(letters(&service, &[]).len(), 30, "nothing was passed over");
}

#[test]
fn a_running_service_continues_once_the_records_are_accepted() {
    let folder = tempfile::tempdir().unwrap();
    let service = poisoned(folder.path());
    let mut command = tributary(&service.sets);
    command.arg("run");
    let mut running = Watched::start(command, folder.path().join("log"));
    let stopped = running.wait("stopped at utm/0", |look| look.reasons.contains("utm/0 is stopped"));
    assert_eq!(stopped.ready, Some(false));
    assert_eq!(stopped.sum("tributary_stopped_partitions"), Some(1.0));
    service.ok(&["dead-letters", "accept", "utm/0"]);
    let goes_on = |look: &Look| look.ready == Some(true) && look.sum("tributary_stopped_partitions") == Some(0.0);
    running.wait("going on", |look| goes_on(look) && look.sum("tributary_dead_letters_total") == Some(30.0));
    running.terminate();
    assert_eq!(letters(&service, &[]).len(), 30);
}

/// A CRM's notices of a property each: `ten` of one record, the last with a phone that is none.
fn notices(at: u64, of: u64) -> String {
    let notice = |number: u64| {
        let (property, value) = if number == of - 1 {
            ("phone", format!("010-8888{at:04}-8001"))
        } else {
            ("email", format!("p{at}x{number}@b-corp.example"))
        };
        let id = at * of + number + 1;
        serde_json::json!({"eventId": id, "portalId": 1, "occurredAt": 1_767_225_600_000_u64 + id, "objectId": id,
            "subscriptionType": "contact.propertyChange", "propertyName": property, "propertyValue": value})
    };
    let body: Vec<Value> = (0..of).map(notice).collect();
    serde_json::json!({"provider": "hubspot", "received_at": "2026-01-20T00:10:00Z", "body": body}).to_string() + "\n"
}

#[test]
fn a_record_of_which_something_was_used_is_no_refused_record() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("webhook.ndjson");
    let lead = |at: u64| {
        let at = at + 1; // An id of noughts names no record.
        let header = serde_json::json!({"entityName": "Lead", "recordIds": [format!("00Q{at:012}AAA")], "changeType": "CREATE",
            "transactionKey": format!("t{at}"), "sequenceNumber": 1, "commitTimestamp": 1_767_225_600_000_u64 + at});
        let body = serde_json::json!({"ChangeEventHeader": header, "Company": "B", "Email": format!("p{at}@b-corp.example"),
            "Phone": format!("010-8888{at:04}-8001"), "Status": "Open - Not Contacted"});
        serde_json::json!({"provider": "salesforce", "received_at": "2026-01-20T00:10:00Z", "body": body}).to_string() + "\n"
    };
    // WeCom sends a ticket every ten minutes. It names nobody: it is decoded, and makes no event.
    let ticket = |at: u64| {
        let time = 1_767_225_600 + 600 * at;
        let xml = format!(
            "<xml><SuiteId><![CDATA[ww4]]></SuiteId><InfoType><![CDATA[suite_ticket]]></InfoType><TimeStamp>{time}</TimeStamp>\
             <SuiteTicket><![CDATA[t{at}]]></SuiteTicket></xml>"
        );
        serde_json::json!({"provider": "wecom", "received_at": "2026-01-20T00:10:00Z", "body": xml}).to_string() + "\n"
    };
    let senders: [&dyn Fn(u64) -> String; 5] =
        [&|at| notices(at, 1), &|at| notices(at, 10), &|at| notices(at, 100), &lead, &ticket];
    let text: String = senders.iter().flat_map(|sender| (0..30).map(sender)).collect();
    fs::write(&file, text).unwrap();
    let mut service = Service::in_folder(folder.path(), 1);
    service.sets.push("worker.dead_letters.in_a_row=20".into());
    service.ok(&["send", "--webhook", file.to_str().unwrap()]);
    service.drain();
    // What was left out is counted, and is no letter.
    assert_eq!(letters(&service, &[]), Vec::<Value>::new());
}
