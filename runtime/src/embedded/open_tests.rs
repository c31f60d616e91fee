//! An incomplete log is not opened. Damage to its files, of every kind: `runtime/tests/damage`.

use super::*;
use crate::embedded::high_water::file_in;
use crate::topic::Topic;

fn log_in(path: &Path) -> Result<EmbeddedLog, EmbeddedError> {
    EmbeddedLog::open(&EmbeddedOptions::small(path, 2))
}

fn append(log: &EmbeddedLog, count: u32) {
    for number in 0..count {
        let record = crate::stage::Output { topic: Topic::Sdk, key: Vec::new(), value: Some(vec![7; 40]) };
        log.append([(record, 1)], number).unwrap();
    }
}

/// Other losses in the middle need a crash of the machine: one write-ahead log is truncated, and the next one is complete.
#[test]
fn transactions_that_are_missing_in_the_middle_are_noticed() {
    let folder = tempfile::tempdir().unwrap();
    let log = log_in(folder.path()).unwrap();
    append(&log, 5);
    let inner = log.inner.clone();
    inner.db.put_cf(inner.family(META).unwrap(), keys::SEQUENCE, 8u64.to_be_bytes()).unwrap();
    drop((log, inner));
    for told in [log_in(folder.path()).err(), EmbeddedLog::open_read_only(folder.path()).err()] {
        let told = told.unwrap().to_string();
        assert!(told.contains("3 transactions before the last ones are missing"), "{told}");
    }
    assert!(EmbeddedLog::accept_losses(folder.path()).is_err(), "what is left is not what ever was");
}

#[test]
fn a_log_that_an_older_version_made_gets_its_mark() {
    let folder = tempfile::tempdir().unwrap();
    let log = log_in(folder.path()).unwrap();
    append(&log, 5);
    let inner = log.inner.clone();
    let meta = inner.family(META).unwrap();
    let ends = Topic::ALL.into_iter().flat_map(|topic| (0..2).map(move |at| keys::end(topic, at)));
    for key in ends.chain([keys::SEQUENCE.to_vec(), keys::COUNT.to_vec()]) {
        inner.db.delete_cf(meta, key).unwrap();
    }
    drop((log, inner));
    fs::remove_file(file_in(folder.path())).unwrap();

    assert_eq!(EmbeddedLog::open_read_only(folder.path()).unwrap().end(Topic::Sdk, 0), 3);
    let log = log_in(folder.path()).unwrap();
    append(&log, 2);
    assert_eq!((log.end(Topic::Sdk, 0), log.end(Topic::Sdk, 1)), (4, 3));
    drop(log);
    fs::remove_file(file_in(folder.path())).unwrap();
    assert!(matches!(log_in(folder.path()), Err(EmbeddedError::HighWater { .. })));
}

#[test]
fn what_is_lost_is_listed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mark = file_in(path);
    let log = log_in(path).unwrap();
    append(&log, 5);
    drop(log);
    let before = fs::read(&mark).unwrap();
    let log = log_in(path).unwrap();
    append(&log, 3);
    drop(log);

    // A mark that is three records ahead, as if those had been lost.
    let end = |mark: &HighWater| mark.ends.get(&(Topic::Sdk, 0)).map(|end| end.offset);
    assert_eq!(high_water::read(path).unwrap().as_ref().and_then(end), Some(5));
    fs::write(&mark, before).unwrap();
    assert_eq!(EmbeddedLog::losses(path).unwrap(), None, "an older mark does no harm");
    let mut higher = high_water::read(path).unwrap().unwrap();
    higher.sequence = 11;
    higher.ends.entry((Topic::Sdk, 1)).or_default().offset = 6;
    HighWaterFile::create(path, &higher).unwrap();

    let Err(EmbeddedError::Behind { missing, .. }) = log_in(path) else { panic!("opened") };
    let records = vec![high_water::MissingRecords { topic: Topic::Sdk, partition: 1, found: 3, expected: 6 }];
    assert_eq!(missing, Missing { transactions: 3, records });
    let told = missing.to_string();
    assert_eq!(told, "the last 3 transactions (sdk partition 1 ends at offset 3, and ended at 6)");
    assert_eq!(EmbeddedLog::losses(path).unwrap().as_ref(), Some(&missing));
    assert_eq!(EmbeddedLog::accept_losses(path).unwrap(), Some(missing));
    assert_eq!(log_in(path).unwrap().end(Topic::Sdk, 1), 3);
}
