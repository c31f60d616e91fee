//! A ledger: one milestone, with the rows last emitted.
//!
//! Credit rows come from the unit that anchors the milestone; while it moves, from two units. The ledger accepts them by (stamp, epoch),
//! never older ones, and emits the difference. So all updates of a milestone come from one place, in order, whatever happens to the people
//! and accounts behind it.
//!
//! Its state, whose sub-keys are part of the stored format:
//!
//! | sub-key | value |
//! |---|---|
//! | `h` | `LedgerState` |
//! | `o`, event id (16) | `LedgerRow`; the xxh3-128 of the touch's event id |
//! | `p`, part (4) | `CreditRows`, of a set of which parts are missing |

mod accept;
mod row;
mod update;

use tributary_proto::{CreditRows, Hash128, LedgerState};
use tributary_runtime::stage::{Outbox, StageError};
use tributary_runtime::state::{self, ActorKey, State, StateError};

use crate::metrics;
use crate::unit::malformed;
use crate::view::TouchView;

/// Tag of ledgers among the stage's actors.
pub const TAG: u8 = b'l';

pub(crate) const HEAD: [u8; 1] = [b'h'];
pub(crate) const ROW: u8 = b'o';
const PART: u8 = b'p';

/// The actor of the milestone with this id.
pub fn actor(milestone_id: &[u8]) -> ActorKey {
    ActorKey::new(TAG, Hash128::of(milestone_id))
}

fn row_sub(event_id: &str) -> [u8; 17] {
    let mut sub = [ROW; 17];
    sub[1..].copy_from_slice(&Hash128::of(event_id.as_bytes()).to_bytes());
    sub
}

fn part_sub(part: u32) -> [u8; 5] {
    let mut sub = [PART; 5];
    sub[1..].copy_from_slice(&part.to_be_bytes());
    sub
}

/// A ledger: its milestone's id, its state, and the outbox.
pub struct Ledger<'a> {
    pub(crate) actor: ActorKey,
    /// The milestone's id, which is also the key of the ledger's records.
    pub(crate) key: &'a [u8],
    pub(crate) state: &'a mut dyn State,
    pub(crate) outbox: &'a mut Outbox,
}

impl Ledger<'_> {
    /// Handles credit rows, or a part of them.
    ///
    /// # Errors
    /// [`StageError::Rejected`] when the message is not about this milestone or a row cannot be read.
    pub fn credit_rows(&mut self, credit_rows: CreditRows) -> Result<(), StageError> {
        let readable = credit_rows.rows.iter().all(|row| TouchView::parse(&row.touch).is_ok());
        let own = credit_rows.milestone.as_ref().is_some_and(|milestone| milestone.milestone_id.as_bytes() == self.key);
        if !readable || !own {
            return Err(malformed().into());
        }
        let known = state::get_message(self.state, &self.actor, &HEAD)?;
        let mut head: LedgerState = known.unwrap_or_else(|| {
            self.state.begins(&self.actor);
            LedgerState::default()
        });
        let of = (credit_rows.stamp, credit_rows.epoch);
        let buffered = (head.parts_stamp, head.parts_epoch);
        let follows = credit_rows.part == 0 || (head.parts == credit_rows.part && buffered == of);
        let stale = of < (head.stamp, head.epoch);
        if credit_rows.stands {
            return if stale { Ok(()) } else { Ok(self.stand(head, credit_rows)?) };
        }
        if stale || (head.parts > 0 && of < buffered) || !follows {
            self.outbox.observe(&metrics::DESIRED, "stale", 1);
            return Ok(());
        }
        if credit_rows.part == 0 {
            self.forget_parts(&mut head);
        }
        if credit_rows.more {
            state::put_message(self.state, &self.actor, &part_sub(credit_rows.part), &credit_rows);
            head.parts = credit_rows.part + 1;
            (head.parts_stamp, head.parts_epoch) = of;
            state::put_message(self.state, &self.actor, &HEAD, &head);
            return Ok(());
        }
        let whole = self.assemble(&mut head, credit_rows)?;
        Ok(self.accept(head, whole)?)
    }

    /// Joins the buffered parts and the last one.
    fn assemble(&mut self, head: &mut LedgerState, mut last: CreditRows) -> Result<CreditRows, StateError> {
        if head.parts == 0 {
            return Ok(last);
        }
        let mut rows = Vec::new();
        for (_, part) in state::scan_messages::<CreditRows>(self.state, &self.actor, &[PART])? {
            rows.extend(part.rows);
        }
        rows.append(&mut last.rows);
        last.rows = rows;
        self.forget_parts(head);
        Ok(last)
    }

    fn forget_parts(&mut self, head: &mut LedgerState) {
        for part in 0..std::mem::take(&mut head.parts) {
            self.state.delete(&self.actor, &part_sub(part));
        }
        (head.parts_stamp, head.parts_epoch) = (0, 0);
    }
}
