//! The end of a batch: each milestone that it made dirty is computed once, and its ledger is told.

use std::collections::BTreeMap;
use std::ops::Range;

use prost::encoding::encoded_len_varint;
use tributary_proto::{
    Desired, DesiredRow, Extent, Identifier, Message, Milestone, ModelRef, Placement, Reason, ResidentState, StoredTrack,
    attributor_message::Body,
};
use tributary_runtime::planted::planted;
use tributary_runtime::state::{self, StateError};

use super::keys::{self, IdentifierHash};
use super::{Dirty, Unit, corrupt};
use crate::credit;
use crate::journey::{Journey, Touchpoint};
use crate::metrics;

/// An identifier that lives in the unit.
pub(crate) struct Resident {
    pub hash: IdentifierHash,
    pub identifier: Option<Identifier>,
    pub placement: Placement,
    pub extent: Option<Extent>,
}

/// A milestone with the resident that anchors it.
pub(crate) struct Tracked {
    pub anchor: usize,
    pub stamp: u64,
    pub milestone: Milestone,
}

/// What is to be computed.
struct Task<'m> {
    tracked: &'m Tracked,
    start_ms: i64,
    reason: Reason,
}

/// Stored touches of several residents, copied out of the state in one piece.
#[derive(Default)]
struct Stored {
    bytes: Vec<u8>,
    /// Where each is, and whose.
    places: Vec<(Range<usize>, usize)>,
}

impl Unit<'_, '_> {
    /// Computes what `dirty` calls for.
    ///
    /// # Errors
    /// When the state is at fault.
    pub fn recompute(&mut self, mut dirty: Dirty) -> Result<(), StateError> {
        if self.state.get(&self.actor, &keys::SUMMARY)?.is_none() {
            return Ok(());
        }
        let residents = self.residents()?;
        let tracked = self.tracked(&residents)?;
        let live: Vec<&Milestone> = tracked
            .iter()
            .map(|one| &one.milestone)
            .filter(|milestone| !milestone.withdrawn || planted("withdrawn_is_a_stage"))
            .collect();
        self.add_residents(&mut dirty, &residents, &tracked)?;

        let mut tasks = Vec::new();
        for one in &tracked {
            let start_ms = self.plan.window(&one.milestone.kind).start_ms(&one.milestone, &live);
            if let Some(reason) = dirty.reason(&one.milestone, start_ms) {
                tasks.push(Task { tracked: one, start_ms, reason });
            }
        }
        let stored = self.load(&tasks, &residents)?;
        let mut touches = Vec::with_capacity(stored.places.len());
        for (place, owner) in &stored.places {
            let (Some(raw), Some(resident)) = (stored.bytes.get(place.clone()), residents.get(*owner)) else { continue };
            let touch = Touchpoint::read(raw, &resident.placement.profile_id, &resident.placement.role)
                .map_err(|_| corrupt(&self.actor, &keys::of_identifier(keys::TOUCH, &resident.hash)))?;
            touches.push(touch);
        }
        if planted("tie_break_by_identifier") {
            touches.sort_by_key(|touch| touch.view.time_ms);
        } else {
            touches.sort_unstable_by(Touchpoint::order);
        }
        let newest_ms = residents.iter().filter_map(|resident| resident.extent).map(|extent| extent.newest_ms).max();
        let horizon_ms = newest_ms.map_or(i64::MIN, |newest_ms| self.plan.horizon_ms(newest_ms));
        let beyond = tasks.iter().filter(|task| task.tracked.milestone.time_ms < horizon_ms).count();
        self.post.outbox.observe(&metrics::JOURNEYS_BEYOND_HORIZON, "", beyond as u64);
        for task in &tasks {
            if let Some(anchor) = residents.get(task.tracked.anchor) {
                self.compute(task, &anchor.placement, &touches, &live);
            }
        }
        Ok(())
    }

    /// The identifiers that live here, by hash.
    pub(crate) fn residents(&mut self) -> Result<Vec<Resident>, StateError> {
        let states = state::scan_messages::<ResidentState>(self.state, &self.actor, &[keys::RESIDENT])?;
        let mut residents = Vec::with_capacity(states.len());
        for (sub, state) in states {
            if let Some(placement) = state.placement {
                let hash = keys::identifier(&sub).ok_or_else(|| corrupt(&self.actor, &sub))?;
                residents.push(Resident { hash, identifier: state.identifier, placement, extent: state.extent });
            }
        }
        Ok(residents)
    }

    /// The milestones anchored by residents. Where a milestone is on its way from one to another, the newer stamp counts.
    pub(crate) fn tracked(&mut self, residents: &[Resident]) -> Result<Vec<Tracked>, StateError> {
        let mut newest: BTreeMap<String, Tracked> = BTreeMap::new();
        for (sub, track) in state::scan_messages::<StoredTrack>(self.state, &self.actor, &[keys::TRACK])? {
            let hash = keys::identifier(&sub).ok_or_else(|| corrupt(&self.actor, &sub))?;
            let Ok(anchor) = residents.binary_search_by_key(&hash, |resident| resident.hash) else { continue };
            let Some(milestone) = track.milestone else { continue };
            if newest.get(&track.milestone_id).is_none_or(|known| known.stamp < track.stamp) {
                newest.insert(track.milestone_id, Tracked { anchor, stamp: track.stamp, milestone });
            }
        }
        Ok(newest.into_values().collect())
    }

