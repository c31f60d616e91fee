//! Who was erased is forgotten: no file holds a byte of it, nothing else is lost, and all of it still adds up.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

#[path = "forget/person.rs"]
mod person;
mod support;

use std::thread::sleep;
use std::time::{Duration, Instant};

use person::{Person, audit, check_gone, check_stays, erase, held, holding, send, sum, verify};
use serde_json::{Value, json};
use support::command::{err, out};
use support::service::Service;
use support::{Running, tributary};

#[test]
fn nothing_of_an_erased_person_is_left_in_any_file() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::in_folder(folder.path(), 2);
    let state = folder.path().join("state");
    let (gone, stays) = (Person::drawn(1), Person::drawn(2));
    send(&service, folder.path(), &[gone.history("G"), stays.history("S")].concat());
    service.drain();
    let before = audit(&service);
    assert!(!holding(&state, &gone.secrets()).is_empty());
    let (code, report) = verify(&service, &gone.identifiers());
    assert_eq!(code, Some(1));
    for what in ["sdk", "utm", "webhook", "offline", "credits", "profiles", "dead-letters", "state", "files"] {
        assert!(held(&report, what) > 0, "{what}: {report}");
    }

    erase(&service, &gone.identifiers());
    let found = service.command(&["state", "forget"]);
    assert_eq!(found.status.code(), Some(1), "the erasure was not read yet: {}", out(&found));
    service.drain();
    assert!(service.ok(&["state", "forget"]).contains("raw data of 4 identifiers deleted; 12 records"));
    check_gone(&service, &state, &gone);
    check_stays(&service, &state, &stays, "closed_won:S");
    let after = audit(&service);
    // Nine records and the erasure.
    assert_eq!(sum(&after, "forgotten"), 10, "{after}");
    assert_eq!(sum(&after, "records") + 10, sum(&before, "records") + 1, "{after}");
    let told = service.ok(&["explain", "closed_won:G"]);
    assert!(told.contains("was ERASED") && !told.contains("1970"), "{told}");
    let told = service.ok(&["profile", &gone.identifiers()[0]]);
    assert!(told.contains("ERASED") && !told.contains("on their way"), "{told}");

    // Erased again and removed again: nothing is there, and nothing else is removed.
    erase(&service, &gone.identifiers());
    service.drain();
    service.ok(&["state", "forget"]);
    check_gone(&service, &state, &gone);
    assert_eq!(sum(&audit(&service), "forgotten"), 11);
    check_stays(&service, &state, &stays, "closed_won:S");
}

#[test]
fn a_running_service_removes_erased_data_by_itself() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::in_folder(folder.path(), 2);
    let state = folder.path().join("state");
    let (gone, stays) = (Person::drawn(3), Person::drawn(4));
    send(&service, folder.path(), &[gone.history("G"), stays.history("S")].concat());
    service.drain();
    erase(&service, &gone.identifiers());
    let running = run(&service);
    let begun = Instant::now();
    while !holding(&state, &gone.secrets()).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", holding(&state, &gone.secrets()));
        sleep(Duration::from_millis(500));
    }
    check_gone(&service, &state, &gone);
    running.terminate();
    check_gone(&service, &state, &gone);
    check_stays(&service, &state, &stays, "closed_won:S");
    audit(&service);
}

