//! The difference between the rows that were emitted and those that should be.

use tributary_proto::{
    CreditUpdate, Desired, DesiredRow, LedgerRow, LedgerState, Milestone, ModelRef, ModelRevision, Reason, Share, WHOLE_NANO,
};
use tributary_runtime::planted::planted;
use tributary_runtime::state::{self, StateError};
use tributary_runtime::topic::Topic;

use super::{HEAD, Ledger, ROW, row_sub};
use crate::metrics;
use crate::unit::corrupt;
use crate::wire::TouchView;

/// What is known of a model while a set of rows is accepted.
#[derive(Debug, Clone, Copy)]
struct Slot {
    /// Why its rows change in this set.
    reason: Reason,
    /// Whether every row is said again: something that all rows show has changed.
    restate: bool,
    /// Whether a row of it has changed, and the revision was raised.
    changed: bool,
    /// Whether it is computed at all now.
    wanted: bool,
    weight_nano: u64,
    value_minor: i128,
}

/// The acceptance of one set of rows.
struct Acceptance {
    head: LedgerState,
    slots: Vec<Slot>,
    /// By position in the message: the model's position in the ledger.
    positions: Vec<u32>,
    /// Reused for every update.
    update: CreditUpdate,
}

/// A share of nothing: what a row has under a model that gives it no credit.
fn share_of(row: Option<&LedgerRow>, model: u32) -> (u64, i64) {
    row.and_then(|row| row.shares.iter().find(|share| share.model == model))
        .map_or((0, 0), |share| (share.weight_nano, share.value_minor))
}

impl Ledger<'_> {
    /// Takes over a whole set of rows, and emits what changes.
    pub(super) fn accept(&mut self, head: LedgerState, desired: Desired) -> Result<(), StateError> {
        let mut known: Vec<(Vec<u8>, LedgerRow, bool)> =
            state::scan_messages(self.state, &self.actor, &[ROW])?.into_iter().map(|(sub, row)| (sub, row, false)).collect();
        let Desired { milestone, stamp, epoch, reason, account_id, models, rows, .. } = desired;
        let milestone = milestone.unwrap_or_default();
        let reason = Reason::try_from(reason).unwrap_or_default();
        let mut acceptance = Acceptance::begin(head, &milestone, &account_id, stamp, reason, &models);
        let mut updates = 0;

        for row in rows {
            let view = TouchView::parse(&row.touch).map_err(|_| corrupt(&self.actor, &[ROW]))?;
            let sub = row_sub(view.event_id);
            acceptance.show(&view, &row.profile_id);
            let at = known.binary_search_by(|(known, _, _)| known.as_slice().cmp(&sub)).ok();
            let before = at.and_then(|at| known.get_mut(at)).map(|(_, before, seen)| {
                *seen = true;
                &*before
            });
            let row = acceptance.translate(row);
            updates += self.emit(&mut acceptance, before, Some(&row));
            if before != Some(&row) {
                state::put_message(self.state, &self.actor, &sub, &row);
            }
        }
        for (sub, row, _) in known.iter().filter(|(_, _, seen)| !seen) {
            let view = TouchView::parse(&row.touch).map_err(|_| corrupt(&self.actor, sub))?;
            acceptance.show(&view, &row.profile_id);
            if !planted("rows_not_retracted") {
                updates += self.emit(&mut acceptance, Some(row), None);
            }
            self.state.delete(&self.actor, sub);
        }
        self.outbox.observe(&metrics::LEDGER_IMBALANCE, "", acceptance.imbalances(&milestone));
        self.outbox.observe(&metrics::DESIRED, if updates > 0 { "changed" } else { "unchanged" }, 1);
        let head = LedgerState { milestone: Some(milestone), stamp, epoch, account_id, ..acceptance.head };
        state::put_message(self.state, &self.actor, &HEAD, &head);
        Ok(())
    }

    /// Emits the difference of one row under every model; returns the number of updates.
    fn emit(&mut self, acceptance: &mut Acceptance, before: Option<&LedgerRow>, after: Option<&LedgerRow>) -> usize {
        let restated = match (before, after) {
            (Some(before), Some(after)) => before.touch != after.touch || before.profile_id != after.profile_id,
            _ => false,
        };
        let mut updates = 0;
        let Acceptance { head, slots, update, .. } = acceptance;
        for ((position, slot), revision) in (0u32..).zip(slots).zip(&mut head.revisions) {
            let (old_weight, old_value) = share_of(before, position);
            let (new_weight, new_value) = share_of(after, position);
            slot.weight_nano += new_weight;
            slot.value_minor += i128::from(new_value);
            let there = old_weight > 0 || new_weight > 0;
            let same = (old_weight, old_value) == (new_weight, new_value) && !restated && !slot.restate;
            if !there || same {
                continue;
            }
            if !slot.changed {
                slot.changed = true;
                revision.revision += if planted("revision_skips") { 2 } else { 1 };
            }
            update.model.clone_from(&revision.model);
            update.model_version.clone_from(&revision.version);
            update.revision = revision.revision;
            update.weight_nano = new_weight.cast_signed();
            update.value_minor = new_value;
            let sign = if planted("retraction_without_its_sign") && new_weight == 0 { -1 } else { 1 };
            update.delta_weight_nano = sign * (new_weight.cast_signed() - old_weight.cast_signed());
            // Values are never negative, so that the difference of two always fits.
            update.delta_value_minor = new_value.saturating_sub(old_value);
            update.reason = slot.reason.into();
            self.outbox.send(Topic::Credits, self.key.to_vec(), update);
            self.outbox.observe(&metrics::CREDIT_UPDATES, slot.reason.name(), 1);
            updates += 1;
        }
        updates
    }
}

