//! Writes an event as the equivalent native record: for people who look at decoded events, and for tests.

use jiff::Timestamp;
use serde_json::{Map, Value};
use tributary_proto::event::Body;
use tributary_proto::{AccountRecord, Contact, Event, Identifier, MilestoneVersion, Touch, kind};

use crate::contacts;
use crate::dimensions::{self, Dimensions};
use crate::money;
use crate::native::kind::RECORD_FIELD;
use crate::receipt::{TRUST_FIELD, Trust};

/// The native record of an event.
pub fn as_native(event: &Event) -> Value {
    let mut record = Map::new();
    let mut set = |field: &str, value: Value| drop(record.insert(field.to_owned(), value));
    set("event_id", event.event_id.as_str().into());
    set("timestamp", time(event.time_ms));
    match &event.body {
        Some(Body::Touch(touch)) => {
            set("kind", "touch".into());
            texts(touch).into_iter().filter(|(_, text)| !text.is_empty()).for_each(|(field, text)| set(field, text.into()));
            touch.dimensions.iter().for_each(|own| set(dimensions::FIELD, of_dimensions(&own.values)));
        }
        Some(Body::Milestone(version)) => {
            set("kind", "milestone".into());
            milestone(version, &mut set);
        }
        Some(Body::Consent(consent)) => {
            set("kind", "consent".into());
            set("consent", if consent.granted { "granted" } else { "revoked" }.into());
        }
        Some(Body::Identify(_)) => set("kind", "identify".into()),
        Some(Body::Account(account)) => {
            set("kind", "account".into());
            of_account(account, &mut set);
        }
        Some(Body::Link(_)) => set("kind", "link".into()),
        Some(Body::Unlink(_)) => set("kind", "unlink".into()),
        Some(Body::Erase(_)) => set("kind", "erase".into()),
        Some(Body::Retract(retract)) => {
            set("kind", "retract".into());
            match retract.milestone_id.split_once(':') {
                Some((kind, object_id)) => {
                    set("milestone", kind.into());
                    set("object_id", object_id.into());
                }
                None if retract.object_id.is_empty() => {}
                None => set("object_id", retract.object_id.as_str().into()),
            }
        }
        Some(Body::ObjectContacts(of)) => {
            set("kind", "contacts".into());
            set("object_id", of.object_id.as_str().into());
        }
        None => {}
    }
    let deleted = if let Some(Body::Retract(retract)) = &event.body { retract.record.as_str() } else { "" };
    if let Some(record) = [event.record.as_str(), deleted].into_iter().find(|record| !record.is_empty()) {
        set(RECORD_FIELD, record.into());
    }
    if event.public {
        set(TRUST_FIELD, Trust::Public.name().into());
    }
    if !event.contacts.is_empty() {
        set(contacts::FIELD, event.contacts.iter().map(contact).collect());
    }
    if !event.traits.is_empty() {
        set("traits", event.traits.iter().map(|named| (named.name.clone(), Value::from(named.value.clone()))).collect());
    }
    for identifier in event.identifiers.iter().chain(&event.account_identifiers) {
        name(&mut record, identifier);
    }
    Value::Object(record)
}

fn of_account(account: &AccountRecord, set: &mut impl FnMut(&str, Value)) {
    if account.gone {
        set("withdrawn", true.into());
    }
    match &account.parent {
        Some(parent) => set("parent", parent.value.as_str().into()),
        None if account.parent_cleared => set("parent", Value::Null),
        None => {}
    }
}

fn contact(contact: &Contact) -> Value {
    let mut shown = Map::new();
    contact.identifier.iter().for_each(|identifier| name(&mut shown, identifier));
    if !contact.role.is_empty() {
        shown.insert("role".to_owned(), contact.role.as_str().into());
    }
    if contact.removed {
        shown.insert("removed".to_owned(), true.into());
    }
    shown.into()
}

fn texts(touch: &Touch) -> [(&'static str, &str); 7] {
    [
        ("channel", &touch.channel),
        ("source", &touch.source),
        ("medium", &touch.medium),
        ("campaign", &touch.campaign),
        ("content", &touch.content),
        ("term", &touch.term),
        ("touch_type", &touch.touch_type),
    ]
}

fn milestone(version: &MilestoneVersion, set: &mut impl FnMut(&str, Value)) {
    set("milestone", version.kind.as_str().into());
    set("object_id", version.object_id.as_str().into());
    if let Some(occurred_at_ms) = version.occurred_at_ms {
        set("occurred_at", time(occurred_at_ms));
    }
    for (field, amount, cleared) in [("value", &version.value, version.value_cleared), ("refund", &version.refund, false)] {
        match amount {
            Some(amount) => set(field, money::exact(&amount.to_string()).into_owned().into()),
            None if cleared => set(field, Value::Null),
            None => {}
        }
    }
    if version.currency_cleared {
        set("currency", Value::Null);
    } else if !version.currency.is_empty() {
        set("currency", version.currency.as_str().into());
    }
    if version.withdrawn || version.restored {
        set("withdrawn", version.withdrawn.into());
    }
    if version.amends {
        set("amends", true.into());
    }
    if let Some(account) = &version.former_account {
        set("former_account", account.value.as_str().into());
    }
    if version.occurrence > 0 {
        set("occurrence", version.occurrence.into());
    }
    if !version.dimensions.is_empty() {
        set(dimensions::FIELD, of_dimensions(&version.dimensions));
    }
}

fn of_dimensions(values: &Dimensions) -> Value {
    let shown = |value: &String| if value.is_empty() { Value::Null } else { value.as_str().into() };
    values.iter().map(|(name, value)| (name.clone(), shown(value))).collect()
}

fn time(time_ms: i64) -> Value {
    Timestamp::from_millisecond(time_ms).map_or(Value::Null, |time| time.to_string().into())
}

/// Adds an identifier to the field of its kind; several become a list.
fn name(record: &mut Map<String, Value>, identifier: &Identifier) {
    let Identifier { kind: of, scope, value } = identifier;
    let field = if of == kind::CRM_ACCOUNT { "account" } else { of.as_str() };
    let text = Value::from(if scope.is_empty() { value.to_string() } else { format!("{scope}:{value}") });
    match record.get_mut(field) {
        None => drop(record.insert(field.to_owned(), text)),
        Some(Value::Array(list)) => list.push(text),
        Some(known) => *known = Value::Array(vec![known.take(), text]),
    }
}