#[test]
fn a_removal_that_is_killed_starts_again_and_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::in_folder(folder.path(), 2);
    let state = folder.path().join("state");
    let people: Vec<Person> = (10..18).map(Person::drawn).collect();
    let stays = Person::drawn(20);
    for (at, person) in people.iter().enumerate() {
        send(&service, folder.path(), &person.history(&format!("G{at}")));
    }
    send(&service, folder.path(), &stays.history("S"));
    service.drain();
    let credits = |service: &Service| {
        let tail = service.ok(&["tail", "credits", "--from-beginning", "--until-end"]);
        tail.lines().filter(|line| line.contains("closed_won:S")).map(str::to_owned).collect::<Vec<_>>()
    };
    let before = credits(&service);
    for (round, person) in people.iter().enumerate() {
        erase(&service, &person.identifiers());
        service.drain();
        // Killed at moments that differ, in all that there is to be done, and begun again.
        for part in 0..3u64 {
            let mut forget = command(&service, &["state", "forget"]);
            forget.stdout(std::process::Stdio::null());
            let running = Running::start(forget);
            sleep(Duration::from_millis(8 + 9 * part + 3 * u64::try_from(round).unwrap()));
            running.kill();
        }
        service.ok(&["state", "forget"]);
        check_gone(&service, &state, person);
    }
    for person in &people {
        check_gone(&service, &state, person);
    }
    check_stays(&service, &state, &stays, "closed_won:S");
    assert_eq!(credits(&service), before);
    let report = audit(&service);
    assert_eq!(sum(&report, "forgotten"), 10 * 8, "{report}");
}

/// What comes later counts, and what comes late does not.
#[test]
fn what_happened_after_an_erasure_stays_and_what_comes_late_goes() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::in_folder(folder.path(), 2);
    let state = folder.path().join("state");
    let gone = Person::drawn(30);
    send(&service, folder.path(), &gone.history("G"));
    service.drain();
    let of = gone.identifiers();
    let args: Vec<&str> = ["erase"]
        .into_iter()
        .chain(of.iter().map(String::as_str))
        .chain(["--until", "2025-01-01T00:00:00Z", "--yes"])
        .collect();
    service.ok(&args);
    service.drain();
    service.ok(&["state", "forget"]);
    assert_eq!(holding(&state, &gone.secrets()), Vec::<String>::new());

    // Late: a record of what was before, in other letters, and one that nobody had seen.
    let late = json!({"timestamp": "2024-06-01T10:00:00+08:00", "email": gone.email.to_uppercase(), "crm_contact": "C1", "traits": {"name": gone.name}});
    let deal = json!({"kind": "milestone", "milestone": "closed_won", "object_id": "L", "timestamp": "2024-07-01T00:00:00Z", "phone": gone.phone});
    send(&service, folder.path(), &[("offline", late.to_string()), ("offline", deal.to_string())]);
    service.drain();
    assert!(!holding(&state, &gone.secrets()).is_empty());
    service.ok(&["state", "forget"]);
    assert_eq!(holding(&state, &gone.secrets()), Vec::<String>::new());
    let told = service.command(&["explain", "closed_won:L"]);
    assert!(out(&told).contains("ERASED") || err(&told).contains("no event has reported"), "{told:?}");

    // A new event: the person is known again, and the earlier erasure removes nobody.
    let later = json!({"timestamp": "2025-03-01T10:00:00+08:00", "email": gone.email, "channel": "offline_event"});
    send(&service, folder.path(), &[("offline", later.to_string())]);
    service.drain();
    service.ok(&["state", "forget", &of[0]]);
    assert!(service.ok(&["profile", &of[0]]).contains("touches"));
    assert!(service.ok(&["tail", "offline", "--from-beginning", "--until-end"]).contains(&gone.email));
    audit(&service);
    let found = service.command(&["state", "forget", "email:nobody@qq.com"]);
    assert_eq!((found.status.code(), err(&found).contains("was not erased")), (Some(2), true), "{}", err(&found));
}

#[test]
fn of_a_compacted_topic_the_latest_record_of_a_key_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::in_folder(folder.path(), 2);
    let record = |day: u32, name: &str| json!({"timestamp": format!("2024-03-{day:02}T10:00:00+08:00"), "email": "a@qq.com", "traits": {"name": name}});
    for day in 1..5 {
        send(&service, folder.path(), &[("offline", record(day, &format!("name-{day}")).to_string())]);
        service.drain();
    }
    let rows = || {
        let tail = service.ok(&["tail", "profiles", "--from-beginning", "--until-end"]);
        tail.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>()
    };
    assert_eq!(rows().len(), 4);
    service.ok(&["state", "forget"]);
    let left = rows();
    assert_eq!((left.len(), &left[0]["traits"][0]["value"]), (1, &json!("name-4")), "{left:?}");
    erase(&service, &["email:a@qq.com".to_owned()]);
    service.drain();
    service.ok(&["state", "forget"]);
    // Readers that skip tombstones get a row.
    let left = rows();
    assert_eq!((left.len(), &left[0]["erased"], left[1].get("value")), (2, &json!(true), Some(&Value::Null)), "{left:?}");
    // An offset that was given is never given again.
    send(&service, folder.path(), &[("offline", record(6, "after").to_string())]);
    service.drain();
    audit(&service);
}

