//! When an identifier's placement changes, its touches and milestones move with it.
//!
//! A placement gives the unit of an identifier for every time. A unit that holds something of a time for which the newest known placement
//! names another unit hands it over to that unit.

use std::collections::BTreeMap;

use tributary_proto::{
    HandOver, Identifier, Message, Move, Placement, Reason, ResidentState, Role, Span as Later, StoredTrack,
    attributor_message::Body,
};
use tributary_runtime::mailbox::Parts;
use tributary_runtime::stage::StageError;
use tributary_runtime::state::{self, StateError};

use super::horizon::without_newest;
use super::keys::{self, IdentifierHash};
use super::rows::{TAKEN_BACK, id_of, is_same_person};
use super::tracks::time_ms;
use super::{Span, Unit, malformed};
use crate::metrics;
use crate::view::{Malformed, TouchView, voids};

/// What is to be handed over, by receiving unit.
struct Packing<'d> {
    empty: HandOver,
    bytes_max: usize,
    parts: BTreeMap<&'d str, Parts<HandOver>>,
    touches: u64,
}

impl<'d> Packing<'d> {
    fn to(&mut self, unit: &'d str) -> &mut Parts<HandOver> {
        let Self { empty, bytes_max, parts, .. } = self;
        parts.entry(unit).or_insert_with(|| Parts::new(empty.clone(), *bytes_max))
    }

    fn track(&mut self, unit: &'d str, track: StoredTrack) {
        self.to(unit).room(track.encoded_len()).tracks.push(track);
    }

    fn touch(&mut self, unit: &'d str, raw: Vec<u8>) {
        self.touches += 1;
        self.to(unit).room(raw.len()).touches.push(raw);
    }
}

impl Unit<'_, '_> {
    /// Handles the message by which earlier versions moved an identifier with everything it brought to another unit.
    ///
    /// # Errors
    /// [`StageError::Rejected`] when the message cannot be read.
    pub fn leave(&mut self, message: &Move) -> Result<(), StageError> {
        let hash: IdentifierHash = message.identifier_hash.as_slice().try_into().map_err(|_| malformed())?;
        if message.to.is_empty() {
            return Err(malformed().into());
        }
        let known = self.known(&hash)?;
        let newer_here = known.placement.as_ref().is_some_and(|placement| placement.epoch >= message.epoch);
        if newer_here || message.to.as_bytes() == self.key {
            return Ok(());
        }
        let placement = Placement { unit: message.to.clone(), epoch: message.epoch, ..Placement::default() };
        Ok(self.placed(&hash, known, None, placement, Vec::new())?)
    }

    /// Applies a newer placement: hands over what now belongs elsewhere, and notes what changes.
    pub(super) fn placed(
        &mut self,
        hash: &IdentifierHash,
        mut known: ResidentState,
        identifier: Option<Identifier>,
        placement: Placement,
        roles: Vec<Role>,
    ) -> Result<(), StateError> {
        let before = known.placement.filter(|before| before.is_in(self.key));
        let left = self.hand_over_elsewhere(hash, before.as_ref(), &placement, &mut known.rows)?;
        let is_here = placement.is_in(self.key);
        let same_person = before.as_ref().is_some_and(|before| is_same_person(before, &placement));
        match &before {
            Some(before) if is_here && same_person => self.spans_changed(hash, before, &placement)?,
            _ if is_here => drop(self.dirty().residents.insert(*hash)),
            _ => {}
        }
        if before.is_some() {
            self.dirty_if_moved(left);
        }
        // Before its first touch an identifier has no extent.
        if known.extent.is_some() {
            self.rows_placed(hash, before.as_ref(), &placement);
        }
        self.roles_changed(&known.roles, if is_here { &roles } else { &[] }, !same_person);
        let state = if is_here {
            let extent = known.extent.map(|extent| without_newest(extent, left));
            ResidentState {
                identifier,
                placement: Some(placement),
                erasures: known.erasures,
                extent,
                roles,
                rows: known.rows,
                ..Default::default()
            }
        } else {
            let (erasures, rows) = (known.erasures, known.rows);
            ResidentState { placement: Some(mark(placement)), erasures, rows, ..Default::default() }
        };
        state::put_message(self.state, &self.actor, &keys::of_identifier(keys::RESIDENT, hash), &state);
        Ok(())
    }

