//! An outsider who has the write key of a page, at the collector of a running service: the golden deal keeps its credit, its value and its
//! people, whatever is sent. What remains possible is what docs/trust.md says, and is marked.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::{Raw, Running, finish, golden, send, succeed, table_text, tailed_table, tributary};

/// Longest wait for anything: a failing test ends, a slow machine passes.
const PATIENCE: Duration = Duration::from_secs(60);
/// `page-key-0123456:` in base64.
const BASIC: &str = "Basic cGFnZS1rZXktMDEyMzQ1Njo=";
const HER_ADDRESS: &str = "zhang@b-corp.example";
/// In the midst of the golden journey.
const THEN: &str = "2022-04-20T10:00:00+08:00";

/// A service that knows the golden deal. Events from pages are public, as the collector would have marked them.
fn deal(folder: &Path) -> Vec<String> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let sets = [
        &format!("state.path={}", folder.join("state").display()),
        "topics.partitions=2",
        &format!("collector.listen=127.0.0.1:{port}"),
        "collector.write_keys.web=page-key-0123456",
        // The deal is years old, and so are the attacks: what they are refused for is to be something else than their age.
        "ingest.public_age_hours=100000",
        "ingest.milestone_events.Deal Won=closed_won",
    ];
    let sets = sets.map(str::to_owned).to_vec();
    let public = |(topic, record): Raw| {
        let mut record: Value = serde_json::from_slice(&record).unwrap();
        if ["sdk", "utm"].contains(&topic.name()) {
            record["_trust"] = json!("public");
        }
        (topic, record.to_string().into_bytes())
    };
    send(&sets, &golden().into_iter().map(public).collect::<Vec<_>>());
    finish(&sets);
    sets
}

