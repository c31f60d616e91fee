//! Metrics of the identity stage.

use tributary_runtime::metric::{Metric, MetricKind};

/// Merges of components.
pub static MERGES: Metric = Metric {
    name: "tributary_identity_merges_total",
    kind: MetricKind::Counter,
    label: "",
    values: &[],
    help: "Components that were absorbed by another.",
};
/// New identifiers.
pub static IDENTIFIERS: Metric = Metric {
    name: "tributary_identity_identifiers_total",
    kind: MetricKind::Counter,
    label: "",
    values: &[],
    help: "Identifiers seen for the first time.",
};
/// Size of clusters.
pub static CLUSTER_MEMBERS: Metric = Metric {
    name: "tributary_identity_cluster_members",
    kind: MetricKind::Histogram,
    label: "",
    values: &[],
    help: "Identifiers in a cluster that was computed again. Thousands: look for a value that many people share.",
};
/// Placements sent.
pub static PLACEMENTS: Metric = Metric {
    name: "tributary_identity_placements_total",
    kind: MetricKind::Counter,
    label: "",
    values: &[],
    help: "Identifiers whose profile, unit, role or consent changed.",
};
/// Identifiers that became shared.
pub static SHARED: Metric = Metric {
    name: "tributary_identity_shared_total",
    kind: MetricKind::Counter,
    label: "",
    values: &[],
    help: "Identifiers found to be shared by too many people; they join nobody from then on.",
};
/// Identifiers that entered or left quarantine.
pub static QUARANTINED: Metric = Metric {
    name: "tributary_identity_quarantined_total",
    kind: MetricKind::Counter,
    label: "outcome",
    values: &["entered", "left"],
    help: "Identifiers whose cluster has become larger than identity.max_cluster (entered) or no longer is (left). More entered than left: look for the profiles published with quarantined.",
};
/// Void events.
pub static ERASED: Metric = Metric {
    name: "tributary_identity_erased_total",
    kind: MetricKind::Counter,
    label: "what",
    values: &["event", "version", "touch", "retracted"],
    help: "Events refused because they name an identifier that is erased up to a later time (event), milestone versions among them (version), and touches of the hour of such an erasure (touch); and touches that were retracted before they arrived (retracted).",
};
/// Clusters whose computation was deferred.
pub static PUT_OFF: Metric = Metric {
    name: "tributary_identity_put_off_total",
    kind: MetricKind::Counter,
    label: "",
    values: &[],
    help: "Identifiers whose expensive cluster is throttled and recomputed later. Many over a long time: somebody sends identifiers that are joined to very many others.",
};

/// Amounts that were adjusted.
pub static AMOUNTS: Metric = Metric {
    name: "tributary_milestone_amounts_adjusted_total",
    kind: MetricKind::Counter,
    label: "why",
    values: &["negative", "negative_refund"],
    help: "Versions of milestones with an amount below zero (negative: it counts as 0) or a refund below zero (negative_refund: it counts for nothing). Look at what the sender means by it.",
};

/// Actors decided again after changed settings.
pub static REMODELLED: Metric = Metric {
    name: "tributary_remodelled_identifiers_total",
    kind: MetricKind::Counter,
    label: "",
    values: &[],
    help: "Identifiers and milestones recomputed after changed settings of identity: all of a partition, beside new records.",
};

/// All metrics of this crate.
pub static ALL: [&Metric; 10] =
    [&MERGES, &IDENTIFIERS, &CLUSTER_MEMBERS, &PLACEMENTS, &SHARED, &QUARANTINED, &ERASED, &PUT_OFF, &AMOUNTS, &REMODELLED];
