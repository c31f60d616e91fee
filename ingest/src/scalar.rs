//! Values of JSON fields as senders really write them: text, but also numbers and booleans in place of text.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use tributary_runtime::stage::Rejection;

use crate::limits::FIELD_BYTES_MAX;
use crate::normalise::text::clean;
use crate::reason::{self, Reason};
use crate::repair::is_unreadable;

/// A JSON value that should be text, borrowed from the record if it has no escapes.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) enum Scalar<'a> {
    /// Absent or null.
    #[default]
    Null,
    Text(Cow<'a, str>),
    Integer(i64),
    Bool(bool),
    /// A number with a fraction or an exponent, or too large to be exact: as an id it is damaged already.
    Inexact,
    /// An object or array.
    Nested,
    /// The field occurs twice: it is unclear which is meant.
    Twice,
}

impl<'a> Scalar<'a> {
    /// Reads a JSON value that is known to be well-formed; plain text is borrowed.
    ///
    /// # Errors
    /// When it is not a scalar.
    pub(crate) fn of_json(json: &'a str) -> Result<Self, serde_json::Error> {
        let plain = json.strip_prefix('"').and_then(|text| text.strip_suffix('"')).filter(|text| !text.contains('\\'));
        plain.map_or_else(|| serde_json::from_str(json), |text| Ok(Self::Text(Cow::Borrowed(text))))
    }

    /// Whether there is no value.
    pub(crate) fn is_null(&self) -> bool {
        matches!(self, Self::Null)
    }

    /// The value as trimmed text without control characters, `None` when absent or blank.
    ///
    /// # Errors
    /// [`reason::VALUE_INVALID`] when it cannot be text, [`reason::FIELD_TOO_LARGE`], [`reason::KEY_DUPLICATE`].
    pub(crate) fn text(self, field: &'static str) -> Result<Option<Cow<'a, str>>, Rejection> {
        let text = match self {
            Self::Null => return Ok(None),
            Self::Text(Cow::Borrowed(text)) => clean(text),
            Self::Text(Cow::Owned(text)) => Cow::Owned(clean(&text).into_owned()),
            Self::Integer(number) => Cow::Owned(number.to_string()),
            Self::Bool(flag) => Cow::Borrowed(if flag { "true" } else { "false" }),
            Self::Inexact | Self::Nested => {
                return Err(Rejection::new(reason::VALUE_INVALID, field, "expected text, or a whole number"));
            }
            Self::Twice => return Err(Rejection::new(reason::KEY_DUPLICATE, field, "the field occurs twice in its record")),
        };
        if is_unreadable(&text) {
            return Err(half_a_character(reason::VALUE_INVALID, field));
        }
        if text.len() > FIELD_BYTES_MAX {
            return Err(field_too_large(field, text.len()));
        }
        Ok(if text.is_empty() { None } else { Some(text) })
    }
}

/// A flag as JSON or spreadsheets write it; absent is false.
///
/// # Errors
/// [`reason::VALUE_INVALID`] when it is not a flag.
pub(crate) fn flag(value: Scalar<'_>, field: &'static str) -> Result<bool, Rejection> {
    said_flag(value, field).map(|said| said == Some(true))
}

/// The same, but `None` if it is absent or blank, where that makes a difference.
///
/// # Errors
/// [`reason::VALUE_INVALID`] when it is not a flag.
pub(crate) fn said_flag(value: Scalar<'_>, field: &'static str) -> Result<Option<bool>, Rejection> {
    let text: Cow<'_, str> = match value.text(field)? {
        None => return Ok(None),
        Some(text) => text,
    };
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" | "yes" | "y" | "是" => Ok(Some(true)),
        "false" | "0" | "no" | "n" | "否" => Ok(Some(false)),
        _ => Err(Rejection::new(reason::VALUE_INVALID, field, "expected true or false")),
    }
}

/// The rejection of a text with an unreadable character.
pub(crate) fn half_a_character(reason: Reason, field: &str) -> Rejection {
    Rejection::new(
        reason,
        field,
        "the value has half a character (a lone surrogate, or bytes that are not UTF-8), or is nested too deeply",
    )
}

/// The rejection of a field that is too long.
pub(crate) fn field_too_large(field: &str, bytes: usize) -> Rejection {
    Rejection::new(reason::FIELD_TOO_LARGE, field, format!("the field has {bytes} bytes, at most {FIELD_BYTES_MAX} are read"))
}

/// The rejection for a JSON error, without the text that it found.
pub(crate) fn json_rejection(error: &serde_json::Error) -> Rejection {
    let at = format!("at line {}, column {}", error.line(), error.column());
    if !error.is_data() {
        return Rejection::new(reason::JSON_MALFORMED, "", format!("the JSON is malformed {at}"));
    }
    // serde's message contains the name of a repeated field of ours, never a value: "duplicate field `userId` at line ...".
    let text = error.to_string();
    if let Some(field) = text.strip_prefix("duplicate field `").and_then(|rest| rest.split('`').next()) {
        return Rejection::new(reason::KEY_DUPLICATE, field, format!("the field occurs twice, again {at}"));
    }
    Rejection::new(reason::VALUE_INVALID, "", format!("a field has the wrong JSON type {at}"))
}

impl<'de: 'a, 'a> Deserialize<'de> for Scalar<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

pub(crate) struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(number).map_or_else(|_| Scalar::Text(Cow::Owned(number.to_string())), Scalar::Integer))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Inexact)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Bool(flag))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Null)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nested)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Nested)
    }
}

/// Object keys, borrowed where they have no escapes.
#[derive(Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Key<'a>(#[serde(borrow)] pub(crate) Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_that_was_found_well_formed_is_read_as_any_other() {
        for json in [
            r#""2022-03-03T10:00:00Z""#,
            r#""""#,
            r#""\u0032""#,
            r#""a\"b""#,
            "7",
            "7.5",
            "true",
            "null",
            "[1]",
            "{}",
            "\"张\"",
        ] {
            assert_eq!(Scalar::of_json(json).unwrap(), serde_json::from_str::<Scalar<'_>>(json).unwrap(), "{json}");
        }
    }
}
