//! Invariants that must hold after everything has drained.

use std::collections::BTreeMap;

use tributary_proto::{Account, CreditUpdate, Profile, WHOLE_NANO};

use crate::oracle::Verdict;
use crate::oracle::credit::{CreditTable, RowKey, as_row};
use crate::outputs::{Outputs, compare};
use crate::rows;

/// Compares the outputs with the oracle's verdict.
///
/// # Errors
/// The first differences.
pub fn check(outputs: &Outputs, verdict: &Verdict) -> Result<(), String> {
    check_people(outputs, verdict)?;
    rows::check(outputs, verdict)?;
    let table = fold_credits(&outputs.credits)?;
    compare("credit row", &within_horizon(&table, verdict), &within_horizon(&verdict.credits, verdict))?;
    check_sums(&table, verdict)
}

/// Checks that the live profiles and accounts are those of the verdict.
///
/// # Errors
/// The first differences.
pub fn check_people(outputs: &Outputs, verdict: &Verdict) -> Result<(), String> {
    check_profiles(outputs, verdict)?;
    check_accounts(outputs, verdict)
}

fn check_profiles(outputs: &Outputs, verdict: &Verdict) -> Result<(), String> {
    let latest: BTreeMap<&str, &Profile> =
        outputs.profiles.iter().map(|profile| (profile.profile_id.as_str(), profile)).collect();
    let live = latest.into_values().filter(|profile| profile.merged_into.is_empty() && !profile.erased);
    compare(
        "profile",
        &live.map(|profile| (profile.profile_id.clone(), Profile { revision: 0, ..profile.clone() })).collect(),
        &verdict.profiles,
    )
}

fn check_accounts(outputs: &Outputs, verdict: &Verdict) -> Result<(), String> {
    let latest: BTreeMap<&str, &Account> =
        outputs.accounts.iter().map(|account| (account.account_id.as_str(), account)).collect();
    let live = latest.into_values().filter(|account| account.merged_into.is_empty() && !account.erased);
    compare(
        "account",
        &live.map(|account| (account.account_id.clone(), Account { revision: 0, ..account.clone() })).collect(),
        &verdict.accounts,
    )
}

/// The rows of milestones within the horizon, which must have all their touches.
fn within_horizon(table: &CreditTable, verdict: &Verdict) -> CreditTable {
    let exact = table.iter().filter(|((milestone, ..), _)| !verdict.beyond.contains(milestone));
    exact.map(|(key, row)| (key.clone(), row.clone())).collect()
}

/// The latest rows; checks that each update follows from the one before it.
pub fn fold_credits(updates: &[CreditUpdate]) -> Result<CreditTable, String> {
    let mut table = CreditTable::new();
    let mut sums: BTreeMap<RowKey, (i64, i64, i64)> = BTreeMap::new();
    let mut revisions: BTreeMap<(&str, &str), u64> = BTreeMap::new();
    let mut versions: BTreeMap<RowKey, &str> = BTreeMap::new();
    for update in updates {
        let key = (update.milestone_id.clone(), update.model.clone(), update.touch_id.clone());
        let sum = sums.entry(key.clone()).or_default();
        let reported = sum.2 + update.delta_reporting_value_minor;
        *sum = (sum.0 + update.delta_weight_nano, sum.1 + update.delta_value_minor, reported);
        if *sum != (update.weight_nano, update.value_minor, update.reporting_value_minor) {
            return Err(format!(
                "the deltas of row {key:?} sum to {sum:?}, the row says ({}, {}, {})",
                update.weight_nano, update.value_minor, update.reporting_value_minor
            ));
        }
        let revision = revisions.entry((&update.milestone_id, &update.model)).or_default();
        if update.revision != *revision && update.revision != *revision + 1 {
            return Err(format!("row {key:?}: revision {} follows {revision}", update.revision));
        }
        *revision = update.revision;
        let row = as_row(update);
        let same_version = versions.insert(key.clone(), &update.model_version) == Some(update.model_version.as_str());
        if update.weight_nano == 0 {
            if table.remove(&key).is_none() {
                return Err(format!("row {key:?} is retracted and was not there"));
            }
        } else if table.insert(key.clone(), row.clone()).as_ref() == Some(&row) && same_version {
            return Err(format!("row {key:?}: an update that says nothing new"));
        }
    }
    Ok(table)
}

/// In the milestone's currency, and in the reporting currency.
type Values = (i128, i128);

/// For every milestone and model, the weights sum to exactly one and the values to the milestone's value.
fn check_sums(table: &CreditTable, verdict: &Verdict) -> Result<(), String> {
    let mut sums: BTreeMap<(&str, &str), (i128, Values)> = BTreeMap::new();
    let mut expected: BTreeMap<(&str, &str), Values> = BTreeMap::new();
    let values =
        |sum: Values, row: &CreditUpdate| (sum.0 + i128::from(row.value_minor), sum.1 + i128::from(row.reporting_value_minor));
    for ((milestone, model, _), row) in table {
        let sum = sums.entry((milestone, model)).or_default();
        *sum = (sum.0 + i128::from(row.weight_nano), values(sum.1, row));
    }
    for ((milestone, model, _), row) in &verdict.credits {
        let sum = expected.entry((milestone, model)).or_default();
        *sum = values(*sum, row);
    }
    if let Some(missing) = expected.keys().find(|key| !sums.contains_key(*key)) {
        return Err(format!("there are no rows of {missing:?}"));
    }
    for (key, (weight, value)) in sums {
        if weight != i128::from(WHOLE_NANO) || expected.get(&key) != Some(&value) {
            return Err(format!("the rows of {key:?} sum to weight {weight}, values {value:?}"));
        }
    }
    Ok(())
}
