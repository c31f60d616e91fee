//! Rows of the topic `touchpoints`, published by the units of the touches.
//!
//! A row is a function of the touch, as classified by the plan's rules, and of the placement of the identifier that brought it. It is
//! published when the touch is stored, and again when a shown value has changed; it is taken back when the touch is dropped.
//!
//! Several units may publish rows of one touch while it moves. *Why the last row is that of the unit where the touch belongs:* the
//! publisher of a row holds the touch, and hands it over once a placement says that it belongs elsewhere. The new unit publishes its row
//! after everything the former unit has published, because nobody reads a hand-over before it is committed. A void touch is void
//! everywhere, so a unit that refuses it takes its row back.
//!
//! *Revisions* grow by a counter of each identifier in each unit. It rises whenever rows are published again or taken back, and a hand-over
//! carries it along, also one of no touches: a copy of a touch that was dropped here may have come to the new unit directly, before it knew
//! the counter. Then it publishes what it has again. If it has dropped the copy too, both units have taken the row back, and either revision
//! may be the higher one.
//!
//! *The key* is a hash of the identifier and of everything that was sent, without what channel rules have found: the same under all rules.

mod row;

use std::collections::BTreeMap;

use tributary_proto::placement::Stay;
use tributary_proto::{Extent, Hash128, Placement, ResidentState, TouchpointRow};
use tributary_runtime::state::{self, StateError};
use tributary_runtime::topic::Topic;

use super::keys::{self, IdentifierHash};
use super::{Span, Unit, corrupt};
use crate::metrics;
use crate::remodel::Rows;
use crate::view::{TouchView, Whose};

pub(in crate::unit) use row::id_of;
pub use row::{Scratch, touchpoint_id};

/// By how much an identifier's counter rises when rows are taken back. Rows have the counter plus one as their revision, and a tombstone
/// must be above that.
pub(super) const TAKEN_BACK: u64 = 2;

/// Whether profile, role and consent are the same: all that rows and weights use of a person.
pub(super) fn is_same_person(before: &Placement, now: &Placement) -> bool {
    (&before.profile_id, &before.role, before.revoked) == (&now.profile_id, &now.role, now.revoked)
}

/// Whether all touches of a stay had the same rows by the placement before, in the same unit.
fn shows_the_same(before: &Placement, now: &Placement, stay: &Stay<'_>) -> bool {
    let mut known = before.stays().filter(|known| known.from_ms <= stay.to_ms && stay.from_ms <= known.to_ms);
    is_same_person(before, now) && known.all(|known| known.unit == stay.unit && known.account_id == stay.account_id)
}

impl Unit<'_, '_> {
    /// Applies a newer placement: notes the touches here whose rows change by it, or that had none.
    pub(super) fn rows_placed(&mut self, by: &IdentifierHash, before: Option<&Placement>, now: &Placement) {
        if !self.plan.outputs.touchpoints {
            return;
        }
        let key = self.key;
        for stay in now.stays().filter(|stay| stay.unit.as_bytes() == key) {
            let same = |before: &Placement| shows_the_same(before, now, &stay);
            if !before.is_some_and(same) {
                self.dirty().rows.entry(*by).or_default().join(Span::between(stay.from_ms, stay.to_ms));
            }
        }
    }

    /// Publishes the rows of touches again, or defers that while the unit is throttled; returns the cost, in records handled.
    pub(super) fn say_again(&mut self, rows: BTreeMap<IdentifierHash, Span>) -> Result<u64, StateError> {
        let mut said = 0;
        if rows.is_empty() {
            return Ok(said);
        }
        let resting = self.is_throttled()?;
        for (by, span) in rows {
            if resting {
                self.defer_rows(&by, span)?;
            } else {
                said += self.say_all(&by, span)?;
            }
        }
        Ok(said)
    }

    /// Publishes the rows of the touches that an identifier has here between two times; returns how many.
    pub(super) fn say_all(&mut self, by: &IdentifierHash, span: Span) -> Result<u64, StateError> {
        let Some((from_ms, to_ms)) = span.ends() else { return Ok(0) };
        let mut known = self.known(by)?;
        let Some(placement) = known.placement.take_if(|placement| placement.is_in(self.key)) else { return Ok(0) };
        let mut touches = Vec::new();
        self.read_touches(by, from_ms, to_ms, &mut |_, raw| {
            touches.push(raw.to_vec());
            Ok(())
        })?;
        if touches.is_empty() {
            return Ok(0);
        }
        known.rows += 1;
        for raw in &touches {
            self.say_by(by, &placement, raw, known.rows + 1)?;
        }
        known.placement = Some(placement);
        state::put_message(self.state, &self.actor, &keys::of_identifier(keys::RESIDENT, by), &known);
        self.effects.outbox.observe(&metrics::TOUCHPOINT_ROWS, "again", touches.len() as u64);
        Ok(touches.len() as u64)
    }

