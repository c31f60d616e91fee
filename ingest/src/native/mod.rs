//! The native record: flat, so that it is the same thing as a JSON object and as a CSV row.

pub(crate) mod kind;
pub(crate) mod record;
mod spend;

use std::borrow::Cow;

use tributary_proto::event::Body;
use tributary_proto::{AccountRecord, Consent, Erase, Event, Identify, Link, Source, Unlink};
use tributary_runtime::stage::Rejection;

use kind::Kind;
use record::Record;

use crate::content;
use crate::decoded::Decoded;
use crate::identifiers::{Identifiers, Sorted};
use crate::limits::ID_BYTES_MAX;
use crate::milestone::MilestoneFields;
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
    let blocked = identifiers.blocked;
    let mut named = identifiers.sorted();
    let traits = std::mem::take(&mut record.traits).into_traits()?;
    let event_id = match event_id(std::mem::take(&mut record.event_id), "event_id")? {
        Some(id) => id,
        None => content::hash(text, &NOT_CONTENT).map_err(|error| json_rejection(&error))?,
    };
    if kind == Kind::Spend {
        out.spends.push(spend::read(rules, record, event_id, time_ms)?);
        return Ok(());
    }
    let body = body(rules, kind, record, &mut named, source, received_ms)?;
    let Sorted { people, accounts } = named;
    out.blocked += blocked;
    out.events.push(Event {
        event_id,
        time_ms,
        source: source.into(),
        identifiers: people,
        account_identifiers: accounts,
        traits,
        body: Some(body),
    });
    Ok(())
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

fn body(
    rules: &Rules,
    kind: Kind,
    record: Record<'_, '_>,
    named: &mut Sorted,
    source: Source,
    received_ms: Option<i64>,
) -> Result<Body, Rejection> {
    let missing = |detail: &str| Err(Rejection::new(reason::IDENTIFIER_MISSING, "", detail));
    match kind {
        Kind::Touch => {
            let touch = rules.touches.touch(touch_fields(record)?, source, &rules.identifiers, named)?;
            if named.is_empty() {
                return missing("a touch needs an identifier of a person or an account");
            }
            Ok(Body::Touch(touch))
        }
        Kind::Milestone => milestone(rules, record, received_ms),
        Kind::Identify if named.people.is_empty() => missing("an identify record needs an identifier of a person"),
        Kind::Identify => Ok(Body::Identify(Identify {})),
        Kind::Account if named.accounts.is_empty() => missing("an account record needs an account or a domain"),
        Kind::Account => Ok(Body::Account(AccountRecord {})),
        Kind::Link | Kind::Unlink if named.people.len() < 2 && named.accounts.len() < 2 => {
            missing("a link or unlink needs two identifiers of people, or two of accounts")
        }
        Kind::Link => Ok(Body::Link(Link {})),
        Kind::Unlink => Ok(Body::Unlink(Unlink {})),
        Kind::Consent if named.people.is_empty() => missing("consent needs an identifier of a person"),
        Kind::Consent => Ok(Body::Consent(Consent { granted: granted(record.consent)? })),
        Kind::Erase if named.people.is_empty() => missing("an erasure needs an identifier of a person"),
        Kind::Erase => Ok(Body::Erase(Erase {})),
        // No event: see `decode`.
        Kind::Spend => Err(Rejection::new(reason::KIND_UNKNOWN, "kind", "a spend record is no event")),
    }
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

fn milestone(rules: &Rules, record: Record<'_, '_>, received_ms: Option<i64>) -> Result<Body, Rejection> {
    let Some(kind) = record.milestone.text("milestone")? else {
        return Err(Rejection::new(reason::FIELD_MISSING, "milestone", "a milestone record needs the kind of milestone"));
    };
    let fields = MilestoneFields {
        kind: &kind,
        object_id: &record.object_id.text("object_id")?.unwrap_or_default(),
        occurred_at: record.occurred_at.text("occurred_at")?,
        value: record.value,
        currency: record.currency.text("currency")?,
        withdrawn: flag(record.withdrawn, "withdrawn")?,
        amends: flag(record.amends, "amends")?,
    };
    rules.milestone(fields, received_ms).map(Body::Milestone)
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
