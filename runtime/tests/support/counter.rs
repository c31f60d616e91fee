//! The smallest stage there is, on the real session: what it counts shows whether anything was done twice or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tributary_runtime::kafka::{KafkaOptions, KafkaSession};
use tributary_runtime::log::{Assignment, Batch, BatchLimits, LogError, Routed, Session, StageLog, Transaction};
use tributary_runtime::stage::Output;
use tributary_runtime::state::{ActorKey, Base, Overlay, State, StoreBudget};
use tributary_runtime::topic::{Topic, TopicNames};

use super::{PATIENCE, broker, create_topics, produce, read_committed};

pub const LOG: StageLog =
    StageLog { stage: "identity", inputs: &[Topic::IdentityInbox], changelog: Some(Topic::IdentityChangelog) };
const LIMITS: BatchLimits = BatchLimits { records_max: 50, bytes_max: 1 << 20, wait_ms: 50, gather_ms: 50 };
pub const PARTITIONS: i32 = 4;

/// The topics of one test, and its sessions' settings.
pub struct Bench {
    pub brokers: String,
    /// Where sessions find the brokers.
    through: String,
    pub names: TopicNames,
    pub folder: tempfile::TempDir,
    prefix: String,
}

impl Bench {
    pub fn new(prefix: &str) -> Option<Self> {
        broker().map(|brokers| Self::of(prefix, brokers, brokers))
    }

    /// The same on a broker whose sessions have an address of their own.
    pub fn of(prefix: &str, brokers: &str, through: &str) -> Self {
        let names = TopicNames::with_prefix(prefix);
        let topics = LOG.outputs().chain(LOG.changelog);
        let all: Vec<_> = topics.map(|topic| (names.of(topic).to_owned(), PARTITIONS, topic.compacted())).collect();
        create_topics(brokers, &all);
        let (brokers, through) = (brokers.to_owned(), through.to_owned());
        Self { brokers, through, names, folder: tempfile::tempdir().unwrap(), prefix: prefix.to_owned() }
    }

    pub fn options(&self, instance: &str) -> KafkaOptions {
        let state = self.folder.path().join(instance);
        let mut options = KafkaOptions::new(self.through.clone(), state, Arc::new(StoreBudget::new(16 << 20)));
        options.group_prefix.clone_from(&self.prefix);
        options.topics = Arc::new(self.names.clone());
        options.instance = instance.to_owned();
        options.session_timeout_ms = 4_000;
        options.restore_timeout_ms = 15_000;
        options
    }

    pub fn open(&self, instance: &str) -> Counter {
        Counter::new(self.options(instance))
    }

    /// `count` records to every key of every partition, each asking for its key to be counted.
    pub fn feed(&self, keys: usize, count: usize) {
        let keys: Vec<(i32, String)> =
            (0..PARTITIONS).flat_map(|at| (0..keys).map(move |key| (at, format!("key-{at}-{key}")))).collect();
        let once = keys.iter().map(|(at, key)| (*at, key.as_str(), "count"));
        let records: Vec<_> = std::iter::repeat_n(once, count).flatten().collect();
        produce(&self.brokers, self.names.of(Topic::IdentityInbox), &records);
    }

    /// What was counted in the end. Every key's counts must have been written as 1, 2, 3, ...: each once and in order.
    pub fn counted(&self) -> BTreeMap<String, u64> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        for (_, key, value) in read_committed(&self.brokers, self.names.of(Topic::AttributorInbox), PARTITIONS) {
            let key = String::from_utf8(key).unwrap();
            let count: u64 = String::from_utf8(value.unwrap()).unwrap().parse().unwrap();
            let latest = counts.entry(key.clone()).or_default();
            assert_eq!(count, *latest + 1, "{key}");
            *latest = count;
        }
        counts
    }

    /// Works until so many records are counted in all.
    pub fn work_off(&self, counter: &mut Counter, records: u64) {
        let begun = Instant::now();
        while self.counted().values().sum::<u64>() < records {
            assert!(begun.elapsed() < PATIENCE);
            for _ in 0..20 {
                counter.step_and_recover().unwrap();
            }
        }
    }

    pub fn expect(&self, keys: usize, count: u64) {
        let counted = self.counted();
        assert_eq!(counted.len(), keys * PARTITIONS as usize);
        assert!(counted.values().all(|counted| *counted == count), "{counted:?}");
    }
}

