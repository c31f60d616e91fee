//! A unit: one account, or one person while no account is known.
//!
//! An identifier belongs to units by time: its placement is a list of spans, each with a unit. A touch or milestone is in the unit of its
//! time, under the identifier that brought it. So a changed placement is a hand-over of what lies in the changed spans.
//!
//! The rules of the protocol:
//!
//! - Identity sends a placement (`Arrive`) to every unit in it, and to every unit of the one before. A unit keeps the newest placement it
//!   got, even if that has no span here any more: then it says where things have gone.
//! - Something sent under an epoch that is no newer than the placement known here belongs where that placement says: here, or it is
//!   forwarded under the epoch of that placement. Something sent under a newer epoch waits here for the placement of that epoch.
//! - A newer placement hands over everything that belongs elsewhere by it.
//! - A milestone is computed here only if it belongs here by the known placement: otherwise two units could send rows for it under one
//!   epoch.
//!
//! Why everything ends in its one right unit: identity's messages about one identifier arrive here in order; hand-overs and forwarded
//! messages come from other units and may overtake or be overtaken. But whatever is in a unit or on its way to one was sent there because
//! of a placement that has a span there. So this unit gets that placement, and the one after it. Then it forwards the thing, unless the
//! placement names the same unit; so nothing stays anywhere except where the last placement says. Each placement moves a thing at most once
//! from each unit, and the number of placements is finite.
//!
//! *Milestones whose time or anchor changes.* The newer version goes to the unit of the new time, and a mark to that of the former time:
//! what was tracked at that time under a lower stamp is void. Marks are kept, and move by the time they refer to. So a superseded version
//! and the mark that voids it end in one unit: whichever comes second meets the other. A version that meets a newer one is dropped. Nothing
//! is lost by that: what must still be voided has marks of its own.
//!
//! Old touches are dropped: see `horizon.rs`. State: see [`keys`].

mod dirty;
mod erase;
mod horizon;
pub mod keys;
mod moves;
mod recompute;
mod remodel;
mod residents;
mod roles;
pub(crate) mod rows;
mod status;
mod throttle;
mod touches;
mod tracks;

use tributary_proto::{Arrive, Extent, Item, Message, Placement, ResidentState, StoredTouch, StoredTrack};
use tributary_proto::{attributor_message::Body, item};
use tributary_runtime::mailbox::Mailbox;
use tributary_runtime::reason;
use tributary_runtime::stage::{Outbox, Rejection, StageError};
use tributary_runtime::state::{self, ActorKey, State, StateError};

use crate::metrics;
use crate::plan::Plan;
use crate::view::{ItemBody, ItemView, Malformed, ResidentView, TouchView};

pub use dirty::{Dirty, Span};
use keys::IdentifierHash;
pub(crate) use remodel::name_of;
pub(crate) use residents::{Resident, cast};
pub use rows::{Scratch, touchpoint_id};
pub use throttle::REST_AFTER;
pub(crate) use tracks::{Tracked, is_same};

/// How a unit sends messages and publishes rows.
pub struct Effects<'a> {
    pub(crate) mail: &'a mut Mailbox<Vec<u8>, Body>,
    pub(crate) outbox: &'a mut Outbox,
    /// Buffers for encoding rows of touches.
    pub(crate) scratch: &'a mut Scratch,
}

impl Effects<'_> {
    /// Sends a message to the actor with this key.
    pub(crate) fn send(&mut self, key: Vec<u8>, body: Body) {
        self.mail.send(self.outbox, key, |key| key, body);
    }
}

/// A unit: its keys, its state, and its effects.
pub struct Unit<'a, 'p> {
    pub(crate) actor: ActorKey,
    pub(crate) key: &'a [u8],
    pub(crate) plan: &'a Plan,
    pub(crate) state: &'a mut dyn State,
    pub(crate) effects: &'a mut Effects<'p>,
    /// What the batch has changed here; an entry is made at the first change.
    pub(crate) dirty: &'a mut std::collections::BTreeMap<ActorKey, Dirty>,
}

/// The rejection of a record that breaks the unit's protocol.
pub(crate) fn malformed() -> Rejection {
    Rejection::new(
        reason::PROTOBUF_MALFORMED,
        "",
        "the record is not a message of the attributor inbox; see what writes to that topic",
    )
}

/// The error for stored bytes under `sub` that are not what was written.
pub(crate) fn corrupt(actor: &ActorKey, sub: &[u8]) -> StateError {
    StateError::Corrupt { tag: char::from(actor.0[0]), sub: sub.to_vec(), why: Malformed.to_string() }
}

impl Unit<'_, '_> {
    fn dirty(&mut self) -> &mut Dirty {
        let dirty = self.dirty.entry(self.actor).or_insert_with(|| Dirty::of(self.key));
        dirty.received_ms = dirty.received_ms.max(self.effects.outbox.cause());
        dirty
    }

    /// Handles a touch or milestone that an identifier brought.
    ///
    /// # Errors
    /// [`StageError::Rejected`] when what it brought cannot be read.
    pub fn item(&mut self, item: &ItemView<'_>) -> Result<(), StageError> {
        match item.body {
            ItemBody::Touch(raw) => {
                let touch = TouchView::parse(raw).map_err(|_| malformed())?;
                self.touch(item, raw, &touch)
            }
            ItemBody::Track(raw) => {
                let track = StoredTrack::decode(raw).map_err(|_| malformed())?;
                if track.milestone.as_ref().is_some_and(|milestone| milestone.value_minor < 0) {
                    return Err(
                        Rejection::new(reason::VALUE_NEGATIVE, "milestone.value_minor", "a value is never negative").into()
                    );
                }
                self.track(item, track)
            }
        }
    }

