//! Reads the changelog for [`Restore`], which makes the decisions.
//!
//! The end is the broker's last stable offset, not the offset of the last record: aborted records and transaction markers have offsets too.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::message::Message;
use rdkafka::topic_partition_list::Offset;

use super::ASK;
use super::context::RestorerEvents;
use super::failure::{Remedy, remedy};
use super::message::{now_ms, version_of};
use super::metrics;
use super::options::KafkaOptions;
use super::reach::Reach;
use crate::exactly_once::{Change, INPUTS_KEY, Inputs, Progress, Restore};
use crate::log::{LogError, StageLog};
use crate::state::RocksStore;
use crate::topic::Topic;

const OPERATION: &str = "restoring the state";
/// A state cannot be ahead of the group for longer than it takes to read the committed offsets again.
const AHEAD_MAX: Duration = Duration::from_secs(10);
/// How often progress is logged.
const TELL_EVERY: Duration = Duration::from_secs(5);

/// The clocks are read once per this many records.
const CLOCK_EVERY: u64 = 64;

/// The result of a slice of restoring.
pub(super) enum Step {
    /// There is more to do.
    Going,
    /// The state is ahead of the known committed offsets: read them again.
    Ahead,
    /// The state is at the committed offsets.
    Done(RocksStore),
}

/// Reads the changelog, one partition at a time.
pub(super) struct Restorer {
    stage: &'static str,
    consumer: BaseConsumer<RestorerEvents>,
    topic: String,
    timeout: Duration,
    tombstones_ms: u64,
    reach: Arc<Reach>,
    job: Option<Job>,
}

struct Job {
    restore: Restore<RocksStore>,
    /// Last stable offset when the restore began.
    end: u64,
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
            reach: options.reach.clone(),
            job: None,
        })
    }

    /// The partition being restored.
    pub(super) fn partition(&self) -> Option<u32> {
        self.job.as_ref().map(|job| job.restore.partition())
    }

    /// Begins to restore `store` up to `committed`.
    pub(super) fn start(&mut self, partition: u32, store: RocksStore, committed: Inputs) -> Result<(), LogError> {
        let now = Instant::now();
        let restore = Restore::begin(partition, store, committed, now_ms(), self.tombstones_ms)?;
        let mut job = Job { end: restore.next_offset(), restore, untold: 0, begun: now, progress: now, told: now };
        if job.restore.progress()? != Progress::Current {
            self.read_from(&mut job)?;
        }
        self.job = Some(job);
        Ok(())
    }

    fn read_from(&self, job: &mut Job) -> Result<(), LogError> {
        let number = i32::try_from(job.restore.partition()).map_err(|error| LogError::stop(OPERATION, error))?;
        let from = match job.restore.read_from() {
            Some(next) => Offset::Offset(i64::try_from(next).unwrap_or(i64::MAX)),
            None => Offset::Beginning,
        };
        // Only for progress: not needed if it is not available now.
        if let Ok((_, end)) = self.consumer.fetch_watermarks(&self.topic, number, ASK) {
            job.end = u64::try_from(end).unwrap_or(0);
        }
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(&self.topic, number, from).map_err(|error| LogError::stop(OPERATION, error))?;
        self.consumer.assign(&list).map_err(|error| LogError::recover(OPERATION, error))
    }

    /// Sets committed offsets that were read again.
    pub(super) fn expect(&mut self, committed: Inputs) {
        if let Some(job) = &mut self.job {
            job.restore.expect(committed);
        }
    }

    /// The partition was revoked.
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
        // Also needed if only the committed offsets were read again: the broker reports the end once, until something is written.
        if job.restore.progress()? == Progress::Current {
            return self.done(job);
        }
        // Reading the clocks costs as much as handling a small record, and so does waiting for one that is available.
        let (mut now, mut wall_ms) = (Instant::now(), now_ms());
        while now < until {
            let found = self.consumer.poll(Duration::ZERO).or_else(|| self.consumer.poll(until.saturating_duration_since(now)));
            match found {
                None => break,
                Some(Ok(message)) => {
                    let says_version = message.key() == Some(INPUTS_KEY);
                    let change = Change {
                        topic: &self.topic,
                        offset: u64::try_from(message.offset()).unwrap_or(0),
                        written_ms: message.timestamp().to_millis().and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0),
                        key: message.key(),
                        value: message.payload(),
                        version: if says_version { version_of(&message) } else { None },
                    };
                    job.restore.take(&change, wall_ms)?;
                    job.untold += 1;
                    job.progress = now;
                    if job.untold.is_multiple_of(CLOCK_EVERY) {
                        (now, wall_ms) = (Instant::now(), now_ms());
                    }
                }
                Some(Err(KafkaError::PartitionEOF(_))) => {
                    (now, wall_ms) = (Instant::now(), now_ms());
                    job.restore.reached_end(wall_ms)?;
                    if job.restore.progress()? == Progress::Current {
                        return self.done(job);
                    }
                }
                Some(Err(error)) => {
                    self.reader_failed(&job, &error)?;
                    now = Instant::now();
                }
            }
        }
        if job.restore.progress()? == Progress::Outlasted {
            job.restore.begin_again(now_ms())?;
            self.read_from(&mut job)?;
        }
        job.tell(self.stage);
        // While the brokers are away, waits as long as it takes.
        if self.reach.is_away() {
            job.progress = Instant::now();
        }
        let ahead = job.restore.progress()? == Progress::Ahead;
        let patience = if ahead { AHEAD_MAX.min(self.timeout) } else { self.timeout };
        if job.progress.elapsed() > patience {
            return Err(self.never(&job));
        }
        self.job = Some(job);
        Ok(if ahead { Step::Ahead } else { Step::Going })
    }

    fn done(&self, job: Job) -> Result<Step, LogError> {
        self.stop_reading();
        if job.restore.records() > 0 {
            tracing::info!(
                stage = self.stage,
                partition = job.restore.partition(),
                records = job.restore.records(),
                seconds = job.begun.elapsed().as_secs_f64(),
                "state restored"
            );
        }
        metrics::restored(self.stage, job.untold, 0);
        Ok(Step::Done(job.restore.finish(now_ms())?))
    }

    fn reader_failed(&self, job: &Job, error: &KafkaError) -> Result<(), LogError> {
        if error.rdkafka_error_code() == Some(Code::AutoOffsetReset) {
            let why = format!(
                "the local state of partition {} is at offset {} of {}, which the topic does not hold: it is the state of another \
                 cluster, or the topic was made anew; delete the partition's state folder to restore it from what the topic holds",
                job.restore.partition(),
                job.restore.next_offset(),
                self.topic
            );
            return Err(LogError::stop(OPERATION, why));
        }
        match remedy(error) {
            Remedy::Stop(advice) => Err(LogError::stop(OPERATION, format!("{error}: {advice}"))),
            _ => Ok(()),
        }
    }

    /// The error if the committed offsets cannot be reached.
    fn never(&self, job: &Job) -> LogError {
        let held = job.restore.held().unwrap_or_default();
        let (topic, partition, committed) = (&self.topic, job.restore.partition(), job.restore.committed());
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
    fn tell(&mut self, stage: &'static str) {
        let remaining = self.end.saturating_sub(self.restore.next_offset());
        metrics::restored(stage, std::mem::take(&mut self.untold), remaining);
        if self.told.elapsed() > TELL_EVERY {
            self.told = Instant::now();
            let (partition, records) = (self.restore.partition(), self.restore.records());
            tracing::info!(stage, partition, records, remaining, "restoring the state");
        }
    }
}
