//! The credit of channels by model: a sum of the credit table that a dashboard can show.

use std::collections::{BTreeMap, BTreeSet};

use tributary_pipeline::credit_table::Row;

/// Most channels with a label of their own. Senders may name channels: those with the least credit become `other`.
const CHANNELS_MAX: usize = 60;

/// Kind of milestone, model, channel, currency.
type Key = (String, String, String, String);

/// Sums of the latest rows.
#[derive(Debug, Default)]
pub struct Earned(BTreeMap<Key, Sum>);

/// Credit of a key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sum {
    /// Billionths of milestones.
    pub weight_nano: i128,
    /// Minor units.
    pub value_minor: i128,
}

impl Sum {
    fn add(&mut self, weight_nano: i128, value_minor: i128) {
        self.weight_nano += weight_nano;
        self.value_minor += value_minor;
    }
}

impl Earned {
    /// The sums of these rows.
    pub fn of<'a>(rows: impl Iterator<Item = Row<'a>>) -> Self {
        let mut sums: BTreeMap<Key, Sum> = BTreeMap::new();
        for row in rows {
            let key = [row.milestone_kind, row.model, row.channel, row.currency].map(str::to_owned).into();
            sums.entry(key).or_default().add(row.weight_nano.into(), row.value_minor.into());
        }
        Self(fold_small(sums))
    }

    /// Each key with its sum.
    pub fn iter(&self) -> impl Iterator<Item = (&Key, &Sum)> {
        self.0.iter()
    }
}

fn fold_small(sums: BTreeMap<Key, Sum>) -> BTreeMap<Key, Sum> {
    let mut weights: BTreeMap<&str, i128> = BTreeMap::new();
    for ((_, _, channel, _), sum) in &sums {
        *weights.entry(channel).or_default() += sum.weight_nano;
    }
    let mut by_weight: Vec<_> = weights.into_iter().map(|(channel, weight)| (weight, channel)).collect();
    by_weight.sort_unstable_by(|one, other| other.cmp(one));
    let told: BTreeSet<String> = by_weight.into_iter().take(CHANNELS_MAX).map(|(_, channel)| channel.to_owned()).collect();
    let mut folded: BTreeMap<Key, Sum> = BTreeMap::new();
    for ((kind, model, channel, currency), sum) in sums {
        let channel = if told.contains(&channel) { channel } else { "other".to_owned() };
        folded.entry((kind, model, channel, currency)).or_default().add(sum.weight_nano, sum.value_minor);
    }
    folded
}

#[cfg(test)]
mod tests {
    use super::*;

    static NO_DIMENSIONS: BTreeMap<String, String> = BTreeMap::new();

    fn row<'a>(channel: &'a str, weight_nano: i64) -> Row<'a> {
        Row {
            milestone_id: "closed_won:1",
            model: "linear",
            touch_id: "t",
            channel,
            profile_id: "p",
            account_id: "a",
            weight_nano,
            value_minor: weight_nano * 2,
            currency: "CNY",
            reporting_currency: "",
            reporting_value_minor: None,
            dimensions: &NO_DIMENSIONS,
            milestone_dimensions: &NO_DIMENSIONS,
            milestone_kind: "closed_won",
            source: "",
            touch_time_ms: 0,
        }
    }

    #[test]
    fn rows_of_a_channel_are_summed_and_the_least_are_other() {
        let names: Vec<String> = (0..CHANNELS_MAX + 5).map(|at| format!("channel{at:03}")).collect();
        let rows = names.iter().zip(1i64..).flat_map(|(name, weight)| [row(name, weight), row(name, weight)]);
        let earned = Earned::of(rows);
        assert_eq!(earned.iter().count(), CHANNELS_MAX + 1);
        let of = |channel: &str| earned.iter().find(|((_, _, name, _), _)| name == channel).map(|(_, sum)| *sum);
        assert_eq!(of("other"), Some(Sum { weight_nano: 2 * (1 + 2 + 3 + 4 + 5), value_minor: 4 * (1 + 2 + 3 + 4 + 5) }));
        assert_eq!(of("channel064"), Some(Sum { weight_nano: 130, value_minor: 260 }));
    }
}
