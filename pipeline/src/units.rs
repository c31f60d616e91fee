//! Iterates over all units of a snapshot.

use std::collections::BTreeSet;

use serde::Serialize;
use tributary_attributor::plan::Plan;
use tributary_attributor::read::channels::{self, Renaming};
use tributary_attributor::read::{self, Inclusion};
use tributary_runtime::state::{Snapshot, StateError};

/// How many units are read per step.
const STEP: usize = 1000;

/// The keys of all units.
///
/// # Errors
/// When the state cannot be read.
pub fn units(snapshot: &mut dyn Snapshot) -> Result<BTreeSet<String>, StateError> {
    let stage = tributary_attributor::LOG.stage;
    let mut units = BTreeSet::new();
    for partition in 0..snapshot.partitions(stage) {
        let state = snapshot.state(stage, partition)?;
        let mut behind = None;
        loop {
            let step = read::units(state, behind.as_ref(), STEP)?;
            units.extend(step.keys);
            behind = step.behind;
            if behind.is_none() {
                break;
            }
        }
    }
    Ok(units)
}

/// Counts how the plan's channel rules change all touches. `tick` is called for each unit.
///
/// # Errors
/// When the state cannot be read.
pub fn renaming(
    snapshot: &mut dyn Snapshot,
    units: &BTreeSet<String>,
    in_force: Option<&Plan>,
    plan: &Plan,
    tick: &mut dyn FnMut(),
) -> Result<Renaming, StateError> {
    let mut all = Renaming::default();
    for unit in units {
        let state = snapshot.owner_of(tributary_attributor::LOG.stage, unit.as_bytes())?;
        all.add(channels::of_unit(state, unit, in_force, plan)?);
        tick();
    }
    Ok(all)
}

/// A milestone whose journey has only public touches: anybody with the public write key of a page could have made them up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OnPublicEvidence {
    /// The milestone.
    pub milestone_id: String,
    /// Its kind.
    pub kind: String,
    /// When it was reached, milliseconds since 1970-01-01 UTC.
    pub time_ms: i64,
    /// The account; empty if there is none.
    pub account_id: String,
    /// Its value in minor units.
    pub value_minor: i64,
    /// Its currency; empty if it has no value.
    pub currency: String,
    /// The number of touches in its journey.
    pub touches: usize,
    /// The channels of these touches, sorted.
    pub channels: BTreeSet<String>,
}

/// The milestones whose journeys have touches, all of them public; highest value first. `tick` is called for each unit.
///
/// # Errors
/// When the state cannot be read.
pub fn on_public_evidence(
    snapshot: &mut dyn Snapshot,
    units: &BTreeSet<String>,
    plan: &Plan,
    tick: &mut dyn FnMut(),
) -> Result<Vec<OnPublicEvidence>, StateError> {
    let mut found = Vec::new();
    for unit in units {
        let state = snapshot.owner_of(tributary_attributor::LOG.stage, unit.as_bytes())?;
        for of in read::milestones(state, unit, plan)?.into_iter().filter(|of| !of.withdrawn) {
            let Some(explained) = read::milestone(state, unit, &of.milestone_id, plan)? else { continue };
            let in_journey = explained.touches.iter().filter(|touch| touch.inclusion == Inclusion::InJourney);
            let touches: Vec<_> = in_journey.filter_map(|touch| touch.touch.touch.as_ref()).collect();
            if !touches.is_empty() && touches.iter().all(|touch| touch.public) {
                found.push(OnPublicEvidence {
                    milestone_id: of.milestone_id,
                    kind: of.kind,
                    time_ms: of.time_ms,
                    account_id: explained.account_id,
                    value_minor: of.value_minor,
                    currency: of.currency,
                    touches: touches.len(),
                    channels: touches.iter().map(|touch| touch.channel.clone()).collect(),
                });
            }
        }
        tick();
    }
    found.sort_by(|a, b| (-a.value_minor, &a.milestone_id).cmp(&(-b.value_minor, &b.milestone_id)));
    Ok(found)
}
