//! The credit table: what credit updates fold to, as BI would see it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;
use tributary_proto::{CreditUpdate, WHOLE_NANO};

/// A row that has credit. Its texts order it: milestone, model, touch.
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
    /// The milestone's kind. Not in the file: the id begins with it.
    #[serde(skip)]
    pub milestone_kind: &'a str,
    /// The touch's source.
    #[serde(skip)]
    pub source: &'a str,
    /// When the touch happened, milliseconds since 1970-01-01 UTC.
    #[serde(skip)]
    pub touch_time_ms: i64,
}

/// Something that does not add up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Imbalance {
    /// The milestone.
    pub milestone_id: String,
    /// The model.
    pub model: String,
    /// What.
    pub what: String,
}

/// A text that was met: millions of rows say the same few things.
type TextId = u32;

#[derive(Default)]
struct Texts {
    ids: HashMap<Arc<str>, TextId>,
    texts: Vec<Arc<str>>,
}

impl Texts {
    fn id(&mut self, text: &str) -> TextId {
        if let Some(known) = self.ids.get(text) {
            return *known;
        }
        let id = TextId::try_from(self.texts.len()).unwrap_or(TextId::MAX);
        let shared: Arc<str> = text.into();
        self.texts.push(shared.clone());
        self.ids.insert(shared, id);
        id
    }

    fn text(&self, id: TextId) -> &str {
        self.texts.get(id as usize).map_or("", |text| text)
    }
}

/// The latest row of a key.
struct Latest {
    milestone_kind: TextId,
    channel: TextId,
    source: TextId,
    profile_id: TextId,
    account_id: TextId,
    currency: TextId,
    touch_time_ms: i64,
    weight_nano: i64,
    value_minor: i64,
    revision: u64,
}

struct Folded {
    latest: Latest,
    weight_sum: i64,
    value_sum: i64,
}

/// By model and touch.
type Rows = BTreeMap<(TextId, TextId), Folded>;

#[derive(Default)]
struct Milestone {
    rows: Rows,
    /// The latest revision of each model.
    revisions: BTreeMap<TextId, u64>,
}

/// The most faults of updates that are remembered.
const FAULTS_MAX: usize = 1_000;

/// Credit updates, folded in both ways that BI may fold them: the latest row of each key, and the sum of the deltas.
#[derive(Default)]
pub struct CreditTable {
    milestones: HashMap<TextId, Milestone>,
    texts: Texts,
    updates: u64,
    /// Updates that do not follow from those before.
    faults: Vec<Imbalance>,
}

impl CreditTable {
    /// Adds the next update.
    pub fn add(&mut self, update: &CreditUpdate) {
        self.updates += 1;
        let texts = &mut self.texts;
        let latest = Latest {
            milestone_kind: texts.id(&update.milestone_kind),
            channel: texts.id(&update.channel),
            source: texts.id(&update.source),
            profile_id: texts.id(&update.profile_id),
            account_id: texts.id(&update.account_id),
            currency: texts.id(&update.currency),
            touch_time_ms: update.touch_time,
            weight_nano: update.weight_nano,
            value_minor: update.value_minor,
            revision: update.revision,
        };
        let milestone = texts.id(&update.milestone_id);
        let key = (texts.id(&update.model), texts.id(&update.touch_id));
        let (weight, value) = (update.delta_weight_nano, update.delta_value_minor);
        let milestone = self.milestones.entry(milestone).or_default();
        let before = milestone.revisions.insert(key.0, latest.revision).unwrap_or(0);
        let mut fault = None;
        if !(before..=before.saturating_add(1)).contains(&latest.revision) {
            fault = Some(format!("revision {} follows {before}", latest.revision));
        }
        match milestone.rows.entry(key) {
            Entry::Occupied(mut row) => {
                let row = row.get_mut();
                row.weight_sum += weight;
                row.value_sum += value;
                if latest.revision == row.latest.revision {
                    fault = Some(format!("revision {} of touch {} comes twice", latest.revision, update.touch_id));
                }
                if latest.revision >= row.latest.revision {
                    row.latest = latest;
                }
            }
            Entry::Vacant(row) => {
                row.insert(Folded { latest, weight_sum: weight, value_sum: value });
            }
        }
        if let Some(what) = fault.filter(|_| self.faults.len() < FAULTS_MAX) {
            self.faults.push(Imbalance { milestone_id: update.milestone_id.clone(), model: update.model.clone(), what });
        }
    }

