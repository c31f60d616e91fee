//! Milestone versions. What cannot be read of one is left out, but for what it is a milestone of.

use std::borrow::Cow;

use serde_json::value::RawValue;
use tributary_proto::MilestoneVersion;
use tributary_runtime::stage::Rejection;

use crate::ignored::Ignored;
use crate::lenient::Raw;
use crate::limits::ID_BYTES_MAX;
use crate::normalise::salesforce_id::{LEAD, OPPORTUNITY, long_form};
use crate::rules::Rules;
use crate::scalar::{Scalar, json_rejection};
use crate::{money, reason};

/// What a sender says of a field that keeps its value until somebody changes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Given<T> {
    /// Nothing: what was said before holds.
    #[default]
    Nothing,
    /// That it has no value (any more).
    Cleared,
    Is(T),
}

impl<T> Given<T> {
    /// A value, where there is one.
    pub(crate) fn of(value: Option<T>) -> Self {
        value.map_or(Self::Nothing, Self::Is)
    }

    /// The value, where there is one.
    pub(crate) fn into_value(self) -> Option<T> {
        if let Self::Is(value) = self { Some(value) } else { None }
    }

    fn is_cleared(&self) -> bool {
        matches!(self, Self::Cleared)
    }
}

/// What a sender says of a milestone.
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
    /// Which time the object reaches it, from 1; 0 where it is not said.
    pub(crate) occurrence: u32,
}

impl<'a> MilestoneFields<'a> {
    /// Sets the currency as it was read; where that could not be, amounts go with it.
    pub(crate) fn set_currency(&mut self, read: Option<Given<Cow<'a, str>>>, ignored: &mut Ignored) {
        match read {
            Some(currency) => self.currency = currency,
            None => self.leave_out_amounts(ignored),
        }
    }

    /// Leaves out amounts whose currency cannot be read: money is never guessed.
    fn leave_out_amounts(&mut self, ignored: &mut Ignored) {
        let value = std::mem::take(&mut self.value);
        if self.refund.take().is_some() || matches!(value, Given::Is(_)) {
            ignored.note(Rejection::new(reason::CURRENCY_UNKNOWN, "value", "the amount is left out with its currency"));
        }
    }

    /// Makes plain what people write: `30万`, `RMB`. A currency that an amount names holds where no other is given.
    fn make_money_plain(&mut self) {
        if let Given::Is(code) = &self.currency {
            self.currency = Given::Is(Cow::Owned(money::written::currency(code).into_owned()));
        }
        let Given::Is(text) = &self.value else { return };
        let Some((plain, named)) = money::written::amount(text) else { return };
        match (named, &self.currency) {
            (None, _) => {}
            (Some(code), Given::Is(given)) if *given == code => {}
            (Some(code), Given::Nothing) => self.currency = Given::Is(code.into()),
            // Two currencies: nobody knows which is meant, and the amount is refused as it is.
            _ => return,
        }
        self.value = Given::Is(plain.into());
    }
}

impl Rules {
    /// Builds the version.
    ///
    /// # Errors
    /// When its kind or object is none.
    pub(crate) fn milestone(
        &self,
        fields: MilestoneFields<'_>,
        received_ms: Option<i64>,
        ignored: &mut Ignored,
    ) -> Result<MilestoneVersion, Rejection> {
        let mut fields = fields;
        fields.make_money_plain();
        let (kind, object_id) = self.reached(&fields.kind, std::mem::take(&mut fields.object_id))?;
        let occurred_at_cleared = fields.occurred_at.is_cleared();
        let occurred_at_ms = fields
            .occurred_at
            .into_value()
            .filter(|time_ms| ignored.read(self.times.check_future(*time_ms, received_ms, "occurred_at")).is_some());
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
            refund: decimal(fields.refund, "refund"),
            currency_cleared,
            occurred_at_cleared,
            occurrence: fields.occurrence,
            value_minor: None,
        })
    }

    /// The kind that was reached, and the object that reached it.
    fn reached<'a>(&self, kind: &str, object_id: Cow<'a, str>) -> Result<(&str, Cow<'a, str>), Rejection> {
        let Some(kind) = self.kinds.milestone(kind) else {
            return Err(Rejection::new(reason::MILESTONE_UNKNOWN, "milestone", self.kinds.no_milestone()));
        };
        if object_id.is_empty() || self.identifiers.is_blocked(&object_id) {
            let detail = "a milestone needs the id of the object that reached it";
            return Err(Rejection::new(reason::FIELD_MISSING, "object_id", detail));
        }
        if object_id.len() > ID_BYTES_MAX {
            let detail = format!("an object id has at most {ID_BYTES_MAX} bytes");
            return Err(Rejection::new(reason::IDENTIFIER_TOO_LONG, "object_id", detail));
        }
        let object_id = [OPPORTUNITY, LEAD].iter().fold(object_id, |id, prefix| match long_form(&id, prefix) {
            Cow::Owned(long) => long.into(),
            Cow::Borrowed(_) => id,
        });
        Ok((kind, object_id))
    }
}

/// The digits of an amount: of a text, or of a JSON number as it was written. A null clears it, a blank text says nothing.
pub(crate) fn amount<'a>(raw: &'a RawValue, field: &'static str) -> Result<Given<Cow<'a, str>>, Rejection> {
    let text = raw.get();
    match serde_json::from_str::<Scalar<'_>>(text).map_err(|error| json_rejection(&error))? {
        Scalar::Null => Ok(Given::Cleared),
        Scalar::Integer(_) | Scalar::Inexact => Ok(Given::Is(Cow::Borrowed(text.trim_ascii()))),
        Scalar::Bool(_) => Err(Rejection::new(reason::VALUE_INVALID, field, "expected a decimal number")),
        other => other.text(field).map(Given::of),
    }
}

/// The same of a field; where it cannot be read it says nothing.
pub(crate) fn amount_in<'a>(raw: Raw<'a>, field: &'static str, ignored: &mut Ignored) -> Given<Cow<'a, str>> {
    match ignored.read(raw.get(field)).flatten() {
        Some(raw) => ignored.read(amount(raw, field)).unwrap_or_default(),
        None => Given::Nothing,
    }
}
