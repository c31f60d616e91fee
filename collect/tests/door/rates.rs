//! Who sends what is of no use, or too much of it.

use serde_json::{Value, json};
use tributary_collect::Settings;

use crate::stranger::{MESSAGE, Stranger, one_address, serves};
use crate::support::{KEY, Served, basic, call, settings};

fn post(served: &Served, path: &str, body: &str) -> u16 {
    call(served.address, "POST", path, &[("authorization", &basic(KEY))], body.as_bytes()).status
}

/// The statuses of requests from this address, one after the other.
fn statuses(from: &str, served: &Served, request: &str, count: usize) -> Vec<u16> {
    let mut stranger = Stranger::from(from, served);
    let answered = (0..count).map(|_| {
        stranger.send(request);
        stranger.status()
    });
    answered.collect()
}

fn track(body: &str) -> String {
    let (key, length) = (basic(KEY), body.len());
    format!("POST /v1/batch HTTP/1.1\r\nhost: a\r\nauthorization: {key}\r\ncontent-length: {length}\r\n\r\n{body}")
}

#[test]
fn messages_that_are_of_no_use_starve_nobody() {
    let batches: [Value; 5] = [
        json!({}),
        json!(null),
        json!({"type": "track"}),
        json!({"type": "nothing", "userId": "u"}),
        json!({"type": "page", "userId": "", "context": {"page": {"url": "https://a.example/"}}}),
    ];
    for message in batches {
        let served = Served::start(&settings());
        let batch = json!({"batch": vec![&message; 1_000]}).to_string();
        let found: Vec<u16> = (0..30).map(|_| post(&served, "/v1/batch", &batch)).collect();
        assert!(found.contains(&429), "{message}: {found:?}");
        for _ in 0..100 {
            assert_eq!(post(&served, "/v1/track", MESSAGE), 200, "{message}");
        }
        let honest = json!({"batch": vec![json!({"type": "track", "userId": "u"}); 1_000]}).to_string();
        assert!((0..8).all(|_| post(&served, "/v1/batch", &honest) == 200), "{message}");
    }
}

#[test]
fn hits_that_name_nobody_starve_nobody() {
    let served = Served::start(&settings());
    let batch = json!(vec![json!({"url": "https://a.example/"}); 1_000]).to_string();
    let found: Vec<u16> = (0..30).map(|_| post(&served, "/utm", &batch)).collect();
    assert!(found.contains(&429), "{found:?}");
    assert!((0..100).all(|_| post(&served, "/utm", r#"{"anonymous_id": "a"}"#) == 200));
    serves(&served);
}

#[test]
fn bytes_count_too() {
    let served = Served::start(&Settings { rate_kb: 10, ..settings() });
    let large = json!({"userId": "u", "pad": "x".repeat(90_000)}).to_string();
    let found: Vec<u16> = (0..4).map(|_| post(&served, "/v1/track", &large)).collect();
    assert_eq!(found, [200, 200, 429, 429]);
    let unlimited = Served::start(&Settings { rate_kb: 0, ..settings() });
    assert!((0..9).all(|_| post(&unlimited, "/v1/track", &large) == 200));
}

#[test]
fn empty_requests_cost_something() {
    let served = Served::start(&Settings { rate: 1, ..settings() });
    let found: Vec<u16> = (0..30).map(|_| post(&served, "/v1/batch", r#"{"batch": []}"#)).collect();
    assert!(found.starts_with(&[200, 200]) && found.contains(&429), "{found:?}");
}

#[test]
fn one_address_does_not_use_up_what_all_have() {
    let served = Served::start(&one_address(25));
    let valid = track(&json!({"batch": vec![json!({"type": "track", "userId": "u"}); 500]}).to_string());
    let found = statuses("127.0.0.2", &served, &valid, 30);
    assert!(found.starts_with(&[200, 200, 200]) && found.ends_with(&[429]), "{found:?}");
    assert_eq!(statuses("127.0.0.3", &served, &valid, 1), [200]);
    serves(&served);
}

#[test]
fn guessing_keys_is_not_for_free() {
    let served = Served::start(&Settings { rate: 40, ..one_address(25) });
    let guess = "POST /v1/track HTTP/1.1\r\nhost: a\r\nauthorization: Basic a2V5Og==\r\ncontent-length: 0\r\n\r\n";
    let found = statuses("127.0.0.2", &served, guess, 60);
    assert!(found.starts_with(&[401]) && found.contains(&429) && !found.contains(&200), "{found:?}");
    assert_eq!(statuses("127.0.0.3", &served, guess, 1), [401], "another address is told why");
    let malformed = track("{");
    let found = statuses("127.0.0.4", &served, &malformed, 60);
    assert!(found.starts_with(&[400]) && found.contains(&429), "{found:?}");
    serves(&served);
}

#[test]
fn behind_a_proxy_the_address_is_the_one_that_it_names() {
    let behind = Settings {
        rate: 40,
        proxies: vec!["127.0.0.1".parse().unwrap(), "127.0.0.5".parse().unwrap()],
        proxy_header: "X-Forwarded-For".into(),
        ..settings()
    };
    let served = Served::start(&behind);
    let through = |proxy: &str, said: &str, count: usize| {
        let request = track(r#"{"batch": []}"#).replace("host: a\r\n", &format!("host: a\r\nx-forwarded-for: {said}\r\n"));
        statuses(proxy, &served, &request, count)
    };
    assert!(through("127.0.0.5", "192.0.2.1", 200).contains(&429));
    assert_eq!(through("127.0.0.1", "192.0.2.1", 1), [429], "the same, by another way");
    assert_eq!(through("127.0.0.5", "192.0.2.1, 192.0.2.2", 1), [200], "another one that names it");
    // One who is no proxy and names others every time is itself.
    let found: Vec<u16> =
        (0..200).flat_map(|number| through("127.0.0.6", &format!("192.0.2.{}", 3 + number % 200), 1)).collect();
    assert!(found.contains(&429), "{found:?}");
}
