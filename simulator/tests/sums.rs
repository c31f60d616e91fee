//! Credits grouped by one column after the other: after every transaction the deltas and the latest rows have the same sums.
//!
//! Written without the simulator's own check, which compares by all columns at once: all rows are summed anew, each time.

#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::collections::BTreeMap;

use tributary_proto::CreditUpdate;
use tributary_simulator::run::{Case, run};

type Sums = BTreeMap<(&'static str, String), (i128, i128)>;

/// Every column but the share, its change, the revision, the reason and the version; the month as a report has it.
fn columns(row: &CreditUpdate) -> [(&'static str, String); 16] {
    [
        ("milestone_id", row.milestone_id.clone()),
        ("milestone_kind", row.milestone_kind.clone()),
        ("model", row.model.clone()),
        ("touch_id", row.touch_id.clone()),
        ("account_id", row.account_id.clone()),
        ("profile_id", row.profile_id.clone()),
        ("channel", row.channel.clone()),
        ("source", row.source.clone()),
        ("medium", row.medium.clone()),
        ("campaign", row.campaign.clone()),
        ("content", row.content.clone()),
        ("term", row.term.clone()),
        ("touch_time", row.touch_time.to_string()),
        ("milestone_time", row.milestone_time.to_string()),
        ("month", (row.milestone_time / (30 * 86_400_000)).to_string()),
        ("currency", row.currency.clone()),
    ]
}

fn add(sums: &mut Sums, row: &CreditUpdate, weight: i64, value: i64) {
    for column in columns(row) {
        let sum = sums.entry(column).or_default();
        *sum = (sum.0 + i128::from(weight), sum.1 + i128::from(value));
    }
}

/// Checks a seed; returns after how many transactions.
fn check(seed: u64) -> usize {
    let report = run(&Case::of(seed), false);
    assert_eq!(report.failure, None, "seed {seed}");
    let mut deltas = Sums::new();
    let mut latest: BTreeMap<(String, String, String), CreditUpdate> = BTreeMap::new();
    for (at, updates) in report.credits.iter().enumerate() {
        for update in updates {
            add(&mut deltas, update, update.delta_weight_nano, update.delta_value_minor);
            let key = (update.milestone_id.clone(), update.model.clone(), update.touch_id.clone());
            if latest.get(&key).is_none_or(|known| known.revision < update.revision) {
                latest.insert(key, update.clone());
            }
        }
        deltas.retain(|_, sum| *sum != (0, 0));
        let mut rows = Sums::new();
        latest.values().for_each(|row| add(&mut rows, row, row.weight_nano, row.value_minor));
        rows.retain(|_, sum| *sum != (0, 0));
        assert_eq!(deltas, rows, "seed {seed}, after transaction {at}");
    }
    report.credits.len()
}

#[test]
fn by_any_column_after_any_transaction_the_deltas_are_the_latest_rows() {
    let transactions: usize = (0..60).map(check).sum();
    assert!(transactions > 100, "{transactions}");
}
