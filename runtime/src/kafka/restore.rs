//! Bringing the state of a partition to its committed offsets, from the changelog.
//!
//! What is read last decides nothing: the marks that end a transaction reach the changelog's partitions and the offsets one by one, so
//! the last committed transaction may be missing from what can be read. A state is current when the input offsets in it are the
//! committed ones; until then there is more to come. The end is where the broker says it is (its last stable offset), not the last
//! record's offset: aborted records and marks have offsets too.

use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::topic_partition_list::Offset;

use super::changelog::{INPUTS_KEY, Inputs, VERSION, VERSION_HEADER};
use super::commit::now_ms;
use super::context::RestorerEvents;
use super::failure::{Remedy, remedy};
use super::metrics;
use super::options::KafkaOptions;
use super::session::ASK;
use crate::log::{LogError, StageLog};
use crate::state::{Load, Position, RocksStore, StoreError};
use crate::topic::Topic;

const OPERATION: &str = "restoring the state";
/// What an empty store takes in at once, sorted in memory.
const BULK_BYTES: usize = 64 << 20;
/// What a store that was behind takes in at once.
const TAIL_BYTES: usize = 4 << 20;
/// A state cannot be ahead of the group for longer than it takes to read the committed offsets again.
const AHEAD_MAX: Duration = Duration::from_secs(10);
/// How often progress is told.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// What came of a slice of restoring.
pub(super) enum Step {
    /// There is more to do.
    Going,
    /// The state is beyond the committed offsets that are known: ask again.
    Ahead,
    /// The state is that of the committed offsets.
    Done(RocksStore),
}

/// Reads the changelog, one partition at a time.
pub(super) struct Restorer {
    stage: &'static str,
    consumer: BaseConsumer<RestorerEvents>,
    topic: String,
    timeout: Duration,
    tombstones_ms: u64,
    job: Option<Job>,
}

struct Job {
    partition: u32,
    store: RocksStore,
    committed: Inputs,
    /// Whether the store was empty.
    bulk: bool,
    /// What was read and is not in the store yet.
    load: Load,
    /// The offset after the last record read.
    next: u64,
    /// When that record was written.
    as_of_ms: u64,
    /// Last stable offset when the job began.
    end: u64,
    /// Whether all that could be read was read at some time.
    seen_end: bool,
    records: u64,
    untold: u64,
    begun: Instant,
    progress: Instant,
    told: Instant,
}

impl Restorer {
    pub(super) fn new(options: &KafkaOptions, log: &StageLog, changelog: Topic) -> Result<Self, LogError> {
        let config = options.restorer(log).map_err(|error| LogError::stop(OPERATION, error))?;
        let consumer =
            config.create_with_context(RestorerEvents).map_err(|error: KafkaError| LogError::stop(OPERATION, error))?;
        Ok(Self {
            stage: log.stage,
            consumer,
            topic: options.topics.of(changelog).to_owned(),
            timeout: Duration::from_millis(options.restore_timeout_ms),
            tombstones_ms: options.tombstone_retention_ms,
            job: None,
        })
    }

    /// The partition being restored.
    pub(super) fn partition(&self) -> Option<u32> {
        self.job.as_ref().map(|job| job.partition)
    }

    /// Begins to bring `store` to `committed`.
    pub(super) fn start(&mut self, partition: u32, store: RocksStore, committed: Inputs) -> Result<(), LogError> {
        let now = Instant::now();
        let mut position = store.position().map_err(failed)?;
        if let Some(known) = position
            && now_ms().saturating_sub(known.as_of_ms) > self.tombstones_ms
            && inputs_of(&store)? != committed
        {
            tracing::warn!(
                stage = self.stage,
                partition,
                "the local state is older than the changelog's tombstones: restoring all of it"
            );
            store.clear().map_err(failed)?;
            position = None;
        }
        let next = position.map_or(0, |position| position.changelog_next);
        let mut job = Job {
            partition,
            store,
            committed,
            bulk: position.is_none(),
            load: Load::default(),
            next,
            as_of_ms: position.map_or(0, |position| position.as_of_ms),
            end: next,
            seen_end: false,
            records: 0,
            untold: 0,
            begun: now,
            progress: now,
            told: now,
        };
        if !job.is_current()? {
            self.read_from(&mut job, position)?;
        }
        self.job = Some(job);
        Ok(())
    }

