//! Providers that an operator describes: a mapping gives, for each event in a body, the location of the fields of a native record.

pub(crate) mod compiled;
mod exact;
pub mod settings;

use std::borrow::Cow;

use jiff::Timestamp;
use jsonpath_rust::parser::model::JpQuery;
use jsonpath_rust::query::js_path_process;
use serde_json::{Map, Value};
use tributary_runtime::stage::Rejection;

use compiled::{Event, Field, From, Of};
use exact::exact;
use settings::TextForm;

use super::records::placed;
use crate::decoded::Decoded;
use crate::ignored::Ignored;
use crate::limits::ELEMENTS_MAX;
use crate::native;
use crate::normalise::text::clean;
use crate::receipt::Receipt;
use crate::rules::Rules;
use crate::{money, reason};

/// Decodes a body by its provider's mapping. Events are independent: each is accepted or refused alone.
///
/// # Errors
/// When the body is not JSON, or has more than [`ELEMENTS_MAX`] events.
pub(super) fn decode(rules: &Rules, provider: &str, json: &str, receipt: Receipt, out: &mut Decoded) -> Result<(), Rejection> {
    let body = exact(json)?;
    let mut found = Vec::new();
    for event in rules.webhook.mappings.0.get(provider).into_iter().flatten() {
        found.extend(nodes(&event.each, &body).into_iter().map(|node| (event, node)));
    }
    if found.len() > ELEMENTS_MAX {
        let detail = format!("the body has {} events, at most {ELEMENTS_MAX} are read; send fewer at once", found.len());
        return Err(Rejection::new(reason::RECORD_TOO_LARGE, "body", detail));
    }
    if found.is_empty() {
        out.without_event += 1;
    }
    for (index, (event, node)) in (0u32..).zip(found) {
        let mut ignored = Ignored::default();
        let refused = match event.record(node, &body, &mut ignored) {
            Ok(Some(record)) => {
                let decoded = native::decode(rules, &record.to_string(), receipt, out);
                if decoded.is_ok() {
                    out.ignored.merge(ignored);
                }
                decoded.err()
            }
            Ok(None) => {
                out.without_event += 1;
                None
            }
            Err(rejection) => Some(rejection),
        };
        out.rejections.extend(refused.map(|rejection| placed(rejection, index, "")));
    }
    Ok(())
}

impl Event {
    /// The native record of an event; `None` if its kind or milestone maps to nothing. A field that cannot be read becomes [`unreadable`]:
    /// decoding the native record decides whether the event needs it.
    fn record(&self, event: &Value, body: &Value, ignored: &mut Ignored) -> Result<Option<Value>, Rejection> {
        let (mut record, mut traits, mut dimensions) = (Map::new(), Map::new(), Map::new());
        for field in &self.fields {
            let mut texts = field.texts(event, body);
            if texts.len() > 1 && !field.is_list {
                texts = vec![Err(field.refuse("the path finds several values, and the field has one"))];
            }
            if field.is_list {
                let values: Vec<Value> =
                    texts.into_iter().map(|text| text.map_or_else(|_| unreadable(), Value::from)).collect();
                if !values.is_empty() {
                    record.insert(field.name.clone(), values.into());
                }
                continue;
            }
            match texts.pop() {
                None if field.decides() => return Ok(None),
                None => {}
                Some(Ok(text)) if field.of == Of::Traits => drop(traits.insert(field.name.clone(), text.into())),
                Some(Ok(text)) if field.of == Of::Dimensions => drop(dimensions.insert(field.name.clone(), text.into())),
                // A number written by a program (numbers of JSON are texts here).
                Some(Ok(text)) if matches!(field.name.as_str(), "value" | "refund") => {
                    drop(record.insert(field.name.clone(), money::exact(&text).into_owned().into()));
                }
                Some(Ok(text)) => drop(record.insert(field.name.clone(), text.into())),
                Some(Err(why)) if field.of != Of::Record => {
                    ignored.note(Rejection::new(why.reason, field.of.name(), why.detail));
                }
                Some(Err(why)) if field.decides() || field.name == "timestamp" => return Err(why),
                Some(Err(_)) => drop(record.insert(field.name.clone(), unreadable())),
            }
        }
        for (of, fields) in
            [(Of::Traits, traits), (Of::Dimensions, dimensions)].into_iter().filter(|(_, fields)| !fields.is_empty())
        {
            record.insert(of.name().to_owned(), fields.into());
        }
        Ok(Some(record.into()))
    }
}

impl Field {
    /// Whether there is no event if this field is empty.
    fn decides(&self) -> bool {
        self.of == Of::Record && matches!(self.name.as_str(), "kind" | "milestone")
    }

    /// The texts of the field's values.
    fn texts(&self, event: &Value, body: &Value) -> Vec<Result<String, Rejection>> {
        let found = match &self.from {
            From::Event(path) => nodes(path, event),
            From::Root(path) => nodes(path, body),
            From::Constant => return vec![Ok(self.source.value.clone())],
        };
        let mut texts = Vec::new();
        for node in found {
            // A list stands for its elements.
            let several = node.as_array().map(Vec::as_slice).unwrap_or(std::slice::from_ref(node));
            for value in several {
                texts.extend(self.text(value).transpose());
            }
        }
        if texts.is_empty() && !self.source.default.is_empty() {
            texts.push(Ok(self.source.default.clone()));
        }
        texts
    }

    fn text(&self, value: &Value) -> Result<Option<String>, Rejection> {
        let text: Cow<'_, str> = match value {
            Value::String(text) => clean(text),
            Value::Bool(flag) => Cow::Borrowed(if *flag { "true" } else { "false" }),
            Value::Null => Cow::Borrowed(""),
            _ => return Err(self.refuse("the path finds an object or a list of lists, and not text")),
        };
        let text = if self.source.map.is_empty() {
            text
        } else {
            Cow::Borrowed(self.source.map.get(&*text).map_or("", String::as_str))
        };
        if text.is_empty() {
            return Ok(None);
        }
        let time = |unit: i64| {
            let ms = text.parse::<i64>().ok().and_then(|number| number.checked_mul(unit)).filter(|ms| *ms >= 0).map(time_text);
            ms.filter(|text| !text.is_empty()).ok_or_else(|| {
                Rejection::new(reason::TIMESTAMP_INVALID, self.name.clone(), "expected a whole number since 1970-01-01 UTC")
            })
        };
        let text = match self.source.form {
            TextForm::Text => text.into_owned(),
            TextForm::UnixSeconds => time(1000)?,
            TextForm::UnixMillis => time(1)?,
        };
        Ok(Some(format!("{}{text}", self.source.prefix)))
    }

    fn refuse(&self, detail: &str) -> Rejection {
        Rejection::new(reason::VALUE_INVALID, self.name.clone(), detail)
    }
}

/// A value that no field accepts.
fn unreadable() -> Value {
    Value::Object(Map::new())
}

/// The matches of a path. A compiled query cannot fail.
fn nodes<'a>(path: &JpQuery, value: &'a Value) -> Vec<&'a Value> {
    js_path_process(path, value).map(|found| found.into_iter().map(|node| node.val()).collect()).unwrap_or_default()
}

/// A time as native records write it; empty if the time does not exist.
fn time_text(time_ms: i64) -> String {
    Timestamp::from_millisecond(time_ms).map_or_else(|_| String::new(), |time| time.to_string())
}
