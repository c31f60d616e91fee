//! Who sends as slowly as can be.

use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tributary_runtime::topic::Topic;

use crate::stranger::{MESSAGE, Stranger, chunked, hasty_collector, head, request, serves};

const PAUSE: Duration = Duration::from_millis(20);

fn is_slow(heard: &str) {
    assert!(heard.contains("HTTP/1.1 408 ") && heard.contains("\"code\":\"slow\""), "{heard}");
}

#[test]
fn a_connection_without_a_request_is_closed() {
    let served = hasty_collector();
    let mut silent: Vec<Stranger> = (0..50).map(|_| Stranger::of(&served)).collect();
    silent.iter_mut().for_each(|stranger| assert_eq!(stranger.hear(), ""));
    serves(&served);
}

#[test]
fn a_head_that_is_sent_slowly_is_ended() {
    let served = hasty_collector();
    for first in ["", "POST /v1/track HTTP/1.1\r\n", "POST /v1/track HTTP/1.1\r\nhost: a\r\nx: "] {
        let mut stranger = Stranger::of(&served);
        stranger.send(first);
        stranger.drip(b"x", PAUSE);
        let heard = stranger.hear();
        assert!(heard.starts_with("HTTP/1.1 408 ") || heard.is_empty(), "{heard}");
    }
    serves(&served);
}

#[test]
fn a_head_of_one_byte_is_ended() {
    let served = hasty_collector();
    let mut stranger = Stranger::of(&served);
    stranger.send("P");
    assert!(stranger.hear().starts_with("HTTP/1.1 408 "));
}

#[test]
fn empty_lines_are_no_progress() {
    let served = hasty_collector();
    let mut stranger = Stranger::of(&served);
    stranger.drip(b"\r\n", PAUSE);
    stranger.hear();
    serves(&served);
}

#[test]
fn after_an_answer_too_a_head_has_its_time() {
    let served = hasty_collector();
    let mut stranger = Stranger::of(&served);
    stranger.send(request() + "POST /v1/tr");
    assert_eq!(stranger.status(), 200);
    stranger.drip(b"a", PAUSE);
    stranger.hear();
    assert_eq!(served.records(Topic::Sdk).len(), 1);
}

#[test]
fn an_idle_connection_is_ended_and_until_then_serves() {
    let served = hasty_collector();
    let mut stranger = Stranger::of(&served);
    for _ in 0..3 {
        stranger.send(request());
        assert_eq!(stranger.status(), 200);
    }
    assert_eq!(stranger.hear(), "");
    serves(&served);
}

#[test]
fn a_body_that_never_begins_is_ended() {
    let served = hasty_collector();
    let mut stranger = Stranger::of(&served);
    stranger.send(head(1_000_000, ""));
    is_slow(&stranger.hear());
    serves(&served);
}

#[test]
fn a_body_that_is_sent_slowly_is_ended() {
    let served = hasty_collector();
    let mut stranger = Stranger::of(&served);
    stranger.send(head(1_000_000, ""));
    stranger.drip(b" ", PAUSE);
    is_slow(&stranger.hear());
    assert!(served.records(Topic::Sdk).is_empty());
}

#[test]
fn a_body_of_which_most_came_at_once_is_ended_all_the_same() {
    let served = hasty_collector();
    let mut stranger = Stranger::of(&served);
    stranger.send(head(900_001, ""));
    stranger.send(vec![b' '; 900_000]);
    is_slow(&stranger.hear());
}

#[test]
fn a_body_announced_with_expect_100_that_never_comes_is_ended() {
    let served = hasty_collector();
    let mut stranger = Stranger::of(&served);
    stranger.send(head(1_000, "expect: 100-continue\r\n"));
    let heard = stranger.hear();
    assert!(heard.starts_with("HTTP/1.1 100 Continue\r\n\r\n"), "{heard}");
    is_slow(&heard);
}

#[test]
fn chunks_without_end_are_ended() {
    let served = hasty_collector();
    for chunk in [b"1\r\n \r\n".as_slice(), b"000000001\r\n \r\n", b"1;a=b\r\n \r\n"] {
        let mut stranger = Stranger::of(&served);
        stranger.send(chunked());
        stranger.drip(chunk, PAUSE);
        is_slow(&stranger.hear());
    }
    serves(&served);
}

#[test]
fn chunk_extensions_are_no_progress() {
    let served = hasty_collector();
    let mut stranger = Stranger::of(&served);
    stranger.send(chunked() + "1;");
    stranger.drip(b"extension", PAUSE);
    is_slow(&stranger.hear());
    let mut stranger = Stranger::of(&served);
    stranger.send(chunked() + "0\r\nx: ");
    stranger.drip(b"trailer", PAUSE);
    is_slow(&stranger.hear());
    serves(&served);
}

#[test]
fn a_compressed_body_that_is_sent_slowly_is_ended() {
    let served = hasty_collector();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(&vec![b' '; 900_000]).unwrap();
    let zipped = encoder.finish().unwrap();
    let mut stranger = Stranger::of(&served);
    stranger.send(head(zipped.len(), "content-encoding: gzip\r\n"));
    stranger.drip(&zipped[..1], PAUSE);
    is_slow(&stranger.hear());
}

#[test]
fn a_slow_but_steady_sender_is_served() {
    let served = hasty_collector();
    let body = format!(r#"{{"userId": "u", "pad": "{}"}}"#, "x".repeat(3_000));
    let mut stranger = Stranger::of(&served);
    stranger.send(head(body.len(), ""));
    // Four times the required pace, over more than one window.
    for piece in body.as_bytes().chunks(80) {
        assert!(stranger.send(piece));
        std::thread::sleep(PAUSE);
    }
    assert_eq!(stranger.status(), 200);
    assert_eq!(served.records(Topic::Sdk).len(), 1);
}

#[test]
fn a_client_that_never_reads_its_answers_is_ended() {
    let served = hasty_collector();
    let mut stranger = Stranger::of(&served);
    // Until no buffer takes any more: then there is nobody left to write to.
    let requests = "GET /nothing HTTP/1.1\r\nhost: a\r\n\r\n".repeat(1_000);
    while stranger.send(&requests) {}
    serves(&served);
}

#[test]
fn a_client_that_has_closed_its_sending_side_is_answered() {
    let served = hasty_collector();
    let mut stranger = Stranger::of(&served);
    stranger.send(request());
    stranger.half_close();
    assert!(stranger.hear().starts_with("HTTP/1.1 200 "));
    for part in ["", "POST /v1", &head(10, ""), &(head(MESSAGE.len() + 1, "") + MESSAGE), &(chunked() + "5\r\nab")] {
        let mut stranger = Stranger::of(&served);
        stranger.send(part);
        stranger.half_close();
        assert!(!stranger.hear().contains(" 200 "), "{part}");
    }
    assert_eq!(served.records(Topic::Sdk).len(), 1);
}
