//! JSON objects whose fields stay as they are in the text: read to their ends and checked, but not interpreted.

use std::borrow::Cow;
use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use tributary_ingest::limits::JSON_DEPTH_MAX;

use crate::refusal::Refusal;

/// Messages are two levels deeper in a request than in a record.
const DEPTH_MAX: usize = JSON_DEPTH_MAX + 2;

/// A field's name, and its value as JSON text.
pub type Field<'a> = (Cow<'a, str>, &'a RawValue);

/// The fields of an object, in order, with duplicates.
#[derive(Debug, Default)]
pub struct Object<'a>(pub Vec<Field<'a>>);

impl<'a> Object<'a> {
    /// The value of a field; `None` if absent or null; the last one if it occurs twice.
    pub fn get(&self, name: &str) -> Option<&'a RawValue> {
        let found = self.0.iter().rev().find(|(known, _)| known == name).map(|(_, value)| *value);
        found.filter(|value| value.get() != "null")
    }

    /// The value of a field that is a text.
    pub fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        text(self.get(name)?)
    }
}

/// The text of a JSON string.
pub fn text(value: &RawValue) -> Option<Cow<'_, str>> {
    let inside = value.get().strip_prefix('"')?.strip_suffix('"')?;
    if inside.contains('\\') { serde_json::from_str(value.get()).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(inside)) }
}

/// The body as text, after a check of UTF-8 and of its depth.
///
/// # Errors
/// [`Refusal::Malformed`].
pub fn check(body: &[u8]) -> Result<&str, Refusal> {
    let text = std::str::from_utf8(body).map_err(|_| Refusal::Malformed("the body is not UTF-8"))?;
    if !tributary_ingest::limits::is_within_depth(text, DEPTH_MAX) {
        return Err(Refusal::Malformed("the JSON is nested too deeply"));
    }
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Fields)
    }
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(Name(name)) = map.next_key()? {
            fields.push((name, map.next_value()?));
        }
        Ok(Object(fields))
    }
}

/// A name, borrowed if it has no escapes.
#[derive(Deserialize)]
#[serde(transparent)]
struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

/// Writes an object field by field.
#[derive(Debug)]
pub struct Writer(String);

impl Writer {
    /// An object with no fields yet, in a buffer of about this many bytes.
    pub fn new(bytes: usize) -> Self {
        let mut text = String::with_capacity(bytes);
        text.push('{');
        Self(text)
    }

    /// Adds a field with a JSON value.
    pub fn raw(&mut self, name: &str, json: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        push_text(&mut self.0, name);
        self.0.push(':');
        self.0.push_str(json);
    }

    /// Adds a field with a text value.
    pub fn text(&mut self, name: &str, value: &str) {
        self.raw(name, "");
        push_text(&mut self.0, value);
    }

    /// The object.
    pub fn finish(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

fn push_text(out: &mut String, text: &str) {
    if text.bytes().all(|byte| byte >= b' ' && !matches!(byte, b'"' | b'\\')) {
        out.push('"');
        out.push_str(text);
        out.push('"');
    } else {
        out.push_str(&serde_json::Value::from(text).to_string());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn fields_stay_as_they_are_written() {
        let object: Object<'_> = serde_json::from_str(r#" {"a": 1.50, "\u0062": {"x":[ ]}, "a": null, "n": "\n"} "#).unwrap();
        let fields: Vec<(&str, &str)> = object.0.iter().map(|(name, value)| (name.as_ref(), value.get())).collect();
        assert_eq!(fields, [("a", "1.50"), ("b", "{\"x\":[ ]}"), ("a", "null"), ("n", "\"\\n\"")]);
        assert!(object.get("a").is_none());
        assert_eq!((object.text("n").as_deref(), object.text("b")), (Some("\n"), None));
        assert!(serde_json::from_str::<Object<'_>>("[]").is_err());
    }

    #[test]
    fn depth_is_limited_before_anything_is_parsed() {
        assert!(check("[".repeat(DEPTH_MAX).as_bytes()).is_ok());
        assert!(check("[".repeat(DEPTH_MAX + 1).as_bytes()).is_err());
        assert!(check(b"\xff").is_err());
        assert_eq!(check("\u{feff}{}".as_bytes()), Ok("{}"));
    }

    proptest! {
        #[test]
        fn what_is_written_can_be_read(fields in proptest::collection::vec((any::<String>(), any::<String>()), 0..5)) {
            let mut writer = Writer::new(0);
            fields.iter().for_each(|(name, value)| writer.text(name, value));
            let written = writer.finish();
            let object: Object<'_> = serde_json::from_str(&written).unwrap();
            let read: Vec<_> = object.0.iter().map(|(name, value)| (name.to_string(), text(value).unwrap().into_owned())).collect();
            prop_assert_eq!(read, fields);
        }
    }
}
