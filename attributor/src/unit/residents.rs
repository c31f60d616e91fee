//! The identifiers that belong to a unit: whose touches and milestones it holds.

use tributary_proto::{Extent, Identifier, Placement, ResidentState, Role};
use tributary_runtime::state::{self, StateError};

use super::keys::{self, IdentifierHash};
use super::{Unit, corrupt};
use crate::journey::Cast;

/// An identifier that belongs to the unit.
pub(crate) struct Resident {
    pub hash: IdentifierHash,
    pub identifier: Option<Identifier>,
    pub placement: Placement,
    pub extent: Option<Extent>,
    /// Its roles in deals.
    pub roles: Vec<Role>,
}

/// The cast of an object, from these residents.
pub(crate) fn cast<'a>(object_id: &str, residents: &'a [Resident], named_only: bool) -> Cast<'a> {
    let people = residents.iter().filter(|resident| !resident.roles.is_empty());
    Cast::of(object_id, people.map(|one| (one.placement.profile_id.as_str(), one.roles.as_slice())), named_only)
}

impl Unit<'_, '_> {
    /// The identifiers that belong here, by hash.
    pub(crate) fn residents(&mut self) -> Result<Vec<Resident>, StateError> {
        let states = state::scan_messages::<ResidentState>(self.state, &self.actor, &[keys::RESIDENT])?;
        let mut residents = Vec::with_capacity(states.len());
        for (sub, mut state) in states {
            // Entries of earlier versions for identifiers that moved away have no placement.
            if let Some(placement) = state.placement.take_if(|placement| placement.is_in(self.key)) {
                let hash = keys::identifier(&sub).ok_or_else(|| corrupt(&self.actor, &sub))?;
                let ResidentState { identifier, extent, roles, .. } = state;
                residents.push(Resident { hash, identifier, placement, extent, roles });
            }
        }
        Ok(residents)
    }
}
