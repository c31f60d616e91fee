//! Computes the difference between the rows that were emitted and those that should exist.
//!
//! The columns of a row other than its share are its *face*: those of its milestone (kind, time, currency, account) and those of its touch
//! (profile, channel, campaign, ...). While the face stays the same, a changed share is one update with the difference. When the face
//! changes, the row is first taken back under its old face and then emitted under the new one. So the sums of the deltas, by any column,
//! equal the latest rows. The old face needs no extra storage: it is the milestone in the ledger's head and the touch in its row.

use tributary_proto::{
    CreditRow, CreditRows, LedgerRow, LedgerState, Milestone, ModelCredit, ModelRef, ModelRevision, Named, Reason, Reporting,
    WHOLE_NANO,
};
use tributary_runtime::state::{self, StateError};

use super::update::{Share, Updates};
use super::{HEAD, Ledger, ROW, row, row_sub};
use crate::metrics;
use crate::unit::{corrupt, is_same};
use crate::view::{Malformed, TouchView};

/// The state of a model while a set of rows is accepted.
#[derive(Debug, Clone, Copy)]
struct Slot {
    /// The reason for changes of its rows in this set.
    reason: Reason,
    /// Whether its settings changed: then every row is emitted again with the new version, even if its share is the same.
    remodelled: bool,
    /// Whether it is still computed.
    wanted: bool,
    /// Whether the revision was raised for the current updates: all retractions of old faces have one revision, all other updates the next.
    raised: bool,
    weight_nano: u64,
    value_minor: i128,
    reporting_minor: i128,
}

/// The acceptance of one set of rows.
struct Acceptance {
    head: LedgerState,
    slots: Vec<Slot>,
    /// By position in the message, the model's position in the ledger.
    positions: Vec<u32>,
    updates: Updates,
}

/// A row as last emitted and as it should be; at least one of the two is there.
struct Change {
    sub: Vec<u8>,
    before: Option<LedgerRow>,
    after: Option<LedgerRow>,
    /// Whether the face of the row changed: then the credit is retracted under the old face.
    moved: bool,
}

/// The share of a row under a model; zeros if the model gives it no credit.
fn share_of(row: Option<&LedgerRow>, model: u32) -> (u64, i64, i64) {
    row.and_then(|row| row.credits.iter().find(|share| share.model == model))
        .map_or((0, 0, 0), |share| (share.weight_nano, share.value_minor, share.reporting_minor))
}

/// Whether `to`, `account_id` or the currency `reporting` change the face of the milestone's rows from what the ledger has.
fn milestone_moved(head: &LedgerState, to: &Milestone, account_id: &str, reporting: &str) -> bool {
    let differs = |from: &Milestone| {
        let columns = from.time_ms != to.time_ms || from.currency != to.currency || from.kind != to.kind;
        columns || from.dimensions != to.dimensions
    };
    head.milestone.as_ref().is_some_and(differs) || head.account_id != account_id || head.reporting_currency != reporting
}

/// Whether two rows of one touch differ in their face. The touch's type and its identifier set are not part of it.
fn touch_moved(before: &LedgerRow, after: &LedgerRow) -> Result<bool, Malformed> {
    if before.profile_id != after.profile_id {
        return Ok(true);
    }
    if before.touch == after.touch {
        return Ok(false);
    }
    Ok(shown(&before.touch)? != shown(&after.touch)?)
}

/// The face of an encoded touch.
fn shown(touch: &[u8]) -> Result<(i64, [&str; 6], &[u8]), Malformed> {
    let TouchView { time_ms, channel, source, medium, campaign, content, term, dimensions, .. } = TouchView::parse(touch)?;
    Ok((time_ms, [channel, source, medium, campaign, content, term], dimensions))
}

