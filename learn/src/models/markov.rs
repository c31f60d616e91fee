//! `markov`: removal effects in a Markov chain of order 1 to 3.
//!
//! A state is the last touches of a journey, at most as many as the order. Journeys begin in the empty state, and end in conversion or
//! without it. Removing a channel turns every step into a state that contains it into an end without conversion. Steps from a state to
//! itself are kept. Edges are counted in integers, so that order and threads do not matter; the linear systems are solved by Gauss-Seidel
//! iteration from below, with a bound on the error.

use std::ops::Range;

use super::{Learnt, Names, Parameters, part, value};
use crate::hash::FixedMap;
use crate::parallel;
use crate::paths::{ChannelId, Counted, Outcomes};
use crate::sets::nano_positive;

/// Accuracy of a solution: the probability that a journey has not ended after the steps added up so far.
const MISSING_MAX: f64 = 1e-13;
/// Iterations after which a chain counts as endless.
const ROUNDS_MAX: u32 = 200_000;
/// The highest order.
pub const ORDER_MAX: u8 = 3;
/// Bits per channel in an encoded state.
const BITS: u32 = 16;
/// Stands for conversion where a step's channel would be.
const CONVERSION: u64 = 0xffff;
const NULL: u64 = 0xfffe;

/// The chain almost never ends, so its removal effects cannot be computed to a billionth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the Markov chain of order {order} hardly ends: {ROUNDS_MAX} rounds are not enough; shorten the paths")]
pub struct Endless {
    order: u8,
}

/// Fits the chain; `threads` share the counting and the channels. `tick` is called with the channels that are done.
pub fn fit(
    counted: &Counted,
    outcomes: &[Outcomes],
    order: u8,
    threads: usize,
    tick: &(dyn Fn(u64) + Sync),
) -> Result<Parameters, Endless> {
    let chain = Chain::new(&edges(counted, outcomes, order, threads), order);
    let whole = chain.conversion(None).ok_or(Endless { order })?;
    let removal = parallel::map(threads, counted.labels.len(), |channel| {
        let left = chain.conversion(ChannelId::try_from(channel).ok());
        tick(1);
        left.map(|left| if whole > 0.0 { (1.0 - left / whole).clamp(0.0, 1.0) } else { 0.0 })
    });
    let removal_nano = removal.into_iter().map(|effect| effect.map(nano_positive)).collect::<Option<_>>();
    let removal_nano = removal_nano.ok_or(Endless { order })?;
    Ok(Parameters::Markov { order, conversion_nano: nano_positive(whole), removal_nano })
}

/// How often journeys stepped from a state to a channel or an end: `state << BITS | to`, sorted.
fn edges(counted: &Counted, outcomes: &[Outcomes], order: u8, threads: usize) -> Vec<(u64, u64)> {
    let keep = kept(order);
    let mut found = counted.in_parts(threads, |range| {
        let mut counts: FixedMap<u64, u64> = FixedMap::default();
        for at in range {
            let Some(outcome) = outcomes.get(at).copied().filter(|outcome| outcome.journeys() > 0) else { continue };
            let mut state = 0;
            for channel in counted.path(at) {
                let step = u64::from(*channel) + 1;
                *counts.entry(state << BITS | step).or_default() += outcome.journeys();
                state = (state << BITS | step) & keep;
            }
            for (end, count) in [(CONVERSION, outcome.converting), (NULL, outcome.null)] {
                if count > 0 {
                    *counts.entry(state << BITS | end).or_default() += count;
                }
            }
        }
        counts
    });
    let mut all = found.pop().unwrap_or_default();
    for (edge, count) in found.into_iter().flatten() {
        *all.entry(edge).or_default() += count;
    }
    let mut all: Vec<(u64, u64)> = all.into_iter().collect();
    all.sort_unstable();
    all
}