/// The smallest possible stage: counts the records of each key and writes the count; `forget` removes it.
pub struct Counter {
    pub session: KafkaSession,
    pub slots: BTreeMap<u32, Overlay<Box<dyn Base + Send>>>,
    pub limits: BatchLimits,
    pub handled: usize,
}

fn actor(key: &[u8]) -> ActorKey {
    ActorKey::new(b'k', tributary_proto::Hash128::of(key))
}

impl Counter {
    pub fn new(options: KafkaOptions) -> Self {
        Self { session: KafkaSession::open(options, LOG).unwrap(), slots: BTreeMap::new(), limits: LIMITS, handled: 0 }
    }

    /// Polls and handles a batch; what is to be committed.
    pub fn work(&mut self) -> Result<(Transaction, usize), LogError> {
        let mut batch = Batch::default();
        for change in self.session.poll(&mut batch, &self.limits)? {
            match change {
                Assignment::Assigned { partition, base, .. } => drop(self.slots.insert(partition, Overlay::new(base))),
                Assignment::Revoked { partition } => drop(self.slots.remove(&partition)),
            }
        }
        let mut transaction = Transaction::default();
        let mut offsets = BTreeMap::new();
        for record in batch.records() {
            offsets.insert((record.topic, record.partition), record.offset + 1);
            let state = self.slots.get_mut(&record.partition).expect("records come only of assigned partitions");
            let actor = actor(record.key);
            if record.value == b"forget" {
                state.delete(&actor, b"");
                continue;
            }
            let count = state.get(&actor, b"").unwrap().map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().unwrap())) + 1;
            state.put(&actor, b"", &count.to_be_bytes());
            let value = Some(count.to_string().into_bytes());
            let output = Output { topic: Topic::AttributorInbox, key: record.key.to_vec(), value };
            transaction.outputs.push(Routed { output, partition: record.partition, timestamp_ms: record.timestamp_ms });
        }
        transaction.offsets = offsets.into_iter().map(|((topic, at), next)| (topic, at, next)).collect();
        transaction.state =
            self.slots.iter().filter(|(_, state)| state.is_dirty()).map(|(at, state)| (*at, state.writes())).collect();
        Ok((transaction, batch.len()))
    }

    pub fn step(&mut self) -> Result<usize, LogError> {
        let (transaction, records) = self.work()?;
        if records > 0 {
            self.session.commit(transaction)?;
            self.slots.values_mut().for_each(|state| state.settle(1 << 20));
        }
        self.handled += records;
        Ok(records)
    }

    /// What a worker does after an error.
    pub fn recover(&mut self) -> Result<(), LogError> {
        self.slots.values_mut().for_each(Overlay::discard);
        loop {
            match self.session.recover() {
                Err(LogError::Recover { .. }) => std::thread::sleep(Duration::from_millis(100)),
                other => return other,
            }
        }
    }

    pub fn step_and_recover(&mut self) -> Result<usize, LogError> {
        match self.step() {
            Err(LogError::Recover { .. }) => self.recover().map(|()| 0),
            other => other,
        }
    }

    pub fn run_until(&mut self, done: impl Fn(&Self) -> bool) {
        let begun = Instant::now();
        while !done(self) {
            assert!(begun.elapsed() < PATIENCE, "handled {} records, has {:?}", self.handled, self.slots.keys());
            self.step_and_recover().unwrap();
        }
    }

    pub fn handle(&mut self, records: usize) {
        let goal = self.handled + records;
        self.run_until(|counter| counter.handled >= goal);
    }

    /// The error that stops it.
    pub fn stopped(&mut self) -> String {
        let begun = Instant::now();
        loop {
            assert!(begun.elapsed() < PATIENCE, "it goes on");
            if let Err(error) = self.step_and_recover() {
                return error.to_string();
            }
        }
    }

    pub fn close(mut self) {
        self.session.close().unwrap();
    }

    pub fn count(&self, partition: u32, key: &str) -> Option<u64> {
        let bytes = self.slots[&partition].base().get(&actor(key.as_bytes()), b"").unwrap()?;
        Some(u64::from_be_bytes(bytes.try_into().unwrap()))
    }
}
