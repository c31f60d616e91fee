//! Who takes all places.

use std::net::TcpStream;
use std::time::Duration;

use tributary_collect::Settings;
use tributary_runtime::http::{Limits, Pace};

use crate::stranger::{MESSAGE, Stranger, hasty, head, one_address, open, request, serves, wait};
use crate::support::{Served, settings};

/// Few places, and much time: nobody goes but who has to.
fn few(limits: &mut Limits) {
    limits.connections = 8;
    limits.of_address = 8;
    limits.body = Pace { window: Duration::from_secs(600), bytes: 1 };
    limits.first_byte = Duration::from_secs(600);
    limits.head = Duration::from_secs(600);
    limits.idle = Duration::from_secs(600);
}

#[test]
fn a_further_connection_takes_the_place_of_the_idlest() {
    let served = Served::within(&settings(), few);
    let mut strangers: Vec<Stranger> = (0..8).map(|_| Stranger::of(&served)).collect();
    strangers[0].send(request());
    assert_eq!(strangers[0].status(), 200);
    for begun in ["P", "POST /v1", "POST /v1/track HTTP/1.1\r\nhost: a\r\n"] {
        strangers.rotate_left(1);
        strangers[0].send(begun);
    }
    for _ in 0..20 {
        serves(&served);
    }
    // Those that had waited longest, and each at most once: a place that is free is nobody's.
    assert!(open(&mut strangers) < 8);
}

#[test]
fn a_request_in_progress_keeps_its_connection_and_a_new_one_gets_503() {
    let served = Served::within(&settings(), few);
    let mut busy: Vec<Stranger> = (0..8).map(|_| Stranger::of(&served)).collect();
    for stranger in &mut busy {
        stranger.send(head(MESSAGE.len(), "expect: 100-continue\r\n"));
        assert_eq!(stranger.status(), 100, "it waits for the body");
        stranger.send(&MESSAGE[..3]);
    }
    let mut new = Stranger::of(&served);
    new.send("GET /nothing HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    let answer = new.hear();
    assert!(
        answer.starts_with("HTTP/1.1 503 ") && answer.contains("retry-after: 1\r\n") && answer.contains("try again later"),
        "{answer}"
    );
    for stranger in &mut busy {
        stranger.send(&MESSAGE[3..]);
        assert_eq!(stranger.status(), 200);
    }
    drop(busy);
    wait("there is room again", || {
        let mut new = Stranger::of(&served);
        new.send(request());
        new.half_close();
        new.hear().contains(" 200 ")
    });
}

#[test]
fn a_thousand_idle_connections_block_nobody() {
    let served = Served::within(&settings(), |limits| {
        few(limits);
        limits.connections = 200;
        limits.of_address = 200;
    });
    let mut strangers = Vec::new();
    for number in 0..1_000 {
        let mut stranger = Stranger::of(&served);
        if number % 3 == 1 {
            stranger.send("POST /v1/track HTTP/1.1\r\nhost");
        }
        strangers.push(stranger);
        if number % 100 == 99 {
            serves(&served);
        }
    }
    wait("only as many are open as may be", || open(&mut strangers) <= 200);
    serves(&served);
}

#[test]
fn one_address_has_its_share_and_takes_nobody_elses() {
    let settings = Settings { connections_max: 40, ..one_address(25) };
    let served = Served::within(&settings, |limits| {
        let (connections, of_address) = (limits.connections, limits.of_address);
        assert_eq!((connections, of_address), (40, 10));
        few(limits);
        (limits.connections, limits.of_address) = (connections, of_address);
    });
    let mut kept = Stranger::from("127.0.0.9", &served);
    kept.send(request());
    assert_eq!(kept.status(), 200);
    let mut strangers: Vec<Stranger> = (0..100).map(|_| Stranger::from("127.0.0.2", &served)).collect();
    serves(&served);
    wait("its share", || open(&mut strangers) == 10);
    kept.send(request());
    assert_eq!(kept.status(), 200, "it was there all the time, and idle");
}

#[test]
fn connections_of_many_addresses_block_nobody() {
    let settings = Settings { connections_max: 40, ..one_address(25) };
    let served = Served::within(&settings, |limits| limits.first_byte = Duration::from_secs(600));
    let strangers: Vec<Stranger> =
        (0..400).map(|number| Stranger::from(&format!("127.0.{}.{}", 1 + number / 200, 1 + number % 200), &served)).collect();
    for _ in 0..10 {
        serves(&served);
    }
    drop(strangers);
}

#[test]
fn slow_bodies_in_all_places_make_room() {
    let served = Served::within(&settings(), |limits| {
        few(limits);
        limits.body = Pace { window: Duration::from_secs(4), bytes: 1 };
    });
    let mut slow: Vec<Stranger> = (0..8).map(|_| Stranger::of(&served)).collect();
    for stranger in &mut slow {
        stranger.send(head(100_000, ""));
    }
    // Each sends enough to go on, and an honest sender has to wait for no more than a quarter of their time.
    wait("an honest sender is answered", || {
        slow.iter_mut().for_each(|stranger| {
            stranger.send(" ");
        });
        let mut honest = Stranger::of(&served);
        honest.send(request());
        honest.half_close();
        honest.hear().contains(" 200 ")
    });
}

#[test]
fn connections_that_are_reset_block_nobody() {
    let served = Served::within(&settings(), hasty);
    for round in 0..10 {
        for number in 0..200 {
            let mut stranger = Stranger::of(&served);
            if number % 2 == 0 {
                stranger.send("POST /v1/track HTTP/1.1\r\n");
            }
            reset(stranger.0);
        }
        serves(&served);
        assert!(round < 10);
    }
}

/// Ends a connection with a reset.
fn reset(stream: TcpStream) {
    stream.set_nonblocking(true).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().unwrap();
    runtime.block_on(async {
        let stream = tokio::net::TcpStream::from_std(stream).unwrap();
        stream.set_zero_linger().unwrap();
    });
}
