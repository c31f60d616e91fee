//! Publishes the observations of a batch.

use std::collections::BTreeMap;
use std::time::Duration;
#[cfg(feature = "native")]
use std::time::Instant;

use metrics::{counter, gauge, histogram};

use crate::log::{Batch, StageLog, Transaction};
use crate::metric::{Metric, MetricKind, Observations};
use crate::reason::Reason;
use crate::topic::Topic;

/// Metrics that only the log on Kafka has.
pub mod kafka;
mod table;

pub use table::*;

/// Everything that a stage may count, with all values of labels: so counters begin at 0, and the first count shows as an increase.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    /// Its name, and the topics it reads and writes.
    pub log: StageLog,
    /// The reasons for which it refuses records.
    pub reasons: &'static [Reason],
    /// The metrics it observes itself.
    pub observed: &'static [&'static Metric],
}

impl Counted {
    /// Sets every counter of the stage that has no value yet to 0.
    pub fn begin_at_zero(&self, more: &[&'static Metric]) {
        let StageLog { stage, inputs, .. } = self.log;
        for topic in inputs {
            counter!(RECORDS_IN.name, "stage" => stage, "topic" => topic.name()).increment(0);
        }
        // Dead letters are counted by reason instead.
        for topic in self.log.outputs().filter(|topic| *topic != Topic::DeadLetters) {
            counter!(RECORDS_OUT.name, "stage" => stage, "topic" => topic.name()).increment(0);
        }
        for reason in self.reasons {
            counter!(DEAD_LETTERS.name, "stage" => stage, "reason" => reason.code()).increment(0);
        }
        let counters = ALL.iter().chain(more).chain(self.observed).filter(|metric| metric.kind == MetricKind::Counter);
        for metric in counters {
            if metric.label.is_empty() {
                counter!(metric.name, "stage" => stage).increment(0);
            }
            for value in metric.values {
                counter!(metric.name, "stage" => stage, metric.label => *value).increment(0);
            }
        }
    }
}

/// What is published of a batch when it is committed.
pub(crate) struct BatchSummary {
    stage: &'static str,
    records: usize,
    records_in: BTreeMap<Topic, u64>,
    records_out: BTreeMap<Topic, u64>,
    dead: BTreeMap<String, u64>,
    direct_messages: usize,
    state_writes: usize,
    oldest_credit_ms: Option<i64>,
}

impl BatchSummary {
    pub(crate) fn of(stage: &'static str, batch: &Batch, transaction: &Transaction) -> Self {
        let mut summary = Self {
            stage,
            records: batch.len(),
            records_in: BTreeMap::new(),
            records_out: BTreeMap::new(),
            dead: BTreeMap::new(),
            direct_messages: transaction.direct.count,
            state_writes: transaction.state.iter().map(|(_, writes)| writes.len()).sum(),
            oldest_credit_ms: None,
        };
        for record in batch.records() {
            *summary.records_in.entry(record.topic).or_default() += 1;
        }
        for routed in &transaction.outputs {
            *summary.records_out.entry(routed.output.topic).or_default() += 1;
            if routed.output.topic == Topic::Credits {
                let oldest = summary.oldest_credit_ms.get_or_insert(routed.timestamp_ms);
                *oldest = routed.timestamp_ms.min(*oldest);
            }
        }
        for letter in &transaction.dead_letters {
            *summary.dead.entry(letter.reason.clone()).or_default() += 1;
        }
        summary
    }

