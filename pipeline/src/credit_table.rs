//! The credit table: the result of folding credit updates, as BI would see it.

mod face;

use std::collections::{BTreeMap, HashMap};

use serde::Serialize;
use tributary_proto::{CreditUpdate, WHOLE_NANO};

use face::{Face, FaceId, Faces, Maps, TextId, Texts};

/// A row that has credit. The first three fields are its key, by which rows are sorted.
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
    /// The profile of the touch.
    pub profile_id: &'a str,
    /// The account of the milestone.
    pub account_id: &'a str,
    /// Billionths.
    pub weight_nano: i64,
    /// Minor units.
    pub value_minor: i64,
    /// ISO 4217.
    pub currency: &'a str,
    /// The reporting currency; empty, and not in the file, if there is none or no rate is known.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub reporting_currency: &'a str,
    /// Value in minor units of the reporting currency.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reporting_value_minor: Option<i64>,
    /// Own dimensions of the touch; not in the file if it has none.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub dimensions: &'a BTreeMap<String, String>,
    /// Own dimensions of the milestone.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub milestone_dimensions: &'a BTreeMap<String, String>,
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

/// A violation of "credit adds up".
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Imbalance {
    /// The milestone.
    pub milestone_id: String,
    /// The model.
    pub model: String,
    /// The violation, in words.
    pub what: String,
}

/// The latest row of a key, and the sum of the deltas under its face.
struct Folded {
    face: FaceId,
    share: Amounts,
    revision: u64,
    sum: Amounts,
}

/// Weight in billionths, value in minor units, value in minor units of the reporting currency.
type Amounts = (i64, i64, i64);

fn sum_of(a: Amounts, b: Amounts) -> Amounts {
    (a.0 + b.0, a.1 + b.1, a.2 + b.2)
}

/// By model and touch.
type Rows = BTreeMap<(TextId, TextId), Folded>;

#[derive(Default)]
struct Milestone {
    rows: Rows,
    /// The latest revision of each model.
    revisions: BTreeMap<TextId, u64>,
    /// Sums of deltas under former faces. A sum that reaches zero is removed: in the end nothing must be left.
    left_behind: BTreeMap<((TextId, TextId), FaceId), Amounts>,
}

impl Milestone {
    /// Folds an update into its row; false if the row has that revision already.
    fn fold(&mut self, key: (TextId, TextId), face: FaceId, update: &CreditUpdate) -> bool {
        let nothing = Amounts::default();
        let row = self.rows.entry(key).or_insert(Folded { face, share: nothing, revision: 0, sum: nothing });
        let follows = update.revision != row.revision;
        let is_latest = update.revision >= row.revision;
        if is_latest && row.face != face {
            let left = row.sum;
            row.sum = self.left_behind.remove(&(key, face)).unwrap_or_default();
            if left != nothing {
                self.left_behind.insert((key, row.face), left);
            }
            row.face = face;
        }
        let delta = (update.delta_weight_nano, update.delta_value_minor, update.delta_reporting_value_minor);
        if row.face == face {
            row.sum = sum_of(row.sum, delta);
        } else {
            let sum = self.left_behind.entry((key, face)).or_default();
            *sum = sum_of(*sum, delta);
        }
        if is_latest {
            row.share = (update.weight_nano, update.value_minor, update.reporting_value_minor);
            row.revision = update.revision;
        }
        follows
    }
}

/// The most violations that are kept.
const FAULTS_MAX: usize = 1_000;

/// Credit updates, folded in both ways in which a reader may fold them: the latest row of each key, and the sum of the deltas under each
/// face. If these agree, sums by any column agree.
#[derive(Default)]
pub struct CreditTable {
    milestones: HashMap<TextId, Milestone>,
    texts: Texts,
    maps: Maps,
    faces: Faces,
    updates: u64,
    /// Updates that do not follow from earlier ones.
    faults: Vec<Imbalance>,
}

