//! Deserialises settings from a tree of values. Unlike those of `serde_json`, its errors name the key and never contain a value: a
//! misplaced value, or one of the wrong type, may be a secret.

use std::fmt;

use serde::de::value::StringDeserializer;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, Expected, IntoDeserializer, MapAccess, SeqAccess,
    Unexpected, VariantAccess, Visitor,
};
use serde::forward_to_deserialize_any;
use serde_json::{Map, Value};

use super::shape::{LIKENESS_MIN, nearest};

/// Why a tree of values cannot be read as settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unreadable {
    /// The path from the outside inwards: keys, and positions in lists as `[3]`.
    path: Vec<String>,
    /// The error; never contains a value.
    pub(super) problem: String,
}

/// Reads settings.
///
/// # Errors
/// The first value of the wrong kind.
pub(super) fn read<T: DeserializeOwned>(tree: Value) -> Result<T, Unreadable> {
    T::deserialize(Tree(tree))
}

impl Unreadable {
    /// The key, dotted; empty for the tree as a whole.
    pub(super) fn key(&self) -> String {
        let mut key = String::new();
        for part in &self.path {
            key += if key.is_empty() || part.starts_with('[') { "" } else { "." };
            key += part;
        }
        key
    }

    fn new(problem: String) -> Self {
        Self { path: Vec::new(), problem }
    }

    fn below(mut self, part: &str) -> Self {
        self.path.insert(0, part.to_owned());
        self
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl std::error::Error for Unreadable {}

impl Error for Unreadable {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::new(format!("expected {}, found {}", words(wanted), kind(found)))
    }

    fn invalid_value(_: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::new(format!("expected {}", words(wanted)))
    }

    fn unknown_variant(found: &str, known: &'static [&'static str]) -> Self {
        let meant = nearest(found, known).filter(|(likeness, _)| *likeness >= LIKENESS_MIN);
        let meant = meant.map_or(String::new(), |(_, name)| format!("; did you mean `{name}`?"));
        let known: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
        Self::new(format!("expected one of {}{meant}", known.join(", ")))
    }
}

/// The expected kind, in the terms of the configuration.
fn words(wanted: &dyn Expected) -> String {
    match wanted.to_string().as_str() {
        "a string" | "path string" => "text".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "a section".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "u8" => "a whole number from 0 to 255".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" => "a whole number from 0 to 4294967295".to_owned(),
        "u64" | "usize" => "a whole number, 0 or more".to_owned(),
        "i8" | "i16" | "i32" | "i64" => "a whole number".to_owned(),
        "f32" | "f64" => "a number".to_owned(),
        text if text.starts_with("struct ") => "a section".to_owned(),
        text => text.to_owned(),
    }
}

/// The kind that was found. Never the value.
fn kind(found: Unexpected<'_>) -> &'static str {
    match found {
        Unexpected::Bool(_) => "true or false",
        Unexpected::Unsigned(_) | Unexpected::Signed(_) => "a whole number",
        Unexpected::Float(_) => "a number",
        Unexpected::Char(_) | Unexpected::Str(_) | Unexpected::Bytes(_) => "text",
        Unexpected::Unit | Unexpected::Option => "nothing",
        Unexpected::Seq => "a list",
        Unexpected::Map => "a section",
        _ => "something else",
    }
}

fn kind_of(value: &Value) -> Unexpected<'_> {
    match value {
        Value::Null => Unexpected::Unit,
        Value::Bool(truth) => Unexpected::Bool(*truth),
        Value::Number(number) if number.is_f64() => Unexpected::Float(0.0),
        Value::Number(_) => Unexpected::Unsigned(0),
        Value::String(text) => Unexpected::Str(text),
        Value::Array(_) => Unexpected::Seq,
        Value::Object(_) => Unexpected::Map,
    }
}

struct Tree(Value);

