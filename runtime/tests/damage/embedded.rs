//! The embedded log, stopped and killed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tributary_runtime::embedded::{EmbeddedError, EmbeddedLog, EmbeddedOptions};
use tributary_runtime::log::{Routed, Session, StageLog, Transaction};
use tributary_runtime::stage::Output;
use tributary_runtime::state::{ActorKey, Snapshot, Write};
use tributary_runtime::topic::Topic;

use super::inflict::copy;
use super::{Outcome, Victim};

const STAGE: StageLog = StageLog { stage: "identity", inputs: &[Topic::IdentityInbox], changelog: None };
const PARTITIONS: u32 = 2;
const ACTOR: ActorKey = ActorKey([7; 17]);
const SUBS: u64 = 40;
/// Transactions up to the first copy, between those that were killed, and up to the last.
const EARLY: u64 = 60;
const STEP: usize = 7;
const WHOLE: u64 = 140;

/// A copy of a log, and how many transactions are in it.
struct Copy {
    path: PathBuf,
    whole: u64,
}

/// Copies of a log: early in its life, killed with some of it in the write-ahead log, and stopped.
///
/// It has so little memory that RocksDB flushes all the time: some of those that were killed have several write-ahead logs.
pub struct Logs {
    early: Copy,
    killed: Vec<Copy>,
    stopped: Copy,
}

fn open(path: &Path) -> Result<EmbeddedLog, EmbeddedError> {
    let path = path.to_owned();
    EmbeddedLog::open(&EmbeddedOptions {
        path,
        partitions: PARTITIONS,
        memory_bytes: 8 << 20,
        sync: false,
        json_dead_letters: false,
    })
}

fn record(number: u64, topic: Topic) -> Output {
    let value = format!("record {number} of {} ", topic.name()).repeat(1 + number as usize % 9);
    Output { topic, key: number.to_be_bytes().to_vec(), value: Some(value.into_bytes()) }
}

fn value(number: u64) -> Vec<u8> {
    format!("value after {number} ").repeat(3).into_bytes()
}

/// A raw record comes in, and a stage reads one, keeps something of it and passes it on.
fn advance(log: &EmbeddedLog, number: u64) {
    log.append([(record(number, Topic::Sdk), number as i64)], number as u32).unwrap();
    let at = number as u32 % PARTITIONS;
    let write = Write { key: [ACTOR.0.as_slice(), &(number % SUBS).to_be_bytes()].concat(), value: Some(value(number)) };
    let routed = Routed { output: record(number, Topic::Credits), partition: at, timestamp_ms: number as i64 };
    let transaction = Transaction {
        outputs: vec![routed],
        offsets: vec![(Topic::IdentityInbox, at, number)],
        state: vec![(0, vec![write])],
        ..Transaction::default()
    };
    log.session(STAGE, 0, 1).commit(transaction).unwrap();
}

impl Logs {
    pub fn make(folder: &Path) -> Self {
        let path = folder.join("log");
        let copied = |name: &str, whole: u64| {
            let copied = Copy { path: folder.join(format!("{name}-{whole}")), whole };
            copy(&path, &copied.path);
            copied
        };
        let log = open(&path).unwrap();
        (0..EARLY).for_each(|number| advance(&log, number));
        let early = copied("early", EARLY);
        log.close().unwrap();
        drop(log);
        let log = open(&path).unwrap();
        let mut killed = Vec::new();
        for numbers in (EARLY..WHOLE).collect::<Vec<_>>().chunks(STEP) {
            numbers.iter().for_each(|number| advance(&log, *number));
            // Nobody writes: this is what a kill would leave.
            killed.push(copied("killed", numbers.last().unwrap() + 1));
        }
        log.close().unwrap();
        drop(log);
        Self { early, killed, stopped: copied("stopped", WHOLE) }
    }

    /// The copy of a trial, and one with older files.
    fn pair(&self, trial: u64) -> (&Copy, &Copy) {
        let killed = &self.killed[(trial / 2) as usize % self.killed.len()];
        if trial.is_multiple_of(2) { (killed, &self.early) } else { (&self.stopped, killed) }
    }
}

/// Everything in a log, read in all ways.
fn read(log: &EmbeddedLog, whole: u64) -> Result<(), String> {
    let told = |error: &dyn ToString| error.to_string();
    log.verify(&mut |_| {}).map_err(|error| told(&error))?;
    for topic in [Topic::Sdk, Topic::Credits] {
        let mut numbers = BTreeMap::new();
        for at in 0..PARTITIONS {
            let records = log.read(topic, at, 0, usize::MAX).map_err(|error| told(&error))?;
            assert_eq!(log.end(topic, at), records.len() as u64, "the end of {} partition {at}", topic.name());
            for (offset, timestamp, output) in records {
                let number = timestamp as u64;
                assert!(
                    output == record(number, topic),
                    "offset {offset} of {} partition {at} is another record",
                    topic.name()
                );
                assert!(numbers.insert(number, at).is_none(), "{} has a record twice", topic.name());
            }
        }
        assert_eq!(numbers.len() as u64, whole, "records of {}", topic.name());
    }
    for at in 0..PARTITIONS {
        let last = (0..whole).rev().find(|number| *number as u32 % PARTITIONS == at).unwrap();
        assert_eq!(log.committed(&STAGE, Topic::IdentityInbox, at).map_err(|error| told(&error))?, last);
    }
    let mut states = log.states();
    let state = states.state("identity", 0).unwrap();
    for sub in 0..SUBS {
        let last = (0..whole).rev().find(|number| number % SUBS == sub).unwrap();
        let found = state.get(&ACTOR, &sub.to_be_bytes()).map_err(|error| told(&error))?;
        assert_eq!(found, Some(value(last).as_slice()), "the state of {sub}");
    }
    Ok(())
}

fn words(error: &EmbeddedError) -> String {
    let words = match error {
        EmbeddedError::Behind { .. } => "behind its mark",
        EmbeddedError::HighWater { .. } => "no whole mark",
        EmbeddedError::Damaged { .. } => "damaged file",
        EmbeddedError::Remains { .. } => "remains of a log",
        other => panic!("told in other words: {other}"),
    };
    words.to_owned()
}

impl Victim for Logs {
    fn folders(&self, trial: u64) -> (&Path, &Path) {
        let (copy, older) = self.pair(trial);
        (&copy.path, &older.path)
    }

    fn look(&self, trial: u64, folder: &Path, mend: &dyn Fn()) -> Outcome {
        let whole = self.pair(trial).0.whole;
        // A reader first: `verify`, `audit`, `explain`. Then the service.
        let beside = EmbeddedLog::open_read_only(folder).map_err(|error| error.to_string()).and_then(|log| read(&log, whole));
        let told = match open(folder) {
            Err(error) => {
                assert!(beside.is_err(), "the service was told, and the reader not: {error}");
                words(&error)
            }
            Ok(log) => match read(&log, whole) {
                Err(_) => "damaged file, when it is read".to_owned(),
                Ok(()) => {
                    assert_eq!(beside, Ok(()), "harmless to the service, and not to the reader");
                    return Outcome::Harmless;
                }
            },
        };
        // Nothing was thrown away: with the file as it was, all is there.
        mend();
        read(&open(folder).unwrap(), whole).unwrap();
        Outcome::Told(told)
    }
}