impl Ledger<'_> {
    /// Accepts a complete set of rows, and emits the changes: first the retractions under old faces, then everything else.
    pub(super) fn accept(&mut self, head: LedgerState, credit_rows: CreditRows) -> Result<(), StateError> {
        let CreditRows { milestone, stamp, epoch, reason, account_id, models, rows, reporting, status, .. } = credit_rows;
        let shown = row::shown(&head);
        let Reporting { currency: reporting_currency, value_minor: reporting_minor } = reporting.unwrap_or_default();
        let milestone = milestone.unwrap_or_default();
        let reason = Reason::try_from(reason).unwrap_or_default();
        let moved = milestone_moved(&head, &milestone, &account_id, &reporting_currency);
        let mut acceptance = Acceptance::begin(head, &milestone, stamp, reason, &models);
        let changes = self.changes(&acceptance, rows, moved)?;

        let mut updates = 0;
        acceptance.show_milestone_as_it_was();
        for Change { sub, before, .. } in changes.iter().filter(|change| change.moved) {
            self.show(&mut acceptance, before.as_ref(), sub)?;
            updates += self.emit(&mut acceptance, before.as_ref(), None);
        }
        acceptance.show_milestone(&milestone, &account_id, &reporting_currency);
        for Change { sub, before, after, moved } in &changes {
            self.show(&mut acceptance, after.as_ref().or(before.as_ref()), sub)?;
            let before = before.as_ref().filter(|_| !*moved);
            updates += self.emit(&mut acceptance, before, after.as_ref());
        }
        for Change { sub, before, after, .. } in changes {
            match after {
                Some(after) if before.as_ref() != Some(&after) => state::put_message(self.state, &self.actor, &sub, &after),
                Some(_) => {}
                None => self.state.delete(&self.actor, &sub),
            }
        }
        self.outbox.observe(&metrics::LEDGER_IMBALANCE, "", acceptance.imbalances(&milestone, reporting_minor));
        self.outbox.observe(&metrics::DESIRED, if updates > 0 { "changed" } else { "unchanged" }, 1);
        let mut head = LedgerState {
            milestone: Some(milestone),
            stamp,
            epoch,
            account_id,
            reporting_currency,
            reporting_minor,
            status,
            ..acceptance.head
        };
        self.say_row(shown.as_ref(), &mut head);
        state::put_message(self.state, &self.actor, &HEAD, &head);
        Ok(())
    }

    /// The new and the old rows, each touch once: new ones in their order, then those that are no longer wanted.
    fn changes(&mut self, acceptance: &Acceptance, wanted: Vec<CreditRow>, all_moved: bool) -> Result<Vec<Change>, StateError> {
        let mut known: Vec<(Vec<u8>, Option<LedgerRow>)> =
            state::scan_messages(self.state, &self.actor, &[ROW])?.into_iter().map(|(sub, row)| (sub, Some(row))).collect();
        let mut changes = Vec::with_capacity(wanted.len() + known.len());
        for row in wanted {
            let after = acceptance.translate(row);
            let view = TouchView::parse(&after.touch).map_err(|_| corrupt(&self.actor, &[ROW]))?;
            let sub = row_sub(view.event_id).to_vec();
            let at = known.binary_search_by(|(known, _)| known.cmp(&sub)).ok();
            let before = at.and_then(|at| known.get_mut(at)).and_then(|(_, row)| row.take());
            let moved = match &before {
                Some(before) => all_moved || touch_moved(before, &after).map_err(|_| corrupt(&self.actor, &sub))?,
                None => false,
            };
            changes.push(Change { sub, before, after: Some(after), moved });
        }
        let unwanted = known.into_iter().filter(|(_, row)| row.is_some());
        changes.extend(unwanted.map(|(sub, before)| Change { sub, before, after: None, moved: all_moved }));
        Ok(changes)
    }

    /// The next updates are for this row.
    fn show(&self, acceptance: &mut Acceptance, row: Option<&LedgerRow>, sub: &[u8]) -> Result<(), StateError> {
        if let Some(row) = row {
            let view = TouchView::parse(&row.touch).map_err(|_| corrupt(&self.actor, sub))?;
            acceptance.updates.show_touch(&view, &row.profile_id);
        }
        Ok(())
    }

    /// Emits the difference of one row under every model; returns the number of updates.
    fn emit(&mut self, acceptance: &mut Acceptance, before: Option<&LedgerRow>, after: Option<&LedgerRow>) -> usize {
        let mut updates = 0;
        let Acceptance { head, slots, updates: out, .. } = acceptance;
        for (((at, position), slot), revision) in (0..).zip(0u32..).zip(slots).zip(&mut head.revisions) {
            let (old_weight, old_value, old_reporting) = share_of(before, position);
            let (new_weight, new_value, new_reporting) = share_of(after, position);
            slot.weight_nano += new_weight;
            slot.value_minor += i128::from(new_value);
            slot.reporting_minor += i128::from(new_reporting);
            let there = old_weight > 0 || new_weight > 0;
            let shares_same = (old_weight, old_value, old_reporting) == (new_weight, new_value, new_reporting);
            let same = shares_same && !slot.remodelled;
            if !there || same {
                continue;
            }
            if !slot.raised {
                slot.raised = true;
                revision.revision += 1;
            }
            let share = Share {
                weight_nano: new_weight.cast_signed(),
                value_minor: new_value,
                delta_weight_nano: new_weight.cast_signed() - old_weight.cast_signed(),
                // Values are never negative, so the difference always fits.
                delta_value_minor: new_value.saturating_sub(old_value),
                revision: revision.revision,
                reason: slot.reason.into(),
                reporting_value_minor: new_reporting,
                delta_reporting_value_minor: new_reporting.saturating_sub(old_reporting),
            };
            out.publish(self.outbox, (at, revision), &share);
            self.outbox.observe(&metrics::CREDIT_UPDATES, slot.reason.name(), 1);
            updates += 1;
        }
        updates
    }
}

