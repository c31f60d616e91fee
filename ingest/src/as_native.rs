//! An event written as the native record that says the same: for people who look at what was decoded, and for tests.

use jiff::Timestamp;
use serde_json::{Map, Value};
use tributary_proto::event::Body;
use tributary_proto::{Event, Identifier, MilestoneVersion, Touch, kind};

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
        Some(Body::Account(_)) => set("kind", "account".into()),
        Some(Body::Link(_)) => set("kind", "link".into()),
        Some(Body::Unlink(_)) => set("kind", "unlink".into()),
        Some(Body::Erase(_)) => set("kind", "erase".into()),
        _ => {}
    }
    if !event.traits.is_empty() {
        set("traits", event.traits.iter().map(|named| (named.name.clone(), Value::from(named.value.clone()))).collect());
    }
    for identifier in event.identifiers.iter().chain(&event.account_identifiers) {
        name(&mut record, identifier);
    }
    Value::Object(record)
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
            Some(amount) => set(field, amount.to_string().into()),
            None if cleared => set(field, Value::Null),
            None => {}
        }
    }
    if version.currency_cleared {
        set("currency", Value::Null);
    } else if !version.currency.is_empty() {
        set("currency", version.currency.as_str().into());
    }
    if version.withdrawn {
        set("withdrawn", true.into());
    }
    if version.amends {
        set("amends", true.into());
    }
    if version.occurrence > 0 {
        set("occurrence", version.occurrence.into());
    }
}

fn time(time_ms: i64) -> Value {
    Timestamp::from_millisecond(time_ms).map_or(Value::Null, |time| time.to_string().into())
}

/// Adds an identifier to the field of its kind; several make a list.
fn name(record: &mut Map<String, Value>, identifier: &Identifier) {
    let Identifier { kind: of, scope, value } = identifier;
    let field = if of == kind::CRM_ACCOUNT { "account" } else { of };
    let text = Value::from(if scope.is_empty() { value.clone() } else { format!("{scope}:{value}") });
    match record.get_mut(field) {
        None => drop(record.insert(field.to_owned(), text)),
        Some(Value::Array(list)) => list.push(text),
        Some(known) => *known = Value::Array(vec![known.take(), text]),
    }
}
