//! Tests of compaction, retention and deletion against the expected content.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tributary_proto::{DeadLetter, Identifier, Message, Profile};

use super::*;
use crate::log::{Session, Transaction};
use crate::stage::Erasure;

const INGEST: StageLog = StageLog { stage: "ingest", inputs: &[Topic::Offline], changelog: None };
const IDENTITY: StageLog = StageLog { stage: "identity", inputs: &[Topic::IdentityInbox], changelog: None };

fn open(path: &Path) -> EmbeddedLog {
    let path = path.to_owned();
    EmbeddedLog::open(&EmbeddedOptions { path, partitions: 1, memory_bytes: 8 << 20, sync: false, json_dead_letters: false })
        .unwrap()
}

fn record(topic: Topic, key: &str, value: Option<&[u8]>) -> Output {
    Output { topic, key: key.into(), value: value.map(<[u8]>::to_vec) }
}

fn left(log: &EmbeddedLog, topic: Topic) -> Vec<(u64, Output)> {
    log.read(topic, 0, 0, usize::MAX).unwrap().into_iter().map(|(offset, _, output)| (offset, output)).collect()
}

/// Finds identifiers in the text of a value.
struct In(Vec<Sought>);

impl Recognise for In {
    fn look_for(&mut self, sought: &[Sought]) {
        self.0 = sought.to_vec();
    }

    fn names(&mut self, _: Topic, _: i64, value: &[u8]) -> bool {
        self.mentions(value)
    }

    fn mentions(&self, text: &[u8]) -> bool {
        let text = String::from_utf8_lossy(text);
        self.0.iter().any(|sought| text.contains(&*sought.erasure.of.value))
    }
}

#[derive(Debug, Clone)]
enum Act {
    Write { key: u8, value: Option<u8> },
    Compact { max: usize },
    DropTombstones,
    Reopen,
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        6 => (0u8..5, prop::option::weighted(0.8, 0u8..255)).prop_map(|(key, value)| Act::Write { key, value }),
        3 => (1usize..6).prop_map(|max| Act::Compact { max }),
        1 => Just(Act::DropTombstones),
        1 => Just(Act::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// With any compactions and restarts: in the end only the latest record of each key is left, at its offset.
    #[test]
    fn of_every_key_the_latest_record_is_left(acts in prop::collection::vec(act(), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        let mut log = open(folder.path());
        let (mut latest, mut end) = (BTreeMap::new(), 0u64);
        for act in acts {
            match act {
                Act::Write { key, value } => {
                    let written = record(Topic::Spend, &key.to_string(), value.as_ref().map(std::slice::from_ref));
                    log.append([(written.clone(), 1)], 0).unwrap();
                    latest.insert(key, (end, written));
                    end += 1;
                }
                Act::Compact { max } => drop(log.inner.compact_some(10, max).unwrap()),
                // No tombstone is that old.
                Act::DropTombstones => drop(log.inner.drop_tombstones(9, 100).unwrap()),
                Act::Reopen => {
                    drop(log);
                    log = open(folder.path());
                }
            }
            prop_assert_eq!(log.end(Topic::Spend, 0), end);
            let there = left(&log, Topic::Spend);
            prop_assert!(latest.values().all(|of| there.contains(of)), "the latest of every key is always there");
        }
        while log.inner.compact_some(10, 7).unwrap() > 0 {}
        let mut wanted: Vec<(u64, Output)> = latest.into_values().collect();
        wanted.sort_by_key(|(offset, _)| *offset);
        prop_assert_eq!(left(&log, Topic::Spend), wanted.clone());
        while log.inner.drop_tombstones(10, 2).unwrap() > 0 {}
        wanted.retain(|(_, of)| of.value.is_some());
        prop_assert_eq!(left(&log, Topic::Spend), wanted);
        drop(log);
        prop_assert_eq!(open(folder.path()).end(Topic::Spend, 0), end, "no end goes back");
    }
}

#[test]
fn an_erased_row_stays_beside_its_tombstone_and_goes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let row = |erased| Profile { profile_id: "p".into(), erased, ..Profile::default() }.encode_to_vec();
    let write = |value: Option<&[u8]>| log.append([(record(Topic::Profiles, "p", value), 1)], 0).unwrap();
    let offsets = || left(&log, Topic::Profiles).iter().map(|(offset, _)| *offset).collect::<Vec<_>>();
    write(Some(&row(false)));
    write(Some(&row(true)));
    write(None);
    log.inner.compact_some(100, 10).unwrap();
    assert_eq!(offsets(), [1, 2]);
    // The same id is used again.
    write(Some(&row(false)));
    log.inner.compact_some(100, 10).unwrap();
    assert_eq!(offsets(), [3]);
    write(Some(&row(true)));
    log.inner.compact_some(100, 10).unwrap();
    write(None);
    log.inner.compact_some(200, 10).unwrap();
    assert_eq!(offsets(), [4, 5], "told apart also where they are looked at one by one");
    assert_eq!(log.inner.drop_tombstones(199, 10).unwrap(), 1, "the older tombstone's note");
    assert_eq!(offsets(), [4, 5]);
    log.inner.drop_tombstones(200, 10).unwrap();
    assert_eq!(offsets(), Vec::<u64>::new());
    assert_eq!(log.end(Topic::Profiles, 0), 6);
}

fn letter(offset: i64, payload: &str) -> Output {
    let letter = DeadLetter { topic: "offline".into(), offset, payload: payload.into(), ..DeadLetter::default() };
    record(Topic::DeadLetters, "", Some(&letter.encode_to_vec()))
}

fn commit(log: &EmbeddedLog, stage: StageLog, topic: Topic, next: u64, erasures: Vec<Erasure>) {
    let offsets = vec![(topic, 0, next)];
    log.session(stage, 0, 1).commit(Transaction { offsets, erasures, ..Transaction::default() }).unwrap();
}

#[test]
fn old_records_that_were_read_are_removed_and_counted() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    for (at_ms, text) in [(0, "a"), (10, "b"), (20, "c"), (0, "d"), (30, "e"), (40, "f")] {
        log.append([(record(Topic::Offline, "", Some(text.as_bytes())), at_ms)], 0).unwrap();
    }
    for offset in [1, 4] {
        log.append([(letter(offset, "x"), 15)], 0).unwrap();
    }
    let retention = Retention { raw_ms: Some(70), dead_letters_ms: Some(80), tombstones_ms: 1_000 };
    let texts = || {
        left(&log, Topic::Offline).into_iter().map(|(_, of)| String::from_utf8(of.value.unwrap()).unwrap()).collect::<String>()
    };
    assert_eq!(log.inner.expire(&retention, 95, 10).unwrap(), 0, "nothing was read");
    commit(&log, INGEST, Topic::Offline, 4, Vec::new());
    assert_eq!(log.inner.expire(&retention, 95, 10).unwrap(), 3, "c is old and d may be younger; the letters are as old as 15");
    // Two of the raw topic and no dead letter: 95 - 80 = 15 is not before 15.
    assert_eq!((texts().as_str(), left(&log, Topic::DeadLetters).len()), ("def", 2));
    commit(&log, INGEST, Topic::Offline, 6, Vec::new());
    let all = Retention { raw_ms: Some(0), ..retention };
    assert_eq!(log.inner.expire(&all, 41, 1).unwrap(), 0, "of the first the time is not known, and more is not looked at");
    assert_eq!(log.inner.expire(&all, 41, 10).unwrap(), 3);
    assert_eq!((texts().as_str(), log.dropped(Topic::Offline, 0).unwrap()[&Cause::Retention]), ("", 6));
    drop(log);
    assert_eq!(open(folder.path()).end(Topic::Offline, 0), 6, "no end goes back");
}

