//! Metrics of the attributor.

use tributary_runtime::metric::{Metric, MetricKind};

const fn counter(name: &'static str, help: &'static str) -> Metric {
    counter_by("", &[], name, help)
}

const fn counter_by(label: &'static str, values: &'static [&'static str], name: &'static str, help: &'static str) -> Metric {
    Metric { name, kind: MetricKind::Counter, label, values, help }
}

/// Credit updates written, by reason of the change.
pub static CREDIT_UPDATES: Metric = counter_by(
    "reason",
    &["milestone", "late_touch", "identity", "amended", "withdrawn", "erased", "remodelled"],
    "tributary_credit_updates_total",
    "Credit updates written, by reason of the change.",
);

/// Sets of rows that do not sum to the whole.
pub static LEDGER_IMBALANCE: Metric = counter(
    "tributary_ledger_imbalance_total",
    "Models of a milestone whose weights did not sum to 1 or whose values not to the milestone's value. Must be 0: page someone otherwise.",
);

/// Milestones without an exchange rate.
pub static RATES_MISSING: Metric = counter(
    "tributary_rates_missing_total",
    "Times that the credit of a milestone was computed without a value in the reporting currency, because no rate of its currency is known on \
     its day. Look at any: add the rate to the file of currency.rates, and start again.",
);

/// Journeys computed.
pub static JOURNEYS: Metric =
    counter("tributary_journeys_computed_total", "Journeys computed: one for each milestone that a batch made dirty.");

/// Journeys computed to milestones older than the horizon.
pub static JOURNEYS_BEYOND_HORIZON: Metric = counter(
    "tributary_journeys_beyond_horizon_total",
    "Journeys computed to milestones that are older than the horizon: touches may have been dropped.",
);

/// Milestones whose computation was deferred.
pub static JOURNEYS_PUT_OFF: Metric = counter(
    "tributary_journeys_put_off_total",
    "Milestones that wait to be computed because their unit is throttled: a large unit takes no more than its share of the time.",
);

/// Touches of computed journeys.
pub static JOURNEY_TOUCHES: Metric = Metric {
    name: "tributary_journey_touches",
    kind: MetricKind::Histogram,
    label: "",
    values: &[],
    help: "Touches of a computed journey, a visit being one. Long ones make recomputation slow.",
};

/// Touches in the window of a computed journey that are not entries of it.
pub static JOURNEY_FOLDED: Metric = counter_by(
    "why",
    &["duplicate", "visit", "overlong"],
    "tributary_journey_touches_folded_total",
    "Touches in a journey's window that are not entries of their own: a copy of an event (duplicate), a later hit of a visit (visit), or beyond max_journey (overlong).",
);

/// Touches stored under their unit.
pub static TOUCHES_STORED: Metric =
    counter("tributary_touches_stored_total", "Touches stored under their unit, duplicates included.");

/// Touches that are void.
pub static TOUCHES_ERASED: Metric = counter_by(
    "outcome",
    &["dropped", "refused"],
    "tributary_touches_erased_total",
    "Touches that an erasure voids: dropped from the state, or refused because they came after it.",
);

/// Touches that no milestone within the horizon can see.
pub static TOUCHES_DROPPED: Metric = counter_by(
    "outcome",
    &["dropped", "refused"],
    "tributary_touches_dropped_total",
    "Touches so old that no milestone within the horizon can see them: dropped from the state, or refused because they came that late.",
);

/// Rows of the topic of touches.
pub static TOUCHPOINT_ROWS: Metric = counter_by(
    "outcome",
    &["said", "again", "taken_back"],
    "tributary_touchpoint_rows_total",
    "Rows of the topic touchpoints: published for a new touch (said), published again because a shown value changed (again), or taken back (taken_back).",
);

/// Rows of the topic of milestones.
pub static MILESTONE_ROWS: Metric = counter_by(
    "outcome",
    &["said", "taken_back"],
    "tributary_milestone_rows_total",
    "Rows of the topic milestones: published (said), or taken back because no report of the milestone is left (taken_back).",
);

/// Versions of tracked milestones, by result.
pub static TRACKS: Metric = counter_by(
    "outcome",
    &["stored", "stale"],
    "tributary_milestone_tracks_total",
    "Milestones reported to a unit: stored, or stale because a newer one was there.",
);

/// Messages forwarded to the current unit of an identifier.
pub static FORWARDED: Metric = counter_by(
    "what",
    &["item", "hand_over"],
    "tributary_attributor_forwarded_total",
    "Items and hand-overs that followed an identifier to its new unit.",
);

/// Messages of hand-overs sent.
pub static HAND_OVERS: Metric =
    counter("tributary_hand_overs_total", "Parts of hand-overs sent by a unit that an identifier has left.");

/// Touches handed over.
pub static HAND_OVER_TOUCHES: Metric = counter("tributary_hand_over_touches_total", "Touches handed over to another unit.");

/// Sets of credit rows at the ledgers, by result.
pub static DESIRED: Metric = counter_by(
    "outcome",
    &["changed", "unchanged", "stale"],
    "tributary_ledger_desired_total",
    "Sets of rows that reached a ledger: changed it, left it unchanged, or stale because a newer one was there.",
);

/// Units computed after a change of settings.
pub static REMODELLED_UNITS: Metric = counter(
    "tributary_remodelled_units_total",
    "Units that were looked at because settings of attribution have changed: all of a partition, beside what comes in.",
);

/// Passes over a partition after changes of settings.
pub static REMODELS: Metric = counter_by(
    "state",
    &["begun", "finished"],
    "tributary_remodels_total",
    "Passes over all units of a partition because settings of attribution have changed. As long as more were begun than finished, rows of both settings are there.",
);

/// Every metric of this crate.
pub static ALL: [&Metric; 20] = [
    &RATES_MISSING,
    &CREDIT_UPDATES,
    &LEDGER_IMBALANCE,
    &JOURNEYS,
    &JOURNEYS_BEYOND_HORIZON,
    &JOURNEYS_PUT_OFF,
    &JOURNEY_TOUCHES,
    &JOURNEY_FOLDED,
    &TOUCHES_STORED,
    &TOUCHES_ERASED,
    &TOUCHES_DROPPED,
    &TOUCHPOINT_ROWS,
    &MILESTONE_ROWS,
    &TRACKS,
    &FORWARDED,
    &HAND_OVERS,
    &HAND_OVER_TOUCHES,
    &DESIRED,
    &REMODELLED_UNITS,
    &REMODELS,
];

#[cfg(test)]
mod tests {
    use tributary_proto::{Named, Reason};

    use super::CREDIT_UPDATES;

    #[test]
    fn every_reason_of_an_update_is_listed() {
        let all: Vec<&str> = (1..).map_while(|number| Reason::try_from(number).ok()).map(Reason::name).collect();
        assert_eq!(CREDIT_UPDATES.values, all);
    }
}
