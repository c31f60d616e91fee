//! `blr`: bagged logistic regression on the channels of a journey (after Shao and Li, *Data-driven multi-touch attribution models*, 2011).
//!
//! A bag draws converting and other journeys with replacement, as many of one as of the other, and looks at half of the channels. Its
//! coefficients minimise the negative log-likelihood plus half of [`PENALTY`] times their squares (the constant is not penalised), by
//! iteratively reweighted least squares. A channel's coefficient is the mean over the bags that looked at it.

use serde::{Deserialize, Serialize};

use super::{Learnt, Names, Parameters, part};
use crate::hash::FixedMap;
use crate::parallel;
use crate::paths::ChannelId;
use crate::random::Random;
use crate::sets::{Sets, nano, nano_positive};

/// Factor of half the squared coefficients, if every drawn journey has weight 1.
const PENALTY: f64 = 1.0;
/// A fit has converged when no coefficient changes by more than this.
const CLOSE: f64 = 1e-11;
/// Most iterations per bag. From zero, the penalised likelihood takes about ten.
const ROUNDS_MAX: usize = 50;
/// Purpose of the random numbers of bags: see [`Random::new`].
const BAGS: u32 = 1;

/// Fits this many bags.
pub fn fit(sets: &Sets<'_>, channels: usize, bags: u32, seed: u64, threads: usize, tick: &(dyn Fn(u64) + Sync)) -> Parameters {
    let found = parallel::map(threads, bags as usize, |bag| {
        let coefficients = fit_bag(sets, channels, Random::new(seed, BAGS, u32::try_from(bag).unwrap_or(u32::MAX)));
        tick(1);
        coefficients
    });
    let mut by_channel: Vec<Vec<f64>> = vec![Vec::new(); channels];
    for (channel, coefficient) in found.into_iter().flatten() {
        if let Some(list) = by_channel.get_mut(channel) {
            list.push(coefficient);
        }
    }
    Parameters::Blr { bags, coefficients: by_channel.iter().map(|list| summary(list)).collect() }
}

fn summary(found: &[f64]) -> Coefficient {
    let count = found.len().max(1) as f64;
    let mean = found.iter().sum::<f64>() / count;
    let variance = found.iter().map(|one| (one - mean) * (one - mean)).sum::<f64>() / count;
    Coefficient { mean_nano: nano(mean), deviation_nano: nano_positive(libm::sqrt(variance)) }
}

/// A row of the regression: its columns, how many journeys, and how many of them convert.
struct Row {
    columns: Vec<usize>,
    all: f64,
    converting: f64,
}

/// The coefficients of a bag, by channel.
fn fit_bag(sets: &Sets<'_>, channels: usize, mut random: Random) -> Vec<(usize, f64)> {
    let mut order: Vec<usize> = (0..channels).collect();
    let half = channels.div_ceil(2);
    for at in 0..half {
        order.swap(at, at + random.below(channels - at));
    }
    order.truncate(half);
    let mut column_of = vec![None; channels];
    for (column, channel) in order.iter().enumerate() {
        if let Some(place) = column_of.get_mut(*channel) {
            *place = Some(column + 1);
        }
    }
    let total = sets.total();
    let each = total.converting.min(total.null) as f64;
    let (of_converting, of_null) = (each / total.converting.max(1) as f64, each / total.null.max(1) as f64);
    // Sets that differ only in channels that this bag leaves out become one row.
    let mut rows: Vec<Row> = Vec::new();
    let mut places: FixedMap<Vec<usize>, usize> = FixedMap::default();
    let mut columns = Vec::new();
    for (set, outcomes) in &sets.rows {
        let converting = random.poisson(outcomes.converting as f64 * of_converting) as f64;
        let all = converting + random.poisson(outcomes.null as f64 * of_null) as f64;
        if all == 0.0 {
            continue;
        }
        columns.clear();
        columns.push(0);
        columns.extend(set.iter().filter_map(|channel| column_of.get(usize::from(*channel)).copied().flatten()));
        if let Some(row) = places.get(&columns).and_then(|place| rows.get_mut(*place)) {
            row.all += all;
            row.converting += converting;
        } else {
            places.insert(columns.clone(), rows.len());
            rows.push(Row { columns: columns.clone(), all, converting });
        }
    }
    let coefficients = logistic(&rows, half + 1);
    order.into_iter().zip(coefficients.into_iter().skip(1)).collect()
}

/// The coefficients that fit the rows best; the first column is the constant.
fn logistic(rows: &[Row], columns: usize) -> Vec<f64> {
    let mut found = vec![0.0; columns];
    let mut worth = likelihood(rows, &found);
    for _ in 0..ROUNDS_MAX {
        let step = newton(rows, &found);
        let mut part = 1.0;
        let (next, next_worth) = loop {
            let next: Vec<f64> = found.iter().zip(&step).map(|(at, step)| at + part * step).collect();
            let next_worth = likelihood(rows, &next);
            // A step that makes the fit worse is halved. Near the optimum rounding alone can make it look worse.
            if next_worth >= worth || part < 1e-6 {
                break (next, next_worth);
            }
            part /= 2.0;
        };
        let moved = found.iter().zip(&next).map(|(a, b)| libm::fabs(a - b)).fold(0.0, f64::max);
        (found, worth) = (next, next_worth);
        if moved <= CLOSE {
            break;
        }
    }
    found
}

