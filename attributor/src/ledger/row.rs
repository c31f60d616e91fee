//! The milestone's own row, in the topic `milestones`: like the rows of credit, it comes from this one place and in order.

use iso_currency::Currency;
use tributary_proto::{CreditRows, LedgerState, MilestoneRow, StageMoment, occurrence};
use tributary_runtime::state::{self, StateError};
use tributary_runtime::topic::Topic;

use super::{HEAD, Ledger};
use crate::metrics;

/// The row for what was last accepted, without revision.
fn row_of(head: &LedgerState) -> MilestoneRow {
    let milestone = head.milestone.clone().unwrap_or_default();
    let status = head.status.clone().unwrap_or_default();
    let exponent = Currency::from_code(&milestone.currency).and_then(Currency::exponent).unwrap_or(0);
    let stage = |stage: Option<StageMoment>| stage.map_or_else(Default::default, |stage| (stage.kind, stage.time));
    let (stage_before, stage_before_time) = stage(status.before);
    let (stage_after, stage_after_time) = stage(status.after);
    let (_, occurrence) = occurrence::parts(&milestone.milestone_id);
    MilestoneRow {
        milestone_id: milestone.milestone_id,
        milestone_kind: milestone.kind,
        object_id: milestone.object_id,
        occurrence,
        milestone_time: milestone.time_ms,
        value_minor: milestone.value_minor,
        currency: milestone.currency,
        exponent: exponent.into(),
        reporting_currency: head.reporting_currency.clone(),
        reporting_value_minor: head.reporting_minor,
        account_id: head.account_id.clone(),
        profile_id: status.profile_id,
        withdrawn: milestone.withdrawn,
        public: milestone.public,
        stage_before,
        stage_before_time,
        stage_after,
        stage_after_time,
        stages: status.stages,
        named_profiles: status.named_profiles,
        revision: 0,
        erased: false,
        dimensions: milestone.dimensions,
        versions: status.versions,
    }
}

/// The row that is published now, if any.
pub(super) fn shown(head: &LedgerState) -> Option<MilestoneRow> {
    head.row_there.then(|| row_of(head))
}

impl Ledger<'_> {
    /// Publishes the milestone's row if it changed, or a tombstone if it is gone.
    pub(super) fn say_row(&mut self, before: Option<&MilestoneRow>, head: &mut LedgerState) {
        let wanted = head.status.is_some() && head.milestone.as_ref().is_some_and(|milestone| !milestone.gone);
        if wanted {
            let row = row_of(head);
            if before == Some(&row) {
                return;
            }
            head.row_revision += 1;
            self.outbox.publish(&MilestoneRow { revision: head.row_revision, ..row });
            self.outbox.observe(&metrics::MILESTONE_ROWS, "said", 1);
        } else if before.is_some() {
            head.row_revision += 1;
            let milestone_id = String::from_utf8_lossy(self.key).into_owned();
            let last = MilestoneRow { milestone_id, erased: true, revision: head.row_revision, ..MilestoneRow::default() };
            self.outbox.publish(&last);
            self.outbox.unpublish(Topic::Milestones, self.key);
            self.outbox.observe(&metrics::MILESTONE_ROWS, "taken_back", 1);
        }
        head.row_there = wanted;
    }

    /// Handles a message in which only the milestone's status is new.
    pub(super) fn stand(&mut self, mut head: LedgerState, credit_rows: CreditRows) -> Result<(), StateError> {
        if head.status == credit_rows.status {
            return Ok(());
        }
        let before = shown(&head);
        head.status = credit_rows.status;
        self.say_row(before.as_ref(), &mut head);
        state::put_message(self.state, &self.actor, &HEAD, &head);
        Ok(())
    }
}
