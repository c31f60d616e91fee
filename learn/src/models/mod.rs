//! The models that learn. Each has a file, which describes what is fitted, how weights follow, and why; this module lists them.

mod apriori;
mod blr;
mod markov;
mod shapley;
mod shapley_rate;
mod spm;

use std::fmt::Debug;

use serde::{Deserialize, Serialize};
use tributary_proto::WHOLE_NANO;

use crate::paths::{ChannelId, Counted, Outcomes};
use crate::sets::Sets;

pub use apriori::Rule;
pub use blr::Coefficient;
pub use markov::{Endless, ORDER_MAX};
pub(crate) use shapley::SumGame;
pub use shapley_rate::SetRate;
pub use spm::PairRate;

/// A common multiple is used only up to this many bits.
const COMMON_BITS: u32 = 40;

/// A kind of model that learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelKind {
    /// Removal effects in a Markov chain.
    Markov {
        /// How many touches a state remembers, 1 to 3.
        order: u8,
    },
    /// Shapley values of the sum game: equal parts for the channels of a journey. Has no parameters.
    Shapley,
    /// Shapley values of the game of conversion rates.
    ShapleyRate,
    /// Conversion rates of single channels and of pairs.
    Spm,
    /// Bagged logistic regression.
    Blr,
    /// Association rules: sets of channels that often convert.
    Apriori,
}

/// The parameters of a model; channels by position.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "model", rename_all = "snake_case")]
#[allow(missing_docs)]
pub enum Parameters {
    Markov { order: u8, conversion_nano: u64, removal_nano: Vec<u64> },
    Shapley,
    ShapleyRate { sets: Vec<SetRate> },
    Spm { single_nano: Vec<u64>, pairs: Vec<PairRate> },
    Blr { bags: u32, coefficients: Vec<Coefficient> },
    Apriori { rules: Vec<Rule> },
}

/// Gives a channel's label.
type Names<'a> = dyn Fn(ChannelId) -> &'a str + 'a;

/// The parameters of a model, prepared for weighing journeys.
pub(crate) trait Learnt: Debug + Send + Sync {
    /// Whether it also weighs channels that it was not fitted to.
    fn knows_all(&self) -> bool {
        false
    }

    /// The weights of the distinct channels of a journey, sorted; all 0 if it gives weight to none of them.
    fn weights(&self, set: &[ChannelId]) -> Vec<u128>;

    /// Why a channel of the journey has its weight, in words.
    fn why(&self, set: &[ChannelId], of: ChannelId, name: &Names<'_>) -> String;
}

/// What a model is fitted to: the journeys themselves, or a resample of them.
pub(crate) struct Sample<'a> {
    pub counted: &'a Counted,
    pub outcomes: &'a [Outcomes],
    pub sets: &'a Sets<'a>,
    /// The number of bags, for models that use bags.
    pub bags: u32,
    pub seed: u64,
    pub threads: usize,
    /// Called with the steps that are done.
    pub tick: &'a (dyn Fn(u64) + Sync),
}

impl ModelKind {
    /// All kinds, Markov with this order.
    pub fn all(order: u8) -> [Self; 6] {
        [Self::Markov { order }, Self::Shapley, Self::ShapleyRate, Self::Spm, Self::Blr, Self::Apriori]
    }

    /// The types (as in the settings) of those that need a parameter set.
    pub const FITTED: [&str; 5] = ["markov", "shapley_rate", "spm", "blr", "apriori"];

    /// The type of the model in settings.
    pub fn name(self) -> &'static str {
        match self {
            Self::Markov { .. } => "markov",
            Self::Shapley => "shapley",
            Self::ShapleyRate => "shapley_rate",
            Self::Spm => "spm",
            Self::Blr => "blr",
            Self::Apriori => "apriori",
        }
    }

    /// The number of steps that a fit reports, for this many channels and bags.
    pub(crate) fn steps(self, channels: usize, bags: u32) -> u64 {
        match self {
            Self::Markov { .. } => channels as u64,
            Self::Blr => u64::from(bags),
            _ => 0,
        }
    }

    /// Fits it to a sample.
    pub(crate) fn fit(self, to: &Sample<'_>) -> Result<Parameters, Endless> {
        let channels = to.counted.labels.len();
        Ok(match self {
            Self::Markov { order } => markov::fit(to.counted, to.outcomes, order, to.threads, to.tick)?,
            Self::Shapley => Parameters::Shapley,
            Self::ShapleyRate => shapley_rate::fit(to.sets),
            Self::Spm => spm::fit(to.sets, channels),
            Self::Blr => blr::fit(to.sets, channels, to.bags, to.seed, to.threads, to.tick),
            Self::Apriori => apriori::fit(to.sets),
        })
    }
}