    /// What follows from residents that came or changed: the milestones they anchor, and those in reach of their touches.
    fn add_residents(&mut self, dirty: &mut Dirty, residents: &[Resident], tracked: &[Tracked]) -> Result<(), StateError> {
        let times = tracked.iter().map(|one| one.milestone.time_ms);
        let (Some(earliest_ms), Some(latest_ms)) = (times.clone().min(), times.max()) else { return Ok(()) };
        for hash in std::mem::take(&mut dirty.residents) {
            let Ok(position) = residents.binary_search_by_key(&hash, |resident| resident.hash) else { continue };
            let span = self.span_of(&hash, self.plan.reach_ms(earliest_ms), latest_ms)?;
            if !planted("newcomers_touches_ignored") {
                dirty.moved.join(span);
            }
            for one in tracked.iter().filter(|one| one.anchor == position) {
                dirty.milestone(&one.milestone.milestone_id, Reason::Identity);
                if self.plan.is_stage(&one.milestone.kind) {
                    dirty.stage(None, Some(&one.milestone), Reason::Identity);
                }
            }
        }
        Ok(())
    }

    /// The consented touches that any of the tasks may need.
    fn load(&mut self, tasks: &[Task<'_>], residents: &[Resident]) -> Result<Stored, StateError> {
        let mut stored = Stored::default();
        let wanted = tasks.iter().filter(|task| !task.tracked.milestone.withdrawn);
        let from_ms = wanted.clone().map(|task| task.start_ms).min();
        let (Some(from_ms), Some(to_ms)) = (from_ms, wanted.map(|task| task.tracked.milestone.time_ms).max()) else {
            return Ok(stored);
        };
        for (owner, resident) in
            residents.iter().enumerate().filter(|(_, resident)| !resident.placement.revoked || planted("consent_ignored"))
        {
            self.scan_touches(&resident.hash, from_ms, to_ms, &mut |_, raw| {
                let start = stored.bytes.len();
                stored.bytes.extend_from_slice(raw);
                stored.places.push((start..stored.bytes.len(), owner));
                true
            })?;
        }
        Ok(stored)
    }

    /// Computes one milestone and tells its ledger.
    fn compute(&mut self, task: &Task<'_>, anchor: &Placement, touches: &[Touchpoint<'_>], live: &[&Milestone]) {
        let of = &task.tracked.milestone;
        let rows = if of.withdrawn {
            Vec::new()
        } else {
            let journey = Journey::build(touches, of, live, self.plan);
            let outbox = &mut *self.post.outbox;
            outbox.observe(&metrics::JOURNEYS, "", 1);
            outbox.observe(&metrics::JOURNEY_TOUCHES, "", journey.touches.len() as u64);
            let folded = journey.folded;
            for (why, count) in [("duplicate", folded.duplicates), ("session", folded.sessions), ("overlong", folded.overlong)]
            {
                if count > 0 {
                    outbox.observe(&metrics::JOURNEY_FOLDED, why, count as u64);
                }
            }
            credit::rows(&journey, of, self.plan)
        };
        let mut milestone = of.clone();
        if milestone.currency.is_empty() {
            milestone.currency.clone_from(&self.plan.default_currency);
        }
        let models = self.plan.models_of(&of.kind);
        let header = Desired {
            milestone: Some(milestone),
            stamp: task.tracked.stamp,
            epoch: anchor.epoch,
            reason: task.reason.into(),
            account_id: anchor.account_id.clone(),
            models: models.map(|model| ModelRef { model: model.name.clone(), version: model.version.clone() }).collect(),
            ..Desired::default()
        };
        let key = of.milestone_id.as_bytes();
        for part in in_parts(header, rows, self.plan.message_bytes_max) {
            self.post.send(key.to_vec(), Body::Desired(part));
        }
    }
}

/// Rows in as many messages as their size asks for, at least one; each carries the header.
fn in_parts(header: Desired, rows: Vec<DesiredRow>, bytes_max: usize) -> Vec<Desired> {
    /// Room for part number, its flag, and the tags.
    const SLACK_BYTES: usize = 64;
    let empty_bytes = header.encoded_len() + SLACK_BYTES;
    let mut parts = Vec::new();
    let mut open = header.clone();
    let mut open_bytes = empty_bytes;
    for row in rows {
        let row_bytes = row.encoded_len();
        let row_bytes = row_bytes + encoded_len_varint(row_bytes as u64) + 1;
        if open_bytes + row_bytes > bytes_max && !open.rows.is_empty() {
            let next = Desired { part: open.part + 1, ..header.clone() };
            open.more = true;
            parts.push(std::mem::replace(&mut open, next));
            open_bytes = empty_bytes;
        }
        open_bytes += row_bytes;
        open.rows.push(row);
    }
    parts.push(open);
    parts
}
