//! Who sends half of much.

use tributary_collect::Settings;
use tributary_runtime::http::Limits;

use crate::stranger::{Stranger, head, honest, one_address, open, serves, wait};
use crate::support::{Served, settings};

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
    let large = format!(r#"{{"userId": "u", "pad": "{}"}}"#, "x".repeat(900_000));
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
