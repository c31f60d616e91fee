//! What a provider's event says is written as native records, so that there is one set of rules for values, times and money.

use jiff::Timestamp;
use serde_json::{Map, Value};
use tributary_proto::Source;
use tributary_runtime::stage::Rejection;

use crate::decoded::Decoded;
use crate::native;
use crate::rules::Rules;

/// Takes the native records of one element of a body.
pub(super) struct Records<'a> {
    pub(super) rules: &'a Rules,
    pub(super) received_ms: Option<i64>,
    out: &'a mut Decoded,
    /// The element's place in the body.
    index: u32,
    place: String,
}

impl<'a> Records<'a> {
    /// Of the element at `index`, which messages call `place`.
    pub(super) fn new(rules: &'a Rules, received_ms: Option<i64>, out: &'a mut Decoded, index: u32, place: String) -> Self {
        Self { rules, received_ms, out, index, place }
    }

    /// Decodes a native record; what is refused becomes a rejection of this element.
    pub(super) fn add(&mut self, record: &Record) {
        let text = Value::Object(record.0.clone()).to_string();
        if let Err(rejection) = native::decode(self.rules, &text, Source::Webhook, self.received_ms, self.out) {
            self.refuse(rejection);
        }
    }

    /// Refuses something of this element; the rest of it stands.
    pub(super) fn refuse(&mut self, rejection: Rejection) {
        self.out.rejections.push(placed(rejection, self.index, &self.place));
    }

    /// The element says nothing that matters here.
    pub(super) fn nothing(&mut self) {
        self.out.without_event += 1;
    }
}

/// A rejection of the element at `index` of a body, which messages call `place`.
pub(super) fn placed(mut rejection: Rejection, index: u32, place: &str) -> Rejection {
    rejection.index = index;
    rejection.field = match (place, rejection.field.as_str()) {
        ("", _) => rejection.field,
        (place, "") => place.to_owned(),
        (place, field) => format!("{place}.{field}"),
    };
    rejection
}

/// A native record that is being written.
#[derive(Debug, Clone, Default)]
pub(super) struct Record(Map<String, Value>);

impl Record {
    /// A record of a kind; `time_ms` is milliseconds since 1970-01-01 UTC.
    pub(super) fn new(kind: &str, event_id: String, time_ms: i64) -> Self {
        let mut record = Self(Map::new());
        record.set("kind", kind);
        record.set("event_id", event_id);
        record.set("timestamp", time_text(time_ms));
        record
    }

    /// Sets a field; blank text sets nothing.
    pub(super) fn set(&mut self, field: &str, text: impl Into<String>) {
        let text = text.into();
        if !text.is_empty() {
            self.0.insert(field.to_owned(), Value::String(text));
        }
    }

    /// Sets a field that has several values.
    pub(super) fn set_list(&mut self, field: &str, texts: &[String]) {
        self.0.insert(field.to_owned(), texts.iter().map(String::as_str).collect());
    }

    /// Adds an identifier. One that its kind refuses is a rejection of its own and costs the event nothing else: people type what
    /// they like into a CRM.
    pub(super) fn name(&mut self, kind: &'static str, text: &str, records: &mut Records<'_>) {
        let rules = &records.rules.identifiers;
        let refused = rules.find(kind).and_then(|rule| rules.normalise(rule, text).err());
        if let Some(refused) = refused {
            return records.refuse(Rejection::new(refused.reason, kind, refused.detail));
        }
        match self.0.entry(kind).or_insert_with(|| Value::Array(Vec::new())) {
            Value::Array(list) if !text.is_empty() => list.push(text.into()),
            _ => {}
        }
    }

    /// Sets a trait.
    pub(super) fn set_trait(&mut self, name: &str, text: &str) {
        if let Value::Object(traits) = self.0.entry("traits").or_insert_with(|| Value::Object(Map::new())) {
            traits.insert(name.to_owned(), text.into());
        }
    }
}

/// A time as native records write it.
pub(super) fn time_text(time_ms: i64) -> String {
    Timestamp::from_millisecond(time_ms).map_or_else(|_| String::new(), |time| time.to_string())
}
