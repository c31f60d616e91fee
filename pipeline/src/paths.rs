//! The input of models that learn: the paths of all units, of a snapshot or of the rows of the topics.

use std::collections::BTreeSet;

use tributary_attributor::plan::Plan;
use tributary_attributor::read::paths::{Path, UnitPaths, Wanted, of_unit};
use tributary_attributor::read::rows::Rows;
use tributary_attributor::view::Malformed;
use tributary_learn::parameters::About;
use tributary_learn::paths::{ChannelId, Outcomes, Paths, TooManyLabels};
use tributary_runtime::config::AccountLevel;
use tributary_runtime::state::{Snapshot, StateError};
use tributary_runtime::topic::Topic;
use tributary_runtime::topic::format::{self, FormatError};

const DAY_MS: i64 = 86_400_000;

/// Paths for fitting models, with their description.
pub struct Training {
    /// The paths, counted.
    pub paths: Paths,
    /// Their description.
    pub about: About,
    /// From the first touch to the milestone, milliseconds, of every converting journey that has a touch; sorted.
    pub cycles_ms: Vec<i64>,
}

/// Why there are no paths.
#[derive(Debug, thiserror::Error)]
pub enum PathsError {
    /// See [`TooManyLabels`].
    #[error(transparent)]
    Labels(#[from] TooManyLabels),
    /// The state cannot be read.
    #[error(transparent)]
    State(#[from] StateError),
    /// A row cannot be read.
    #[error("the row of a touch: {0}; this is a defect")]
    Row(#[from] Malformed),
}

/// The newest touch of these units, milliseconds since 1970-01-01 UTC.
///
/// # Errors
/// When the state cannot be read.
pub fn newest_ms(snapshot: &mut dyn Snapshot, units: &BTreeSet<String>, plan: &Plan) -> Result<Option<i64>, StateError> {
    let mut newest = None;
    for unit in units {
        let state = snapshot.owner_of(tributary_attributor::LOG.stage, unit.as_bytes())?;
        newest = newest.max(tributary_attributor::read::paths::newest_ms(state, unit, plan)?);
    }
    Ok(newest)
}

/// The paths of these units. A journey that has not converted counts only if its last touch is at least `patience_ms` older than the end:
/// before that it may still convert. `tick` is called for each unit.
///
/// # Errors
/// [`PathsError`].
pub fn collect(
    snapshot: &mut dyn Snapshot,
    units: &BTreeSet<String>,
    plan: &Plan,
    wanted: &Wanted,
    patience_ms: i64,
    tick: &mut dyn FnMut(),
) -> Result<Training, PathsError> {
    let stage = tributary_attributor::LOG.stage;
    let mut gathering = Gathering::new(wanted, patience_ms);
    for unit in units {
        gathering.add(of_unit(snapshot.owner_of(stage, unit.as_bytes())?, unit, wanted, plan)?)?;
        tick();
    }
    Ok(gathering.finish(plan))
}

/// The topics from whose rows paths can be built, in the order in which their ends are best read: milestones after touches, because a
/// milestone comes after its touches.
pub fn topics(account_level: AccountLevel) -> Vec<Topic> {
    let by_root = (account_level == AccountLevel::Root).then_some(Topic::Accounts);
    [Topic::Milestones, Topic::Touchpoints].into_iter().chain(by_root).collect()
}

/// Adds a record of one of these topics.
///
/// # Errors
/// When it is not a row of its topic.
pub fn take(rows: &mut Rows, topic: Topic, key: &[u8], value: Option<&[u8]>) -> Result<(), FormatError> {
    match (topic, value) {
        (Topic::Touchpoints, Some(value)) => rows.touch(format::read(value)?),
        (Topic::Touchpoints, None) => rows.no_touch(key),
        (Topic::Milestones, Some(value)) => rows.milestone(format::read(value)?),
        (Topic::Milestones, None) => rows.no_milestone(key),
        (Topic::Accounts, Some(value)) => rows.account(format::read(value)?),
        (Topic::Accounts, None) => rows.no_account(key),
        _ => {}
    }
    Ok(())
}

/// The paths that follow from the rows of [`topics`].
///
/// # Errors
/// [`PathsError`].
pub fn collect_rows(
    rows: &Rows,
    plan: &Plan,
    wanted: &Wanted,
    patience_ms: i64,
    tick: &mut dyn FnMut(),
) -> Result<Training, PathsError> {
    let mut gathering = Gathering::new(wanted, patience_ms);
    rows.each_unit::<PathsError>(wanted, plan, &mut |found| {
        gathering.add(found)?;
        tick();
        Ok(())
    })?;
    Ok(gathering.finish(plan))
}

/// Paths of units, being collected.
struct Gathering<'a> {
    wanted: &'a Wanted,
    /// The latest time of the last touch of a journey that counts as not converting.
    decided_ms: i64,
    first_ms: i64,
    training: Training,
}

impl<'a> Gathering<'a> {
    fn new(wanted: &'a Wanted, patience_ms: i64) -> Self {
        let training = Training { paths: Paths::default(), about: About::default(), cycles_ms: Vec::new() };
        let decided_ms = wanted.until_ms.saturating_sub(patience_ms.max(0));
        Self { wanted, decided_ms, first_ms: i64::MAX, training }
    }

    fn add(&mut self, found: UnitPaths) -> Result<(), TooManyLabels> {
        let Self { training, first_ms, .. } = self;
        for path in &found.converting {
            if path.labels.is_empty() {
                training.about.without_touch += 1;
                continue;
            }
            training.cycles_ms.push(path.end_ms.saturating_sub(path.first_ms));
            *first_ms = path.first_ms.min(*first_ms);
            training.add(path, Outcomes { converting: 1, null: 0 })?;
        }
        match found.rest {
            Some(path) if path.end_ms <= self.decided_ms => {
                *first_ms = path.first_ms.min(*first_ms);
                training.add(&path, Outcomes { converting: 0, null: 1 })?;
            }
            Some(_) => training.about.undecided += 1,
            None => {}
        }
        Ok(())
    }

    fn finish(self, plan: &Plan) -> Training {
        let Self { wanted, first_ms, mut training, .. } = self;
        training.cycles_ms.sort_unstable();
        training.about = About {
            target: wanted.target.clone(),
            label: wanted.label,
            window_days: u64::try_from(plan.window_ms(&wanted.target) / DAY_MS).ok(),
            from_ms: (first_ms < i64::MAX).then_some(first_ms),
            until_ms: Some(wanted.until_ms),
            median_cycle_ms: quantile(&training.cycles_ms, 1, 2),
            ..training.about
        };
        training
    }
}

impl Training {
    fn add(&mut self, path: &Path, outcomes: Outcomes) -> Result<(), TooManyLabels> {
        let ids = path.labels.iter().map(|label| self.paths.label(label)).collect::<Result<Vec<ChannelId>, _>>()?;
        self.paths.add(&ids, outcomes);
        Ok(())
    }
}

/// The quantile `part / whole` of the sorted values, the lower of two; `None` if there are no values.
pub fn quantile(sorted: &[i64], part: usize, whole: usize) -> Option<i64> {
    sorted.get((sorted.len().checked_sub(1)? * part) / whole.max(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_value() {
        assert_eq!(quantile(&[1, 2, 3], 1, 2), Some(2));
        assert_eq!(quantile(&[1, 2, 3, 4], 3, 4), Some(3));
        assert_eq!(quantile(&[], 1, 2), None);
    }
}
