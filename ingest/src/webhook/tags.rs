//! The fields of a WeChat or WeCom push, which come as XML or, of mini-programs, as JSON.

use serde_json::value::RawValue;
use tributary_runtime::stage::Rejection;

use super::{body, xml};
use crate::limits::{FIELD_BYTES_MAX, check_depth};
use crate::normalise::text::clean;
use crate::reason;
use crate::scalar::{Scalar, field_too_large, json_rejection};
use crate::traits::RawTraits;

/// What pushes of a provider look like.
#[derive(Debug)]
pub(super) struct Form {
    /// The tags that are read; all others are skipped.
    pub(super) tags: &'static [&'static str],
    /// What a push of this provider has: for who sent something else.
    pub(super) expected: &'static str,
}

/// The tags of a push that are read, each with its text; absent and blank ones are empty.
#[derive(Debug)]
pub(super) struct Tags {
    form: &'static Form,
    texts: Vec<Option<String>>,
}

impl Tags {
    /// Reads a push: XML, or a JSON object, which may also stand in a string.
    ///
    /// # Errors
    /// When it is neither, breaks a limit, or has a tag twice.
    pub(super) fn read(raw: &RawValue, form: &'static Form) -> Result<Self, Rejection> {
        let mut tags = Self { form, texts: vec![None; form.tags.len()] };
        let is_text = raw.get().starts_with('"');
        let text = if is_text { body::text(raw)? } else { raw.get().into() };
        let text = text.trim_start_matches('\u{feff}').trim_ascii();
        if text.starts_with('{') {
            check_depth(text)?;
            tags.read_json(text)?;
        } else if is_text {
            xml::read(text, |tag, text| tags.set(tag, text))?;
        } else {
            return Err(Rejection::new(reason::VALUE_INVALID, "body", format!("expected {}", form.expected)));
        }
        Ok(tags)
    }

    fn read_json(&mut self, json: &str) -> Result<(), Rejection> {
        let fields: RawTraits<'_> = serde_json::from_str(json).map_err(|error| json_rejection(&error))?;
        for (name, value) in fields.0.iter().filter(|(name, _)| self.form.tags.contains(&&**name)) {
            match serde_json::from_str(value.get()).map_err(|error| json_rejection(&error))? {
                Scalar::Text(text) => self.set(name, &text)?,
                Scalar::Integer(number) => self.set(name, &number.to_string())?,
                // No tag that is read has parts.
                Scalar::Null | Scalar::Bool(_) | Scalar::Inexact | Scalar::Nested | Scalar::Twice => {}
            }
        }
        Ok(())
    }

    /// The text of a tag; empty where it is absent.
    pub(super) fn get(&self, tag: &str) -> &str {
        let at = self.form.tags.iter().position(|wanted| *wanted == tag);
        at.and_then(|at| self.texts.get(at)?.as_deref()).unwrap_or_default()
    }

    /// The text of a tag that a push must have.
    ///
    /// # Errors
    /// [`reason::FIELD_MISSING`].
    pub(super) fn need(&self, tag: &'static str) -> Result<&str, Rejection> {
        match self.get(tag) {
            "" => Err(Rejection::new(reason::FIELD_MISSING, tag, format!("expected {}", self.form.expected))),
            text => Ok(text),
        }
    }

    /// Whether a tag is there, even if it is blank.
    pub(super) fn has(&self, tag: &str) -> bool {
        self.form.tags.iter().zip(&self.texts).any(|(wanted, text)| *wanted == tag && text.is_some())
    }

    fn set(&mut self, tag: &str, text: &str) -> Result<(), Rejection> {
        let Some(at) = self.form.tags.iter().position(|wanted| *wanted == tag) else { return Ok(()) };
        let (Some(field), Some(slot)) = (self.form.tags.get(at), self.texts.get_mut(at)) else { return Ok(()) };
        if text.len() > FIELD_BYTES_MAX {
            return Err(field_too_large(field, text.len()));
        }
        if slot.is_some() {
            return Err(Rejection::new(reason::KEY_DUPLICATE, *field, "the tag stands twice"));
        }
        *slot = Some(clean(text).into_owned());
        Ok(())
    }
}

/// Whole seconds since 1970-01-01 UTC, as WeChat writes times, in milliseconds.
///
/// # Errors
/// [`reason::TIMESTAMP_INVALID`].
pub(super) fn seconds(text: &str, field: &'static str) -> Result<i64, Rejection> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds: Option<i64> = if digits { text.parse().ok() } else { None };
    // Past the year 9999 it is no number of seconds.
    seconds
        .filter(|seconds| *seconds <= 253_402_300_799)
        .and_then(|seconds| seconds.checked_mul(1000))
        .ok_or_else(|| Rejection::new(reason::TIMESTAMP_INVALID, field, "expected seconds since 1970-01-01 UTC"))
}
