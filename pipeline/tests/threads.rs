//! A replay gives the same with each stage on a thread of its own: rows, dead letters, and updates in the same order.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use tributary_pipeline::replay::{Replay, Results};
use tributary_pipeline::settings::Settings;
use tributary_runtime::topic::Topic;

/// Touches of 900 people of 90 accounts, who join several sessions, with a deal of each account now and then, and some refused records.
fn record(number: u32) -> String {
    let (person, day) = (number % 900, 1 + number / 2_500);
    let at = format!("2024-03-{day:02}T{:02}:{:02}:00Z", number % 24, number % 60);
    let account = person % 90;
    match number % 50 {
        0 => format!(
            r#"{{"timestamp": "{at}", "kind": "milestone", "milestone": "closed_won", "object_id": "006{account}",
                "account": "001{account}", "email": "p{person}@c{account}.example", "value": "{number}.00", "currency": "CNY"}}"#
        ),
        1 => format!(r#"{{"timestamp": "{at}", "email": "#),
        2 => format!(r#"{{"timestamp": "{at}", "anonymous_id": "k{person}", "email": "p{person}@c{account}.example"}}"#),
        _ => format!(
            r#"{{"timestamp": "{at}", "anonymous_id": "k{person}", "channel": "paid_search", "campaign": "c{}"}}"#,
            number % 7
        ),
    }
}

fn replayed(in_threads: bool) -> (Results, Vec<String>) {
    let replay = Replay::new(&Settings::default(), 2).unwrap();
    let mut replay = if in_threads { replay.in_threads() } else { replay };
    let updates = Arc::new(Mutex::new(Vec::new()));
    let heard = Arc::clone(&updates);
    replay.on_update(move |update| heard.lock().unwrap().push(format!("{update:?}")));
    for number in 0..35_000 {
        replay.append(Topic::Offline, 1_800_000_000_000, record(number).as_bytes());
        replay.advance().unwrap();
    }
    let results = replay.finish().unwrap();
    let updates = std::mem::take(&mut *updates.lock().unwrap());
    (results, updates)
}

#[test]
fn a_replay_gives_the_same_with_each_stage_on_a_thread_of_its_own() {
    let ((apart, updates_apart), (alone, updates)) = (replayed(true), replayed(false));
    assert!(updates.len() > 300 && alone.dead_letters.len() == 700, "{} {}", updates.len(), alone.dead_letters.len());
    assert_eq!(alone.raw_records, apart.raw_records);
    assert_eq!(updates, updates_apart);
    same(&alone.dead_letters, &apart.dead_letters);
    same(&alone.profiles, &apart.profiles);
    same(&alone.accounts, &apart.accounts);
    same(&alone.table().rows().collect::<Vec<_>>(), &apart.table().rows().collect::<Vec<_>>());
    assert_eq!(alone.others.len(), apart.others.len());
    for (topic, table) in &alone.others {
        assert!(apart.others[topic].records().eq(table.records()), "{topic:?}");
    }
}

fn same(alone: &impl Debug, apart: &impl Debug) {
    assert_eq!(format!("{alone:?}"), format!("{apart:?}"));
}