/// The states by number. The first is the empty state, in which journeys begin.
struct Chain {
    states: Vec<State>,
    /// Steps to other states with their probabilities, grouped by state.
    steps: Vec<(u32, f64)>,
}

struct State {
    key: u64,
    steps: Range<usize>,
    /// The probability to step to another state or an end.
    leave: f64,
    conversion: f64,
    /// The probability to step to either end.
    end: f64,
}

/// Lower bounds for a state: the probabilities to convert, and to end at all.
#[derive(Clone, Copy)]
struct Known {
    converts: f64,
    ends: f64,
}

impl Chain {
    fn new(edges: &[(u64, u64)], order: u8) -> Self {
        let keep = kept(order);
        let by_state = || edges.chunk_by(|(a, _), (b, _)| a >> BITS == b >> BITS);
        let keys: Vec<u64> = by_state().filter_map(|edges| Some(edges.first()?.0 >> BITS)).collect();
        let mut chain = Self { states: Vec::with_capacity(keys.len()), steps: Vec::with_capacity(edges.len()) };
        for (key, edges) in keys.iter().zip(by_state()) {
            let all = edges.iter().map(|(_, count)| *count).sum::<u64>() as f64;
            let start = chain.steps.len();
            let (mut stays, mut conversion, mut end) = (0, 0.0, 0.0);
            for (edge, count) in edges {
                let probability = *count as f64 / all;
                match edge & ((1 << BITS) - 1) {
                    CONVERSION => (conversion, end) = (probability, end + probability),
                    NULL => end += probability,
                    _ if edge & keep == *key => stays = *count,
                    _ => {
                        let to = keys.binary_search(&(edge & keep)).ok().and_then(|to| u32::try_from(to).ok());
                        chain.steps.extend(to.map(|to| (to, probability)));
                    }
                }
            }
            let leave = (all - stays as f64) / all;
            chain.states.push(State { key: *key, steps: start..chain.steps.len(), leave, conversion, end });
        }
        chain
    }

    /// The probability that a journey converts if one channel is removed; `None` if the chain does not end.
    fn conversion(&self, removed: Option<ChannelId>) -> Option<f64> {
        let is_removed = |state: &State| removed.is_some_and(|channel| contains(state.key, channel));
        let begin = |state: &State| Known { converts: 0.0, ends: if is_removed(state) { 1.0 } else { 0.0 } };
        let mut known: Vec<Known> = self.states.iter().map(begin).collect();
        let left: Vec<(usize, &State)> = self.states.iter().enumerate().rev().filter(|(_, state)| !is_removed(state)).collect();
        for _ in 0..ROUNDS_MAX {
            let start = known.first().copied().unwrap_or(Known { converts: 0.0, ends: 1.0 });
            if 1.0 - start.ends <= MISSING_MAX {
                return Some(start.converts);
            }
            for (at, state) in &left {
                let mut sum = Known { converts: state.conversion, ends: state.end };
                for (to, probability) in self.steps.get(state.steps.clone()).unwrap_or_default() {
                    let Some(next) = known.get(*to as usize) else { continue };
                    sum.converts += probability * next.converts;
                    sum.ends += probability * next.ends;
                }
                if let Some(known) = known.get_mut(*at) {
                    *known = Known { converts: sum.converts / state.leave, ends: sum.ends / state.leave };
                }
            }
        }
        None
    }
}

/// Mask of the bits of a state.
fn kept(order: u8) -> u64 {
    (1 << (BITS * u32::from(order.clamp(1, ORDER_MAX)))) - 1
}

fn contains(state: u64, channel: ChannelId) -> bool {
    let is_it = |place: u32| state >> (place * BITS) & ((1 << BITS) - 1) == u64::from(channel) + 1;
    (0..u32::from(ORDER_MAX)).any(is_it)
}

/// Every channel's removal effect.
#[derive(Debug)]
pub(crate) struct Effects(pub Vec<u64>);