    /// The usual case costs two look-ups, one write and one row. It decodes only the fields that decide and are shown.
    fn touch(&mut self, item: &ItemView<'_>, raw: &[u8], touch: &TouchView<'_>) -> Result<(), StageError> {
        let time_ms = touch.time_ms;
        let Some(Residence { resident, extent, shown }) = self.follow(item, time_ms, Some(touch))? else { return Ok(()) };
        let out_of_reach = self.is_out_of_reach(extent, time_ms);
        if out_of_reach && !self.is_seen(time_ms)? {
            self.effects.outbox.observe(&metrics::TOUCHES_DROPPED, "refused", 1);
            return Ok(());
        }
        if shown {
            let said = self.effects.scratch.say(self.effects.outbox, self.plan, &item.identifier, raw, touch);
            said.map_err(|_| malformed())?;
            self.effects.outbox.observe(&metrics::TOUCHPOINT_ROWS, "said", 1);
        }
        self.state.put(&self.actor, &keys::touch(&item.identifier, time_ms, raw), raw);
        self.effects.outbox.observe(&metrics::TOUCHES_STORED, "", 1);
        if !out_of_reach {
            self.extend(&item.identifier, extent, time_ms, time_ms)?;
        }
        if resident && self.may_affect(time_ms)? {
            self.dirty().late.add(time_ms);
        }
        Ok(())
    }

    fn track(&mut self, item: &ItemView<'_>, track: StoredTrack) -> Result<(), StageError> {
        if self.follow(item, tracks::time_ms(&track), None)?.is_none() {
            return Ok(());
        }
        let known = self.known(&item.identifier)?;
        if self.store_track(&item.identifier, track, known.placement.as_ref(), None)? {
            self.refresh_summary()?;
        }
        Ok(())
    }

    /// The residence of an item's identifier. `None` if the item was forwarded because its time belongs to another unit, or refused because
    /// it is void.
    fn follow(
        &mut self,
        item: &ItemView<'_>,
        time_ms: i64,
        touch: Option<&TouchView<'_>>,
    ) -> Result<Option<Residence>, StageError> {
        let sub = keys::of_identifier(keys::RESIDENT, &item.identifier);
        let Some(bytes) = self.state.get(&self.actor, &sub)? else { return Ok(Some(Residence::default())) };
        let unreadable = |_| corrupt(&self.actor, &sub);
        let known = ResidentView::parse(bytes).map_err(unreadable)?;
        if let Some((to, epoch)) = known.forwards(self.key, item.epoch, time_ms).map_err(unreadable)? {
            let what = match item.body {
                ItemBody::Touch(raw) => item::What::Touch(StoredTouch::decode(raw).map_err(|_| malformed())?),
                ItemBody::Track(raw) => item::What::Track(StoredTrack::decode(raw).map_err(|_| malformed())?),
            };
            let forwarded = Item { identifier_hash: item.identifier.to_vec(), epoch, what: Some(what) };
            self.effects.outbox.observe(&metrics::FORWARDED, "item", 1);
            self.effects.send(to.to_vec(), Body::Item(forwarded));
            return Ok(None);
        }
        if let Some(touch) = touch
            && known.voids(touch).map_err(unreadable)?
        {
            self.effects.outbox.observe(&metrics::TOUCHES_ERASED, "refused", 1);
            return Ok(None);
        }
        let mut shown = false;
        if touch.is_some()
            && self.plan.outputs.touchpoints
            && let Some(whose) = known.whose(self.key, time_ms).map_err(unreadable)?
        {
            self.effects.scratch.of(&whose, known.rows + 1);
            shown = true;
        }
        Ok(Some(Residence { resident: known.is_in(self.key).map_err(unreadable)?, extent: known.extent, shown }))
    }

    /// The stored state of an identifier in this unit.
    fn known(&mut self, hash: &IdentifierHash) -> Result<ResidentState, StateError> {
        let sub = keys::of_identifier(keys::RESIDENT, hash);
        let mut known: ResidentState = state::get_message(self.state, &self.actor, &sub)?.unwrap_or_default();
        if !known.moved_to.is_empty() {
            // The form in which earlier versions stored where an identifier went.
            let (unit, epoch) = (std::mem::take(&mut known.moved_to), known.moved_epoch);
            known.placement = Some(Placement { unit, epoch, ..Placement::default() });
        }
        known.moved_epoch = 0;
        Ok(known)
    }

    /// Handles a placement of an identifier, and the erasures that void what it brings.
    ///
    /// # Errors
    /// [`StageError::Rejected`] when a part of the message is missing.
    pub fn arrive(&mut self, arrive: Arrive) -> Result<(), StageError> {
        let Arrive { identifier, placement: Some(placement), identifier_hash, erasures, roles } = arrive else {
            return Err(malformed().into());
        };
        let hash: IdentifierHash = identifier_hash.as_slice().try_into().map_err(|_| malformed())?;
        let mut known = self.known(&hash)?;
        if erasures != known.erasures {
            self.void_touches(&hash, &mut known, &erasures)?;
            state::put_message(self.state, &self.actor, &keys::of_identifier(keys::RESIDENT, &hash), &known);
        }
        let is_known = known.placement.as_ref() == Some(&placement) && known.identifier == identifier && known.roles == roles;
        if is_known || known.placement.as_ref().is_some_and(|known| known.epoch > placement.epoch) {
            return Ok(());
        }
        Ok(self.placed(&hash, known, identifier, placement, roles)?)
    }
}

/// The relation of an identifier to a unit that one of its items belongs to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Residence {
    /// Whether it belongs here at any time. If not, its placement has not arrived yet: what it brought was faster.
    resident: bool,
    /// The times of its oldest and newest touch.
    extent: Option<Extent>,
    /// Whether the item belongs here: then its row is begun.
    shown: bool,
}