/// One of four identifiers is erased, whichever holds the others together: the others stay what they were to each other.
#[test]
fn one_identifier_is_removed_and_the_others_stay() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::in_folder(folder.path(), 3);
    let state = folder.path().join("state");
    let people: Vec<Person> = (40..48).map(Person::drawn).collect();
    let of_company = |person: &Person| person.email.replace("@qq.com", "@b-corp.example");
    let mut records = Vec::new();
    for (at, Person { email, phone, openid, cookie, .. }) in people.iter().enumerate() {
        let email = email.replace("@qq.com", "@b-corp.example");
        let openid = format!("gh_acorp:{openid}");
        // Each pair in a record of its own: none of them names all.
        for (day, who) in [
            json!({"email": email, "phone": phone, "account": "001B"}),
            json!({"phone": phone, "wechat_openid": openid}),
            json!({"wechat_openid": openid, "anonymous_id": cookie}),
            json!({"anonymous_id": cookie, "email": email}),
        ]
        .iter()
        .enumerate()
        {
            let mut record = who.clone();
            record["timestamp"] = format!("2024-03-{:02}T1{at}:00:00+08:00", 1 + (day + at) % 9).into();
            record["channel"] = "offline_event".into();
            records.push(("offline", record.to_string()));
        }
    }
    send(&service, folder.path(), &records);
    service.drain();
    for (at, person) in people.iter().enumerate() {
        let mut of = person.identifiers();
        of[0] = format!("email:{}", of_company(person));
        erase(&service, &[of[at % 4].clone()]);
        service.drain();
        service.ok(&["state", "forget"]);
        let secret = person.secrets()[at % 4].clone();
        assert_eq!(holding(&state, std::slice::from_ref(&secret)), Vec::<String>::new(), "{at}");
        let (code, report) = verify(&service, &[of[at % 4].clone()]);
        assert_eq!(code, Some(0), "{report}");
        let other = service.ok(&["profile", &of[(at + 2) % 4], "--json"]);
        let other: Value = serde_json::from_str(&other).unwrap();
        // The two beside it were each seen with the one across.
        assert_eq!(other["identifiers"].as_array().unwrap().len(), 3, "{other}");
        assert_eq!(other["current"], true, "{other}");
    }
    assert!(service.ok(&["profile", "account:001B"]).contains("001B"));
    audit(&service);
}

