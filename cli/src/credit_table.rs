//! The credit table: what credit updates fold to, as BI would see it.

use std::collections::BTreeMap;

use serde::Serialize;
use tributary_proto::{CreditUpdate, WHOLE_NANO};

/// milestone_id, model, touch_id.
pub type RowKey = (String, String, String);

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

struct Folded {
    latest: CreditUpdate,
    weight_sum: i64,
    value_sum: i64,
}

/// Credit updates, folded in both ways that BI may fold them: the latest row of each key, and the sum of the deltas.
#[derive(Default)]
pub struct CreditTable {
    rows: BTreeMap<RowKey, Folded>,
    updates: u64,
}

impl CreditTable {
    /// Adds the next update.
    pub fn add(&mut self, update: CreditUpdate) {
        self.updates += 1;
        let key = (update.milestone_id.clone(), update.model.clone(), update.touch_id.clone());
        let (weight, value) = (update.delta_weight_nano, update.delta_value_minor);
        match self.rows.get_mut(&key) {
            Some(row) => {
                row.weight_sum += weight;
                row.value_sum += value;
                if update.revision >= row.latest.revision {
                    row.latest = update;
                }
            }
            None => {
                self.rows.insert(key, Folded { latest: update, weight_sum: weight, value_sum: value });
            }
        }
    }

    /// The number of updates.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// The latest update of every row that has credit, by key.
    pub fn latest(&self) -> impl Iterator<Item = &CreditUpdate> {
        self.rows.values().map(|row| &row.latest).filter(|update| update.weight_nano != 0)
    }

    /// The rows that have credit, by key.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.latest().map(|update| Row {
            milestone_id: &update.milestone_id,
            model: &update.model,
            touch_id: &update.touch_id,
            channel: &update.channel,
            profile_id: &update.profile_id,
            account_id: &update.account_id,
            weight_nano: update.weight_nano,
            value_minor: update.value_minor,
            currency: &update.currency,
        })
    }

    /// What does not add up: sums of deltas that are not the latest row, and weights of a milestone and model that do not make 1.
    pub fn imbalances(&self) -> Vec<Imbalance> {
        let mut found = Vec::new();
        let mut weights: BTreeMap<(&str, &str), i64> = BTreeMap::new();
        for ((milestone_id, model, _), row) in &self.rows {
            *weights.entry((milestone_id, model)).or_default() += row.latest.weight_nano;
            if (row.weight_sum, row.value_sum) != (row.latest.weight_nano, row.latest.value_minor) {
                let what = format!("the deltas of touch {} do not sum to its latest row", row.latest.touch_id);
                found.push(Imbalance { milestone_id: milestone_id.clone(), model: model.clone(), what });
            }
        }
        for ((milestone_id, model), sum) in weights {
            if sum != 0 && sum.unsigned_abs() != WHOLE_NANO {
                let what = format!("the weights sum to {sum} billionths");
                found.push(Imbalance { milestone_id: milestone_id.to_owned(), model: model.to_owned(), what });
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
        table.add(update("a", 1_000_000_000, 1_000_000_000, 1));
        table.add(update("a", 0, -1_000_000_000, 2));
        table.add(update("b", 1_000_000_000, 1_000_000_000, 2));
        assert_eq!(table.imbalances(), []);
        assert_eq!(table.rows().map(|row| row.touch_id).collect::<Vec<_>>(), ["b"]);
        table.add(update("b", 400_000_000, -500_000_000, 3));
        assert_eq!(table.imbalances().len(), 2);
    }
}