impl CreditTable {
    /// Adds the next update.
    pub fn add(&mut self, update: &CreditUpdate) {
        self.updates += 1;
        let texts = &mut self.texts;
        let face = self.faces.id(Face::of(update, texts, &mut self.maps));
        let milestone = texts.id(&update.milestone_id);
        let key = (texts.id(&update.model), texts.id(&update.touch_id));
        let milestone = self.milestones.entry(milestone).or_default();
        let before = milestone.revisions.insert(key.0, update.revision).unwrap_or(0);
        let mut fault = None;
        if !(before..=before.saturating_add(1)).contains(&update.revision) {
            fault = Some(format!("revision {} follows {before}", update.revision));
        }
        if !milestone.fold(key, face, update) {
            fault = Some(format!("revision {} of touch {} comes twice", update.revision, update.touch_id));
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
    fn milestones(&self) -> Vec<(&str, &Milestone)> {
        let mut all: Vec<_> = self.milestones.iter().map(|(id, milestone)| (self.texts.text(*id), milestone)).collect();
        all.sort_unstable_by_key(|(id, _)| *id);
        all
    }

    /// The rows that have credit, by key.
    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.milestones().into_iter().flat_map(|(milestone_id, milestone)| {
            let with_credit = milestone.rows.iter().filter(|(_, row)| row.share.0 != 0);
            let mut rows: Vec<_> = with_credit.filter_map(|(key, row)| self.row(milestone_id, *key, row)).collect();
            rows.sort_unstable_by_key(|row| (row.model, row.touch_id));
            rows
        })
    }

    fn row<'a>(&'a self, milestone_id: &'a str, (model, touch): (TextId, TextId), row: &Folded) -> Option<Row<'a>> {
        let face = self.faces.face(row.face)?;
        let text = |id| self.texts.text(id);
        Some(Row {
            milestone_id,
            model: text(model),
            touch_id: text(touch),
            channel: text(face.channel),
            profile_id: text(face.profile_id),
            account_id: text(face.account_id),
            weight_nano: row.share.0,
            value_minor: row.share.1,
            currency: text(face.currency),
            reporting_currency: text(face.reporting_currency),
            reporting_value_minor: (!text(face.reporting_currency).is_empty()).then_some(row.share.2),
            dimensions: self.maps.map(face.dimensions)?,
            milestone_dimensions: self.maps.map(face.milestone_dimensions)?,
            milestone_kind: text(face.milestone_kind),
            source: text(face.source),
            touch_time_ms: face.touch_time_ms,
        })
    }

    /// A text that identifies a face, without personal data.
    fn shown(&self, face: FaceId) -> String {
        let Some(face) = self.faces.face(face) else { return String::new() };
        let text = |id| self.texts.text(id);
        format!(
            "milestone_time {}, {}, channel {}, campaign {}",
            face.milestone_time_ms,
            text(face.currency),
            text(face.channel),
            text(face.campaign)
        )
    }

    /// All violations: revisions that are missing or occur twice; sums of deltas that differ from the latest row or remain under a former
    /// face; weights of a milestone and model that do not sum to 1; values that differ between models.
    pub fn imbalances(&self) -> Vec<Imbalance> {
        let mut found = self.faults.clone();
        for (milestone_id, milestone) in self.milestones() {
            let mut sums: BTreeMap<TextId, Amounts> = BTreeMap::new();
            let mut add = |model: TextId, what| {
                let model = self.texts.text(model).to_owned();
                found.push(Imbalance { milestone_id: milestone_id.to_owned(), model, what });
            };
            for ((model, touch), row) in &milestone.rows {
                let sum = sums.entry(*model).or_default();
                *sum = sum_of(*sum, row.share);
                if row.sum != row.share {
                    let touch = self.texts.text(*touch);
                    add(*model, format!("the deltas of touch {touch} do not sum to its latest row"));
                }
            }
            let stay = milestone.left_behind.iter().filter(|(_, sum)| **sum != Amounts::default());
            for (((model, touch), face), (weight, value, _)) in stay {
                let (touch, shown) = (self.texts.text(*touch), self.shown(*face));
                add(
                    *model,
                    format!("deltas of touch {touch} sum to weight {weight}, value {value} where it is no more: {shown}"),
                );
            }
            let mut value = None;
            for (model, (weight_sum, value_sum, reporting_sum)) in sums {
                if weight_sum != 0 && weight_sum.unsigned_abs() != WHOLE_NANO {
                    add(model, format!("the weights sum to {weight_sum} billionths"));
                } else if weight_sum != 0 && *value.get_or_insert((value_sum, reporting_sum)) != (value_sum, reporting_sum) {
                    add(model, format!("the values sum to {value_sum} and {reporting_sum}, those of another model do not"));
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
    fn a_difference_of_latest_rows_and_sums_is_reported() {
        let mut table = CreditTable::default();
        table.add(&update("a", 1_000_000_000, 1_000_000_000, 1));
        table.add(&update("a", 0, -1_000_000_000, 2));
        table.add(&update("b", 1_000_000_000, 1_000_000_000, 2));
        assert_eq!(table.imbalances(), []);
        assert_eq!(table.rows().map(|row| row.touch_id).collect::<Vec<_>>(), ["b"]);
        table.add(&update("b", 400_000_000, -500_000_000, 3));
        assert_eq!(table.imbalances().len(), 2);
    }

    fn april(update: CreditUpdate) -> CreditUpdate {
        CreditUpdate { milestone_time: 30, ..update }
    }

    #[test]
    fn a_retraction_without_the_old_columns_is_noticed() {
        let whole = 1_000_000_000;
        let mut table = CreditTable::default();
        table.add(&update("a", whole, whole, 1));
        table.add(&april(update("a", whole, 0, 2)));
        let found: Vec<_> = table.imbalances().into_iter().map(|found| found.what).collect();
        assert_eq!(found.len(), 2, "{found:?}");
        assert!(found[0].contains("do not sum to its latest row") && found[1].contains("where it is no more"), "{found:?}");

        let mut table = CreditTable::default();
        table.add(&update("a", whole, whole, 1));
        table.add(&update("a", 0, -whole, 2));
        table.add(&april(update("a", whole, whole, 3)));
        assert_eq!(table.imbalances(), []);
        table.add(&april(update("a", 0, -whole, 4)));
        table.add(&update("a", whole, whole, 5));
        assert_eq!(table.imbalances(), [], "and back");
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
