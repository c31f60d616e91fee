//! The canonical content of a record, whose hash is the event id of records without one.
//!
//! A record is flattened to pairs of path and text (`traits.name`, `张先生`), without blank ones, sorted, and hashed with their lengths. So
//! key order and white space do not matter, nor whether the record came as JSON or as a CSV row. Part of the stored format: do not change.

use std::fmt::{self, Write};
use std::ops::Range;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use tributary_proto::Hash128;

use crate::scalar::Key;

/// The hash of the content of a JSON object as 32 hexadecimal digits, without the top-level fields `except`.
///
/// # Errors
/// When the text is not well-formed JSON.
pub(crate) fn hash(json: &str, except: &[&str]) -> Result<String, serde_json::Error> {
    let mut content = Content::default();
    let mut deserializer = serde_json::Deserializer::from_str(json);
    Walk { content: &mut content, except, index: None }.deserialize(&mut deserializer)?;
    Ok(content.hash().to_string())
}

/// The pairs, as ranges of one text.
#[derive(Default)]
struct Content {
    text: String,
    path: String,
    pairs: Vec<(Range<usize>, Range<usize>)>,
}

impl Content {
    fn push(&mut self, value: fmt::Arguments<'_>) {
        let start = self.text.len();
        self.text.push_str(&self.path);
        let middle = self.text.len();
        // Writing to a String cannot fail.
        let _ = self.text.write_fmt(value);
        let (from, to) = trimmed(&self.text, middle);
        if from < to {
            self.pairs.push((start..middle, from..to));
        } else {
            self.text.truncate(start);
        }
    }

    fn get(&self, range: &Range<usize>) -> &str {
        self.text.get(range.clone()).unwrap_or_default()
    }

    fn hash(mut self) -> Hash128 {
        let mut pairs = std::mem::take(&mut self.pairs);
        pairs.sort_unstable_by(|a, b| (self.get(&a.0), self.get(&a.1)).cmp(&(self.get(&b.0), self.get(&b.1))));
        let mut bytes = Vec::with_capacity(self.text.len() + 16 * pairs.len());
        for part in pairs.iter().flat_map(|(path, value)| [path, value]) {
            let part = self.get(part).as_bytes();
            bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
            bytes.extend_from_slice(part);
        }
        Hash128::of(&bytes)
    }
}

/// The bounds of the part that begins at `start`, without surrounding white space.
fn trimmed(text: &str, start: usize) -> (usize, usize) {
    let value = text.get(start..).unwrap_or_default();
    let from = start + (value.len() - value.trim_start().len());
    (from, from + value.trim().len())
}

/// Visits a value. Scalars in a list have the list's own path (`;` lists of CSV are sets). Objects and lists in a list have their index in
/// the path, so that their fields stay together.
struct Walk<'c, 'e> {
    content: &'c mut Content,
    except: &'e [&'e str],
    /// The index of an element of a list.
    index: Option<usize>,
}

impl Walk<'_, '_> {
    fn enter(&mut self) -> usize {
        if let Some(index) = self.index {
            // Writing to a String cannot fail.
            let _ = write!(self.content.path, ".{index}");
        }
        self.content.path.len()
    }
}

impl<'de> DeserializeSeed<'de> for Walk<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Walk<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.content.push(format_args!("{text}"));
        Ok(())
    }

    fn visit_i64<E>(self, number: i64) -> Result<(), E> {
        self.content.push(format_args!("{number}"));
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        self.content.push(format_args!("{number}"));
        Ok(())
    }

    fn visit_f64<E>(self, number: f64) -> Result<(), E> {
        self.content.push(format_args!("{number}"));
        Ok(())
    }

    fn visit_bool<E>(self, flag: bool) -> Result<(), E> {
        self.content.push(format_args!("{flag}"));
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let outer = self.enter();
        while let Some(Key(key)) = map.next_key::<Key<'de>>()? {
            if self.except.contains(&&*key) {
                map.next_value::<serde::de::IgnoredAny>()?;
                continue;
            }
            if outer > 0 {
                self.content.path.push('.');
            }
            self.content.path.push_str(&key);
            map.next_value_seed(Walk { content: &mut *self.content, except: &[], index: None })?;
            self.content.path.truncate(outer);
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        let outer = self.enter();
        let mut index = 0;
        while seq.next_element_seed(Walk { content: &mut *self.content, except: &[], index: Some(index) })?.is_some() {
            self.content.path.truncate(outer);
            index += 1;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(json: &str) -> String {
        hash(json, &["event_id"]).unwrap()
    }

    #[test]
    fn only_the_content_counts() {
        let one = of(r#"{"timestamp":"2022-04-13","email":["a@b.cn","c@b.cn"],"traits":{"name":"x"},"n":7,"gone":null}"#);
        let two = of(
            "{ \"traits.name\": \" x \", \"n\": \"7\", \"email\": [\"c@b.cn\", \"a@b.cn\"], \"blank\": \"\",\n\"timestamp\": \"2022-04-13\", \"event_id\": \"e\"}",
        );
        assert_eq!(one, two);
        assert_eq!(one.len(), 32);
        assert_ne!(of(r#"{"a":"bc"}"#), of(r#"{"ab":"c"}"#));
        assert_ne!(of(r#"{"a":[{"x":1,"y":2},{"x":3,"y":4}]}"#), of(r#"{"a":[{"x":1,"y":4},{"x":3,"y":2}]}"#));
        assert_ne!(of(r#"{"a":[[1,2],[3]]}"#), of(r#"{"a":[[1],[2,3]]}"#));
    }

    /// The hash is part of the stored format.
    #[test]
    fn the_bytes_are_fixed() {
        let literal = b"\0\0\0\0\0\0\0\x01a\0\0\0\0\0\0\0\x02xy\0\0\0\0\0\0\0\x01b\0\0\0\0\0\0\0\x011";
        assert_eq!(of(r#"{"b":1,"a":"xy"}"#), Hash128::of(literal).to_string());
    }
}
