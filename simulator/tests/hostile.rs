//! Whoever has a public write key changes nothing that trusted events say. `TRIBUTARY_HOSTILE_SEEDS` is the number of seeds (default 300).

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::collections::BTreeMap;

use tributary_simulator::hostile::{self, Remains};

#[test]
fn a_hostile_sender_changes_nothing_trusted() {
    let mut remains: BTreeMap<Remains, u64> = BTreeMap::new();
    let seeds = std::env::var("TRIBUTARY_HOSTILE_SEEDS").map_or(300, |number| number.parse().unwrap());
    for seed in 0..seeds {
        let outcome = hostile::attack(seed);
        if let Some((promise, how)) = outcome.broken.first() {
            panic!("seed {seed}: {promise:?} does not hold: {how}");
        }
        outcome.remains.into_iter().for_each(|what| *remains.entry(what).or_default() += 1);
    }
    // The attacks are ones: what can be done is done.
    assert!(remains.contains_key(&Remains::Joined), "{remains:?}");
}
