//! Metrics of the log on Kafka.

use metrics::{counter, gauge};

use crate::metrics::kafka::{BROKERS_REACHABLE, FENCED, RESTORE_REMAINING_RECORDS, RESTORED_RECORDS, RESTORING_PARTITIONS};

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
