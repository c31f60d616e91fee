//! What the collector counts.

use tributary_runtime::metric::{Metric, MetricKind};

/// Requests answered.
pub static REQUESTS: Metric = Metric {
    name: "tributary_collector_requests_total",
    kind: MetricKind::Counter,
    label: "outcome",
    help: "Requests answered, by route and outcome: ok, or the code of the refusal. busy and log_away: senders have to wait, look at the log.",
};
/// Records stored.
pub static RECORDS: Metric = Metric {
    name: "tributary_collector_records_total",
    kind: MetricKind::Counter,
    label: "topic",
    help: "Records that the log has confirmed, by raw topic.",
};
/// Bytes stored.
pub static BYTES: Metric = Metric {
    name: "tributary_collector_bytes_total",
    kind: MetricKind::Counter,
    label: "topic",
    help: "Bytes of the records that the log has confirmed, by raw topic.",
};
/// Duration of requests.
pub static REQUEST_SECONDS: Metric = Metric {
    name: "tributary_collector_request_seconds",
    kind: MetricKind::Histogram,
    label: "",
    help: "From the head of a request to its answer, by route; the wait for the log is in it.",
};
/// What waits.
pub static QUEUE_BYTES: Metric = Metric {
    name: "tributary_collector_queue_bytes",
    kind: MetricKind::Gauge,
    label: "",
    help: "Bytes of records that wait for the log. At collector.queue_mb requests are answered 503.",
};
/// Open connections.
pub static CONNECTIONS: Metric = Metric {
    name: "tributary_collector_connections",
    kind: MetricKind::Gauge,
    label: "",
    help: "Open connections. At collector.connections_max further ones wait.",
};

/// All metrics of the collector.
pub static ALL: [&Metric; 6] = [&REQUESTS, &RECORDS, &BYTES, &REQUEST_SECONDS, &QUEUE_BYTES, &CONNECTIONS];
