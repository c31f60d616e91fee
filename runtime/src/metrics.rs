//! The runtime's metrics, and how a batch's observations are published.

use std::collections::BTreeMap;
use std::time::Duration;
#[cfg(feature = "native")]
use std::time::Instant;

use metrics::{counter, gauge, histogram};

use crate::log::{Batch, Transaction};
use crate::metric::{Metric, MetricKind, Observations};
use crate::topic::Topic;

/// Records read.
pub static RECORDS_IN: Metric = Metric {
    name: "tributary_records_in_total",
    kind: MetricKind::Counter,
    label: "topic",
    help: "Records read and committed, by stage and topic.",
};
/// Records written.
pub static RECORDS_OUT: Metric = Metric {
    name: "tributary_records_out_total",
    kind: MetricKind::Counter,
    label: "topic",
    help: "Records written and committed, by stage and topic.",
};
/// Records refused.
pub static DEAD_LETTERS: Metric = Metric {
    name: "tributary_dead_letters_total",
    kind: MetricKind::Counter,
    label: "reason",
    help: "Events that could not be processed, by stage and reason. Look at any steady growth.",
};
/// Changes of the state.
pub static STATE_WRITES: Metric = Metric {
    name: "tributary_state_writes_total",
    kind: MetricKind::Counter,
    label: "",
    help: "Values of the state that were changed and committed, by stage.",
};
/// Duration of commits.
pub static COMMIT_SECONDS: Metric = Metric {
    name: "tributary_commit_seconds",
    kind: MetricKind::Histogram,
    label: "",
    help: "Duration of a commit, from the end of the batch to its acknowledgement, by stage.",
};
/// Size of batches.
pub static BATCH_RECORDS: Metric = Metric {
    name: "tributary_batch_records",
    kind: MetricKind::Histogram,
    label: "",
    help: "Records a batch, by stage. Small while idle, large under load.",
};
/// End-to-end latency.
pub static CREDIT_LATENCY_SECONDS: Metric = Metric {
    name: "tributary_credit_latency_seconds",
    kind: MetricKind::Histogram,
    label: "",
    help: "From the receipt of an event to the commit of the credit it caused; the oldest of each batch.",
};
/// Recoveries.
pub static RECOVERIES: Metric = Metric {
    name: "tributary_recoveries_total",
    kind: MetricKind::Counter,
    label: "",
    help: "Transactions aborted and begun again from the committed offsets, by stage.",
};
/// Partitions owned.
pub static PARTITIONS_OWNED: Metric = Metric {
    name: "tributary_partitions_owned",
    kind: MetricKind::Gauge,
    label: "",
    help: "Partitions this process works on, by stage. 0 for long: the group has more members than partitions.",
};
/// State on disk.
pub const STATE_BYTES: Metric = Metric {
    name: "tributary_state_bytes",
    kind: MetricKind::Gauge,
    label: "",
    help: "Bytes of committed state of the partitions a worker owns, by stage; `all` on the embedded log, which keeps all in one.",
};
/// Memory of RocksDB.
pub const ROCKSDB_MEMORY_BYTES: Metric = Metric {
    name: "tributary_rocksdb_memory_bytes",
    kind: MetricKind::Gauge,
    label: "",
    help: "Bytes of blocks, indexes, filters and write buffers of all stores of the process; bounded by the state budget.",
};

/// All metrics of this file.
pub static ALL: [&Metric; 11] = [
    &RECORDS_IN,
    &RECORDS_OUT,
    &DEAD_LETTERS,
    &STATE_WRITES,
    &COMMIT_SECONDS,
    &BATCH_RECORDS,
    &CREDIT_LATENCY_SECONDS,
    &RECOVERIES,
    &PARTITIONS_OWNED,
    &STATE_BYTES,
    &ROCKSDB_MEMORY_BYTES,
];

/// What is to be published of a batch once it is committed.
pub(crate) struct BatchSummary {
    stage: &'static str,
    records: usize,
    records_in: BTreeMap<Topic, u64>,
    records_out: BTreeMap<Topic, u64>,
    dead: BTreeMap<String, u64>,
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
        for (topic, count) in self.records_in {
            counter!(RECORDS_IN.name, "stage" => stage, "topic" => topic.name()).increment(count);
        }
        for (topic, count) in self.records_out {
            counter!(RECORDS_OUT.name, "stage" => stage, "topic" => topic.name()).increment(count);
        }
        for (reason, count) in self.dead {
            counter!(DEAD_LETTERS.name, "stage" => stage, "reason" => reason).increment(count);
        }
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

/// Publishes what a stage observed.
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
    for (metric, value) in observations.samples() {
        histogram!(metric.name, "stage" => stage).record(*value as f64);
    }
}

pub(crate) fn count_recovery(stage: &'static str) {
    counter!(RECOVERIES.name, "stage" => stage).increment(1);
}

pub(crate) fn partitions_owned(stage: &'static str, count: usize) {
    gauge!(PARTITIONS_OWNED.name, "stage" => stage).set(count as f64);
}

/// Publishes how large the state is, every few seconds: asking for it is not free.
#[cfg(feature = "native")]
#[derive(Debug)]
pub(crate) struct StateSizes {
    stage: &'static str,
    published: Instant,
}

#[cfg(feature = "native")]
impl StateSizes {
    const EVERY: Duration = Duration::from_secs(5);

    /// Of a stage's state, or of that of `all`.
    pub fn of(stage: &'static str) -> Self {
        Self { stage, published: Instant::now() }
    }

    /// Publishes what `measure` says, if it is time: bytes of the state on disk, and bytes of memory that RocksDB uses.
    pub fn publish(&mut self, measure: impl FnOnce() -> (u64, usize)) {
        if self.published.elapsed() < Self::EVERY {
            return;
        }
        self.published = Instant::now();
        let (bytes, memory) = measure();
        gauge!(STATE_BYTES.name, "stage" => self.stage).set(bytes as f64);
        gauge!(ROCKSDB_MEMORY_BYTES.name).set(memory as f64);
    }
}
