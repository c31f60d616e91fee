//! Metrics of the log on Kafka.

use metrics::{counter, gauge};

use crate::metric::{Metric, MetricKind};

/// Brokers reached.
pub const BROKERS_REACHABLE: Metric = Metric {
    name: "tributary_brokers_reachable",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "Brokers to which a connection of this process stands, and who answer. 0: none does, nothing is read or committed, and what \
           else is told of the brokers is absent.",
};
/// Fencings.
pub const FENCED: Metric = Metric {
    name: "tributary_fenced_total",
    kind: MetricKind::Counter,
    label: "",
    values: &[],
    help: "Transactions refused because another producer has the transactional id, or the transaction timed out, by stage. More \
           than one in minutes: two processes with the same instance name.",
};
/// Restored records.
pub const RESTORED_RECORDS: Metric = Metric {
    name: "tributary_restored_records_total",
    kind: MetricKind::Counter,
    label: "",
    values: &[],
    help: "Changelog records applied to local state, by stage.",
};
/// What is left to restore.
pub const RESTORE_REMAINING_RECORDS: Metric = Metric {
    name: "tributary_restore_remaining_records",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "Changelog offsets still to be read for the partition being restored, by stage; 0 when none is.",
};
/// Partitions waiting for their state.
pub const RESTORING_PARTITIONS: Metric = Metric {
    name: "tributary_restoring_partitions",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "Owned partitions whose state is not restored yet, by stage. Ready means 0.",
};

/// All metrics of this file.
pub const ALL: [&Metric; 5] =
    [&BROKERS_REACHABLE, &FENCED, &RESTORED_RECORDS, &RESTORE_REMAINING_RECORDS, &RESTORING_PARTITIONS];

pub(super) fn brokers_reachable(count: usize) {
    gauge!(BROKERS_REACHABLE.name).set(count as f64);
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