    fn read_from(&self, job: &mut Job, position: Option<Position>) -> Result<(), LogError> {
        let number = i32::try_from(job.partition).map_err(|error| LogError::stop(OPERATION, error))?;
        let from = match position {
            Some(position) => Offset::Offset(i64::try_from(position.changelog_next).unwrap_or(i64::MAX)),
            None => Offset::Beginning,
        };
        // For progress only: what cannot be asked now is not needed.
        if let Ok((_, end)) = self.consumer.fetch_watermarks(&self.topic, number, ASK) {
            job.end = u64::try_from(end).unwrap_or(0);
        }
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, number, from).map_err(|error| LogError::stop(OPERATION, error))?;
        self.consumer.assign(&list).map_err(|error| LogError::recover(OPERATION, error))
    }

    /// The committed offsets were read again.
    pub(super) fn expect(&mut self, committed: Inputs) {
        if let Some(job) = &mut self.job {
            job.committed = committed;
        }
    }

    /// The partition is no longer ours.
    pub(super) fn cancel(&mut self, partition: u32) {
        if self.partition() == Some(partition) {
            self.stop_reading();
            self.job = None;
        }
    }

    fn stop_reading(&self) {
        if let Err(error) = self.consumer.unassign() {
            tracing::debug!(%error, "the changelog's consumer");
        }
    }

    /// Restores for about `slice`.
    pub(super) fn step(&mut self, slice: Duration) -> Result<Step, LogError> {
        let until = Instant::now() + slice;
        let Some(mut job) = self.job.take() else { return Ok(Step::Going) };
        // Also where the committed offsets were read again: the broker tells the end once, until something is written.
        if job.load.is_empty() && job.is_current()? {
            return self.done(job);
        }
        while Instant::now() < until {
            match self.consumer.poll(until.saturating_duration_since(Instant::now())) {
                None => break,
                Some(Ok(message)) => job.take(&message)?,
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    job.seen_end = true;
                    job.store_load()?;
                    if job.is_current()? {
                        return self.done(job);
                    }
                }
                Some(Err(error)) => self.reader_failed(&job, &error)?,
            }
        }
        job.tell(self.stage);
        let ahead = job.seen_end && job.load.is_empty() && job.is_ahead()?;
        let patience = if ahead { AHEAD_MAX.min(self.timeout) } else { self.timeout };
        if job.progress.elapsed() > patience {
            return Err(self.never(&job));
        }
        self.job = Some(job);
        Ok(if ahead { Step::Ahead } else { Step::Going })
    }

    fn done(&self, mut job: Job) -> Result<Step, LogError> {
        self.stop_reading();
        job.as_of_ms = now_ms();
        if job.records > 0 {
            job.store.write(std::iter::empty(), job.position()).map_err(failed)?;
            tracing::info!(
                stage = self.stage,
                partition = job.partition,
                records = job.records,
                seconds = job.begun.elapsed().as_secs_f64(),
                "state restored"
            );
        }
        metrics::restored(self.stage, job.untold, 0);
        Ok(Step::Done(job.store))
    }

    fn reader_failed(&self, job: &Job, error: &KafkaError) -> Result<(), LogError> {
        if error.rdkafka_error_code() == Some(Code::AutoOffsetReset) {
            let why = format!(
                "the local state of partition {} is at offset {} of {}, which the topic does not hold: it is the state of another \
                 cluster, or the topic was made anew; delete the partition's state folder to restore it from what the topic holds",
                job.partition, job.next, self.topic
            );
            return Err(LogError::stop(OPERATION, why));
        }
        match remedy(error) {
            Remedy::Stop(advice) => Err(LogError::stop(OPERATION, format!("{error}: {advice}"))),
            _ => Ok(()),
        }
    }

    /// The committed offsets are not reached.
    fn never(&self, job: &Job) -> LogError {
        let held = inputs_of(&job.store).unwrap_or_default();
        let (topic, partition, committed) = (&self.topic, job.partition, &job.committed);
        let meaning = if held.is_ahead_of(committed) {
            "the state is ahead of the group: its offsets were reset or have expired; set them to those of the state"
        } else {
            "the changelog is not the group's, lost records, or a transaction of another producer is left open in it"
        };
        LogError::stop(
            OPERATION,
            format!(
                "partition {partition} of {topic} gives the state after reading {held}, the group has committed {committed}: {meaning}"
            ),
        )
    }
}