impl Acceptance {
    fn begin(mut head: LedgerState, to: &Milestone, account_id: &str, stamp: u64, reason: Reason, models: &[ModelRef]) -> Self {
        let first = head.revisions.iter().all(|model| model.revision == 0);
        let restate = head.account_id != account_id
            || head
                .milestone
                .as_ref()
                .is_some_and(|from| from.time_ms != to.time_ms || from.currency != to.currency || from.kind != to.kind);
        let reason = match (first, stamp > head.stamp) {
            (true, _) => Reason::Milestone,
            (false, true) if reason == Reason::Erased => Reason::Erased,
            (false, true) if to.withdrawn => Reason::Withdrawn,
            (false, true) => Reason::Amended,
            (false, false) => reason,
        };
        // Until the message names them, the models are gone.
        let gone = Slot { reason: Reason::Remodelled, restate, changed: false, wanted: false, weight_nano: 0, value_minor: 0 };
        let mut slots = vec![gone; head.revisions.len()];
        let mut positions = Vec::with_capacity(models.len());
        for wanted in models {
            let position = head.revisions.iter().position(|known| known.model == wanted.model).unwrap_or_else(|| {
                head.revisions.push(ModelRevision { model: wanted.model.clone(), version: String::new(), revision: 0 });
                slots.push(gone);
                slots.len() - 1
            });
            positions.push(u32::try_from(position).unwrap_or(u32::MAX));
            if let (Some(slot), Some(known)) = (slots.get_mut(position), head.revisions.get_mut(position)) {
                let remodelled = known.version != wanted.version;
                slot.wanted = true;
                slot.restate |= remodelled;
                slot.reason = if remodelled && !first { Reason::Remodelled } else { reason };
                known.version.clone_from(&wanted.version);
            }
        }
        let update = CreditUpdate {
            milestone_id: to.milestone_id.clone(),
            milestone_kind: to.kind.clone(),
            account_id: account_id.to_owned(),
            milestone_time: to.time_ms,
            currency: to.currency.clone(),
            ..CreditUpdate::default()
        };
        Self { head, slots, positions, update }
    }

    /// The row that the next updates are about.
    fn show(&mut self, touch: &TouchView<'_>, profile_id: &str) {
        let update = &mut self.update;
        for (field, text) in [
            (&mut update.touch_id, touch.event_id),
            (&mut update.profile_id, profile_id),
            (&mut update.channel, touch.channel),
            (&mut update.source, touch.source),
            (&mut update.medium, touch.medium),
            (&mut update.campaign, touch.campaign),
            (&mut update.content, touch.content),
            (&mut update.term, touch.term),
        ] {
            field.clear();
            field.push_str(text);
        }
        update.touch_time = touch.time_ms;
    }

    /// A row with the ledger's positions of the models.
    fn translate(&self, row: DesiredRow) -> LedgerRow {
        let position = |model: u32| self.positions.get(usize::try_from(model).ok()?).copied();
        let mut shares: Vec<Share> =
            row.shares.into_iter().filter_map(|share| Some(Share { model: position(share.model)?, ..share })).collect();
        shares.sort_unstable_by_key(|share| share.model);
        LedgerRow { touch: row.touch, profile_id: row.profile_id, shares }
    }

    /// How many models do not add up.
    fn imbalances(&self, to: &Milestone) -> u64 {
        let nothing = |slot: &Slot| slot.weight_nano == 0 && slot.value_minor == 0;
        let whole = |slot: &Slot| slot.weight_nano == WHOLE_NANO && slot.value_minor == i128::from(to.value_minor);
        let balanced = |slot: &&Slot| if to.withdrawn || !slot.wanted { nothing(slot) } else { whole(slot) };
        (self.slots.len() - self.slots.iter().filter(balanced).count()) as u64
    }
}
