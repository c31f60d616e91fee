//! Requests that are none, too large, or of another protocol.

use tributary_runtime::topic::Topic;

use crate::stranger::{MESSAGE, Stranger, chunked, hasty_collector, head, request, serves};
use crate::support::{KEY, Served, basic, settings};

fn heard(served: &Served, sent: impl AsRef<[u8]>) -> String {
    let mut stranger = Stranger::of(served);
    stranger.send(sent);
    stranger.hear()
}

#[test]
fn http_2_is_refused_with_the_versions_supported() {
    let served = Served::start(&settings());
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64\0\x04\0\0\xff\xff\0\x06\0\x01\0\0";
    let answer = heard(&served, preface);
    assert!(answer.starts_with("HTTP/1.1 505 ") && answer.contains("only HTTP/1.1 is supported"), "{answer}");
    let (first, rest) = preface.split_at(7);
    let mut stranger = Stranger::of(&served);
    stranger.send(first);
    std::thread::sleep(std::time::Duration::from_millis(50));
    stranger.send(rest);
    assert!(stranger.hear().starts_with("HTTP/1.1 505 "));
    let upgrade = format!("{}connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABk\r\n\r\n", {
        let request = request();
        request.split("\r\n\r\n").next().unwrap().to_owned() + "\r\n"
    });
    let mut stranger = Stranger::of(&served);
    stranger.send(upgrade + MESSAGE);
    assert_eq!(stranger.status(), 200, "an offer to go on with HTTP/2 is declined");
    serves(&served);
}

#[test]
fn a_head_over_the_limit_is_refused_and_one_below_it_is_not() {
    let served = Served::start(&settings());
    let with = |more: &str| {
        let mut stranger = Stranger::of(&served);
        stranger.send(head(MESSAGE.len(), &format!("connection: close\r\n{more}")) + MESSAGE);
        stranger.hear().get(..12).unwrap_or_default().to_owned()
    };
    let field = |bytes: usize| format!("x: {}\r\n", "y".repeat(bytes));
    assert_eq!(with(&field(60 << 10)), "HTTP/1.1 200");
    for more in
        [field(64 << 10), field(70 << 10), field(100 << 10), field(300 << 10), field(2_000).repeat(40), field(1).repeat(200)]
    {
        assert_eq!(with(&more), "HTTP/1.1 431", "{} bytes", more.len());
    }
    serves(&served);
}

#[test]
fn a_head_without_end_is_refused() {
    let served = Served::start(&settings());
    for endless in ["x: y\r\n".repeat(50_000), "x".repeat(300_000)] {
        let answer = heard(&served, format!("POST /v1/track HTTP/1.1\r\n{endless}"));
        assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
    }
}

#[test]
fn queries_have_a_limit() {
    let served = Served::start(&settings());
    let pixel = |bytes: usize| {
        let query = format!("writeKey={KEY}&anonymous_id=a&url={}", "x".repeat(bytes));
        let answer = heard(&served, format!("GET /utm.gif?{query} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"));
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    assert_eq!(pixel(15_000), "200");
    assert_eq!(pixel(17_000), "413");
    assert!(["414", "431", "413"].contains(&pixel(100_000).as_str()));
    assert!(["414", "431", "413"].contains(&pixel(1_000_000).as_str()));
    let many = heard(
        &served,
        format!("GET /utm.gif?writeKey={KEY}&{} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", "a=b&".repeat(100)),
    );
    assert!(many.starts_with("HTTP/1.1 413 "), "{many}");
    assert_eq!(served.records(Topic::Utm).len(), 1);
}

#[test]
fn other_methods_and_versions_are_refused() {
    let served = hasty_collector();
    let status = |line: &str| {
        let answer = heard(&served, format!("{line}\r\nhost: a\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"));
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    for method in ["GET", "PUT", "DELETE", "PATCH", "TRACE", "BREW", "post"] {
        assert_eq!(status(&format!("{method} /v1/track HTTP/1.1")), "405", "{method}");
    }
    assert_ne!(status("CONNECT a.example:443 HTTP/1.1"), "200");
    for line in
        ["POST /v1/track HTTP/3.0", "POST /v1/track", "P\u{e4}ST /v1/track HTTP/1.1", "POST  /v1/track HTTP/1.1", "\0\0\0"]
    {
        assert!(["400", ""].contains(&status(line).as_str()), "{line}");
    }
    // A client that begins with TLS.
    let answer = heard(&served, b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n");
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
    serves(&served);
}

#[test]
fn an_ambiguous_body_length_is_refused() {
    let served = hasty_collector();
    let key = basic(KEY);
    let with = |more: &str, body: &str| {
        heard(&served, format!("POST /v1/track HTTP/1.1\r\nhost: a\r\nauthorization: {key}\r\n{more}\r\n{body}"))
    };
    let stored = |served: &Served| served.records(Topic::Sdk).len();
    for lengths in [
        "content-length: 5\r\ncontent-length: 6\r\n",
        "content-length: -1\r\n",
        "content-length: 5 5\r\n",
        "content-length: 99999999999999999999\r\n",
    ] {
        assert!(with(lengths, MESSAGE).starts_with("HTTP/1.1 400"), "{lengths}");
    }
    assert!(!with("transfer-encoding: chunked, gzip\r\n", MESSAGE).contains(" 200 "));
    assert!(!with("transfer-encoding: chunked\r\n", "zz\r\n").contains(" 200 "));
    assert!(!with("transfer-encoding: chunked\r\n", "ffffffffffffffffff\r\n").contains(" 200 "));
    assert_eq!(stored(&served), 0);
    // More than was announced is another request, and none that is understood.
    let answer = heard(&served, request() + "more of it");
    assert!(answer.starts_with("HTTP/1.1 200 ") && !answer[9..].contains("HTTP/1.1 200"), "{answer}");
    assert_eq!(stored(&served), 1);
    // Both: the chunks count, and nothing behind them is taken for a second request.
    let smuggled = format!("content-length: {}\r\ntransfer-encoding: chunked\r\n", MESSAGE.len());
    let answer = with(&smuggled, &format!("0\r\n\r\n{}", request()));
    assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    serves(&served);
}

#[test]
fn chunks_with_long_extensions_are_refused() {
    let served = hasty_collector();
    let many = format!("1;{}\r\n \r\n", "e".repeat(1_000)).repeat(100);
    let answer = heard(&served, chunked() + &many);
    assert!(answer.starts_with("HTTP/1.1 400 ") || answer.starts_with("HTTP/1.1 408 "), "{answer}");
    let trailers = format!("0\r\n{}", format!("x: {}\r\n", "y".repeat(1_000)).repeat(200));
    assert!(!heard(&served, chunked() + &trailers).contains(" 200 "));
    serves(&served);
}

#[test]
fn requests_that_come_at_once_are_answered_in_turn() {
    let served = Served::start(&settings());
    let mut stranger = Stranger::of(&served);
    stranger.send(request().repeat(300));
    assert!((0..300).all(|_| stranger.status() == 200));
    assert_eq!(served.records(Topic::Sdk).len(), 300);
}

#[test]
fn a_sender_refused_while_it_sends_can_read_the_reason() {
    let served = Served::start(&settings());
    for _ in 0..20 {
        let mut stranger = Stranger::of(&served);
        stranger.send(head(8 << 20, ""));
        stranger.send(vec![b'x'; 4 << 20]);
        assert!(stranger.hear().starts_with("HTTP/1.1 413 "));
    }
}
