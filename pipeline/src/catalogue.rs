//! The catalogue of all metrics: `tributary metrics` lists it, and tests check `docs/metrics.md`, the rules and the dashboards against it
//! (`tests/catalogue.rs`).
//!
//! ```
//! let names: Vec<&str> = tributary_pipeline::catalogue::metrics().map(|metric| metric.name).collect();
//! assert!(names.contains(&"tributary_consumer_lag_records"));
//! ```

use tributary_runtime::metric::{Metric, MetricKind};

/// The metrics of one part.
#[derive(Debug, Clone, Copy)]
pub struct Group {
    /// The part that publishes them, and when.
    pub title: &'static str,
    /// The metrics.
    pub metrics: &'static [&'static Metric],
}

/// All metrics, in the order of `docs/metrics.md`.
pub const GROUPS: [Group; 8] = [
    Group { title: "Every process", metrics: &tributary_runtime::metrics::ALL },
    Group { title: "A process on Kafka", metrics: &tributary_runtime::metrics::kafka::ALL },
    Group { title: "The collector", metrics: &tributary_collect::metrics::ALL },
    Group { title: "The stage ingest", metrics: &tributary_ingest::metrics::ALL },
    Group { title: "The stage identity", metrics: &tributary_identity::metrics::ALL },
    Group { title: "The stage attributor", metrics: &tributary_attributor::metrics::ALL },
    Group { title: "The file of `tributary audit --metrics`", metrics: &AUDIT },
    Group { title: "The operating system, of every process", metrics: &PROCESS },
];

/// All metrics.
pub fn metrics() -> impl Iterator<Item = &'static Metric> {
    GROUPS.iter().flat_map(|group| group.metrics).copied()
}

const fn gauge(name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Gauge, label: "", values: &[], help }
}

/// Contents of the raw records.
pub static AUDIT_PRODUCED: Metric = gauge(
    "tributary_audit_produced",
    "What the raw records of a partition hold, by topic and partition: events, and what was refused.",
);
/// What became of the raw records.
pub static AUDIT_OUTCOMES: Metric = gauge(
    "tributary_audit_outcomes",
    "What became of what was produced, by topic, partition and outcome. All but surplus sum to what was produced. Look at any missing or surplus.",
);
/// Credit that does not sum to the whole.
pub static AUDIT_IMBALANCES: Metric =
    gauge("tributary_audit_credit_imbalances", "Milestones and models whose credit updates do not add up. Look at any.");
/// Credit of channels, in milestones.
pub static AUDIT_CREDIT_WEIGHT: Metric = gauge(
    "tributary_audit_credit_weight_nano",
    "Credit in billionths of milestones, by kind of milestone, model, channel and currency; the channel `unattributed` has that of empty \
     journeys, `other` that of all beyond the sixty with most.",
);
/// Credit of channels, in money.
pub static AUDIT_CREDIT_VALUE: Metric =
    gauge("tributary_audit_credit_value_minor", "Credit in minor units of the currency, by the same.");
/// When the audit was made.
pub static AUDIT_TIME: Metric =
    gauge("tributary_audit_timestamp_seconds", "When the audit ended, seconds since 1970-01-01 UTC. Look if it grows old.");

/// The metrics that an audit writes.
pub static AUDIT: [&Metric; 6] =
    [&AUDIT_PRODUCED, &AUDIT_OUTCOMES, &AUDIT_IMBALANCES, &AUDIT_CREDIT_WEIGHT, &AUDIT_CREDIT_VALUE, &AUDIT_TIME];

/// The metrics of the crate `metrics-process`, with its descriptions.
static PROCESS: [&Metric; 8] = [
    &Metric {
        kind: MetricKind::Counter,
        ..gauge("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.")
    },
    &gauge("process_open_fds", "Number of open file descriptors."),
    &gauge("process_max_fds", "Maximum number of open file descriptors."),
    &gauge("process_virtual_memory_bytes", "Virtual memory size in bytes."),
    &gauge("process_virtual_memory_max_bytes", "Maximum amount of virtual memory available in bytes."),
    &gauge("process_resident_memory_bytes", "Resident memory size in bytes."),
    &gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds."),
    &gauge("process_threads", "Number of OS threads in the process."),
];

/// The tables of `docs/metrics.md`.
pub fn markdown() -> String {
    let mut text = String::new();
    for group in GROUPS {
        text += &format!("## {}\n\n| metric | type | unit | what it says |\n|---|---|---|---|\n", group.title);
        for metric in group.metrics {
            let help = metric.help.replace('|', "\\|");
            text += &format!("| `{}` | {} | {} | {help} |\n", metric.name, metric.kind.name(), metric.unit());
        }
        text += "\n";
    }
    text.truncate(text.trim_end().len());
    text + "\n"
}
