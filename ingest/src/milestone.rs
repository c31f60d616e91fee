//! Milestone versions. Unreadable fields are left out, except those that say which milestone it is.

use std::borrow::Cow;

use iso_currency::Currency;
use serde_json::value::RawValue;
use tributary_proto::{Identifier, MilestoneVersion, Retract};
use tributary_runtime::stage::Rejection;

use crate::dimensions::Dimensions;
use crate::ignored::Ignored;
use crate::lenient::Raw;
use crate::limits::ID_BYTES_MAX;
use crate::money::Unit;
use crate::normalise::salesforce_id::{LEAD, OPPORTUNITY, long_form};
use crate::public::refused;
use crate::receipt::Receipt;
use crate::rules::Rules;
use crate::scalar::{Scalar, json_rejection};
use crate::{money, reason};

/// A sender's statement on a field that keeps its value until it is changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Given<T> {
    /// Not stated: the former value remains.
    #[default]
    Nothing,
    /// It has no value (any more).
    Cleared,
    Is(T),
}

impl<T> Given<T> {
    /// `Is` if there is a value, else `Nothing`.
    pub(crate) fn of(value: Option<T>) -> Self {
        value.map_or(Self::Nothing, Self::Is)
    }

    /// The value, if there is one.
    pub(crate) fn into_value(self) -> Option<T> {
        if let Self::Is(value) = self { Some(value) } else { None }
    }

    fn as_value(&self) -> Option<&T> {
        if let Self::Is(value) = self { Some(value) } else { None }
    }

    fn is_cleared(&self) -> bool {
        matches!(self, Self::Cleared)
    }
}

/// The fields of a milestone as a sender gives them.
#[derive(Debug, Default)]
pub(crate) struct MilestoneFields<'a> {
    pub(crate) kind: Cow<'a, str>,
    pub(crate) object_id: Cow<'a, str>,
    /// Milliseconds since 1970-01-01 UTC.
    pub(crate) occurred_at: Given<i64>,
    /// Decimal text in major units.
    pub(crate) value: Given<Cow<'a, str>>,
    pub(crate) currency: Given<Cow<'a, str>>,
    /// Decimal text in major units.
    pub(crate) refund: Option<Cow<'a, str>>,
    pub(crate) withdrawn: bool,
    pub(crate) amends: bool,
    /// Whether it amends the milestone by cancelling its withdrawal.
    pub(crate) restored: bool,
    /// The account that the milestone no longer belongs to.
    pub(crate) former_account: Option<Identifier>,
    /// The number of the occurrence, from 1; 0 if it is not stated.
    pub(crate) occurrence: u32,
    pub(crate) dimensions: Dimensions,
}

impl<'a> MilestoneFields<'a> {
    /// Sets the currency; if it could not be read, amounts are left out, too.
    pub(crate) fn set_currency(&mut self, read: Option<Given<Cow<'a, str>>>, ignored: &mut Ignored) {
        match read {
            Some(currency) => self.currency = currency,
            None => self.leave_out_amounts(ignored),
        }
    }

    /// Leaves out amounts without a readable currency: money is never guessed.
    fn leave_out_amounts(&mut self, ignored: &mut Ignored) {
        let value = std::mem::take(&mut self.value);
        if self.refund.take().is_some() || matches!(value, Given::Is(_)) {
            ignored.note(Rejection::new(reason::CURRENCY_UNKNOWN, "value", "the amount is left out with its currency"));
        }
    }

