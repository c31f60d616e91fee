//! The body of an envelope: JSON, or the text that the provider sent.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserializer as _, SeqAccess, Visitor};
use serde_json::value::RawValue;
use tributary_runtime::stage::Rejection;

use crate::limits::{ELEMENTS_MAX, cut_depth};
use crate::normalise::text::clean;
use crate::scalar::{Scalar, json_rejection};
use crate::{reason, repair};

/// The JSON of the body, with its depth limited. Some receivers pass it on as a string of JSON.
///
/// # Errors
/// [`reason::VALUE_INVALID`], [`reason::JSON_MALFORMED`].
pub(super) fn json(body: &RawValue) -> Result<Cow<'_, str>, Rejection> {
    let json = if body.get().starts_with('"') {
        // If it was a string, its depth has not been checked yet.
        match cut_depth(text(body)?) {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim_ascii()),
            Cow::Owned(text) => Cow::Owned(text.trim_ascii().to_owned()),
        }
    } else {
        Cow::Borrowed(body.get())
    };
    // Elements are independent: an unreadable number in one of them must not discard that element, or make the body be read again.
    Ok(repair::numbers(&json).map_or(json, Cow::Owned))
}

/// The body as the text that the provider sent.
///
/// # Errors
/// [`reason::VALUE_INVALID`] when it is not a string.
pub(super) fn text(body: &RawValue) -> Result<Cow<'_, str>, Rejection> {
    match serde_json::from_str(body.get()).map_err(|error| json_rejection(&error))? {
        Scalar::Text(text) => Ok(text),
        _ => Err(Rejection::new(reason::VALUE_INVALID, "body", "expected the provider's body as a string")),
    }
}

/// The elements of a JSON array; a single object counts as an array of one.
///
/// # Errors
/// [`reason::VALUE_INVALID`] when it is neither, [`reason::RECORD_TOO_LARGE`] beyond [`ELEMENTS_MAX`], [`reason::JSON_MALFORMED`].
pub(super) fn elements(json: &str) -> Result<Vec<&RawValue>, Rejection> {
    if json.starts_with('{') {
        return Ok(vec![serde_json::from_str(json).map_err(|error| json_rejection(&error))?]);
    }
    if !json.starts_with('[') {
        return Err(Rejection::new(reason::VALUE_INVALID, "body", "expected an object or an array of objects"));
    }
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let elements = deserializer.deserialize_seq(Elements).map_err(|error| json_rejection(&error))?;
    deserializer.end().map_err(|error| json_rejection(&error))?;
    if elements.len() > ELEMENTS_MAX {
        let detail = format!("the body has {} elements, at most {ELEMENTS_MAX} are read; send fewer at once", elements.len());
        return Err(Rejection::new(reason::RECORD_TOO_LARGE, "body", detail));
    }
    Ok(elements)
}

struct Elements;

impl<'de> Visitor<'de> for Elements {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut out = Vec::new();
        while let Some(element) = seq.next_element()? {
            out.push(element);
        }
        Ok(out)
    }
}

/// The text of a field: a string without invisible characters, a number as written, a flag; `None` if null or blank.
///
/// # Errors
/// [`reason::VALUE_INVALID`] when it is an object or an array, [`reason::FIELD_TOO_LARGE`].
pub(super) fn field<'a>(raw: &'a RawValue, name: &'static str) -> Result<Option<Cow<'a, str>>, Rejection> {
    match serde_json::from_str::<Scalar<'a>>(raw.get()).map_err(|error| json_rejection(&error))? {
        Scalar::Inexact => Ok(Some(clean(raw.get()))),
        other => other.text(name),
    }
}

/// Milliseconds since 1970-01-01 UTC, up to the year 9999.
///
/// # Errors
/// [`reason::TIMESTAMP_MISSING`], [`reason::TIMESTAMP_INVALID`].
pub(super) fn millis(value: Scalar<'_>, name: &'static str) -> Result<i64, Rejection> {
    let Some(text) = value.text(name)? else {
        return Err(Rejection::new(reason::TIMESTAMP_MISSING, name, "every event needs its time"));
    };
    text.parse()
        .ok()
        .filter(|ms| (0..=253_402_300_799_999i64).contains(ms))
        .ok_or_else(|| Rejection::new(reason::TIMESTAMP_INVALID, name, "expected milliseconds since 1970-01-01 UTC"))
}