impl Job {
    fn is_current(&self) -> Result<bool, LogError> {
        // Where nothing was ever committed the changelog must be seen to hold nothing either.
        let comparable = self.seen_end || !self.committed.0.is_empty();
        Ok(comparable && inputs_of(&self.store)? == self.committed)
    }

    fn is_ahead(&self) -> Result<bool, LogError> {
        Ok(inputs_of(&self.store)?.is_ahead_of(&self.committed))
    }

    fn position(&self) -> Position {
        Position { changelog_next: self.next, as_of_ms: self.as_of_ms }
    }

    fn take(&mut self, message: &BorrowedMessage<'_>) -> Result<(), LogError> {
        let foreign = |what: &str| {
            let why =
                format!("the record at offset {} of {}/{} {what}", message.offset(), message.topic(), message.partition());
            LogError::stop(OPERATION, why)
        };
        let key = message.key().ok_or_else(|| foreign("has no key: it is not ours"))?;
        if key == INPUTS_KEY {
            let version = message
                .headers()
                .and_then(|headers| headers.iter().find(|header| header.key == VERSION_HEADER).and_then(|header| header.value));
            if version != Some(VERSION) || message.payload().and_then(Inputs::decode).is_none() {
                return Err(foreign("was written by a version this one does not know; update this process"));
            }
        }
        self.load.push(key, message.payload());
        self.next = u64::try_from(message.offset()).unwrap_or(0) + 1;
        self.as_of_ms = message.timestamp().to_millis().and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0);
        self.records += 1;
        self.untold += 1;
        self.progress = Instant::now();
        if self.load.bytes() > if self.bulk { BULK_BYTES } else { TAIL_BYTES } {
            self.store_load()?;
        }
        Ok(())
    }

    fn store_load(&mut self) -> Result<(), LogError> {
        if self.load.is_empty() {
            return Ok(());
        }
        let position = self.position();
        if self.bulk {
            self.store.ingest(&mut self.load, position).map_err(failed)?;
        } else {
            self.store.write(self.load.changes(), position).map_err(failed)?;
        }
        self.load.clear();
        Ok(())
    }

    fn tell(&mut self, stage: &'static str) {
        let remaining = self.end.saturating_sub(self.next);
        metrics::restored(stage, std::mem::take(&mut self.untold), remaining);
        if self.told.elapsed() > TELL_EVERY {
            self.told = Instant::now();
            tracing::info!(stage, partition = self.partition, records = self.records, remaining, "restoring the state");
        }
    }
}

fn inputs_of(store: &RocksStore) -> Result<Inputs, LogError> {
    match store.value(INPUTS_KEY).map_err(failed)? {
        None => Ok(Inputs::default()),
        Some(bytes) => {
            Inputs::decode(&bytes).ok_or_else(|| LogError::stop(OPERATION, "the input offsets of the state are corrupt"))
        }
    }
}

fn failed(error: StoreError) -> LogError {
    LogError::stop(OPERATION, error)
}
