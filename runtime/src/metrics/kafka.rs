//! The metrics of a process on Kafka.

use crate::metric::{Metric, MetricKind};

/// Brokers reached.
pub static BROKERS_REACHABLE: Metric = Metric {
    name: "tributary_brokers_reachable",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "Brokers that this process is connected to and that answer. 0: there are none, nothing is read or committed, and other \
           metrics about brokers are absent.",
};
/// Workers fenced by another process.
pub static FENCED: Metric = Metric {
    name: "tributary_fenced_total",
    kind: MetricKind::Counter,
    label: "",
    values: &[],
    help: "Transactions refused because another producer has the transactional id, or the transaction timed out, by stage. More \
           than one in minutes: two processes with the same instance name.",
};
/// Restored records.
pub static RESTORED_RECORDS: Metric = Metric {
    name: "tributary_restored_records_total",
    kind: MetricKind::Counter,
    label: "",
    values: &[],
    help: "Changelog records applied to local state, by stage.",
};
/// Records left to restore.
pub static RESTORE_REMAINING_RECORDS: Metric = Metric {
    name: "tributary_restore_remaining_records",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "Changelog offsets still to be read for the partition being restored, by stage; 0 when none is.",
};
/// Partitions whose state is being restored.
pub static RESTORING_PARTITIONS: Metric = Metric {
    name: "tributary_restoring_partitions",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "Owned partitions whose state is not restored yet, by stage. Ready means 0.",
};

/// All metrics of this file.
pub static ALL: [&Metric; 5] =
    [&BROKERS_REACHABLE, &FENCED, &RESTORED_RECORDS, &RESTORE_REMAINING_RECORDS, &RESTORING_PARTITIONS];
