//! The native record: flat, so that it is the same as a JSON object and as a CSV row.

pub(crate) mod kind;
pub(crate) mod record;
mod spend;
pub(crate) mod statement;

use tributary_proto::Identifier;
use tributary_runtime::stage::Rejection;

use kind::Kind;
use record::NativeRecord;
use statement::{OfRecord, Says, Statement};

use crate::decoded::Decoded;
use crate::identifiers::Identifiers;
use crate::ignored::Ignored;
use crate::lenient::Raw;
use crate::limits::ID_BYTES_MAX;
use crate::milestone::{Given, MilestoneFields, amount_in};
use crate::receipt::{Receipt, TRUST_FIELD};
use crate::rules::Rules;
use crate::scalar::{Scalar, flag, json_rejection, said_flag};
use crate::time::OfDay;
use crate::touch::TouchFields;
use crate::{contacts, dimensions, public, reason, tolerant};

/// Fields that are not part of a record's content: its id, and fields added in transport.
const NOT_CONTENT: [&str; 4] = ["event_id", "received_at", "user_agent", TRUST_FIELD];

/// Decodes one native record.
///
/// # Errors
/// When it is refused; nothing was added to `out` then.
pub(crate) fn decode(rules: &Rules, text: &str, receipt: Receipt, out: &mut Decoded) -> Result<(), Rejection> {
    let mut record = record::read(text, &rules.identifiers).map_err(|error| json_rejection(&error))?;
    let receipt = receipt.marked(&record.trust);
    out.public |= receipt.is_public();
    let kind = Kind::read(std::mem::take(&mut record.kind))?;
    let mut ignored = Ignored::default();
    let received_at = rules.times.of_json(record.received_at, "received_at", OfDay::Begin);
    let receipt = receipt.at(ignored.read(received_at).flatten());
    let (time, field) = match (kind, record.day) {
        (Kind::Spend, Raw::Value(_)) => (record.day, "day"),
        _ => (record.timestamp, "timestamp"),
    };
    let missing = || Rejection::new(reason::TIMESTAMP_MISSING, field, "every event needs its time");
    let time_ms = rules.times.of_json(time, field, kind.of_day())?.ok_or_else(missing)?;
    rules.check_time(time_ms, &receipt, field)?;
    let crm_record = tolerant::record_id(std::mem::take(&mut record.crm_record), rules, &mut ignored);
    if kind == Kind::Retract && crm_record.is_none() && record.event_id.clone().text("event_id")?.is_none() {
        let detail = "a retraction has the id of the event that it takes back, or the `crm_record` that it reported";
        return Err(Rejection::new(reason::FIELD_MISSING, "event_id", detail));
    }
    let event_id = tolerant::event_id(std::mem::take(&mut record.event_id), "event_id", text, &NOT_CONTENT, &mut ignored)?;
    if kind == Kind::Spend {
        public::check(&receipt, "kind", Some("costs are told"))?;
        out.spends.push(spend::read(rules, record, event_id, time_ms, &mut ignored)?);
        out.ignored.merge(ignored);
        return Ok(());
    }
    if kind == Kind::Touch && tolerant::is_bot(rules, std::mem::take(&mut record.user_agent), "user_agent", &mut ignored) {
        out.bots += 1;
        return Ok(());
    }
    let identifiers = identifiers(rules, &mut record, &mut ignored);
    if record.traits_wrong {
        ignored.note(Rejection::new(reason::VALUE_INVALID, "traits", "expected an object"));
    }
    let traits = std::mem::take(&mut record.traits).into_traits(&mut ignored);
    if !record.dimensions.is_empty() && !matches!(kind, Kind::Touch | Kind::Milestone) {
        let why = "only records of touches, milestones and spend have dimensions";
        ignored.note(Rejection::new(reason::VALUE_INVALID, dimensions::FIELD, why));
    }
    let contacts = contacts::read(&rules.identifiers, record.contacts, &mut ignored);
    let (says, of_record) = match (kind, crm_record) {
        (Kind::Retract, Some(id)) => (Says::RecordDeleted { id }, None),
        (_, id) => (says(rules, kind, record, &mut ignored)?, id.map(|id| OfRecord { id, at_ms: time_ms })),
    };
    Statement { event_id, time_ms, identifiers, traits, contacts, says, of_record, ignored }.add(rules, receipt, out)
}