impl Learnt for Effects {
    fn weights(&self, set: &[ChannelId]) -> Vec<u128> {
        set.iter().map(|channel| u128::from(value(&self.0, *channel))).collect()
    }

    fn why(&self, set: &[ChannelId], of: ChannelId, name: &Names<'_>) -> String {
        let all: u64 = set.iter().map(|channel| value(&self.0, *channel)).sum();
        format!("removal effect of {} {} of {} in this journey", name(of), part(value(&self.0, of)), part(all))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paths::Paths;
    use crate::random::Random;

    /// The same by elimination on a dense matrix, with states as lists: a check.
    fn eliminated(counted: &Counted, order: usize, removed: Option<ChannelId>) -> f64 {
        let mut states: Vec<Vec<ChannelId>> = Vec::new();
        let mut steps: Vec<(usize, Option<usize>, f64, bool)> = Vec::new();
        let mut number = |state: &[ChannelId]| {
            let state = state[state.len().saturating_sub(order)..].to_vec();
            states.iter().position(|known| *known == state).unwrap_or_else(|| {
                states.push(state);
                states.len() - 1
            })
        };
        for at in 0..counted.len() {
            let (path, outcomes) = (counted.path(at), counted.outcomes()[at]);
            for length in 0..path.len() {
                steps.push((number(&path[..length]), Some(number(&path[..=length])), outcomes.journeys() as f64, false));
            }
            steps.push((number(path), None, outcomes.converting as f64, true));
            steps.push((number(path), None, outcomes.null as f64, false));
        }
        let n = states.len();
        let gone = |state: usize| removed.is_some_and(|channel| states[state].contains(&channel));
        let mut matrix = vec![vec![0.0; n + 1]; n];
        for (row, line) in matrix.iter_mut().enumerate() {
            line[row] = 1.0;
        }
        for (from, to, count, converts) in &steps {
            let all: f64 = steps.iter().filter(|step| step.0 == *from).map(|step| step.2).sum();
            match to {
                Some(to) if !gone(*to) => matrix[*from][*to] -= count / all,
                Some(_) => {}
                None if *converts => matrix[*from][n] += count / all,
                None => {}
            }
        }
        for at in 0..n {
            let pivot = (at..n).max_by(|a, b| matrix[*a][at].abs().total_cmp(&matrix[*b][at].abs())).unwrap();
            matrix.swap(at, pivot);
            let line = matrix[at].clone();
            for (row, other) in matrix.iter_mut().enumerate().filter(|(row, _)| *row != at) {
                let _ = row;
                let factor = other[at] / line[at];
                other.iter_mut().zip(&line).for_each(|(cell, above)| *cell -= factor * above);
            }
        }
        let start = states.iter().position(Vec::is_empty).unwrap();
        matrix[start][n] / matrix[start][start]
    }

    #[test]
    fn rounds_give_what_elimination_gives() {
        for seed in 0..12 {
            let mut random = Random::new(seed, 9, 0);
            let mut paths = Paths::default();
            let ids: Vec<ChannelId> = ["a", "b", "c", "d"].iter().map(|label| paths.label(label).unwrap()).collect();
            for _ in 0..40 {
                let path: Vec<ChannelId> = (0..=random.below(7)).map(|_| ids[random.below(4)]).collect();
                let (converting, null) = (random.below(4) as u64, random.below(9) as u64);
                paths.add(&path, Outcomes { converting, null });
            }
            let counted = paths.counted();
            for order in 1..=3 {
                let chain = Chain::new(&edges(&counted, counted.outcomes(), order, 2), order);
                for removed in [None, Some(0), Some(1), Some(2), Some(3)] {
                    let (found, expected) = (chain.conversion(removed).unwrap(), eliminated(&counted, order.into(), removed));
                    assert!((found - expected).abs() < 1e-12, "seed {seed}, order {order}: {found} is not {expected}");
                }
            }
        }
    }
}
