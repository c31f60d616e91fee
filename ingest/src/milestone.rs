//! Milestone versions.

use std::borrow::Cow;

use serde_json::value::RawValue;
use tributary_proto::MilestoneVersion;
use tributary_runtime::stage::Rejection;

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
#[derive(Debug, Default, Clone)]
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

impl Rules {
    /// Builds the version.
    ///
    /// # Errors
    /// When its kind, object id, time, value or currency is refused.
    pub(crate) fn milestone(
        &self,
        fields: MilestoneFields<'_>,
        received_ms: Option<i64>,
    ) -> Result<MilestoneVersion, Rejection> {
        let MilestoneFields { kind, object_id, occurred_at, value, currency, refund, withdrawn, amends, occurrence } = fields;
        let Some(kind) = self.kinds.milestone(&kind) else {
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
        if let Given::Is(time_ms) = occurred_at {
            self.times.check_future(time_ms, received_ms, "occurred_at")?;
        }
        let (value_cleared, currency_cleared) = (value.is_cleared(), currency.is_cleared());
        let currency = currency.into_value().map(|code| money::currency(&code)).transpose()?;
        Ok(MilestoneVersion {
            milestone_id: format!("{kind}:{object_id}"),
            kind: kind.to_owned(),
            object_id: object_id.into_owned(),
            occurred_at_ms: occurred_at.into_value(),
            value: value.into_value().map(|amount| money::decimal(&amount, "value")).transpose()?,
            currency: currency.map_or(String::new(), |currency| currency.code().to_owned()),
            withdrawn,
            amends,
            refund: refund.map(|amount| money::decimal(&amount, "refund")).transpose()?,
            value_cleared,
            currency_cleared,
            occurred_at_cleared: occurred_at.is_cleared(),
            occurrence,
            value_minor: None,
        })
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
