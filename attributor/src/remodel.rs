//! Applies changed settings to all units: see [`tributary_runtime::remodel`]. Ledgers get the list of all models and take back the rows of
//! removed ones. If the topic `touchpoints` was switched on, every touch gets its row; if it was switched off, every row is taken back.

use tributary_proto::{AttributorMessage, Hash128, Remodel, RowsState, attributor_message::Body};
use tributary_runtime::remodel::Walk;
use tributary_runtime::stage::{Context, PartitionSlice};
use tributary_runtime::state::{self, ActorKey, State, StateError};
use tributary_runtime::topic::Topic;

use crate::unit::keys;

/// Where it stands is part of the stored format: do not change.
pub(crate) const WALK: Walk = Walk { tag: b'p', sub: [b'h'], over: &[keys::TAG] };

/// Which touches of a partition have rows. The values are part of the stored format: do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// None.
    None = 0,
    /// Some, perhaps.
    Some = 1,
    /// All.
    All = 2,
}

/// Where it is noted, under the partition's own actor.
const ROWS: [u8; 1] = [b'r'];

impl Rows {
    fn actor() -> ActorKey {
        ActorKey::new(WALK.tag, Hash128(0))
    }

    /// As it is noted.
    pub fn known(state: &mut dyn State) -> Result<Self, StateError> {
        let known: RowsState = state::get_message(state, &Self::actor(), &ROWS)?.unwrap_or_default();
        Ok([Self::None, Self::Some].into_iter().find(|rows| *rows as u32 == known.touchpoints).unwrap_or(Self::All))
    }

    /// Notes it.
    pub fn note(self, state: &mut dyn State) -> Result<(), StateError> {
        match self {
            known if known == Self::known(state)? => {}
            Self::None => state.delete(&Self::actor(), &ROWS),
            rows => state::put_message(state, &Self::actor(), &ROWS, &RowsState { touchpoints: rows as u32 }),
        }
        Ok(())
    }
}

/// Sends to the partition itself.
pub(crate) fn send(context: &mut Context<'_>, slice: PartitionSlice, message: Remodel) {
    let message = AttributorMessage { body: Some(Body::Remodel(message)) };
    context.outbox.send(Topic::AttributorInbox, slice.some_key("remodel:"), &message);
}