    /// Milestones of a resident that are now tracked here and were not, or for another account; and those that stay but are affected by its
    /// spans.
    fn spans_changed(&mut self, hash: &IdentifierHash, before: &Placement, now: &Placement) -> Result<(), StateError> {
        if (&before.unit, &before.account_id, &before.later) == (&now.unit, &now.account_id, &now.later) {
            return Ok(());
        }
        for (_, track) in self.tracks_of(hash)? {
            if let Some(milestone) = &track.milestone
                && before.at(milestone.time_ms) != now.at(milestone.time_ms)
            {
                self.track_changed(&track.milestone_id, None, Some(milestone), Reason::Identity);
            }
        }
        Ok(())
    }

    /// Hands over and deletes everything that belongs elsewhere by a placement; returns the span of the touches. `before` is the placement
    /// by which the identifier was resident.
    fn hand_over_elsewhere(
        &mut self,
        hash: &IdentifierHash,
        before: Option<&Placement>,
        placement: &Placement,
        rows: &mut u64,
    ) -> Result<Span, StateError> {
        let elsewhere: Vec<_> = placement.stays().filter(|stay| stay.unit.as_bytes() != self.key).collect();
        let mut span = Span::default();
        if elsewhere.is_empty() {
            return Ok(span);
        }
        let on = self.plan.outputs.touchpoints;
        // While rows are being taken back, these are taken back before they leave.
        let taken_back = !on && self.may_have_rows()?;
        // The highest revision that rows of what leaves have had, so that later ones are above it.
        let said = *rows + if taken_back { TAKEN_BACK } else { u64::from(on) };
        let mut packing = self.packing(hash, placement.epoch, said);
        let (mut gone, mut tracks_left) = (Vec::new(), false);
        // Milestones first: the new unit then keeps the touches they can see.
        for (sub, track) in self.tracks_of(hash)? {
            let at_ms = time_ms(&track);
            let (unit, _) = placement.at(at_ms);
            if unit.as_bytes() == self.key {
                continue;
            }
            let was_here = before.is_some_and(|before| before.at(at_ms).0.as_bytes() == self.key);
            if let Some(milestone) = track.milestone.as_ref().filter(|_| was_here) {
                self.track_changed(&track.milestone_id, Some(milestone), None, Reason::Identity);
            }
            tracks_left |= track.milestone.is_some();
            gone.push(sub);
            packing.track(unit, track);
        }
        let mut ids = Vec::new();
        for stay in elsewhere {
            if *rows > 0 {
                // Rows were published again or taken back here: the next unit that publishes them needs the counter, even if nothing is
                // handed over.
                packing.to(stay.unit);
            }
            self.read_touches(hash, stay.from_ms, stay.to_ms, &mut |sub, raw| {
                if let Some(time_ms) = keys::time_ms(sub) {
                    span.add(time_ms);
                }
                if taken_back {
                    ids.push(id_of(hash, raw)?);
                }
                gone.push(sub.to_vec());
                packing.touch(stay.unit, raw.to_vec());
                Ok(())
            })?;
        }
        self.take_rows_back(&ids, rows);
        for sub in &gone {
            self.state.delete(&self.actor, sub);
        }
        if tracks_left {
            self.refresh_summary()?;
        }
        self.effects.outbox.observe(&metrics::HAND_OVER_TOUCHES, "", packing.touches);
        let parts = self.send_off(packing);
        if parts > 0 {
            self.effects.outbox.observe(&metrics::HAND_OVERS, "", parts);
        }
        Ok(span)
    }

    fn packing<'d>(&self, hash: &IdentifierHash, epoch: u64, rows: u64) -> Packing<'d> {
        let empty = HandOver { identifier_hash: hash.to_vec(), epoch, rows, ..HandOver::default() };
        Packing { empty, bytes_max: self.plan.message_bytes_max, parts: BTreeMap::new(), touches: 0 }
    }

