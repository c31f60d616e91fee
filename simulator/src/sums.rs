//! Checks that the two ways to read credits agree: the latest row of each key, and the sums of the deltas.
//!
//! They must agree after every committed transaction, under any grouping. The check uses the finest grouping: by all columns of a row,
//! including its key (its *face*). The groups of any other grouping consist of whole groups of this one, so if these sums are equal, all
//! are. `simulator/tests/sums.rs` groups by single columns.
//!
//! It also counts how rows change, by column and reason, so that a campaign can report what it has never seen: [`Coverage`].

use std::collections::BTreeMap;

use tributary_proto::{CreditUpdate, Message, Named, Reason};

use crate::oracle::credit::{RowKey, as_row};

/// Gives a column of a row as text.
type Column = fn(&CreditUpdate) -> String;

/// The columns of a row other than its key and its share.
pub static COLUMNS: [(&str, Column); 15] = [
    ("milestone_kind", |row| row.milestone_kind.clone()),
    ("milestone_time", |row| row.milestone_time.to_string()),
    ("currency", |row| row.currency.clone()),
    ("reporting_currency", |row| row.reporting_currency.clone()),
    ("account_id", |row| row.account_id.clone()),
    ("profile_id", |row| row.profile_id.clone()),
    ("touch_time", |row| row.touch_time.to_string()),
    ("channel", |row| row.channel.clone()),
    ("source", |row| row.source.clone()),
    ("medium", |row| row.medium.clone()),
    ("campaign", |row| row.campaign.clone()),
    ("content", |row| row.content.clone()),
    ("term", |row| row.term.clone()),
    ("dimensions", |row| format!("{:?}", row.dimensions)),
    ("milestone_dimensions", |row| format!("{:?}", row.milestone_dimensions)),
];

/// Changes of a row other than in a column.
const APPEARS: &str = "(appears)";
const DISAPPEARS: &str = "(disappears)";
const WEIGHT: &str = "weight_nano";
const VALUE: &str = "value_minor";

/// The reasons why rows change.
pub const REASONS: [Reason; 7] = [
    Reason::Milestone,
    Reason::LateTouch,
    Reason::Identity,
    Reason::Amended,
    Reason::Withdrawn,
    Reason::Erased,
    Reason::Remodelled,
];

/// All changes of a row, in the order of the report.
pub fn changes() -> impl Iterator<Item = &'static str> {
    [APPEARS, DISAPPEARS, WEIGHT, VALUE].into_iter().chain(COLUMNS.iter().map(|(name, _)| *name))
}

/// Why a change cannot have a reason; `None` if it can. Campaigns check that it never does.
pub fn cannot(change: &str, reason: Reason) -> Option<&'static str> {
    match (change, reason) {
        ("milestone_kind", _) => Some("a milestone's id begins with its kind"),
        (APPEARS, _) => None,
        (_, Reason::Milestone) => Some("the first rows of a milestone: nothing was there that could change"),
        // The reporting currency is a setting: a changed one applies the next time that a milestone is computed, for any reason.
        ("milestone_time" | "currency" | "milestone_dimensions", Reason::LateTouch | Reason::Identity | Reason::Withdrawn) => {
            Some("another time, currency or dimension is another version of the milestone: amended, or erased")
        }
        _ => None,
    }
}

/// How often rows changed, by kind of change and reason.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Coverage(BTreeMap<(&'static str, i32), u64>);

impl Coverage {
    fn count(&mut self, change: &'static str, reason: i32) {
        *self.0.entry((change, reason)).or_default() += 1;
    }

    /// Adds other counts.
    pub fn add(&mut self, other: &Self) {
        for (at, times) in &other.0 {
            *self.0.entry(*at).or_default() += times;
        }
    }

    /// How often a change had a reason.
    pub fn times(&self, change: &'static str, reason: Reason) -> u64 {
        self.0.get(&(change, i32::from(reason))).copied().unwrap_or(0)
    }

    /// Possible changes that never happened, and impossible ones that did, in words.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let seen = |change: &'static str, reason: Reason| self.times(change, reason) > 0;
        for change in changes() {
            let mut possible = REASONS.into_iter().filter(|reason| cannot(change, *reason).is_none()).peekable();
            if possible.peek().is_some() && !possible.any(|reason| seen(change, reason)) {
                faults.push(format!("no row ever changed in {change}"));
            }
        }
        for reason in REASONS {
            let mut possible = changes().filter(|change| cannot(change, reason).is_none()).peekable();
            if possible.peek().is_some() && !possible.any(|change| seen(change, reason)) {
                faults.push(format!("no row ever changed for the reason {}", reason.name()));
            }
            for change in changes().filter(|change| seen(change, reason)) {
                if let Some(why) = cannot(change, reason) {
                    faults.push(format!("{change} changed for the reason {}, though it cannot: {why}", reason.name()));
                }
            }
        }
        faults
    }
}

