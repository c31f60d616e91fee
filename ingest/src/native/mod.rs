//! The native record: flat, so that it is the same thing as a JSON object and as a CSV row.

pub(crate) mod kind;
pub(crate) mod record;
mod spend;
pub(crate) mod statement;

use std::borrow::Cow;

use tributary_proto::Source;
use tributary_runtime::stage::Rejection;

use kind::Kind;
use record::Record;
use statement::{Says, Statement};

use crate::content;
use crate::decoded::Decoded;
use crate::identifiers::Identifiers;
use crate::limits::ID_BYTES_MAX;
use crate::milestone::{Given, MilestoneFields, amount};
use crate::reason;
use crate::rules::Rules;
use crate::scalar::{Scalar, json_rejection};
use crate::touch::TouchFields;

/// Fields that are not part of a record's content: its id, and what the transport adds.
const NOT_CONTENT: [&str; 2] = ["event_id", "received_at"];

/// Decodes one native record.
///
/// # Errors
/// When it is refused; nothing was added to `out` then.
pub(crate) fn decode(
    rules: &Rules,
    text: &str,
    source: Source,
    received_ms: Option<i64>,
    out: &mut Decoded,
) -> Result<(), Rejection> {
    let mut record = record::read(text, &rules.identifiers).map_err(|error| json_rejection(&error))?;
    if let Some(field) = record.duplicate.take() {
        return Err(Rejection::new(reason::KEY_DUPLICATE, field, "the field stands twice in its record"));
    }
    let kind = Kind::read(std::mem::take(&mut record.kind))?;
    let received_ms = rules.received_ms(std::mem::take(&mut record.received_at), "received_at")?.or(received_ms);
    let (time, field) = match kind {
        Kind::Spend if !record.day.is_null() => (std::mem::take(&mut record.day), "day"),
        _ => (std::mem::take(&mut record.timestamp), "timestamp"),
    };
    let time_ms = rules.event_time(time, field, received_ms)?;
    let mut identifiers = Identifiers::default();
    for (rule, value) in &record.identifiers {
        identifiers.add(&rules.identifiers, rule, value, &rule.name)?;
    }
    let traits = std::mem::take(&mut record.traits).into_traits()?;
    let event_id = match event_id(std::mem::take(&mut record.event_id), "event_id")? {
        Some(id) => id,
        None => content::hash(text, &NOT_CONTENT).map_err(|error| json_rejection(&error))?,
    };
    if kind == Kind::Spend {
        out.spends.push(spend::read(rules, record, event_id, time_ms)?);
        return Ok(());
    }
    let says = says(rules, kind, record)?;
    Statement { event_id, time_ms, identifiers, traits, says }.add(rules, source, received_ms, out)
}

/// The sender's id of an event; `None` when absent or blank.
pub(crate) fn event_id(value: Scalar<'_>, field: &'static str) -> Result<Option<String>, Rejection> {
    match value.text(field)? {
        Some(id) if id.len() > ID_BYTES_MAX => {
            Err(Rejection::new(reason::VALUE_INVALID, field, format!("an event id has at most {ID_BYTES_MAX} bytes")))
        }
        Some(id) => Ok(Some(id.into_owned())),
        None => Ok(None),
    }
}

/// What the record says, by its kind.
fn says<'a>(rules: &Rules, kind: Kind, record: Record<'a, '_>) -> Result<Says<'a>, Rejection> {
    Ok(match kind {
        Kind::Touch => Says::Touch(touch_fields(record)?),
        Kind::Milestone => Says::Milestone(milestone(rules, record)?),
        Kind::Identify => Says::Identify,
        Kind::Account => Says::Account,
        Kind::Link => Says::Link,
        Kind::Unlink => Says::Unlink,
        Kind::Consent => Says::Consent { granted: granted(record.consent)? },
        Kind::Erase => Says::Erase,
        // No event: see `decode`.
        Kind::Spend => return Err(Rejection::new(reason::KIND_UNKNOWN, "kind", "a spend record is no event")),
    })
}

fn touch_fields<'a>(record: Record<'a, '_>) -> Result<TouchFields<'a>, Rejection> {
    let text = |value: Scalar<'a>, field| value.text(field).map(Option::unwrap_or_default);
    Ok(TouchFields {
        channel: text(record.channel, "channel")?,
        source: text(record.source, "source")?,
        medium: text(record.medium, "medium")?,
        campaign: text(record.campaign, "campaign")?,
        content: text(record.content, "content")?,
        term: text(record.term, "term")?,
        touch_type: text(record.touch_type, "touch_type")?,
        url: text(record.url, "url")?,
        referrer: text(record.referrer, "referrer")?,
    })
}

fn milestone<'a>(rules: &Rules, record: Record<'a, '_>) -> Result<MilestoneFields<'a>, Rejection> {
    let Some(kind) = record.milestone.text("milestone")? else {
        return Err(Rejection::new(reason::FIELD_MISSING, "milestone", "a milestone record needs the kind of milestone"));
    };
    let occurred_at = record.occurred_at.text("occurred_at")?;
    Ok(MilestoneFields {
        kind,
        object_id: record.object_id.text("object_id")?.unwrap_or_default(),
        occurred_at: match occurred_at {
            Some(text) => Given::Is(rules.times.read(&text, "occurred_at")?),
            None if record.cleared.occurred_at => Given::Cleared,
            None => Given::Nothing,
        },
        value: record.value.map(|raw| amount(raw, "value")).transpose()?.unwrap_or_default(),
        currency: match record.currency.text("currency")? {
            None if record.cleared.currency => Given::Cleared,
            said => Given::of(said),
        },
        refund: record.refund.map(|raw| amount(raw, "refund")).transpose()?.and_then(Given::into_value),
        withdrawn: flag(record.withdrawn, "withdrawn")?,
        amends: flag(record.amends, "amends")?,
    })
}

/// A flag as JSON or a spreadsheet writes it; absent is false.
fn flag(value: Scalar<'_>, field: &'static str) -> Result<bool, Rejection> {
    let text: Cow<'_, str> = match value.text(field)? {
        None => return Ok(false),
        Some(text) => text,
    };
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "y" | "是" => Ok(true),
        "false" | "0" | "no" | "n" | "否" => Ok(false),
        _ => Err(Rejection::new(reason::VALUE_INVALID, field, "expected true or false")),
    }
}

fn granted(value: Scalar<'_>) -> Result<bool, Rejection> {
    match value.text("consent")?.as_deref() {
        Some("granted") => Ok(true),
        Some("revoked") => Ok(false),
        Some(_) => Err(Rejection::new(reason::VALUE_INVALID, "consent", "expected granted or revoked")),
        None => Err(Rejection::new(reason::FIELD_MISSING, "consent", "a consent record says granted or revoked")),
    }
}

impl Rules {
    /// A receive time inside a record; `None` when absent or blank.
    pub(crate) fn received_ms(&self, value: Scalar<'_>, field: &'static str) -> Result<Option<i64>, Rejection> {
        value.text(field)?.map(|text| self.times.read(&text, field)).transpose()
    }

    /// An event's time, which must be given.
    pub(crate) fn event_time(
        &self,
        value: Scalar<'_>,
        field: &'static str,
        received_ms: Option<i64>,
    ) -> Result<i64, Rejection> {
        let Some(text) = value.text(field)? else {
            return Err(Rejection::new(reason::TIMESTAMP_MISSING, field, "every event needs its time"));
        };
        let time_ms = self.times.read(&text, field)?;
        self.times.check_future(time_ms, received_ms, field)?;
        Ok(time_ms)
    }
}