#[test]
fn a_dead_letter_removed_before_its_record_is_noted_until_the_record_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    for at_ms in [10, 20] {
        log.append([(record(Topic::Offline, "", Some(b"x")), at_ms)], 0).unwrap();
    }
    log.append([(letter(1, "x"), 20), (letter(7, "x"), 20)], 0).unwrap();
    commit(&log, INGEST, Topic::Offline, 2, Vec::new());
    let letters = Retention { raw_ms: None, dead_letters_ms: Some(0), tombstones_ms: 1_000 };
    log.inner.expire(&letters, 30, 10).unwrap();
    assert_eq!(log.dropped_letters().unwrap(), [(Topic::Offline, 0, 1, 0)], "of the other there is no record");
    log.inner.expire(&Retention { raw_ms: Some(0), ..letters }, 30, 10).unwrap();
    assert_eq!(log.dropped_letters().unwrap(), []);
}

#[test]
fn an_erased_person_is_removed_once_and_again_when_a_record_arrives() {
    let folder = tempfile::tempdir().unwrap();
    let log = open(folder.path());
    let of = Identifier::new("email", "", "somebody@a.example");
    let write = |text: &str| log.append([(record(Topic::Offline, "", Some(text.as_bytes())), 1)], 0).unwrap();
    write("about somebody@a.example");
    write("about others");
    log.append([(letter(0, "about somebody@a.example"), 1)], 0).unwrap();
    log.append([(record(Topic::IdentityInbox, "k", Some(b"somebody@a.example")), 1)], 0).unwrap();
    commit(&log, INGEST, Topic::Offline, 1, Vec::new());
    let mut upkeep = log.upkeep(Retention::default(), Box::new(In(Vec::new())));
    let erasure = |until_ms| Erasure { of: of.clone(), until_ms };
    commit(&log, IDENTITY, Topic::IdentityInbox, 0, vec![erasure(5), erasure(9), erasure(7)]);
    assert_eq!(log.to_be_forgotten().unwrap(), [erasure(9)], "the latest counts");
    assert_eq!(upkeep.finish().unwrap(), (Forgotten::default(), false), "the inbox is still to be read");
    commit(&log, IDENTITY, Topic::IdentityInbox, 1, Vec::new());
    assert_eq!(upkeep.leave().unwrap(), (Forgotten::default(), false), "it has only just been noted");
    assert_eq!(upkeep.finish().unwrap(), (Forgotten { identifiers: 1, records: 2 }, true));
    assert_eq!(left(&log, Topic::Offline).len() + left(&log, Topic::IdentityInbox).len(), 1);
    assert_eq!(log.dropped_letters().unwrap(), [], "the record has gone, too");

    write("about somebody@a.example");
    commit(&log, INGEST, Topic::Offline, 3, Vec::new());
    assert_eq!(upkeep.finish().unwrap(), (Forgotten::default(), true), "nobody has said that it is void");
    commit(&log, IDENTITY, Topic::IdentityInbox, 1, vec![erasure(3)]);
    assert_eq!(upkeep.finish().unwrap(), (Forgotten { identifiers: 1, records: 1 }, true));
    assert_eq!(log.dropped(Topic::Offline, 0).unwrap()[&Cause::Erasure], 2);
}
