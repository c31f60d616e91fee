//! Fitting: from counted paths to parameter sets.

use crate::models::Sample;
use crate::parameters::{About, Channel, Counts, ModelKind, ParameterSet, Parameters};
use crate::paths::{Counted, Outcomes};
use crate::random::Random;
use crate::sets::{SetIndex, Sets, nano_positive};
use crate::weigher::Weigher;
use crate::{parallel, warnings};

pub use crate::models::{Endless, ORDER_MAX};

/// Bootstrap samples (bags) of a fit.
const BAGS: u32 = 100;
/// Bags in the fit of a resample: a tenth, which makes the intervals a little too wide.
const RESAMPLE_BAGS: u32 = 10;
/// Purpose of the random numbers of resamples: see [`Random::new`].
const RESAMPLES: u32 = 2;
/// The most resamples: each is a fit of its own.
pub const RESAMPLES_MAX: u32 = 10_000;

/// What is fitted, and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which models.
    pub models: Vec<ModelKind>,
    /// The seed of all random numbers.
    pub seed: u64,
    /// How many resamples the intervals are computed from; 0 for no intervals.
    pub resamples: u32,
    /// How many threads share the work. The result does not depend on it.
    pub threads: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { models: ModelKind::all(1).to_vec(), seed: 0, resamples: 0, threads: 1 }
    }
}

/// Why nothing was fitted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FitError {
    /// There is nothing to learn from.
    #[error("no journey converts: there is nothing to learn from; is the target the right kind of milestone?")]
    NothingConverts,
    /// See [`Endless`].
    #[error(transparent)]
    Endless(#[from] Endless),
}

/// How many steps [`fit`] reports in all.
pub fn steps(counted: &Counted, options: &Options) -> u64 {
    options.models.iter().map(|kind| kind.steps(counted.labels.len(), BAGS)).sum::<u64>() + u64::from(options.resamples)
}

/// Fits the models, in the order of the options. `tick` is called with the steps that are done.
///
/// # Errors
/// [`FitError`].
pub fn fit(
    counted: &Counted,
    about: &About,
    options: &Options,
    tick: &(dyn Fn(u64) + Sync),
) -> Result<Vec<ParameterSet>, FitError> {
    let total = counted.total();
    if total.converting == 0 {
        return Err(FitError::NothingConverts);
    }
    let index = SetIndex::of(counted, options.threads);
    let sets = index.count(counted.outcomes());
    let by_channel = sets.by_channel(counted.labels.len());
    let counts = Counts {
        converting: total.converting,
        null: total.null,
        distinct_paths: counted.len() as u64,
        distinct_sets: sets.rows.len() as u64,
    };
    let one = |kind: &ModelKind| {
        let (outcomes, seed, threads) = (counted.outcomes(), options.seed, options.threads);
        let sample = Sample { counted, outcomes, sets: &sets, bags: BAGS, seed, threads, tick };
        let mut set = fitted(&sample, *kind, about, counts)?;
        set.seed = options.seed;
        set.resamples = options.resamples;
        set.warnings = warnings::of(about, *kind, counted, &by_channel);
        Ok(set)
    };
    let mut fitted = options.models.iter().map(one).collect::<Result<Vec<_>, FitError>>()?;
    let shares = parallel::map(options.threads, options.resamples as usize, |number| {
        let shares = resampled(counted, about, &index, options, u32::try_from(number).unwrap_or(u32::MAX));
        tick(1);
        shares
    });
    for (at, set) in fitted.iter_mut().enumerate() {
        for (channel, row) in set.channels.iter_mut().enumerate() {
            let of = |shares: &Vec<Vec<u64>>| shares.get(at).and_then(|shares| shares.get(channel)).copied();
            row.interval_nano = interval(shares.iter().filter_map(of).collect());
        }
    }
    Ok(fitted)
}

