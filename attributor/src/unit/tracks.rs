//! Milestones that a unit tracks.

use tributary_proto::{Milestone, Placement, Reason, StoredTrack, UnitSummary};
use tributary_runtime::state::{self, StateError};

use super::Unit;
use super::keys::{self, IdentifierHash};
use crate::metrics;

/// A milestone with the resident that anchors it.
pub(crate) struct Tracked {
    /// The identifier that anchors it.
    pub by: IdentifierHash,
    /// The profile of the anchor; empty if that is an account.
    pub profile_id: String,
    /// The account at the milestone's time; empty for a profile's unit.
    pub account_id: String,
    /// The epoch of the anchor's placement.
    pub epoch: u64,
    pub stamp: u64,
    pub milestone: Milestone,
}

/// A milestone to be computed.
pub(super) struct Task<'m> {
    pub tracked: &'m Tracked,
    /// The time of the earliest touch that can matter to it.
    pub from_ms: i64,
    pub reason: Reason,
}

/// Whether two states of a milestone give the same credit. The number of versions that report it does not count.
pub(crate) fn is_same(before: &Milestone, after: &Milestone) -> bool {
    *before == Milestone { versions: before.versions, ..after.clone() }
}

/// The time at which a milestone is tracked, or is no longer tracked.
pub(super) fn time_ms(track: &StoredTrack) -> i64 {
    track.milestone.as_ref().map_or(track.at_ms, |milestone| milestone.time_ms)
}

/// A sub-key and the stored track or mark.
type Kept = (Vec<u8>, StoredTrack);

impl Unit<'_, '_> {
    /// What an identifier tracks here, and the marks of what it no longer tracks.
    pub(super) fn tracks_of(&mut self, identifier: &IdentifierHash) -> Result<Vec<Kept>, StateError> {
        let mut tracks = state::scan_messages(self.state, &self.actor, &keys::of_identifier(keys::TRACK, identifier))?;
        tracks.extend(state::scan_messages(self.state, &self.actor, &keys::of_identifier(keys::GONE, identifier))?);
        Ok(tracks)
    }

    /// Stores a track or a mark unless a newer one is stored; returns whether the milestones here have changed. `placement` is that of its
    /// identifier; `reason` is set if it was handed over.
    pub(super) fn store_track(
        &mut self,
        identifier: &IdentifierHash,
        track: StoredTrack,
        placement: Option<&Placement>,
        reason: Option<Reason>,
    ) -> Result<bool, StateError> {
        let id = &track.milestone_id;
        let sub = keys::track(identifier, id);
        let known: Option<StoredTrack> = state::get_message(self.state, &self.actor, &sub)?;
        let newer = known.as_ref().is_none_or(|known| known.stamp < track.stamp);
        let fresh = match &track.milestone {
            Some(_) => newer && self.gone_since(identifier, id)? <= track.stamp,
            None => self.note_gone(identifier, &track)?,
        };
        self.effects.outbox.observe(&metrics::TRACKS, if fresh { "stored" } else { "stale" }, 1);
        match &track.milestone {
            _ if !fresh || !newer => return Ok(false),
            Some(_) => state::put_message(self.state, &self.actor, &sub, &track),
            None if known.is_some() => self.state.delete(&self.actor, &sub),
            None => return Ok(false),
        }
        let home = |milestone: &&Milestone| placement.is_some_and(|known| known.at(milestone.time_ms).0.as_bytes() == self.key);
        let before = known.as_ref().and_then(|known| known.milestone.as_ref()).filter(home);
        let after = track.milestone.as_ref().filter(home);
        if before.or(after).is_some() {
            let withdrawn = track.milestone.as_ref().is_some_and(|milestone| milestone.withdrawn);
            let own = match (track.erased, withdrawn) {
                (true, _) => Reason::Erased,
                (false, true) => Reason::Withdrawn,
                (false, false) => Reason::Amended,
            };
            let reason = reason.filter(|_| !track.erased).unwrap_or(own);
            self.track_changed(id, before, after, reason);
        }
        Ok(true)
    }

    /// The highest stamp under which an identifier stopped tracking a milestone, by the marks stored here; 0 if there is none.
    fn gone_since(&mut self, identifier: &IdentifierHash, milestone_id: &str) -> Result<u64, StateError> {
        let marks: Vec<Kept> = state::scan_messages(self.state, &self.actor, &keys::gone_of(identifier, milestone_id))?;
        Ok(marks.iter().map(|(_, mark)| mark.stamp).max().unwrap_or_default())
    }

    /// Stores a mark; returns whether it is new.
    fn note_gone(&mut self, identifier: &IdentifierHash, mark: &StoredTrack) -> Result<bool, StateError> {
        let sub = keys::gone(identifier, &mark.milestone_id, mark.at_ms);
        let known: Option<StoredTrack> = state::get_message(self.state, &self.actor, &sub)?;
        let new = known.is_none_or(|known| known.stamp < mark.stamp);
        if new {
            state::put_message(self.state, &self.actor, &sub, mark);
        }
        Ok(new)
    }

    /// A milestone of a resident was added, changed or removed: marks it and those that depend on it to be computed.
    pub(super) fn track_changed(
        &mut self,
        milestone_id: &str,
        before: Option<&Milestone>,
        after: Option<&Milestone>,
        reason: Reason,
    ) {
        let tells = self.plan.outputs.milestones;
        // It is computed even if only the number of versions changed: its ledger may have refused the rows of the state before, because
        // another unit had sent it this state already.
        let same = before.zip(after).is_some_and(|(before, after)| is_same(before, after));
        let is_stage = !same && after.or(before).is_some_and(|milestone| self.plan.is_stage(&milestone.kind));
        let dirty = self.dirty();
        dirty.milestone(milestone_id, reason);
        if let Some(milestone) = after.or(before).filter(|_| tells) {
            dirty.status.insert(milestone.object_id.clone());
        }
        if is_stage {
            dirty.stage(before, after, reason);
        }
    }

    /// Whether a touch at `time_ms` may be part of the journey to a milestone tracked here.
    pub(super) fn may_affect(&mut self, time_ms: i64) -> Result<bool, StateError> {
        let summary: Option<UnitSummary> = state::get_message(self.state, &self.actor, &keys::SUMMARY)?;
        Ok(summary.is_some_and(|summary| {
            self.plan.reach_ms(summary.earliest_ms) <= time_ms && time_ms < summary.latest_ms.saturating_add(1)
        }))
    }

    /// Updates the stored range of times of the tracked milestones that are not withdrawn.
    pub(super) fn refresh_summary(&mut self) -> Result<(), StateError> {
        let mut summary: Option<UnitSummary> = None;
        for (_, track) in state::scan_messages::<StoredTrack>(self.state, &self.actor, &[keys::TRACK])? {
            if let Some(Milestone { time_ms, withdrawn, .. }) = track.milestone {
                let known = summary.get_or_insert(UnitSummary { earliest_ms: i64::MAX, latest_ms: i64::MIN });
                if !withdrawn {
                    known.earliest_ms = known.earliest_ms.min(time_ms);
                    known.latest_ms = known.latest_ms.max(time_ms);
                }
            }
        }
        match summary {
            Some(summary) => state::put_message(self.state, &self.actor, &keys::SUMMARY, &summary),
            None => self.state.delete(&self.actor, &keys::SUMMARY),
        }
        Ok(())
    }
}
