//! Milestone versions.

use std::borrow::Cow;

use serde_json::value::RawValue;
use tributary_proto::MilestoneVersion;
use tributary_runtime::stage::Rejection;

use crate::limits::ID_BYTES_MAX;
use crate::rules::Rules;
use crate::scalar::{Scalar, json_rejection};
use crate::{money, reason};

/// The stages of a B2B cycle; the configuration can add others.
pub const VOCABULARY: [&str; 12] = [
    "lead",
    "mql",
    "sal",
    "meeting",
    "evaluation",
    "opportunity",
    "proposal",
    "negotiation",
    "closed_won",
    "closed_lost",
    "implemented",
    "expansion",
];

/// What a sender says of a milestone.
#[derive(Debug, Default)]
pub(crate) struct MilestoneFields<'a> {
    pub(crate) kind: Cow<'a, str>,
    pub(crate) object_id: Cow<'a, str>,
    pub(crate) occurred_at_ms: Option<i64>,
    /// Decimal text in major units.
    pub(crate) value: Option<Cow<'a, str>>,
    pub(crate) currency: Option<Cow<'a, str>>,
    pub(crate) withdrawn: bool,
    pub(crate) amends: bool,
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
        let MilestoneFields { kind, object_id, occurred_at_ms, value, currency, withdrawn, amends } = fields;
        if !self.milestone_kinds.iter().any(|known| *known == kind) {
            let detail = "not a kind of milestone; declare it in milestone_kinds";
            return Err(Rejection::new(reason::MILESTONE_UNKNOWN, "milestone", detail));
        }
        if object_id.is_empty() || self.identifiers.is_blocked(&object_id) {
            let detail = "a milestone needs the id of the object that reached it";
            return Err(Rejection::new(reason::FIELD_MISSING, "object_id", detail));
        }
        if object_id.len() > ID_BYTES_MAX {
            let detail = format!("an object id has at most {ID_BYTES_MAX} bytes");
            return Err(Rejection::new(reason::IDENTIFIER_TOO_LONG, "object_id", detail));
        }
        if let Some(time_ms) = occurred_at_ms {
            self.times.check_future(time_ms, received_ms, "occurred_at")?;
        }
        let given = currency.map(|code| money::currency(&code)).transpose()?;
        let (value_minor, currency) = match value {
            None => (None, String::new()),
            Some(amount) => {
                let currency = given.unwrap_or(self.currency);
                (Some(money::minor_units(&amount, currency)?), currency.code().to_owned())
            }
        };
        Ok(MilestoneVersion {
            milestone_id: format!("{kind}:{object_id}"),
            kind: kind.into_owned(),
            object_id: object_id.into_owned(),
            occurred_at_ms,
            value_minor,
            currency,
            withdrawn,
            amends,
        })
    }
}

/// The digits of an amount: of a text, or of a JSON number as it was written. `None` when null or blank.
pub(crate) fn amount(raw: &RawValue) -> Result<Option<Cow<'_, str>>, Rejection> {
    let text = raw.get();
    match serde_json::from_str::<Scalar<'_>>(text).map_err(|error| json_rejection(&error))? {
        Scalar::Integer(_) | Scalar::Inexact => Ok(Some(Cow::Borrowed(text.trim_ascii()))),
        Scalar::Bool(_) => Err(Rejection::new(reason::VALUE_INVALID, "value", "expected a decimal number")),
        other => other.text("value"),
    }
}
