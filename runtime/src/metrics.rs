//! The runtime's metrics, and how a batch's observations are published.

use std::collections::BTreeMap;
use std::time::Duration;
#[cfg(feature = "native")]
use std::time::Instant;

use metrics::{counter, gauge, histogram};

use crate::log::{Batch, StageLog, Transaction};
use crate::metric::{Metric, MetricKind, Observations};
use crate::reason::Reason;
use crate::topic::Topic;

/// Open connections.
pub static HTTP_CONNECTIONS: Metric = Metric {
    name: "tributary_http_connections",
    kind: MetricKind::Gauge,
    label: "listener",
    values: &[],
    help: "Open connections to the listeners of metrics, probes and questions, by the setting that names the address.",
};
/// Connections cut.
pub static CONNECTIONS_CUT: Metric = Metric {
    name: "tributary_connections_cut_total",
    kind: MetricKind::Counter,
    label: "reason",
    values: &[],
    help: "Connections that a listener has ended by itself. silent, slow_head, idle: they had their time. displaced: all places were \
           taken, and this one was the idlest; address_full: all of one address. no_place: it was told to come again. Look at a growth of \
           the last three.",
};
/// Records read.
pub static RECORDS_IN: Metric = Metric {
    name: "tributary_records_in_total",
    kind: MetricKind::Counter,
    label: "topic",
    values: &[],
    help: "Records read and committed, by stage and topic.",
};
/// Records written.
pub static RECORDS_OUT: Metric = Metric {
    name: "tributary_records_out_total",
    kind: MetricKind::Counter,
    label: "topic",
    values: &[],
    help: "Records written and committed, by stage and topic.",
};
/// Records refused.
pub static DEAD_LETTERS: Metric = Metric {
    name: "tributary_dead_letters_total",
    kind: MetricKind::Counter,
    label: "reason",
    values: &[],
    help: "Events that could not be processed, by stage and reason. Look at any steady growth.",
};
/// Changes of the state.
pub static STATE_WRITES: Metric = Metric {
    name: "tributary_state_writes_total",
    kind: MetricKind::Counter,
    label: "",
    values: &[],
    help: "Values of the state that were changed and committed, by stage.",
};
/// Duration of commits.
pub static COMMIT_SECONDS: Metric = Metric {
    name: "tributary_commit_seconds",
    kind: MetricKind::Histogram,
    label: "",
    values: &[],
    help: "Duration of a commit, from the end of the batch to its acknowledgement, by stage.",
};
/// Size of batches.
pub static BATCH_RECORDS: Metric = Metric {
    name: "tributary_batch_records",
    kind: MetricKind::Histogram,
    label: "",
    values: &[],
    help: "Records a batch, by stage. Small while idle, large under load.",
};
/// End-to-end latency.
pub static CREDIT_LATENCY_SECONDS: Metric = Metric {
    name: "tributary_credit_latency_seconds",
    kind: MetricKind::Histogram,
    label: "",
    values: &[],
    help: "From the receipt of an event to the commit of the credit it caused; the oldest of each batch.",
};
/// Recoveries.
pub static RECOVERIES: Metric = Metric {
    name: "tributary_recoveries_total",
    kind: MetricKind::Counter,
    label: "",
    values: &[],
    help: "Transactions aborted and begun again from the committed offsets, by stage.",
};
/// Partitions owned.
pub static PARTITIONS_OWNED: Metric = Metric {
    name: "tributary_partitions_owned",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "Partitions this process works on, by stage. 0 for long: the group has more members than partitions.",
};
/// Consumer lag.
pub static CONSUMER_LAG_RECORDS: Metric = Metric {
    name: "tributary_consumer_lag_records",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "Committed records of an input that are not processed yet, by stage, topic and partition; absent while it is not known, and \
           where another process has the partition. Look when it grows for minutes, or is absent for minutes in all processes.",
};
/// Open transactions.
pub static HELD_UP_SECONDS: Metric = Metric {
    name: "tributary_held_up_seconds",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "How long the first open transaction in an input has kept its readers from what follows, by stage, topic and partition; 0 when \
           there is none, absent like the lag. Alert above 60: a hanging transaction; the log names its offset and the command that ends it.",
};
/// Last commit.
pub static LAST_COMMIT_SECONDS: Metric = Metric {
    name: "tributary_last_commit_timestamp_seconds",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "When a batch was last committed, seconds since 1970-01-01 UTC, by stage; absent before the first. Look if it is old while there is lag.",
};
/// Last poll.
pub static LAST_POLL_SECONDS: Metric = Metric {
    name: "tributary_last_poll_timestamp_seconds",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "When a stage was last ready to take records, seconds since 1970-01-01 UTC, by stage. Alert if it is older than a minute.",
};
/// Partitions that stand still.
pub static STOPPED_PARTITIONS: Metric = Metric {
    name: "tributary_stopped_partitions",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "1 while a partition of an input stands still because too much of it was refused, else 0, by stage, topic and partition. \
           The log and /readyz say what to do; alert on any that is 1.",
};
/// State on disk.
pub const STATE_BYTES: Metric = Metric {
    name: "tributary_state_bytes",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "Bytes of committed state of the partitions a worker owns, by stage; `all` on the embedded log, which keeps all in one.",
};
/// Memory of RocksDB.
pub const ROCKSDB_MEMORY_BYTES: Metric = Metric {
    name: "tributary_rocksdb_memory_bytes",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "Bytes of blocks, indexes, filters and write buffers of all stores of the process; bounded by the state budget.",
};

