//! A unit is computed by settings that have changed.

use tributary_proto::{Hash128, Reason, ResidentState};
use tributary_runtime::state::{self, ActorKey, State, StateError};

use super::recompute::live;
use super::{Unit, keys};

impl Unit<'_, '_> {
    /// Computes every milestone, or puts that off while the unit rests; returns what it cost, in records handled.
    ///
    /// # Errors
    /// When the state is at fault.
    pub fn remodel(&mut self) -> Result<u64, StateError> {
        let renewed = self.renew_all_touches()?;
        let tracked = self.tracked()?;
        let live = live(&tracked);
        // What is withdrawn has no rows, by whatever settings.
        let tasks = self.tasks(&tracked, |milestone, _| (!milestone.withdrawn).then_some(Reason::Remodelled));
        if self.is_resting()? {
            let received_ms = self.post.outbox.cause();
            self.put_off(&tasks, received_ms)?;
            return Ok(renewed + tasks.len() as u64);
        }
        let cost = self.compute_all(&tasks, &live)?;
        self.rest_after(cost);
        Ok(renewed + cost)
    }

    fn renew_all_touches(&mut self) -> Result<u64, StateError> {
        let mut renewed = 0;
        for resident in self.residents()? {
            renewed += self.renew_touches(&resident.hash)?;
        }
        Ok(renewed)
    }
}

/// The key of a unit that tracks milestones, which a resident's placement names; `None` for any other actor.
pub(crate) fn name_of(state: &mut dyn State, actor: &ActorKey) -> Result<Option<Vec<u8>>, StateError> {
    if state.get(actor, &keys::SUMMARY)?.is_none() {
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
