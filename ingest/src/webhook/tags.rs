//! The fields of a WeChat or WeCom push, which come as XML or, of mini-programs, as JSON.

use serde_json::value::RawValue;
use tributary_runtime::stage::Rejection;

use super::{body, xml};
use crate::ignored::Ignored;
use crate::limits::cut_depth;
use crate::reason;
use crate::scalar::{Scalar, json_rejection};
use crate::traits::RawTraits;

/// The form of a provider's pushes.
#[derive(Debug)]
pub(super) struct Form {
    /// The tags that are read; all others are skipped.
    pub(super) tags: &'static [&'static str],
    /// Description of such a push, for the error message.
    pub(super) expected: &'static str,
}

/// The tags of a push that are read, each with its text, or why it cannot be read. Absent and blank ones are empty.
#[derive(Debug)]
pub(super) struct Tags {
    form: &'static Form,
    texts: Vec<Option<Result<String, Rejection>>>,
}

impl Tags {
    /// Reads a push: XML or a JSON object, which may also be inside a string.
    ///
    /// # Errors
    /// When it is neither, or exceeds a limit.
    pub(super) fn read(raw: &RawValue, form: &'static Form) -> Result<Self, Rejection> {
        let mut tags = Self { form, texts: vec![None; form.tags.len()] };
        let is_text = raw.get().starts_with('"');
        let text = if is_text { body::text(raw)? } else { raw.get().into() };
        let text = text.trim_start_matches('\u{feff}').trim_ascii();
        if text.starts_with('{') {
            tags.read_json(&cut_depth(text.into()))?;
        } else if is_text {
            xml::read(text, |tag, text| {
                tags.set(tag, Scalar::Text(text.into()));
                Ok(())
            })?;
        } else {
            return Err(Rejection::new(reason::VALUE_INVALID, "body", format!("expected {}", form.expected)));
        }
        Ok(tags)
    }

    fn read_json(&mut self, json: &str) -> Result<(), Rejection> {
        let fields: RawTraits<'_> = serde_json::from_str(json).map_err(|error| json_rejection(&error))?;
        for (name, value) in fields.0.iter().filter(|(name, _)| self.form.tags.contains(&&**name)) {
            self.set(name, serde_json::from_str(value.get()).map_err(|error| json_rejection(&error))?);
        }
        Ok(())
    }

    /// The text of a tag; empty if it is absent or cannot be read.
    pub(super) fn get(&self, tag: &str) -> &str {
        self.found(tag).and_then(|found| found.as_deref().ok()).unwrap_or_default()
    }

    /// The text of a required tag.
    ///
    /// # Errors
    /// [`reason::FIELD_MISSING`], or why it cannot be read.
    pub(super) fn need(&self, tag: &'static str) -> Result<&str, Rejection> {
        match self.found(tag) {
            Some(Ok(text)) if !text.is_empty() => Ok(text),
            Some(Err(why)) => Err(why.clone()),
            _ => Err(Rejection::new(reason::FIELD_MISSING, tag, format!("expected {}", self.form.expected))),
        }
    }

    /// The tags that cannot be read: the push counts without them, unless they are required.
    pub(super) fn left_out(&self) -> Ignored {
        let mut ignored = Ignored::default();
        self.texts.iter().flatten().filter_map(|found| found.as_ref().err()).for_each(|why| ignored.note(why.clone()));
        ignored
    }

    fn found(&self, tag: &str) -> Option<&Result<String, Rejection>> {
        let at = self.form.tags.iter().position(|wanted| *wanted == tag)?;
        self.texts.get(at)?.as_ref()
    }

    /// Whether a tag is present, even if it is blank.
    pub(super) fn has(&self, tag: &str) -> bool {
        self.form.tags.iter().zip(&self.texts).any(|(wanted, text)| *wanted == tag && text.is_some())
    }

    fn set(&mut self, tag: &str, value: Scalar<'_>) {
        let Some(at) = self.form.tags.iter().position(|wanted| *wanted == tag) else { return };
        let (Some(field), Some(slot)) = (self.form.tags.get(at), self.texts.get_mut(at)) else { return };
        *slot = Some(match slot {
            None => value.text(field).map(|text| text.unwrap_or_default().into_owned()),
            Some(_) => Err(Rejection::new(reason::KEY_DUPLICATE, *field, "the tag stands twice")),
        });
    }
}

/// Whole seconds since 1970-01-01 UTC, as WeChat writes times, in milliseconds.
///
/// # Errors
/// [`reason::TIMESTAMP_INVALID`].
pub(super) fn seconds(text: &str, field: &'static str) -> Result<i64, Rejection> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let seconds: Option<i64> = if digits { text.parse().ok() } else { None };
    // After the year 9999 it cannot be a number of seconds.
    seconds
        .filter(|seconds| *seconds <= 253_402_300_799)
        .and_then(|seconds| seconds.checked_mul(1000))
        .ok_or_else(|| Rejection::new(reason::TIMESTAMP_INVALID, field, "expected seconds since 1970-01-01 UTC"))
}
