//! Changes of a lead or a deal in a CRM, as versions of its milestones.
//!
//! A CRM reports one change at a time: a stage, an amount, an account. An object has one milestone of each kind that its stages can reach.
//! A new stage gives its kind a version. Any other change is sent to the other kinds as an amendment, which changes a milestone that was
//! reached, before or after, and has no effect if it is never reached.

use std::borrow::Cow;

use tributary_proto::Identifier;
use tributary_runtime::stage::Rejection;

use super::records::{CrmRecord, Records};
use super::vendor_stages::Ladder;
use crate::milestone::{Given, MilestoneFields};
use crate::native::statement::Says;
use crate::{money, reason};

/// Kinds that end a deal: an object is at one of these at most.
const CLOSING: [&str; 2] = ["closed_won", "closed_lost"];
/// How far after the event a closing date may be and still count as the time of closing, milliseconds: clocks differ.
const CLOSE_SKEW_MS: i64 = 24 * 3_600_000;

/// A change of an object with stages.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// It was created, or restored.
    pub(super) created: bool,
    /// Its current stage.
    pub(super) stage: Option<String>,
    /// Its amount: decimal text in major units.
    pub(super) amount: Given<String>,
    pub(super) currency: Given<String>,
    /// When it was closed, or is planned to be, milliseconds since 1970-01-01 UTC.
    pub(super) close_ms: Given<i64>,
    /// It was deleted, or merged into another.
    pub(super) gone: bool,
    /// The person that is at this stage, named by every version.
    pub(super) subject: Option<(&'static str, String)>,
    /// Identifiers of the people and the account that it now belongs to.
    pub(super) names: Vec<(&'static str, String)>,
    /// The account that it no longer belongs to.
    pub(super) former_account: Option<Identifier>,
}

impl Change {
    /// Writes the versions of milestones; `event_id` and `time_ms` are those of the event.
    pub(super) fn write(
        mut self,
        ladder: Ladder<'_>,
        object_id: &str,
        event_id: &str,
        time_ms: i64,
        records: &mut Records<'_>,
    ) {
        self.check_money(records);
        let stages = ladder.stages;
        let stage = self.stage.as_ref().and_then(|stage| stages.stages.get(stage)).map(String::as_str);
        if let (Some(stage), None) = (&self.stage, stage) {
            records.without_rule(ladder.setting, stage);
        }
        let mut any = false;
        for kind in stages.kinds() {
            let reached = !self.gone && (stage == Some(kind) || (self.created && stages.created == kind));
            let closing = CLOSING.contains(&kind);
            // An object that is at another stage now has not closed, or not this way.
            let withdrawn = self.gone || (closing && stage.is_some() && !reached);
            let closed_at = match self.close_ms {
                Given::Is(close) if !closing || close > time_ms.saturating_add(CLOSE_SKEW_MS) => Given::Nothing,
                Given::Is(close) => Given::Is(close.min(time_ms)),
                Given::Cleared if !closing => Given::Nothing,
                other => other,
            };
            let money = self.amount != Given::Nothing || self.currency != Given::Nothing;
            let named = !self.names.is_empty() || self.former_account.is_some();
            let amended = money || closed_at != Given::Nothing || named;
            if !reached && !withdrawn && !amended {
                continue;
            }
            let mut version = CrmRecord::new(format!("{event_id}:{kind}"), time_ms);
            self.subject.iter().chain(&self.names).for_each(|(kind, text)| version.name(kind, text, records));
            let says = MilestoneFields {
                kind: kind.into(),
                object_id: object_id.into(),
                amends: !reached,
                withdrawn,
                value: borrowed(&self.amount),
                currency: borrowed(&self.currency),
                occurred_at: closed_at,
                former_account: self.former_account.clone(),
                ..MilestoneFields::default()
            };
            records.add(version, Says::Milestone(says));
            any = true;
        }
        if !any && (self.stage.is_none() || stage.is_some()) {
            records.nothing();
        }
    }

    /// Leaves out amounts that cannot be used, once and not per version. An amount with an unknown currency is not guessed.
    fn check_money(&mut self, records: &mut Records<'_>) {
        if let Given::Is(amount) = &self.amount
            && let Err(rejection) = money::decimal(amount, "value")
        {
            records.leave_out(rejection);
            self.amount = Given::Nothing;
        }
        // The CRM writes numbers as a program does.
        if let Given::Is(amount) = &mut self.amount {
            *amount = money::exact(amount).into_owned();
        }
        if let Given::Is(currency) = &self.currency
            && let Err(rejection) = money::currency(currency)
        {
            records.leave_out(rejection);
            (self.amount, self.currency) = (Given::Nothing, Given::Nothing);
        }
    }
}

fn borrowed(given: &Given<String>) -> Given<Cow<'_, str>> {
    match given {
        Given::Nothing => Given::Nothing,
        Given::Cleared => Given::Cleared,
        Given::Is(text) => Given::Is(Cow::Borrowed(text)),
    }
}

/// The rejection of an event that says that something changed, but not to what.
pub(super) fn incomplete(field: &'static str, detail: impl Into<String>) -> Rejection {
    Rejection::new(reason::RECORD_INCOMPLETE, field, detail)
}
