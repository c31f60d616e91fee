//! Who was erased is forgotten: no file holds a byte of it, nothing else is lost, and all of it still adds up.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::command::{err, out};
use support::service::Service;
use support::{Running, tributary};

/// Bytes of a value in a row: a compressed block holds what is new in it as it is, in pieces at most where a few bytes came before.
const WINDOW: usize = 9;

/// Somebody who is known under several identifiers.
struct Person {
    email: String,
    phone: String,
    openid: String,
    cookie: String,
    name: String,
}

impl Person {
    /// All values are drawn: no two bytes of them say anything of the others.
    fn drawn(seed: u64) -> Self {
        let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut draw = |letters: &[u8], length: usize| -> String {
            let one = |_| {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                char::from(letters[usize::try_from(state % letters.len() as u64).unwrap()])
            };
            (0..length).map(one).collect()
        };
        let (low, mixed) = (b"bcdfghjklmnpqrstvwxz", b"BCDFGHJKLMNPQRSTVWXZbcdfghjklmnpqrstvwxz23456789");
        Self {
            email: format!("{}@qq.com", draw(low, 16)),
            phone: format!("139{}", draw(b"0123456789", 8)),
            openid: format!("o{}", draw(mixed, 20)),
            cookie: draw(mixed, 22),
            name: draw(mixed, 18),
        }
    }

    fn identifiers(&self) -> [String; 4] {
        let Self { email, phone, openid, cookie, .. } = self;
        [
            format!("email:{email}"),
            format!("phone:{phone}"),
            format!("wechat_openid:gh_acorp:{openid}"),
            format!("anonymous_id:{cookie}"),
        ]
    }

    fn secrets(&self) -> Vec<String> {
        let Self { email, phone, openid, cookie, name } = self;
        vec![email.trim_end_matches("@qq.com").to_owned(), phone.clone(), openid.clone(), cookie.clone(), name.clone()]
    }

    /// What the person does, by raw topic.
    fn history(&self, deal: &str) -> Vec<(&'static str, String)> {
        let Self { email, phone, openid, cookie, name } = self;
        let loud = email.to_uppercase();
        let spaced = format!("+86 {}-{} {}", &phone[..3], &phone[3..7], &phone[7..]);
        let quoted = email.replace('@', "%40");
        let xml = format!(
            "<xml><ToUserName><![CDATA[gh_acorp]]></ToUserName><FromUserName><![CDATA[{openid}]]></FromUserName><CreateTime>1710000000\
             </CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[subscribe]]></Event>\
             <EventKey><![CDATA[qrscene_aid_{cookie}]]></EventKey></xml>"
        );
        let at = "2024-03-05T10:00:00+08:00";
        vec![
            ("utm", json!({"timestamp": "2024-03-01T10:00:00+08:00", "anonymous_id": cookie, "url": format!("https://a.example/?utm_source=baidu&utm_medium=cpc&email={quoted}")})),
            ("webhook", json!({"provider": "wechat", "received_at": "2024-03-10T00:00:01+08:00", "headers": {}, "body": xml})),
            ("webhook", json!({"provider": "native", "received_at": at, "headers": {}, "body": [
                {"timestamp": at, "wechat_openid": format!("gh_acorp:{openid}"), "phone": spaced, "channel": "live_stream"},
                {"timestamp": at, "email": "bystander@qq.com", "channel": "live_stream"},
            ]})),
            ("sdk", json!({"type": "identify", "messageId": format!("i-{deal}"), "anonymousId": cookie, "timestamp": at, "traits": {"email": loud, "name": name, "contact": {"phone": spaced}}})),
            ("sdk", json!({"type": "page", "messageId": format!("p-{deal}"), "anonymousId": cookie, "timestamp": at, "context": {"page": {"url": "https://a.example/product", "referrer": "https://www.baidu.com/"}}})),
            ("offline", json!({"timestamp": at, "phone": phone, "email": email, "channel": "offline_event", "traits": {"name": name, "note": format!("{name} asked for {phone}")}})),
            ("offline", json!({"kind": "milestone", "milestone": "closed_won", "object_id": deal, "timestamp": "2024-04-01T10:00:00+08:00", "email": email, "phone": phone, "value": "100.00", "currency": "CNY"})),
            // What is refused: a time that is none, and text that is no JSON.
            ("offline", json!({"timestamp": "yesterday", "email": email, "traits": {"name": name}})),
        ]
        .into_iter()
        .map(|(topic, record)| (topic, record.to_string()))
        .chain([("offline", format!("{{\"email\": \"{email}\", \"name\": \"{name}\", "))])
        .collect()
    }
}

fn send(service: &Service, folder: &Path, records: &[(&str, String)]) {
    let mut args = vec!["send".to_owned()];
    for topic in ["sdk", "utm", "webhook", "offline"] {
        let lines: Vec<&str> = records.iter().filter(|(of, _)| *of == topic).map(|(_, text)| text.as_str()).collect();
        if !lines.is_empty() {
            let file = folder.join(format!("{topic}.ndjson"));
            fs::write(&file, lines.join("\n") + "\n").unwrap();
            args.extend([format!("--{topic}"), file.to_str().unwrap().to_owned()]);
        }
    }
    service.ok(&args.iter().map(String::as_str).collect::<Vec<_>>());
}

