//! What the identity stage counts.

use tributary_runtime::metric::{Metric, MetricKind};

/// Components that became one.
pub static MERGES: Metric = Metric {
    name: "tributary_identity_merges_total",
    kind: MetricKind::Counter,
    label: "",
    help: "Components that were absorbed by another.",
};
/// Identifiers first seen.
pub static IDENTIFIERS: Metric = Metric {
    name: "tributary_identity_identifiers_total",
    kind: MetricKind::Counter,
    label: "",
    help: "Identifiers seen for the first time.",
};
/// Size of components.
pub static COMPONENT_MEMBERS: Metric = Metric {
    name: "tributary_identity_component_members",
    kind: MetricKind::Histogram,
    label: "",
    help: "Identifiers in a component that was computed again. Thousands: look for a value that many people share.",
};
/// Placements told.
pub static PLACEMENTS: Metric = Metric {
    name: "tributary_identity_placements_total",
    kind: MetricKind::Counter,
    label: "",
    help: "Identifiers whose profile, unit, role or consent changed.",
};
/// Shared identifiers found.
pub static SHARED: Metric = Metric {
    name: "tributary_identity_shared_total",
    kind: MetricKind::Counter,
    label: "",
    help: "Identifiers found to be shared by too many people; they join nobody from then on.",
};
/// Quarantined members.
pub static QUARANTINED: Metric = Metric {
    name: "tributary_identity_quarantined_members",
    kind: MetricKind::Gauge,
    label: "",
    help: "Identifiers in clusters over the limit, in the component computed last. Above 0: look at identity.max_cluster.",
};

/// All metrics of this crate.
pub static ALL: [&Metric; 6] = [&MERGES, &IDENTIFIERS, &COMPONENT_MEMBERS, &PLACEMENTS, &SHARED, &QUARANTINED];