/// The same with topics in JSON, whose dead letters hold records in base64, and with records that no decoder reads.
#[test]
fn records_in_json_and_nested_texts_are_removed_too() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::in_folder(folder.path(), 2);
    let formats = ["credits", "profiles", "accounts", "spend", "erasure_requests", "dead_letters"]
        .map(|topic| format!("worker.formats.{topic}=json"));
    service.sets.extend(formats);
    let state = folder.path().join("state");
    let (gone, stays) = (Person::drawn(50), Person::drawn(51));
    let mut records = [gone.history("G"), stays.history("S")].concat();
    let spelt: String = gone.email.chars().map(|of| format!("\\u{:04x}", u32::from(of))).collect();
    records.extend([
        // Of somebody else, and yet it names who is gone.
        ("offline", json!({"timestamp": "2024-03-05T10:00:00+08:00", "email": "clerk@qq.com", "traits": {"note": format!("called {}", gone.phone)}}).to_string()),
        ("offline", format!("{{\"timestamp\": \"yesterday\", \"email\": \"{spelt}\"}}")),
        ("utm", json!({"timestamp": "2024-03-05T10:00:00+08:00", "anonymous_id": "clerk-cookie", "url": format!("https://a.example/?utm_source=x&utm_content={}", gone.email.replace('@', "%40"))}).to_string()),
    ]);
    send(&service, folder.path(), &records);
    service.drain();
    let shouted: Vec<String> = gone
        .identifiers()
        .iter()
        .map(|of| of.strip_prefix("email:").map_or_else(|| of.clone(), |email| format!("email: {} ", email.to_uppercase())))
        .collect();
    erase(&service, &shouted);
    service.drain();
    service.ok(&["state", "forget"]);
    let there = holding(&state, &gone.secrets());
    // A trait of somebody who stays and the campaign of a touch that stays hold the same text: they are found, and the operator decides.
    let (code, report) = verify(&service, &gone.identifiers());
    assert_eq!((code, held(&report, "state") > 0), (Some(1), true), "{report}");
    for what in ["sdk", "utm", "webhook", "offline", "dead-letters", "credits", "identity-inbox", "attributor-inbox"] {
        assert_eq!(held(&report, what), 0, "{what}: {report}");
    }
    let erase_clerk = ["email:clerk@qq.com".to_owned(), "anonymous_id:clerk-cookie".to_owned()];
    assert!(!there.is_empty());
    erase(&service, &erase_clerk);
    service.drain();
    service.ok(&["state", "forget"]);
    check_gone(&service, &state, &gone);
    check_stays(&service, &state, &stays, "closed_won:S");
    audit(&service);
}

fn command(service: &Service, args: &[&str]) -> std::process::Command {
    let mut command = tributary(&service.sets);
    command.args(args);
    command
}

fn run(service: &Service) -> Running {
    Running::start(command(service, &["run"]))
}

/// HubSpot names a contact; who that is, and all that was joined with him, goes with him.
#[test]
fn nothing_is_left_of_a_person_whom_a_crm_has_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let mut service = Service::in_folder(folder.path(), 2);
    service.sets.push("worker.expand_erasures=false".into());
    let state = folder.path().join("state");
    let (gone, stays) = (Person::drawn(40), Person::drawn(41));
    let notice = |id: u32, kind: &str, at_ms: i64, more: Value| {
        let mut notice = json!({"eventId": id, "portalId": 1, "occurredAt": at_ms, "subscriptionType": kind, "objectId": 501});
        notice.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ("webhook", json!({"provider": "hubspot", "headers": {}, "body": [notice]}).to_string())
    };
    let email = json!({"propertyName": "email", "propertyValue": gone.email});
    let contact = notice(1, "contact.propertyChange", 1_712_000_000_000, email);
    send(&service, folder.path(), &[gone.history("G"), stays.history("S"), vec![contact]].concat());
    service.drain();
    send(&service, folder.path(), &[notice(2, "contact.privacyDeletion", 1_713_000_000_000, json!({}))]);
    service.drain();

    // The contact is erased, and the person written down.
    let open = |service: &Service| -> Value { serde_json::from_str(&service.ok(&["erase", "--requests", "--json"])).unwrap() };
    let requests = open(&service);
    let named = requests["requests"][0]["identifiers"].to_string();
    assert!([&gone.email, &gone.openid, &gone.cookie].iter().all(|value| named.contains(*value)), "{requests}");
    assert!(service.ok(&["erase", "--requests"]).contains("would send: the erasures of 1 requests"));
    assert!(service.ok(&["profile", "crm_contact:501"]).contains("ERASED"));
    assert!(!service.ok(&["profile", &gone.identifiers()[0]]).contains("ERASED"));

    // A service does what waits when it begins.
    service.sets.pop();
    let running = run(&service);
    let begun = Instant::now();
    while open(&service)["requests"] != json!([]) || !holding(&state, &gone.secrets()).is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(90), "{:?}", holding(&state, &gone.secrets()));
        sleep(Duration::from_millis(500));
    }
    running.terminate();
    check_gone(&service, &state, &gone);
    check_stays(&service, &state, &stays, "closed_won:S");
    audit(&service);
}