fn erase(service: &Service, of: &[String]) {
    let args: Vec<&str> = ["erase"].into_iter().chain(of.iter().map(String::as_str)).chain(["--yes"]).collect();
    service.ok(&args);
}

/// The files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Which files hold any piece of these values.
fn holding(folder: &Path, secrets: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for path in files(folder) {
        // The service may delete one meanwhile.
        let Ok(bytes) = fs::read(&path) else { continue };
        let pieces: std::collections::HashSet<&[u8]> = bytes.windows(WINDOW).collect();
        for secret in secrets {
            if secret.as_bytes().windows(WINDOW).any(|piece| pieces.contains(piece)) {
                found.push(format!("{} holds {secret}", path.display()));
            }
        }
    }
    found
}

fn audit(service: &Service) -> Value {
    let found = service.command(&["audit", "--json"]);
    let report: Value = serde_json::from_str(&out(&found)).unwrap_or_else(|_| panic!("{}", err(&found)));
    assert_eq!(found.status.code(), Some(0), "{report}");
    report
}

fn sum(report: &Value, what: &str) -> u64 {
    report["records"].as_array().unwrap().iter().map(|row| row["account"][what].as_u64().unwrap()).sum()
}

fn verify(service: &Service, of: &[String]) -> (Option<i32>, Value) {
    let args: Vec<&str> = ["erase", "--verify", "--json"].into_iter().chain(of.iter().map(String::as_str)).collect();
    let found = service.command(&args);
    (found.status.code(), serde_json::from_str(&out(&found)).unwrap_or_else(|_| panic!("{}", err(&found))))
}

fn held(report: &Value, what: &str) -> u64 {
    let places = report["places"].as_array().unwrap();
    places.iter().find(|place| place["what"] == what).map_or(0, |place| place["held"].as_u64().unwrap())
}

/// All of a person was erased, and is forgotten: nothing that is there names him.
fn check_gone(service: &Service, state: &Path, of: &Person) {
    assert_eq!(holding(state, &of.secrets()), Vec::<String>::new());
    let (code, report) = verify(service, &of.identifiers());
    assert_eq!((code, report["held"].as_u64()), (Some(0), Some(0)), "{report}");
    for topic in [
        "sdk",
        "utm",
        "webhook",
        "offline",
        "profiles",
        "accounts",
        "credits",
        "dead-letters",
        "identity-inbox",
        "attributor-inbox",
    ] {
        let tail = service.ok(&["tail", topic, "--from-beginning", "--until-end"]);
        assert!(!of.secrets().iter().any(|secret| tail.contains(secret)), "{topic}: {tail}");
    }
}

/// Nothing else is lost: neither who stays, nor who stood in one record with who is gone.
fn check_stays(service: &Service, state: &Path, of: &Person, deal: &str) {
    let [email, ..] = of.identifiers();
    let profile = service.ok(&["profile", &email]);
    assert!(of.secrets().iter().all(|secret| profile.contains(secret)), "{profile}");
    assert!(service.ok(&["profile", "email:bystander@qq.com"]).contains("touches"));
    assert!(!holding(state, &of.secrets()).is_empty());
    assert!(service.ok(&["explain", deal]).contains("Credit, and why"));
}

#[test]
fn nothing_of_who_was_erased_is_left_in_any_file() {
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
    assert!(service.ok(&["state", "forget"]).contains("forgotten: 4 identifiers; 12 records"));
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

    // Erased once more, and once more forgotten: nothing is there, and nothing else goes.
    erase(&service, &gone.identifiers());
    service.drain();
    service.ok(&["state", "forget"]);
    check_gone(&service, &state, &gone);
    assert_eq!(sum(&audit(&service), "forgotten"), 11);
    check_stays(&service, &state, &stays, "closed_won:S");
}

#[test]
fn a_running_service_forgets_by_itself() {
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
fn who_is_killed_while_he_forgets_begins_again_and_loses_nothing() {
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

    // Back again: known again, and nobody is forgotten for what was before.
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
    // Who skips tombstones is told by a row.
    let left = rows();
    assert_eq!((left.len(), &left[0]["erased"], left[1].get("value")), (2, &json!(true), Some(&Value::Null)), "{left:?}");
    // An offset that was given is never given again.
    send(&service, folder.path(), &[("offline", record(6, "after").to_string())]);
    service.drain();
    audit(&service);
}

/// One of four identifiers is erased, whichever holds the others together: the others stay what they were to each other.
#[test]
fn an_identifier_alone_is_forgotten_and_the_others_stay() {
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

/// The same with topics in JSON, whose dead letters hold records in base64, and with what no decoder reads.
#[test]
fn records_in_json_and_texts_within_texts_are_forgotten_too() {
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
    // A trait of somebody who stays, and the campaign of a touch that stays, say what they say: they are found, and the operator decides.
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
fn of_a_person_whom_a_crm_has_deleted_nothing_is_left() {
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