/// Posts messages to the collector of the running service, as a page does.
fn post(sets: &[String], attacks: &[(&str, Value)]) {
    let mut command = tributary(sets);
    command.args(["run", "--collect"]);
    let running = Running::start(command);
    let address = sets[2].strip_prefix("collector.listen=").unwrap();
    let until = Instant::now() + PATIENCE;
    let connect = || loop {
        match TcpStream::connect(address) {
            Ok(stream) => break stream,
            Err(error) => assert!(Instant::now() < until, "{error}"),
        }
        sleep(Duration::from_millis(20));
    };
    for (path, message) in attacks {
        let mut stream = connect();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let body = message.to_string();
        let length = body.len();
        let head = format!(
            "POST {path} HTTP/1.1\r\nhost: a\r\nauthorization: {BASIC}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n"
        );
        stream.write_all((head + &body).as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        // What is refused at the door is as good as what is refused later.
        assert!(["HTTP/1.1 200", "HTTP/1.1 400"].contains(&&answer[..12]), "{message}: {answer}");
    }
    running.terminate();
    finish(sets);
}

fn json_of(sets: &[String], args: &[&str]) -> Value {
    let mut command = tributary(sets);
    command.args(args).arg("--json");
    serde_json::from_slice(&succeed(command).stdout).unwrap()
}

/// The credit of the deal and of the stages before it.
fn credit(sets: &[String]) -> String {
    let all = table_text(&tailed_table(sets));
    all.lines().filter(|line| line.contains("006X") || line.contains("00Q1")).map(|line| line.to_owned() + "\n").collect()
}

/// What is known of her company.
fn account(sets: &[String]) -> Value {
    let found = json_of(sets, &["profile", "crm_account:001B"]);
    json!({ "account_id": found["account_id"], "traits": found["traits"] })
}

/// What is known of her, except identifiers that public events have joined to her.
fn person(sets: &[String]) -> Value {
    let found = json_of(sets, &["profile", &format!("email:{HER_ADDRESS}")]);
    json!({ "profile_id": found["profile_id"], "account_id": found["account_id"], "traits": found["traits"] })
}

fn sdk(kind: &str, rest: Value) -> Value {
    let mut message = json!({ "type": kind, "timestamp": THEN, "_trust": "trusted", "receivedAt": THEN });
    message.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    message
}

/// What an outsider sends who knows her address, the CRM's ids and how everything works.
fn attacks() -> Vec<(&'static str, Value)> {
    let named =
        |kind: &str, id: &str| json!({ "externalIds": [{ "type": kind, "id": id }], "traits": { "email": HER_ADDRESS } });
    vec![
        // Moves her to another company, by whatever way there might be.
        ("/v1/identify", sdk("identify", json!({ "anonymousId": "x1", "context": named("crm_contact", "003EVIL") }))),
        (
            "/v1/group",
            sdk("group", json!({ "userId": "x2", "groupId": "001EVIL", "traits": { "name": "Evil", "email": HER_ADDRESS } })),
        ),
        ("/v1/identify", sdk("identify", json!({ "anonymousId": "x3", "context": named("crm_account", "001EVIL") }))),
        (
            "/v1/track",
            sdk("track", json!({ "event": "Trial Requested", "anonymousId": "x4", "context": { "groupId": "001B" } })),
        ),
        // Another name for her company.
        (
            "/v1/group",
            sdk("group", json!({ "userId": "x13", "groupId": "001B", "traits": { "name": "Evil", "industry": "Crime" } })),
        ),
        // A contact of the CRM that is older than hers.
        (
            "/v1/identify",
            json!({ "type": "identify", "timestamp": "2016-01-01T00:00:00Z", "anonymousId": "x5", "context": named("crm_contact", "003OLD") }),
        ),
        // Traits and names.
        (
            "/v1/identify",
            sdk(
                "identify",
                json!({ "userId": "x6", "traits": { "email": HER_ADDRESS, "name": "Mallory", "company": "Evil" } }),
            ),
        ),
        // Milestones: the deal for one yuan, and one that never was.
        (
            "/v1/track",
            sdk(
                "track",
                json!({ "event": "Deal Won", "userId": "x7", "properties": { "object_id": "006X", "value": 1, "currency": "CNY" } }),
            ),
        ),
        (
            "/v1/track",
            json!({
                "type": "track", "event": "Deal Won", "timestamp": "2022-03-01T00:00:00Z", "userId": "x8",
                "properties": { "object_id": "006X", "value": 9e9, "currency": "USD" },
            }),
        ),
        // Words that only servers have.
        ("/v1/alias", sdk("alias", json!({ "userId": "x9", "previousId": "cookie-7f3a" }))),
        (
            "/utm",
            json!({ "kind": "erase", "timestamp": THEN, "email": HER_ADDRESS, "url": "https://a.example/", "anonymous_id": "x10" }),
        ),
        (
            "/utm",
            json!({ "kind": "unlink", "timestamp": THEN, "email": HER_ADDRESS, "anonymous_id": "cookie-7f3a", "url": "https://a.example/" }),
        ),
        (
            "/utm",
            json!({ "timestamp": THEN, "anonymous_id": "x11", "crm_contact": "003Z", "account": "001B", "url": "https://a.example/", "_trust": "trusted" }),
        ),
        // The id of a touch that is hers, with another content.
        (
            "/utm",
            json!({ "event_id": "A", "timestamp": THEN, "anonymous_id": "x12", "url": "https://a.example/?utm_source=evil" }),
        ),
    ]
}

/// What takes many messages.
fn attacks_of_many() -> Vec<(&'static str, Value)> {
    let mut attacks = Vec::new();
    // Four user ids with her address, so that it looks like everybody's.
    attacks.extend((0..4).map(|number| {
        let traits = json!({ "email": HER_ADDRESS, "phone": "+8613800001111" });
        ("/v1/identify", sdk("identify", json!({ "userId": format!("evil-{number}"), "traits": traits })))
    }));
    // Cookies in a chain that begins at hers.
    let chain = (0..600).map(|number| {
        let before = if number == 0 { "cookie-7f3a".to_owned() } else { format!("chain-{}", number - 1) };
        let context = json!({ "externalIds": [{ "type": "anonymous_id", "id": before }] });
        sdk("identify", json!({ "anonymousId": format!("chain-{number}"), "context": context }))
    });
    attacks.push(("/v1/batch", json!({ "batch": chain.collect::<Vec<_>>() })));
    attacks
}

#[test]
fn the_deal_keeps_its_credit_its_value_and_its_people() {
    let folder = tempfile::tempdir().unwrap();
    let sets = deal(folder.path());
    let (credit_before, person_before, account_before) = (credit(&sets), person(&sets), account(&sets));
    assert_eq!(credit_before.lines().filter(|line| line.contains("\"linear\"") && line.contains("closed_won")).count(), 7);
    post(&sets, &[attacks(), attacks_of_many()].concat());
    assert_eq!(credit(&sets), credit_before);
    let mut after = person(&sets);
    // A trait that no trusted event gives may come from anybody.
    after["traits"].as_array_mut().unwrap().retain(|given| given["name"] != "company");
    assert_eq!(after, person_before);
    assert_eq!(account(&sets), account_before);
}

#[test]
fn a_touch_in_her_name_counts_is_marked_and_ends_in_no_report_of_public_evidence() {
    let folder = tempfile::tempdir().unwrap();
    let sets = deal(folder.path());
    let before = credit(&sets);
    let track = sdk(
        "track",
        json!({ "event": "Trial Requested", "userId": "x1", "traits": {}, "context": { "traits": { "email": HER_ADDRESS } } }),
    );
    post(&sets, &[("/v1/track", track)]);
    assert_ne!(credit(&sets), before, "docs/trust.md says that this remains possible");
    let explained = json_of(&sets, &["explain", "closed_won:006X"]);
    let touches = explained["touches"].as_array().unwrap();
    let public = |touch: &&Value| touch["public"] == true;
    assert!(touches.iter().any(|touch| public(&touch)) && !touches.iter().all(|touch| public(&touch)));
    assert_eq!(json_of(&sets, &["report", "public-evidence"]), json!([]));
}

#[test]
fn a_touch_before_all_others_is_too_old_and_one_just_before_the_close_is_marked() {
    let folder = tempfile::tempdir().unwrap();
    let sets = deal(folder.path());
    let before = credit(&sets);
    let touch = |id: &str, time: &str| {
        let mut track = sdk("track", json!({ "event": "Trial Requested", "messageId": id, "userId": "x1" }));
        track["context"] = json!({ "traits": { "email": HER_ADDRESS } });
        track["timestamp"] = json!(time);
        ("/v1/track", track)
    };
    let mut aged = sets.clone();
    aged.retain(|set| !set.starts_with("ingest.public_age_hours"));
    post(&aged, &[touch("first", "2022-02-01T00:00:00Z"), touch("last", "2022-04-28T15:59:59+08:00")]);
    assert_eq!(credit(&sets), before, "both lie years before they came");
    post(&sets, &[touch("late", "2022-04-28T15:59:59+08:00")]);
    let explained = json_of(&sets, &["explain", "closed_won:006X"]);
    let last = explained["touches"].as_array().unwrap().iter().rfind(|touch| touch["standing"] == "in_journey").unwrap();
    assert_eq!((&last["touch_id"], &last["public"]), (&json!("late"), &json!(true)), "{last}");
}

#[test]
fn a_deal_with_only_public_touches_is_reported() {
    let folder = tempfile::tempdir().unwrap();
    let sets = deal(folder.path());
    let track = json!({ "type": "track", "event": "Trial Requested", "timestamp": THEN, "userId": "u-1" });
    post(&sets, &[("/v1/track", track)]);
    let won = json!({
        "kind": "milestone", "milestone": "closed_won", "object_id": "9", "timestamp": "2022-04-21T10:00:00+08:00", "user_id": "u-1",
        "value": "10.00", "currency": "CNY",
    });
    send(&sets, &[(tributary_runtime::topic::Topic::Offline, won.to_string().into_bytes())]);
    finish(&sets);
    let found = json_of(&sets, &["report", "public-evidence", "--kind", "CLOSED_WON"]);
    let rows = found.as_array().unwrap();
    assert_eq!((rows.len(), &rows[0]["milestone_id"], &rows[0]["touches"]), (1, &json!("closed_won:9"), &json!(1)), "{found}");
    assert_eq!((&rows[0]["value_minor"], &rows[0]["channels"]), (&json!(1_000), &json!(["direct"])));
}
