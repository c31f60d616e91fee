//! The result of an audit as metrics, in a file that the node exporter's [textfile collector] reads.
//!
//! A running process cannot count this exactly: its counters end with it, and a stage stores a touch without checking for duplicates. An
//! audit can.
//!
//! [textfile collector]: https://github.com/prometheus/node_exporter#textfile-collector

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use metrics::{describe_gauge, gauge, with_local_recorder};
use metrics_exporter_prometheus::PrometheusBuilder;
use tributary_pipeline::catalogue::{
    AUDIT, AUDIT_CREDIT_VALUE, AUDIT_CREDIT_WEIGHT, AUDIT_IMBALANCES, AUDIT_OUTCOMES, AUDIT_PRODUCED, AUDIT_TIME,
};
use tributary_runtime::topic::Topic;

use super::{Account, Credits, Records};

/// Writes the result of an audit at `now_ms`, milliseconds since 1970-01-01 UTC. Replaces the file atomically.
///
/// # Errors
/// When the file, or its temporary file, cannot be written.
pub fn write_metrics(file: &Path, records: Option<&Records>, credits: &Credits, now_ms: i64) -> io::Result<()> {
    let mut draft = file.as_os_str().to_owned();
    // The temporary name: the textfile collector reads only files that end in `.prom`.
    draft.push(".new");
    fs::write(&draft, render(records, credits, now_ms))?;
    // It contains only counts, and the textfile collector may run as another user.
    fs::set_permissions(&draft, Permissions::from_mode(0o644))?;
    fs::rename(&draft, file)
}

fn render(records: Option<&Records>, credits: &Credits, now_ms: i64) -> String {
    let recorder = PrometheusBuilder::new().build_recorder();
    with_local_recorder(&recorder, || {
        AUDIT.iter().for_each(|metric| describe_gauge!(metric.name, metric.help));
        for ((topic, partition), account) in records.iter().flat_map(|records| &records.accounts) {
            publish(*topic, *partition, account);
        }
        for ((kind, model, channel, currency), sum) in credits.earned.iter() {
            let labels = [
                ("kind", kind.clone()),
                ("model", model.clone()),
                ("channel", channel.clone()),
                ("currency", currency.clone()),
            ];
            gauge!(AUDIT_CREDIT_WEIGHT.name, &labels).set(sum.weight_nano as f64);
            gauge!(AUDIT_CREDIT_VALUE.name, &labels).set(sum.value_minor as f64);
        }
        gauge!(AUDIT_IMBALANCES.name).set(credits.imbalances.len() as f64);
        gauge!(AUDIT_TIME.name).set(now_ms as f64 / 1000.0);
    });
    recorder.handle().render()
}

fn publish(topic: Topic, partition: u32, account: &Account) {
    let place = [("topic", topic.name().to_owned()), ("partition", partition.to_string())];
    gauge!(AUDIT_PRODUCED.name, &place).set(account.produced as f64);
    for (outcome, count) in account.outcomes() {
        let [topic, partition] = place.clone();
        gauge!(AUDIT_OUTCOMES.name, &[topic, partition, ("outcome", outcome.to_owned())]).set(count as f64);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn every_partition_has_what_was_produced_and_what_became_of_it() {
        let account = Account { records: 9, produced: 10, applied: 6, duplicate: 3, missing: 1, ..Account::default() };
        let records = Records { accounts: BTreeMap::from([((Topic::Utm, 3), account)]), wrong: Vec::new() };
        let credits = Credits { updates: 0, milestones: 0, rows: 0, imbalances: Vec::new(), earned: Default::default() };

        let text = render(Some(&records), &credits, 1_500);
        let mut lines: Vec<_> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
        lines.sort_unstable();
        let outcome =
            |name, count| format!("tributary_audit_outcomes{{topic=\"utm\",partition=\"3\",outcome=\"{name}\"}} {count}");
        let expected = [
            "tributary_audit_credit_imbalances 0".to_owned(),
            outcome("applied", 6),
            outcome("dead", 0),
            outcome("dropped", 0),
            outcome("duplicate", 3),
            outcome("erased", 0),
            outcome("missing", 1),
            outcome("newer", 0),
            outcome("surplus", 0),
            outcome("waiting", 0),
            "tributary_audit_produced{topic=\"utm\",partition=\"3\"} 10".to_owned(),
            "tributary_audit_timestamp_seconds 1.5".to_owned(),
        ];
        assert_eq!(lines, expected);
    }
}
