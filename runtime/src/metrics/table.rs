//! The metrics of every process.

use crate::metric::{Metric, MetricKind};

/// Open connections.
pub static HTTP_CONNECTIONS: Metric = Metric {
    name: "tributary_http_connections",
    kind: MetricKind::Gauge,
    label: "listener",
    values: &[],
    help: "Open connections to the listeners of metrics, probes and admin requests, by the setting that names the address.",
};
/// Connections cut.
pub static CONNECTIONS_CUT: Metric = Metric {
    name: "tributary_connections_cut_total",
    kind: MetricKind::Counter,
    label: "reason",
    values: &[],
    help: "Connections that a listener has ended by itself. silent, slow_head, idle: it exceeded a time limit. displaced: the limit of \
           connections was reached, and this one was idle for longest; address_full: the same for one address. no_place: the caller was \
           asked to try again. Look at growth of the last three.",
};
/// Erasure requests that are open.
pub static ERASURE_REQUESTS_OPEN: Metric = Metric {
    name: "tributary_erasure_requests_open",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "Open requests to erase a person (topic erasure-requests), by processes with the stage \
           identity, counted once a minute. Look at any that stays for a quarter of an hour.",
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
/// Direct messages.
pub static DIRECT_MESSAGES: Metric = Metric {
    name: "tributary_direct_messages_total",
    kind: MetricKind::Counter,
    label: "",
    values: &[],
    help: "Messages between two partitions of one worker that were handled without the log, by stage. They are only where one worker has all \
           partitions of its stage.",
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
    help: "Transactions aborted and retried from the committed offsets, by stage.",
};
/// Partitions owned.
pub static PARTITIONS_OWNED: Metric = Metric {
    name: "tributary_partitions_owned",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "Partitions this process works on, by stage. 0 for long: the group has more members than partitions.",
};
/// Partitions being recomputed after a change of settings.
pub static REMODELLING_PARTITIONS: Metric = Metric {
    name: "tributary_remodelling_partitions",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "Partitions of this process that are being recomputed after changed settings, by stage: until then they also have rows of the former settings. /readyz and the log show the progress.",
};
/// Rebalances.
pub static REBALANCES: Metric = Metric {
    name: "tributary_rebalances_total",
    kind: MetricKind::Counter,
    label: "",
    values: &[],
    help: "Partitions assigned to or revoked from a worker, by stage. Several a minute for long: members come and go, or are too slow for \
           their group.",
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
/// Duration of open transactions that hold up readers.
pub static HELD_UP_SECONDS: Metric = Metric {
    name: "tributary_held_up_seconds",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "How long the first open transaction in an input has kept its readers from what follows, by stage, topic and partition; 0 when \
           there is none, absent like the lag. Alert above 60: a hanging transaction; the log names its offset and the command that ends it.",
};
/// Time of the last commit.
pub static LAST_COMMIT_SECONDS: Metric = Metric {
    name: "tributary_last_commit_timestamp_seconds",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "When a batch was last committed, seconds since 1970-01-01 UTC, by stage; absent before the first. Look if it is old while there is lag.",
};
/// Time of the last poll.
pub static LAST_POLL_SECONDS: Metric = Metric {
    name: "tributary_last_poll_timestamp_seconds",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "When a stage was last ready to take records, seconds since 1970-01-01 UTC, by stage. Alert if it is older than a minute.",
};
/// Stopped partitions.
pub static STOPPED_PARTITIONS: Metric = Metric {
    name: "tributary_stopped_partitions",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "1 while a partition of an input is stopped because too many of its records were refused, else 0, by stage, topic and partition. \
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
/// Stores whose writes are slowed or stopped.
pub static STALLED_STORES: Metric = Metric {
    name: "tributary_rocksdb_stalled_stores",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "Stores, or families of the embedded log, whose writes RocksDB slows or has stopped because flushes and compactions do not keep up, \
           by stage; `all` on the embedded log. Look if it is not 0 for minutes: the disk is too slow.",
};
/// Version of the running program.
pub static BUILD_INFO: Metric = Metric {
    name: "tributary_build_info",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "Always 1, with the version of the program and of the compiler that built it.",
};
/// Free space on the disk.
pub static DISK_FREE_BYTES: Metric = Metric {
    name: "tributary_disk_free_bytes",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "Bytes that may still be written to the file system of state.path. Alert below a few times the write buffers, or 1 GB: a full \
           disk makes the workers wait.",
};

/// All metrics of this file.
pub static ALL: [&Metric; 25] = [
    &HTTP_CONNECTIONS,
    &CONNECTIONS_CUT,
    &ERASURE_REQUESTS_OPEN,
    &RECORDS_IN,
    &RECORDS_OUT,
    &DEAD_LETTERS,
    &DIRECT_MESSAGES,
    &STATE_WRITES,
    &COMMIT_SECONDS,
    &BATCH_RECORDS,
    &CREDIT_LATENCY_SECONDS,
    &RECOVERIES,
    &PARTITIONS_OWNED,
    &REMODELLING_PARTITIONS,
    &REBALANCES,
    &CONSUMER_LAG_RECORDS,
    &HELD_UP_SECONDS,
    &LAST_COMMIT_SECONDS,
    &LAST_POLL_SECONDS,
    &STOPPED_PARTITIONS,
    &STATE_BYTES,
    &ROCKSDB_MEMORY_BYTES,
    &STALLED_STORES,
    &BUILD_INFO,
    &DISK_FREE_BYTES,
];
