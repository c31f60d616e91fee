//! The collector over HTTP: what it takes, what it refuses, and what the log holds afterwards.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "helpers of tests")]

mod support;

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use support::{Answer, KEY, Served, answer, basic, call, records, serve, settings, wait_ready};
use tributary_collect::Settings;
use tributary_collect::log::{KafkaLog, Log};
use tributary_collect::settings::Format;
use tributary_collect::settings::WebhookSettings;
use tributary_runtime::config::Secret;
use tributary_runtime::config::kafka::KafkaSettings;
use tributary_runtime::config::settings::TopicsSettings;
use tributary_runtime::kafka::Reach;
use tributary_runtime::topic::Topic;

fn post(served: &Served, path: &str, body: &Value) -> Answer {
    call(served.address, "POST", path, &[("authorization", &basic(KEY))], body.to_string().as_bytes())
}

#[test]
fn every_call_of_the_specification_is_stored_before_it_is_answered() {
    let served = Served::start(&settings());
    for kind in ["track", "identify", "page", "screen", "group", "alias"] {
        let answer = post(&served, &format!("/v1/{kind}"), &json!({"userId": "u", "messageId": kind}));
        assert_eq!((answer.status, answer.json()), (200, json!({"success": true})));
    }
    let batch =
        json!({"batch": [{"type": "track", "messageId": "a"}, {"type": "page", "messageId": "b"}], "writeKey": "ignored"});
    assert_eq!(post(&served, "/v1/batch", &batch).status, 200);
    assert_eq!(post(&served, "/v1/import", &json!({"batch": []})).status, 200);
    let mut found: Vec<(String, String)> = served
        .records(Topic::Sdk)
        .iter()
        .map(|record| (record["type"].as_str().unwrap().to_owned(), record["messageId"].as_str().unwrap().to_owned()))
        .collect();
    found.sort();
    let named = |kind: &str, id: &str| (kind.to_owned(), id.to_owned());
    let expected = ["alias", "group", "identify", "page", "screen", "track"].map(|kind| named(kind, kind));
    let mut expected: Vec<_> = expected.into_iter().chain([named("track", "a"), named("page", "b")]).collect();
    expected.sort();
    assert_eq!(found, expected);
    assert_eq!(post(&served, "/v1/tracks", &json!({})).status, 404);
    assert_eq!(call(served.address, "GET", "/v1/track", &[], b"").status, 405);
}