    /// Converts what people write to plain numbers: `30万`, `RMB`, `万元`. A currency in an amount counts if no other is given. Amounts that
    /// contradict their currency are left out together with it.
    fn make_money_plain(&mut self, default: Currency, ignored: &mut Ignored) {
        let mut unit = match &self.currency {
            Given::Is(text) => {
                let Unit { code, power } = money::unit(text);
                Some(Unit { code: Cow::Owned(code.into_owned()), power })
            }
            _ => None,
        };
        if let Some(unit) = &unit {
            self.currency = Given::Is(unit.code.clone());
            if money::currency(&unit.code).is_err() {
                return;
            }
        }
        for field in ["value", "refund"] {
            let text = if field == "value" { self.value.as_value() } else { self.refund.as_ref() };
            let Some(text) = text else { continue };
            let plain = match money::agreed(text, field, unit.as_ref(), default) {
                Ok((_, Some(_))) if self.currency.is_cleared() => Err(Rejection::new(
                    reason::CURRENCY_UNKNOWN,
                    field,
                    "the amount names a currency, and the record clears it",
                )),
                other => other,
            };
            match plain {
                Ok((plain, named)) => {
                    if let (None, Some(code)) = (&unit, named) {
                        self.currency = Given::Is(code.clone().into());
                        unit = Some(Unit { code: code.into(), power: 0 });
                    }
                    self.set_amount(field, Some(plain.into()));
                }
                Err(why) => {
                    self.set_amount(field, None);
                    if why.reason == reason::CURRENCY_UNKNOWN {
                        (self.value, self.refund, self.currency) = (Given::Nothing, None, Given::Nothing);
                    }
                    ignored.note(why);
                }
            }
        }
    }

    fn set_amount(&mut self, field: &str, amount: Option<Cow<'a, str>>) {
        if field == "value" { self.value = Given::of(amount) } else { self.refund = amount }
    }
}

impl Rules {
    /// Builds the version.
    ///
    /// # Errors
    /// When its kind or object is invalid, or public events must not report it.
    pub(crate) fn milestone(
        &self,
        fields: MilestoneFields<'_>,
        receipt: &Receipt,
        ignored: &mut Ignored,
    ) -> Result<MilestoneVersion, Rejection> {
        let mut fields = fields;
        let (kind, object_id) = self.reached(&fields.kind, std::mem::take(&mut fields.object_id))?;
        self.check_public(receipt, kind, &mut fields, ignored)?;
        fields.make_money_plain(self.currency, ignored);
        let occurred_at_cleared = fields.occurred_at.is_cleared();
        let occurred_at_ms = fields
            .occurred_at
            .into_value()
            .filter(|time_ms| ignored.read(self.check_time(*time_ms, receipt, "occurred_at")).is_some());
        let currency_cleared = fields.currency.is_cleared();
        let currency = match std::mem::take(&mut fields.currency).into_value().map(|code| money::currency(&code)) {
            None => String::new(),
            Some(Ok(currency)) => currency.code().to_owned(),
            Some(Err(why)) => {
                fields.leave_out_amounts(ignored);
                ignored.note(why);
                String::new()
            }
        };
        let mut decimal = |amount: Option<Cow<'_, str>>, field| ignored.read(money::decimal(&amount?, field));
        Ok(MilestoneVersion {
            milestone_id: format!("{kind}:{object_id}"),
            kind: kind.to_owned(),
            object_id: object_id.into_owned(),
            occurred_at_ms,
            value_cleared: fields.value.is_cleared(),
            value: decimal(fields.value.into_value(), "value"),
            currency,
            withdrawn: fields.withdrawn,
            amends: fields.amends,
            restored: fields.restored,
            former_account: fields.former_account,
            refund: decimal(fields.refund, "refund"),
            currency_cleared,
            occurred_at_cleared,
            occurrence: fields.occurrence,
            value_minor: None,
            dimensions: fields.dimensions,
        })
    }

