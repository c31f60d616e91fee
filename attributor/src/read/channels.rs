//! How other channel rules would classify the touches of a unit.

use std::collections::BTreeMap;

use tributary_runtime::state::{State, StateError};

use super::reading;
use crate::classifier::face;
use crate::plan::Plan;
use crate::view::{Malformed, TouchView, split_origin};

/// Counts of touches by how other channel rules change them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Renaming {
    /// Unchanged.
    pub same: u64,
    /// With another channel: from, to.
    pub moved: BTreeMap<(String, String), u64>,
    /// With the same channel and another source, medium, campaign, content or term.
    pub refined: u64,
    /// Stored by an earlier version without the input of classification: they stay as they are.
    pub unknown: u64,
}

impl Renaming {
    /// Adds other counts.
    pub fn add(&mut self, other: Self) {
        self.same += other.same;
        self.refined += other.refined;
        self.unknown += other.unknown;
        for (channels, touches) in other.moved {
            *self.moved.entry(channels).or_default() += touches;
        }
    }

    /// The number of touches.
    pub fn touches(&self) -> u64 {
        self.same + self.refined + self.unknown + self.moved.values().sum::<u64>()
    }
}

/// Counts how the channel rules of `plan` change the touches of the unit with this key, against those of `in_force`; if that is `None`,
/// against the rules that classified each. `state` is that of the unit's partition.
///
/// # Errors
/// When the state cannot be read.
pub fn of_unit(state: &mut dyn State, unit: &str, in_force: Option<&Plan>, plan: &Plan) -> Result<Renaming, StateError> {
    reading(state, unit, plan, |unit| {
        let mut counted = Renaming::default();
        for resident in unit.residents()? {
            unit.read_touches(&resident.hash, i64::MIN, i64::MAX, &mut |_, raw| count(&mut counted, raw, in_force, plan))?;
        }
        Ok(counted)
    })
}

fn count(counted: &mut Renaming, raw: &[u8], in_force: Option<&Plan>, plan: &Plan) -> Result<(), Malformed> {
    let before = face(raw, in_force.and_then(|plan| plan.classifier.as_deref()))?;
    let after = face(raw, plan.classifier.as_deref())?;
    if split_origin(raw)?.rules.is_none() {
        counted.unknown += 1;
    } else if after == before {
        counted.same += 1;
    } else {
        let (from, to) = (TouchView::parse(&before)?.channel, TouchView::parse(&after)?.channel);
        if from == to {
            counted.refined += 1;
        } else {
            *counted.moved.entry((from.to_owned(), to.to_owned())).or_default() += 1;
        }
    }
    Ok(())
}
