//! What ingest counts.

use tributary_runtime::metric::{Metric, MetricKind};
use tributary_runtime::topic::Topic;

/// The raw inputs.
const INPUTS: [&str; 4] = [Topic::Sdk.name(), Topic::Utm.name(), Topic::Webhook.name(), Topic::Offline.name()];

/// Events decoded, by raw input.
pub static EVENTS: Metric = Metric {
    name: "tributary_ingest_events_total",
    kind: MetricKind::Counter,
    label: "topic",
    values: &INPUTS,
    help: "Events, and records of spend, decoded and passed on, by raw input. A source that stands still while its topic grows: look at the dead letters.",
};

/// Identifiers dropped because their value names nobody.
pub static IDENTIFIERS_BLOCKED: Metric = Metric {
    name: "tributary_ingest_identifiers_blocked_total",
    kind: MetricKind::Counter,
    label: "topic",
    values: &INPUTS,
    help: "Identifiers dropped because their value is blocked (null, anonymous, all zeros, ...). A sudden rise: a sender broke.",
};

/// External ids dropped because nobody declared their kind.
pub static IDENTIFIERS_UNDECLARED: Metric = Metric {
    name: "tributary_ingest_identifiers_undeclared_total",
    kind: MetricKind::Counter,
    label: "topic",
    values: &INPUTS,
    help: "External ids of SDK messages dropped because no identifier kind of that name is declared. Declare the kind to use them.",
};

/// Messages of bots.
pub static MESSAGES_OF_BOTS: Metric = Metric {
    name: "tributary_ingest_messages_of_bots_total",
    kind: MetricKind::Counter,
    label: "topic",
    values: &INPUTS,
    help: "SDK messages that would have been touches, dropped because their user agent is a crawler's, a monitor's or a library's.",
};

/// Messages that are no event.
pub static MESSAGES_WITHOUT_EVENT: Metric = Metric {
    name: "tributary_ingest_messages_without_event_total",
    kind: MetricKind::Counter,
    label: "topic",
    values: &INPUTS,
    help: "Messages that say nothing of a touch, milestone or person: an internal page view without id, a CRM's change of no interest.",
};

/// All metrics of ingest.
pub static ALL: [&Metric; 5] =
    [&EVENTS, &IDENTIFIERS_BLOCKED, &IDENTIFIERS_UNDECLARED, &MESSAGES_OF_BOTS, &MESSAGES_WITHOUT_EVENT];