    /// Refuses a milestone that public events must not report, and leaves out fields that they must not state.
    fn check_public(
        &self,
        receipt: &Receipt,
        kind: &str,
        fields: &mut MilestoneFields<'_>,
        ignored: &mut Ignored,
    ) -> Result<(), Rejection> {
        if !receipt.is_public() {
            return Ok(());
        }
        if fields.former_account.take().is_some() {
            ignored.note(refused("former_account", "accounts are named"));
        }
        if self.public.values.contains(kind) {
            return Ok(());
        }
        if !self.public.milestones.contains(kind) {
            return Err(refused("milestone", "milestones of this kind are reported (but see ingest.public_milestones)"));
        }
        if fields.withdrawn {
            return Err(refused("withdrawn", "milestones are withdrawn (but see ingest.public_values)"));
        }
        let value = std::mem::take(&mut fields.value) != Given::Nothing;
        let currency = std::mem::take(&mut fields.currency) != Given::Nothing;
        let refund = fields.refund.take().is_some();
        for (_, field) in [(value, "value"), (currency, "currency"), (refund, "refund")].into_iter().filter(|(said, _)| *said) {
            ignored.note(refused(field, "values are given (but see ingest.public_values)"));
        }
        if std::mem::take(&mut fields.restored) {
            ignored.note(refused("withdrawn", "withdrawals are called off (but see ingest.public_values)"));
        }
        Ok(())
    }

    /// The kind that was reached, and the object that reached it.
    fn reached<'a>(&self, kind: &str, object_id: Cow<'a, str>) -> Result<(&str, Cow<'a, str>), Rejection> {
        let Some(kind) = self.kinds.milestone(kind) else {
            return Err(Rejection::new(reason::MILESTONE_UNKNOWN, "milestone", self.kinds.no_milestone()));
        };
        Ok((kind, self.object(object_id)?))
    }

    /// The part of a retraction that says where the event is: at a milestone or an object; at the identifiers named if it states neither.
    ///
    /// # Errors
    /// When there is no such kind, or the object's id is invalid.
    pub(crate) fn retract(&self, milestone: &str, object_id: Cow<'_, str>) -> Result<Retract, Rejection> {
        if !milestone.is_empty() {
            let (kind, object_id) = self.reached(milestone, object_id)?;
            return Ok(Retract { milestone_id: format!("{kind}:{object_id}"), ..Retract::default() });
        }
        if object_id.is_empty() {
            return Ok(Retract::default());
        }
        Ok(Retract { object_id: self.object(object_id)?.into_owned(), ..Retract::default() })
    }

    /// The id of an object in its canonical form.
    ///
    /// # Errors
    /// When it is invalid.
    pub(crate) fn object<'a>(&self, object_id: Cow<'a, str>) -> Result<Cow<'a, str>, Rejection> {
        if object_id.is_empty() || self.identifiers.is_blocked(&object_id) {
            let detail = "the id of the object, a deal or a lead, is needed";
            return Err(Rejection::new(reason::FIELD_MISSING, "object_id", detail));
        }
        if object_id.len() > ID_BYTES_MAX {
            let detail = format!("an object id has at most {ID_BYTES_MAX} bytes");
            return Err(Rejection::new(reason::IDENTIFIER_TOO_LONG, "object_id", detail));
        }
        Ok([OPPORTUNITY, LEAD].iter().fold(object_id, |id, prefix| match long_form(&id, prefix) {
            Cow::Owned(long) => long.into(),
            Cow::Borrowed(_) => id,
        }))
    }
}

/// An amount as text: from a text, or from a JSON number as written. Null clears it, blank is the same as absent.
pub(crate) fn amount<'a>(raw: &'a RawValue, field: &'static str) -> Result<Given<Cow<'a, str>>, Rejection> {
    let text = raw.get();
    match serde_json::from_str::<Scalar<'_>>(text).map_err(|error| json_rejection(&error))? {
        Scalar::Null => Ok(Given::Cleared),
        Scalar::Integer(_) | Scalar::Inexact => Ok(Given::Is(money::exact(text.trim_ascii()))),
        Scalar::Bool(_) => Err(Rejection::new(reason::VALUE_INVALID, field, "expected a decimal number")),
        other => other.text(field).map(Given::of),
    }
}

/// The same for a field; an unreadable one is noted, and counts as absent.
pub(crate) fn amount_in<'a>(raw: Raw<'a>, field: &'static str, ignored: &mut Ignored) -> Given<Cow<'a, str>> {
    match ignored.read(raw.get(field)).flatten() {
        Some(raw) => ignored.read(amount(raw, field)).unwrap_or_default(),
        None => Given::Nothing,
    }
}