/// Reads credit updates transaction by transaction.
#[derive(Debug, Default)]
pub struct Reader {
    latest: BTreeMap<RowKey, CreditUpdate>,
    /// Sums of weights and values by face, without zero sums.
    sums: BTreeMap<Vec<u8>, (i128, i128, i128)>,
    /// Counts of changes of rows.
    pub coverage: Coverage,
}

impl Reader {
    /// Reads the updates of a transaction.
    ///
    /// # Errors
    /// When the deltas do not sum to the latest rows.
    pub fn commit(&mut self, updates: &[CreditUpdate]) -> Result<(), String> {
        let mut touched: BTreeMap<Vec<u8>, CreditUpdate> = BTreeMap::new();
        let mut taken: BTreeMap<RowKey, CreditUpdate> = BTreeMap::new();
        for update in updates {
            if let Some(before) = self.latest.get(&key(update)) {
                touched.insert(face(before), before.clone());
            }
            let face = face(update);
            let sum = self.sums.entry(face.clone()).or_default();
            *sum = (
                sum.0 + i128::from(update.delta_weight_nano),
                sum.1 + i128::from(update.delta_value_minor),
                sum.2 + i128::from(update.delta_reporting_value_minor),
            );
            touched.insert(face, update.clone());
            self.keep_latest(update, &mut taken)?;
        }
        taken.values().for_each(|retraction| self.coverage.count(DISAPPEARS, retraction.reason));
        touched.iter().try_for_each(|(face, update)| self.compare(face, update))
    }

    /// Keeps the update with the highest revision as its key's row. `taken` are the rows retracted in this transaction: as they were
    /// before, with the reason and the revision of the retraction.
    fn keep_latest(&mut self, update: &CreditUpdate, taken: &mut BTreeMap<RowKey, CreditUpdate>) -> Result<(), String> {
        let key = key(update);
        let before = self.latest.get(&key).cloned();
        if let Some(revision) = before.as_ref().map(|before| before.revision).filter(|revision| *revision >= update.revision) {
            return Err(format!("row {key:?}: revision {} comes after revision {revision}", update.revision));
        }
        self.latest.insert(key.clone(), update.clone());
        let before = before.filter(|before| before.weight_nano > 0);
        if let Some(before) = before {
            if update.weight_nano == 0 {
                taken.insert(key, CreditUpdate { reason: update.reason, revision: update.revision, ..before });
            } else {
                self.count_changes(&before, update);
            }
            return Ok(());
        }
        match taken.remove(&key) {
            // With the next revision it is the same change under a new face; with a later one it is a new row.
            Some(before) if before.revision + 1 == update.revision => self.count_changes(&before, update),
            former => {
                former.iter().for_each(|retraction| self.coverage.count(DISAPPEARS, retraction.reason));
                self.coverage.count(APPEARS, update.reason);
            }
        }
        Ok(())
    }

    fn count_changes(&mut self, before: &CreditUpdate, update: &CreditUpdate) {
        for (name, column) in &COLUMNS {
            if column(before) != column(update) {
                self.coverage.count(name, update.reason);
            }
        }
        for (name, before, now) in
            [(WEIGHT, before.weight_nano, update.weight_nano), (VALUE, before.value_minor, update.value_minor)]
        {
            if before != now {
                self.coverage.count(name, update.reason);
            }
        }
    }

    /// Compares the sum for a face with the latest row of its key.
    fn compare(&mut self, of: &[u8], update: &CreditUpdate) -> Result<(), String> {
        let sum = self.sums.get(of).copied().unwrap_or_default();
        let row = self.latest.get(&key(update));
        let shows_it = |row: &&CreditUpdate| face(row) == of;
        let share = |row: &CreditUpdate| (row.weight_nano.into(), row.value_minor.into(), row.reporting_value_minor.into());
        let expected: (i128, i128, i128) = row.filter(shows_it).map_or((0, 0, 0), share);
        if sum == (0, 0, 0) {
            self.sums.remove(of);
        }
        if sum == expected {
            return Ok(());
        }
        let differing: Vec<String> = COLUMNS
            .iter()
            .filter_map(|(name, column)| {
                let (there, now) = (column(update), row.map(column).unwrap_or_default());
                (there != now).then(|| format!("{name} {there:?}, now {now:?}"))
            })
            .collect();
        Err(format!(
            "after a transaction the deltas of row {:?} sum to {sum:?}, the latest rows to {expected:?}, where {}",
            key(update),
            if differing.is_empty() { "all columns are the latest".to_owned() } else { differing.join(", ") }
        ))
    }
}

