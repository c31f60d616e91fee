//! A unit: one account, or one person while no account is known.
//!
//! Everything it holds stands under the identifier that brought it, so that a changed placement is one hand-over. The rules of the
//! protocol, each of which a lost race depends on:
//!
//! - identity sends `Arrive`, `Move` and `Item` for one identifier from one place, so they arrive here in order; hand-overs and
//!   forwarded items come from other units, and may overtake or be overtaken;
//! - a `Move` leaves a forwarding mark with its epoch, and what was sent under a lower epoch follows the identifier;
//! - an `Arrive` with a higher epoch than the mark clears it; what is stored for an identifier that has not arrived yet waits.
//!
//! What is old is forgotten: see `horizon.rs`. State: see [`keys`].

mod dirty;
mod erase;
mod horizon;
pub mod keys;
mod moves;
mod recompute;
mod rest;

use tributary_proto::{Arrive, Extent, Item, Message, Milestone, Reason, ResidentState, StoredTouch, StoredTrack, UnitSummary};
use tributary_proto::{attributor_message::Body, item};
use tributary_runtime::mailbox::Mailbox;
use tributary_runtime::reason;
use tributary_runtime::stage::{Outbox, Rejection, StageError};
use tributary_runtime::state::{self, ActorKey, State, StateError};

use crate::metrics;
use crate::plan::Plan;
use crate::wire::{ItemBody, ItemView, Malformed, ResidentView, TouchView};

pub use dirty::{Dirty, Span};
use keys::IdentifierHash;
pub(crate) use recompute::{Resident, Tracked};
pub use rest::REST_AFTER;
pub(crate) use rest::still_to_wait;

/// How a unit reaches the other actors, and the world.
pub struct Post<'a> {
    pub(crate) mail: &'a mut Mailbox<Vec<u8>, Body>,
    pub(crate) outbox: &'a mut Outbox,
}

impl Post<'_> {
    /// Sends to the actor with this key.
    pub(crate) fn send(&mut self, key: Vec<u8>, body: Body) {
        self.mail.send(self.outbox, key, |key| key, body);
    }
}

/// A unit at work: its keys, and what it may touch.
pub struct Unit<'a, 'p> {
    pub(crate) actor: ActorKey,
    pub(crate) key: &'a [u8],
    pub(crate) plan: &'a Plan,
    pub(crate) state: &'a mut dyn State,
    pub(crate) post: &'a mut Post<'p>,
    /// What the batch has changed here; made when something does.
    pub(crate) dirty: &'a mut std::collections::BTreeMap<ActorKey, Dirty>,
}

/// A record that is not what the unit's protocol says.
pub(crate) fn malformed() -> Rejection {
    Rejection::new(
        reason::PROTOBUF_MALFORMED,
        "",
        "the record is not a message of the attributor inbox; see what writes to that topic",
    )
}

/// What is stored under `sub` is not what was written there.
pub(crate) fn corrupt(actor: &ActorKey, sub: &[u8]) -> StateError {
    StateError::Corrupt { tag: char::from(actor.0[0]), sub: sub.to_vec(), why: Malformed.to_string() }
}

impl Unit<'_, '_> {
    fn dirty(&mut self) -> &mut Dirty {
        let dirty = self.dirty.entry(self.actor).or_insert_with(|| Dirty::of(self.key));
        dirty.received_ms = dirty.received_ms.max(self.post.outbox.cause());
        dirty
    }

    /// Something an identifier brought.
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

    /// The steady state: two look-ups, one write, and no decoding but of what decides.
    fn touch(&mut self, item: &ItemView<'_>, raw: &[u8], touch: &TouchView<'_>) -> Result<(), StageError> {
        let time_ms = touch.time_ms;
        let Some(Standing { resident, extent }) = self.follow(item, Some(touch))? else { return Ok(()) };
        let out_of_reach = self.is_out_of_reach(extent, time_ms);
        if out_of_reach && !self.is_seen(time_ms)? {
            self.post.outbox.observe(&metrics::TOUCHES_DROPPED, "refused", 1);
            return Ok(());
        }
        self.state.put(&self.actor, &keys::touch(&item.identifier, time_ms, raw), raw);
        self.post.outbox.observe(&metrics::TOUCHES_STORED, "", 1);
        if !out_of_reach {
            self.extend(&item.identifier, extent, time_ms, time_ms)?;
        }
        if resident && self.may_affect(time_ms)? {
            self.dirty().late.add(time_ms);
        }
        Ok(())
    }

    fn track(&mut self, item: &ItemView<'_>, track: StoredTrack) -> Result<(), StageError> {
        let Some(Standing { resident, .. }) = self.follow(item, None)? else { return Ok(()) };
        if self.store_track(&item.identifier, track, resident, None)? {
            self.refresh_summary()?;
        }
        Ok(())
    }

