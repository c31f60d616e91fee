//! How far the credit of each model is from the true effects of the channels.
//!
//! The distance is the sum of the absolute differences of shares, over all channels: 0 is the truth, 2 is completely wrong. Its 90 %
//! interval comes from resampling milestones with replacement (Efron and Tibshirani: An Introduction to the Bootstrap, 1993).

use std::collections::BTreeMap;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use serde::{Deserialize, Serialize};
use tributary_proto::UNATTRIBUTED;

use crate::generate::effects::Planted;

/// The fields of a credit row that are compared.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Credit {
    /// Its milestone, kind first.
    pub milestone_id: String,
    /// Its model.
    pub model: String,
    /// Its touch.
    pub touch_id: String,
    /// Its channel.
    pub channel: String,
    /// Billionths.
    pub weight_nano: i64,
}

/// The share of a channel.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ChannelShare {
    /// The channel.
    pub channel: String,
    /// Its share of all credit.
    pub share: f64,
    /// Its true share.
    pub truth: f64,
}

/// The distance of a model from the truth.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelDistance {
    /// The model.
    pub model: String,
    /// Milestones that have a touch.
    pub milestones: usize,
    /// The distance.
    pub distance: f64,
    /// The 90 % interval of the distance over the resamples; `None` without resamples.
    pub interval: Option<[f64; 2]>,
    /// The shares by channel.
    pub channels: Vec<ChannelShare>,
}

/// Collects credit rows.
#[derive(Debug)]
pub struct Comparison<'a> {
    planted: &'a Planted,
    channels: BTreeMap<String, usize>,
    /// By model and milestone, the billionths of each channel, by position.
    models: BTreeMap<String, BTreeMap<String, BTreeMap<usize, i64>>>,
}

impl<'a> Comparison<'a> {
    /// For the planted truth, without rows yet.
    pub fn new(planted: &'a Planted) -> Self {
        let channels = planted.channels.iter().enumerate().map(|(at, done)| (done.channel.clone(), at)).collect();
        Self { planted, channels, models: BTreeMap::new() }
    }

    /// Adds a row; those of other milestones, and of milestones without a touch, are ignored.
    pub fn add(&mut self, row: Credit) {
        let of_target = row.milestone_id.split_once(':').is_some_and(|(kind, _)| kind == self.planted.target);
        if !of_target || row.touch_id == UNATTRIBUTED {
            return;
        }
        let next = self.channels.len();
        let channel = *self.channels.entry(row.channel).or_insert(next);
        let milestone = self.models.entry(row.model).or_default().entry(row.milestone_id).or_default();
        *milestone.entry(channel).or_default() += row.weight_nano;
    }

    /// The models, nearest to the truth first, with intervals from this many resamples.
    pub fn distances(&self, resamples: u32, seed: u64) -> Vec<ModelDistance> {
        let mut found: Vec<_> = self.models.iter().map(|(model, rows)| self.distance(model, rows, resamples, seed)).collect();
        found.sort_by(|a, b| a.distance.total_cmp(&b.distance).then_with(|| a.model.cmp(&b.model)));
        found
    }

    fn distance(&self, model: &str, rows: &BTreeMap<String, BTreeMap<usize, i64>>, resamples: u32, seed: u64) -> ModelDistance {
        let milestones: Vec<&BTreeMap<usize, i64>> = rows.values().collect();
        let shares = self.shares(milestones.iter().copied());
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let mut drawn: Vec<f64> = (0..resamples)
            .map(|_| {
                let again = (0..milestones.len()).filter_map(|_| {
                    let at = random.next_u64() % milestones.len() as u64;
                    milestones.get(usize::try_from(at).ok()?).copied()
                });
                self.distance_of(&self.shares(again))
            })
            .collect();
        drawn.sort_by(f64::total_cmp);
        let part = |of: usize| drawn.get((drawn.len().saturating_sub(1)) * of / 20).copied();
        let interval = part(1).zip(part(19)).map(|(low, high)| [low, high]);
        let channels = self.channels.iter().map(|(channel, at)| ChannelShare {
            channel: channel.clone(),
            share: shares.get(*at).copied().unwrap_or_default(),
            truth: self.truth(*at),
        });
        let distance = self.distance_of(&shares);
        ModelDistance {
            model: model.to_owned(),
            milestones: milestones.len(),
            distance,
            interval,
            channels: channels.collect(),
        }
    }

    fn shares<'b>(&self, milestones: impl Iterator<Item = &'b BTreeMap<usize, i64>>) -> Vec<f64> {
        let mut sums = vec![0_i128; self.channels.len()];
        for (channel, weight) in milestones.flatten() {
            if let Some(sum) = sums.get_mut(*channel) {
                *sum += i128::from(*weight);
            }
        }
        let all = sums.iter().sum::<i128>().max(1) as f64;
        sums.iter().map(|sum| *sum as f64 / all).collect()
    }

    fn truth(&self, channel: usize) -> f64 {
        self.planted.channels.get(channel).map_or(0.0, |done| done.share)
    }

    fn distance_of(&self, shares: &[f64]) -> f64 {
        shares.iter().enumerate().map(|(at, share)| (share - self.truth(at)).abs()).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::generate::effects::{Done, Effects};

    fn planted() -> Planted {
        let done = |channel: &str, share| Done { channel: channel.into(), lost: share, share };
        Planted {
            effects: Effects::Additive,
            people: 10,
            converted: 3,
            target: "closed_won".into(),
            channels: vec![done("email", 0.75), done("event", 0.25)],
        }
    }

    fn row(model: &str, milestone: &str, channel: &str, weight_nano: i64) -> Credit {
        let touch_id = if channel.is_empty() { UNATTRIBUTED } else { "t" };
        Credit {
            milestone_id: milestone.into(),
            model: model.into(),
            touch_id: touch_id.into(),
            channel: channel.into(),
            weight_nano,
        }
    }

    #[test]
    fn the_distance_is_the_sum_of_what_each_channel_has_too_much_or_too_little() {
        let planted = planted();
        let mut comparison = Comparison::new(&planted);
        for (model, channels) in [("right", ["email", "email", "email", "event"]), ("wrong", ["direct"; 4])] {
            for (at, channel) in channels.into_iter().enumerate() {
                comparison.add(row(model, &format!("closed_won:{at}"), channel, 1_000_000_000));
            }
        }
        comparison.add(row("right", "mql:1", "direct", 1_000_000_000));
        comparison.add(row("right", "closed_won:9", "", 1_000_000_000));
        let found = comparison.distances(50, 1);
        let of = |at: usize| (found[at].model.as_str(), found[at].distance, found[at].milestones);
        assert_eq!((of(0), of(1)), (("right", 0.0, 4), ("wrong", 2.0, 4)));
        // A resample of four milestones is seldom these four; but with a single channel all resamples are equal.
        let [low, high] = found[0].interval.unwrap();
        assert!(low == 0.0 && high > 0.2, "{low} {high}");
        assert_eq!(found[1].interval, Some([2.0, 2.0]));
        assert_eq!(comparison.distances(50, 1), found);
        assert_eq!(comparison.distances(0, 1)[0].interval, None);
    }
}
