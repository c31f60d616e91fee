//! Touches that are too old are dropped: the size of a unit is bounded by its activity, not by its age.
//!
//! The newest touch of an identifier decides how far back its touches are worth keeping: a touch that is older by the horizon plus the
//! longest window is in the journey to no milestone within the horizon. It is dropped, unless a milestone that is tracked here at that
//! moment can see it. This is decided for each identifier separately, whatever unit it is in: the newest touch of a unit may become older
//! when people are un-merged, and the dropped touches would be missing.
//!
//! So the journey to a milestone is complete, in any order of events, as long as the milestone is no older than the newest touch of anybody
//! in its unit by more than the horizon. For an older one the journey has the touches that are there: all that the unit had when the
//! milestone became known; touches that arrive later may have been dropped before.
//!
//! If an identifier is in a unit only for a time, the newest of its touches *there* counts.
//!
//! Each touch is checked once: an [`Extent`] stores from which time on touches have not been checked, and moves by whole steps.

use tributary_proto::{Extent, Hash128, StoredTrack};
use tributary_runtime::state::{self, StateError};

use super::keys::{self, IdentifierHash};
use super::rows::id_of;
use super::{Span, Unit, corrupt};
use crate::metrics;
use crate::view::with_extent;

/// The extent after the touches of a span were removed. Which of the rest is the newest is not known, so nothing is dropped until the next
/// one arrives.
pub(super) fn without_newest(extent: Extent, gone: Span) -> Extent {
    let newest_gone = gone.ends().is_some_and(|(_, to_ms)| to_ms >= extent.newest_ms);
    if newest_gone { Extent { newest_ms: extent.oldest_ms, ..extent } } else { extent }
}

impl Unit<'_, '_> {
    /// Whether a touch is too old for every milestone within the horizon, given the extent of the identifier that brings it.
    pub(super) fn is_out_of_reach(&self, extent: Option<Extent>, time_ms: i64) -> bool {
        extent.is_some_and(|extent| time_ms < self.plan.out_of_reach_ms(extent.newest_ms))
    }

    /// Whether a milestone tracked here may have a touch at this time in its window.
    pub(super) fn is_seen(&mut self, time_ms: i64) -> Result<bool, StateError> {
        Ok(self.views()?.iter().any(|(from_ms, to_ms)| (*from_ms..=*to_ms).contains(&time_ms)))
    }

    /// The longest windows of all milestones tracked here, including withdrawn ones: they may be reached again.
    fn views(&mut self) -> Result<Vec<(i64, i64)>, StateError> {
        if self.state.get(&self.actor, &keys::SUMMARY)?.is_none() {
            return Ok(Vec::new());
        }
        let tracks = state::scan_messages::<StoredTrack>(self.state, &self.actor, &[keys::TRACK])?;
        let times = tracks.into_iter().filter_map(|(_, track)| track.milestone).map(|milestone| milestone.time_ms);
        Ok(times.map(|time_ms| (self.plan.reach_ms(time_ms), time_ms)).collect())
    }

    /// Updates the extent for touches that were stored between two times, and drops those that became too old. Mostly there is nothing to
    /// do.
    pub(super) fn extend(
        &mut self,
        hash: &IdentifierHash,
        known: Option<Extent>,
        from_ms: i64,
        to_ms: i64,
    ) -> Result<(), StateError> {
        let noted = |known: Extent| known.oldest_ms <= from_ms && to_ms < known.newest_ms.saturating_add(self.plan.step_ms);
        if known.is_some_and(noted) {
            return Ok(());
        }
        let mut extent = Extent { oldest_ms: self.plan.step_before(from_ms), newest_ms: self.plan.step_before(to_ms) };
        if let Some(known) = known {
            extent.oldest_ms = extent.oldest_ms.min(known.oldest_ms);
            extent.newest_ms = extent.newest_ms.max(known.newest_ms);
        }
        let until_ms = self.plan.out_of_reach_ms(extent.newest_ms);
        let sub = keys::of_identifier(keys::RESIDENT, hash);
        if extent.oldest_ms >= until_ms
            && let Some(raw) = self.state.get(&self.actor, &sub)?
            && let Some(changed) = with_extent(raw, &extent).map_err(|_| corrupt(&self.actor, &sub))?
        {
            self.state.put(&self.actor, &sub, &changed);
            return Ok(());
        }
        let mut resident = self.known(hash)?;
        if extent.oldest_ms < until_ms {
            let ids = self.drop_unseen(hash, extent.oldest_ms, until_ms)?;
            self.take_rows_back(&ids, &mut resident.rows);
            extent.oldest_ms = until_ms;
        }
        resident.extent = Some(extent);
        state::put_message(self.state, &self.actor, &sub, &resident);
        Ok(())
    }

    /// Drops the touches from `from_ms` to before `until_ms` that no milestone tracked here can see; returns the ids of their rows.
    fn drop_unseen(&mut self, hash: &IdentifierHash, from_ms: i64, until_ms: i64) -> Result<Vec<Hash128>, StateError> {
        let views = self.views()?;
        let unseen = |time_ms: i64| !views.iter().any(|(from_ms, to_ms)| (*from_ms..=*to_ms).contains(&time_ms));
        let (mut gone, mut ids) = (Vec::new(), Vec::new());
        let has_rows = self.may_have_rows()?;
        self.read_touches(hash, from_ms, until_ms.saturating_sub(1), &mut |sub, raw| {
            if keys::time_ms(sub).is_some_and(unseen) {
                gone.push(sub.to_vec());
                if has_rows {
                    ids.push(id_of(hash, raw)?);
                }
            }
            Ok(())
        })?;
        if !gone.is_empty() {
            self.effects.outbox.observe(&metrics::TOUCHES_DROPPED, "dropped", gone.len() as u64);
        }
        for sub in gone {
            self.state.delete(&self.actor, &sub);
        }
        Ok(ids)
    }
}
