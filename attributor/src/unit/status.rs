//! What a unit knows of a milestone in addition to the milestone itself: for its row in the topic `milestones`.

use std::collections::BTreeSet;

use tributary_proto::{CreditRows, Milestone, MilestoneStatus, StageMoment, attributor_message::Body};
use tributary_runtime::state::StateError;

use super::Unit;
use super::residents::{Resident, cast};
use super::tracks::{Task, Tracked};
use crate::funnel;
use crate::plan::Plan;

/// See the module. `live` are the unit's milestones that are not withdrawn; `None` if the status is not published.
pub(super) fn status(of: &Tracked, live: &[&Milestone], residents: &[Resident], plan: &Plan) -> Option<MilestoneStatus> {
    if !plan.outputs.milestones {
        return None;
    }
    let profile_id = of.profile_id.clone();
    let of = &of.milestone;
    let mut status = MilestoneStatus { profile_id, versions: of.versions, ..MilestoneStatus::default() };
    if of.withdrawn {
        return Some(status);
    }
    let moment = |milestone: &&Milestone| StageMoment { kind: milestone.kind.clone(), time: milestone.time_ms };
    fn order(milestone: &Milestone) -> (i64, &str) {
        (milestone.time_ms, &milestone.milestone_id)
    }
    // For a trusted milestone, public-only ones do not count.
    let same = |other: &&&Milestone| other.object_id == of.object_id && (of.public || !other.public);
    let stages = || live.iter().filter(same).copied();
    status.before = stages().filter(|other| order(other) < order(of)).max_by_key(|other| order(other)).as_ref().map(moment);
    status.after = stages().filter(|other| order(other) > order(of)).min_by_key(|other| order(other)).as_ref().map(moment);
    let reached = |kind: &String| Some(StageMoment { kind: kind.clone(), time: funnel::of_stage(kind, of, live)? });
    status.stages = plan.stages.iter().filter_map(reached).collect();
    if plan.named_only {
        status.named_profiles = cast(&of.object_id, residents, true).named().map(str::to_owned).collect();
    }
    Some(status)
}

impl Unit<'_, '_> {
    /// The milestones of these objects that are not computed again: only their status may change.
    pub(super) fn standing_by<'m>(
        &self,
        tracked: &'m [Tracked],
        objects: &BTreeSet<String>,
        tasks: &[Task<'m>],
    ) -> Vec<&'m Tracked> {
        let due = |one: &Tracked| tasks.iter().any(|task| task.tracked.milestone.milestone_id == one.milestone.milestone_id);
        let concerned = tracked.iter().filter(|one| !one.milestone.withdrawn && objects.contains(&one.milestone.object_id));
        concerned.filter(|one| !due(one)).collect()
    }

    /// Sends the status of milestones to their ledgers.
    pub(super) fn tell_status(&mut self, of: &[&Tracked], live: &[&Milestone]) -> Result<(), StateError> {
        let residents = if self.plan.named_only && !of.is_empty() { self.residents()? } else { Vec::new() };
        for one in of {
            let credit_rows = CreditRows {
                milestone: Some(one.milestone.clone()),
                stamp: one.stamp,
                epoch: one.epoch,
                status: status(one, live, &residents, self.plan),
                stands: true,
                ..CreditRows::default()
            };
            self.effects.send(one.milestone.milestone_id.clone().into_bytes(), Body::CreditRows(credit_rows));
        }
        Ok(())
    }
}
