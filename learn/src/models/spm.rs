//! `spm`: conversion rates of journeys with a channel, and with two.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{COMMON_BITS, Learnt, Names, Parameters, common_multiple, part, value};
use crate::hash::FixedMap;
use crate::paths::{ChannelId, Outcomes};
use crate::sets::{Sets, nano_positive, rate};

pub fn fit(sets: &Sets<'_>, channels: usize) -> Parameters {
    let mut pairs: BTreeMap<(ChannelId, ChannelId), Outcomes> = BTreeMap::new();
    for (set, outcomes) in &sets.rows {
        let mut others = set.iter();
        while let Some(first) = others.next() {
            for second in others.as_slice() {
                pairs.entry((*first, *second)).or_default().add(*outcomes);
            }
        }
    }
    let single_nano = sets.by_channel(channels).into_iter().map(|outcomes| nano_positive(rate(outcomes))).collect();
    let pairs = pairs.into_iter().map(|((first, second), outcomes)| PairRate {
        channels: [first, second],
        journeys: outcomes.journeys(),
        rate_nano: nano_positive(rate(outcomes)),
    });
    Parameters::Spm { single_nano, pairs: pairs.collect() }
}

/// How many of the journeys with both channels convert.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct PairRate {
    pub channels: [ChannelId; 2],
    pub journeys: u64,
    pub rate_nano: u64,
}

/// Rates of single channels and of pairs.
#[derive(Debug)]
pub(crate) struct Rates {
    single: Vec<u64>,
    pairs: FixedMap<(ChannelId, ChannelId), u64>,
}

impl Rates {
    pub fn new(single: Vec<u64>, pairs: &[PairRate]) -> Self {
        Self { single, pairs: pairs.iter().map(|pair| (pair.channels.into(), pair.rate_nano)).collect() }
    }
}

impl Learnt for Rates {
    fn weights(&self, set: &[ChannelId]) -> Vec<u128> {
        spm(set, &self.single, &self.pairs)
    }

    fn why(&self, set: &[ChannelId], of: ChannelId, name: &Names<'_>) -> String {
        let mut words = format!("conversion rate with {} {}", name(of), part(value(&self.single, of)));
        for (other, term) in pair_terms(of, set, &self.single, &self.pairs) {
            words += &format!(", with {} too {:+.6}", name(other), term as f64 / 1e9);
        }
        words
    }
}

/// By how much the rate of a pair exceeds those of its channels, for every pair of a channel that was seen.
fn pair_terms<'a>(
    channel: ChannelId,
    set: &'a [ChannelId],
    single: &'a [u64],
    pairs: &'a FixedMap<(ChannelId, ChannelId), u64>,
) -> impl Iterator<Item = (ChannelId, i128)> + 'a {
    let others = set.iter().copied().filter(move |other| *other != channel);
    others.filter_map(move |other| {
        let together = pairs.get(&(channel.min(other), channel.max(other)))?;
        let apart = i128::from(value(single, channel)) + i128::from(value(single, other));
        Some((other, i128::from(*together) - apart))
    })
}

/// Each channel's rate, plus half of the average excess of its pairs, over a common denominator.
fn spm(set: &[ChannelId], single: &[u64], pairs: &FixedMap<(ChannelId, ChannelId), u64>) -> Vec<u128> {
    let sums = set.iter().map(|channel| {
        let seen_and_sum = |(seen, sum), (_, term)| (seen + 1, sum + term);
        (i128::from(value(single, *channel)), pair_terms(*channel, set, single, pairs).fold((0u64, 0i128), seen_and_sum))
    });
    let sums: Vec<(i128, (u64, i128))> = sums.collect();
    let twice = sums.iter().map(|(_, (seen, _))| 2 * (*seen).max(1));
    let whole = i128::from(common_multiple(twice).unwrap_or(1 << COMMON_BITS));
    let weight = |(own, (seen, sum)): (i128, (u64, i128))| own * whole + sum * whole / i128::from(2 * seen.max(1));
    sums.into_iter().map(|sums| weight(sums).try_into().unwrap_or(0)).collect()
}
