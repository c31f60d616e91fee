//! Somebody with a history in every topic, and who looks for what is left of him.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::support::command::{err, out};
use super::support::service::Service;

/// Bytes of a value in a row: a compressed block holds what is new in it as it is, in pieces at most where a few bytes came before.
pub const WINDOW: usize = 9;

/// Somebody who is known under several identifiers.
pub struct Person {
    pub email: String,
    pub phone: String,
    pub openid: String,
    pub cookie: String,
    pub name: String,
}

impl Person {
    /// All values are random: no two bytes of them are related.
    pub fn drawn(seed: u64) -> Self {
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

    pub fn identifiers(&self) -> [String; 4] {
        let Self { email, phone, openid, cookie, .. } = self;
        [
            format!("email:{email}"),
            format!("phone:{phone}"),
            format!("wechat_openid:gh_acorp:{openid}"),
            format!("anonymous_id:{cookie}"),
        ]
    }

    pub fn secrets(&self) -> Vec<String> {
        let Self { email, phone, openid, cookie, name } = self;
        vec![email.trim_end_matches("@qq.com").to_owned(), phone.clone(), openid.clone(), cookie.clone(), name.clone()]
    }

    /// What the person does, by raw topic.
    pub fn history(&self, deal: &str) -> Vec<(&'static str, String)> {
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

pub fn send(service: &Service, folder: &Path, records: &[(&str, String)]) {
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

pub fn erase(service: &Service, of: &[String]) {
    let args: Vec<&str> = ["erase"].into_iter().chain(of.iter().map(String::as_str)).chain(["--yes"]).collect();
    service.ok(&args);
}

/// The files below a folder.
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

/// Which files hold any piece of these values.
pub fn holding(folder: &Path, secrets: &[String]) -> Vec<String> {
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

pub fn audit(service: &Service) -> Value {
    let found = service.command(&["audit", "--json"]);
    let report: Value = serde_json::from_str(&out(&found)).unwrap_or_else(|_| panic!("{}", err(&found)));
    assert_eq!(found.status.code(), Some(0), "{report}");
    report
}

pub fn sum(report: &Value, what: &str) -> u64 {
    report["records"].as_array().unwrap().iter().map(|row| row["account"][what].as_u64().unwrap()).sum()
}

pub fn verify(service: &Service, of: &[String]) -> (Option<i32>, Value) {
    let args: Vec<&str> = ["erase", "--verify", "--json"].into_iter().chain(of.iter().map(String::as_str)).collect();
    let found = service.command(&args);
    (found.status.code(), serde_json::from_str(&out(&found)).unwrap_or_else(|_| panic!("{}", err(&found))))
}

pub fn held(report: &Value, what: &str) -> u64 {
    let places = report["places"].as_array().unwrap();
    places.iter().find(|place| place["what"] == what).map_or(0, |place| place["held"].as_u64().unwrap())
}

/// All of a person was erased and removed: no file names them.
pub fn check_gone(service: &Service, state: &Path, of: &Person) {
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
pub fn check_stays(service: &Service, state: &Path, of: &Person, deal: &str) {
    let [email, ..] = of.identifiers();
    let profile = service.ok(&["profile", &email]);
    assert!(of.secrets().iter().all(|secret| profile.contains(secret)), "{profile}");
    assert!(service.ok(&["profile", "email:bystander@qq.com"]).contains("touches"));
    assert!(!holding(state, &of.secrets()).is_empty());
    assert!(service.ok(&["explain", deal]).contains("Credit, and why"));
}
