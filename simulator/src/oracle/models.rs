//! The models: the weight of every touch of a journey, as exact whole numbers of which only the proportions matter.

use std::collections::BTreeMap;

use tributary_attributor::settings::ModelSettings;

use super::credit::Brought;
use super::journey::{Journey, body};

const DAY_MS: f64 = 86_400_000.0;
/// Weights that are computed as floats become whole numbers: the largest becomes this.
const LARGEST: f64 = 4_503_599_627_370_496.0;
const MICRO: u128 = 1_000_000;

/// The weights of a journey's touches under a model, with its multipliers.
pub fn weights(model: &ModelSettings, journey: &Journey) -> Vec<u128> {
    let own = equal_where_nothing(rule(model, journey));
    let factors = journey.touches.iter().map(|touch| factor(model, touch));
    let multiplied: Vec<u128> = own.iter().zip(factors).map(|(weight, factor)| weight * factor).collect();
    if multiplied.iter().all(|weight| *weight == 0) { own } else { multiplied }
}

fn equal_where_nothing(weights: Vec<u128>) -> Vec<u128> {
    if weights.iter().all(|weight| *weight == 0) { vec![1; weights.len()] } else { weights }
}

fn rule(model: &ModelSettings, journey: &Journey) -> Vec<u128> {
    let count = journey.touches.len();
    let all_on = |on: usize| (0..count).map(|at| u128::from(at == on)).collect();
    let last = count.saturating_sub(1);
    match model.rule.as_str() {
        "first_touch" => all_on(0),
        "last_touch" => all_on(last),
        "last_non_direct" => all_on(journey.last_non_direct().unwrap_or(last)),
        "lead_conversion" => all_on(journey.stage("lead").or(journey.first_identified()).unwrap_or(journey.begins)),
        "time_decay" => time_decay(model.half_life_days.unwrap_or(30.0), journey),
        "time_weighted" => time_weighted(model.alpha.unwrap_or(0.5), model.beta.unwrap_or(0.4), journey),
        "position" => position(model, count),
        "staged" | "custom" => staged(model, journey),
        _ => vec![1; count],
    }
}

/// A percentage in billionths.
fn share(percent: f64) -> u128 {
    libm::round(percent * 1e7) as u128
}

fn position(model: &ModelSettings, count: usize) -> Vec<u128> {
    let (first, last) = (share(model.first.unwrap_or(40.0)), share(model.last.unwrap_or(40.0)));
    let middle = share(model.middle.unwrap_or(20.0));
    match count {
        0 | 1 => vec![1; count],
        2 => vec![first, last],
        _ => {
            let between = count as u128 - 2;
            let weight = |at: usize| match at {
                0 => first * between,
                at if at + 1 == count => last * between,
                _ => middle,
            };
            (0..count).map(weight).collect()
        }
    }
}

fn staged(model: &ModelSettings, journey: &Journey) -> Vec<u128> {
    let count = journey.touches.len();
    let place = |at: &str| match at {
        "first" => Some(journey.begins),
        "last" => count.checked_sub(1),
        "close" => journey.close,
        kind => journey.stage(kind),
    };
    // A missing stage's share goes to the next one that is there, else to the last one that is.
    let mut held: BTreeMap<usize, u128> = BTreeMap::new();
    let (mut folded, mut last_present) = (0, None);
    for anchor in &model.anchors {
        folded += share(anchor.percent);
        if let Some(at) = place(&anchor.at) {
            *held.entry(at).or_default() += std::mem::take(&mut folded);
            last_present = Some(at);
        }
    }
    if let Some(at) = last_present {
        *held.entry(at).or_default() += folded;
    }
    let last_anchor = held.keys().copied().max().unwrap_or(0);
    let middle: Vec<usize> = (journey.begins..last_anchor).filter(|at| !held.contains_key(at)).collect();
    let parts = middle.len().max(1) as u128;
    let weight = |at: usize| match held.get(&at) {
        Some(share) => share * parts,
        None if middle.contains(&at) => share(model.middle.unwrap_or(0.0)),
        None => 0,
    };
    (0..count).map(weight).collect()
}

fn time_decay(half_life_days: f64, journey: &Journey) -> Vec<u128> {
    let half_life_ms = libm::round(half_life_days * DAY_MS);
    let latest = journey.touches.last().map_or(0, |touch| touch.touch.time_ms);
    if half_life_ms == 0.0 {
        let last = journey.touches.len().saturating_sub(1);
        return (0..journey.touches.len()).map(|at| u128::from(at == last)).collect();
    }
    let weight = |touch: &Brought| libm::exp2(-((latest - touch.touch.time_ms) as f64 / half_life_ms));
    whole(&journey.touches.iter().map(weight).collect::<Vec<_>>())
}

fn time_weighted(alpha: f64, beta: f64, journey: &Journey) -> Vec<u128> {
    let first = journey.touches.first().map_or(0, |touch| touch.touch.time_ms);
    let span = journey.time_ms - first;
    if span <= 0 {
        return vec![1; journey.touches.len()];
    }
    let exponent = |shape: f64| libm::round(shape * 1e6) / 1e6 - 1.0;
    let weight = |touch: &Brought| {
        let u = 0.05 + 0.9 * ((touch.touch.time_ms - first) as f64 / span as f64);
        libm::pow(u, exponent(alpha)) * libm::pow(1.0 - u, exponent(beta))
    };
    whole(&journey.touches.iter().map(weight).collect::<Vec<_>>())
}

fn whole(weights: &[f64]) -> Vec<u128> {
    let largest = weights.iter().copied().fold(0.0, f64::max);
    weights.iter().map(|weight| (weight / largest * LARGEST) as u128).collect()
}

/// The product of a touch's multipliers, in millionths.
fn factor(model: &ModelSettings, touch: &Brought) -> u128 {
    let micro =
        |factors: &BTreeMap<String, f64>, key: &str| factors.get(key).map_or(MICRO, |factor| libm::round(factor * 1e6) as u128);
    let factors = &model.multipliers;
    let (role, channel) = (micro(&factors.role, &touch.home.role), micro(&factors.channel, &body(touch).channel));
    role * channel / MICRO * micro(&factors.touch_type, &body(touch).touch_type) / MICRO
}

/// Whole shares of `whole` in proportion to the weights: rounded down, then one more for the largest remainders, ties to the earlier.
pub fn shares(weights: &[u128], whole: u128) -> Vec<u128> {
    let total: u128 = weights.iter().sum();
    if total == 0 {
        return vec![0; weights.len()];
    }
    let mut shares: Vec<u128> = weights.iter().map(|weight| weight * whole / total).collect();
    let missing = whole - shares.iter().sum::<u128>();
    let mut by_remainder: Vec<(u128, usize)> =
        weights.iter().zip(0..).map(|(weight, at)| (weight * whole % total, at)).collect();
    by_remainder.sort_by_key(|(remainder, at)| (std::cmp::Reverse(*remainder), *at));
    for (_, at) in by_remainder.into_iter().take(usize::try_from(missing).unwrap_or(usize::MAX)) {
        if let Some(share) = shares.get_mut(at) {
            *share += 1;
        }
    }
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_whole_and_ties_go_to_the_earlier() {
        assert_eq!(shares(&[1, 1, 1], 10), [4, 3, 3]);
        assert_eq!(shares(&[2, 1], 1), [1, 0]);
        assert_eq!(shares(&[0, 5], 7), [0, 7]);
    }
}
