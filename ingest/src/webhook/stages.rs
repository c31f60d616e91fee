//! What a CRM says of a lead or a deal, as versions of its milestones.
//!
//! A CRM tells one change at a time: a stage, an amount, an account. An object has one milestone of each kind that its stages can
//! reach. The stage that was reached gives its kind a version; whatever else changes is sent to the others as an amendment, which
//! changes a milestone that was reached, before or after, and is nothing where it never is.

use std::borrow::Cow;

use tributary_runtime::stage::Rejection;

use super::records::{Record, Records};
use super::vendor_stages::Ladder;
use crate::milestone::{Given, MilestoneFields};
use crate::native::statement::Says;
use crate::{money, reason};

/// Kinds that end a deal: of these an object stands at most at one.
const CLOSING: [&str; 2] = ["closed_won", "closed_lost"];
/// How far after the event a closing date may lie and still be that of the closing: clocks differ.
const CLOSE_SKEW_MS: i64 = 24 * 3_600_000;

/// What an event says of an object.
#[derive(Debug, Default)]
pub(super) struct Change {
    /// It was created, or came back.
    pub(super) created: bool,
    /// The stage that it is at now.
    pub(super) stage: Option<String>,
    /// Its amount: decimal text in major units.
    pub(super) amount: Option<String>,
    pub(super) currency: Option<String>,
    /// When it was or will be closed, milliseconds since 1970-01-01 UTC.
    pub(super) close_ms: Option<i64>,
    /// It was deleted, or merged into another.
    pub(super) gone: bool,
    /// Whom every version names: the person who is at this stage.
    pub(super) subject: Option<(&'static str, String)>,
    /// Identifiers of the people and the account that it is now known to be about.
    pub(super) names: Vec<(&'static str, String)>,
}

impl Change {
    /// Writes the versions; `event_id` is that of the event, and `time_ms` its time.
    pub(super) fn write(
        mut self,
        ladder: Ladder<'_>,
        object_id: &str,
        event_id: &str,
        time_ms: i64,
        records: &mut Records<'_>,
    ) {
        self.check_amount(records);
        let stages = ladder.stages;
        let stage = self.stage.as_ref().and_then(|stage| stages.stages.get(stage)).map(String::as_str);
        if let (Some(stage), None) = (&self.stage, stage) {
            records.without_rule(ladder.setting, stage);
        }
        let mut any = false;
        for kind in stages.kinds() {
            let reached = !self.gone && (stage == Some(kind) || (self.created && stages.created == kind));
            let closing = CLOSING.contains(&kind);
            // Who stands at another stage now has not closed, or not so.
            let withdrawn = self.gone || (closing && stage.is_some() && !reached);
            let close_ms = self.close_ms.filter(|close| closing && *close <= time_ms.saturating_add(CLOSE_SKEW_MS));
            let amended = self.amount.is_some() || self.currency.is_some() || close_ms.is_some() || !self.names.is_empty();
            if !reached && !withdrawn && !amended {
                continue;
            }
            let mut version = Record::new(format!("{event_id}:{kind}"), time_ms);
            self.subject.iter().chain(&self.names).for_each(|(kind, text)| version.name(kind, text, records));
            let says = MilestoneFields {
                kind: kind.into(),
                object_id: object_id.into(),
                amends: !reached,
                withdrawn,
                value: Given::of(self.amount.as_deref().map(Cow::Borrowed)),
                currency: Given::of(self.currency.as_deref().map(Cow::Borrowed)),
                occurred_at: Given::of(close_ms.map(|close| close.min(time_ms))),
                refund: None,
            };
            records.add(version, Says::Milestone(says));
            any = true;
        }
        if !any && (self.stage.is_none() || stage.is_some()) {
            records.nothing();
        }
    }

    /// An amount that cannot be used is refused once, and costs nothing else.
    fn check_amount(&mut self, records: &mut Records<'_>) {
        let Some(amount) = &self.amount else { return };
        let currency = self.currency.as_deref().map_or(Ok(records.rules.currency), money::currency);
        let checked = currency.and_then(|_| money::decimal(amount, "value"));
        if let Err(rejection) = checked {
            records.refuse(rejection);
            (self.amount, self.currency) = (None, None);
        }
    }
}

/// A decimal number without exponent: JSON writers write `3.0E7` for large amounts. Other text is returned as it is.
pub(super) fn plain_decimal(text: &str) -> String {
    expand(text).unwrap_or_else(|| text.to_owned())
}

fn expand(text: &str) -> Option<String> {
    /// No amount needs more digits.
    const SHIFT_MAX: usize = 30;
    let (mantissa, exponent) = text.split_once(['e', 'E'])?;
    let shift: usize = exponent.strip_prefix('+').unwrap_or(exponent).parse().ok().filter(|shift| *shift <= SHIFT_MAX)?;
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let moved: String = fraction.chars().chain(std::iter::repeat('0')).take(shift).collect();
    let rest: String = fraction.chars().skip(shift).collect();
    Some(if rest.is_empty() { format!("{whole}{moved}") } else { format!("{whole}{moved}.{rest}") })
}

/// The rejection of an event that says that something changed, and not how.
pub(super) fn incomplete(field: &'static str, detail: impl Into<String>) -> Rejection {
    Rejection::new(reason::RECORD_INCOMPLETE, field, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponents_are_written_out() {
        for (text, plain) in
            [("3.0E7", "30000000"), ("1.2345e2", "123.45"), ("1E+3", "1000"), ("12.50", "12.50"), ("1e-3", "1e-3"), ("e", "e")]
        {
            assert_eq!(plain_decimal(text), plain);
        }
    }
}
