//! Tests of reading a log while another process writes it.

use super::*;
use crate::log::{Session, Transaction};
use crate::state::{ActorKey, Snapshot, Write};

const STAGE: StageLog = StageLog { stage: "identity", inputs: &[Topic::IdentityInbox], changelog: None };

#[test]
fn a_reader_sees_all_that_was_committed_when_it_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let options =
        EmbeddedOptions { path: path.clone(), partitions: 1, memory_bytes: 8 << 20, sync: false, json_dead_letters: false };
    let log = EmbeddedLog::open(&options).unwrap();
    let actor = ActorKey([7; 17]);
    for round in 1..=3u8 {
        let record = Output { topic: Topic::IdentityInbox, key: vec![round], value: Some(vec![round]) };
        log.append([(record, 1)], 0).unwrap();
        let write = Write { key: [actor.0.as_slice(), b"n"].concat(), value: Some(vec![round]) };
        let next = u64::from(round);
        let offsets = vec![(Topic::IdentityInbox, 0, next)];
        let transaction = Transaction { offsets, state: vec![(0, vec![write])], ..Transaction::default() };
        log.session(STAGE, 0, 1).commit(transaction).unwrap();

        // The writer is open, and has flushed nothing.
        let beside = EmbeddedLog::open_read_only(&path).unwrap();
        assert_eq!((beside.end(Topic::IdentityInbox, 0), beside.lag(&STAGE).unwrap()), (next, 0));
        let mut states = beside.states();
        assert_eq!(states.state("identity", 0).unwrap().get(&actor, b"n").unwrap(), Some(&[round][..]));
    }
}