/// The shares of each model in a resample of the journeys; none if no journey of it converts, or a chain does not end.
fn resampled(counted: &Counted, about: &About, index: &SetIndex, options: &Options, number: u32) -> Vec<Vec<u64>> {
    let mut random = Random::new(options.seed, RESAMPLES, number);
    let mut draw = |outcomes: &Outcomes| Outcomes {
        converting: random.poisson(outcomes.converting as f64),
        null: random.poisson(outcomes.null as f64),
    };
    let outcomes: Vec<Outcomes> = counted.outcomes().iter().map(&mut draw).collect();
    let sets = index.count(&outcomes);
    if sets.total().converting == 0 {
        return Vec::new();
    }
    let seed = options.seed.wrapping_add(u64::from(number)).wrapping_add(1);
    let sample = Sample { counted, outcomes: &outcomes, sets: &sets, bags: RESAMPLE_BAGS, seed, threads: 1, tick: &|_| {} };
    let shares = |kind: &ModelKind| {
        let set = fitted(&sample, *kind, about, Counts::default()).ok()?;
        Some(set.channels.iter().map(|channel| channel.share_nano).collect())
    };
    options.models.iter().map(|kind| shares(kind).unwrap_or_default()).collect()
}

/// The 5th and the 95th percentile.
fn interval(mut shares: Vec<u64>) -> Option<[u64; 2]> {
    shares.sort_unstable();
    let cut = shares.len() / 20;
    let high = shares.len().checked_sub(1 + cut)?;
    Some([*shares.get(cut)?, *shares.get(high)?])
}

/// Fits a model to a sample.
fn fitted(to: &Sample<'_>, kind: ModelKind, about: &About, counts: Counts) -> Result<ParameterSet, FitError> {
    let parameters = kind.fit(to)?;
    let row = |(label, outcomes): (&String, Outcomes)| Channel {
        channel: label.clone(),
        journeys: outcomes.journeys(),
        converting: outcomes.converting,
        share_nano: 0,
        interval_nano: None,
    };
    let labels = &to.counted.labels;
    let rows = labels.iter().zip(to.sets.by_channel(labels.len())).map(row).collect();
    let mut set = ParameterSet::new(about.clone(), counts, parameters, rows);
    let shares = shares(to, &set);
    for (row, share) in set.channels.iter_mut().zip(shares) {
        row.share_nano = share;
    }
    Ok(set)
}

/// Every channel's share of all that the model gives: of all removal effects, or of the credit of all converting journeys.
fn shares(of: &Sample<'_>, set: &ParameterSet) -> Vec<u64> {
    let credit: Vec<f64> = match &set.parameters {
        Parameters::Markov { removal_nano, .. } => removal_nano.iter().map(|effect| *effect as f64).collect(),
        _ => credit(&Weigher::new(set), of.sets, of.counted.labels.len()),
    };
    let total: f64 = credit.iter().sum();
    credit.iter().map(|one| if total > 0.0 { nano_positive(one / total) } else { 0 }).collect()
}

/// The credit of each channel in the converting journeys, each of which is worth 1.
fn credit(weigher: &Weigher, sets: &Sets<'_>, channels: usize) -> Vec<f64> {
    let mut credit = vec![0.0; channels];
    for (set, outcomes) in sets.rows.iter().filter(|(_, outcomes)| outcomes.converting > 0) {
        let weights = weigher.of_channels(set);
        let total: f64 = weights.iter().map(|weight| *weight as f64).sum();
        for (channel, weight) in set.iter().zip(weights) {
            if let Some(credit) = credit.get_mut(usize::from(*channel)) {
                *credit += outcomes.converting as f64 * (weight as f64 / total);
            }
        }
    }
    credit
}

/// Each channel's share of the credit of the converting journeys under a parameter set, as the attributor would give it.
pub fn in_journeys(counted: &Counted, weigher: &Weigher) -> Vec<f64> {
    let index = SetIndex::of(counted, 1);
    let credit = credit(weigher, &index.count(counted.outcomes()), counted.labels.len());
    let total: f64 = credit.iter().sum();
    credit.into_iter().map(|one| one / total).collect()
}
