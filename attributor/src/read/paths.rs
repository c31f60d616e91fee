//! The paths of a unit, for models that learn: the journeys to milestones of a kind, and the touches afterwards.

use tributary_learn::parameters::Label;
use tributary_proto::Touch;
use tributary_runtime::state::{State, StateError};

use super::{Explained, Inclusion, reading};
use crate::journey::{Timeline, Touchpoint};
use crate::plan::Plan;
use crate::unit::keys;
use crate::unit::{Unit, corrupt};

/// Which paths are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The kind of milestone that converting paths lead to.
    pub target: String,
    /// What touches are called.
    pub label: Label,
    /// What happened later is left out, milliseconds since 1970-01-01 UTC.
    pub until_ms: i64,
}

/// A journey, by what its touches are called.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// Its touches; none where nothing led to the milestone.
    pub labels: Vec<String>,
    /// The first touch, milliseconds since 1970-01-01 UTC; the end where there is none.
    pub first_ms: i64,
    /// The milestone; of the rest the last touch.
    pub end_ms: i64,
}

/// The paths of a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitPaths {
    /// To every milestone of the kind.
    pub converting: Vec<Path>,
    /// The touches after the last of these milestones; of all where there is none. Those that the window would still see from the last of
    /// them.
    pub rest: Option<Path>,
}

/// The paths of the unit with this key. `state` is that of the unit's partition.
///
/// # Errors
/// When the state cannot be read.
pub fn of_unit(state: &mut dyn State, unit: &str, wanted: &Wanted, plan: &Plan) -> Result<UnitPaths, StateError> {
    let (targets, rest) = reading(state, unit, plan, |unit| open_end(unit, wanted, plan))?;
    let mut paths = UnitPaths { converting: Vec::new(), rest };
    for milestone_id in targets {
        let explained = super::milestone(state, unit, &milestone_id, plan)?;
        paths.converting.extend(explained.map(|explained| journey(&explained, wanted.label)));
    }
    Ok(paths)
}

/// The journey of a milestone as it is attributed.
fn journey(explained: &Explained, label: Label) -> Path {
    let end_ms = explained.milestone.time_ms;
    let mut path = Path { labels: Vec::new(), first_ms: end_ms, end_ms };
    for of in explained.touches.iter().filter(|of| of.inclusion == Inclusion::InJourney) {
        let Touch { channel, source, campaign, .. } = of.touch.touch.clone().unwrap_or_default();
        path.first_ms = path.first_ms.min(of.touch.time_ms);
        path.labels.push(label.of(&channel, &source, &campaign).into_owned());
    }
    path
}

/// The newest touch of the unit with this key, milliseconds since 1970-01-01 UTC. `state` is that of the unit's partition.
///
/// # Errors
/// When the state cannot be read.
pub fn newest_ms(state: &mut dyn State, unit: &str, plan: &Plan) -> Result<Option<i64>, StateError> {
    reading(state, unit, plan, |unit| {
        let mut newest_ms = None;
        for resident in unit.residents()? {
            // What is noted is at or before the newest touch.
            let Some(extent) = resident.extent else { continue };
            let newest = unit.span_of(&resident.hash, extent.newest_ms, i64::MAX)?.ends().map(|(_, to_ms)| to_ms);
            newest_ms = newest_ms.max(newest);
        }
        Ok(newest_ms)
    })
}

/// The milestones of the kind, in the order of their times, and the touches after the last.
fn open_end(unit: &mut Unit<'_, '_>, wanted: &Wanted, plan: &Plan) -> Result<(Vec<String>, Option<Path>), StateError> {
    let mut targets: Vec<(i64, String)> = unit
        .tracked()?
        .into_iter()
        .map(|one| one.milestone)
        .filter(|of| of.kind == wanted.target && !of.withdrawn && of.time_ms <= wanted.until_ms)
        .map(|of| (of.time_ms, of.milestone_id))
        .collect();
    targets.sort_unstable();
    let after_ms = targets.last().map_or(i64::MIN, |(time_ms, _)| time_ms.saturating_add(1));
    let targets = targets.into_iter().map(|(_, milestone_id)| milestone_id).collect();

    let residents = unit.residents()?;
    let mut stored = Vec::new();
    for resident in residents.iter().filter(|resident| !resident.placement.revoked) {
        unit.scan_faces(&resident.hash, i64::MIN, wanted.until_ms, &mut |face| stored.push((face.to_vec(), resident)))?;
    }
    let mut touches = Vec::with_capacity(stored.len());
    for (raw, by) in &stored {
        let touch = Touchpoint::read(raw, &by.placement.profile_id, &by.placement.role, &by.hash);
        touches.push(touch.map_err(|_| corrupt(&unit.actor, &[keys::TOUCH]))?);
    }
    touches.sort_unstable_by(Touchpoint::order);
    let Some(end_ms) = touches.last().map(|touch| touch.view.time_ms) else { return Ok((targets, None)) };
    let from_ms = end_ms.saturating_sub(plan.window_ms(&wanted.target)).max(after_ms);
    let mut rest = Path { labels: Vec::new(), first_ms: end_ms, end_ms };
    for visit in Timeline::of(&touches, &plan.visits).visits(from_ms, end_ms) {
        rest.first_ms = rest.first_ms.min(visit.view.time_ms);
        rest.labels.push(wanted.label.of(visit.view.channel, visit.view.source, visit.view.campaign).into_owned());
    }
    Ok((targets, Some(rest).filter(|rest| !rest.labels.is_empty())))
}