    /// Touches were handed over, and rows of the identifier may have revisions up to `rows`: publishes the rows of the `kept` touches, and
    /// takes those of the `refused` ones back. Rows published here before that counter was known are published again. If the topic is
    /// switched off, all are taken back.
    pub(super) fn rows_handed_over(
        &mut self,
        by: &IdentifierHash,
        known: &ResidentState,
        rows: u64,
        kept: &[(i64, &Vec<u8>)],
        refused: &[&Vec<u8>],
    ) -> Result<(), StateError> {
        let on = self.plan.outputs.touchpoints;
        let risen = rows > known.rows;
        if (!on && rows == 0) || (kept.is_empty() && refused.is_empty() && !risen) {
            return Ok(());
        }
        let said_before = on && risen && known.extent.is_some();
        let unreadable = |_| corrupt(&self.actor, &keys::of_identifier(keys::TOUCH, by));
        let unwanted = kept.iter().filter(|_| !on).map(|(_, raw)| *raw).chain(refused.iter().copied());
        let ids = unwanted.map(|raw| id_of(by, raw)).collect::<Result<Vec<_>, _>>().map_err(unreadable)?;
        let mut known = ResidentState { rows: known.rows.max(rows), ..known.clone() };
        self.take_rows_back(&ids, &mut known.rows);
        if said_before {
            self.dirty().rows.entry(*by).or_default().join(Span::between(i64::MIN, i64::MAX));
        } else if let Some(placement) = known.placement.as_ref().filter(|_| on) {
            for (_, raw) in kept {
                self.say_by(by, placement, raw, known.rows + 1)?;
            }
        }
        state::put_message(self.state, &self.actor, &keys::of_identifier(keys::RESIDENT, by), &known);
        self.effects.outbox.observe(&metrics::TOUCHPOINT_ROWS, "again", kept.len() as u64);
        Ok(())
    }

    /// Publishes the row of a touch, if it belongs here by this placement.
    pub(super) fn say_by(
        &mut self,
        by: &IdentifierHash,
        placement: &Placement,
        raw: &[u8],
        revision: u64,
    ) -> Result<(), StateError> {
        let unreadable = |_| corrupt(&self.actor, &keys::of_identifier(keys::TOUCH, by));
        let touch = TouchView::parse(raw).map_err(unreadable)?;
        let (unit, account_id) = placement.at(touch.time_ms);
        if unit.as_bytes() != self.key {
            return Ok(());
        }
        let Placement { profile_id, role, revoked, .. } = placement;
        let (scratch, outbox) = (&mut *self.effects.scratch, &mut *self.effects.outbox);
        scratch.of(&Whose { profile_id, account_id, role, revoked: *revoked }, revision);
        scratch.say(outbox, self.plan, by, raw, &touch).map_err(unreadable)
    }

    /// Whether touches here may have rows. After the topic was switched off, this stays true until all are taken back.
    pub(super) fn may_have_rows(&mut self) -> Result<bool, StateError> {
        Ok(self.plan.outputs.touchpoints || Rows::known(self.state)? != Rows::None)
    }

    /// Takes the rows of touches back; raises `rows`, the identifier's counter.
    pub(super) fn take_rows_back(&mut self, ids: &[Hash128], rows: &mut u64) {
        if ids.is_empty() {
            return;
        }
        let mut row = TouchpointRow { erased: true, revision: *rows + TAKEN_BACK, ..TouchpointRow::default() };
        for id in ids {
            row::write_id(&mut row.touchpoint_id, *id);
            self.effects.outbox.publish(&row);
            self.effects.outbox.unpublish(Topic::Touchpoints, row.touchpoint_id.as_bytes());
        }
        *rows += TAKEN_BACK;
        self.effects.outbox.observe(&metrics::TOUCHPOINT_ROWS, "taken_back", ids.len() as u64);
    }

    /// Updates the rows of an identifier after changed settings: publishes them for the first time, publishes them again if channel rules
    /// have `renamed` some, or takes them back; returns how many.
    pub(super) fn remodel_rows(&mut self, by: &IdentifierHash, there: Rows, renamed: bool) -> Result<u64, StateError> {
        let all = Span::between(i64::MIN, i64::MAX);
        match (self.plan.outputs.touchpoints, there) {
            (true, Rows::All) if !renamed => Ok(0),
            (true, _) => self.say_all(by, all),
            (false, Rows::None) => Ok(0),
            (false, _) => {
                let mut ids = Vec::new();
                self.read_touches(by, i64::MIN, i64::MAX, &mut |_, raw| {
                    ids.push(id_of(by, raw)?);
                    Ok(())
                })?;
                if !ids.is_empty() {
                    let mut known = self.known(by)?;
                    self.take_rows_back(&ids, &mut known.rows);
                    state::put_message(self.state, &self.actor, &keys::of_identifier(keys::RESIDENT, by), &known);
                }
                Ok(ids.len() as u64)
            }
        }
    }

    /// Stores which rows are to be published once the unit resumes.
    fn defer_rows(&mut self, by: &IdentifierHash, span: Span) -> Result<(), StateError> {
        let sub = keys::of_identifier(keys::DEFERRED_ROWS, by);
        let known: Option<Extent> = state::get_message(self.state, &self.actor, &sub)?;
        let mut whole = known.map_or_else(Span::default, |known| Span::between(known.oldest_ms, known.newest_ms));
        whole.join(span);
        if let Some((oldest_ms, newest_ms)) = whole.ends() {
            state::put_message(self.state, &self.actor, &sub, &Extent { oldest_ms, newest_ms });
        }
        Ok(())
    }

    /// Publishes the deferred rows; returns how many.
    pub(super) fn say_deferred(&mut self) -> Result<u64, StateError> {
        let mut said = 0;
        for (sub, due) in state::scan_messages::<Extent>(self.state, &self.actor, &[keys::DEFERRED_ROWS])? {
            let by = keys::identifier(&sub).ok_or_else(|| corrupt(&self.actor, &sub))?;
            self.state.delete(&self.actor, &sub);
            said += self.say_all(&by, Span::between(due.oldest_ms, due.newest_ms))?;
        }
        Ok(said)
    }
}
