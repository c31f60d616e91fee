//! Applies changed settings to all units: see [`tributary_runtime::remodel`]. Ledgers get the list of all models and take back the rows of
//! removed ones. If the topic `touchpoints` was switched on, every touch gets its row; if it was switched off, every row is taken back.

use tributary_proto::{Remodel, RowsState, attributor_message::Body};
use tributary_runtime::mailbox::Mail;
use tributary_runtime::remodel::Walk;
use tributary_runtime::stage::{Context, PartitionSlice};
use tributary_runtime::state::{self, State, StateError};

use crate::unit::keys;

/// The keys of the progress are part of the stored format: do not change.
pub(crate) const WALK: Walk = Walk { tag: b'p', sub: [b'h'], over: &[keys::TAG] };

/// Which touches of a partition have rows in `touchpoints`. The values are part of the stored format: do not change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rows {
    /// None.
    None = 0,
    /// Possibly some.
    Some = 1,
    /// All.
    All = 2,
}

/// The sub-key where it is stored, under the partition's own actor.
const ROWS: [u8; 1] = [b'r'];

impl Rows {
    fn stored(state: &mut dyn State) -> Result<RowsState, StateError> {
        Ok(state::get_message(state, &WALK.actor(), &ROWS)?.unwrap_or_default())
    }

    /// The stored value.
    pub fn known(state: &mut dyn State) -> Result<Self, StateError> {
        let known = Self::stored(state)?.touchpoints;
        Ok([Self::None, Self::Some].into_iter().find(|rows| *rows as u32 == known).unwrap_or(Self::All))
    }

    /// The value for a walk that publishes rows by these channel rules. Rows that were published by other rules count as none: a worker
    /// with former rules may have published touches that ingest had classified by the new ones already, and that cannot be seen in such a
    /// touch.
    pub fn found(state: &mut dyn State, rules: u32) -> Result<Self, StateError> {
        let known = Self::known(state)?;
        Ok(if known == Self::All && Self::stored(state)?.rules != Some(rules) { Self::Some } else { known })
    }

    /// Stores it.
    pub fn note(self, state: &mut dyn State) -> Result<(), StateError> {
        let rules = Self::stored(state)?.rules;
        self.write(state, rules)
    }

    /// Stores that all touches have rows, by these channel rules.
    pub fn note_all(state: &mut dyn State, rules: u32) -> Result<(), StateError> {
        Self::All.write(state, Some(rules))
    }

    fn write(self, state: &mut dyn State, rules: Option<u32>) -> Result<(), StateError> {
        let now = RowsState { touchpoints: self as u32, rules };
        if self == Self::None {
            state.delete(&WALK.actor(), &ROWS);
        } else if Self::stored(state)? != now {
            state::put_message(state, &WALK.actor(), &ROWS, &now);
        }
        Ok(())
    }
}

/// Sends a message to the partition's own inbox.
pub(crate) fn send(context: &mut Context<'_>, slice: PartitionSlice, message: Remodel) {
    Body::Remodel(message).post(context.outbox, slice.some_key("remodel:"));
}