    pub(crate) fn publish(self, observations: &Observations, commit: Duration, now_ms: i64) {
        let stage = self.stage;
        gauge!(LAST_COMMIT_SECONDS.name, "stage" => stage).set(now_ms as f64 / 1000.0);
        for (topic, count) in self.records_in {
            counter!(RECORDS_IN.name, "stage" => stage, "topic" => topic.name()).increment(count);
        }
        for (topic, count) in self.records_out {
            counter!(RECORDS_OUT.name, "stage" => stage, "topic" => topic.name()).increment(count);
        }
        for (reason, count) in self.dead {
            counter!(DEAD_LETTERS.name, "stage" => stage, "reason" => reason).increment(count);
        }
        counter!(DIRECT_MESSAGES.name, "stage" => stage).increment(self.direct_messages as u64);
        counter!(STATE_WRITES.name, "stage" => stage).increment(self.state_writes as u64);
        histogram!(COMMIT_SECONDS.name, "stage" => stage).record(commit.as_secs_f64());
        histogram!(BATCH_RECORDS.name, "stage" => stage).record(self.records as f64);
        if let Some(oldest_ms) = self.oldest_credit_ms {
            let latency_ms = now_ms.saturating_sub(oldest_ms).max(0);
            histogram!(CREDIT_LATENCY_SECONDS.name).record(latency_ms as f64 / 1000.0);
        }
        publish(stage, observations);
    }
}

/// Publishes the observations of a stage.
fn publish(stage: &'static str, observations: &Observations) {
    for (metric, label, value) in observations.counts() {
        let mut labels = vec![("stage", stage)];
        if !metric.label.is_empty() {
            labels.push((metric.label, label));
        }
        match metric.kind {
            MetricKind::Counter => counter!(metric.name, &labels).increment(*value),
            MetricKind::Gauge | MetricKind::Histogram => gauge!(metric.name, &labels).set(*value as f64),
        }
    }
    for (metric, detail, value) in observations.details() {
        let labels: Vec<_> = std::iter::once(("stage", stage)).chain(metric.label.split(',').zip(*detail)).collect();
        counter!(metric.name, &labels).increment(*value);
    }
    for (metric, value) in observations.samples() {
        histogram!(metric.name, "stage" => stage).record(*value as f64);
    }
}

pub(crate) fn count_recovery(stage: &'static str) {
    counter!(RECOVERIES.name, "stage" => stage).increment(1);
}

pub(crate) fn count_rebalance(stage: &'static str) {
    counter!(REBALANCES.name, "stage" => stage).increment(1);
}

pub(crate) fn polled(stage: &'static str, now_ms: i64) {
    gauge!(LAST_POLL_SECONDS.name, "stage" => stage).set(now_ms as f64 / 1000.0);
}

pub(crate) fn partitions_owned(stage: &'static str, count: usize) {
    gauge!(PARTITIONS_OWNED.name, "stage" => stage).set(count as f64);
}

pub(crate) fn remodelling(stage: &'static str, more: f64) {
    gauge!(REMODELLING_PARTITIONS.name, "stage" => stage).increment(more);
}

pub(crate) fn stopped(stage: &'static str, topic: Topic, partition: u32, stopped: bool) {
    let labels = [("stage", stage.to_owned()), ("topic", topic.name().to_owned()), ("partition", partition.to_string())];
    gauge!(STOPPED_PARTITIONS.name, &labels).set(if stopped { 1.0 } else { 0.0 });
}

/// Sizes of a state.
#[cfg(feature = "native")]
#[derive(Debug)]
pub(crate) struct Sizes {
    /// On disk and in write buffers.
    pub state_bytes: u64,
    /// Memory that RocksDB uses.
    pub memory_bytes: usize,
    /// Stores whose writes RocksDB slows or has stopped.
    pub stalled: usize,
}

/// Publishes the sizes of a state every few seconds, because measuring costs something.
#[cfg(feature = "native")]
#[derive(Debug)]
pub(crate) struct StateSizes {
    stage: &'static str,
    published: Instant,
}

#[cfg(feature = "native")]
impl StateSizes {
    const EVERY: Duration = Duration::from_secs(5);

    /// For a stage's state, or for `all` of them.
    pub fn of(stage: &'static str) -> Self {
        Self { stage, published: Instant::now() }
    }

    /// Publishes the result of `measure`, if it is time.
    pub fn publish(&mut self, measure: impl FnOnce() -> Sizes) {
        if self.published.elapsed() < Self::EVERY {
            return;
        }
        self.published = Instant::now();
        let sizes = measure();
        gauge!(STATE_BYTES.name, "stage" => self.stage).set(sizes.state_bytes as f64);
        gauge!(ROCKSDB_MEMORY_BYTES.name).set(sizes.memory_bytes as f64);
        gauge!(STALLED_STORES.name, "stage" => self.stage).set(sizes.stalled as f64);
    }
}
