//! The paths of a unit, for models that learn: the journeys to milestones of a kind, and the touches afterwards.
//!
//! [`of_history`] alone decides which paths a unit has. A history is read from a unit's state ([`of_unit`]), or from the rows of the
//! topics ([`super::rows`]).

use tributary_learn::parameters::Label;
use tributary_proto::Milestone;
use tributary_runtime::state::{State, StateError};

use super::reading;
use crate::journey::{Cast, Journey, Timeline, Touchpoint, Visit};
use crate::plan::Plan;
use crate::unit::keys;
use crate::unit::{cast, corrupt};

/// Which paths to extract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The kind of milestone that converting paths lead to.
    pub target: String,
    /// The field of touches that labels them.
    pub label: Label,
    /// Touches and milestones after this time are left out, milliseconds since 1970-01-01 UTC.
    pub until_ms: i64,
}

/// A journey as the labels of its touches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The labels of its touches; empty if no touch led to the milestone.
    pub labels: Vec<String>,
    /// The time of the first touch, milliseconds since 1970-01-01 UTC; that of the end if there is none.
    pub first_ms: i64,
    /// The time of the milestone; for a path that does not convert, of the last touch.
    pub end_ms: i64,
}

impl Path {
    fn of<'t>(visits: impl Iterator<Item = Visit<'t>>, end_ms: i64, label: Label) -> Self {
        let mut path = Self { labels: Vec::new(), first_ms: end_ms, end_ms };
        for Visit { view, .. } in visits {
            path.first_ms = path.first_ms.min(view.time_ms);
            path.labels.push(label.of(view.channel, view.source, view.campaign).into_owned());
        }
        path
    }
}

/// The paths of a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnitPaths {
    /// One path to every milestone of the kind.
    pub converting: Vec<Path>,
    /// The path that has not converted: the touches after the last of these milestones (all touches if there is none) that the window would
    /// contain, counted back from the newest of them.
    pub rest: Option<Path>,
}

/// The history of a unit.
pub struct History<'a, 'h> {
    /// The touches of people whose consent is not revoked.
    pub touches: Vec<Touchpoint<'a>>,
    /// The milestones that are not withdrawn.
    pub live: Vec<&'a Milestone>,
    /// The cast of a deal.
    pub cast: &'h dyn Fn(&Milestone) -> Cast<'a>,
}

/// The paths of a history.
pub fn of_history(history: History<'_, '_>, wanted: &Wanted, plan: &Plan) -> UnitPaths {
    let History { mut touches, live, cast } = history;
    touches.retain(|touch| touch.view.time_ms <= wanted.until_ms);
    touches.sort_unstable_by(Touchpoint::order);
    let timeline = Timeline::of(&touches, &plan.visits);
    let mut targets: Vec<&Milestone> =
        live.iter().copied().filter(|of| of.kind == wanted.target && of.time_ms <= wanted.until_ms).collect();
    targets.sort_unstable_by_key(|of| (of.time_ms, &of.milestone_id));
    let converting = targets.iter().map(|of| converting(&timeline, of, &live, &cast(of), wanted.label, plan)).collect();
    let after_ms = targets.last().map_or(i64::MIN, |of| of.time_ms.saturating_add(1));
    let rest = touches.last().map(|touch| touch.view.time_ms).map(|end_ms| {
        let from_ms = end_ms.saturating_sub(plan.window_ms(&wanted.target)).max(after_ms);
        Path::of(timeline.visits(from_ms, end_ms), end_ms, wanted.label)
    });
    UnitPaths { converting, rest: rest.filter(|rest| !rest.labels.is_empty()) }
}

/// The journey of a milestone, as in attribution.
fn converting(
    timeline: &Timeline<'_>,
    of: &Milestone,
    live: &[&Milestone],
    cast: &Cast<'_>,
    label: Label,
    plan: &Plan,
) -> Path {
    let some = if cast.is_of_some() { timeline.those(|touch| cast.includes(touch.profile)) } else { Vec::new() };
    let of_some = cast.is_of_some().then(|| Timeline::of(&some, &plan.visits));
    let journey = Journey::build(of_some.as_ref().unwrap_or(timeline), of, live, cast, &plan.journey(&of.kind));
    Path::of(journey.touches.into_iter(), of.time_ms, label)
}

/// The paths of the unit with this key. `state` is that of the unit's partition.
///
/// # Errors
/// When the state cannot be read.
pub fn of_unit(state: &mut dyn State, unit: &str, wanted: &Wanted, plan: &Plan) -> Result<UnitPaths, StateError> {
    reading(state, unit, plan, |unit| {
        let tracked = unit.tracked()?;
        let residents = unit.residents()?;
        let mut stored = Vec::new();
        for by in residents.iter().filter(|by| !by.placement.revoked) {
            unit.scan_faces(&by.hash, i64::MIN, wanted.until_ms, &mut |face| stored.push((face.to_vec(), by)))?;
        }
        let mut touches = Vec::with_capacity(stored.len());
        for (raw, by) in &stored {
            let touch = Touchpoint::read(raw, &by.placement.profile_id, &by.placement.role, &by.hash);
            touches.push(touch.map_err(|_| corrupt(&unit.actor, &[keys::TOUCH]))?);
        }
        let live = tracked.iter().map(|one| &one.milestone).filter(|of| !of.withdrawn).collect();
        let cast = |of: &Milestone| cast(&of.object_id, &residents, plan.named_only);
        Ok(of_history(History { touches, live, cast: &cast }, wanted, plan))
    })
}

/// The newest touch of the unit with this key, milliseconds since 1970-01-01 UTC. `state` is that of the unit's partition.
///
/// # Errors
/// When the state cannot be read.
pub fn newest_ms(state: &mut dyn State, unit: &str, plan: &Plan) -> Result<Option<i64>, StateError> {
    reading(state, unit, plan, |unit| {
        let mut newest_ms = None;
        for resident in unit.residents()? {
            if resident.extent.is_some() {
                let newest = unit.span_of(&resident.hash, i64::MIN, i64::MAX)?.ends().map(|(_, to_ms)| to_ms);
                newest_ms = newest_ms.max(newest);
            }
        }
        Ok(newest_ms)
    })
}
