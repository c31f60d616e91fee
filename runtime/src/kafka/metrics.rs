//! Metrics of the log on Kafka.

use std::time::Duration;

use metrics::{counter, gauge};

use crate::metric::{Metric, MetricKind};

/// Consumer lag.
pub const CONSUMER_LAG_RECORDS: Metric = Metric {
    name: "tributary_consumer_lag_records",
    kind: MetricKind::Gauge,
    label: "partition",
    help: "Committed records of an input (`topic/partition`) that are not processed yet, by stage; absent while unknown, 0 once the \
           partition belongs to another process. Look when it grows for minutes.",
};
/// Open transactions.
pub const HELD_UP_SECONDS: Metric = Metric {
    name: "tributary_held_up_seconds",
    kind: MetricKind::Gauge,
    label: "partition",
    help: "How long the first open transaction in an input (`topic/partition`) has kept its readers from what follows, by stage; 0 \
           when there is none. Alert above 60: a hanging transaction; the log names its offset and the command that ends it.",
};
/// Fencings.
pub const FENCED: Metric = Metric {
    name: "tributary_fenced_total",
    kind: MetricKind::Counter,
    label: "",
    help: "Transactions refused because another producer has the transactional id, or the transaction timed out, by stage. More \
           than one in minutes: two processes with the same instance name.",
};
/// Restored records.
pub const RESTORED_RECORDS: Metric = Metric {
    name: "tributary_restored_records_total",
    kind: MetricKind::Counter,
    label: "",
    help: "Changelog records applied to local state, by stage.",
};
/// What is left to restore.
pub const RESTORE_REMAINING_RECORDS: Metric = Metric {
    name: "tributary_restore_remaining_records",
    kind: MetricKind::Gauge,
    label: "",
    help: "Changelog offsets still to be read for the partition being restored, by stage; 0 when none is.",
};
/// Partitions waiting for their state.
pub const RESTORING_PARTITIONS: Metric = Metric {
    name: "tributary_restoring_partitions",
    kind: MetricKind::Gauge,
    label: "",
    help: "Owned partitions whose state is not restored yet, by stage. Ready means 0.",
};

/// All metrics of this file.
pub const ALL: [&Metric; 6] =
    [&CONSUMER_LAG_RECORDS, &HELD_UP_SECONDS, &FENCED, &RESTORED_RECORDS, &RESTORE_REMAINING_RECORDS, &RESTORING_PARTITIONS];

pub(super) fn lag(stage: &'static str, topic: &str, partition: u32, records: u64) {
    gauge!(CONSUMER_LAG_RECORDS.name, "stage" => stage, "partition" => format!("{topic}/{partition}")).set(records as f64);
}

pub(super) fn held_up(stage: &'static str, topic: &str, partition: u32, since: Duration) {
    gauge!(HELD_UP_SECONDS.name, "stage" => stage, "partition" => format!("{topic}/{partition}")).set(since.as_secs_f64());
}

pub(super) fn fenced(stage: &'static str) {
    counter!(FENCED.name, "stage" => stage).increment(1);
}

pub(super) fn restored(stage: &'static str, records: u64, remaining: u64) {
    counter!(RESTORED_RECORDS.name, "stage" => stage).increment(records);
    gauge!(RESTORE_REMAINING_RECORDS.name, "stage" => stage).set(remaining as f64);
}

pub(super) fn restoring(stage: &'static str, partitions: usize) {
    gauge!(RESTORING_PARTITIONS.name, "stage" => stage).set(partitions as f64);
}