/// What runs.
pub static BUILD_INFO: Metric = Metric {
    name: "tributary_build_info",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "Always 1, with the version of the program and of the compiler that built it.",
};
/// Room on the disk.
pub static DISK_FREE_BYTES: Metric = Metric {
    name: "tributary_disk_free_bytes",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "Bytes that may still be written to the file system of state.path. Alert below a few times the write buffers, or 1 GB: a full \
           disk makes the workers wait.",
};

/// All metrics of this file.
pub static ALL: [&Metric; 20] = [
    &HTTP_CONNECTIONS,
    &CONNECTIONS_CUT,
    &RECORDS_IN,
    &RECORDS_OUT,
    &DEAD_LETTERS,
    &STATE_WRITES,
    &COMMIT_SECONDS,
    &BATCH_RECORDS,
    &CREDIT_LATENCY_SECONDS,
    &RECOVERIES,
    &PARTITIONS_OWNED,
    &CONSUMER_LAG_RECORDS,
    &HELD_UP_SECONDS,
    &LAST_COMMIT_SECONDS,
    &LAST_POLL_SECONDS,
    &STOPPED_PARTITIONS,
    &STATE_BYTES,
    &ROCKSDB_MEMORY_BYTES,
    &BUILD_INFO,
    &DISK_FREE_BYTES,
];

/// What a stage may count: every value of every label, so that counters begin at 0 and the first one counts as a rise.
#[derive(Debug, Clone, Copy)]
pub struct Counted {
    /// Its name, and the topics it reads and writes.
    pub log: StageLog,
    /// Why it refuses records.
    pub reasons: &'static [Reason],
    /// What it observes itself.
    pub observed: &'static [&'static Metric],
}

impl Counted {
    /// Sets every counter of the stage to 0 where it has no value yet.
    pub fn begin_at_zero(&self, more: &[&'static Metric]) {
        let StageLog { stage, inputs, .. } = self.log;
        for topic in inputs {
            counter!(RECORDS_IN.name, "stage" => stage, "topic" => topic.name()).increment(0);
        }
        // Dead letters are counted by their reasons.
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

pub(crate) fn polled(stage: &'static str, now_ms: i64) {
    gauge!(LAST_POLL_SECONDS.name, "stage" => stage).set(now_ms as f64 / 1000.0);
}

pub(crate) fn partitions_owned(stage: &'static str, count: usize) {
    gauge!(PARTITIONS_OWNED.name, "stage" => stage).set(count as f64);
}

pub(crate) fn stopped(stage: &'static str, topic: Topic, partition: u32, stopped: bool) {
    let labels = [("stage", stage.to_owned()), ("topic", topic.name().to_owned()), ("partition", partition.to_string())];
    gauge!(STOPPED_PARTITIONS.name, &labels).set(if stopped { 1.0 } else { 0.0 });
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