/// The identifiers in a record.
fn identifiers(rules: &Rules, record: &mut NativeRecord<'_, '_>, ignored: &mut Ignored) -> Identifiers {
    let mut found = Identifiers::default();
    // Strongest first, in any order of the fields: if there are too many, the weakest are left out.
    record.identifiers.sort_by_key(|(rule, _)| (rule.account, rule.rank));
    for (rule, values) in &record.identifiers {
        found.add_field(&rules.identifiers, rule, values, &rule.name, ignored);
    }
    found
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

/// The content of the record, by its kind.
fn says<'a>(rules: &Rules, kind: Kind, record: NativeRecord<'a, '_>, ignored: &mut Ignored) -> Result<Says<'a>, Rejection> {
    Ok(match kind {
        Kind::Touch => Says::Touch(touch_fields(rules, record, ignored)),
        Kind::Milestone => Says::Milestone(milestone(rules, record, ignored)?),
        Kind::Identify => Says::Identify,
        Kind::Account => {
            let above = parent(rules, &record, ignored);
            if flag(record.withdrawn, "withdrawn")? { Says::AccountGone } else { Says::Account(above) }
        }
        Kind::Link => Says::Link,
        Kind::Unlink => Says::Unlink,
        Kind::Consent => Says::Consent { granted: granted(record.consent)? },
        Kind::Erase => Says::Erase { person: false },
        Kind::Retract => Says::Retract {
            milestone: record.milestone.text("milestone")?.unwrap_or_default(),
            object_id: record.object_id.text("object_id")?.unwrap_or_default(),
        },
        Kind::Contacts => Says::Contacts { object_id: record.object_id.text("object_id")?.unwrap_or_default() },
        // Not an event: see `decode`.
        Kind::Spend => return Err(Rejection::new(reason::KIND_UNKNOWN, "kind", "a spend record is no event")),
    })
}

/// The parent of the account that a record is about.
fn parent(rules: &Rules, record: &NativeRecord<'_, '_>, ignored: &mut Ignored) -> Given<Identifier> {
    if record.cleared.parent {
        return Given::Cleared;
    }
    Given::of(Identifiers::account(&rules.identifiers, &record.parent, "parent", ignored))
}

fn touch_fields<'a>(rules: &Rules, record: NativeRecord<'a, '_>, ignored: &mut Ignored) -> TouchFields<'a> {
    let dimensions = rules.dimensions.read(record.dimensions, ignored);
    let mut text = |value: Scalar<'a>, field| ignored.read(value.text(field)).flatten().unwrap_or_default();
    TouchFields {
        channel: text(record.channel, "channel"),
        source: text(record.source, "source"),
        medium: text(record.medium, "medium"),
        campaign: text(record.campaign, "campaign"),
        content: text(record.content, "content"),
        term: text(record.term, "term"),
        touch_type: text(record.touch_type, "touch_type"),
        url: text(record.url, "url"),
        referrer: text(record.referrer, "referrer"),
        dimensions,
    }
}

fn milestone<'a>(rules: &Rules, record: NativeRecord<'a, '_>, ignored: &mut Ignored) -> Result<MilestoneFields<'a>, Rejection> {
    let Some(kind) = record.milestone.text("milestone")? else {
        return Err(Rejection::new(reason::FIELD_MISSING, "milestone", "a milestone record needs the kind of milestone"));
    };
    let occurred_at = ignored.read(record.occurred_at.text("occurred_at")).flatten();
    let occurred_at = occurred_at.map(|text| rules.times.read_of_day(&text, "occurred_at", OfDay::End));
    let currency = ignored.read(record.currency.text("currency")).map(|said| match said {
        None if record.cleared.currency => Given::Cleared,
        said => Given::of(said),
    });
    let occurred_at = ignored.read(occurred_at.transpose()).flatten();
    let (withdrawn, amends) = (said_flag(record.withdrawn, "withdrawn")?, flag(record.amends, "amends")?);
    let mut fields = MilestoneFields {
        kind,
        object_id: record.object_id.text("object_id")?.unwrap_or_default(),
        occurred_at: match occurred_at {
            Some(time_ms) => Given::Is(time_ms),
            None if record.cleared.occurred_at => Given::Cleared,
            None => Given::Nothing,
        },
        value: amount_in(record.value, "value", ignored),
        refund: amount_in(record.refund, "refund", ignored).into_value(),
        // These decide whether there is a milestone, so they cannot be left out.
        withdrawn: withdrawn == Some(true),
        amends,
        restored: amends && withdrawn == Some(false),
        former_account: Identifiers::account(&rules.identifiers, &record.former_account, "former_account", ignored),
        occurrence: ignored.read(number(record.occurrence, "occurrence")).unwrap_or_default(),
        currency: Given::Nothing,
        dimensions: rules.dimensions.said(record.dimensions, ignored),
    };
    fields.set_currency(currency, ignored);
    Ok(fields)
}

/// A number from 1; 0 if there is none.
fn number(value: Scalar<'_>, field: &'static str) -> Result<u32, Rejection> {
    let Some(text) = value.text(field)? else { return Ok(0) };
    let number = text.parse().ok().filter(|number| *number > 0);
    number.ok_or_else(|| Rejection::new(reason::VALUE_INVALID, field, "expected a whole number from 1"))
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
}
