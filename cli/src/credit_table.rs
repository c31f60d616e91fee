//! The credit table: what credit updates fold to, as BI would see it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use tributary_proto::{CreditUpdate, WHOLE_NANO};

/// A row with credit, in the order of its fields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row<'a> {
    /// The milestone.
    pub milestone_id: &'a str,
    /// The model.
    pub model: &'a str,
    /// The touch.
    pub touch_id: &'a str,
    /// Its channel.
    pub channel: &'a str,
    /// Whose touch it is.
    pub profile_id: &'a str,
    /// The account of the milestone.
    pub account_id: &'a str,
    /// Billionths.
    pub weight_nano: i64,
    /// Minor units.
    pub value_minor: i64,
    /// ISO 4217.
    pub currency: &'a str,
}

/// Something that does not add up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imbalance {
    /// The milestone.
    pub milestone_id: String,
    /// The model.
    pub model: String,
    /// What.
    pub what: String,
}

/// What is kept of a row: texts are shared, for millions of rows say the same few things.
#[derive(Debug, Clone)]
pub struct Latest {
    /// The milestone's kind.
    pub milestone_kind: Arc<str>,
    /// The touch's channel.
    pub channel: Arc<str>,
    /// The touch's source.
    pub source: Arc<str>,
    /// Whose touch it is.
    pub profile_id: Arc<str>,
    /// The account of the milestone.
    pub account_id: Arc<str>,
    /// ISO 4217.
    pub currency: Arc<str>,
    /// When the touch happened, milliseconds since 1970-01-01 UTC.
    pub touch_time_ms: i64,
    /// Billionths.
    pub weight_nano: i64,
    /// Minor units.
    pub value_minor: i64,
    revision: u64,
}

struct Folded {
    latest: Latest,
    weight_sum: i64,
    value_sum: i64,
}

/// Model, then touch.
type Rows = BTreeMap<(Arc<str>, Arc<str>), Folded>;

/// Credit updates, folded in both ways that BI may fold them: the latest row of each key, and the sum of the deltas.
#[derive(Default)]
pub struct CreditTable {
    milestones: BTreeMap<String, Rows>,
    texts: BTreeSet<Arc<str>>,
    updates: u64,
}

/// A row that has credit: milestone, model, touch, and the rest.
pub type LatestRow<'a> = (&'a str, &'a str, &'a str, &'a Latest);

impl CreditTable {
    /// Adds the next update.
    pub fn add(&mut self, update: &CreditUpdate) {
        self.updates += 1;
        let latest = Latest {
            milestone_kind: self.share(&update.milestone_kind),
            channel: self.share(&update.channel),
            source: self.share(&update.source),
            profile_id: self.share(&update.profile_id),
            account_id: self.share(&update.account_id),
            currency: self.share(&update.currency),
            touch_time_ms: update.touch_time,
            weight_nano: update.weight_nano,
            value_minor: update.value_minor,
            revision: update.revision,
        };
        let key = (self.share(&update.model), self.share(&update.touch_id));
        let (weight, value) = (update.delta_weight_nano, update.delta_value_minor);
        if !self.milestones.contains_key(&update.milestone_id) {
            self.milestones.insert(update.milestone_id.clone(), Rows::new());
        }
        let Some(rows) = self.milestones.get_mut(&update.milestone_id) else { return };
        match rows.get_mut(&key) {
            Some(row) => {
                row.weight_sum += weight;
                row.value_sum += value;
                if latest.revision >= row.latest.revision {
                    row.latest = latest;
                }
            }
            None => {
                rows.insert(key, Folded { latest, weight_sum: weight, value_sum: value });
            }
        }
    }

    fn share(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.texts.get(text) {
            return known.clone();
        }
        let shared: Arc<str> = text.into();
        self.texts.insert(shared.clone());
        shared
    }

    /// The number of updates.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// What is known of every row that has credit, by key.
    pub fn latest(&self) -> impl Iterator<Item = LatestRow<'_>> {
        let rows = self.milestones.iter().flat_map(|(milestone_id, rows)| {
            rows.iter().map(|((model, touch_id), row)| (milestone_id.as_str(), &**model, &**touch_id, &row.latest))
        });
        rows.filter(|(_, _, _, latest)| latest.weight_nano != 0)
    }

    /// The rows that have credit, by key.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.latest().map(|(milestone_id, model, touch_id, latest)| Row {
            milestone_id,
            model,
            touch_id,
            channel: &latest.channel,
            profile_id: &latest.profile_id,
            account_id: &latest.account_id,
            weight_nano: latest.weight_nano,
            value_minor: latest.value_minor,
            currency: &latest.currency,
        })
    }

    /// What does not add up: sums of deltas that are not the latest row, and weights of a milestone and model that do not make 1.
    pub fn imbalances(&self) -> Vec<Imbalance> {
        let mut found = Vec::new();
        for (milestone_id, rows) in &self.milestones {
            let mut weights: BTreeMap<&str, i64> = BTreeMap::new();
            let mut add =
                |model: &str, what| found.push(Imbalance { milestone_id: milestone_id.clone(), model: model.to_owned(), what });
            for ((model, touch_id), row) in rows {
                *weights.entry(model).or_default() += row.latest.weight_nano;
                if (row.weight_sum, row.value_sum) != (row.latest.weight_nano, row.latest.value_minor) {
                    add(model, format!("the deltas of touch {touch_id} do not sum to its latest row"));
                }
            }
            for (model, sum) in weights {
                if sum != 0 && sum.unsigned_abs() != WHOLE_NANO {
                    add(model, format!("the weights sum to {sum} billionths"));
                }
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(touch: &str, weight_nano: i64, delta_weight_nano: i64, revision: u64) -> CreditUpdate {
        CreditUpdate {
            milestone_id: "mql:1".into(),
            model: "linear".into(),
            touch_id: touch.into(),
            weight_nano,
            delta_weight_nano,
            revision,
            ..CreditUpdate::default()
        }
    }

    #[test]
    fn latest_rows_and_sums_agree_or_it_is_said() {
        let mut table = CreditTable::default();
        table.add(&update("a", 1_000_000_000, 1_000_000_000, 1));
        table.add(&update("a", 0, -1_000_000_000, 2));
        table.add(&update("b", 1_000_000_000, 1_000_000_000, 2));
        assert_eq!(table.imbalances(), []);
        assert_eq!(table.rows().map(|row| row.touch_id).collect::<Vec<_>>(), ["b"]);
        table.add(&update("b", 400_000_000, -500_000_000, 3));
        assert_eq!(table.imbalances().len(), 2);
    }
}
