//! Recomputes a unit after a change of settings.

use tributary_proto::{Hash128, Reason, ResidentState};
use tributary_runtime::state::{self, ActorKey, State, StateError};

use super::recompute::live;
use super::{Unit, keys};
use crate::remodel::Rows;

impl Unit<'_, '_> {
    /// Classifies touches again, updates their rows given which of them exist (`there`), and computes every milestone, or defers that while
    /// the unit is throttled; returns the cost, in records handled.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub(crate) fn remodel(&mut self, there: Rows) -> Result<u64, StateError> {
        let renewed = self.renew_all_touches(there)?;
        let tracked = self.tracked()?;
        let live = live(&tracked);
        let tasks = self.tasks(&tracked, |_, _| Some(Reason::Remodelled));
        if self.is_throttled()? {
            let received_ms = self.effects.outbox.cause();
            self.deferred(&tasks, received_ms)?;
            return Ok(renewed + tasks.len() as u64);
        }
        let cost = self.compute_all(&tasks, &live)?;
        self.rest_after(cost);
        Ok(renewed + cost)
    }

    fn renew_all_touches(&mut self, there: Rows) -> Result<u64, StateError> {
        let mut cost = 0;
        for resident in self.residents()? {
            let renewed = self.renew_touches(&resident.hash)?;
            cost += renewed + self.remodel_rows(&resident.hash, there, renewed > 0)?;
        }
        Ok(cost)
    }
}

/// The key of a unit, from a resident's placement. `None` for any other actor, and for units without milestones if only those with
/// milestones are wanted.
pub(crate) fn name_of(
    state: &mut dyn State,
    actor: &ActorKey,
    without_milestones: bool,
) -> Result<Option<Vec<u8>>, StateError> {
    if !without_milestones && state.get(actor, &keys::SUMMARY)?.is_none() {
        return Ok(None);
    }
    let own = |unit: &str| ActorKey::new(keys::TAG, Hash128::of(unit.as_bytes())) == *actor;
    for (_, resident) in state::scan_messages::<ResidentState>(state, actor, &[keys::RESIDENT])? {
        let placement = resident.placement.unwrap_or_default();
        if let Some(stay) = placement.stays().find(|stay| own(stay.unit)) {
            return Ok(Some(stay.unit.as_bytes().to_vec()));
        }
    }
    Ok(None)
}