fn score(row: &Row, coefficients: &[f64]) -> f64 {
    row.columns.iter().filter_map(|column| coefficients.get(*column)).sum()
}

/// The penalised log-likelihood.
fn likelihood(rows: &[Row], coefficients: &[f64]) -> f64 {
    let squares: f64 = coefficients.iter().skip(1).map(|one| one * one).sum();
    let fit = rows.iter().map(|row| {
        let score = score(row, coefficients);
        // ln(1 + e^score), without overflow.
        let softplus = f64::max(score, 0.0) + libm::log1p(libm::exp(-libm::fabs(score)));
        row.converting * score - row.all * softplus
    });
    fit.sum::<f64>() - PENALTY / 2.0 * squares
}

/// A Newton step from these coefficients.
fn newton(rows: &[Row], coefficients: &[f64]) -> Vec<f64> {
    let columns = coefficients.len();
    let mut slope = vec![0.0; columns];
    let mut curve = vec![0.0; columns * columns];
    for row in rows {
        let chance = 1.0 / (1.0 + libm::exp(-score(row, coefficients)));
        let (pull, weight) = (row.converting - row.all * chance, row.all * chance * (1.0 - chance));
        for a in &row.columns {
            add(&mut slope, *a, pull);
            for b in &row.columns {
                add(&mut curve, a * columns + b, weight);
            }
        }
    }
    for (column, coefficient) in coefficients.iter().enumerate().skip(1) {
        add(&mut slope, column, -PENALTY * coefficient);
        add(&mut curve, column * columns + column, PENALTY);
    }
    solve(curve, slope)
}

fn add(to: &mut [f64], at: usize, what: f64) {
    if let Some(place) = to.get_mut(at) {
        *place += what;
    }
}

/// Solves a symmetric positive definite system by Gaussian elimination, which needs no pivoting there. A row without weight has the
/// solution 0.
fn solve(mut matrix: Vec<f64>, mut right: Vec<f64>) -> Vec<f64> {
    let n = right.len();
    for at in 0..n {
        let (upper, lower) = matrix.split_at_mut((at + 1) * n);
        let line = upper.get(at * n + at..).unwrap_or_default();
        let Some(pivot) = line.first().copied().filter(|pivot| *pivot > 0.0) else { continue };
        let value = right.get(at).copied().unwrap_or_default();
        for (row, right) in lower.chunks_mut(n).zip(right.iter_mut().skip(at + 1)) {
            let Some(rest) = row.get_mut(at..) else { continue };
            let factor = rest.first().copied().unwrap_or_default() / pivot;
            if factor != 0.0 {
                rest.iter_mut().zip(line).for_each(|(cell, above)| *cell -= factor * above);
                *right -= factor * value;
            }
        }
    }
    for at in (0..n).rev() {
        let line = matrix.get(at * n..(at + 1) * n).unwrap_or_default();
        let after: f64 = line.iter().zip(&right).skip(at + 1).map(|(cell, found)| cell * found).sum();
        let pivot = line.get(at).copied().unwrap_or_default();
        if let Some(value) = right.get_mut(at) {
            *value = if pivot > 0.0 { (*value - after) / pivot } else { 0.0 };
        }
    }
    right
}

/// A coefficient: its mean over the bags, and its spread.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs)]
pub struct Coefficient {
    pub mean_nano: i64,
    pub deviation_nano: u64,
}

/// Every channel's coefficient.
#[derive(Debug)]
pub(crate) struct Coefficients(pub Vec<Coefficient>);

impl Learnt for Coefficients {
    fn weights(&self, set: &[ChannelId]) -> Vec<u128> {
        let mean = |channel: &ChannelId| self.0.get(usize::from(*channel)).map_or(0, |found| found.mean_nano);
        set.iter().map(|channel| mean(channel).try_into().unwrap_or(0)).collect()
    }

    fn why(&self, _: &[ChannelId], of: ChannelId, name: &Names<'_>) -> String {
        self.0.get(usize::from(of)).map_or_else(String::new, |found| {
            let mean = found.mean_nano as f64 / 1e9;
            format!("coefficient of {} {mean:.6}, with a deviation of {}", name(of), part(found.deviation_nano))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(columns: &[usize], all: f64, converting: f64) -> Row {
        Row { columns: std::iter::once(0).chain(columns.iter().copied()).collect(), all, converting }
    }

    #[test]
    fn the_slope_is_zero_at_what_is_found() {
        let rows =
            [row(&[1], 40.0, 30.0), row(&[2], 50.0, 10.0), row(&[1, 2], 20.0, 19.0), row(&[], 10.0, 1.0), row(&[3], 5.0, 5.0)];
        let found = logistic(&rows, 4);
        for column in 0..4 {
            let mut moved = found.clone();
            let mut at = |by: f64| {
                moved[column] = found[column] + by;
                likelihood(&rows, &moved)
            };
            let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
            assert!(slope.abs() < 1e-6, "column {column}: {slope}");
        }
        assert!(found[1] > 0.0 && found[2] < found[1] && found[3] > 0.0 && found[3] < 3.0, "{found:?}");
    }

    #[test]
    fn a_system_is_solved() {
        let found = solve(vec![4.0, 2.0, 2.0, 3.0], vec![10.0, 8.0]);
        assert!((found[0] - 1.75).abs() < 1e-15 && (found[1] - 1.5).abs() < 1e-15, "{found:?}");
    }
}
