//! The weights of the touches of a journey under a model, as integers of which only the proportions matter.

mod why;

use std::collections::BTreeMap;

use crate::models::{Learnt, SumGame, common_multiple};
use crate::parameters::{Label, ParameterSet};
use crate::paths::ChannelId;

/// A weight has at most this many bits: that leaves room for multipliers.
const BITS_MAX: u32 = 72;

/// A parameter set, prepared for weighing journeys.
#[derive(Debug)]
pub struct Weigher {
    /// The field of a touch that is its channel.
    pub label: Label,
    labels: Vec<String>,
    learnt: Box<dyn Learnt>,
}

impl Weigher {
    /// With the parameters of a set.
    pub fn new(set: &ParameterSet) -> Self {
        let labels = set.channels.iter().map(|channel| channel.channel.clone()).collect();
        let journeys = set.channels.iter().map(|channel| channel.journeys).collect();
        Self { label: set.about.label, labels, learnt: set.parameters.learnt(journeys) }
    }

    /// The sum game, which has no parameters.
    pub fn sum_game(label: Label) -> Self {
        Self { label, labels: Vec::new(), learnt: Box::new(SumGame) }
    }

    /// The weights of a journey's touches, each given by its label. A channel's weight is divided equally among its touches. Channels that
    /// are not in the set get nothing. If none of the journey's channels is in the set, all touches get the same; if those that are have no
    /// weight, these channels get the same.
    pub fn weigh(&self, touches: &[impl AsRef<str>]) -> Vec<u128> {
        let mut held: BTreeMap<&str, u64> = BTreeMap::new();
        for touch in touches {
            *held.entry(touch.as_ref()).or_default() += 1;
        }
        let labels: Vec<&str> = held.keys().copied().filter(|label| self.knows(label)).collect();
        let weights: BTreeMap<&str, u128> = labels.iter().copied().zip(self.of_labels(&labels)).collect();
        if weights.is_empty() {
            return vec![1; touches.len()];
        }
        let parts = Parts::new(weights.values().copied().max().unwrap_or_default(), held.values().copied());
        let weight =
            |label: &str| parts.of(weights.get(label).copied().unwrap_or_default(), held.get(label).copied().unwrap_or(1));
        touches.iter().map(|touch| weight(touch.as_ref())).collect()
    }

    fn knows(&self, label: &str) -> bool {
        self.learnt.knows_all() || self.id(label).is_some()
    }

    fn id(&self, label: &str) -> Option<ChannelId> {
        let at = self.labels.binary_search_by(|known| known.as_str().cmp(label)).ok()?;
        ChannelId::try_from(at).ok()
    }

    /// The weights of distinct labels that are in the set, sorted; never all 0.
    fn of_labels(&self, labels: &[&str]) -> Vec<u128> {
        if self.learnt.knows_all() {
            return vec![1; labels.len()];
        }
        self.of_channels(&labels.iter().filter_map(|label| self.id(label)).collect::<Vec<_>>())
    }

    /// The weights of the distinct channels of a journey, sorted; never all 0.
    pub fn of_channels(&self, set: &[ChannelId]) -> Vec<u128> {
        let weights = self.learnt.weights(set);
        if weights.iter().all(|weight| *weight == 0) { vec![1; set.len()] } else { weights }
    }
}

/// Divides the weights of channels by their numbers of touches: exactly if possible, else to more digits than shares have.
struct Parts {
    multiple: Option<u64>,
    bits: u32,
}

impl Parts {
    fn new(largest: u128, touches: impl Iterator<Item = u64>) -> Self {
        let bits = u128::BITS - largest.leading_zeros();
        let fits = |multiple: &u64| bits + (u64::BITS - multiple.leading_zeros()) <= BITS_MAX;
        Self { multiple: common_multiple(touches).filter(fits), bits }
    }

    fn of(&self, weight: u128, touches: u64) -> u128 {
        let scaled = match self.multiple {
            Some(multiple) => weight * u128::from(multiple),
            None if self.bits <= BITS_MAX => weight << (BITS_MAX - self.bits),
            None => weight >> (self.bits - BITS_MAX),
        };
        scaled / u128::from(touches.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn touches_of_a_channel_share_its_weight_exactly() {
        let game = Weigher::sum_game(Label::Channel);
        assert_eq!(game.weigh(&["a", "b", "a", "a"]), [1, 3, 1, 1]);
        let many: Vec<String> = (1..=60).flat_map(|label| vec![label.to_string(); label]).collect();
        let weights = game.weigh(&many);
        let of =
            |label: &str| many.iter().zip(&weights).filter(|(name, _)| *name == label).map(|(_, weight)| weight).sum::<u128>();
        assert!(of("1") - of("53") < 60, "{} {}", of("1"), of("53"));
        assert_eq!(game.weigh(&Vec::<String>::new()), Vec::<u128>::new());
    }
}