    /// Where an item's identifier stands; forwards the item where it has moved on, and refuses a touch that is void: then `None`.
    fn follow(&mut self, item: &ItemView<'_>, touch: Option<&TouchView<'_>>) -> Result<Option<Standing>, StageError> {
        let sub = keys::of_identifier(keys::RESIDENT, &item.identifier);
        let Some(bytes) = self.state.get(&self.actor, &sub)? else { return Ok(Some(Standing::default())) };
        let standing = ResidentView::parse(bytes).map_err(|_| corrupt(&self.actor, &sub))?;
        if let Some(to) = standing.forwards(item.epoch) {
            let what = match item.body {
                ItemBody::Touch(raw) => item::What::Touch(StoredTouch::decode(raw).map_err(|_| malformed())?),
                ItemBody::Track(raw) => item::What::Track(StoredTrack::decode(raw).map_err(|_| malformed())?),
            };
            let epoch = item.epoch.max(standing.moved_epoch);
            let forwarded = Item { identifier_hash: item.identifier.to_vec(), epoch, what: Some(what) };
            self.post.outbox.observe(&metrics::FORWARDED, "item", 1);
            self.post.send(to.as_bytes().to_vec(), Body::Item(forwarded));
            return Ok(None);
        }
        if let Some(touch) = touch
            && standing.voids(touch).map_err(|_| corrupt(&self.actor, &sub))?
        {
            self.post.outbox.observe(&metrics::TOUCHES_ERASED, "refused", 1);
            return Ok(None);
        }
        Ok(Some(Standing { resident: standing.resident, extent: standing.extent }))
    }

    /// An identifier is resident here, or its placement has changed.
    ///
    /// # Errors
    /// [`StageError::Rejected`] when the message lacks a part.
    pub fn arrive(&mut self, arrive: Arrive) -> Result<(), StageError> {
        let Some(placement) = arrive.placement else { return Err(malformed().into()) };
        let hash: IdentifierHash = arrive.identifier_hash.as_slice().try_into().map_err(|_| malformed())?;
        let sub = keys::of_identifier(keys::RESIDENT, &hash);
        let mut known: ResidentState = state::get_message(self.state, &self.actor, &sub)?.unwrap_or_default();
        if arrive.erasures != known.erasures {
            known.erasures = self.void_touches(&hash, &known.erasures, &arrive.erasures)?;
            state::put_message(self.state, &self.actor, &sub, &known);
        }
        let left_later = !known.moved_to.is_empty() && known.moved_epoch >= placement.epoch;
        if left_later || known.placement.as_ref().is_some_and(|current| current.epoch > placement.epoch) {
            return Ok(());
        }
        let same = known.placement.as_ref().is_some_and(|current| {
            current.profile_id == placement.profile_id
                && current.role == placement.role
                && current.revoked == placement.revoked
                && current.account_id == placement.account_id
        });
        if !same {
            self.dirty().residents.insert(hash);
        }
        let arrived = ResidentState {
            identifier: arrive.identifier,
            placement: Some(placement),
            moved_to: String::new(),
            moved_epoch: known.moved_epoch,
            erasures: known.erasures,
            extent: known.extent,
        };
        state::put_message(self.state, &self.actor, &sub, &arrived);
        Ok(())
    }

    /// Stores a track unless a newer one is there; says whether it did. `reason` is known where it was handed over.
    fn store_track(
        &mut self,
        identifier: &IdentifierHash,
        track: StoredTrack,
        resident: bool,
        reason: Option<Reason>,
    ) -> Result<bool, StateError> {
        let sub = keys::track(identifier, &track.milestone_id);
        let known: Option<StoredTrack> = state::get_message(self.state, &self.actor, &sub)?;
        if known.as_ref().is_some_and(|known| known.stamp >= track.stamp) {
            self.post.outbox.observe(&metrics::TRACKS, "stale", 1);
            return Ok(false);
        }
        self.post.outbox.observe(&metrics::TRACKS, "stored", 1);
        state::put_message(self.state, &self.actor, &sub, &track);
        if resident {
            let withdrawn = track.milestone.as_ref().is_some_and(|milestone| milestone.withdrawn);
            let own = match (track.erased, withdrawn) {
                (true, _) => Reason::Erased,
                (false, true) => Reason::Withdrawn,
                (false, false) => Reason::Amended,
            };
            let reason = reason.filter(|_| !track.erased).unwrap_or(own);
            let before = known.and_then(|known| known.milestone);
            self.track_changed(&track.milestone_id, before.as_ref(), track.milestone.as_ref(), reason);
        }
        Ok(true)
    }

    /// A milestone of a resident has come, changed or gone: it is to be computed, and so are those that look at it.
    fn track_changed(&mut self, milestone_id: &str, before: Option<&Milestone>, after: Option<&Milestone>, reason: Reason) {
        let is_stage = after.or(before).is_some_and(|milestone| self.plan.is_stage(&milestone.kind));
        let dirty = self.dirty();
        dirty.milestone(milestone_id, reason);
        if is_stage {
            dirty.stage(before, after, reason);
        }
    }

    /// Whether a touch at `time_ms` may be part of the journey to a milestone tracked here.
    fn may_affect(&mut self, time_ms: i64) -> Result<bool, StateError> {
        let summary: Option<UnitSummary> = state::get_message(self.state, &self.actor, &keys::SUMMARY)?;
        Ok(summary.is_some_and(|summary| {
            self.plan.reach_ms(summary.earliest_ms) <= time_ms && time_ms < summary.latest_ms.saturating_add(1)
        }))
    }

    /// Writes anew between which times the tracked milestones lie that are not withdrawn.
    fn refresh_summary(&mut self) -> Result<(), StateError> {
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

/// Where an identifier stands in a unit that it has not left.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Standing {
    /// It lives here; else it has not arrived, and what it brought overtook it.
    resident: bool,
    /// Between which times its touches lie.
    extent: Option<Extent>,
}