impl<'de> Deserializer<'de> for Tree {
    type Error = Unreadable;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        match self.0 {
            Value::Null => visitor.visit_unit(),
            Value::Bool(truth) => visitor.visit_bool(truth),
            Value::Number(number) => match (number.as_u64(), number.as_i64(), number.as_f64()) {
                (Some(number), ..) => visitor.visit_u64(number),
                (_, Some(number), _) => visitor.visit_i64(number),
                (.., number) => visitor.visit_f64(number.unwrap_or(f64::NAN)),
            },
            Value::String(text) => visitor.visit_string(text),
            Value::Array(items) => {
                let length = items.len();
                let mut list = List { items: items.into_iter(), at: 0 };
                let read = visitor.visit_seq(&mut list)?;
                if list.items.len() == 0 { Ok(read) } else { Err(Error::invalid_length(length, &"fewer entries")) }
            }
            Value::Object(entries) => visitor.visit_map(Section { entries: entries.into_iter(), value: None }),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Unreadable> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Unreadable> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Unreadable> {
        match self.0 {
            Value::String(name) => visitor.visit_enum(Choice { name, value: None }),
            Value::Object(entries) if entries.len() == 1 => {
                let entry = entries.into_iter().next();
                let (name, value) = entry.ok_or_else(|| Unreadable::new("expected one entry".to_owned()))?;
                visitor.visit_enum(Choice { name, value: Some(value) })
            }
            other => Err(Error::invalid_type(kind_of(&other), &"text, or a section of one entry")),
        }
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct
        map struct identifier ignored_any
    }
}

struct List {
    items: std::vec::IntoIter<Value>,
    at: usize,
}

impl<'de> SeqAccess<'de> for &mut List {
    type Error = Unreadable;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Unreadable> {
        let Some(item) = self.items.next() else { return Ok(None) };
        let at = self.at;
        self.at += 1;
        seed.deserialize(Tree(item)).map(Some).map_err(|error| error.below(&format!("[{at}]")))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
    }
}

struct Section {
    entries: <Map<String, Value> as IntoIterator>::IntoIter,
    value: Option<(String, Value)>,
}

impl<'de> MapAccess<'de> for Section {
    type Error = Unreadable;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Unreadable> {
        let Some((key, value)) = self.entries.next() else { return Ok(None) };
        self.value = Some((key.clone(), value));
        let key: StringDeserializer<Unreadable> = key.into_deserializer();
        seed.deserialize(key).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Unreadable> {
        let (key, value) = self.value.take().unwrap_or_default();
        seed.deserialize(Tree(value)).map_err(|error| error.below(&key))
    }
}

/// An enum variant, by its name or as a table with one entry.
struct Choice {
    name: String,
    value: Option<Value>,
}

impl<'de> EnumAccess<'de> for Choice {
    type Error = Unreadable;
    type Variant = Variant;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Variant), Unreadable> {
        let name: StringDeserializer<Unreadable> = self.name.into_deserializer();
        Ok((seed.deserialize(name)?, Variant(self.value)))
    }
}

struct Variant(Option<Value>);

impl Variant {
    fn tree(self) -> Result<Tree, Unreadable> {
        self.0.map(Tree).ok_or_else(|| Unreadable::new("expected a section with the variant's value".to_owned()))
    }
}

impl<'de> VariantAccess<'de> for Variant {
    type Error = Unreadable;

    fn unit_variant(self) -> Result<(), Unreadable> {
        match self.0 {
            None | Some(Value::Null) => Ok(()),
            Some(value) => Err(Error::invalid_type(kind_of(&value), &"nothing behind this variant")),
        }
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, Unreadable> {
        seed.deserialize(self.tree()?)
    }

    fn tuple_variant<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Unreadable> {
        self.tree()?.deserialize_any(visitor)
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, Unreadable> {
        self.tree()?.deserialize_any(visitor)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::net::SocketAddr;
    use std::path::PathBuf;

    use serde::{Deserialize, Serialize};
    use serde_json::json;

    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(rename_all = "snake_case")]
    enum Window {
        Lifecycle,
        Lookback(u32),
        Named { days: u8 },
    }

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct All {
        truth: bool,
        small: u8,
        signed: i64,
        share: f64,
        text: String,
        path: PathBuf,
        address: SocketAddr,
        maybe: Option<String>,
        list: Vec<u32>,
        pair: (u8, u8),
        map: BTreeMap<String, Window>,
        number: serde_json::Number,
    }

    fn tree() -> Value {
        json!({
            "truth": true, "small": 7, "signed": -7, "share": 0.5, "text": "t", "path": "/p", "address": "127.0.0.1:1", "maybe": null,
            "list": [1, 2], "pair": [1, 2], "map": {"a": "lifecycle", "b": {"lookback": 3}, "c": {"named": {"days": 4}}}, "number": 12
        })
    }

    #[test]
    fn what_serde_json_reads_is_read_alike() {
        let read_here: All = read(tree()).unwrap();
        assert_eq!(read_here, serde_json::from_value(tree()).unwrap());
        let mut whole = tree();
        whole["share"] = json!(3);
        whole["maybe"] = json!("x");
        assert_eq!(read::<All>(whole.clone()).unwrap(), serde_json::from_value(whole).unwrap());
    }

    #[test]
    fn errors_name_the_key_and_no_value() {
        let values = [
            json!(null),
            json!(true),
            json!(8_472),
            json!(-8_472),
            json!(8_472.5),
            json!("s8472"),
            json!(["s8472"]),
            json!({"x": "s8472"}),
            json!({"s": 8_472, "t": 8_472}),
        ];
        let keys: Vec<String> = tree().as_object().unwrap().keys().cloned().collect();
        let mut wrong = 0;
        for key in &keys {
            for value in &values {
                let mut tree = tree();
                tree[key] = value.clone();
                let theirs = serde_json::from_value::<All>(tree.clone());
                let ours = read::<All>(tree);
                assert_eq!(ours.is_ok(), theirs.is_ok(), "{key}: {value}");
                let Err(error) = ours else { continue };
                wrong += 1;
                assert!(error.key().starts_with(key.as_str()), "{key}: {error:?}");
                assert!(!format!("{error:?}{error}").contains("8472"), "{error:?}");
            }
        }
        assert!(wrong > 60, "{wrong}");
        let mut inner = tree();
        inner["list"] = json!([1, "s8472"]);
        let error = read::<All>(inner).unwrap_err();
        assert_eq!(
            (error.key().as_str(), error.problem.as_str()),
            ("list[1]", "expected a whole number from 0 to 4294967295, found text")
        );
    }
}
