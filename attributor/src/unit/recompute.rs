//! The end of a batch: each milestone that it made dirty is computed once, and its rows go to its ledger.

use std::collections::BTreeMap;
use std::ops::Range;

use tributary_proto::{CreditRows, Message, Milestone, ModelRef, Reason, StoredTrack, attributor_message::Body};
use tributary_runtime::mailbox::Parts;
use tributary_runtime::state::{self, StateError};

use super::keys;
use super::residents::{Resident, cast};
use super::status::status;
use super::tracks::{Task, Tracked};
use super::{Dirty, Unit, corrupt};
use crate::credit;
use crate::journey::{Journey, Timeline, Touchpoint};
use crate::metrics;

/// Stored touches of several residents, copied out of the state into one buffer.
#[derive(Default)]
struct Stored {
    bytes: Vec<u8>,
    /// The range of each, and the position of its resident.
    places: Vec<(Range<usize>, usize)>,
}

impl Unit<'_, '_> {
    /// Publishes the rows and computes the milestones that `dirty` requires, or defers that while the unit is throttled. Returns whether it was
    /// deferred because more records wait (`more_waits`), which may change the same milestones again.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub fn recompute(&mut self, mut dirty: Dirty, more_waits: bool) -> Result<bool, StateError> {
        let said = self.say_again(std::mem::take(&mut dirty.rows))?;
        if self.state.get(&self.actor, &keys::SUMMARY)?.is_none() {
            self.rest_after(said);
            return Ok(false);
        }
        let tracked = self.tracked()?;
        self.add_residents(&mut dirty, &tracked)?;
        let live = live(&tracked);
        let tasks = self.tasks(&tracked, |milestone, from_ms| dirty.reason(milestone, from_ms, self.plan));
        let stand = self.standing_by(&tracked, &dirty.status, &tasks);
        let restated = |task: &Task<'_>| matches!(task.reason, Reason::Identity | Reason::LateTouch);
        let throttled = self.is_throttled()?;
        let waits = more_waits && !throttled && !tasks.is_empty() && tasks.iter().all(restated);
        if waits || throttled {
            let all = self.tasks(&tracked, |milestone, from_ms| {
                let stands = stand.iter().any(|one| one.milestone.milestone_id == milestone.milestone_id);
                dirty.reason(milestone, from_ms, self.plan).or(stands.then_some(Reason::Amended))
            });
            self.deferred(&all, dirty.received_ms)?;
            return Ok(waits);
        }
        let cost = self.compute_all(&tasks, &live)?;
        self.tell_status(&stand, &live)?;
        self.rest_after(said + cost + stand.len() as u64);
        Ok(false)
    }

    /// The milestones to be computed. `reason` gives the reason for a milestone whose relevant touches begin at a time.
    pub(super) fn tasks<'m>(
        &self,
        tracked: &'m [Tracked],
        reason: impl Fn(&Milestone, i64) -> Option<Reason>,
    ) -> Vec<Task<'m>> {
        let mut tasks = Vec::new();
        for one in tracked {
            let from_ms = self.plan.reach_ms(one.milestone.time_ms);
            if let Some(reason) = reason(&one.milestone, from_ms) {
                tasks.push(Task { tracked: one, from_ms, reason });
            }
        }
        tasks
    }

    /// Computes milestones and sends their rows to the ledgers; returns the cost, in records handled.
    pub(super) fn compute_all(&mut self, tasks: &[Task<'_>], live: &[&Milestone]) -> Result<u64, StateError> {
        if tasks.is_empty() {
            return Ok(0);
        }
        let residents = self.residents()?;
        let stored = self.load(tasks, &residents)?;
        let mut touches = Vec::with_capacity(stored.places.len());
        for (place, owner) in &stored.places {
            let (Some(raw), Some(resident)) = (stored.bytes.get(place.clone()), residents.get(*owner)) else { continue };
            let touch = Touchpoint::read(raw, &resident.placement.profile_id, &resident.placement.role, &resident.hash)
                .map_err(|_| corrupt(&self.actor, &keys::of_identifier(keys::TOUCH, &resident.hash)))?;
            touches.push(touch);
        }
        touches.sort_unstable_by(Touchpoint::order);
        self.count_beyond_horizon(tasks, &residents);
        let course = Timeline::of(&touches, &self.plan.visits);
        let shares: u64 = tasks.iter().map(|task| self.compute(task, &course, live, &residents)).sum();
        Ok(touches.len() as u64 / 2 + shares / 2)
    }

    fn count_beyond_horizon(&mut self, tasks: &[Task<'_>], residents: &[Resident]) {
        let newest_ms = residents.iter().filter_map(|resident| resident.extent).map(|extent| extent.newest_ms).max();
        let horizon_ms = newest_ms.map_or(i64::MIN, |newest_ms| self.plan.horizon_ms(newest_ms));
        let beyond = tasks.iter().filter(|task| task.tracked.milestone.time_ms < horizon_ms).count();
        if beyond > 0 {
            self.effects.outbox.observe(&metrics::JOURNEYS_BEYOND_HORIZON, "", beyond as u64);
        }
    }

    /// The milestones anchored by residents that belong here. While a milestone moves from one anchor to another, the newer stamp counts.
    pub(crate) fn tracked(&mut self) -> Result<Vec<Tracked>, StateError> {
        let mut newest: BTreeMap<String, Tracked> = BTreeMap::new();
        for (sub, track) in state::scan_messages::<StoredTrack>(self.state, &self.actor, &[keys::TRACK])? {
            let by = keys::identifier(&sub).ok_or_else(|| corrupt(&self.actor, &sub))?;
            let Some(milestone) = track.milestone else { continue };
            if newest.get(&track.milestone_id).is_some_and(|known| known.stamp >= track.stamp) {
                continue;
            }
            let Some(placement) = self.known(&by)?.placement else { continue };
            let (unit, account_id) = placement.at(milestone.time_ms);
            if unit.as_bytes() == self.key {
                let (account_id, epoch, stamp) = (account_id.to_owned(), placement.epoch, track.stamp);
                let profile_id = placement.profile_id;
                newest.insert(track.milestone_id, Tracked { by, profile_id, account_id, epoch, stamp, milestone });
            }
        }
        Ok(newest.into_values().collect())
    }

    /// Adds what follows from new or changed residents: the milestones they anchor, and the milestones that can see their touches.
    fn add_residents(&mut self, dirty: &mut Dirty, tracked: &[Tracked]) -> Result<(), StateError> {
        let times = tracked.iter().map(|one| one.milestone.time_ms);
        let (Some(earliest_ms), Some(latest_ms)) = (times.clone().min(), times.max()) else { return Ok(()) };
        for hash in std::mem::take(&mut dirty.residents) {
            if !self.known(&hash)?.placement.is_some_and(|placement| placement.is_in(self.key)) {
                continue;
            }
            let span = self.span_of(&hash, self.plan.reach_ms(earliest_ms), latest_ms)?;
            dirty.moved.join(span);
            for one in tracked.iter().filter(|one| one.by == hash) {
                dirty.milestone(&one.milestone.milestone_id, Reason::Identity);
                if self.plan.outputs.milestones {
                    dirty.status.insert(one.milestone.object_id.clone());
                }
                if self.plan.is_stage(&one.milestone.kind) {
                    dirty.stage(None, Some(&one.milestone), Reason::Identity);
                }
            }
        }
        Ok(())
    }

    /// Reads the consented touches that any of the tasks may need.
    fn load(&mut self, tasks: &[Task<'_>], residents: &[Resident]) -> Result<Stored, StateError> {
        let mut stored = Stored::default();
        let wanted = tasks.iter().filter(|task| !task.tracked.milestone.withdrawn);
        let from_ms = wanted.clone().map(|task| task.from_ms).min();
        let (Some(from_ms), Some(to_ms)) = (from_ms, wanted.map(|task| task.tracked.milestone.time_ms).max()) else {
            return Ok(stored);
        };
        for (owner, resident) in residents.iter().enumerate().filter(|(_, resident)| !resident.placement.revoked) {
            self.scan_faces(&resident.hash, from_ms, to_ms, &mut |face| {
                let start = stored.bytes.len();
                stored.bytes.extend_from_slice(face);
                stored.places.push((start..stored.bytes.len(), owner));
            })?;
        }
        Ok(stored)
    }

    /// Computes one milestone and sends its rows to the ledger; returns the number of shares.
    fn compute(&mut self, task: &Task<'_>, course: &Timeline<'_>, live: &[&Milestone], residents: &[Resident]) -> u64 {
        let Tracked { milestone: of, stamp, epoch, account_id, .. } = task.tracked;
        let rows = if of.withdrawn {
            Vec::new()
        } else {
            let cast = cast(&of.object_id, residents, self.plan.named_only);
            // People whom the deal does not name are left out first, so that their copy of an event hides nobody else's.
            let some = if cast.is_of_some() { course.those(|touch| cast.includes(touch.profile)) } else { Vec::new() };
            let of_some = cast.is_of_some().then(|| Timeline::of(&some, &self.plan.visits));
            let journey = Journey::build(of_some.as_ref().unwrap_or(course), of, live, &cast, &self.plan.journey(&of.kind));
            let outbox = &mut *self.effects.outbox;
            outbox.observe(&metrics::JOURNEYS, "", 1);
            outbox.observe(&metrics::JOURNEY_TOUCHES, "", journey.touches.len() as u64);
            let folded = journey.folded;
            for (why, count) in [("duplicate", folded.duplicates), ("visit", folded.visits), ("overlong", folded.overlong)] {
                if count > 0 {
                    outbox.observe(&metrics::JOURNEY_FOLDED, why, count as u64);
                }
            }
            credit::rows(&journey, of, self.plan)
        };
        let models = self.plan.models_of(&of.kind);
        let reporting = credit::reporting(of, self.plan);
        if self.plan.rates.is_some() && reporting.is_none() && !of.withdrawn {
            self.effects.outbox.observe(&metrics::RATES_MISSING, "", 1);
        }
        let header = CreditRows {
            reporting,
            status: status(task.tracked, live, residents, self.plan),
            milestone: Some(of.clone()),
            stamp: *stamp,
            epoch: *epoch,
            reason: task.reason.into(),
            account_id: account_id.clone(),
            models: models.map(|model| ModelRef { model: model.name.clone(), version: model.version.clone() }).collect(),
            ..CreditRows::default()
        };
        let shares = rows.iter().map(|row| row.credits.len() as u64).sum();
        let key = of.milestone_id.as_bytes();
        let mut parts = Parts::new(header, self.plan.message_bytes_max);
        for row in rows {
            parts.room(row.encoded_len()).rows.push(row);
        }
        for part in parts.finish(|part, at, more| (part.part, part.more) = (at, more)) {
            self.effects.send(key.to_vec(), Body::CreditRows(part));
        }
        shares
    }
}

/// The milestones that are not withdrawn.
pub(super) fn live(tracked: &[Tracked]) -> Vec<&Milestone> {
    let all = tracked.iter().map(|one| &one.milestone);
    all.filter(|milestone| !milestone.withdrawn).collect()
}