#[test]
fn nobody_sends_without_a_write_key() {
    let served = Served::start(&settings());
    let body = br#"{"userId": "u", "writeKey": "another-key"}"#;
    let refused = call(served.address, "POST", "/v1/track", &[], body);
    assert_eq!((refused.status, refused.json()["code"].as_str()), (401, Some("unauthorised")));
    assert!(refused.header("www-authenticate").is_some() && !String::from_utf8_lossy(&refused.body).contains("another"));
    // A wrong key in the head is refused though the one in the body is right.
    let right = format!(r#"{{"userId": "u", "writeKey": "{KEY}"}}"#);
    let wrong = basic("another-key");
    assert_eq!(call(served.address, "POST", "/v1/track", &[("authorization", &wrong)], right.as_bytes()).status, 401);
    assert_eq!(call(served.address, "POST", "/utm", &[], br#"{"anonymous_id": "a"}"#).status, 401);
    assert_eq!(call(served.address, "GET", "/utm.gif?anonymous_id=a", &[], b"").status, 401);
    assert!(served.records(Topic::Sdk).is_empty() && served.records(Topic::Utm).is_empty());
    // In the body alone, as a page's script sends it.
    assert_eq!(call(served.address, "POST", "/v1/t", &[], right.as_bytes()).status, 200);
    let stored = served.records(Topic::Sdk);
    assert_eq!((stored.len(), &stored[0]["type"], stored[0].get("writeKey")), (1, &json!("track"), None));
}

#[test]
fn landing_hits_come_as_json_and_as_a_pixel() {
    let served = Served::start(&settings());
    let hit = json!({"anonymous_id": "a", "url": "https://a.example/?utm_source=x", "referrer": "https://www.baidu.com/"});
    assert_eq!(post(&served, "/utm", &hit).status, 200);
    assert_eq!(post(&served, "/utm", &json!({"kind": "erase", "anonymous_id": "a"})).status, 400);
    let path = format!("/utm.gif?writeKey={KEY}&anonymous_id=b&referrer=https%3A%2F%2Fwww.so.com%2F");
    let pixel = call(served.address, "GET", &path, &[("referer", "https://a.example/?utm_source=y")], b"");
    assert_eq!((pixel.status, pixel.header("content-type")), (200, Some("image/gif")));
    assert!(pixel.body.starts_with(b"GIF89a") && pixel.header("cache-control") == Some("no-store"));
    let mut hits = served.records(Topic::Utm);
    hits.sort_by_key(|hit| hit["anonymous_id"].to_string());
    let urls: Vec<_> = hits.iter().map(|hit| (hit["url"].as_str().unwrap(), hit["referrer"].as_str().unwrap())).collect();
    assert_eq!(
        urls,
        [
            ("https://a.example/?utm_source=x", "https://www.baidu.com/"),
            ("https://a.example/?utm_source=y", "https://www.so.com/"),
        ]
    );
    assert!(hits.iter().all(|hit| hit["kind"] == "touch" && hit["timestamp"] == hit["received_at"]));
}

#[test]
fn limits() {
    let limited = Settings { body_bytes_max: 2_000, batch_max: 3, ..settings() };
    let served = Served::start(&limited);
    assert_eq!(post(&served, "/v1/track", &json!({"x": "y".repeat(2_000)})).status, 413);
    assert_eq!(post(&served, "/v1/batch", &json!({"batch": [{}, {}, {}, {}]})).status, 413);
    let deep = format!("{{\"x\":{}1{}}}", "[".repeat(40), "]".repeat(40));
    let headers = [("authorization", basic(KEY))];
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
    assert_eq!(call(served.address, "POST", "/v1/track", &headers, deep.as_bytes()).status, 400);
    assert_eq!(call(served.address, "POST", "/v1/track", &headers, b"{").status, 400);
    let brotli = [&headers[..], &[("content-encoding", "br")]].concat();
    assert_eq!(call(served.address, "POST", "/v1/track", &brotli, b"\x0b\x02").status, 415);
    let long = format!("/utm.gif?writeKey={KEY}&url={}", "x".repeat(20 << 10));
    assert_eq!(call(served.address, "GET", &long, &[], b"").status, 413);
    assert!(served.records(Topic::Sdk).is_empty());
}

#[test]
fn a_message_that_no_decoder_takes_is_refused_and_named() {
    let served = Served::start(&Settings { body_bytes_max: 1 << 20, ..settings() });
    let message = |bytes: usize| json!({"type": "track", "event": "E", "userId": "u", "properties": {"x": "y".repeat(bytes)}});
    let batch = json!({"batch": [message(1), message(300 << 10), message(1)]});
    let refused = post(&served, "/v1/batch", &batch);
    let told = String::from_utf8_lossy(&refused.body).into_owned();
    assert_eq!(refused.status, 413, "{told}");
    assert!(told.contains("index 1") && told.contains("message_too_large"), "{told}");
    let hit = json!([{"anonymous_id": "a"}, {"anonymous_id": "a", "content": "y".repeat(300 << 10)}]);
    assert_eq!(post(&served, "/utm", &hit).status, 413);
    assert!(served.records(Topic::Sdk).is_empty() && served.records(Topic::Utm).is_empty());
    assert_eq!(post(&served, "/v1/batch", &json!({"batch": [message(200 << 10)]})).status, 200);
}

#[test]
fn a_trailing_slash_is_ignored_and_the_user_agent_is_taken_from_the_request() {
    let served = Served::start(&settings());
    let authorization = basic(KEY);
    let headers = [("authorization", authorization.as_str()), ("user-agent", "curl/8.0")];
    let hit = br#"{"anonymousId": "a", "anonymous_id": "a"}"#;
    for path in ["/v1/page/", "/v1/page", "/utm/"] {
        assert_eq!(call(served.address, "POST", path, &headers, hit).status, 200, "{path}");
    }
    let pixel = format!("/utm.gif/?writeKey={KEY}&anonymous_id=b");
    assert_eq!(call(served.address, "GET", &pixel, &headers, b"").status, 200);
    let agents: Vec<_> = served.records(Topic::Sdk).iter().map(|page| page["context"]["userAgent"].clone()).collect();
    assert_eq!(agents, ["curl/8.0", "curl/8.0"]);
    let agents: Vec<_> = served.records(Topic::Utm).iter().map(|hit| hit["user_agent"].clone()).collect();
    assert_eq!(agents, ["curl/8.0", "curl/8.0"]);
}

#[test]
fn a_sender_that_sends_too_much_has_to_wait() {
    let served = Served::start(&Settings { rate: 1, ..settings() });
    let batch = json!({"batch": vec![json!({"type": "track"}); 20]});
    assert_eq!(post(&served, "/v1/batch", &batch).status, 200);
    let refused = post(&served, "/v1/batch", &batch);
    assert_eq!((refused.status, refused.json()["code"].as_str()), (429, Some("rate_limited")));
    let seconds: u64 = refused.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=11).contains(&seconds), "{seconds}");
    assert_eq!(served.records(Topic::Sdk).len(), 20);
}

#[test]
fn browsers_of_named_origins_may_send() {
    let served = Served::start(&Settings { cors_origins: vec!["https://www.a.example".into()], ..settings() });
    let ask = |origin: &str| {
        let headers = [("origin", origin), ("access-control-request-method", "POST")];
        call(served.address, "OPTIONS", "/v1/t", &headers, b"")
    };
    assert_eq!(ask("https://www.a.example").header("access-control-allow-origin"), Some("https://www.a.example"));
    assert_eq!(ask("https://b.example").header("access-control-allow-origin"), None);
    let silent = Served::start(&settings());
    let answer = call(silent.address, "POST", "/v1/t", &[("origin", "https://www.a.example")], b"{}");
    assert_eq!(answer.header("access-control-allow-origin"), None);
}

fn hubspot() -> Settings {
    let webhook = WebhookSettings {
        signature: Some(Format::Hubspot),
        secrets: vec![Secret::new("next secret"), Secret::new("client secret")],
        public_url: "https://hooks.a.example".into(),
        ..WebhookSettings::default()
    };
    Settings { webhooks: [("hubspot".to_owned(), webhook)].into(), ..settings() }
}

fn signed(secret: &str, path: &str, body: &str, age_ms: u128) -> [(&'static str, String); 2] {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_millis();
    let time = (now - age_ms).to_string();
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("POSThttps://hooks.a.example{path}{body}{time}").as_bytes());
    let signature = base64::engine::general_purpose::STANDARD.encode(mac.finalize().into_bytes());
    [("x-hubspot-signature-v3", signature), ("x-hubspot-request-timestamp", time)]
}

#[test]
fn pushes_are_checked_wrapped_and_taken_once() {
    let served = Served::start(&hubspot());
    let (path, body) = ("/webhooks/hubspot?x=1", r#"[{"eventId": 1}]"#);
    let push = |path: &str, headers: &[(&'static str, String); 2]| {
        let headers: Vec<(&str, &str)> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        call(served.address, "POST", path, &headers, body.as_bytes())
    };
    let genuine = signed("client secret", path, body, 0);
    assert_eq!(push(path, &genuine).status, 200);
    let again = push(path, &genuine);
    assert_eq!((again.status, again.json()["code"].as_str()), (409, Some("replayed")));
    assert_eq!(push(path, &signed("next secret", path, body, 0)).status, 200);
    assert_eq!(push(path, &signed("other secret", path, body, 0)).json()["code"], "signature_wrong");
    assert_eq!(push(path, &signed("client secret", path, body, 301_000)).json()["code"], "signature_old");
    assert_eq!(push("/webhooks/another", &genuine).status, 404);
    let records = served.records(Topic::Webhook);
    assert_eq!(records.len(), 2);
    assert!(records.iter().all(|record| record["provider"] == "hubspot" && record["body"] == json!([{"eventId": 1}])));
    assert!(records.iter().all(|record| record["received_at"].is_string() && record["headers"] == json!({})));
}

/// Into a Kafka that is not there.
fn away(settings: &Settings) -> Log {
    let kafka = KafkaSettings { brokers: "127.0.0.1:1".into(), ..KafkaSettings::default() };
    Log::kafka(KafkaLog::open(&kafka, &TopicsSettings::default(), settings, Reach::unwatched()).unwrap(), settings)
}

#[test]
fn while_the_log_is_unavailable_senders_get_503() {
    let settings = Settings { ack_ms: 300, ..hubspot() };
    let (address, service) = serve(&settings, away(&settings));
    wait_ready(&service.health(), false);
    let refused = call(address, "POST", "/v1/track", &[("authorization", &basic(KEY))], b"{\"userId\":\"u\"}");
    assert_eq!((refused.status, refused.json()["code"].as_str()), (503, Some("log_away")));
    assert_eq!(refused.header("retry-after"), Some("1"));
    // A push that was not stored is not taken for a replay.
    let signed = signed("client secret", "/webhooks/hubspot", "{}", 0);
    let headers: Vec<(&str, &str)> = signed.iter().map(|(name, value)| (*name, value.as_str())).collect();
    for _ in 0..2 {
        assert_eq!(call(address, "POST", "/webhooks/hubspot", &headers, b"{}").status, 503);
    }
    service.stop().unwrap();
}

#[test]
fn a_stop_finishes_what_has_begun() {
    let served = Served::start(&settings());
    let body = br#"{"userId": "u", "messageId": "m"}"#;
    let mut stream = TcpStream::connect(served.address).unwrap();
    let key = basic(KEY);
    let head = format!("POST /v1/track HTTP/1.1\r\nhost: a\r\nauthorization: {key}\r\ncontent-length: {}\r\n\r\n", body.len());
    stream.write_all(head.as_bytes()).unwrap();
    let (first, rest) = body.split_at(10);
    stream.write_all(first).unwrap();
    let address = served.address;
    thread::sleep(Duration::from_millis(100));
    let stopping = thread::spawn(move || served.stop());
    while TcpStream::connect(address).is_ok() {
        thread::sleep(Duration::from_millis(20));
    }
    stream.write_all(rest).unwrap();
    let answered = answer(stream);
    assert_eq!(answered.status, 200);
    let (log, _folder) = stopping.join().unwrap();
    assert_eq!(records(&log, Topic::Sdk).len(), 1);
}
