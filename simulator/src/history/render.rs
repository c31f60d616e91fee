//! Drafts of events become raw records.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use tributary_runtime::topic::Topic;

use super::{Raw, Said};
use crate::draw::Draw;

/// 2023-01-02T00:00:00Z.
const START_MS: i64 = 1_672_617_600_000;
/// Everything is received after the last event of any history.
pub(super) const RECEIVED_MS: i64 = START_MS + 4_000 * 86_400_000;

/// A time, in milliseconds since the beginning of the history.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment(pub i64);

impl Moment {
    /// Date and time in UTC, by the civil calendar.
    ///
    /// Source: Howard Hinnant, *chrono-Compatible Low-Level Date Algorithms*, `civil_from_days`.
    fn text(self) -> String {
        let ms = START_MS + self.0;
        let (days, rest) = (ms.div_euclid(86_400_000), ms.rem_euclid(86_400_000));
        let z = days + 719_468;
        let era = z.div_euclid(146_097);
        let doe = z.rem_euclid(146_097);
        let yoe = (doe - doe / 1_460 + doe / 36_524 - doe / 146_096) / 365;
        let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
        let mp = (5 * doy + 2) / 153;
        let day = doy - (153 * mp + 2) / 5 + 1;
        let month = if mp < 10 { mp + 3 } else { mp - 9 };
        let year = yoe + era * 400 + i64::from(month <= 2);
        let (seconds, millis) = (rest / 1_000, rest % 1_000);
        let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z")
    }
}

/// A draft of an event, to be written as a native record.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    event_id: String,
    pub(super) time: Moment,
    pub(super) occurred_at: Option<Moment>,
    fields: BTreeMap<&'static str, String>,
    identifiers: BTreeMap<&'static str, Vec<String>>,
    pub(super) traits: Vec<(&'static str, &'static str)>,
    cleared: Vec<&'static str>,
}

impl Draft {
    pub(super) fn new(event_id: String, time: Moment) -> Self {
        let (fields, identifiers) = (BTreeMap::new(), BTreeMap::new());
        Self { event_id, time, occurred_at: None, fields, identifiers, traits: Vec::new(), cleared: Vec::new() }
    }

    pub(super) fn set(&mut self, field: &'static str, value: impl Into<String>) {
        self.fields.insert(field, value.into());
    }

    /// Clears a field.
    pub(super) fn clear(&mut self, field: &'static str) {
        self.cleared.push(field);
    }

    pub(super) fn add(&mut self, kind: &'static str, value: String) {
        self.identifiers.entry(kind).or_default().push(value);
    }

    /// Whether it is a touch, as events without a kind are.
    pub(super) fn is_touch(&self) -> bool {
        !self.fields.contains_key("kind")
    }

    /// The same event of the same people without its other fields.
    pub(super) fn without_fields(&self) -> Self {
        let identifiers = self.identifiers.clone();
        Self { identifiers, ..Self::new(self.event_id.clone(), self.time) }
    }

    pub(super) fn names_account(&self) -> bool {
        self.identifiers.contains_key("account")
    }

    fn json(&self) -> Value {
        let mut record = Map::new();
        record.insert("event_id".into(), json!(self.event_id));
        record.insert("timestamp".into(), json!(self.time.text()));
        if let Some(occurred_at) = self.occurred_at {
            record.insert("occurred_at".into(), json!(occurred_at.text()));
        }
        record.extend(self.cleared.iter().map(|field| ((*field).to_owned(), Value::Null)));
        record.extend(self.fields.iter().map(|(field, value)| ((*field).to_owned(), json!(value))));
        record.extend(self.identifiers.iter().map(|(kind, values)| ((*kind).to_owned(), json!(values))));
        if !self.traits.is_empty() {
            let traits: Map<String, Value> = self.traits.iter().map(|(name, value)| ((*name).into(), json!(value))).collect();
            record.insert("traits".into(), Value::Object(traits));
        }
        Value::Object(record)
    }
}

/// One draft becomes a record; several become one push of a provider.
pub(super) fn record(draw: &mut Draw, drafts: &[Draft]) -> Raw {
    let mut all: Vec<Value> = drafts.iter().map(Draft::json).collect();
    match all.pop() {
        Some(one) if all.is_empty() => {
            let topic = draw.pick(&[0, 1]);
            raw(if topic == 0 { Topic::Offline } else { Topic::Utm }, one.to_string())
        }
        last => {
            all.extend(last);
            raw(Topic::Webhook, json!({ "provider": "native", "headers": {}, "body": all }).to_string())
        }
    }
}

/// A record that must be refused, completely or in part.
pub(super) fn poison(draw: &mut Draw) -> Raw {
    let time = Moment(0).text();
    let refused: [Value; 5] = [
        json!({ "user_id": "u-0", "channel": "email" }),
        json!({ "timestamp": time, "kind": "dance", "user_id": "u-0" }),
        json!({ "timestamp": time, "kind": "consent", "user_id": "u-0" }),
        json!({ "timestamp": "2099-01-01T00:00:00Z", "user_id": "u-0", "channel": "email" }),
        json!({ "timestamp": time, "kind": "link", "user_id": "u-0" }),
    ];
    match draw.below(8) {
        0 => raw(Topic::Offline, "{\"timestamp\": \"20".to_owned()),
        1 => raw(Topic::Utm, "[".repeat(100)),
        2 => {
            let body = [
                draw.pick(&refused),
                json!({ "timestamp": time, "user_id": "u-1", "channel": "email", "event_id": "beside-poison" }),
            ];
            raw(Topic::Webhook, json!({ "provider": "native", "headers": {}, "body": body }).to_string())
        }
        _ => raw(Topic::Offline, draw.pick(&refused).to_string()),
    }
}

fn raw(topic: Topic, value: String) -> Raw {
    Raw { topic, received_ms: RECEIVED_MS, said: Said::Text(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_civil_times() {
        assert_eq!(Moment(0).text(), "2023-01-02T00:00:00.000Z");
        assert_eq!(Moment(424 * 86_400_000 + 3_661_001).text(), "2024-03-01T01:01:01.001Z");
    }
}