impl Acceptance {
    fn begin(mut head: LedgerState, to: &Milestone, stamp: u64, reason: Reason, models: &[ModelRef]) -> Self {
        let first = head.revisions.iter().all(|model| model.revision == 0);
        // A version that repeats what is known raises the stamp, but is not an amendment.
        let amended = stamp > head.stamp && !head.milestone.as_ref().is_some_and(|known| is_same(known, to));
        let reason = match (first, amended) {
            (true, _) => Reason::Milestone,
            (false, true) if reason == Reason::Erased => Reason::Erased,
            (false, true) if to.withdrawn => Reason::Withdrawn,
            (false, true) => Reason::Amended,
            (false, false) => reason,
        };
        // A model is gone unless the message names it.
        let gone = Slot {
            reason: Reason::Remodelled,
            remodelled: false,
            wanted: false,
            raised: false,
            weight_nano: 0,
            value_minor: 0,
            reporting_minor: 0,
        };
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
                slot.wanted = true;
                slot.remodelled = known.version != wanted.version;
                slot.reason = if slot.remodelled && !first { Reason::Remodelled } else { reason };
                known.version.clone_from(&wanted.version);
            }
        }
        let updates = Updates::of(&to.milestone_id, &head.revisions);
        Self { head, slots, positions, updates }
    }

    /// The next updates show the milestone's old face.
    fn show_milestone_as_it_was(&mut self) {
        if let Some(from) = self.head.milestone.take() {
            let (account_id, reporting) = (self.head.account_id.clone(), self.head.reporting_currency.clone());
            self.show_milestone(&from, &account_id, &reporting);
        }
    }

    /// The next updates show this face of the milestone, with a new revision.
    fn show_milestone(&mut self, milestone: &Milestone, account_id: &str, reporting: &str) {
        self.updates.show_milestone(milestone, account_id, reporting);
        self.slots.iter_mut().for_each(|slot| slot.raised = false);
    }

    /// The row with the ledger's positions of the models.
    fn translate(&self, row: CreditRow) -> LedgerRow {
        let position = |model: u32| self.positions.get(usize::try_from(model).ok()?).copied();
        let mut credits: Vec<ModelCredit> =
            row.credits.into_iter().filter_map(|share| Some(ModelCredit { model: position(share.model)?, ..share })).collect();
        credits.sort_unstable_by_key(|share| share.model);
        LedgerRow { touch: row.touch, profile_id: row.profile_id, credits }
    }

    /// The number of models whose rows do not sum to the whole.
    fn imbalances(&self, to: &Milestone, reporting_minor: i64) -> u64 {
        let sums = |slot: &Slot| (slot.weight_nano, slot.value_minor, slot.reporting_minor);
        let all = (WHOLE_NANO, i128::from(to.value_minor), i128::from(reporting_minor));
        let (nothing, whole) = (|slot: &Slot| sums(slot) == (0, 0, 0), |slot: &Slot| sums(slot) == all);
        let balanced = |slot: &&Slot| if to.withdrawn || !slot.wanted { nothing(slot) } else { whole(slot) };
        (self.slots.len() - self.slots.iter().filter(balanced).count()) as u64
    }
}
