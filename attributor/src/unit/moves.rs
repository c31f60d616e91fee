//! An identifier leaves for another unit, and what it brought follows.

use tributary_proto::{HandOver, Message, Move, Reason, ResidentState, StoredTrack, attributor_message::Body};
use tributary_runtime::mailbox::Parts;
use tributary_runtime::stage::StageError;
use tributary_runtime::state::{self, StateError};

use super::keys::{self, IdentifierHash};
use super::{Span, Unit, corrupt, malformed};
use crate::metrics;
use crate::wire::TouchView;

impl Unit<'_, '_> {
    /// An identifier leaves: hands over what it brought, and leaves a forwarding mark.
    ///
    /// # Errors
    /// [`StageError::Rejected`] when the message cannot be read.
    pub fn leave(&mut self, message: &Move) -> Result<(), StageError> {
        let hash: IdentifierHash = message.identifier_hash.as_slice().try_into().map_err(|_| malformed())?;
        if message.to.is_empty() {
            return Err(malformed().into());
        }
        let sub = keys::of_identifier(keys::RESIDENT, &hash);
        let known: ResidentState = state::get_message(self.state, &self.actor, &sub)?.unwrap_or_default();
        let newer_here = known.placement.as_ref().is_some_and(|placement| placement.epoch >= message.epoch);
        let left_later = !known.moved_to.is_empty() && known.moved_epoch >= message.epoch;
        if newer_here || left_later || message.to.as_bytes() == self.key {
            return Ok(());
        }
        self.hand_over_all(&hash, known.placement.is_some(), message)?;
        let mark = ResidentState {
            identifier: None,
            placement: None,
            moved_to: message.to.clone(),
            moved_epoch: message.epoch,
            erasures: known.erasures,
            extent: None,
        };
        state::put_message(self.state, &self.actor, &sub, &mark);
        Ok(())
    }

    /// Sends everything stored under the identifier to where it moves, and removes it here.
    fn hand_over_all(&mut self, hash: &IdentifierHash, was_resident: bool, message: &Move) -> Result<(), StateError> {
        let (touch_prefix, track_prefix) = (keys::of_identifier(keys::TOUCH, hash), keys::of_identifier(keys::TRACK, hash));
        let empty = HandOver { identifier_hash: hash.to_vec(), epoch: message.epoch, ..HandOver::default() };
        let mut parts = Parts::new(empty, self.plan.message_bytes_max);
        let mut gone = Vec::new();
        let mut span = Span::default();
        // Milestones go first: their new unit keeps what they see.
        let tracks = state::scan_messages::<StoredTrack>(self.state, &self.actor, &track_prefix)?;
        let had_tracks = !tracks.is_empty();
        for (sub, track) in tracks {
            if was_resident && let Some(milestone) = &track.milestone {
                self.track_changed(&track.milestone_id, Some(milestone), None, Reason::Identity);
            }
            gone.push(sub);
            parts.room(track.encoded_len()).tracks.push(track);
        }
        let tracked = gone.len();
        self.state.scan(&self.actor, &touch_prefix, &state::prefix_end(&touch_prefix), &mut |sub, raw| {
            if let Some(time_ms) = keys::time_ms(sub) {
                span.add(time_ms);
            }
            gone.push(sub.to_vec());
            parts.room(raw.len()).touches.push(raw.to_vec());
            true
        })?;
        self.post.outbox.observe(&metrics::HAND_OVER_TOUCHES, "", gone.len().saturating_sub(tracked) as u64);
        for sub in &gone {
            self.state.delete(&self.actor, sub);
        }
        if had_tracks {
            self.refresh_summary()?;
        }
        if was_resident && span != Span::default() {
            self.dirty().moved.join(span);
        }
        if parts.is_empty() {
            return Ok(());
        }
        for part in parts.finish(|_, _, _| {}) {
            self.post.outbox.observe(&metrics::HAND_OVERS, "", 1);
            self.post.send(message.to.as_bytes().to_vec(), Body::HandOver(part));
        }
        Ok(())
    }

    /// Something an identifier brought to its former unit.
    ///
    /// # Errors
    /// [`StageError::Rejected`] when the message cannot be read.
    pub fn hand_over(&mut self, mut message: HandOver) -> Result<(), StageError> {
        let hash: IdentifierHash = message.identifier_hash.as_slice().try_into().map_err(|_| malformed())?;
        let sub = keys::of_identifier(keys::RESIDENT, &hash);
        let known: ResidentState = state::get_message(self.state, &self.actor, &sub)?.unwrap_or_default();
        let mut span = Span::default();
        let mut kept = Vec::with_capacity(message.touches.len());
        for raw in &message.touches {
            let touch = TouchView::parse(raw).map_err(|_| malformed())?;
            let void = Self::is_void(&known.erasures, &touch);
            if !void {
                span.add(touch.time_ms);
            }
            kept.push((!void).then_some(touch.time_ms));
        }
        if !known.moved_to.is_empty() && known.moved_epoch > message.epoch {
            message.epoch = known.moved_epoch;
            self.post.outbox.observe(&metrics::FORWARDED, "hand_over", 1);
            self.post.send(known.moved_to.into_bytes(), Body::HandOver(message));
            return Ok(());
        }
        let resident = known.placement.is_some();
        for (raw, time_ms) in message.touches.into_iter().zip(kept) {
            let Some(time_ms) = time_ms else {
                self.post.outbox.observe(&metrics::TOUCHES_ERASED, "refused", 1);
                continue;
            };
            self.state.put(&self.actor, &keys::touch(&hash, time_ms, &raw), &raw);
        }
        let mut stored = false;
        for track in message.tracks {
            stored |= self.store_track(&hash, track, resident, Some(Reason::Identity))?;
        }
        if stored {
            self.refresh_summary()?;
        }
        if let Some((from_ms, to_ms)) = span.ends() {
            self.extend(&hash, known.extent, from_ms, to_ms)?;
        }
        if resident && span != Span::default() {
            self.dirty().moved.join(span);
        }
        Ok(())
    }

    /// The span of the touches that an identifier has here between two times, both included.
    pub(super) fn span_of(&mut self, hash: &IdentifierHash, from_ms: i64, to_ms: i64) -> Result<Span, StateError> {
        let mut span = Span::default();
        let mut unreadable = None;
        self.scan_touches(hash, from_ms, to_ms, &mut |sub, _| match keys::time_ms(sub) {
            Some(time_ms) => {
                span.add(time_ms);
                true
            }
            None => {
                unreadable = Some(sub.to_vec());
                false
            }
        })?;
        unreadable.map_or(Ok(span), |sub| Err(corrupt(&self.actor, &sub)))
    }

    /// Visits the touches that an identifier has here between two times, both included.
    pub(crate) fn scan_touches(
        &mut self,
        hash: &IdentifierHash,
        from_ms: i64,
        to_ms: i64,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StateError> {
        let from = keys::touches_from(hash, from_ms);
        let to = match to_ms.checked_add(1) {
            Some(after) => keys::touches_from(hash, after).to_vec(),
            None => state::prefix_end(&keys::of_identifier(keys::TOUCH, hash)),
        };
        self.state.scan(&self.actor, &from, &to, visit)
    }
}
