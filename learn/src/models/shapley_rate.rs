//! `shapley_rate`: the conversion rate of every set of channels that journeys have.

use serde::{Deserialize, Serialize};

use super::{Learnt, Names, Parameters, value};
use crate::hash::FixedMap;
use crate::paths::ChannelId;
use crate::sets::{Sets, nano_positive, rate};

pub fn fit(sets: &Sets<'_>) -> Parameters {
    let sets = sets.rows.iter().map(|(set, outcomes)| SetRate {
        channels: set.to_vec(),
        journeys: outcomes.journeys(),
        rate_nano: nano_positive(rate(*outcomes)),
    });
    // A set that never converted has the value 0, as one that was never seen.
    Parameters::ShapleyRate { sets: sets.filter(|set| set.rate_nano > 0).collect() }
}

/// How many of the journeys with exactly these channels convert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct SetRate {
    pub channels: Vec<ChannelId>,
    pub journeys: u64,
    pub rate_nano: u64,
}

/// With more channels than this, only the most frequent ones are players of the game.
const PLAYERS_MAX: usize = 12;

/// The game of conversion rates.
#[derive(Debug)]
pub(crate) struct RateGame {
    rates: FixedMap<Box<[ChannelId]>, u64>,
    journeys: Vec<u64>,
}

impl RateGame {
    pub fn new(sets: &[SetRate], journeys: Vec<u64>) -> Self {
        Self { rates: sets.iter().map(|set| (set.channels.clone().into_boxed_slice(), set.rate_nano)).collect(), journeys }
    }
}

impl Learnt for RateGame {
    fn weights(&self, set: &[ChannelId]) -> Vec<u128> {
        rate_game(set, &self.rates, &self.journeys)
    }

    fn why(&self, set: &[ChannelId], of: ChannelId, name: &Names<'_>) -> String {
        let (label, count) = (name(of), set.len());
        if count > PLAYERS_MAX {
            return format!(
                "Shapley value of {label} in the game of conversion rates, played by the {PLAYERS_MAX} most frequent of {count} channels"
            );
        }
        format!("Shapley value of {label} in the game of conversion rates of {count} channels")
    }
}

/// The Shapley values of a game whose value of a set of channels is the conversion rate of journeys with exactly these, times the factorial
/// of the number of players. Negative values count as 0. With more than [`PLAYERS_MAX`] channels only the most frequent are players; each
/// other one gets the average of these.
fn rate_game(set: &[ChannelId], rates: &FixedMap<Box<[ChannelId]>, u64>, journeys: &[u64]) -> Vec<u128> {
    let mut players = set.to_vec();
    if players.len() > PLAYERS_MAX {
        players.sort_by_key(|channel| (std::cmp::Reverse(value(journeys, *channel)), *channel));
        players.truncate(PLAYERS_MAX);
        players.sort_unstable();
    }
    let factorial = |n: usize| (1..=n as i128).product::<i128>();
    let count = players.len();
    let mut values = vec![0i128; count];
    let mut coalition = Vec::with_capacity(count);
    for members in 1u32..1 << count {
        coalition.clear();
        let is_in = |at: usize| members >> at & 1 == 1;
        coalition.extend(players.iter().enumerate().filter(|(at, _)| is_in(*at)).map(|(_, channel)| *channel));
        let Some(rate) = rates.get(coalition.as_slice()).map(|rate| i128::from(*rate)) else { continue };
        let size = coalition.len();
        let joining = rate * factorial(size - 1) * factorial(count - size);
        let leaving = if size < count { rate * factorial(size) * factorial(count - size - 1) } else { 0 };
        for (at, value) in values.iter_mut().enumerate() {
            *value += if is_in(at) { joining } else { -leaving };
        }
    }
    let values: Vec<u128> = values.into_iter().map(|value| value.try_into().unwrap_or(0)).collect();
    let total: u128 = values.iter().sum();
    // All are multiplied by the number of players, so that the average is whole.
    let of = |channel: &ChannelId| players.binary_search(channel).ok().and_then(|at| values.get(at));
    set.iter().map(|channel| of(channel).map_or(total, |value| value * count as u128)).collect()
}