fn key(update: &CreditUpdate) -> RowKey {
    (update.milestone_id.clone(), update.model.clone(), update.touch_id.clone())
}

/// The columns of a row other than its share, as bytes.
fn face(update: &CreditUpdate) -> Vec<u8> {
    CreditUpdate { weight_nano: 0, value_minor: 0, reporting_value_minor: 0, ..as_row(update) }.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(campaign: &str, weight_nano: i64, delta_weight_nano: i64, revision: u64) -> CreditUpdate {
        let reason = Reason::LateTouch.into();
        CreditUpdate { campaign: campaign.into(), weight_nano, delta_weight_nano, revision, reason, ..CreditUpdate::default() }
    }

    #[test]
    fn a_row_retracted_and_published_again_agrees_and_is_counted() {
        let mut reader = Reader::default();
        reader.commit(&[row("a", 5, 5, 1)]).unwrap();
        reader.commit(&[row("a", 0, -5, 2), row("b", 7, 7, 3)]).unwrap();
        reader.commit(&[row("b", 0, -7, 4)]).unwrap();
        let times = ["(appears)", "(disappears)", "campaign", "weight_nano", "value_minor", "source"]
            .map(|change| reader.coverage.times(change, Reason::LateTouch));
        assert_eq!(times, [1, 1, 1, 1, 0, 0]);
        assert_eq!(reader.sums, BTreeMap::new());
    }

    #[test]
    fn a_row_that_goes_and_comes_back_for_another_reason_has_not_changed() {
        let mut reader = Reader::default();
        reader.commit(&[row("a", 5, 5, 1)]).unwrap();
        reader.commit(&[row("a", 0, -5, 2), row("b", 7, 7, 4)]).unwrap();
        let times = ["(appears)", "(disappears)", "campaign"].map(|change| reader.coverage.times(change, Reason::LateTouch));
        assert_eq!(times, [2, 1, 0]);
    }

    #[test]
    fn changed_columns_without_a_retraction_are_found() {
        let mut reader = Reader::default();
        reader.commit(&[row("a", 5, 5, 1)]).unwrap();
        let why = reader.commit(&[row("b", 5, 0, 2)]).unwrap_err();
        assert!(why.contains("sum to (5, 0, 0), the latest rows to (0, 0, 0), where campaign \"a\", now \"b\""), "{why}");
    }

    #[test]
    fn a_retraction_with_the_new_columns_is_found() {
        let mut reader = Reader::default();
        reader.commit(&[row("a", 5, 5, 1)]).unwrap();
        let why = reader.commit(&[row("b", 0, -5, 2), row("b", 5, 5, 3)]).unwrap_err();
        assert!(why.contains("sum to (5, 0, 0), the latest rows to (0, 0, 0), where campaign \"a\", now \"b\""), "{why}");
    }

    #[test]
    fn a_row_published_again_without_a_retraction_is_found() {
        let mut reader = Reader::default();
        reader.commit(&[row("a", 5, 5, 1)]).unwrap();
        let why = reader.commit(&[row("b", 5, 5, 2)]).unwrap_err();
        assert!(why.contains("sum to (5, 0, 0), the latest rows to (0, 0, 0), where campaign \"a\", now \"b\""), "{why}");
    }

    #[test]
    fn a_revision_used_twice_is_found() {
        let mut reader = Reader::default();
        reader.commit(&[row("a", 5, 5, 1)]).unwrap();
        assert!(reader.commit(&[row("a", 0, -5, 1)]).is_err());
    }

    #[test]
    fn a_case_that_no_seed_reached_is_an_error_and_so_is_an_impossible_one() {
        let mut coverage = Coverage::default();
        assert!(coverage.faults().contains(&"no row ever changed in campaign".to_owned()));
        assert!(coverage.faults().contains(&"no row ever changed for the reason erased".to_owned()));
        for change in changes() {
            for reason in REASONS.into_iter().filter(|reason| cannot(change, *reason).is_none()) {
                coverage.count(change, reason.into());
            }
        }
        assert_eq!(coverage.faults(), Vec::<String>::new());
        coverage.count("currency", Reason::Identity.into());
        assert_eq!(coverage.faults().len(), 1);
    }
}
