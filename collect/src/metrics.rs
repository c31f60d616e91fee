//! Metrics of the collector.

#[cfg(feature = "native")]
mod counting;

use tributary_runtime::metric::{Metric, MetricKind};

#[cfg(feature = "native")]
pub use counting::begin_at_zero;
#[cfg(feature = "native")]
pub(crate) use counting::{OK, PIXEL, SEGMENT, UTM, WEBHOOK};

/// Requests answered.
pub static REQUESTS: Metric = Metric {
    name: "tributary_collector_requests_total",
    kind: MetricKind::Counter,
    label: "outcome",
    values: &[],
    help: "Requests answered, by route and outcome: ok, or the code of the refusal. busy and log_away: senders must retry; check the log.",
};
/// Records stored.
pub static RECORDS: Metric = Metric {
    name: "tributary_collector_records_total",
    kind: MetricKind::Counter,
    label: "topic",
    values: &[],
    help: "Records that the log has confirmed, by raw topic.",
};
/// Bytes stored.
pub static BYTES: Metric = Metric {
    name: "tributary_collector_bytes_total",
    kind: MetricKind::Counter,
    label: "topic",
    values: &[],
    help: "Bytes of the records that the log has confirmed, by raw topic.",
};
/// Duration of requests.
pub static REQUEST_SECONDS: Metric = Metric {
    name: "tributary_collector_request_seconds",
    kind: MetricKind::Histogram,
    label: "",
    values: &[],
    help: "From the head of a request to its answer, by route; the wait for the log is in it.",
};
/// Bytes waiting for the log.
pub static QUEUE_BYTES: Metric = Metric {
    name: "tributary_collector_queue_bytes",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "Bytes of bodies in flight and of records that wait for the log. At collector.queue_mb requests are answered 503.",
};
/// Open connections.
pub static CONNECTIONS: Metric = Metric {
    name: "tributary_collector_connections",
    kind: MetricKind::Gauge,
    label: "",
    values: &[],
    help: "Open connections. At collector.connections_max a further one replaces the idlest.",
};

/// All metrics of the collector.
pub static ALL: [&Metric; 6] = [&REQUESTS, &RECORDS, &BYTES, &REQUEST_SECONDS, &QUEUE_BYTES, &CONNECTIONS];
