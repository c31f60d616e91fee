//! The verdict of an audit.

use serde::Serialize;

use super::{Account, Credits, Records};

/// The result of an audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// Whether nothing is missing or surplus, and the credit adds up.
    pub adds_up: bool,
    /// Events that are newer than the states.
    pub newer: u64,
    /// Records that ingest has not read yet.
    pub waiting: u64,
    /// The result as a sentence.
    pub text: String,
}

impl Verdict {
    /// The result of everything that was checked; without `records`, only of the credit.
    pub fn of(records: Option<&Records>, credits: &Credits) -> Self {
        let sum = |part: fn(&Account) -> u64| records.map_or(0, |records| records.accounts.values().map(part).sum());
        let (newer, waiting) = (sum(|account| account.newer), sum(|account| account.waiting));
        let faults: Vec<(u64, &str)> = [
            (sum(|account| account.missing), "missing"),
            (sum(|account| account.surplus), "surplus"),
            (sum(|account| u64::from(!account.sums())), "in sums of partitions"),
            (credits.imbalances.len() as u64, "in the credit"),
        ]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .collect();
        Self { adds_up: faults.is_empty(), newer, waiting, text: text(&faults, newer, waiting) }
    }
}

fn text(faults: &[(u64, &str)], newer: u64, waiting: u64) -> String {
    let count = faults.iter().map(|(count, _)| count).sum::<u64>();
    let listed = |parts: &[(u64, &str)]| {
        let parts: Vec<String> =
            parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")).collect();
        parts.join(", ")
    };
    let under_way = listed(&[(newer, "newer than the state"), (waiting, "waiting to be read")]);
    match (count, under_way.is_empty()) {
        (0, true) => "All of it adds up.".to_owned(),
        (0, false) => format!("All of it adds up, as far as it was processed: {under_way}."),
        (1, _) => format!("1 thing does not add up: {}.", listed(faults)),
        _ => format!("{count} things do not add up: {}.", listed(faults)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tributary_runtime::topic::Topic;

    use super::*;
    use tributary_pipeline::credit_table::Imbalance;

    fn verdict(account: Account, imbalances: usize) -> (bool, String) {
        let fault = Imbalance { milestone_id: "m".into(), model: "linear".into(), what: "x".into() };
        let credits =
            Credits { updates: 0, milestones: 0, rows: 0, imbalances: vec![fault; imbalances], earned: Default::default() };
        let records = Records { accounts: BTreeMap::from([((Topic::Utm, 0), account)]), wrong: Vec::new() };
        let Verdict { adds_up, text, .. } = Verdict::of(Some(&records), &credits);
        (adds_up, text)
    }

    #[test]
    fn the_verdict_is_on_everything() {
        let fine = Account { produced: 9, applied: 9, ..Account::default() };
        assert_eq!(verdict(fine.clone(), 0), (true, "All of it adds up.".into()));
        let one = (false, "1 thing does not add up: 1 in the credit.".into());
        assert_eq!(verdict(fine.clone(), 1), one);
        let under_way = Account { produced: 14, newer: 3, waiting: 2, ..fine.clone() };
        let text = "All of it adds up, as far as it was processed: 3 newer than the state, 2 waiting to be read.";
        assert_eq!(verdict(under_way.clone(), 0), (true, text.into()));
        let lost = Account { produced: 16, missing: 2, surplus: 1, ..under_way };
        assert_eq!(verdict(lost, 1), (false, "4 things do not add up: 2 missing, 1 surplus, 1 in the credit.".into()));
        let uncounted = Account { produced: 10, ..fine };
        assert_eq!(verdict(uncounted, 0), (false, "1 thing does not add up: 1 in sums of partitions.".into()));
    }
}