impl Parameters {
    /// The model.
    pub fn kind(&self) -> ModelKind {
        match self {
            Self::Markov { order, .. } => ModelKind::Markov { order: *order },
            Self::Shapley => ModelKind::Shapley,
            Self::ShapleyRate { .. } => ModelKind::ShapleyRate,
            Self::Spm { .. } => ModelKind::Spm,
            Self::Blr { .. } => ModelKind::Blr,
            Self::Apriori { .. } => ModelKind::Apriori,
        }
    }

    /// Whether they are consistent with this number of channels.
    pub(crate) fn fit_to(&self, count: usize) -> bool {
        let known = |channels: &[ChannelId]| {
            channels.is_sorted_by(|a, b| a < b) && channels.iter().all(|channel| usize::from(*channel) < count)
        };
        let whole = |rate: u64| rate <= WHOLE_NANO;
        match self {
            Self::Markov { order, removal_nano, .. } => {
                (1..=ORDER_MAX).contains(order)
                    && removal_nano.len() == count
                    && removal_nano.iter().all(|effect| whole(*effect))
            }
            Self::Shapley => true,
            Self::ShapleyRate { sets } => {
                sets.iter().all(|set| known(&set.channels) && !set.channels.is_empty() && whole(set.rate_nano))
            }
            Self::Spm { single_nano, pairs } => {
                single_nano.len() == count
                    && single_nano.iter().all(|rate| whole(*rate))
                    && pairs.iter().all(|pair| known(&pair.channels) && whole(pair.rate_nano))
            }
            Self::Blr { coefficients, .. } => coefficients.len() == count,
            Self::Apriori { rules } => rules.iter().all(|rule| {
                known(&rule.channels) && !rule.channels.is_empty() && rule.channels.len() <= 4 && whole(rule.confidence_nano)
            }),
        }
    }

    /// Prepares them for weighing. `journeys` is the number of journeys with each channel.
    pub(crate) fn learnt(&self, journeys: Vec<u64>) -> Box<dyn Learnt> {
        match self {
            Self::Markov { removal_nano, .. } => Box::new(markov::Effects(removal_nano.clone())),
            Self::Shapley => Box::new(SumGame),
            Self::ShapleyRate { sets } => Box::new(shapley_rate::RateGame::new(sets, journeys)),
            Self::Spm { single_nano, pairs } => Box::new(spm::Rates::new(single_nano.clone(), pairs)),
            Self::Blr { coefficients, .. } => Box::new(blr::Coefficients(coefficients.clone())),
            Self::Apriori { rules } => Box::new(apriori::Rules::new(rules, journeys.len())),
        }
    }
}

fn value(list: &[u64], channel: ChannelId) -> u64 {
    list.get(usize::from(channel)).copied().unwrap_or_default()
}

/// Billionths as a number.
fn part(nano: u64) -> String {
    format!("{:.6}", nano as f64 / 1e9)
}

/// The least common multiple; `None` if it is too large.
pub(crate) fn common_multiple(mut numbers: impl Iterator<Item = u64>) -> Option<u64> {
    numbers.try_fold(1u64, |multiple, number| {
        let (mut a, mut b) = (multiple, number.max(1));
        while b > 0 {
            (a, b) = (b, a % b);
        }
        multiple.checked_mul(number.max(1) / a).filter(|multiple| *multiple <= 1 << COMMON_BITS)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn multiples_are_least() {
        assert_eq!(common_multiple([4, 6, 1].into_iter()), Some(12));
        assert_eq!(common_multiple(1..=60), None);
    }
}