    /// The number of milestones that have updates.
    pub fn milestone_count(&self) -> usize {
        self.milestones.len()
    }

    /// The number of updates.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// The milestones that have updates, by id.
    fn milestones(&self) -> Vec<(&str, &Rows)> {
        let mut all: Vec<_> = self.milestones.iter().map(|(id, milestone)| (self.texts.text(*id), &milestone.rows)).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all
    }

    /// The rows that have credit, by key.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.milestones().into_iter().flat_map(|(milestone_id, rows)| {
            let with_credit = rows.iter().filter(|(_, row)| row.latest.weight_nano != 0);
            let mut rows: Vec<_> = with_credit.map(|(key, row)| self.row(milestone_id, *key, &row.latest)).collect();
            rows.sort_unstable_by_key(|row| (row.model, row.touch_id));
            rows
        })
    }

    fn row<'a>(&'a self, milestone_id: &'a str, (model, touch): (TextId, TextId), latest: &Latest) -> Row<'a> {
        let text = |id| self.texts.text(id);
        Row {
            milestone_id,
            model: text(model),
            touch_id: text(touch),
            channel: text(latest.channel),
            profile_id: text(latest.profile_id),
            account_id: text(latest.account_id),
            weight_nano: latest.weight_nano,
            value_minor: latest.value_minor,
            currency: text(latest.currency),
            milestone_kind: text(latest.milestone_kind),
            source: text(latest.source),
            touch_time_ms: latest.touch_time_ms,
        }
    }

    /// What does not add up: revisions that are missing or come twice, sums of deltas that are not the latest row, weights of a milestone
    /// and model that do not make 1, values that are not the same under every model.
    pub fn imbalances(&self) -> Vec<Imbalance> {
        let mut found = self.faults.clone();
        for (milestone_id, rows) in self.milestones() {
            let mut sums: BTreeMap<TextId, (i64, i64)> = BTreeMap::new();
            let mut add = |model: TextId, what| {
                let model = self.texts.text(model).to_owned();
                found.push(Imbalance { milestone_id: milestone_id.to_owned(), model, what });
            };
            for ((model, touch), row) in rows {
                let sum = sums.entry(*model).or_default();
                sum.0 += row.latest.weight_nano;
                sum.1 += row.latest.value_minor;
                if (row.weight_sum, row.value_sum) != (row.latest.weight_nano, row.latest.value_minor) {
                    let touch = self.texts.text(*touch);
                    add(*model, format!("the deltas of touch {touch} do not sum to its latest row"));
                }
            }
            let mut value = None;
            for (model, (weight_sum, value_sum)) in sums {
                if weight_sum != 0 && weight_sum.unsigned_abs() != WHOLE_NANO {
                    add(model, format!("the weights sum to {weight_sum} billionths"));
                } else if weight_sum != 0 && *value.get_or_insert(value_sum) != value_sum {
                    add(model, format!("the values sum to {value_sum}, those of another model do not"));
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

    #[test]
    fn an_update_that_is_missing_or_comes_twice_is_noticed() {
        let mut table = CreditTable::default();
        table.add(&update("a", 1_000_000_000, 1_000_000_000, 1));
        table.add(&update("a", 1_000_000_000, 0, 3));
        table.add(&update("a", 1_000_000_000, 0, 3));
        let found: Vec<_> = table.imbalances().into_iter().map(|found| found.what).collect();
        assert_eq!(found, ["revision 3 follows 1", "revision 3 of touch a comes twice"]);
    }
}
