//! Who sends half of much.

use serde_json::json;
use tributary_collect::Settings;
use tributary_runtime::http::Limits;
use tributary_runtime::topic::Topic;

use crate::stranger::{Stranger, head, honest, one_address, open, serves, wait};
use crate::support::{KEY, Served, basic, call, settings};

const HALF: usize = 500_000;

fn patient(limits: &mut Limits) {
    limits.body.window = std::time::Duration::from_secs(600);
    limits.body.bytes = 1;
}

#[test]
fn half_sent_bodies_take_half_of_the_memory_and_honest_ones_get_through() {
    let served = Served::within(&Settings { queue_mb: 2, ..settings() }, patient);
    let mut strangers: Vec<Stranger> = (0..50).map(|_| Stranger::of(&served)).collect();
    for stranger in &mut strangers {
        stranger.send(head(2 * HALF, ""));
        stranger.send(vec![b' '; HALF]);
        serves(&served);
    }
    // Two have room, of 50.
    wait("the others are sent away", || open(&mut strangers) <= 2);
    serves(&served);
}

#[test]
fn a_large_body_that_comes_at_once_takes_the_room_of_those_that_do_not_come() {
    let served = Served::within(&Settings { queue_mb: 2, rate: 0, ..settings() }, patient);
    let mut strangers: Vec<Stranger> = (0..2).map(|_| Stranger::of(&served)).collect();
    for stranger in &mut strangers {
        stranger.send(head(2 * HALF, ""));
        stranger.send(vec![b' '; HALF]);
    }
    let large = format!(r#"{}{{"userId": "u"}}"#, " ".repeat(900_000));
    wait("it is taken", || {
        let mut stranger = Stranger::of(&served);
        stranger.send(head(large.len(), "connection: close\r\n") + &large);
        stranger.hear().contains(" 200 ")
    });
}

#[test]
fn one_address_has_its_share_of_the_memory() {
    let served = Served::within(&Settings { queue_mb: 8, ..one_address(25) }, patient);
    let mut strangers: Vec<Stranger> = (0..6).map(|_| Stranger::from("127.0.0.2", &served)).collect();
    for stranger in &mut strangers {
        stranger.send(head(2 * HALF, ""));
        stranger.send(vec![b' '; HALF]);
    }
    // A quarter of 4 MiB has room for two of them.
    wait("the others are sent away", || open(&mut strangers) == 2);
    assert_eq!(honest(&served).status, 200);
}

#[test]
fn the_shared_context_of_a_batch_does_not_fill_the_memory() {
    let served = Served::start(&settings());
    for shared in ["context", "sentAt"] {
        let said = if shared == "context" { json!({"pad": "x".repeat(900_000)}) } else { json!("x".repeat(900_000)) };
        let batch = json!({"batch": vec![json!({"type": "track", "userId": "u"}); 1_000], shared: said}).to_string();
        let answer = call(served.address, "POST", "/v1/batch", &[("authorization", &basic(KEY))], batch.as_bytes());
        assert_eq!(answer.status, 413, "{shared}");
    }
    assert!(served.records(Topic::Sdk).is_empty());
    serves(&served);
}

#[test]
fn unfinished_large_heads_get_little_memory() {
    let served = Served::within(&Settings { queue_mb: 4, ..settings() }, |limits| {
        limits.head = std::time::Duration::from_secs(600);
        assert_eq!(limits.heads_bytes, 1 << 20);
    });
    let mut strangers: Vec<Stranger> = (0..100).map(|_| Stranger::of(&served)).collect();
    for stranger in &mut strangers {
        stranger.send(format!("POST /v1/track HTTP/1.1\r\nhost: a\r\nx: {}", "y".repeat(50_000)));
    }
    // 42 kB of each are counted: 25 have room.
    wait("the others are sent away", || open(&mut strangers) <= 25);
    assert!(open(&mut strangers) > 10);
    serves(&served);
}