    /// Sends what was packed; returns the number of messages.
    fn send_off(&mut self, packing: Packing<'_>) -> u64 {
        let mut sent = 0;
        for (unit, parts) in packing.parts {
            for part in parts.finish(|_, _, _| {}) {
                sent += 1;
                self.effects.send(unit.as_bytes().to_vec(), Body::HandOver(part));
            }
        }
        sent
    }

    /// Handles what an identifier brought to another unit, which has sent it here.
    ///
    /// # Errors
    /// [`StageError::Rejected`] when the message cannot be read.
    pub fn hand_over(&mut self, message: HandOver) -> Result<(), StageError> {
        let hash: IdentifierHash = message.identifier_hash.as_slice().try_into().map_err(|_| malformed())?;
        let HandOver { touches, tracks, epoch, rows, .. } = message;
        let mut timed = Vec::with_capacity(touches.len());
        for raw in &touches {
            let touch = TouchView::parse(raw).map_err(|_| malformed())?;
            timed.push((touch, raw));
        }
        let known = self.known(&hash)?;
        // If the placement here is older than the sender's, it is stored until the newer one arrives.
        let settled = known.placement.as_ref().filter(|known| known.epoch >= epoch);
        let elsewhere = |at_ms: i64| settled.map(|known| known.at(at_ms).0).filter(|unit| unit.as_bytes() != self.key);
        let mut packing = self.packing(&hash, settled.map_or(epoch, |known| known.epoch), rows);
        if rows > known.rows {
            let moved_on = settled.into_iter().flat_map(Placement::stays).filter(|stay| stay.unit.as_bytes() != self.key);
            for stay in moved_on {
                packing.to(stay.unit);
            }
        }
        let mut own = Vec::with_capacity(tracks.len());
        for track in tracks {
            match elsewhere(time_ms(&track)) {
                Some(unit) => packing.track(unit, track),
                None => own.push(track),
            }
        }
        let (mut span, mut refused) = (Span::default(), Vec::new());
        let mut kept = Vec::with_capacity(timed.len());
        for (touch, raw) in timed {
            if known.erasures.iter().any(|erasure| voids(erasure, &touch)) {
                refused.push(raw);
            } else if let Some(unit) = elsewhere(touch.time_ms) {
                packing.touch(unit, raw.clone());
            } else {
                span.add(touch.time_ms);
                kept.push((touch.time_ms, raw));
            }
        }
        for (time_ms, raw) in &kept {
            self.state.put(&self.actor, &keys::touch(&hash, *time_ms, raw), raw);
        }
        self.effects.outbox.observe(&metrics::TOUCHES_ERASED, "refused", refused.len() as u64);
        self.rows_handed_over(&hash, &known, rows, &kept, &refused)?;
        let forwarded = self.send_off(packing);
        self.effects.outbox.observe(&metrics::FORWARDED, "hand_over", forwarded);
        let mut stored = false;
        for track in own {
            stored |= self.store_track(&hash, track, known.placement.as_ref(), Some(Reason::Identity))?;
        }
        if stored {
            self.refresh_summary()?;
        }
        if let Some((from_ms, to_ms)) = span.ends() {
            self.extend(&hash, known.extent, from_ms, to_ms)?;
        }
        if known.placement.as_ref().is_some_and(|placement| placement.is_in(self.key)) {
            self.dirty_if_moved(span);
        }
        Ok(())
    }

    fn dirty_if_moved(&mut self, span: Span) {
        if span != Span::default() {
            self.dirty().moved.join(span);
        }
    }

    /// The span of the touches that an identifier has here between two times, both included.
    pub(crate) fn span_of(&mut self, hash: &IdentifierHash, from_ms: i64, to_ms: i64) -> Result<Span, StateError> {
        let mut span = Span::default();
        self.read_touches(hash, from_ms, to_ms, &mut |sub, _| {
            span.add(keys::time_ms(sub).ok_or(Malformed)?);
            Ok(())
        })?;
        Ok(span)
    }
}

/// What is kept of a placement if the identifier is not resident: only where its touches go.
fn mark(placement: Placement) -> Placement {
    let later = placement
        .later
        .into_iter()
        .map(|span| Later { account_id: String::new(), account_unit: String::new(), ..span })
        .collect();
    Placement { unit: placement.unit, epoch: placement.epoch, later, ..Placement::default() }
}
